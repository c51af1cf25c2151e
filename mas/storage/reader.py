"""Reading the index and the message files for sessions. Runs in worker threads; takes no account lock."""

from __future__ import annotations

import json
from array import array
from collections.abc import Sequence
from typing import Any

from mas.storage import index, numbers
from mas.storage.engine import Engine
from mas.storage.mailbox import Loaded
from mas.storage.model import Column, Uid

_COLUMN_SQL = {
    Column.SIZE: "m.size",
    Column.INTERNAL_DATE: "m.internal_date",
    Column.SAVE_DATE: "m.save_date",
    Column.ENVELOPE: "c.envelope",
    Column.BODY: "c.body",
    Column.BODYSTRUCTURE: "c.bodystructure",
    Column.EMAIL_ID: "lower(hex(c.digest))",
}
OF_MESSAGE = frozenset({Column.SIZE, Column.INTERNAL_DATE, Column.SAVE_DATE})
"""Columns that need no parsed content."""


def load(engine: Engine, mailbox_id: int) -> Loaded | None:
    """The whole mailbox in one read transaction; None when it is gone."""
    with engine.reading() as database:
        database.execute("BEGIN")
        try:
            ((modseq,),) = database.execute("SELECT modseq FROM account")
            found = list(
                database.execute(
                    "SELECT uid_validity, uid_next, highest_modseq FROM mailbox WHERE id = ?", (mailbox_id,)
                )
            )
            if not found:
                return None
            rows = database.execute(
                "SELECT uid, flags, modseq FROM message WHERE mailbox_id = ?", (mailbox_id,)
            ).fetchall()
            names = index.load_keywords(database, mailbox_id)
        finally:
            database.execute("COMMIT")
    uids, flags, modseqs = zip(*rows, strict=True) if rows else ((), (), ())
    validity, uid_next, highest = found[0]
    return Loaded(modseq, validity, uid_next, highest, array("I", uids), list(flags), list(modseqs), names)


def keywords(engine: Engine, mailbox_id: int) -> list[str]:
    with engine.reading() as database:
        return index.load_keywords(database, mailbox_id)


def selected(uids: Sequence[int], dense: bool) -> tuple[str, tuple[object, ...]]:
    """A condition for these ascending uids; ``dense``: the mailbox has no others between the first and the last."""
    if dense:
        return "m.uid BETWEEN ? AND ?", (uids[0], uids[-1])
    return "m.uid IN (SELECT value FROM json_each(?))", (json.dumps(list(uids)),)


def rows(
    engine: Engine, mailbox_id: int, uids: Sequence[int], dense: bool, columns: Sequence[Column]
) -> list[tuple[object, ...]]:
    """``(uid, column, …)`` in uid order."""
    condition, values = selected(uids, dense)
    wanted = ", ".join(["m.uid", *[_COLUMN_SQL[column] for column in columns]])
    join = "" if OF_MESSAGE.issuperset(columns) else " JOIN content AS c ON c.id = m.content_id"
    with engine.reading() as database:
        return database.execute(
            f"SELECT {wanted} FROM message AS m{join} WHERE m.mailbox_id = ? AND {condition} ORDER BY m.uid",
            (mailbox_id, *values),
        ).fetchall()


def files(
    engine: Engine, mailbox_id: int, uids: Sequence[int], dense: bool
) -> list[tuple[int, str, int, bytes | None]]:
    """``(uid, file, size, parts)`` in uid order; parts is None before the message was parsed."""
    condition, values = selected(uids, dense)
    with engine.reading() as database:
        found: Any = database.execute(
            "SELECT m.uid, m.file, m.size, c.parts FROM message AS m LEFT JOIN content AS c ON c.id = m.content_id"
            f" WHERE m.mailbox_id = ? AND {condition} ORDER BY m.uid",
            (mailbox_id, *values),
        ).fetchall()
        return list(found)


def oldest(engine: Engine, mailbox_id: int, saved_before: int | None, beyond: int, limit: int) -> list[Uid]:
    """Uids by save date: those saved before a time, or all but the newest ``beyond``."""
    with engine.reading() as database:
        if saved_before is not None:
            found = database.execute(
                "SELECT uid FROM message WHERE mailbox_id = ? AND save_date < ? ORDER BY save_date, uid LIMIT ?",
                (mailbox_id, saved_before, limit),
            )
            return [Uid(uid) for (uid,) in found]
        ((count,),) = database.execute("SELECT count(*) FROM message WHERE mailbox_id = ?", (mailbox_id,))
        found = database.execute(
            "SELECT uid FROM message WHERE mailbox_id = ? ORDER BY save_date, uid LIMIT ?",
            (mailbox_id, max(0, min(limit, count - beyond))),
        )
        return [Uid(uid) for (uid,) in found]


def vanished(engine: Engine, mailbox_id: int, since: int) -> list[tuple[int, int]] | None:
    """Ranges of uids that were expunged above modseq ``since``; None when that is no longer known."""
    with engine.reading() as database:
        for (floor,) in database.execute("SELECT expunge_floor FROM mailbox WHERE id = ?", (mailbox_id,)):
            if since < floor:
                return None
        texts = database.execute("SELECT uids FROM expunged WHERE mailbox_id = ? AND modseq > ?", (mailbox_id, since))
        return numbers.merge([pair for (text,) in texts for pair in numbers.decode_ranges(text)])
