"""Arguments of GETMETADATA and SETMETADATA.  [RFC5464 5]"""

from __future__ import annotations

import re

from mas.protocols.imap.arguments import parse_mailbox
from mas.protocols.imap.commands import GetMetadata, SetMetadata
from mas.protocols.imap.cursor import Cursor, ParseError

_DEPTHS = {"0": 0, "1": 1, "INFINITY": None}
_WRONG = re.compile(rb"[^\x1a-\x7e]|[*%]")


def parse_getmetadata(cursor: Cursor, tag: bytes) -> GetMetadata:
    """``getmetadata = "GETMETADATA" [SP getmetadata-options] SP mailbox SP entries``

    entries = entry / "(" entry *(SP entry) ")"

    Deviation: options behind the mailbox, and several entries without parentheses: so are the RFC's own examples [RFC5464 4.2.1, 4.4.1].
    """
    options: dict[str, int | None] = {}
    if cursor.peek() == b"(":
        _parse_options(cursor, options)
        cursor.sp()
    mailbox = parse_mailbox(cursor)
    cursor.sp()
    if re.match(rb"\( *[A-Za-z]", cursor.rest()):
        _parse_options(cursor, options)
        cursor.sp()
    entries: dict[str, None] = {}
    if cursor.maybe(b"("):
        cursor.maybe_sp()
        while not cursor.maybe(b")"):
            entries[_entry(cursor)] = None
            if not cursor.maybe_sp() and cursor.peek() != b")":
                raise ParseError("Expected )")
    else:
        while cursor.place < len(cursor.text):
            entries[_entry(cursor)] = None
            if not cursor.maybe_sp():
                break
    cursor.end()
    if not entries:
        raise ParseError("Missing entry name")
    return GetMetadata(tag, mailbox, tuple(entries), options.get("DEPTH", 0), options.get("MAXSIZE"))


def _parse_options(cursor: Cursor, options: dict[str, int | None]) -> None:
    """``getmetadata-options = "(" getmetadata-option *(SP getmetadata-option) ")"``

    maxsize-opt = "MAXSIZE" SP number
    scope-opt   = "DEPTH" SP ("0" / "1" / "infinity")
    """
    cursor.expect(b"(")
    cursor.maybe_sp()
    while not cursor.maybe(b")"):
        word = cursor.word()
        cursor.sp()
        if word == "MAXSIZE":
            options[word] = cursor.number()
        elif word == "DEPTH":
            depth = cursor.word()
            if depth not in _DEPTHS:
                raise ParseError("DEPTH is 0, 1 or infinity")
            options[word] = _DEPTHS[depth]
        else:
            raise ParseError(f"Unknown GETMETADATA option {word}")
        if not cursor.maybe_sp() and cursor.peek() != b")":
            raise ParseError("Expected )")


def parse_setmetadata(cursor: Cursor, tag: bytes) -> SetMetadata:
    """``setmetadata = "SETMETADATA" SP mailbox SP entry-values``

    entry-values = "(" entry SP value *(SP entry SP value) ")"
    value        = nstring / literal8

    Of an entry that is named twice the last value stands.
    """
    mailbox = parse_mailbox(cursor)
    cursor.sp()
    cursor.expect(b"(")
    cursor.maybe_sp()
    values: dict[str, bytes | None] = {}
    while not cursor.maybe(b")"):
        entry = _entry(cursor)
        # Names have two components at least, vendors' names four [RFC5464 3.2]
        parts = entry.split("/")
        if len(parts) < 3 or (parts[2] == "vendor" and len(parts) < 5):
            raise ParseError("Entry name is too short")
        cursor.sp()
        values[entry] = cursor.nstring()
        if not cursor.maybe_sp() and cursor.peek() != b")":
            raise ParseError("Expected )")
    cursor.end()
    if not values:
        raise ParseError("Missing entry name")
    return SetMetadata(tag, mailbox, values)


def _entry(cursor: Cursor) -> str:
    """``entry = astring``: slash-separated, in a scope, without what the RFC forbids in names; case-insensitive [RFC5464 3.2]."""
    octets = cursor.astring()
    if _WRONG.search(octets):
        raise ParseError("Invalid character in entry name")
    entry = octets.decode("ascii").lower()
    if "//" in entry or entry.endswith("/"):
        raise ParseError("Empty component in entry name")
    if entry.split("/")[:2] not in (["", "private"], ["", "shared"]):
        raise ParseError("Entry name must begin with /private or /shared")
    return entry
