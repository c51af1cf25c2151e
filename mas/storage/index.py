"""Rows of the index and the transaction that changes them. Runs in worker threads, under the account's lock; knows SQL, no file names.

Every change of a mailbox is an ``Event``: one kind, one modseq, a set of uids. The transaction writes it to the ``change`` table, from
which other processes learn of it, and hands it to the caller, which applies it to the snapshots of this process. The modseq of an
event is the account's next one, so the ``change`` table is also the order of everything that happened.
"""

from __future__ import annotations

import dataclasses
import enum
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import apsw

from mas.storage import numbers
from mas.storage.model import DELETED, SEEN

KEEP_CHANGES = 1000
"""Rows of the ``change`` table; a process that is further behind compares whole mailboxes instead."""
TRIM = 64
"""Rows by which the ``change`` table may be longer, so that not every commit has to look for old ones."""
KEEP_EXPUNGES = 2000
"""Expunges a mailbox remembers for QRESYNC; for older ones the answer is computed from what exists."""


class EventKind(enum.Enum):
    """What happened in a mailbox. RESET: gone, or its uids are void. TREE: mailboxes came, went or changed names."""

    NEW = "n"
    FLAGS = "f"
    EXPUNGED = "x"
    RESET = "r"
    TREE = "t"


@dataclass(slots=True)
class Event:
    """``uids`` ascend; ``flags[i]`` belongs to ``uids[i]`` (NEW and FLAGS)."""

    kind: EventKind
    mailbox_id: int
    modseq: int
    uids: Sequence[int] = ()
    flags: Sequence[int] = ()


@dataclass(slots=True)
class MailboxRow:
    """One row of ``mailbox``: see ``schema``. Changed in memory, written back by the transaction."""

    id: int
    name: str
    directory: str
    guid: str
    uid_validity: int
    uid_next: int
    highest_modseq: int
    first_recent: int = 1
    messages: int = 0
    unseen: int = 0
    deleted: int = 0
    size: int = 0
    deleted_size: int = 0
    recent: int = 0
    new_mtime: int = 0
    cur_mtime: int = 0
    new_checked: int = 0
    cur_checked: int = 0
    uidlist: str = ""
    keywords: str = ""
    expunge_floor: int = 0
    pending: int = 0
    special_use: str = ""

    def count(self, flags: int, size: int, sign: int) -> None:
        """Add (1) or take away (-1) one message."""
        self.messages += sign
        self.size += sign * size
        if not flags & SEEN:
            self.unseen += sign
        if flags & DELETED:
            self.deleted += sign
            self.deleted_size += sign * size


_COLUMNS = tuple(column.name for column in dataclasses.fields(MailboxRow))
_SELECT_ROWS = f"SELECT {', '.join(_COLUMNS)} FROM mailbox"
_WRITE_ROW = f"UPDATE mailbox SET {', '.join(f'{c} = ?' for c in _COLUMNS[1:])} WHERE id = ?"
_INSERT_ROW = f"INSERT INTO mailbox ({', '.join(_COLUMNS[1:])}) VALUES ({', '.join('?' * (len(_COLUMNS) - 1))})"


def fetch_all(database: apsw.Connection, sql: str, values: Sequence[Any] = ()) -> list[Any]:
    """All rows as tuples, in one call."""
    return database.execute(sql, values).fetchall()


def load_rows(database: apsw.Connection) -> dict[int, MailboxRow]:
    return {row[0]: MailboxRow(*row) for row in database.execute(_SELECT_ROWS)}


def load_keywords(database: apsw.Connection, mailbox_id: int) -> list[str]:
    """Names by number; a number without a name is an empty string."""
    names: list[str] = []
    for number, name in database.execute(
        "SELECT number, name FROM keyword WHERE mailbox_id = ? ORDER BY number", (mailbox_id,)
    ):
        names.extend([""] * (number + 1 - len(names)))
        names[number] = name
    return names


def crowded(database: apsw.Connection, keywords: int) -> list[int]:
    """Mailboxes with at least as many keywords."""
    sql = "SELECT mailbox_id FROM keyword GROUP BY mailbox_id HAVING count(*) >= ?"
    return [mailbox_id for (mailbox_id,) in fetch_all(database, sql, (keywords,))]


@dataclass(slots=True)
class NewMessage:
    """What ``message`` wants of a message, before it has a uid."""

    flags: int
    size: int
    internal_date: int
    save_date: int
    content_id: int | None
    file: str
    pending: int = 0


@dataclass
class Transaction:
    """One commit. ``rows`` is the engine's own dictionary of mailbox rows; a failed transaction makes the engine read it again."""

    database: apsw.Connection
    rows: dict[int, MailboxRow]
    modseq: int
    events: list[Event] = field(default_factory=list)
    touched: set[int] = field(default_factory=set)
    keywords: dict[int, list[str]] = field(default_factory=dict)
    unparsed: set[int] = field(default_factory=set)
    assigned: int = 0
    removed: int = 0

    def execute(self, sql: str, values: Sequence[Any] = ()) -> apsw.Cursor:
        return self.database.execute(sql, values)

    def next_modseq(self) -> int:
        self.modseq += 1
        self.assigned += 1
        return self.modseq

    def skip_modseqs(self, last: int) -> None:
        """Go on above ``last``."""
        self.modseq = max(self.modseq, last)
        self.assigned += 1

    def touch(self, row: MailboxRow) -> MailboxRow:
        """The row will be written back."""
        self.touched.add(row.id)
        return row

    def record(self, event: Event) -> Event:
        """Note an event whose rows are written already."""
        self.execute(
            "INSERT INTO change (seq, mailbox_id, kind, uids) VALUES (?, ?, ?, ?)",
            (event.modseq, event.mailbox_id, event.kind.value, numbers.encode_ranges(numbers.ranges_of(event.uids))),
        )
        self.events.append(event)
        return event

    # Mailboxes

    def insert_mailbox(self, row: MailboxRow) -> MailboxRow:
        row.highest_modseq = row.expunge_floor = self.next_modseq()
        self.execute(_INSERT_ROW, _values(row))
        row.id = self.database.last_insert_rowid()
        self.rows[row.id] = row
        self.record(Event(EventKind.TREE, row.id, row.highest_modseq))
        return row

    def remove_mailbox(self, row: MailboxRow) -> None:
        """Forget a mailbox and its messages; contents are collected later."""
        self.removed += row.messages
        for table in ("message", "keyword", "expunged", "unlinked"):
            self.execute(f"DELETE FROM {table} WHERE mailbox_id = ?", (row.id,))
        self.execute("DELETE FROM mailbox WHERE id = ?", (row.id,))
        self.rows.pop(row.id, None)
        self.touched.discard(row.id)
        self.record(Event(EventKind.RESET, row.id, self.next_modseq()))
        self.record(Event(EventKind.TREE, row.id, self.next_modseq()))

    def tree_changed(self, row: MailboxRow) -> None:
        self.touch(row)
        self.record(Event(EventKind.TREE, row.id, self.next_modseq()))

    def empty_mailbox(self, row: MailboxRow) -> None:
        """All uids are void (another UIDVALIDITY follows)."""
        for table in ("message", "expunged", "unlinked"):
            self.execute(f"DELETE FROM {table} WHERE mailbox_id = ?", (row.id,))
        row.messages = row.unseen = row.deleted = row.size = row.deleted_size = row.recent = 0
        row.highest_modseq = row.expunge_floor = self.next_modseq()
        self.touch(row)
        self.record(Event(EventKind.RESET, row.id, row.highest_modseq))

    # Messages

    def insert_messages(
        self, row: MailboxRow, messages: Sequence[NewMessage], uids: Sequence[int] | None = None
    ) -> Sequence[int]:
        """Give the messages uids (the next ones, or ``uids`` ascending) and one modseq; counters follow."""
        modseq = self.next_modseq()
        if uids is None:
            uids = range(row.uid_next, row.uid_next + len(messages))
        self.assigned += len(messages)
        self.database.executemany(
            "INSERT INTO message (mailbox_id, uid, flags, modseq, size, internal_date, save_date, content_id, pending, file)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (row.id, uid, m.flags, modseq, m.size, m.internal_date, m.save_date, m.content_id, m.pending, m.file)
                for uid, m in zip(uids, messages, strict=True)
            ],
        )
        flags = [message.flags for message in messages]
        row.messages += len(messages)
        row.size += sum([message.size for message in messages])
        row.unseen += sum([1 for f in flags if not f & SEEN])
        row.deleted += sum([1 for f in flags if f & DELETED])
        row.deleted_size += sum([m.size for m in messages if m.flags & DELETED])
        row.uid_next = max(row.uid_next, uids[-1] + 1)
        row.recent += sum([1 for uid in uids if uid >= row.first_recent])
        row.highest_modseq = modseq
        if any(message.content_id is None for message in messages):
            self.unparsed.add(row.id)
        told = row.first_recent
        row.pending |= int(
            any(m.pending or (uid < told and m.file.startswith("new/")) for uid, m in zip(uids, messages, strict=True))
        )
        self.touch(row)
        self.record(Event(EventKind.NEW, row.id, modseq, list(uids), flags))
        return uids

    def delete_messages(self, row: MailboxRow, uids: Sequence[int]) -> list[tuple[int, str]]:
        """Remove messages, remember them for QRESYNC. Returns ``(uid, file)`` of those that were there, ascending."""
        where = [(row.id, first, last) for first, last in numbers.ranges_of(uids)]
        gone: list[tuple[int, str]] = []
        for values in where:
            for uid, flags, size, file in self.execute(
                "SELECT uid, flags, size, file FROM message WHERE mailbox_id = ? AND uid BETWEEN ? AND ?", values
            ):
                row.count(flags, size, -1)
                gone.append((uid, file))
        if not gone:
            return gone
        self.database.executemany("DELETE FROM message WHERE mailbox_id = ? AND uid BETWEEN ? AND ?", where)
        self.removed += len(gone)
        row.recent -= sum([1 for uid, _ in gone if uid >= row.first_recent])
        row.highest_modseq = modseq = self.next_modseq()
        self.touch(row)
        event = self.record(Event(EventKind.EXPUNGED, row.id, modseq, [uid for uid, _ in gone]))
        text = numbers.encode_ranges(numbers.ranges_of(event.uids))
        self.execute("INSERT INTO expunged (mailbox_id, modseq, uids) VALUES (?, ?, ?)", (row.id, modseq, text))
        self._bound_expunged(row)
        return gone

    def set_flags(self, row: MailboxRow, changed: list[tuple[int, int]]) -> None:
        """Give messages new flags, one by one: ``(uid, flags)`` ascending. For the flags that files say."""
        modseq = self.next_modseq()
        for uid, flags in changed:
            for old, size in self.execute(
                "SELECT flags, size FROM message WHERE mailbox_id = ? AND uid = ?", (row.id, uid)
            ):
                row.unseen += (not flags & SEEN) - (not old & SEEN)
                delta = bool(flags & DELETED) - bool(old & DELETED)
                row.deleted += delta
                row.deleted_size += delta * size
        self.database.executemany(
            "UPDATE message SET flags = ?, modseq = ? WHERE mailbox_id = ? AND uid = ?",
            [(flags, modseq, row.id, uid) for uid, flags in changed],
        )
        row.highest_modseq = modseq
        self.touch(row)
        self.record(
            Event(EventKind.FLAGS, row.id, modseq, [uid for uid, _ in changed], [flags for _, flags in changed])
        )

    def _bound_expunged(self, row: MailboxRow) -> None:
        ((count,),) = self.execute("SELECT count(*) FROM expunged WHERE mailbox_id = ?", (row.id,))
        if count <= KEEP_EXPUNGES:
            return
        ((floor,),) = self.execute(
            "SELECT modseq FROM expunged WHERE mailbox_id = ? ORDER BY modseq LIMIT 1 OFFSET ?",
            (row.id, count - KEEP_EXPUNGES // 2),
        )
        self.execute("DELETE FROM expunged WHERE mailbox_id = ? AND modseq <= ?", (row.id, floor))
        row.expunge_floor = floor

    # The end

    def finish(self) -> None:
        """Write back what lives in memory. COMMIT is the caller's."""
        for mailbox_id in self.touched:
            row = self.rows.get(mailbox_id)
            if row is not None:
                self.execute(_WRITE_ROW, (*_values(row), row.id))
        if self.assigned:
            self.execute("UPDATE account SET modseq = ?", (self.modseq,))
        if self.removed:
            self.execute("UPDATE account SET garbage = garbage + ?", (self.removed,))
        if self.events and self.modseq // TRIM != (self.modseq - self.assigned) // TRIM:
            self.execute("DELETE FROM change WHERE seq <= ?", (self.modseq - KEEP_CHANGES,))


def _values(row: MailboxRow) -> tuple[Any, ...]:
    return tuple([getattr(row, column) for column in _COLUMNS[1:]])


def count_messages(database: apsw.Connection, row: MailboxRow) -> tuple[int, int, int, int, int]:
    """The counters as the messages say: messages, unseen, deleted, size, deleted size."""
    (found,) = fetch_all(
        database,
        "SELECT count(*), ifnull(sum(flags & ?1 = 0), 0), ifnull(sum(flags & ?2 != 0), 0), ifnull(sum(size), 0),"
        " ifnull(sum(iif(flags & ?2 != 0, size, 0)), 0) FROM message WHERE mailbox_id = ?3",
        (SEEN, DELETED, row.id),
    )
    return tuple(found)


def read_changes(database: apsw.Connection, since: int, modseq: int) -> list[Event] | None:
    """Events above modseq ``since`` up to the account's ``modseq`` in order, or None when the table does not reach back that far."""
    rows = list(database.execute("SELECT seq, mailbox_id, kind, uids FROM change WHERE seq > ? ORDER BY seq", (since,)))
    if not rows:
        return [] if modseq == since else None
    ((first,),) = database.execute("SELECT min(seq) FROM change")
    if first > since + 1:
        return None
    events = []
    for seq, mailbox_id, kind, text in rows:
        event = Event(EventKind(kind), mailbox_id, seq, numbers.expand(numbers.decode_ranges(text)))
        if event.kind in (EventKind.NEW, EventKind.FLAGS):
            found = dict(_flags_in(database, mailbox_id, numbers.decode_ranges(text)))
            event.uids = [uid for uid in event.uids if uid in found]
            event.flags = [found[uid] for uid in event.uids]
        events.append(event)
    return events


def any_unparsed(database: apsw.Connection, event: Event) -> bool:
    """Whether a message of the event has no content yet."""
    if not event.uids:
        return False
    sql = "SELECT 1 FROM message WHERE mailbox_id = ? AND uid BETWEEN ? AND ? AND content_id IS NULL LIMIT 1"
    return bool(fetch_all(database, sql, (event.mailbox_id, event.uids[0], event.uids[-1])))


def _flags_in(
    database: apsw.Connection, mailbox_id: int, ranges: Sequence[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    for first, last in ranges:
        yield from database.execute(
            "SELECT uid, flags FROM message WHERE mailbox_id = ? AND uid BETWEEN ? AND ?", (mailbox_id, first, last)
        )


def first_modseq() -> int:
    """Where a new index begins to count: far above anything an index before it can have reached, so that MODSEQ never goes back."""
    return int(time.time() * 1000)
