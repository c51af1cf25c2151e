"""What the model store answers about one message, worked out from its octets by the standard library's ``email``: slow, short, and not the
code that the real store uses, so that the two can be compared."""

from __future__ import annotations

import datetime
import email.utils
from collections.abc import Sequence
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesParser
from typing import Protocol

from mas.storage import query
from mas.storage.model import Column, Flags
from tests.support.memory_mime import envelope, parse, structure

EPOCH = datetime.date(1970, 1, 1)


class Stored(Protocol):
    """What of a stored message a search looks at."""

    octets: bytes
    internal_date: int
    save_date: int
    email_id: str


def fold(text: str) -> str:
    """Compared without case."""
    return text.casefold()


def decoded(value: str) -> str:
    """A header field's text: unfolded, encoded words decoded."""
    unfolded = value.replace("\r\n", "").replace("\n", "")
    try:
        return str(make_header(decode_header(unfolded)))
    except (LookupError, ValueError):
        return unfolded


def header_texts(message: Message, name: str) -> Sequence[str]:
    """The texts of every field of that name; for address fields the formatted addresses."""
    values = [decoded(str(value)) for value in message.get_all(name, [])]
    if name in ("from", "to", "cc", "bcc"):
        return [", ".join(email.utils.formataddr(pair) if pair[0] else f"<{pair[1]}>" for pair in
                          email.utils.getaddresses([value])) for value in values]  # fmt: skip
    return values


def body_texts(message: Message) -> Sequence[str]:
    """Text parts, decoded."""
    texts = []
    for part in message.walk():
        if part.get_content_maintype() == "text":
            payload = part.get_payload(decode=True)
            assert isinstance(payload, bytes)
            try:
                texts.append(payload.decode(part.get_content_charset() or "us-ascii", "replace"))
            except LookupError:
                texts.append(payload.decode("latin-1"))
    return texts


def local_day(seconds: int) -> datetime.date:
    """The day of an internal date, in the zone in which it is shown (UTC)."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).date()


def sent_day(message: Message) -> datetime.date:
    """The day that the Date field names; 1970-01-01 without one."""
    try:
        return email.utils.parsedate_to_datetime(str(message["Date"])).date()
    except (TypeError, ValueError):
        return EPOCH


def within(day: datetime.date, since: datetime.date | None, before: datetime.date | None) -> bool:
    """``since <= day < before``."""
    return (since is None or since <= day) and (before is None or day < before)


def matches(key: query.Key, stored: Stored, uid: int, flags: Flags, modseq: int, now: int) -> bool:
    """Whether a message matches a search key."""
    match key:
        case query.All():
            return True
        case query.And(keys):
            return all(matches(part, stored, uid, flags, modseq, now) for part in keys)
        case query.Or(keys):
            return any(matches(part, stored, uid, flags, modseq, now) for part in keys)
        case query.Not(part):
            return not matches(part, stored, uid, flags, modseq, now)
        case query.Uids(ranges):
            return any(low <= uid <= high for low, high in ranges)
        case query.SystemFlag(bits):
            return flags.system & bits == bits
        case query.Keyword(name):
            return fold(name) in {fold(keyword) for keyword in flags.keywords}
        case query.Size(larger, smaller):
            size = len(stored.octets)
            return (larger is None or size > larger) and (smaller is None or size < smaller)
        case query.InternalDate(since, before):
            return within(local_day(stored.internal_date), since, before)
        case query.SaveDate(since, before):
            return within(local_day(stored.save_date), since, before)
        case query.Age(min_seconds, max_seconds):
            age = now - stored.internal_date
            return (min_seconds is None or age >= min_seconds) and (max_seconds is None or age <= max_seconds)
        case query.ModseqAtLeast(least):
            return modseq >= least
        case query.EmailId(email_id):
            return stored.email_id == email_id
    message = BytesParser().parsebytes(stored.octets)
    match key:
        case query.SentDate(since, before):
            return within(sent_day(message), since, before)
        case query.Header(name, text):
            return any(fold(text) in fold(value) for value in header_texts(message, name))
        case query.Body(text):
            return not text or any(fold(text) in fold(body) for body in body_texts(message))
        case query.Text(text):
            headers = [f"{name}: {decoded(str(value))}" for name, value in message.items()]
            return not text or any(fold(text) in fold(value) for value in [*headers, *body_texts(message)])
    raise AssertionError(key)


def column_of(stored: Stored, column: Column) -> object:
    """What the index would answer."""
    match column:
        case Column.SIZE:
            return len(stored.octets)
        case Column.INTERNAL_DATE:
            return stored.internal_date
        case Column.SAVE_DATE:
            return stored.save_date
        case Column.EMAIL_ID:
            return stored.email_id
        case Column.ENVELOPE:
            return envelope(parse(stored.octets))
        case Column.BODY:
            return structure(parse(stored.octets), False)
        case Column.BODYSTRUCTURE:
            return structure(parse(stored.octets), True)
