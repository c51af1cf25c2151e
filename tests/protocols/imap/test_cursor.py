"""Terminals read at a place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mas.protocols.imap.cursor import Cursor, ParseError

READ: list[tuple[str, bytes, object, bytes]] = [
    # terminal, text, value, what is left
    ("atom", b"abc def", b"abc", b" def"),
    ("atom", b"a]", b"a", b"]"),
    ("astring", b"a]b c", b"a]b", b" c"),
    ("astring", b'"a \\"\\\\" x', b'a "\\', b" x"),
    ("astring", b'"\\\\\\""', b'\\"', b""),
    ("astring", b"{3}\r\na\r\n b", b"a\r\n", b" b"),
    ("astring", b"{0+}\r\n", b"", b""),
    ("astring", b"~{2}\r\na\0", b"a\0", b""),
    ("astring", b"~ x", b"~", b" x"),
    ("astring", b"~a{", b"~a", b"{"),
    ("astring", '"ü"'.encode(), "ü".encode(), b""),
    ("nstring", b"nil)", None, b")"),
    ("nstring", b'"NIL"', b"NIL", b""),
    ("number", b"0 ", 0, b" "),
    ("number", b"9223372036854775807", (1 << 63) - 1, b""),
    ("nz_number", b"4294967295", (1 << 32) - 1, b""),
    ("word", b"uNseen)", "UNSEEN", b")"),
    ("sequence_set_text", b"1:*,$ x", b"1:*,$", b" x"),
]


@pytest.mark.parametrize(("terminal", "text", "value", "left"), READ)
def test_read(terminal: str, text: bytes, value: object, left: bytes) -> None:
    for before in (b"", b"xx"):
        cursor = Cursor(before + text, len(before))
        assert getattr(cursor, terminal)() == value
        assert cursor.rest() == left


REFUSED = [
    ("atom", b""),
    ("atom", b'"a"'),
    ("astring", b""),
    ("astring", b"("),
    ("astring", b'"a'),
    ("astring", b'"a\\x"'),
    ("astring", b'"a\r\n"'),
    ("astring", b'"a\0"'),
    ("astring", b"\xc3\xbc"),
    ("astring", b"{3}\r\nab"),
    ("astring", b"{1}\r\n\0"),
    ("astring", b"{1}"),
    ("nstring", b"abc"),
    ("number", b"-1"),
    ("number", b"9223372036854775808"),
    ("number", b"99999999999999999999"),
    ("nz_number", b"0"),
    ("nz_number", b"4294967296"),
    ("sp", b"x"),
    ("sp", b""),
    ("end", b" x"),
]


@pytest.mark.parametrize(("terminal", "text"), REFUSED)
def test_refused(terminal: str, text: bytes) -> None:
    with pytest.raises(ParseError):
        getattr(Cursor(text), terminal)()


def test_single_octets() -> None:
    cursor = Cursor(b"(  x")
    assert cursor.peek() == b"("
    assert not cursor.maybe(b")")
    assert cursor.maybe(b"(")
    assert cursor.maybe_sp()
    assert not cursor.maybe_sp()
    cursor.expect(b"x")
    assert cursor.at_end()
    assert cursor.peek() == b""
    with pytest.raises(ParseError, match="Expected y"):
        cursor.expect(b"y")


@given(st.binary(max_size=60))
def test_nothing_but_parse_error(text: bytes) -> None:
    for terminal in ("atom", "astring", "nstring", "string", "literal", "quoted", "number", "nz_number", "sp", "end"):
        cursor = Cursor(text)
        try:
            getattr(cursor, terminal)()
        except ParseError:
            assert cursor.place <= len(text)
