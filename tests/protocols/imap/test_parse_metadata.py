"""GETMETADATA and SETMETADATA."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mas.protocols.imap.commands import Command, GetMetadata, SetMetadata
from mas.protocols.imap.cursor import Cursor, ParseError
from mas.protocols.imap.events import BadCommand
from mas.protocols.imap.parse_metadata import parse_getmetadata, parse_setmetadata
from mas.storage.model import INBOX, MailboxName
from tests.protocols.imap.wire import command

SERVER = MailboxName("")
CASES: list[tuple[bytes, Command]] = [
    (b'GETMETADATA "" /shared/comment', GetMetadata(b"a", SERVER, ("/shared/comment",))),
    (b"getmetadata inbox (/Shared/A /private/b /shared/a)", GetMetadata(b"a", INBOX, ("/shared/a", "/private/b"))),
    (b'GETMETADATA (MAXSIZE 1024) INBOX ("/private/a b")', GetMetadata(b"a", INBOX, ("/private/a b",), 0, 1024)),
    (b"GETMETADATA (depth Infinity MAXSIZE 0) INBOX /private", GetMetadata(b"a", INBOX, ("/private",), None, 0)),
    (b'GETMETADATA "INBOX" (DEPTH 1) (/private/x)', GetMetadata(b"a", INBOX, ("/private/x",), 1)),
    (b"GETMETADATA INBOX /private/a /private/b", GetMetadata(b"a", INBOX, ("/private/a", "/private/b"))),
    (b"GETMETADATA INBOX {10+}\r\n/private/a ", GetMetadata(b"a", INBOX, ("/private/a",))),
    (b'SETMETADATA "" (/private/a "x")', SetMetadata(b"a", SERVER, {"/private/a": b"x"})),
    (b"SETMETADATA INBOX (/private/A nil)", SetMetadata(b"a", INBOX, {"/private/a": None})),
    (b'SETMETADATA INBOX (/private/a "x" /private/A ~{1+}\r\n\0)', SetMetadata(b"a", INBOX, {"/private/a": b"\0"})),
    (b'SETMETADATA INBOX (/shared/vendor/v/x "")', SetMetadata(b"a", INBOX, {"/shared/vendor/v/x": b""})),
]
WRONG = [
    b"GETMETADATA",
    b"GETMETADATA INBOX",
    b"GETMETADATA INBOX ()",
    b"GETMETADATA INBOX (/private/a",
    b"GETMETADATA INBOX (/private/a) x",
    b"GETMETADATA (MAXSIZE) INBOX /private/a",
    b"GETMETADATA (MAXSIZE x) INBOX /private/a",
    b"GETMETADATA (DEPTH 2) INBOX /private/a",
    b"GETMETADATA INBOX private/a",
    b"GETMETADATA INBOX /privatea",
    b"GETMETADATA INBOX /",
    b'GETMETADATA INBOX ""',
    b'GETMETADATA INBOX "/private/%"',
    b'GETMETADATA INBOX "/private/\x19"',
    b'GETMETADATA INBOX "/private/\xc3\xbc"',
    b"SETMETADATA INBOX",
    b"SETMETADATA INBOX ()",
    b"SETMETADATA INBOX (/private/a)",
    b'SETMETADATA INBOX (/private/a "x"',
    b'SETMETADATA INBOX (/private/a "x") y',
    b"SETMETADATA INBOX (/private/a x)",
    b'SETMETADATA INBOX (/private "x")',
    b'SETMETADATA INBOX (/shared/vendor/v "x")',
    b'SETMETADATA INBOX /private/a "x"',
    b"SETMETADATA INBOX (/private/a {1+}\r\n\0)",
]


@pytest.mark.parametrize(("line", "value"), CASES)
def test_value(line: bytes, value: Command) -> None:
    assert command(b"a " + line) == value


@pytest.mark.parametrize("line", WRONG)
def test_bad(line: bytes) -> None:
    found = command(b"a " + line)
    assert isinstance(found, BadCommand)
    assert not found.no


@given(st.one_of(st.binary(max_size=60), st.text('()"/ privateshd{}0123456789MAXSIZEDPTHNIL\\', max_size=80)))
def test_anything(text: bytes | str) -> None:
    octets = text.encode() if isinstance(text, str) else text
    for parse in (parse_getmetadata, parse_setmetadata):
        try:
            parse(Cursor(b"INBOX " + octets), b"a")
        except ParseError:
            continue
