"""Framing: every table three ways (whole, octet by octet, with more behind it), and any message through smtplib's own stuffing."""

from __future__ import annotations

import smtplib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mas.protocols.lmtp.connection import Closed, Event, LmtpConnection, MessageEnd, MessageOctets
from mas.protocols.lmtp.grammar import BadCommand, Bdat, Data, Noop, Quit, Rset
from mas.protocols.session import Wait


def drain(connection: LmtpConnection) -> list[Event]:
    """Events until the connection wants more; DATA is always accepted."""
    events: list[Event] = []
    while True:
        event = connection.next_event()
        if isinstance(event, Wait):
            return events
        events.append(event)
        if isinstance(event, Data):
            connection.begin_data()
        if isinstance(event, Closed):
            return events


def joined(events: list[Event]) -> list[object]:
    """Neighbouring pieces of a message as one bytes."""
    found: list[object] = []
    for event in events:
        if isinstance(event, MessageOctets):
            assert event.octets
            if found and isinstance(found[-1], bytes):
                found[-1] += event.octets
            else:
                found.append(event.octets)
        else:
            found.append(event)
    return found


def feed(wire: bytes, size: int, max_line: int = 64) -> list[object]:
    connection = LmtpConnection(max_line)
    events: list[Event] = []
    for start in range(0, len(wire), size):
        connection.receive_data(wire[start : start + size])
        events += drain(connection)
    return joined(events)


END = MessageEnd()
TOO_LONG = BadCommand(500, "5.5.2", "Line is longer than 64 octets")

CASES: list[tuple[bytes, list[object]]] = [
    (b"NOOP\r\n", [Noop()]),
    (b"NOOP\n", [Noop()]),
    (b"NOOP\r\nRSET\r\nQUIT\r\n", [Noop(), Rset(), Quit()]),
    (b"NOOP " + b"x" * 59 + b"\n", [Noop()]),
    (b"NOOP " + b"x" * 60 + b"\nNOOP\r\n", [TOO_LONG, Noop()]),
    (b"x" * 5000 + b"\r\nNOOP\r\n", [TOO_LONG, Noop()]),
    (b"DATA\r\n.\r\nQUIT\r\n", [Data(), END, Quit()]),
    (b"DATA\r\na\r\n.\r\nQUIT\r\n", [Data(), b"a\r\n", END, Quit()]),
    (b"DATA\r\n\r\n.\r\nNOOP\r\n", [Data(), b"\r\n", END, Noop()]),
    (b"DATA\r\n..\r\n.\r\nNOOP\r\n", [Data(), b".\r\n", END, Noop()]),
    (b"DATA\r\n..a\r\n...\r\n.\r\n", [Data(), b".a\r\n..\r\n", END]),
    (b"DATA\r\n.a\r\n.\r\n", [Data(), b"a\r\n", END]),
    (b"DATA\r\na.\r\nb\r\n.\r\n", [Data(), b"a.\r\nb\r\n", END]),
    (b"DATA\r\n.\r.\r\n.\r\n", [Data(), b"\r.\r\n", END]),
    (b"DATA\r\n\r\r\n.\r\n", [Data(), b"\r\r\n", END]),
    (b"DATA\r\n\r\n\r\n\r\n.\r\n", [Data(), b"\r\n\r\n\r\n", END]),
    (b"DATA\r\nNOOP\r\n.\r\nNOOP\r\n", [Data(), b"NOOP\r\n", END, Noop()]),
    # what ends other programs' messages is text here
    (b"DATA\r\na\n.\nNOOP\r\n.\r\n", [Data(), b"a\n.\nNOOP\r\n", END]),
    (b"DATA\r\na\n.\r\nNOOP\r\n.\r\n", [Data(), b"a\n.\r\nNOOP\r\n", END]),
    (b"DATA\r\na\r\n.\nNOOP\r\n.\r\n", [Data(), b"a\r\n\nNOOP\r\n", END]),
    (b"DATA\r\na\r.\rNOOP\r\n.\r\n", [Data(), b"a\r.\rNOOP\r\n", END]),
    (b"DATA\r\na\r\n.\rNOOP\r\n.\r\n", [Data(), b"a\r\n\rNOOP\r\n", END]),
    (b"DATA\r\na\r.\r\nNOOP\r\n.\r\n", [Data(), b"a\r.\r\nNOOP\r\n", END]),
    (b"DATA\r\n\n.\r\nNOOP\r\n.\r\n", [Data(), b"\n.\r\nNOOP\r\n", END]),
    (b"DATA\r\na\r\n\x00.\r\n.\r\n", [Data(), b"a\r\n\x00.\r\n", END]),
    (b"BDAT 0 LAST\r\nNOOP\r\n", [Bdat(0, True), END, Noop()]),
    (
        b"BDAT 5\r\n.\r\n.\rBDAT 2 LAST\r\n\r\nNOOP\r\n",
        [Bdat(5), b".\r\n.\r", END, Bdat(2, True), b"\r\n", END, Noop()],
    ),
    (b"BDAT 3 LAST\nabcNOOP\r\n", [Bdat(3, True), b"abc", END, Noop()]),
]


@pytest.mark.parametrize(("wire", "expected"), CASES)
def test_framing(wire: bytes, expected: list[object]) -> None:
    assert feed(wire, len(wire)) == expected
    assert feed(wire, 1) == expected
    for size in (2, 3, 5):
        assert feed(wire, size) == expected
    assert feed(wire + b"NOO", len(wire) + 3) == expected


@pytest.mark.parametrize(("wire", "expected"), CASES)
def test_every_split_in_two(wire: bytes, expected: list[object]) -> None:
    for cut in range(1, len(wire)):
        connection = LmtpConnection(64)
        connection.receive_data(wire[:cut])
        events = drain(connection)
        connection.receive_data(wire[cut:])
        assert joined(events + drain(connection)) == expected, cut


def test_end_of_stream_is_told_after_what_is_complete() -> None:
    for wire, expected in ((b"NOOP\r\nNOO", [Noop(), Closed()]), (b"DATA\r\nabc\r", [Data(), b"abc", Closed()])):
        connection = LmtpConnection()
        connection.receive_data(wire)
        connection.receive_data(b"")
        assert joined(drain(connection)) == expected
        assert connection.next_event() == Closed()


def test_data_that_was_not_accepted_is_commands() -> None:
    connection = LmtpConnection()
    connection.receive_data(b"DATA\r\nNOOP\r\n")
    assert connection.next_event() == Data()
    assert connection.next_event() == Noop()


def test_discard_input() -> None:
    connection = LmtpConnection()
    connection.receive_data(b"NOOP\r\nRSET\r\nNO")
    assert connection.next_event() == Noop()
    before = connection.buffered
    connection.discard_input()
    assert (before, connection.buffered) == (True, False)
    connection.receive_data(b"QUIT\r\n")
    assert connection.next_event() == Quit()


def test_a_long_line_is_not_gathered() -> None:
    connection = LmtpConnection(64)
    for _ in range(1000):
        connection.receive_data(b"x" * 1000)
        assert connection.next_event() is Wait.NEED_DATA
        assert not connection.buffered


def test_data_is_told_as_it_comes() -> None:
    connection = LmtpConnection()
    connection.receive_data(b"DATA\r\n")
    assert drain(connection) == [Data()]
    for piece in (b"abc", b"x" * 70_000, b"\r\n", b"a\r\n..b"):
        connection.receive_data(piece)
        assert drain(connection) == [MessageOctets(piece.replace(b"..", b"."))]


TEXT = st.lists(
    st.sampled_from([b".", b"\r", b"\n", b"\r\n", b"\r\n.", b".\r\n", b"a", b"\r\n.\r\n", b"\0"]), max_size=30
)
SIZES = st.lists(st.integers(1, 7), min_size=1, max_size=20)


@given(TEXT, SIZES)
def test_stuffing_round_trip(pieces: list[bytes], sizes: list[int]) -> None:
    """What a correct sender stuffs comes out as it was, whatever the borders of the chunks."""
    text = b"".join(pieces)
    # The sender: a dot at the start of each line (after CR LF and at the very start) is doubled, then the end mark.
    stuffed = (b"." if text.startswith(b".") else b"") + text.replace(b"\r\n.", b"\r\n..")
    whole = text if text.endswith(b"\r\n") or not text else text + b"\r\n"
    wire = b"DATA\r\n" + stuffed + (b"" if text.endswith(b"\r\n") or not text else b"\r\n") + b".\r\nQUIT\r\n"
    connection = LmtpConnection()
    events: list[Event] = []
    at = turn = 0
    while at < len(wire):
        size = sizes[turn % len(sizes)]
        connection.receive_data(wire[at : at + size])
        events += drain(connection)
        at, turn = at + size, turn + 1
    assert joined(events) == [Data(), *([whole] if whole else []), END, Quit()]


@given(st.text(alphabet=".\n a", max_size=60))
def test_what_smtplib_sends(text: str) -> None:
    octets = smtplib._fix_eols(text).encode()  # type: ignore[attr-defined]
    wire = smtplib._quote_periods(octets)  # type: ignore[attr-defined]
    if not wire.endswith(b"\r\n"):
        wire += b"\r\n"
        octets += b"\r\n"
    assert feed(b"DATA\r\n" + wire + b".\r\n", 3) == [Data(), octets, END]


@given(
    st.lists(
        st.one_of(st.binary(max_size=40), st.sampled_from([b"DATA\r\n", b"BDAT 9\r\n", b"\r\n.\r\n", b"\n"])),
        max_size=20,
    )
)
def test_any_octets(pieces: list[bytes]) -> None:
    connection = LmtpConnection(64)
    for piece in pieces:
        if piece:
            connection.receive_data(piece)
            for _ in range(200):
                if connection.next_event() is Wait.NEED_DATA:
                    break
            else:
                raise AssertionError("events without end")
    connection.receive_data(b"")
    assert drain(connection)[-1] == Closed()
