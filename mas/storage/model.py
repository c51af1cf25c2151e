"""Values of the mail store that protocols and delivery share with it. Pure: no file, no clock, no wire.

Flags travel as one int a message. The five system flags have fixed bits; keyword number ``n`` of a mailbox (its place in
``Keywords.names``, the number that ``dovecot-keywords`` gives it) has bit ``KEYWORD_SHIFT + n``. ``\\Recent`` is not a flag of a
message but of a session: uids from ``Snapshot.recent_from`` up.
"""

from __future__ import annotations

import enum
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NewType

Uid = NewType("Uid", int)
UidValidity = NewType("UidValidity", int)
Modseq = NewType("Modseq", int)
MailboxName = NewType("MailboxName", str)
"""A mailbox name as users see it, in Unicode, with the configured separator; ``INBOX`` is always in capitals. Never wire bytes."""

INBOX = MailboxName("INBOX")

ANSWERED, FLAGGED, DELETED, SEEN, DRAFT = 1, 2, 4, 8, 16
SYSTEM_FLAGS: Mapping[str, int] = {
    "\\Answered": ANSWERED,
    "\\Flagged": FLAGGED,
    "\\Deleted": DELETED,
    "\\Seen": SEEN,
    "\\Draft": DRAFT,
}
KEYWORD_SHIFT = 5
MAX_KEYWORDS = 58
"""Keywords a mailbox can ever hold: system flags and keywords share one signed 64-bit column. ``mail.max_keywords`` may allow fewer."""


@dataclass(frozen=True, slots=True)
class Flags:
    """Flags by meaning, before a mailbox has given its keywords numbers: ``system`` holds bits below ``1 << KEYWORD_SHIFT``."""

    system: int = 0
    keywords: frozenset[str] = frozenset()


def flag_names(bits: int, keywords: Sequence[str]) -> tuple[str, ...]:
    """The names of a message's flags; ``keywords``: those of its mailbox."""
    return (
        *(name for name, bit in SYSTEM_FLAGS.items() if bits & bit),
        *(name for number, name in enumerate(keywords) if bits & (1 << (KEYWORD_SHIFT + number))),
    )


class StoreOp(enum.Enum):
    """What a flag change does with the flags it names."""

    REPLACE = "replace"
    ADD = "add"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class MailboxInfo:
    """One line of LIST. ``special_use`` holds names such as ``\\Junk``; a name that is only a level has ``selectable`` False."""

    name: MailboxName
    selectable: bool
    subscribed: bool
    has_children: bool
    special_use: frozenset[str] = frozenset()
    mailbox_id: str = ""


@dataclass(frozen=True, slots=True)
class MailboxStatus:
    """The counters of a mailbox; kept by every commit, so that asking costs nothing. ``size`` is the sum of RFC822.SIZE (octets)."""

    uid_validity: UidValidity
    uid_next: Uid
    highest_modseq: Modseq
    messages: int
    unseen: int
    deleted: int
    recent: int
    size: int
    deleted_size: int
    mailbox_id: str


@dataclass(frozen=True, slots=True)
class FlagChange:
    """The flags of one message before and after a command, by name: what was set or taken away, and what is set now."""

    uid: int
    changed: tuple[str, ...]
    flags: tuple[str, ...]


class ChangeKind(enum.Enum):
    """What happened to a message."""

    NEW = "new"
    FLAGS = "flags"
    EXPUNGED = "expunged"


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a mailbox since a session last looked. ``flags`` are the message's flags now (0 when expunged)."""

    kind: ChangeKind
    uid: Uid
    modseq: Modseq
    flags: int = 0


@dataclass(frozen=True, slots=True)
class MessageRow:
    """What every sync asks of one message (the small row of the index)."""

    uid: Uid
    flags: int
    modseq: Modseq


@dataclass(frozen=True, slots=True)
class SaveOptions:
    """How one message is stored in one mailbox.

    internal_date, save_date: seconds since the epoch; None = now.
    """

    flags: Flags = Flags()
    internal_date: int | None = None
    save_date: int | None = None


@dataclass(frozen=True, slots=True)
class Saved:
    """Answer to a save: the uids in the order of the messages (APPENDUID)."""

    uid_validity: UidValidity
    uids: Sequence[Uid]


@dataclass(frozen=True, slots=True)
class Copied:
    """Answer to COPY and MOVE: ``source[i]`` became ``target[i]`` (COPYUID). Messages that were gone are in neither."""

    uid_validity: UidValidity
    source: Sequence[Uid]
    target: Sequence[Uid]


@dataclass(frozen=True, slots=True)
class FlagsStored:
    """Answer to a flag change.

    changed: the messages whose flags are now different, with their new flags and modseq (in uid order).
    unchanged: messages that had these flags already (RFC 7162 wants their MODSEQ all the same), in uid order.
    failed: uids whose modseq was above ``unchanged_since`` (MODIFIED); untouched.
    """

    changed: Sequence[MessageRow]
    unchanged: Sequence[MessageRow]
    failed: Sequence[Uid]


@dataclass(frozen=True, slots=True)
class Resync:
    """What QRESYNC tells on SELECT: ``vanished`` as ranges of uids, inclusive and ascending (all that the mailbox ever had may be there),
    ``changed`` in uid order (rows above the client's modseq)."""

    vanished: Sequence[tuple[int, int]]
    changed: Sequence[MessageRow]


@dataclass(frozen=True, slots=True)
class QuotaUsage:
    """One quota root: usage and limits; a limit of 0 means none. Storage is in octets."""

    name: str
    storage: int
    storage_limit: int
    messages: int
    messages_limit: int


class Column(enum.Enum):
    """What the index can answer for a message without its file. Types as named here, None never occurs.

    All ``bytes`` columns are ready wire bytes: IMAP's parenthesised lists as RFC 9051 writes them.
    """

    SIZE = "size"  # int, RFC822.SIZE: octets with CRLF line ends
    INTERNAL_DATE = "internal_date"  # int, seconds since the epoch
    SAVE_DATE = "save_date"  # int, seconds since the epoch
    ENVELOPE = "envelope"  # bytes
    BODY = "body"  # bytes, BODYSTRUCTURE without extension data
    BODYSTRUCTURE = "bodystructure"  # bytes
    EMAIL_ID = "email_id"  # str, RFC 8474


_BLOCK = 256


@dataclass(slots=True)
class Snapshot:
    """The state of a mailbox in this process, shared by all its selections and changed in place, only on the event loop.

    uids ascend; ``flags[i]`` and ``modseqs[i]`` belong to ``uids[i]``. ``generation`` grows with every change of the three lists,
    ``expunges`` with every removal: while a view's ``expunges`` is this one's, its positions are positions here. ``memo`` belongs to the
    readers: what they worked out of the snapshot, kept for the next session (with its generation); dictionaries in it are emptied when
    the number of a keyword gets another meaning.
    """

    uid_validity: UidValidity
    uid_next: Uid
    highest_modseq: Modseq
    uids: array[int] = field(default_factory=lambda: array("I"))
    flags: list[int] = field(default_factory=list)
    modseqs: list[int] = field(default_factory=list)
    keywords: list[str] = field(default_factory=list)
    generation: int = 0
    expunges: int = 0
    memo: dict[str, object] = field(default_factory=dict)

    def set_keywords(self, names: list[str]) -> None:
        """Names by number; the list stays the same object."""
        if names[: len(self.keywords)] != self.keywords:
            for kept in self.memo.values():
                if isinstance(kept, dict):
                    kept.clear()
        self.keywords[:] = names

    def newer(self, since: int, start: int = 0, end: int | None = None) -> list[int]:
        """Positions, from ``start`` on and before ``end``, of the messages whose modseq is above ``since``; ascending.

        Mostly few are: whole blocks are passed over by their highest modseq.
        """
        if since >= self.highest_modseq:
            return []
        modseqs, found = self.modseqs[start:end], []
        for at in range(0, len(modseqs), _BLOCK):
            block = modseqs[at : at + _BLOCK]
            if max(block) > since:
                found += [place for place, modseq in enumerate(block, start + at) if modseq > since]
        return found
