"""SQLite files that several processes make and open at the same moment."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import apsw
import pytest

from mas.shared_database import open_shared
from tests.support.forks import in_a_child

SCHEMA = "CREATE TABLE IF NOT EXISTS entry (id INTEGER PRIMARY KEY, process INT); CREATE INDEX IF NOT EXISTS by_process ON entry (process)"


def open_and_write(path: Path, process: int) -> None:
    database = open_shared(path, SCHEMA, busy_milliseconds=30_000, synchronous="OFF")
    database.execute("INSERT INTO entry (process) VALUES (?)", (process,))


@in_a_child
def test_processes_that_make_the_file_at_the_same_moment(tmp_path: Path) -> None:
    """Switching a new file to WAL is not waited for by SQLite's busy timeout: about one start of four processes in five failed."""
    for attempt in range(20):
        path = tmp_path / f"{attempt}" / "shared.sqlite3"
        starting, start = os.pipe()
        children = []
        for process in range(4):
            pid = os.fork()
            if pid == 0:
                status = 1
                try:
                    os.close(start)
                    os.read(starting, 1)  # until all are there
                    open_and_write(path, process)
                    status = 0
                finally:
                    os._exit(status)
            children.append(pid)
        os.close(starting)
        os.close(start)
        assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children] == [0, 0, 0, 0]
        database = open_shared(path, SCHEMA, busy_milliseconds=30_000, synchronous="OFF")
        assert database.execute("SELECT process FROM entry ORDER BY process").fetchall() == [(0,), (1,), (2,), (3,)]
        database.close()


def test_the_file_is_in_wal_mode_and_as_durable_as_asked(tmp_path: Path) -> None:
    database = open_shared(tmp_path / "a", SCHEMA, busy_milliseconds=1, synchronous="FULL")
    assert database.pragma("journal_mode") == "wal"
    assert database.pragma("synchronous") == 2
    assert open_shared(tmp_path / "a", SCHEMA, busy_milliseconds=1, synchronous="OFF").pragma("synchronous") == 0


def test_opening_leaves_no_descriptor_of_the_directory(tmp_path: Path) -> None:
    database = open_shared(tmp_path / "a", SCHEMA, busy_milliseconds=1, synchronous="OFF")
    held = []
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the listing's own
            held.append(os.readlink(f"/proc/self/fd/{number}"))
    database.close()
    assert str(tmp_path / "a") in held
    assert str(tmp_path) not in held


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"This is a letter, not a database. " * 40)
    with pytest.raises(apsw.NotADBError):
        open_shared(tmp_path / "a", SCHEMA, busy_milliseconds=1, synchronous="OFF")
