"""Octets to commands: every table row whole, octet by octet, and with the next command behind it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mas.protocols.managesieve.connection import (
    Atom,
    BadCommand,
    Closed,
    Command,
    Event,
    ManageSieveConnection,
    SaslResponse,
)
from mas.protocols.session import Wait

TABLE: list[tuple[bytes, Event]] = [
    (b"NOOP\r\n", Command("NOOP", ())),
    (b"noop\n", Command("NOOP", ())),
    (b'NOOP "a \\"b\\" \\\\c"\r\n', Command("NOOP", (b'a "b" \\c',))),
    (b'HAVESPACE "x" 99 \r\n', Command("HAVESPACE", (b"x", 99))),
    (b'PUTSCRIPT "x" {6+}\r\nkeep;\n\r\n', Command("PUTSCRIPT", (b"x", b"keep;\n"))),
    (b'PUTSCRIPT "x" {5}\r\nkeep;\r\n', Command("PUTSCRIPT", (b"x", b"keep;"))),
    (b"PUTSCRIPT {1+}\r\nx {0+}\r\n\r\n", Command("PUTSCRIPT", (b"x", b""))),
    (b'AUTHENTICATE "PLAIN" "AGEAYg=="\r\n', Command("AUTHENTICATE", (b"PLAIN", b"AGEAYg=="))),
    (
        b'PUTSCRIPT "x" {101+}\r\n' + b"a" * 101 + b"\r\n",
        BadCommand("a literal is larger than 100 octets", too_big=True),
    ),
    (b"\r\n", BadCommand("expected a command")),
    (b'"x"\r\n', BadCommand("expected a command")),
    (b'NOOP "x\r\n', BadCommand("expected a string or a number")),
    (b'NOOP "x""y"\r\n', BadCommand("expected a space between arguments")),
    (
        b'NOOP "' + b"x" * 1025 + b'"\r\n',
        BadCommand("a quoted string is longer than 1024 octets: send it as a literal"),
    ),
    (b"HAVESPACE x 4294967296\r\n", BadCommand("number is too large")),
    (b"NOOP{1+}\r\nx\r\n", BadCommand("expected a space before a literal")),
    (b'NOOP {1+}\r\nx"y"\r\n', BadCommand("expected a space after a literal")),
    (b"X 1 2 3 4 5 6 7 8 9\r\n", BadCommand("too many arguments")),
]


def connection() -> ManageSieveConnection:
    return ManageSieveConnection(max_line=4096, max_literal=100)


@pytest.mark.parametrize(("octets", "event"), TABLE, ids=[repr(octets[:30]) for octets, _ in TABLE])
def test_commands(octets: bytes, event: Event) -> None:
    whole = connection()
    whole.receive_data(octets)
    assert whole.next_event() == event
    assert whole.next_event() is Wait.NEED_DATA
    assert not whole.buffered

    slow = connection()
    for at in range(len(octets)):
        assert slow.next_event() is Wait.NEED_DATA
        slow.receive_data(octets[at : at + 1])
    assert slow.next_event() == event

    pipelined = connection()
    pipelined.receive_data(octets + b"LOGOUT\r\n")
    assert pipelined.next_event() == event
    assert pipelined.next_event() == Command("LOGOUT", ())


def test_a_line_over_its_limit_loses_the_stream() -> None:
    wire = connection()
    wire.receive_data(b"NOOP " + b"x" * 5000)
    event = wire.next_event()
    assert isinstance(event, BadCommand)
    assert event.fatal
    wire.receive_data(b"\r\nLOGOUT\r\n")
    assert wire.next_event() == Closed()


def test_answers_to_challenges() -> None:
    wire = connection()
    wire.expect_sasl()
    wire.receive_data(b'"AGE="\r\n')
    assert wire.next_event() == SaslResponse(b"AGE=")
    wire.expect_sasl()
    wire.receive_data(b'{4+}\r\nAGE=\r\n"*"\r\n')
    assert wire.next_event() == SaslResponse(b"AGE=")
    wire.expect_sasl()
    assert wire.next_event() == SaslResponse(None)


def test_end_of_stream_drops_half_a_command() -> None:
    wire = connection()
    wire.receive_data(b'PUTSCRIPT "x" {50+}\r\nkeep;')
    wire.receive_data(b"")
    assert wire.next_event() == Closed()


@given(
    st.lists(
        st.binary(max_size=60) | st.sampled_from([b'"', b"{3+}\r\n", b"\r\n", b"NOOP ", b'"a" ', b"{200+}\r\n", b"\\"]),
        max_size=20,
    )
)
def test_any_octets_give_events_and_keep_to_the_limits(chunks: list[bytes]) -> None:
    wire = connection()
    for chunk in chunks:
        if chunk:
            wire.receive_data(chunk)
        while (event := wire.next_event()) is not Wait.NEED_DATA:
            assert isinstance(event, Command | BadCommand | Closed)
            if isinstance(event, Closed):
                return
            if isinstance(event, Command):
                assert all(len(argument) <= 4096 for argument in event.arguments if isinstance(argument, bytes))
                assert not any(isinstance(argument, Atom) and not argument.text for argument in event.arguments)
