"""Reading the index and the message files for sessions. Runs in worker threads; takes no account lock."""

from __future__ import annotations

import json
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from mas.storage import index, numbers
from mas.storage.bodies import LARGE, WHOLE, Located, Stretch, read_sections
from mas.storage.engine import Engine
from mas.storage.mailbox import Loaded
from mas.storage.mime.field_table import cutter
from mas.storage.mime.section import Section
from mas.storage.model import Column, Uid
from mas.storage.search import Condition

_COLUMN_SQL = {
    Column.SIZE: "m.size",
    Column.INTERNAL_DATE: "m.internal_date",
    Column.SAVE_DATE: "m.save_date",
    Column.ENVELOPE: "c.envelope",
    Column.BODY: "c.body",
    Column.BODYSTRUCTURE: "c.bodystructure",
    Column.EMAIL_ID: "lower(hex(c.digest))",
}
BODY_OCTETS = 512 << 10
"""Octets of message files that are read at a time."""
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
            rows = index.fetch_all(
                database, "SELECT uid, flags, modseq FROM message WHERE mailbox_id = ?", (mailbox_id,)
            )
            names = index.load_keywords(database, mailbox_id)
            ((unparsed,),) = database.execute(
                "SELECT count(*) FROM message WHERE mailbox_id = ? AND content_id IS NULL", (mailbox_id,)
            )
        finally:
            database.execute("COMMIT")
    uids, flags, modseqs = zip(*rows, strict=True) if rows else ((), (), ())
    validity, uid_next, highest = found[0]
    return Loaded(modseq, validity, uid_next, highest, array("I", uids), list(flags), list(modseqs), names, unparsed)


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
    join = "" if OF_MESSAGE.issuperset(columns) else " LEFT JOIN content AS c ON c.id = m.content_id"
    with engine.reading() as database:
        return index.fetch_all(
            database,
            f"SELECT {wanted} FROM message AS m{join} WHERE m.mailbox_id = ? AND {condition} ORDER BY m.uid",
            (mailbox_id, *values),
        )


def locate(engine: Engine, mailbox_id: int, uids: Sequence[int], dense: bool) -> list[Located]:
    """Where the messages' files are, in uid order."""
    condition, values = selected(uids, dense)
    with engine.reading() as database:
        found = index.fetch_all(
            database,
            "SELECT m.uid, m.file, m.size, c.parts FROM message AS m LEFT JOIN content AS c ON c.id = m.content_id"
            f" WHERE m.mailbox_id = ? AND {condition} ORDER BY m.uid",
            (mailbox_id, *values),
        )
    return list(map(Located._make, found))


@dataclass(slots=True)
class Read:
    """What one turn of reading message files gave. ``looked_at`` uids of those asked are done; ``unparsed`` ones have to be parsed before
    their sections are known, and nothing was read then; the files of ``missing`` ones are not where the index has them."""

    found: list[tuple[int, bytes | Stretch]] = field(default_factory=list)
    missing: list[int] = field(default_factory=list)
    unparsed: list[int] = field(default_factory=list)
    looked_at: int = 0


def sections(
    engine: Engine,
    mailbox_id: int,
    uids: Sequence[int],
    dense: bool,
    directory: str,
    section: Section,
    filled: bool = False,
) -> Read:
    """Look up and read the files of as many of these messages as make a good piece of the answer, in one turn of a thread. ``filled``:
    what could be parsed was; the rest has no files."""
    located = locate(engine, mailbox_id, uids, dense)
    read = Read(looked_at=len(uids))
    if section != WHOLE:
        read.unparsed = [message.uid for message in located if message.parts is None]
        if read.unparsed and not filled:
            read.looked_at = 0
            return read
        if read.unparsed:
            located = [message for message in located if message.parts is not None]
            read.missing, read.unparsed = read.unparsed, []
    octets = 0
    for number, message in enumerate(located):
        octets += min(message.size, LARGE)
        if octets >= BODY_OCTETS and number + 1 < len(located):
            read.looked_at = bisect_right(uids, message.uid)
            del located[number + 1 :]
            break
    read.found, missing = read_sections(engine, directory, located, section)
    read.missing += missing
    return read


def header_fields(
    engine: Engine, mailbox_id: int, uids: Sequence[int], dense: bool, names: tuple[bytes, ...]
) -> tuple[list[tuple[int, bytes]], list[int]]:
    """``(uid, octets)`` of HEADER.FIELDS from the kept headers, and the uids of messages that have none kept."""
    condition, values = selected(uids, dense)
    with engine.reading() as database:
        found = index.fetch_all(
            database,
            "SELECT m.uid, h.fields, h.kept FROM message AS m LEFT JOIN content_header AS h ON h.id = m.content_id"
            f" WHERE m.mailbox_id = ? AND {condition} ORDER BY m.uid",
            (mailbox_id, *values),
        )
    unknown = [uid for uid, _, kept in found if kept is None]
    return cutter(names).cut([row for row in found if row[2] is not None] if unknown else found), unknown


def matching(engine: Engine, mailbox_id: int, condition: Condition, uids: Sequence[int], every: bool) -> list[int]:
    """Uids of ``uids`` that meet a search condition; ``every``: uids are the whole mailbox."""
    tables = "message AS m"
    if condition.text:
        tables += " JOIN content_text AS t ON t.id = m.content_id"
    if condition.header:
        tables += " JOIN content_header AS h ON h.id = m.content_id"
    if condition.content:
        tables += " JOIN content AS c ON c.id = m.content_id"
    with engine.reading() as database:
        rows = index.fetch_all(
            database,
            f"SELECT m.uid FROM {tables} WHERE m.mailbox_id = ? AND m.uid BETWEEN ? AND ? AND {condition.sql} ORDER BY m.uid",
            (mailbox_id, uids[0], uids[-1], *condition.values),
        )
    if every:
        return [uid for (uid,) in rows]
    among = set(uids)
    return [uid for (uid,) in rows if uid in among]


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


def file_names(engine: Engine, mailbox_id: int, uids: Sequence[int]) -> list[tuple[int, str]]:
    """``(uid, file)`` of those messages that have no content yet."""
    condition, values = selected(uids, False)
    with engine.reading() as database:
        return index.fetch_all(
            database,
            f"SELECT m.uid, m.file FROM message AS m WHERE m.mailbox_id = ? AND {condition} AND m.content_id IS NULL ORDER BY m.uid",
            (mailbox_id, *values),
        )
