"""A search program as the client wrote it, before a session has turned its numbers into uids.  [RFC9051 6.4.4]

Leaves are ``mas.storage.query``'s; And, Or and Not are this module's own, since sequence numbers, uids and ``RECENT`` may stand under them.

Must not know: how it is written on the wire (``parse_search``), the session's view.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mas.protocols.imap.numset import SequenceSet
from mas.storage import query


@dataclass(frozen=True, slots=True)
class Seqnums:
    """sequence-set as a search key: message sequence numbers, or ``$``."""

    messages: SequenceSet


@dataclass(frozen=True, slots=True)
class UidSet:
    """``UID sequence-set`` as a search key."""

    uids: SequenceSet


@dataclass(frozen=True, slots=True)
class Recent:
    """``RECENT``  [RFC3501 6.4.4]; NEW is RECENT and UNSEEN, OLD is NOT RECENT."""


@dataclass(frozen=True, slots=True)
class SearchAnd:
    keys: tuple[SearchKey, ...]


@dataclass(frozen=True, slots=True)
class SearchOr:
    keys: tuple[SearchKey, ...]


@dataclass(frozen=True, slots=True)
class SearchNot:
    key: SearchKey


Leaf = (
    query.All
    | query.SystemFlag
    | query.Keyword
    | query.Header
    | query.Body
    | query.Text
    | query.InternalDate
    | query.SentDate
    | query.SaveDate
    | query.Age
    | query.Size
    | query.ModseqAtLeast
    | query.EmailId
)
SearchKey = Leaf | Seqnums | UidSet | Recent | SearchAnd | SearchOr | SearchNot


def resolve_search(
    key: SearchKey,
    seqnums: Callable[[SequenceSet], query.Uids],
    uids: Callable[[SequenceSet], query.Uids],
    recent: Callable[[], query.Uids],
) -> query.Key:
    """The search program of the store.

    ``seqnums`` and ``uids`` turn a set into uids (``$`` comes to either); ``recent`` tells those with \\Recent.
    """
    match key:
        case SearchAnd(keys):
            return query.And(tuple([resolve_search(each, seqnums, uids, recent) for each in keys]))
        case SearchOr(keys):
            return query.Or(tuple([resolve_search(each, seqnums, uids, recent) for each in keys]))
        case SearchNot(inner):
            return query.Not(resolve_search(inner, seqnums, uids, recent))
        case Seqnums(messages):
            return seqnums(messages)
        case UidSet(messages):
            return uids(messages)
        case Recent():
            return recent()
        case _:
            return key
