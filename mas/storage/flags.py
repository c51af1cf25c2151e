"""Flags: one UPDATE a command, file names later. Runs in worker threads, inside ``Engine.exclusive``.

A flag is durable once the index has it. The file's name follows when the mailbox is left, by ``flush_names``: until then the row is
``pending``, and a scan that finds the old name leaves the flags alone (see ``sync``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from mas.storage import disk, numbers, sync
from mas.storage.engine import Engine
from mas.storage.index import Event, EventKind, MailboxRow, Transaction
from mas.storage.maildir_name import renamed
from mas.storage.model import DELETED, SEEN, MessageRow, Modseq, Snapshot, StoreOp, Uid

BATCH = 200
"""Renames between two releases of the account's lock: a few milliseconds."""


@dataclass(slots=True)
class Plan:
    """What a flag change does to each message, from the snapshot. ``flags`` are the new ones of ``uids``."""

    uids: list[int]
    before: list[int]
    flags: list[int]
    unchanged: list[MessageRow]
    failed: list[Uid]


def plan(snapshot: Snapshot, positions: Sequence[int], op: StoreOp, bits: int, unchanged_since: int | None) -> Plan:
    """Sort the messages at ``positions`` into changed, unchanged and failed. Pure; the snapshot stands still meanwhile."""
    uids, flags, modseqs = snapshot.uids, snapshot.flags, snapshot.modseqs
    failed: list[Uid] = []
    if unchanged_since is not None:
        failed = [Uid(uids[i]) for i in positions if modseqs[i] > unchanged_since]
        if failed:
            positions = [i for i in positions if modseqs[i] <= unchanged_since]
    if op is StoreOp.ADD:
        changing = [i for i in positions if flags[i] & bits != bits]
        after = [flags[i] | bits for i in changing]
    elif op is StoreOp.REMOVE:
        changing = [i for i in positions if flags[i] & bits]
        after = [flags[i] & ~bits for i in changing]
    else:
        changing = [i for i in positions if flags[i] != bits]
        after = [bits] * len(changing)
    unchanged: list[MessageRow] = []
    if len(changing) != len(positions):
        kept = set(changing)
        unchanged = [MessageRow(Uid(uids[i]), flags[i], Modseq(modseqs[i])) for i in positions if i not in kept]
    return Plan([uids[i] for i in changing], [flags[i] for i in changing], after, unchanged, failed)


def write(transaction: Transaction, row: MailboxRow, change: Plan, op: StoreOp, bits: int) -> int:
    """The plan into the index. Returns the modseq."""
    modseq = transaction.next_modseq()
    expression = {StoreOp.ADD: "flags | ?", StoreOp.REMOVE: "flags & ~?", StoreOp.REPLACE: "?"}[op]
    ranges = numbers.ranges_of(change.uids)
    if bits & DELETED or op is StoreOp.REPLACE:
        _count_deleted(transaction, row, change)
    row.unseen += (
        sum([(old & SEEN) - (new & SEEN) for old, new in zip(change.before, change.flags, strict=True)]) // SEEN
    )
    update = f"UPDATE message SET flags = {expression}, modseq = ?, pending = 1 WHERE mailbox_id = ? AND "
    if len(ranges) <= 64:
        for first, last in ranges:
            transaction.execute(update + "uid BETWEEN ? AND ?", (bits, modseq, row.id, first, last))
    else:
        transaction.execute(
            update + "uid IN (SELECT value FROM json_each(?))", (bits, modseq, row.id, json.dumps(change.uids))
        )
    row.highest_modseq = modseq
    row.pending = 1
    transaction.touch(row)
    transaction.record(Event(EventKind.FLAGS, row.id, modseq, change.uids, change.flags))
    return modseq


def _count_deleted(transaction: Transaction, row: MailboxRow, change: Plan) -> None:
    now: list[int] = []
    no_more: list[int] = []
    for uid, old, new in zip(change.uids, change.before, change.flags, strict=True):
        if (old ^ new) & DELETED:
            (now if new & DELETED else no_more).append(uid)
    for uids, sign in ((now, 1), (no_more, -1)):
        if uids:
            row.deleted += sign * len(uids)
            row.deleted_size += sign * sum_of_sizes(transaction, row, uids)


def sum_of_sizes(transaction: Transaction, row: MailboxRow, uids: Sequence[int]) -> int:
    """Octets of these messages (ascending uids)."""
    total = 0
    ranges = numbers.ranges_of(uids)
    if len(ranges) > 64:
        sql = "SELECT sum(size) FROM message WHERE mailbox_id = ? AND uid IN (SELECT value FROM json_each(?))"
        return int(next(transaction.execute(sql, (row.id, json.dumps(list(uids)))))[0] or 0)
    for first, last in ranges:
        sql = "SELECT sum(size) FROM message WHERE mailbox_id = ? AND uid BETWEEN ? AND ?"
        total += int(next(transaction.execute(sql, (row.id, first, last)))[0] or 0)
    return total


def flush_names(engine: Engine, row: MailboxRow, told: int) -> bool:
    """Give up to ``BATCH`` files the names that their flags ask for; seen ones (below uid ``told``) leave ``new/``.

    Returns whether there is more. A file that is gone, or has another name, is left to the next scan.
    """
    with engine.mutex:
        waiting = list(
            engine.database.execute(
                "SELECT uid, flags, file FROM message WHERE mailbox_id = ? AND pending = 1 ORDER BY uid LIMIT ?",
                (row.id, BATCH),
            )
        )
        if len(waiting) < BATCH and told > 1:
            waiting += engine.database.execute(
                "SELECT uid, flags, file FROM message WHERE mailbox_id = ? AND pending = 0 AND uid < ?"
                " AND file >= 'new/' AND file < 'new0' ORDER BY uid LIMIT ?",
                (row.id, told, BATCH - len(waiting)),
            )
    if not waiting:
        if row.pending:
            with engine.transaction(durable=False) as transaction:
                row.pending = 0
                transaction.touch(row)
        return False
    watch = sync.Watch(engine, row)
    updates = []
    parts: set[str] = set()
    for uid, flags, file in waiting:
        name = renamed(file, flags)
        if name != file:
            try:
                disk.rename(engine.path(row.directory, file), engine.path(row.directory, name))
                parts |= {file[:3], name[:3]}
            except FileNotFoundError:
                # Somebody else moved it: the directory's time tells the next scan.
                name = file
        updates.append((name, row.id, uid))
    for part in sorted(parts):
        # Before the index says so: a name that a power cut took back would look as if another program had taken the flags away.
        disk.fsync_directory(engine.path(row.directory, part))
    with engine.transaction(durable=False) as transaction:
        transaction.database.executemany(
            "UPDATE message SET file = ?, pending = 0 WHERE mailbox_id = ? AND uid = ?", updates
        )
        watch.record()
        row.pending = int(len(waiting) == BATCH)
        transaction.touch(row)
    return len(waiting) == BATCH
