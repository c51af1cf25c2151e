"""Where a user's mail lies: Dovecot's location string.

::

    location = "maildir:" path *( ":" option )
    option   = ( "INBOX=" / "CONTROL=" / "INDEX=" ) path
             / "LAYOUT=" ( "Maildir++" / "fs" )
             / "DIRNAME=" name                      ; with LAYOUT=fs
             / "VOLATILEDIR=" path                  ; Dovecot's temporary files: not needed here

With ``CONTROL=`` uid lists, keywords and special uses lie in ``path/.Name`` (``path/.INBOX``; ``path/Name/Other``, ``path/INBOX`` with
``LAYOUT=fs``), subscriptions and the last UIDVALIDITY in ``path``, as Dovecot has them. INBOX is the Maildir itself, or with ``DIRNAME=``
the directory of that name in its ``INBOX``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mas.errors import StorageUnavailable


@dataclass(frozen=True, slots=True)
class Location:
    """Absolute directories. root: of the mailboxes; inbox: INBOX itself, ``root`` unless it lies elsewhere; index: the index and its lock;
    control: uid lists and the like, empty when they lie with the mail. nested: ``LAYOUT=fs``; dirname: its ``DIRNAME=``."""

    root: str
    index: str
    inbox: str = ""
    control: str = ""
    nested: bool = False
    dirname: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "inbox", self.inbox or self.root)

    @property
    def index_file(self) -> str:
        return self.index + "/mas-index.sqlite"

    @property
    def reserve_file(self) -> str:
        return self.index + "/mas-index.reserve"

    @property
    def lock_file(self) -> str:
        return self.index + "/mas-index.lock"


@lru_cache(maxsize=1024)
def parse_location(text: str, home: Path) -> Location:
    """Raises StorageUnavailable for a format or an option that is not known: mail must not appear in a wrong place."""

    def absolute(path: str) -> str:
        if path == "~" or path.startswith("~/"):
            path = str(home) + path[1:]
        if not os.path.isabs(path) or "\0" in path:
            raise StorageUnavailable(f"mail location {text!r}: {path!r} is not an absolute path")
        return os.path.normpath(path)

    driver, _, rest = text.partition(":")
    if driver != "maildir":
        raise StorageUnavailable(f"mail location {text!r}: only maildir: is known")
    path, *options = rest.split(":")
    root = index = absolute(path)
    inbox = control = layout = dirname = ""
    for option in options:
        key, _, value = option.partition("=")
        if key == "INDEX":
            index = absolute(value)
        elif key == "INBOX":
            inbox = absolute(value)
        elif key == "CONTROL":
            control = absolute(value)
        elif key == "LAYOUT" and value.lower() in ("maildir++", "fs"):
            layout = value.lower()
        elif key == "DIRNAME" and value not in ("", ".", "..") and "/" not in value and "\0" not in value:
            dirname = value
        elif key == "VOLATILEDIR":
            continue
        else:
            raise StorageUnavailable(f"mail location {text!r}: unknown option {option!r}")
    if control == root:
        control = ""  # to Dovecot as well: uid lists lie with the mail, INBOX's too
    if layout == "fs":
        return Location(root, index, inbox or (f"{root}/INBOX/{dirname}" if dirname else root), control, True, dirname)
    if dirname:
        raise StorageUnavailable(f"mail location {text!r}: DIRNAME= needs LAYOUT=fs")
    return Location(root, index, inbox, control)
