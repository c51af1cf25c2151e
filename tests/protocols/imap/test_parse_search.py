"""SEARCH programs."""

from __future__ import annotations

import datetime

import pytest

from mas.protocols.imap.commands import Search, SearchReturn
from mas.protocols.imap.events import BadCommand, Continuation, ImapLimits
from mas.protocols.imap.numset import SAVED, STAR, SequenceSet
from mas.protocols.imap.search_program import (
    Recent,
    SearchAnd,
    SearchKey,
    SearchNot,
    SearchOr,
    Seqnums,
    UidSet,
    resolve_search,
)
from mas.storage import query
from mas.storage.model import ANSWERED, DELETED, FLAGGED, SEEN
from tests.protocols.imap.wire import command, events

DAY = datetime.date(2023, 11, 12)
NEXT_DAY = datetime.date(2023, 11, 13)
UNSEEN = SearchNot(query.SystemFlag(SEEN))

KEYS: list[tuple[bytes, SearchKey]] = [
    (b"ALL", query.All()),
    (b"unseen", UNSEEN),
    (b"ANSWERED", query.SystemFlag(ANSWERED)),
    (b"NEW", SearchAnd((Recent(), UNSEEN))),
    (b"OLD", SearchNot(Recent())),
    (b"RECENT", Recent()),
    (b"ALL FROM x", SearchAnd((query.All(), query.Header("from", "x")))),
    (b"FLAGGED DELETED ", SearchAnd((query.SystemFlag(FLAGGED), query.SystemFlag(DELETED)))),
    (b'SUBJECT "a b"', query.Header("subject", "a b")),
    (b'HEADER Message-ID ""', query.Header("message-id", "")),
    ('TEXT "ü 5"'.encode(), query.Text("ü 5")),  # imap_tools
    ('CHARSET UTF-8 TEXT "ü"'.encode(), query.Text("ü")),
    (b'CHARSET "iso-8859-1" BODY "\xfc"', query.Body("ü")),
    (b"SINCE 12-Nov-2023", query.InternalDate(since=DAY)),
    (b'SINCE "12-Nov-2023"', query.InternalDate(since=DAY)),  # go-imap
    (b"BEFORE 12-nov-2023", query.InternalDate(before=DAY)),
    (b"ON 12-Nov-2023", query.InternalDate(DAY, NEXT_DAY)),
    (b"SENTON 12-Nov-2023", query.SentDate(DAY, NEXT_DAY)),
    (b"SENTSINCE 1-Feb-2024", query.SentDate(since=datetime.date(2024, 2, 1))),
    (b"SAVEDBEFORE 12-Nov-2023", query.SaveDate(before=DAY)),
    (b"SAVEDATESUPPORTED", query.All()),
    (b"LARGER 10 SMALLER 20", SearchAnd((query.Size(larger=10), query.Size(smaller=20)))),
    (b"KEYWORD $Junk UNKEYWORD x", SearchAnd((query.Keyword("$Junk"), SearchNot(query.Keyword("x"))))),
    (b"OLDER 60 YOUNGER 90", SearchAnd((query.Age(min_seconds=60), query.Age(max_seconds=90)))),
    (b"EMAILID M1", query.EmailId("M1")),
    (b"1:3,5", Seqnums(SequenceSet(((1, 3), (5, 5))))),
    (b"*", Seqnums(SequenceSet(((STAR, STAR),)))),
    (b"$", Seqnums(SAVED)),
    (b"UID 1:*", UidSet(SequenceSet(((1, STAR),)))),
    (b"UID $", UidSet(SAVED)),
    (b"NOT (SEEN $)", SearchNot(SearchAnd((query.SystemFlag(SEEN), Seqnums(SAVED))))),
    (b"(ALL)", query.All()),
    (b"( ALL ALL )", SearchAnd((query.All(), query.All()))),
    (b"OR UNSEEN OR 1 ALL", SearchOr((UNSEEN, SearchOr((Seqnums(SequenceSet(((1, 1),))), query.All()))))),
]


@pytest.mark.parametrize(("text", "key"), KEYS)
def test_keys(text: bytes, key: SearchKey) -> None:
    assert command(b"a SEARCH " + text) == Search(b"a", False, key)


def test_modseq() -> None:
    for text in (b"MODSEQ 620162338", b'MODSEQ "/flags/\\\\draft" all 620162338'):  # [RFC7162 3.1.5]
        assert command(b"a UID SEARCH " + text) == Search(b"a", True, query.ModseqAtLeast(620162338), modseq=True)


RETURNS = [
    (b"RETURN () ALL", SearchReturn(all=True)),
    (b"return ( Min max ) ALL", SearchReturn(min=True, max=True)),
    (b"RETURN (SAVE) ALL", SearchReturn(save=True)),
    (b"RETURN (COUNT ALL) CHARSET UTF-8 ALL", SearchReturn(all=True, count=True)),
]


@pytest.mark.parametrize(("text", "returns"), RETURNS)
def test_return(text: bytes, returns: SearchReturn) -> None:
    assert command(b"a SEARCH " + text) == Search(b"a", False, query.All(), returns)


def test_synchronizing_literal_at_the_end() -> None:
    """imaplib."""
    assert events("a SEARCH CHARSET UTF-8 SUBJECT {2}\r\nü\r\n".encode()) == [
        Continuation(b"+ OK\r\n"),
        Search(b"a", False, query.Header("subject", "ü")),
    ]


BAD = [
    b"SEARCH",
    b"SEARCH ()",
    b"SEARCH (ALL",
    b"SEARCH FOO",
    b"SEARCH NOT",
    b"SEARCH OR ALL",
    b"SEARCH FROM",
    b"SEARCH HEADER x",
    b"SEARCH SINCE 31-Feb-2023",
    b"SEARCH SINCE 12-Foo-2023",
    b'SEARCH SINCE "12-Nov-2023',
    b"SEARCH SINCE 2023-11-12",
    b"SEARCH LARGER x",
    b"SEARCH OLDER 0",
    b"SEARCH UID x",
    b"SEARCH 0",
    b"SEARCH MODSEQ",
    b'SEARCH MODSEQ "/flags/x" foo 1',
    b"SEARCH ALLX",
    b"SEARCH ALL)",
    b"SEARCH RETURN ALL",
    b"SEARCH RETURN (FOO) ALL",
    b"SEARCH RETURN () ",
]


@pytest.mark.parametrize("line", BAD)
def test_bad(line: bytes) -> None:
    found = command(b"a " + line)
    assert isinstance(found, BadCommand)
    assert not found.no


def test_charset() -> None:
    found = command(b"a SEARCH CHARSET KOI8-R TEXT x")
    assert isinstance(found, BadCommand)
    assert (found.no, found.code) == (True, b"BADCHARSET (US-ASCII UTF-8)")
    # What the charset has not is found nowhere, and is no error
    assert isinstance(command(b'a SEARCH CHARSET UTF-8 TEXT "\xff"'), Search)


def test_limits() -> None:
    small = ImapLimits(max_nesting=5, max_search_keys=6)
    deep = ImapLimits(max_nesting=5)
    for inner in (b"NOT " * 5, b"(" * 5, b"OR ALL " * 5):
        [found] = events(b"a SEARCH " + inner + b"ALL\r\n", limits=deep)
        assert isinstance(found, BadCommand)
        assert "imap.max_nesting" in found.text
    [found] = events(b"a SEARCH" + b" ALL" * 7 + b"\r\n", limits=small)
    assert isinstance(found, BadCommand)
    assert "imap.max_search_keys" in found.text
    assert isinstance(events(b"a SEARCH" + b" ALL" * 6 + b"\r\n", limits=small)[0], Search)


def test_resolve() -> None:
    search = command(b"a SEARCH OR NOT 1 (UID 2 RECENT) $ SEEN")
    assert isinstance(search, Search)
    asked: list[object] = []

    def seqnums(numbers: SequenceSet) -> query.Uids:
        asked.append(numbers)
        return query.Uids(((10, 10),))

    def uids(numbers: SequenceSet) -> query.Uids:
        asked.append(numbers)
        return query.Uids(((20, 20),))

    def recent() -> query.Uids:
        return query.Uids(((30, 30),))

    assert resolve_search(search.key, seqnums, uids, recent) == query.And(
        (
            query.Or(
                (query.Not(query.Uids(((10, 10),))), query.And((query.Uids(((20, 20),)), query.Uids(((30, 30),)))))
            ),
            query.Uids(((10, 10),)),
            query.SystemFlag(SEEN),
        )
    )
    assert asked == [SequenceSet(((1, 1),)), SequenceSet(((2, 2),)), SAVED]
