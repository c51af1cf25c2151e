"""External lists: files with a value on each line, which scripts ask by name with ``:list``. [RFC6134]

Blank lines and lines that begin with ``#`` are no values; case and white space around a value do not count. A file is read again when it
has changed; one that is missing, too large or no UTF-8 is a list that cannot be used now: nothing is in it, and it is not valid. All
methods block: call them in a thread.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock

from mas import logs
from mas.config.filters import ExternalList
from mas.user import User

_log = logs.get_logger("sieve")
_CACHED = 500
Identity = tuple[int, int, int, int]


class Lists:
    """The lists of a configuration. path_of: a path of the configuration for a user; max_size: octets of a file."""

    def __init__(self, lists: Sequence[ExternalList], path_of: Callable[[str, User], Path], max_size: int) -> None:
        self._files = {one.name.lower(): one.file for one in lists}
        self._path_of = path_of
        self._max_size = max_size
        self._cache: OrderedDict[Path, tuple[Identity, dict[str, str]]] = OrderedDict()
        self._lock = Lock()

    def known(self, name: str, user: User) -> bool:
        """Whether there is such a list, and it can be used."""
        return self._values(name, user) is not None

    def holds(self, name: str, values: Sequence[str], user: User) -> bool:
        """Whether one of the values is in the list."""
        found = self._values(name, user) or {}
        return any(value.strip().casefold() in found for value in values)

    def members(self, name: str, user: User) -> Sequence[str] | None:
        """All values, in order; None when there is no such list."""
        found = self._values(name, user)
        return None if found is None else list(found.values())

    def _values(self, name: str, user: User) -> dict[str, str] | None:
        file = self._files.get(name.lower())
        if file is None:
            return None
        path = self._path_of(file, user)
        try:
            stat = os.stat(path)
            identity = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
            with self._lock:
                cached = self._cache.get(path)
                if cached and cached[0] == identity:
                    self._cache.move_to_end(path)
                    return cached[1]
            if stat.st_size > self._max_size:
                raise ValueError(f"larger than sieve.list_max_size, {self._max_size} octets")
            with path.open("rb") as opened:
                text = opened.read(self._max_size + 1).decode("utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            _log.error("list cannot be used", user=user.name, list=name, file=str(path), why=str(error))
            return None
        lines = [line.strip() for line in text.splitlines()]
        values = {line.casefold(): line for line in lines if line and not line.startswith("#")}
        with self._lock:
            self._cache[path] = (identity, values)
            if len(self._cache) > _CACHED:
                self._cache.popitem(last=False)
        return values
