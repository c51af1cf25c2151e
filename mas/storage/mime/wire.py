"""Strings as IMAP writes them.  [RFC9051 4.3]

    string  = quoted / literal
    nstring = string / nil

A quoted string holds 7-bit text without CR, LF and NUL; everything else, and what is long, becomes a literal. Octets above 0x7F go out
as they are in the message: a client of IMAP4rev1 expects the octets, and a literal may hold them in both versions of the protocol.
"""

from __future__ import annotations

import re

MAX_QUOTED = 1000
"""Longer strings are literals: some clients read lines with a fixed limit."""

_SPECIAL = re.compile(rb'[\x00\r\n"\\\x80-\xff]')
_NEEDS_LITERAL = re.compile(rb"[\x00\r\n\x80-\xff]")


def string(value: bytes) -> bytes:
    """``value`` must not hold NUL: no IMAP string can."""
    if len(value) <= MAX_QUOTED:
        if _SPECIAL.search(value) is None:
            return b'"%b"' % value
        if _NEEDS_LITERAL.search(value) is None:
            return b'"%b"' % value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return b"{%d}\r\n%b" % (len(value), value)


def nstring(value: bytes | None) -> bytes:
    return b"NIL" if value is None else string(value)


def collapsed(value: bytes) -> bytes:
    """One space for each run of white space, none at the ends."""
    return b" ".join(value.split())
