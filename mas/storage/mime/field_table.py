"""Where the fields of a kept header lie, found once, so that HEADER.FIELDS is cut out of it and not searched for.

Clients ask for the same few fields of thousands of messages. A search for ten names costs five microseconds a header; with the table next
to it an answer is a look-up and two slices, a fifth of that. Format::

    table    = *code *position position          ; a code and a position a field, then where the last one ends
    code     = OCTET      ; place of the name in NAMES, counted from 1; OTHER: another name; NONE: a line without a colon
    position = 2OCTET     ; little endian, from the beginning of the kept header

The codes of one mailbox's messages repeat (one program, one order of fields), so what to cut is worked out once for each sequence of codes
and set of names. An empty table says that there is none (an odd header, or a very long one): then ``header.header_fields`` answers, and the
two never differ.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from mas.storage.mime.header import header_fields

NAMES = (
    b"from",
    b"to",
    b"cc",
    b"bcc",
    b"subject",
    b"date",
    b"message-id",
    b"in-reply-to",
    b"references",
    b"reply-to",
    b"sender",
    b"content-type",
    b"content-transfer-encoding",
    b"content-disposition",
    b"content-description",
    b"content-language",
    b"content-id",
    b"mime-version",
    b"return-path",
    b"delivered-to",
    b"x-original-to",
    b"envelope-to",
    b"mail-followup-to",
    b"mail-reply-to",
    b"followup-to",
    b"newsgroups",
    b"lines",
    b"list-id",
    b"list-post",
    b"list-help",
    b"list-owner",
    b"list-archive",
    b"list-subscribe",
    b"list-unsubscribe",
    b"list-unsubscribe-post",
    b"mailing-list",
    b"precedence",
    b"priority",
    b"x-priority",
    b"x-msmail-priority",
    b"importance",
    b"sensitivity",
    b"disposition-notification-to",
    b"return-receipt-to",
    b"auto-submitted",
    b"user-agent",
    b"x-mailer",
    b"organization",
    b"autocrypt",
    b"openpgp",
    b"face",
    b"x-face",
    b"x-label",
    b"x-keywords",
    b"keywords",
    b"comments",
    b"resent-from",
    b"resent-to",
    b"resent-cc",
    b"resent-date",
    b"resent-sender",
    b"resent-message-id",
    b"x-spam-flag",
    b"x-spam-status",
    b"x-spam-score",
    b"x-spam-level",
    b"x-spam",
    b"x-rspamd-server",
    b"x-rspamd-queue-id",
    b"feedback-id",
    b"x-draft-info",
    b"x-mozilla-draft-info",
    b"x-uniform-type-identifier",
    b"x-universally-unique-identifier",
    b"thread-index",
    b"thread-topic",
    b"x-github-reason",
    b"x-gitlab-project",
    b"x-mailing-list",
    b"x-loop",
    b"x-beenthere",
    b"x-mailman-version",
)
"""Known names. The order is the format: only ever append."""
NONE, OTHER = 0, 255
LONGEST = 0xFFFF
"""Octets of a header that positions reach."""
_PLANS = 500
"""Sequences of codes that a set of names remembers."""

_CODES = {name: code for code, name in enumerate(NAMES, 1)}
_FIELD = re.compile(rb"([^\n:]*)(:?)[^\n]*(?:\n[ \t][^\n]*)*\n")
_PLAIN = re.compile(rb"[^\x00-\x20:\x7f-\xff]+\Z")

Plan = tuple[int, Callable[[bytes], tuple[int, ...]]]
"""How many stretches to cut, and what reads their borders out of a table; a negative number: search instead."""
_SEARCH: Plan = -1, lambda table: ()
Row = tuple[int, bytes, bytes]
"""``(number, table, kept header)``"""


@lru_cache(maxsize=1024)
def _code(name: bytes) -> int:
    return _CODES.get(name.rstrip(b" \t").lower(), OTHER)


def locate(kept: bytes) -> bytes:
    """The table of a kept header (``header.kept_header``)."""
    end = len(kept) - 2
    if not (kept.endswith(b"\n\r\n") or kept == b"\r\n") or end > LONGEST:
        return b""
    codes = bytearray()
    positions = []
    for field in _FIELD.finditer(kept, 0, end):
        name, colon = field.groups()
        codes.append(_code(name) if colon and name[:1] not in (b" ", b"\t") else NONE)
        positions.append(field.start())
    return b"%b%b" % (bytes(codes), struct.pack(f"<{len(positions) + 1}H", *positions, end)) if codes else b""


class Cutter:
    """HEADER.FIELDS for one set of names (lower case). Shared by threads: what it learns is the same whoever learns it."""

    __slots__ = ("_codes", "_names", "_odd", "_plans")

    def __init__(self, names: Sequence[bytes]) -> None:
        self._names = tuple(names)
        self._codes = frozenset(_CODES[name] for name in names if name in _CODES)
        unknown = [name for name in names if name not in _CODES]
        # A name that no field can have by these rules is left to the search, whatever that makes of it.
        self._odd = frozenset({OTHER}) if unknown else frozenset()
        if not all(_PLAIN.match(name) for name in unknown):
            self._odd = frozenset(range(256))
        self._plans: dict[bytes, Plan] = {}

    def cut(self, rows: Iterable[Row]) -> list[tuple[int, bytes]]:
        """``(number, octets)`` of each row: what ``header_fields(kept, names, False)`` gives."""
        plan_of, learn = self._plans.get, self._learn
        found = []
        for number, table, kept in rows:
            codes = table[: (len(table) - 2) // 3]
            count, borders = plan_of(codes) or learn(codes, table)
            if count == 1:
                start, end = borders(table)
                octets = kept[start:end] + b"\r\n"
            elif count == 2:
                start, end, again, last = borders(table)
                octets = b"%b%b\r\n" % (kept[start:end], kept[again:last])
            elif count >= 0:
                where = borders(table)
                pieces = [kept[where[at] : where[at + 1]] for at in range(0, 2 * count, 2)]
                octets = b"".join([*pieces, b"\r\n"])
            else:
                octets = header_fields(kept, self._names, False)
            found.append((number, octets))
        return found

    def _learn(self, codes: bytes, table: bytes) -> Plan:
        """The plan of a sequence of codes: neighbours are cut together."""
        if not table:
            return _SEARCH
        if len(self._plans) >= _PLANS:
            self._plans.clear()
        if not self._odd.isdisjoint(codes):
            self._plans[codes] = _SEARCH
            return _SEARCH
        layout, done, count = [f"<{len(codes)}x"], 0, 0
        place = 0
        while place < len(codes):
            start = place
            while place < len(codes) and codes[place] in self._codes:
                place += 1
            if place > start:
                layout.append(f"{2 * (start - done)}xH{2 * (place - start - 1)}xH")
                done = place + 1
                count += 1
            place += 1
        plan: Plan = count, struct.Struct("".join(layout)).unpack_from
        self._plans[codes] = plan
        return plan


@lru_cache(maxsize=64)
def cutter(names: tuple[bytes, ...]) -> Cutter:
    """The cutter of these names; clients ask for the same few sets."""
    return Cutter(names)
