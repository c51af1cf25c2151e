"""What each user of a shared quota root has: one small SQLite file for all workers.

Parts are written as wholes, never as differences, and triggers keep a total equal to their sum, so that asking for a domain of ten thousand
users is one row. Promises: a transaction sees and writes one consistent state; every failure is StorageUnavailable or DiskFull.
Losing the file costs one settle an account. Must not know: rules, limits, mailboxes.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from mas.errors import DiskFull, StorageUnavailable
from mas.shared_database import open_shared

Usage = tuple[int, int]
"""``(octets, messages)``."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS part (root TEXT, scope TEXT, user TEXT, octets INT NOT NULL, messages INT NOT NULL,
    PRIMARY KEY (root, scope, user)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS total (root TEXT, scope TEXT, octets INT NOT NULL, messages INT NOT NULL,
    PRIMARY KEY (root, scope)) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS part_insert AFTER INSERT ON part BEGIN
    INSERT INTO total VALUES (new.root, new.scope, new.octets, new.messages)
        ON CONFLICT DO UPDATE SET octets = octets + new.octets, messages = messages + new.messages; END;
CREATE TRIGGER IF NOT EXISTS part_update AFTER UPDATE ON part BEGIN
    UPDATE total SET octets = octets + new.octets - old.octets, messages = messages + new.messages - old.messages
        WHERE root = new.root AND scope = new.scope; END;
CREATE TRIGGER IF NOT EXISTS part_delete AFTER DELETE ON part BEGIN
    UPDATE total SET octets = octets - old.octets, messages = messages - old.messages
        WHERE root = old.root AND scope = old.scope; END;
"""
_BUSY_TIMEOUT = 10_000
"""Milliseconds to wait for another worker's transaction, which takes microseconds."""


class Row:
    """One user's part of a shared root, inside a transaction."""

    def __init__(self, connection: apsw.Connection, key: tuple[str, str, str]) -> None:
        self._connection = connection
        self._key = key

    def others(self) -> Usage:
        """What the other users of the root have together."""
        return _others(self._connection, self._key)

    def write(self, usage: Usage) -> None:
        """What this user has."""
        self._connection.execute(
            "INSERT INTO part VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET octets = excluded.octets, messages = excluded.messages",
            (*self._key, *usage),
        )


class SharedUsage:
    """The file. Usable from any thread, one at a time; opened when first needed, so after a fork."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: apsw.Connection | None = None

    def with_others(self, root: str, scope: str, user: str, own: Usage) -> Usage:
        """Usage of the root when this user has ``own``."""
        with self._open() as connection:
            others = _others(connection, (root, scope, user))
        return others[0] + own[0], others[1] + own[1]

    def settle(self, root: str, scope: str, user: str, own: Usage) -> bool:
        """Write what the user has; True when something else was written there. Only a read when it was right."""
        with self._open() as connection:
            row = _own(connection, (root, scope, user))
        if (row or (0, 0)) == own:
            return False
        with self.changing(root, scope, user) as changing:
            changing.write(own)
        return True

    def forget(self, user: str) -> None:
        """The account is deleted."""
        with self._open() as connection, connection:
            connection.execute("DELETE FROM part WHERE user = ?", (user,))

    @contextmanager
    def changing(self, root: str, scope: str, user: str) -> Iterator[Row]:
        """A transaction that nobody else writes in; rolled back by any exception."""
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield Row(connection, (root, scope, user))
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def _open(self) -> Iterator[apsw.Connection]:
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._connect()
                yield self._connection
            except apsw.FullError as error:
                raise DiskFull(f"{self._path}: {error}") from error
            except (apsw.Error, OSError) as error:
                raise StorageUnavailable(f"{self._path}: {error}") from error

    def _connect(self) -> apsw.Connection:
        return open_shared(self._path, _SCHEMA, busy_milliseconds=_BUSY_TIMEOUT, synchronous="FULL")


def _own(connection: apsw.Connection, key: tuple[str, str, str]) -> Usage | None:
    sql = "SELECT octets, messages FROM part WHERE root = ? AND scope = ? AND user = ?"
    return _usage(connection.execute(sql, key).fetchall())


def _others(connection: apsw.Connection, key: tuple[str, str, str]) -> Usage:
    own = _own(connection, key) or (0, 0)
    sql = "SELECT octets, messages FROM total WHERE root = ? AND scope = ?"
    total = _usage(connection.execute(sql, key[:2]).fetchall()) or (0, 0)
    return total[0] - own[0], total[1] - own[1]


def _usage(rows: list[tuple[Any, ...]]) -> Usage | None:
    return (int(rows[0][0]), int(rows[0][1])) if rows else None
