"""Everything that a worker may come to import is imported before the fork: shared by all workers, and read while we may read it.

A worker is the mail user, which need not be able to read the Python that the server was started with (one under root's home, say): an
import or a codec that is looked up later would then fail at the first mail that needs it.
"""

from __future__ import annotations

import codecs
import contextlib
import encodings.aliases
import importlib
import pkgutil

from sqlalchemy import make_url

import mas
from mas.config import Config

_NOT_FOR_WORKERS = ("mas.cli", "mas.doctor", "mas.demo", "mas.__main__")
_BY_NAME = (
    "idna", "stringprep", "unicodedata", "multiprocessing.resource_tracker", "concurrent.futures.thread",
    "aiosmtplib",
)  # fmt: skip
"""What the standard library, and MAS itself for the sake of its commands, imports only when it is first used."""


def preload(config: Config) -> Config:
    """Import it all. Returns the configuration."""
    for module in pkgutil.walk_packages(mas.__path__, "mas."):
        if not module.name.startswith(_NOT_FOR_WORKERS):
            importlib.import_module(module.name)
    for name in _BY_NAME:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for codec in set(encodings.aliases.aliases.values()):
        with contextlib.suppress(LookupError):
            codecs.lookup(codec)
    urls = [passdb.url for passdb in config.passdb] + [userdb.url for userdb in config.userdb]
    for url in urls:
        if url and (text := url.get_secret_value()):
            make_url(text).get_dialect().import_dbapi()
    return config
