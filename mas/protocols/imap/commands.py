"""The commands of IMAP as values: one frozen dataclass a command, and what their arguments are made of.

Names are the RFC's; mailbox names are Unicode already, message sets are still symbolic (``*``, ``$``), so are those in search keys
(``search_program``).

Must not know: how a command is written on the wire (``parse_command``), in which state it may come (``COMMANDS`` there).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from mas.protocols.imap.numset import SequenceSet
from mas.protocols.imap.search_program import SearchKey
from mas.storage.mime.section import Section
from mas.storage.model import Flags, MailboxName, StoreOp


@dataclass(frozen=True, slots=True)
class Command:
    """A command of the client. ``tag`` goes back in the tagged status response as it came."""

    tag: bytes


# Any state  [RFC9051 6.1]


@dataclass(frozen=True, slots=True)
class Capability(Command):
    """[RFC9051 6.1.1]"""


@dataclass(frozen=True, slots=True)
class Noop(Command):
    """[RFC9051 6.1.2]"""


@dataclass(frozen=True, slots=True)
class Logout(Command):
    """[RFC9051 6.1.3]"""


@dataclass(frozen=True, slots=True)
class Id(Command):
    """[RFC2971 3.1] ``fields`` in the client's order, names in lower case; None values are NIL; empty for ``ID NIL``."""

    fields: tuple[tuple[str, str | None], ...]


# Not authenticated  [RFC9051 6.2]


@dataclass(frozen=True, slots=True)
class StartTls(Command):
    """[RFC9051 6.2.1]"""


@dataclass(frozen=True, slots=True)
class Authenticate(Command):
    """[RFC9051 6.2.2] ``mechanism`` in upper case; ``initial`` is the decoded initial response, None when there was none."""

    mechanism: str
    initial: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Login(Command):
    """[RFC9051 6.2.3] Octets as sent: the password database decides on their charset."""

    user: bytes
    password: bytes = field(repr=False)


# Authenticated  [RFC9051 6.3]


@dataclass(frozen=True, slots=True)
class Enable(Command):
    """[RFC9051 6.3.1] ``capabilities`` in upper case; unknown ones are ignored by the session."""

    capabilities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Qresync:
    """``QRESYNC (...)`` of SELECT  [RFC7162 3.2.5].

    known_uids: None when the client gave none.
    known_sequence: the optional pair (sequence numbers, uids), in step.
    """

    uid_validity: int
    modseq: int
    known_uids: SequenceSet | None = None
    known_sequence: tuple[SequenceSet, SequenceSet] | None = None


@dataclass(frozen=True, slots=True)
class Select(Command):
    """SELECT [RFC9051 6.3.2] and, with ``read_only``, EXAMINE [RFC9051 6.3.3]."""

    mailbox: MailboxName
    read_only: bool = False
    condstore: bool = False
    qresync: Qresync | None = None


@dataclass(frozen=True, slots=True)
class Create(Command):
    """[RFC9051 6.3.4] ``special_use`` as in ``CREATE x (USE (\\Junk))`` [RFC6154 3], spelt as registered.

    A separator at the end (the client will create names under this one [RFC9051 6.3.4]) is still there: the handler drops it.
    """

    mailbox: MailboxName
    special_use: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Delete(Command):
    """[RFC9051 6.3.5]"""

    mailbox: MailboxName


@dataclass(frozen=True, slots=True)
class Rename(Command):
    """[RFC9051 6.3.6]"""

    mailbox: MailboxName
    to: MailboxName


@dataclass(frozen=True, slots=True)
class Subscribe(Command):
    """[RFC9051 6.3.7]"""

    mailbox: MailboxName


@dataclass(frozen=True, slots=True)
class Unsubscribe(Command):
    """[RFC9051 6.3.8]"""

    mailbox: MailboxName


class StatusItem(enum.Enum):
    """status-att  [RFC9051 9] [RFC7162 7] [RFC9208 7] [RFC8438 3] [RFC8474 4.3] [RFC7889 3.1]; RECENT [RFC3501 9]."""

    MESSAGES = b"MESSAGES"
    RECENT = b"RECENT"
    UIDNEXT = b"UIDNEXT"
    UIDVALIDITY = b"UIDVALIDITY"
    UNSEEN = b"UNSEEN"
    DELETED = b"DELETED"
    SIZE = b"SIZE"
    HIGHESTMODSEQ = b"HIGHESTMODSEQ"
    DELETED_STORAGE = b"DELETED-STORAGE"
    MAILBOXID = b"MAILBOXID"
    APPENDLIMIT = b"APPENDLIMIT"


@dataclass(frozen=True, slots=True)
class ListOptions:
    """Selection and return options of LIST  [RFC9051 6.3.9] [RFC5258] [RFC5819] [RFC6154].

    ``select_*`` choose what is listed, ``return_*`` what is told of it; ``return_status`` is None without STATUS (...).
    """

    select_subscribed: bool = False
    select_special_use: bool = False
    select_remote: bool = False
    recursive_match: bool = False
    return_subscribed: bool = False
    return_children: bool = False
    return_special_use: bool = False
    return_status: tuple[StatusItem, ...] | None = None


@dataclass(frozen=True, slots=True)
class List(Command):
    """LIST [RFC9051 6.3.9].

    reference, patterns: Unicode, wildcards as written; a pattern that is no valid mailbox name (a cut modified-UTF-7 sequence) is None
    and matches nothing.
    extended: the client used selection options, several patterns or RETURN: ``\\Subscribed`` and friends may be told.
    """

    reference: str
    patterns: tuple[str | None, ...]
    options: ListOptions = ListOptions()
    extended: bool = False


@dataclass(frozen=True, slots=True)
class Lsub(Command):
    """[RFC3501 6.3.9]"""

    reference: str
    pattern: str | None


@dataclass(frozen=True, slots=True)
class Xlist(Command):
    """The ancestor of SPECIAL-USE; never advertised, Outlook 2013 and 2016 use it."""

    reference: str
    pattern: str | None


@dataclass(frozen=True, slots=True)
class Namespace(Command):
    """[RFC9051 6.3.10]"""


@dataclass(frozen=True, slots=True)
class Status(Command):
    """[RFC9051 6.3.11] ``items`` in the client's order, each once."""

    mailbox: MailboxName
    items: tuple[StatusItem, ...]


@dataclass(frozen=True, slots=True)
class Append(Command):
    """[RFC9051 6.3.12] Only the beginning: each message follows as ``connection.LiteralOffered``, the end as ``connection.AppendDone``."""

    mailbox: MailboxName


@dataclass(frozen=True, slots=True)
class Idle(Command):
    """[RFC9051 6.3.13]"""


@dataclass(frozen=True, slots=True)
class GetQuota(Command):
    """[RFC9208 4.1.1]"""

    root: str


@dataclass(frozen=True, slots=True)
class GetQuotaRoot(Command):
    """[RFC9208 4.1.2]"""

    mailbox: MailboxName


@dataclass(frozen=True, slots=True)
class SetQuota(Command):
    """[RFC9208 4.1.3] Limits belong to the administrator: the session refuses it. Limits in the units of the wire (KiB for STORAGE)."""

    root: str
    limits: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class GetMetadata(Command):
    """[RFC5464 4.2] ``mailbox`` is empty for the server's annotations.

    entries: in lower case, each once. depth: levels below each entry, None for all. max_size: octets, None for any.
    """

    mailbox: MailboxName
    entries: tuple[str, ...]
    depth: int | None = 0
    max_size: int | None = None


@dataclass(frozen=True, slots=True)
class SetMetadata(Command):
    """[RFC5464 4.3] ``values`` by entry in lower case; None removes. ``mailbox`` is empty for the server's annotations."""

    mailbox: MailboxName
    values: Mapping[str, bytes | None] = field(repr=False)


# Selected  [RFC9051 6.4]


@dataclass(frozen=True, slots=True)
class Check(Command):
    """[RFC3501 6.4.1]"""


@dataclass(frozen=True, slots=True)
class Close(Command):
    """[RFC9051 6.4.1]"""


@dataclass(frozen=True, slots=True)
class Unselect(Command):
    """[RFC9051 6.4.2]"""


@dataclass(frozen=True, slots=True)
class Expunge(Command):
    """EXPUNGE [RFC9051 6.4.3]; with ``uids``, UID EXPUNGE [RFC9051 6.4.9]."""

    uids: SequenceSet | None = None


@dataclass(frozen=True, slots=True)
class SearchReturn:
    """``RETURN (...)``  [RFC9051 6.4.4] [RFC5182]. ``RETURN ()`` is ALL; ``RETURN (SAVE)`` alone answers nothing but OK."""

    min: bool = False
    max: bool = False
    all: bool = False
    count: bool = False
    save: bool = False


@dataclass(frozen=True, slots=True)
class Search(Command):
    """SEARCH, UID SEARCH  [RFC9051 6.4.4].

    returns: None for the plain form (untagged SEARCH in rev1, ESEARCH in rev2).
    modseq: a MODSEQ key occurs: the answer carries MODSEQ and CONDSTORE is on from now [RFC7162 3.1.5].
    """

    uid: bool
    key: SearchKey
    returns: SearchReturn | None = None
    modseq: bool = False


class Att(enum.Enum):
    """The kinds of fetch-att: what has to be known of the message."""

    UID = "UID"
    FLAGS = "FLAGS"
    MODSEQ = "MODSEQ"
    SIZE = "RFC822.SIZE"
    INTERNAL_DATE = "INTERNALDATE"
    SAVE_DATE = "SAVEDATE"
    ENVELOPE = "ENVELOPE"
    BODY = "BODY"
    BODYSTRUCTURE = "BODYSTRUCTURE"
    EMAIL_ID = "EMAILID"
    THREAD_ID = "THREADID"
    SECTION = "BODY[]"
    BINARY_SIZE = "BINARY.SIZE"


@dataclass(frozen=True, slots=True)
class FetchAtt:
    """One item of FETCH  [RFC9051 6.4.5].

    name: the item as the response names it (``BODY[TEXT]<0>``, ``RFC822.HEADER``), without ``.PEEK``.
    section: for SECTION (``BODY[...]``, ``RFC822*``, ``BINARY[...]``: ``section.decode``) and BINARY_SIZE.
    partial: (first octet, number of octets); None for all.
    peek: does not set \\Seen.
    """

    att: Att
    name: bytes
    section: Section | None = None
    partial: tuple[int, int] | None = None
    peek: bool = True


@dataclass(frozen=True, slots=True)
class Fetch(Command):
    """FETCH, UID FETCH  [RFC9051 6.4.5] [RFC7162 3.1.4, 3.2.6].

    ``items`` in the order asked, each once; MODSEQ is among them when ``changed_since`` was given. ``sets_seen``: some item is not PEEK.
    """

    uid: bool
    messages: SequenceSet
    items: tuple[FetchAtt, ...]
    changed_since: int | None = None
    vanished: bool = False

    @property
    def sets_seen(self) -> bool:
        """Some item is not a PEEK."""
        return not all(item.peek for item in self.items)

    @property
    def modseq(self) -> bool:
        """MODSEQ is asked: CONDSTORE is on from now [RFC7162 3.1]."""
        return any(item.att is Att.MODSEQ for item in self.items)


@dataclass(frozen=True, slots=True)
class Store(Command):
    """STORE, UID STORE  [RFC9051 6.4.6] [RFC7162 3.1.3]"""

    uid: bool
    messages: SequenceSet
    op: StoreOp
    flags: Flags
    silent: bool = False
    unchanged_since: int | None = None


@dataclass(frozen=True, slots=True)
class Copy(Command):
    """COPY, UID COPY  [RFC9051 6.4.7]"""

    uid: bool
    messages: SequenceSet
    mailbox: MailboxName


@dataclass(frozen=True, slots=True)
class Move(Command):
    """MOVE, UID MOVE  [RFC9051 6.4.8]"""

    uid: bool
    messages: SequenceSet
    mailbox: MailboxName
