"""Message sets: parsing, resolving, meeting a mailbox's uids."""

from __future__ import annotations

import itertools
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mas.protocols.imap.cursor import ParseError
from mas.protocols.imap.numset import (
    SAVED,
    STAR,
    SequenceSet,
    encode_numbers,
    encode_sequence_set,
    last_match,
    normalize,
    parse_sequence_set,
    positions_in,
    resolve,
    to_ranges,
    uids_in,
)

PARSED = [
    (b"1", ((1, 1),)),
    (b"2,4:7,9,12:*", ((2, 2), (4, 7), (9, 9), (12, STAR))),
    (b"4:2", ((2, 4),)),
    (b"*:4,5:7", ((4, STAR), (5, 7))),
    (b"*", ((STAR, STAR),)),
    (b"*:*", ((STAR, STAR),)),
    (b"4294967295", ((4294967295, 4294967295),)),
]


@pytest.mark.parametrize(("text", "ranges"), PARSED)
def test_parse(text: bytes, ranges: tuple[tuple[int, int], ...]) -> None:
    parsed = parse_sequence_set(text)
    assert parsed == SequenceSet(ranges)
    assert parse_sequence_set(encode_sequence_set(parsed)) == parsed


def test_saved() -> None:
    assert parse_sequence_set(b"$") is SAVED
    assert encode_sequence_set(SAVED) == b"$"
    assert not SAVED.has_star
    assert resolve(SAVED, 10) == ()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"0",
        b"01",
        b"1,",
        b",1",
        b"1::2",
        b"1:",
        b":1",
        b"1,$",
        b"$:1",
        b"a",
        b"1:2:3",
        b"4294967296",
        b"1" * 30,
        b"**",
    ],
)
def test_refused(text: bytes) -> None:
    with pytest.raises(ParseError):
        parse_sequence_set(text)


def test_limit() -> None:
    assert len(parse_sequence_set(b",".join([b"1"] * 10), 10).ranges) == 10
    with pytest.raises(ParseError, match="max_set_items"):
        parse_sequence_set(b",".join([b"1"] * 11), 10)


def test_what_a_session_asks() -> None:
    parsed = parse_sequence_set(b"3,9:7,12:*")
    assert parsed.has_star
    assert parsed.highest == 12
    assert parse_sequence_set(b"*").highest == 0


RESOLVED = [
    # [RFC9051 9 sequence-set]'s own examples
    (b"2,4:7,9,12:*", 15, ((2, 2), (4, 7), (9, 9), (12, 15))),
    (b"*:4,5:7", 10, ((4, 10),)),
    (b"3291:*", 100, ((100, 3291),)),
    (b"*", 7, ((7, 7),)),
    (b"*", 0, ()),
    (b"1:*", 0, ()),
    (b"1,2,3", 3, ((1, 3),)),
    (b"5,1:3,2:4", 9, ((1, 5),)),
]


@pytest.mark.parametrize(("text", "last", "ranges"), RESOLVED)
def test_resolve(text: bytes, last: int, ranges: tuple[tuple[int, int], ...]) -> None:
    assert resolve(parse_sequence_set(text), last) == ranges


NUMBERS = st.integers(1, 60)
RANGES = st.lists(st.tuples(NUMBERS, NUMBERS).map(lambda pair: (min(pair), max(pair))), max_size=8)


@given(RANGES, st.sets(NUMBERS))
def test_meeting_uids(pairs: list[tuple[int, int]], members: set[int]) -> None:
    ranges = normalize(pairs)
    assert all(low <= high for low, high in ranges)
    assert all(before[1] + 1 < after[0] for before, after in itertools.pairwise(ranges))
    wanted = {number for low, high in pairs for number in range(low, high + 1)}
    uids = array("I", sorted(members))
    assert list(uids_in(ranges, uids)) == sorted(wanted & members)
    assert [uids[place] for start, end in positions_in(ranges, uids) for place in range(start, end)] == sorted(
        wanted & members
    )


@given(st.lists(st.integers(1, 40), max_size=30))
def test_numbers_keep_their_order(numbers: list[int]) -> None:
    assert [number for low, high in to_ranges(numbers) for number in range(low, high + 1)] == numbers


def test_encode_numbers() -> None:
    assert encode_numbers([]) == b""
    assert encode_numbers([5]) == b"5"
    assert encode_numbers(range(1, 20_001)) == b"1:20000"
    assert encode_numbers([1, 2, 4, 6, 7, 8]) == b"1:2,4,6:8"
    assert encode_numbers([1, 3, 2, 4]) == b"1,3,2,4"


@pytest.mark.parametrize(
    ("numbers", "values", "expected"),
    [
        ([(1, 1)], [(1, 1)], 1),
        ([(1, 3)], [(1, 1), (3, 4)], 3),
        ([(3, 3)], [(5, 5)], 5),
        ([(3, 3)], [(4, 4)], 0),
        ([(4, 4)], [(9, 9)], 0),
        ([(1, 4294967295)], [(1, 4294967295)], 1),
        ([(2, 4294967295)], [(3, 4294967295)], 3),
        ([(1, 2), (3, 9)], [(1, 1), (3, 3), (5, 11)], 5),
        ([(1, 9)], [(1, 1)], 1),
        ([], [], 0),
    ],
)
def test_last_match(numbers: list[tuple[int, int]], values: list[tuple[int, int]], expected: int) -> None:
    assert last_match(tuple(numbers), tuple(values), array("I", [1, 3, 5])) == expected


@given(st.sets(st.integers(1, 30)), st.lists(st.tuples(st.integers(1, 12), st.integers(1, 30)), max_size=8))
def test_last_match_is_what_a_loop_finds(uids: set[int], pairs: list[tuple[int, int]]) -> None:
    there = array("I", sorted(uids))
    numbers, values = sorted({number for number, _ in pairs}), sorted({value for _, value in pairs})
    found = [v for n, v in zip(numbers, values, strict=False) if n <= len(there) and there[n - 1] == v]
    assert last_match(normalize((n, n) for n in numbers), normalize((v, v) for v in values), there) == max(
        found, default=0
    )
