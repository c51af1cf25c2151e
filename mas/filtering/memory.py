"""What scripts remember between deliveries: ids of ``duplicate``, vacation replies, redirects. One SQLite file for all users of the host.

A row is a digest of user and id with the time until which it counts. Recorded after a delivery has succeeded: a delivery that is repeated
because it failed is no duplicate. All methods block: call them in a thread.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock

import apsw

from mas.errors import StorageUnavailable
from mas.shared_database import open_shared

_SWEEP_SECONDS = 3600.0
_BUSY_MILLISECONDS = 5000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS seen (id BLOB PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS seen_until ON seen (until);
"""


class Memory:
    """The memory of this host; any number of processes may use the file at once."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._lock = Lock()
        self._database: apsw.Connection | None = None
        self._swept = 0.0

    def _open(self) -> apsw.Connection:
        if self._database is None:
            self._database = open_shared(self._path, _SCHEMA, busy_milliseconds=_BUSY_MILLISECONDS, synchronous="FULL")
        return self._database

    def seen(self, user: str, key: str) -> bool:
        """Whether the id was recorded and still counts. Raises StorageUnavailable."""
        with self._lock:
            try:
                row = self._open().execute("SELECT until FROM seen WHERE id = ?", (_digest(user, key),)).fetchone()
            except (apsw.Error, OSError) as error:
                raise StorageUnavailable(f"{self._path}: {error}") from error
        return row is not None and row[0] > self._clock()

    def record(self, user: str, key: str, seconds: float) -> None:
        """Remember an id for some seconds, from now. Raises StorageUnavailable."""
        now = self._clock()
        with self._lock:
            try:
                database = self._open()
                database.execute("INSERT OR REPLACE INTO seen VALUES (?, ?)", (_digest(user, key), now + seconds))
                if now - self._swept > _SWEEP_SECONDS:
                    self._swept = now
                    database.execute("DELETE FROM seen WHERE until < ?", (now,))
            except (apsw.Error, OSError) as error:
                raise StorageUnavailable(f"{self._path}: {error}") from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None


def _digest(user: str, key: str) -> bytes:
    return hashlib.sha256(f"{user}\0{key}".encode("utf-8", "surrogatepass")).digest()[:20]
