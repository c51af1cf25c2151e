"""Code that is read before root is given up.

Python reads modules when they are first needed: a database driver at the first query, a character set at the first mail that has it.
Where the interpreter or MAS lies in a directory that the mail's owner cannot enter (a Python below /root, say), that would fail in the
middle of a mail. So what will be needed is imported before: the drivers always, and there everything.
"""

from __future__ import annotations

import contextlib
import encodings
import importlib
import os
import pkgutil
import stat
from pathlib import Path

import mas
from mas.config import Config

_DRIVERS = {
    "mysql+aiomysql": ("aiomysql", "sqlalchemy.dialects.mysql.aiomysql"),
    "postgresql+asyncpg": ("asyncpg", "sqlalchemy.dialects.postgresql.asyncpg"),
    "sqlite+aiosqlite": ("aiosqlite", "sqlalchemy.dialects.sqlite.aiosqlite"),
}
_APART = ("mas.cli", "mas.demo", "mas.__main__")


def preload(config: Config, uid: int, gid: int) -> None:
    """Import what a process that becomes ``uid``/``gid`` will need."""
    urls = [passdb.url for passdb in config.passdb] + [userdb.url for userdb in config.userdb if userdb.url]
    for url in urls:
        for module in _DRIVERS[url.get_secret_value().partition(":")[0]]:
            importlib.import_module(module)
    if all(reachable(Path(code), uid, gid) for code in (encodings.__file__, mas.__file__, pkgutil.__file__)):
        return
    for found in pkgutil.iter_modules(encodings.__path__):
        with contextlib.suppress(ImportError):  # those of Windows
            importlib.import_module(f"encodings.{found.name}")
    for found in pkgutil.walk_packages(mas.__path__, "mas."):
        if not found.name.startswith(_APART):
            importlib.import_module(found.name)


def reachable(path: Path, uid: int, gid: int) -> bool:
    """Whether user and group may enter every directory above ``path`` and read it. Access lists are not looked at."""
    for place in (path, *path.parents):
        status = os.stat(place)
        if status.st_uid == uid:
            bit = stat.S_IRUSR if place == path else stat.S_IXUSR
        elif status.st_gid == gid:
            bit = stat.S_IRGRP if place == path else stat.S_IXGRP
        else:
            bit = stat.S_IROTH if place == path else stat.S_IXOTH
        if not status.st_mode & bit:
            return False
    return True
