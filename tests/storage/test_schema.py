"""The index file: how it is opened."""

from __future__ import annotations

from pathlib import Path

from mas.storage import schema


def test_commits_are_fsynced_unless_the_index_is_new(tmp_path: Path) -> None:
    """2 is FULL: the WAL is fsynced at each commit. A new index is made anew from the Maildir anyway."""
    path = str(tmp_path / "index.sqlite")
    for was_new, synchronous in ((True, 1), (False, 2), (False, 2)):
        database, new = schema.open_database(path)
        assert (new, database.pragma("synchronous"), database.pragma("journal_mode")) == (was_new, synchronous, "wal")
        schema.close_database(database, path)
