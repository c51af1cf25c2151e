"""Every character class, over all 256 octets, against the ABNF written out a second time as what is *not* in it."""

from __future__ import annotations

import re

import pytest

from mas.protocols.imap import abnf

CTL = {*range(0x20), 0x7F}
EIGHT_BIT = set(range(0x80, 0x100))


def everything_but(*excluded: bytes) -> set[int]:
    """Octets 0x00-0xFF without controls, 8-bit octets and those given."""
    return set(range(0x100)) - CTL - EIGHT_BIT - set(b"".join(excluded))


ATOM_SPECIALS = b'({ )%*"\\]'

CLASSES = [
    ("ATOM-CHAR", abnf.ATOM_CHAR, abnf.ATOM, everything_but(ATOM_SPECIALS)),
    ("ASTRING-CHAR", abnf.ASTRING_CHAR, abnf.ASTRING, everything_but(b'({ )%*"\\')),
    ("tag", abnf.TAG_CHAR, abnf.TAG, everything_but(b'({ )%*"\\+')),
    ("list-char", abnf.LIST_CHAR, abnf.LIST_MAILBOX, everything_but(b'({ )"\\')),
    ("sequence-set", abnf.SEQUENCE_CHAR, abnf.SEQUENCE_SET, set(b"0123456789:*,$")),
]


@pytest.mark.parametrize(("octets", "pattern", "expected"), [case[1:] for case in CLASSES], ids=[c[0] for c in CLASSES])
def test_all_octets(octets: frozenset[int], pattern: re.Pattern[bytes], expected: set[int]) -> None:
    assert octets == expected
    assert {octet for octet in range(256) if pattern.fullmatch(bytes([octet]))} == expected


def test_braces() -> None:
    """``}`` is an ATOM-CHAR, ``{`` is not: implementations differ here, the ABNF does not."""
    assert ord("}") in abnf.ATOM_CHAR
    assert ord("{") not in abnf.ATOM_CHAR


def test_quoted() -> None:
    for octet in range(256):
        plain = abnf.QUOTED.fullmatch(b'"' + bytes([octet]) + b'"') is not None
        assert plain == (octet not in b'\0\r\n"\\'), octet
        escaped = abnf.QUOTED.fullmatch(b'"\\' + bytes([octet]) + b'"') is not None
        assert escaped == (octet in b'"\\'), octet


def test_flag() -> None:
    for octet in range(256):
        expected = octet in abnf.ATOM_CHAR
        assert (abnf.FLAG.fullmatch(bytes([octet])) is not None) == expected
        assert (abnf.FLAG.fullmatch(b"\\" + bytes([octet])) is not None) == expected
