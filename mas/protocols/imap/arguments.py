"""Arguments that several commands share: mailbox, sequence-set, flags, dates, STATUS items.  [RFC9051 9]"""

from __future__ import annotations

import datetime
import re
from functools import lru_cache

from mas.protocols.imap import abnf
from mas.protocols.imap.commands import StatusItem
from mas.protocols.imap.cursor import Cursor, ParseError
from mas.protocols.imap.mailbox_name import parse_mailbox_name
from mas.protocols.imap.numset import SequenceSet, parse_sequence_set
from mas.storage.model import SYSTEM_FLAGS, Flags, MailboxName

_SYSTEM = {name.upper().encode("ascii"): bit for name, bit in SYSTEM_FLAGS.items()}

# date-month = "Jan" / ... / "Dec"
_MONTHS = {month: number for number, month in enumerate(b"JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split(), 1)}

# date-text = date-day "-" date-month "-" date-year      date = date-text / DQUOTE date-text DQUOTE
_DATE = re.compile(rb'("?)([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})\1(?![0-9A-Za-z"])')

# date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE
# Deviation: one digit without the SP before it, as Dovecot takes it.
_DATE_TIME = re.compile(
    rb'" ?([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"'
)


def parse_mailbox(cursor: Cursor) -> MailboxName:
    """``mailbox = "INBOX" / astring``"""
    return parse_mailbox_name(cursor.astring(), cursor.utf8, cursor.max_mailbox_name)


def parse_set(cursor: Cursor) -> SequenceSet:
    """``sequence-set``, symbolic."""
    text = cursor.sequence_set_text()
    return _short_set(text) if len(text) < 32 else parse_sequence_set(text, cursor.max_set_items)


@lru_cache(maxsize=1024)
def _short_set(text: bytes) -> SequenceSet:
    return parse_sequence_set(text)


def parse_uid_set(cursor: Cursor) -> SequenceSet:
    """A sequence-set of uids where neither ``*`` nor ``$`` is allowed.  [RFC7162 7 known-uids]"""
    found = parse_set(cursor)
    if found.saved or found.has_star:
        raise ParseError("Neither * nor $ is allowed in this set")
    return found


def parse_flag_list(cursor: Cursor, *, bare: bool = False) -> Flags:
    """``flag-list = "(" [flag *(SP flag)] ")"``; with ``bare`` also ``flag *(SP flag)``, as in STORE."""
    flags: list[bytes] = []
    if cursor.maybe(b"("):
        cursor.maybe_sp()
        while not cursor.maybe(b")"):
            flags.append(cursor.token(abnf.FLAG, "flag"))
            if not cursor.maybe_sp() and cursor.peek() != b")":
                raise ParseError("Expected flag")
    elif bare:
        flags.append(cursor.token(abnf.FLAG, "flag"))
        while cursor.maybe_sp() and not cursor.at_end():
            flags.append(cursor.token(abnf.FLAG, "flag"))
    else:
        raise ParseError("Expected flag list")
    return _flags(tuple(flags))


@lru_cache(maxsize=256)
def _flags(flags: tuple[bytes, ...]) -> Flags:
    r"""``\Recent`` and unknown system flags are no flags that a client may set  [RFC9051 9 flag]."""
    system = 0
    keywords = []
    for flag in flags:
        if flag[0] == 0x5C:
            bit = _SYSTEM.get(flag.upper())
            if bit is None:
                raise ParseError(f"Invalid system flag {flag.decode('ascii')}")
            system |= bit
        else:
            keywords.append(flag.decode("ascii"))
    # Keywords are compared without case [RFC9051 2.3.2]: of two spellings the first one stands
    first = {keyword.lower(): keyword for keyword in reversed(keywords)}
    return Flags(system, frozenset(first.values()))


def parse_date(cursor: Cursor) -> datetime.date:
    """``date = date-text / DQUOTE date-text DQUOTE``"""
    found = _DATE.match(cursor.text, cursor.place)
    if found is None:
        raise ParseError("Invalid date")
    cursor.place = found.end()
    try:
        return datetime.date(int(found[4]), _MONTHS.get(found[3].upper(), 0), int(found[2]))
    except ValueError:
        raise ParseError("Invalid date") from None


def parse_date_time(cursor: Cursor) -> int:
    """``date-time``, as seconds since the epoch."""
    found = _DATE_TIME.match(cursor.text, cursor.place)
    if found is None:
        raise ParseError("Invalid date-time")
    cursor.place = found.end()
    day, month, year, hour, minute, second, sign, zone_hours, zone_minutes = found.groups()
    try:
        # A leap second is the second after it: no clock of ours counts them
        moment = datetime.datetime(
            int(year), _MONTHS.get(month.upper(), 0), int(day), int(hour), int(minute), min(int(second), 59),
            tzinfo=datetime.UTC,
        )  # fmt: skip
    except ValueError:
        raise ParseError("Invalid date-time") from None
    if int(second) > 60 or int(zone_minutes) > 59:
        raise ParseError("Invalid date-time")
    offset = int(zone_hours) * 3600 + int(zone_minutes) * 60
    return int(moment.timestamp()) + (int(second) == 60) - (offset if sign == b"+" else -offset)


_STATUS_ITEMS = {item.value: item for item in StatusItem}


def parse_status_items(cursor: Cursor) -> tuple[StatusItem, ...]:
    """``"(" status-att *(SP status-att) ")"``, each once, in the client's order."""
    cursor.expect(b"(")
    cursor.maybe_sp()
    items: dict[StatusItem, None] = {}
    while not cursor.maybe(b")"):
        name = cursor.atom().upper()
        item = _STATUS_ITEMS.get(name)
        if item is None:
            raise ParseError(f"Unknown status item {name.decode('ascii')}")
        items[item] = None
        if not cursor.maybe_sp() and cursor.peek() != b")":
            raise ParseError("Expected )")
    if not items:
        raise ParseError("Empty status list")
    return tuple(items)
