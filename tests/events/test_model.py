"""Events and their lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mas.events.model import Cause, MailEvent, parse_line

UIDS = st.lists(st.integers(1, 2**32 - 1), max_size=5).map(tuple)
EVENTS = st.builds(
    MailEvent,
    st.text(),
    st.sampled_from(Cause),
    st.text(),
    st.integers(1, 2**32 - 1),
    UIDS,
    st.floats(0, 1e10),
    st.text(),
    st.just(()),
    st.lists(st.text()).map(tuple),
    st.lists(st.text()).map(tuple),
)


@given(EVENTS)
def test_there_and_back(event: MailEvent) -> None:
    line = event.line()
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert parse_line(line) == event
    assert parse_line(line[:-2]) is None


@given(st.binary())
def test_other_bytes_are_no_event(line: bytes) -> None:
    assert parse_line(line) is None


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"{}",
        b'{"user":"k","cause":"OTHER","mailbox":"x","uid_validity":1,"uids":[1],"at":1}',
        b'{"user":1,"cause":"COPY","mailbox":"x","uid_validity":1,"uids":[1],"at":1}',
        b'{"user":"k","cause":"COPY","mailbox":"x","uid_validity":1,"uids":[0],"at":1}',
        b'{"user":"k","cause":"COPY","mailbox":"x","uid_validity":1,"uids":"1","at":1}',
        b'{"user":"k","cause":"COPY","mailbox":"x","uid_validity":1,"uids":[1],"source_uids":[1,2],"at":1}',
    ],
)
def test_lines_that_are_no_event(line: bytes) -> None:
    assert parse_line(line) is None


def test_a_line_of_a_later_version() -> None:
    line = b'{"user":"k","cause":"COPY","mailbox":"x","uid_validity":1,"uids":[1],"at":1,"new":[]}'
    assert parse_line(line) == MailEvent("k", Cause.COPY, "x", 1, (1,), 1)


def test_pieces() -> None:
    event = MailEvent("k", Cause.COPY, "x", 1, (1, 2, 3), 0.0, "y", (4, 5, 6))
    assert [(piece.uids, piece.source_uids) for piece in event.pieces(2)] == [((1, 2), (4, 5)), ((3,), (6,))]
    assert list(event.pieces(3)) == [event]
