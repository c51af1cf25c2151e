"""A search program, as storage understands it. Pure values; sequence numbers are resolved to uids before they come here.

Texts are Unicode as the user typed them; matching is case-insensitive by i;unicode-casemap [RFC5051], substrings.
Dates are days (``datetime.date``), compared with the message's date without its time and zone [RFC9051 6.4.4].
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class All:
    """Every message."""


@dataclass(frozen=True, slots=True)
class And:
    keys: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Or:
    keys: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Not:
    key: Key


@dataclass(frozen=True, slots=True)
class Uids:
    """Inclusive ranges, ascending, not overlapping."""

    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class SystemFlag:
    """All of ``bits`` are set."""

    bits: int


@dataclass(frozen=True, slots=True)
class Keyword:
    """The keyword is set (compared without case)."""

    name: str


@dataclass(frozen=True, slots=True)
class Header:
    """A header field ``name`` (lower case) whose decoded, unfolded text holds ``text``; an empty text asks that the field exists.

    ``from to cc bcc`` match the formatted addresses.
    """

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Body:
    """Text parts of the body hold ``text`` (after transfer decoding and charset conversion)."""

    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """Header or body hold ``text``."""

    text: str


@dataclass(frozen=True, slots=True)
class InternalDate:
    """``since <= day < before``; None leaves a side open."""

    since: datetime.date | None = None
    before: datetime.date | None = None


@dataclass(frozen=True, slots=True)
class SentDate:
    """As InternalDate, by the Date header field; a message without one counts as 1970-01-01."""

    since: datetime.date | None = None
    before: datetime.date | None = None


@dataclass(frozen=True, slots=True)
class SaveDate:
    """As InternalDate, by the day the message came into this mailbox [RFC8514]."""

    since: datetime.date | None = None
    before: datetime.date | None = None


@dataclass(frozen=True, slots=True)
class Age:
    """Internal date against now: YOUNGER n is ``max_seconds=n``, OLDER n is ``min_seconds=n`` [RFC5032]."""

    min_seconds: int | None = None
    max_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Size:
    """``larger < size < smaller`` in octets; None leaves a side open."""

    larger: int | None = None
    smaller: int | None = None


@dataclass(frozen=True, slots=True)
class ModseqAtLeast:
    """[RFC7162 3.1.5]"""

    modseq: int


@dataclass(frozen=True, slots=True)
class EmailId:
    """[RFC8474 6]"""

    email_id: str


Key = (
    All
    | And
    | Or
    | Not
    | Uids
    | SystemFlag
    | Keyword
    | Header
    | Body
    | Text
    | InternalDate
    | SentDate
    | SaveDate
    | Age
    | Size
    | ModseqAtLeast
    | EmailId
)
