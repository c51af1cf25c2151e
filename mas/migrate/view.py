"""What clients were promised of a user's mail, and how two views of it differ. Pure.

A view holds nothing that a move may change: no sequence numbers, no MODSEQ, no ``\\Recent``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

MAX_LINES = 50
"""Differences of the messages of one mailbox that are printed; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Message:
    """Dates are seconds since the epoch. save_date and digest None: not asked, or the server does not say."""

    flags: frozenset[str]
    size: int
    internal_date: int
    save_date: int | None = None
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Mailbox:
    """``special_use`` in lower case. letterless: keywords that file names in a Maildir have no letter for."""

    uid_validity: int
    uid_next: int
    special_use: frozenset[str]
    messages: Mapping[int, Message]
    letterless: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class View:
    """quota: root -> resource -> (usage, limit), storage in units of 1024 octets; None: the server has none."""

    mailboxes: Mapping[str, Mailbox]
    subscriptions: frozenset[str]
    quota: Mapping[str, Mapping[str, tuple[int, int]]] | None = field(default=None)


def differences(one: View, other: View, names: tuple[str, str]) -> Iterator[str]:
    """A line each; none when clients cannot tell the two apart. ``names`` of the two servers."""
    first, second = names
    for name in sorted(one.mailboxes.keys() ^ other.mailboxes.keys()):
        yield f"{name}: only {first if name in one.mailboxes else second} has this mailbox"
    for name in sorted(one.mailboxes.keys() & other.mailboxes.keys()):
        for line in _mailbox(one.mailboxes[name], other.mailboxes[name], names):
            yield f"{name}: {line}"
    for name in sorted(one.subscriptions ^ other.subscriptions):
        yield f"{name}: subscribed only in {first if name in one.subscriptions else second}"
    if one.quota is not None and other.quota is not None:
        yield from _quota(one.quota, other.quota, names)


def notes(one: View, other: View, names: tuple[str, str]) -> Iterator[str]:
    """What a Maildir cannot carry from MAS to another server, a line for each mailbox. ``one`` is the other server's view.

    Keywords beyond the 26 that file names have letters for stay in MAS's index. A save date is the file's change time for a server that
    did not save the message itself, so a flag set since makes it later: autoexpunge comes later, never too early.
    """
    for name in sorted(one.mailboxes.keys() & other.mailboxes.keys()):
        theirs, ours = one.mailboxes[name], other.mailboxes[name]
        if count := sum(bool(message.flags & ours.letterless) for message in ours.messages.values()):
            words = ", ".join(sorted(ours.letterless))
            yield f"{name}: a Maildir has letters for 26 keywords; {count} messages have others, which stay in MAS: {words}"
        later = 0
        for uid in theirs.messages.keys() & ours.messages.keys():
            left, right = theirs.messages[uid].save_date, ours.messages[uid].save_date
            later += left is not None and right is not None and left > right
        if later:
            yield f"{name}: {later} messages have a later save date in {names[0]}: it takes the time of the file's last change"


def _mailbox(one: Mailbox, other: Mailbox, names: tuple[str, str]) -> Iterator[str]:
    first, second = names
    for what, left, right in (
        ("UIDVALIDITY", one.uid_validity, other.uid_validity),
        ("UIDNEXT", one.uid_next, other.uid_next),
        ("special use", _words(one.special_use), _words(other.special_use)),
    ):
        if left != right:
            yield f"{what}: {first} {left}, {second} {right}"
    found = 0
    for uid in sorted(one.messages.keys() | other.messages.keys()):
        for line in _message(uid, one, other, names):
            found += 1
            if found <= MAX_LINES:
                yield line
    if found > MAX_LINES:
        yield f"and {found - MAX_LINES} more differences of messages"


def _message(uid: int, left_box: Mailbox, right_box: Mailbox, names: tuple[str, str]) -> Iterator[str]:
    first, second = names
    one, other = left_box.messages.get(uid), right_box.messages.get(uid)
    if one is None or other is None:
        yield f"uid {uid}: only {first if other is None else second} has this message"
        return
    unseen = left_box.letterless | right_box.letterless
    if {flag.lower() for flag in one.flags - unseen} != {flag.lower() for flag in other.flags - unseen}:
        yield f"uid {uid}: flags: {first} {_words(one.flags)}, {second} {_words(other.flags)}"
    for what, left, right in (
        ("size", one.size, other.size),
        ("internal date", _date(one.internal_date), _date(other.internal_date)),
    ):
        if left != right:
            yield f"uid {uid}: {what}: {first} {left}, {second} {right}"
    if one.save_date is not None and other.save_date is not None and one.save_date < other.save_date:
        yield f"uid {uid}: save date: {first} {_date(one.save_date)}, {second} {_date(other.save_date)}"
    if None not in (one.digest, other.digest) and one.digest != other.digest:
        yield f"uid {uid}: the content differs"


def _quota(
    one: Mapping[str, Mapping[str, tuple[int, int]]],
    other: Mapping[str, Mapping[str, tuple[int, int]]],
    names: tuple[str, str],
) -> Iterator[str]:
    first, second = names
    for root in sorted(one.keys() | other.keys()):
        for resource in sorted(one.get(root, {}).keys() | other.get(root, {}).keys()):
            left, right = one.get(root, {}).get(resource), other.get(root, {}).get(resource)
            if left != right:
                yield f"quota {root!r} {resource}: {first} {_usage(left)}, {second} {_usage(right)}"


def _usage(value: tuple[int, int] | None) -> str:
    return f"{value[0]} of {value[1]}" if value else "none"


def _words(words: frozenset[str]) -> str:
    return " ".join(sorted(words)) or "none"


def _date(seconds: int | None) -> str:
    return datetime.fromtimestamp(seconds or 0, UTC).strftime("%d-%b-%Y %H:%M:%S")
