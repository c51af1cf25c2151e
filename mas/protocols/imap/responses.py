"""What the server says, as values: status responses with their codes, and the untagged data of mailboxes.

``encode`` turns them into octets. Response codes are ready octets (``Code``) because nothing ever reads them again: constants for those
without an argument, a function for each of the others.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NewType

from mas.protocols.imap.numset import encode_numbers
from mas.storage.model import MailboxName

Code = NewType("Code", bytes)
"""resp-text-code without its brackets."""


class Condition(enum.Enum):
    """resp-cond-state, resp-cond-auth, resp-cond-bye  [RFC9051 7.1]."""

    OK = b"OK"
    NO = b"NO"
    BAD = b"BAD"
    PREAUTH = b"PREAUTH"
    BYE = b"BYE"


# Codes without an argument  [RFC9051 7.1] [RFC5530 3] [RFC7162 7] [RFC9208 4.3.1] [RFC5464 5]

ALERT = Code(b"ALERT")
ALREADYEXISTS = Code(b"ALREADYEXISTS")
AUTHENTICATIONFAILED = Code(b"AUTHENTICATIONFAILED")
AUTHORIZATIONFAILED = Code(b"AUTHORIZATIONFAILED")
CANNOT = Code(b"CANNOT")
CLIENTBUG = Code(b"CLIENTBUG")
CLOSED = Code(b"CLOSED")
CONTACTADMIN = Code(b"CONTACTADMIN")
CORRUPTION = Code(b"CORRUPTION")
EXPIRED = Code(b"EXPIRED")
EXPUNGEISSUED = Code(b"EXPUNGEISSUED")
HASCHILDREN = Code(b"HASCHILDREN")
INUSE = Code(b"INUSE")
LIMIT = Code(b"LIMIT")
METADATA_TOOMANY = Code(b"METADATA TOOMANY")
NOMODSEQ = Code(b"NOMODSEQ")
NONEXISTENT = Code(b"NONEXISTENT")
NOPERM = Code(b"NOPERM")
NOTSAVED = Code(b"NOTSAVED")
OVERQUOTA = Code(b"OVERQUOTA")
PARSE = Code(b"PARSE")
PRIVACYREQUIRED = Code(b"PRIVACYREQUIRED")
READ_ONLY = Code(b"READ-ONLY")
READ_WRITE = Code(b"READ-WRITE")
SERVERBUG = Code(b"SERVERBUG")
TOOBIG = Code(b"TOOBIG")
TRYCREATE = Code(b"TRYCREATE")
UIDNOTSTICKY = Code(b"UIDNOTSTICKY")
UNAVAILABLE = Code(b"UNAVAILABLE")
UNKNOWN_CTE = Code(b"UNKNOWN-CTE")
USEATTR = Code(b"USEATTR")


def badcharset(*charsets: str) -> Code:
    """``BADCHARSET ["(" charset *(SP charset) ")"]``"""
    return Code(b"BADCHARSET (" + " ".join(charsets).encode("ascii") + b")" if charsets else b"BADCHARSET")


def capability(names: bytes) -> Code:
    """``CAPABILITY ...``; ``names`` as ``capabilities`` builds them."""
    return Code(b"CAPABILITY " + names)


def permanentflags(flags: Sequence[bytes]) -> Code:
    """``PERMANENTFLAGS "(" [flag-perm *(SP flag-perm)] ")"``; the caller adds ``\\*``."""
    return Code(b"PERMANENTFLAGS (" + b" ".join(flags) + b")")


def uidnext(uid: int) -> Code:
    """``UIDNEXT nz-number``"""
    return Code(b"UIDNEXT %d" % uid)


def uidvalidity(value: int) -> Code:
    """``UIDVALIDITY nz-number``"""
    return Code(b"UIDVALIDITY %d" % value)


def unseen(seqnum: int) -> Code:
    """``UNSEEN nz-number``: the first unseen message [RFC3501 7.1]"""
    return Code(b"UNSEEN %d" % seqnum)


def highestmodseq(modseq: int) -> Code:
    """``HIGHESTMODSEQ mod-sequence-value``  [RFC7162 7]"""
    return Code(b"HIGHESTMODSEQ %d" % modseq)


def modified(numbers: Sequence[int]) -> Code:
    """``MODIFIED sequence-set``: uids in a UID STORE, else sequence numbers  [RFC7162 3.1.3]"""
    return Code(b"MODIFIED " + encode_numbers(numbers))


def appenduid(uid_validity: int, uids: Sequence[int]) -> Code:
    """``APPENDUID nz-number SP append-uid``  [RFC9051 7.1]"""
    return Code(b"APPENDUID %d %s" % (uid_validity, encode_numbers(uids)))


def copyuid(uid_validity: int, source: Sequence[int], target: Sequence[int]) -> Code:
    """``COPYUID nz-number SP uid-set SP uid-set``, the two sets in step  [RFC9051 7.1]"""
    return Code(b"COPYUID %d %s %s" % (uid_validity, encode_numbers(source), encode_numbers(target)))


def mailboxid(object_id: str) -> Code:
    """``MAILBOXID "(" objectid ")"``  [RFC8474 4.1]"""
    return Code(b"MAILBOXID (" + object_id.encode("ascii") + b")")


def metadata_longentries(size: int) -> Code:
    """``METADATA LONGENTRIES number``: octets of the largest value that was left out  [RFC5464 4.2.1]"""
    return Code(b"METADATA LONGENTRIES %d" % size)


def metadata_maxsize(size: int) -> Code:
    """``METADATA MAXSIZE number``: octets that a value may have  [RFC5464 4.3]"""
    return Code(b"METADATA MAXSIZE %d" % size)


# Untagged data


@dataclass(frozen=True, slots=True)
class ListData:
    """One LIST (or LSUB, XLIST) line  [RFC9051 7.3.1].

    attributes: ``\\HasChildren``, ``\\Junk``, … in the order to be written.
    child_info: CHILDINFO's options (``SUBSCRIBED``) [RFC9051 6.3.9.6]; old_name: OLDNAME [RFC9051 6.3.9.7].
    """

    name: MailboxName
    attributes: tuple[bytes, ...] = ()
    separator: str = "/"
    child_info: tuple[str, ...] = ()
    old_name: MailboxName | None = None


@dataclass(frozen=True, slots=True)
class EsearchData:
    """ESEARCH  [RFC9051 7.3.4]. None (or an empty ``all``) is left out; ``all`` are ascending numbers."""

    tag: bytes
    uid: bool
    min: int | None = None
    max: int | None = None
    all: Sequence[int] | None = None
    count: int | None = None
    modseq: int | None = None


@dataclass(frozen=True, slots=True)
class QuotaResource:
    """``STORAGE 10 512`` of QUOTA  [RFC9208 5.1]; STORAGE in units of 1024 octets."""

    name: str
    usage: int
    limit: int
