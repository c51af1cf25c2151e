"""Dovecot's configuration from disk: the one module of this package that opens files."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mas.dovecot_config.convert import Converted, convert
from mas.dovecot_config.grammar import MAX_FILE, DovecotConfigError
from mas.dovecot_config.tree import build

DEFAULT_PATH = "/etc/dovecot/dovecot.conf"
MAX_FILES = 1000
"""Files that one pattern may name."""


def import_dovecot(path: str) -> Converted:
    """Convert the configuration at ``path``: ``dovecot.conf``, its directory, output of ``doveconf -n``, or ``-`` for that on standard
    input. Raises DovecotConfigError."""
    if path == "-":
        file, text = "standard input", sys.stdin.read(MAX_FILE + 1)
    else:
        file = os.path.join(path, "dovecot.conf") if os.path.isdir(path) else path
        try:
            text = read(file)
        except OSError as error:
            raise DovecotConfigError(file, 0, str(error.strerror or error)) from None
    return convert(build(text, file, read_matching), read)


def read(path: str) -> str:
    """The text of one file, one octet more than is allowed at most. Raises OSError."""
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        text = file.read(MAX_FILE + 1)
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def read_matching(pattern: str, relative_to: str) -> Sequence[tuple[str, str]]:
    """The files that ``pattern`` names, seen from the directory of the file ``relative_to``. Raises OSError."""
    where = Path(relative_to).parent / pattern
    names = sorted(glob.glob(str(where)), key=os.fsencode)
    if len(names) > MAX_FILES:
        raise OSError(f"more than {MAX_FILES} files")
    return [(name, read(name)) for name in names if os.path.isfile(name)]
