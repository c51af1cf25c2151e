"""FETCH responses: an encoder compiled once a command.  [RFC9051 7.5.2, 9 msg-att]

A ``FetchPlan`` is made of the items asked and remembered: clients ask the same few things. It says what has to be known (columns of the
index, header fields, sections of the file) and holds one template of a line, so that a batch of messages is one comprehension over its
columns: no object, no branch a message.

Order of the items, as Dovecot's: UID first, whether asked or added (every FETCH response during a UID command has it [RFC9051 6.4.9]); then
what is known without the message's text, in the order asked; then sections, in the order asked.

Must not know: where columns and octets come from, sessions, the meaning of flags (their texts come from outside).
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from functools import lru_cache

from mas.protocols.imap.commands import Att, FetchAtt
from mas.storage.mime.section import SectionText
from mas.storage.model import Column

_COLUMNS = {
    Att.SIZE: Column.SIZE,
    Att.INTERNAL_DATE: Column.INTERNAL_DATE,
    Att.SAVE_DATE: Column.SAVE_DATE,
    Att.ENVELOPE: Column.ENVELOPE,
    Att.BODY: Column.BODY,
    Att.BODYSTRUCTURE: Column.BODYSTRUCTURE,
    Att.EMAIL_ID: Column.EMAIL_ID,
}
# How a value stands in the line; every other one is ready octets
_FORMATS = {
    Att.UID: b"%d",
    Att.FLAGS: b"(%b)",
    Att.MODSEQ: b"(%d)",
    Att.SIZE: b"%d",
    Att.EMAIL_ID: b"(%b)",
}
_HEADER_TEXTS = (SectionText.HEADER, SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT)
_UID = FetchAtt(Att.UID, b"UID")


class FetchPlan:
    """The items of one FETCH, by where their values come from.

    columns: what to ask of the index, in the order ``rows`` have them behind the uid.
    headers: items answered by header fields of the whole message; their octets stand in the line like a column's.
    files: items that need the message itself, behind everything else: ``section`` writes each.
    flags, modseq: whether these are in the line.
    """

    __slots__ = ("_line", "_literals", "atts", "columns", "files", "flags", "head", "headers", "modseq")

    def __init__(self, items: Sequence[FetchAtt], uid: bool) -> None:
        kinds = [item.att for item in items]
        self.atts: list[FetchAtt] = [_UID] if uid or Att.UID in kinds else []
        self.headers: list[FetchAtt] = []
        self.files: list[FetchAtt] = []
        for item in items:
            if item.section is None:
                if item.att is not Att.UID:
                    self.atts.append(item)
            elif not item.section.part and not item.section.decode and item.section.text in _HEADER_TEXTS:
                self.headers.append(item)
            else:
                self.files.append(item)
        self.columns: list[Column] = [_COLUMNS[item.att] for item in self.atts if item.att in _COLUMNS]
        self.flags = Att.FLAGS in kinds
        self.modseq = Att.MODSEQ in kinds
        parts = [_place(item) for item in self.atts]
        parts += [_escaped(item.name) + b" %b" for item in self.headers]
        self.head: bytes = b"* %d FETCH (" + b" ".join(parts)
        self._line = self.head + b")\r\n"
        # Header fields that are not cut: their literals stand in the line as length and octets, nothing is made for each message.
        literals = b"".join([b" " + _escaped(item.name) + b" {%d}\r\n%b" for item in self.headers])
        whole = all(item.partial is None for item in self.headers)
        self._literals = b""
        if self.headers and whole:
            parts = [_place(item) for item in self.atts]
            self._literals = b"* %d FETCH (" + (b" ".join(parts) + literals if parts else literals[1:]) + b")\r\n"

    def lines(
        self,
        seqnums: Sequence[int],
        uids: Sequence[int],
        flags: Sequence[bytes] = (),
        modseqs: Sequence[int] = (),
        rows: Sequence[tuple[object, ...]] = (),
        headers: Sequence[Sequence[bytes]] = (),
    ) -> bytes:
        """Whole lines of a batch: one element a message in every sequence given, in step.

        flags: their texts (``\\Seen $Junk``). rows: ``(uid, column, …)`` with ``columns``. headers: one sequence an item of ``headers``.
        """
        columns = self._values(seqnums, uids, flags, modseqs, rows)
        if self._literals and all(all(column) for column in headers):
            template = self._literals
            literals = [part for octets in headers for part in (map(len, octets), octets)]
            lines = b"".join([template % values for values in zip(*columns, *literals, strict=True)])
            if b"\0" not in lines:
                return lines
        template = self._line
        columns += self._strings(headers)
        return b"".join([template % values for values in zip(*columns, strict=True)])

    def heads(
        self,
        seqnums: Sequence[int],
        uids: Sequence[int],
        flags: Sequence[bytes] = (),
        modseqs: Sequence[int] = (),
        rows: Sequence[tuple[object, ...]] = (),
        headers: Sequence[Sequence[bytes]] = (),
    ) -> list[bytes]:
        """The beginnings of lines, up to where ``files`` are written by ``section``; ``END`` closes a line."""
        template = self.head
        columns = [*self._values(seqnums, uids, flags, modseqs, rows), *self._strings(headers)]
        return [template % values for values in zip(*columns, strict=True)]

    def section(self, item: FetchAtt, value: bytes) -> bytes:
        """`` BODY[1] {3}\\r\\nabc`` behind a head (without the SP when nothing stands before it)."""
        return self.name(item) + string_value(item, value)

    def name(self, item: FetchAtt) -> bytes:
        """The name of a ``files`` item with the SP before and after it."""
        if item is self.files[0] and not self.atts and not self.headers:
            return item.name + b" "
        return b" " + item.name + b" "

    def _values(
        self,
        seqnums: Sequence[int],
        uids: Sequence[int],
        flags: Sequence[bytes],
        modseqs: Sequence[int],
        rows: Sequence[tuple[object, ...]],
    ) -> list[Sequence[object]]:
        values: list[Sequence[object]] = [seqnums]
        column = 0
        for item in self.atts:
            match item.att:
                case Att.UID:
                    values.append(uids)
                case Att.FLAGS:
                    values.append(flags)
                case Att.MODSEQ:
                    values.append(modseqs)
                case Att.THREAD_ID:
                    pass
                case Att.INTERNAL_DATE | Att.SAVE_DATE:
                    column += 1
                    values.append([date_time(row[column]) for row in rows])  # type: ignore[arg-type]
                case Att.EMAIL_ID:
                    column += 1
                    values.append([str(row[column]).encode("ascii") for row in rows])
                case _:
                    column += 1
                    values.append([row[column] for row in rows])
        return values

    def _strings(self, headers: Sequence[Sequence[bytes]]) -> list[Sequence[object]]:
        return [
            [string_value(item, each) for each in octets] for item, octets in zip(self.headers, headers, strict=True)
        ]


END = b")\r\n"
"""The end of a line begun by ``FetchPlan.heads``."""


@lru_cache(maxsize=512)
def compile_fetch(items: tuple[FetchAtt, ...], uid: bool) -> FetchPlan:
    """The plan of these items; ``uid`` adds UID (a UID command)."""
    return FetchPlan(items, uid)


def _place(item: FetchAtt) -> bytes:
    """``name SP`` and the value's place. THREADID is NIL: threads have no ids here [RFC8474 5.2]."""
    if item.att is Att.THREAD_ID:
        return b"THREADID NIL"
    return item.name + b" " + _FORMATS.get(item.att, b"%b")


def _escaped(name: bytes) -> bytes:
    """A name as it stands in a template."""
    return name.replace(b"%", b"%%")


# Sections


def clip(item: FetchAtt, size: int) -> tuple[int, int]:
    """(first octet, number of octets) that a partial takes of ``size`` octets.  [RFC9051 6.4.5 BODY[<section>]<<partial>>]"""
    if item.partial is None:
        return 0, size
    first = min(item.partial[0], size)
    return first, min(item.partial[1], size - first)


def string_value(item: FetchAtt, octets: bytes) -> bytes:
    """The value of a section: a literal, also when it is empty or there is no such section; a number for BINARY.SIZE.

    Python's imaplib hands out ``""`` in another shape than a literal, which scripts written against Dovecot do not expect.

    msg-att-static =/ "BODY" section ["<" number ">"] SP nstring / "BINARY" section-binary SP (nstring / literal8) /
                      "BINARY.SIZE" section-binary SP number
    """
    if item.att is Att.BINARY_SIZE:
        return b"%d" % len(octets)
    if item.partial is not None:
        first, count = item.partial
        octets = octets[first : first + count]
    return literal_head(item, len(octets), octets) + without_nul(item, octets)


def literal_head(item: FetchAtt, size: int, start: bytes = b"\0") -> bytes:
    """``{n}`` CRLF before the octets of a section.

    ``start`` is what is known of them: BINARY with NUL must be a literal8 [RFC9051 6.4.5]; a stream whose octets are not known yet is sent
    as one.
    """
    return b"~{%d}\r\n" % size if _binary(item) and b"\0" in start else b"{%d}\r\n" % size


def without_nul(item: FetchAtt, octets: bytes) -> bytes:
    """Octets of a section, or a piece of them, as a literal may hold them.

    NUL is no CHAR8 [RFC9051 9 literal], and there are messages with NUL: outside BINARY it is 0x80, as Dovecot has it, so that sizes stay.
    """
    return octets.replace(b"\0", b"\x80") if b"\0" in octets and not _binary(item) else octets


def _binary(item: FetchAtt) -> bool:
    return item.section is not None and item.section.decode


# date-time

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_DAY = 86400
_LAST = 253402214400  # 9999-12-31, what date-year = 4DIGIT can say
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class DateTimes:
    """``date-time`` of INTERNALDATE in one zone (None: the machine's, as Dovecot writes it).  [RFC9051 9]

        date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE

    The offset of a day is remembered; only days on which the clocks change ask for each moment.
    """

    def __init__(self, zone: datetime.tzinfo | None = None) -> None:
        self._zone = zone
        self._days: dict[int, tuple[int, bytes] | None] = {}
        self._dates: dict[int, bytes] = {}

    def __call__(self, seconds: int) -> bytes:
        """The date-time of a moment (seconds since the epoch), with its quotes."""
        if not 0 <= seconds < _LAST:
            seconds = 0 if seconds < 0 else _LAST - 1
        day = seconds // _DAY
        known = self._days[day] if day in self._days else self._learn(day)
        offset, zone = known or self._offset(seconds)
        local_day, rest = divmod(seconds + offset, _DAY)
        date = self._dates.get(local_day) or self._date(local_day)
        return b"%b %02d:%02d:%02d %b" % (date, rest // 3600, rest // 60 % 60, rest % 60, zone)

    def _learn(self, day: int) -> tuple[int, bytes] | None:
        if len(self._days) > 20_000:
            self._days.clear()
        first, last = self._offset(day * _DAY), self._offset(day * _DAY + _DAY - 1)
        self._days[day] = known = first if first == last else None
        return known

    def _offset(self, seconds: int) -> tuple[int, bytes]:
        """Offset in seconds and ``zone = ("+" / "-") 4DIGIT DQUOTE``."""
        moment = (_EPOCH + datetime.timedelta(seconds=seconds)).astimezone(self._zone)
        offset = moment.utcoffset() or datetime.timedelta()
        minutes = int(offset.total_seconds()) // 60
        hours, rest = divmod(abs(minutes), 60)
        return minutes * 60, b'%b%02d%02d"' % (b"-" if minutes < 0 else b"+", hours, rest)

    def _date(self, day: int) -> bytes:
        if len(self._dates) > 20_000:
            self._dates.clear()
        date = datetime.date(1970, 1, 1) + datetime.timedelta(days=day)
        text = f'"{date.day:02d}-{_MONTHS[date.month - 1]}-{date.year:04d}'.encode("ascii")
        self._dates[day] = text
        return text


date_time = DateTimes()
"""In the machine's zone."""
