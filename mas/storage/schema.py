"""The index: tables, and opening the file. One SQLite database an account, WAL.

Rows are cut by who reads them: ``message`` is what every sync asks, ``content`` the ready wire bytes of FETCH, ``content_text`` what SEARCH
and SORT compare, ``content_header`` the header fields that clients ask for. The last three are written once and never change; a copy
shares them by ``content_id``.

A schema of another version is not migrated but made anew from the Maildir: the index is a cache. What only the index knows is listed at
``engine``.
"""

from __future__ import annotations

import contextlib
import os

import apsw

VERSION = 2

_SCHEMA = """
CREATE TABLE account (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    modseq INTEGER NOT NULL,            -- the last one given, of the whole account
    boot TEXT NOT NULL,                 -- boot id of the last writer: another one may mean lost commits
    uid_validity INTEGER NOT NULL,      -- the last one given
    garbage INTEGER NOT NULL DEFAULT 0  -- messages removed since contents were last collected
);
CREATE TABLE mailbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    directory TEXT NOT NULL,
    guid TEXT NOT NULL,
    uid_validity INTEGER NOT NULL,
    uid_next INTEGER NOT NULL,
    highest_modseq INTEGER NOT NULL,
    first_recent INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    unseen INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    size INTEGER NOT NULL,
    deleted_size INTEGER NOT NULL,
    recent INTEGER NOT NULL,
    new_mtime INTEGER NOT NULL,
    cur_mtime INTEGER NOT NULL,
    new_checked INTEGER NOT NULL,
    cur_checked INTEGER NOT NULL,
    uidlist TEXT NOT NULL,
    keywords TEXT NOT NULL,
    expunge_floor INTEGER NOT NULL,     -- vanished uids are known for modseqs above this
    pending INTEGER NOT NULL,           -- messages whose file name may lag behind their flags
    special_use TEXT NOT NULL
);
CREATE TABLE message (
    mailbox_id INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    size INTEGER NOT NULL,              -- octets with CRLF
    internal_date INTEGER NOT NULL,
    save_date INTEGER NOT NULL,
    content_id INTEGER,                 -- NULL: not parsed yet
    pending INTEGER NOT NULL,
    file TEXT NOT NULL,                 -- cur/... or new/..., as it is called on disk
    PRIMARY KEY (mailbox_id, uid)
) WITHOUT ROWID;
CREATE TABLE keyword (
    mailbox_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (mailbox_id, number)
) WITHOUT ROWID;
CREATE TABLE content (
    id INTEGER PRIMARY KEY,
    digest BLOB NOT NULL,               -- of the octets; EMAILID
    envelope BLOB NOT NULL,
    body BLOB NOT NULL,
    bodystructure BLOB NOT NULL,
    parts BLOB NOT NULL,                -- offsets: mime.parts
    header_size INTEGER NOT NULL        -- octets with CRLF
);
CREATE TABLE content_text (             -- folded by mime.casemap, as mime.parse gives it
    id INTEGER PRIMARY KEY,
    sent_day INTEGER NOT NULL,
    sent_time INTEGER,
    subject TEXT NOT NULL,
    sender TEXT NOT NULL,
    recipient TEXT NOT NULL,
    cc TEXT NOT NULL,
    bcc TEXT NOT NULL,
    base_subject TEXT NOT NULL,
    is_reply INTEGER NOT NULL,
    sort_from TEXT NOT NULL,
    sort_to TEXT NOT NULL,
    sort_cc TEXT NOT NULL,
    display_from TEXT NOT NULL,
    display_to TEXT NOT NULL,
    message_id TEXT NOT NULL,
    parents TEXT NOT NULL               -- message ids of References, oldest first, a line each
);
CREATE TABLE content_header (
    id INTEGER PRIMARY KEY,
    fields BLOB NOT NULL,               -- where they lie in kept: mime.field_table
    kept BLOB,                          -- NULL: too long, ask the file
    folded TEXT NOT NULL
);
CREATE TABLE change (
    seq INTEGER PRIMARY KEY,            -- the modseq
    mailbox_id INTEGER NOT NULL,
    kind TEXT NOT NULL,
    uids TEXT NOT NULL
);
CREATE TABLE expunged (
    mailbox_id INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    uids TEXT NOT NULL,
    PRIMARY KEY (mailbox_id, modseq)
) WITHOUT ROWID;
CREATE TABLE unlinked (                 -- expunged files that may still be there after a crash
    mailbox_id INTEGER NOT NULL,
    file TEXT NOT NULL,
    PRIMARY KEY (mailbox_id, file)
) WITHOUT ROWID;
CREATE TABLE renaming (old TEXT PRIMARY KEY, new TEXT NOT NULL, name TEXT NOT NULL) WITHOUT ROWID;
"""


WAL_KEPT = 128 << 10
"""Octets of the WAL up to which a connection leaves it when it closes: the next one reads it through."""


def open_database(path: str) -> tuple[apsw.Connection, bool]:
    """Open or make the index. Returns it and whether it is new (empty). Raises apsw errors; the caller holds the account's lock.

    It has what a delivery needs; ``for_readers`` follows where somebody reads. Commits are fsynced unless it is new.
    """
    database = apsw.Connection(path)
    database.set_busy_timeout(10_000)
    # A statement is planned once. Without this SQLite plans it anew for each other uid that is bound to it: three times its cost.
    database.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    # The last connection would write the WAL into the file, with two fsyncs, and remove it; the next would make it again, with two more.
    database.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    # Said here, not left to how SQLite was built: a delivery's 250 rests on it.
    database.pragma("synchronous", 2)
    version = database.pragma("user_version")
    if version == VERSION:
        return database, False
    database.pragma("journal_mode", "wal")  # the file keeps it
    database.pragma("synchronous", 1)
    with database:
        for (name,) in list(
            database.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        ):
            database.execute(f'DROP TABLE "{name}"')
        database.execute(_SCHEMA)
        database.execute(f"PRAGMA user_version = {VERSION}")
    return database, True


def for_readers(database: apsw.Connection) -> None:
    """Settings that pay where more is read than a few rows."""
    database.pragma("cache_size", -4096)
    database.pragma("mmap_size", 1 << 28)
    database.pragma("temp_store", 2)


def close_database(database: apsw.Connection, path: str) -> None:
    """Close a connection, and first empty a WAL that has grown; not while another process uses it."""
    with contextlib.suppress(apsw.Error, OSError):
        if os.stat(f"{path}-wal").st_size > WAL_KEPT:
            database.set_busy_timeout(0)
            database.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    database.close()
