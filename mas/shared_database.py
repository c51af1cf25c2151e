"""The small SQLite files that any number of processes use at once: the session registry, the memory of duplicates, shared quota.

Making such a file is the one moment at which SQLite's busy timeout does not help: two connections that switch a new file to WAL at the
same time each hold what the other waits for, and SQLite ends that at once with "database is locked". So files are opened one process
after the other, under a lock on their directory (flock; the kernel drops it with its holder). The lock is not taken on the file itself:
closing a second descriptor of it would drop the locks that SQLite holds there.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import apsw

__all__ = ["open_shared"]


def open_shared(path: Path, schema: str, *, busy_milliseconds: int, synchronous: str) -> apsw.Connection:
    """Open or make the database ``path`` in WAL mode with ``schema`` (statements that may be run again), whoever else does so now.

    ``synchronous`` is SQLite's word: ``FULL`` for what must outlive a power cut, ``OFF`` for what need not. A directory that is not
    there is made. Raises apsw.Error, OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        database = apsw.Connection(str(path))
        database.set_busy_timeout(busy_milliseconds)
        database.pragma("journal_mode", "wal")
        database.pragma("synchronous", synchronous)
        with database:
            database.execute(schema)
    finally:
        os.close(directory)
    return database
