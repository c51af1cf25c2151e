"""THREAD as RFC 5256 and Dovecot 2.3.19 have it; ``threads.json`` holds made-up mailboxes and Dovecot's answers, recorded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mas.storage.mime.thread import (
    Threaded,
    encode_threads,
    thread_orderedsubject,
    thread_references,
    thread_refs,
)

ALGORITHMS = {"REFERENCES": thread_references, "REFS": thread_refs, "ORDEREDSUBJECT": thread_orderedsubject}
RECORDED = json.loads((Path(__file__).parent / "threads.json").read_text())


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("mailbox", range(len(RECORDED)))
def test_as_dovecot(mailbox: int, algorithm: str) -> None:
    messages = [Threaded(*row) for row in RECORDED[mailbox]["messages"]]
    assert encode_threads(ALGORITHMS[algorithm](messages)).decode() == RECORDED[mailbox][algorithm]


def message(number: int, own: str = "", *references: str, subject: str = "", reply: bool = False) -> Threaded:
    return Threaded(number, number * 100, number * 100, own, references, subject, reply)


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([], b""),
        ([message(1)], b"(1)"),
        ([message(1, "a"), message(2, "b", "a"), message(3, "c", "a", "b")], b"(1 2 3)"),
        ([message(1, "a"), message(2, "b", "a"), message(3, "c", "a")], b"(1 (2)(3))"),
        ([message(1, "a", "gone"), message(2, "b", "gone")], b"((1)(2))"),
        ([message(1, "a", "gone", "gone2")], b"(1)"),
        ([message(1, "a", "a")], b"(1)"),
        ([message(1, "a", "b"), message(2, "b", "a")], b"(2 1)"),
        ([message(1, "a"), message(2, "a")], b"(1)(2)"),
        ([message(1, subject="S"), message(2, subject="S", reply=True)], b"(1 2)"),
        ([message(1, subject="S"), message(2, subject="S")], b"((1)(2))"),
        ([message(1, subject="S", reply=True), message(2, subject="S")], b"(2 1)"),
        (
            [message(1, "a", "x", subject="S"), message(2, "b", "x", subject="S"), message(3, subject="S")],
            b"((1)(2)(3))",
        ),
    ],
)
def test_references(messages: list[Threaded], expected: bytes) -> None:
    assert encode_threads(thread_references(messages)) == expected


def test_refs_is_ordered_by_the_newest_message() -> None:
    messages = [message(1, "a"), message(2, "b"), message(3, "c", "a")]
    assert encode_threads(thread_refs(messages)) == b"(2)(1 3)"
    assert encode_threads(thread_references(messages)) == b"(1 3)(2)"


def test_ordered_subject() -> None:
    messages = [message(1, subject="S"), message(2, subject="T"), message(3, subject="S"), message(4, subject="S")]
    assert encode_threads(thread_orderedsubject(messages)) == b"(1 (3)(4))(2)"


IDS = st.sampled_from([*"abcdefgh", ""])


@given(
    st.lists(
        st.builds(
            lambda own, references, time, subject, reply: (own, references, time, subject, reply),
            IDS,
            st.lists(st.sampled_from("abcdefghi"), max_size=4),
            st.integers(0, 5),
            st.sampled_from(["", "S", "T"]),
            st.booleans(),
        ),
        max_size=12,
    ),
    st.sampled_from(sorted(ALGORITHMS)),
)
def test_every_message_is_there_once(rows: list[tuple[str, list[str], int, str, bool]], algorithm: str) -> None:
    messages = [Threaded(i, r[2], r[2], r[0], r[1], r[3], r[4]) for i, r in enumerate(rows, 1)]
    wire = encode_threads(ALGORITHMS[algorithm](messages)).decode()
    assert sorted(int(word) for word in wire.replace("(", " ").replace(")", " ").split()) == [
        m.number for m in messages
    ]
    depth = 0
    for char in wire:
        depth += (char == "(") - (char == ")")
        assert depth >= 0
    assert depth == 0


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_deep_and_wide_mailboxes(algorithm: str) -> None:
    """No recursion, and no square of the number of messages: the test comes to its end."""
    count = 30_000
    chain = [message(i, str(i), str(i - 1), subject="S", reply=True) for i in range(1, count)]
    backwards = [message(i, str(i), str(i + 1), subject=str(i)) for i in range(1, count)]
    star = [message(i, str(i), "x", "y", subject="S") for i in range(1, count)]
    moved = [message(1, "m", *(str(i) for i in range(1, 1000)))] + [
        message(i, str(i - 1), "z") for i in range(2, count)
    ]
    half = count // 2
    grafts = chain[:half] + [
        row
        for i in range(half, count - 1, 2)
        for row in (message(i, f"c{i}", f"p{i}"), message(i + 1, f"p{i}", str(half - 1)))
    ]
    for messages in (chain, backwards, star, moved, grafts):
        wire = encode_threads(ALGORITHMS[algorithm](messages))
        assert wire.count(b"(") == wire.count(b")")
