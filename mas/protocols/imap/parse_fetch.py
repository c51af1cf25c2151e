"""Arguments of FETCH, UID FETCH, STORE and UID STORE.  [RFC9051 6.4.5, 6.4.6] [RFC3501 6.4.5] [RFC7162 3.1.3, 3.1.4, 3.2.6]

The items of FETCH are a pure function of their octets, and clients ask for the same ones all day: they are parsed once and remembered.
"""

from __future__ import annotations

import re
from functools import lru_cache

from mas.protocols.imap.arguments import parse_flag_list, parse_set
from mas.protocols.imap.commands import Att, Fetch, FetchAtt, Store
from mas.protocols.imap.cursor import Cursor, ParseError
from mas.storage.mime.section import Section, SectionText
from mas.storage.model import StoreOp

CACHED_LENGTH = 512
"""Items longer than this are parsed each time (HEADER.FIELDS lists of some clients have 300 octets)."""

_ITEM = re.compile(rb"[A-Za-z0-9.]+")
_NUMBER = re.compile(rb"[1-9][0-9]{0,9}(?![0-9])")
_PARTIAL = re.compile(rb"<([0-9]{1,19})(?:\.([0-9]{1,19}))?>")

_SIMPLE = {
    att.value.encode("ascii"): FetchAtt(att, att.value.encode("ascii"))
    for att in Att
    if att not in (Att.SECTION, Att.BINARY_SIZE)
}

# Macros  [RFC9051 6.4.5]
_FAST = (b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE")
_MACROS = {
    b"FAST": tuple(_SIMPLE[name] for name in _FAST),
    b"ALL": tuple(_SIMPLE[name] for name in (*_FAST, b"ENVELOPE")),
    b"FULL": tuple(_SIMPLE[name] for name in (*_FAST, b"ENVELOPE", b"BODY")),
}

# The names of RFC 3501 for three sections; they keep their own names in the answer  [RFC3501 6.4.5]
_RFC822 = {
    b"RFC822": FetchAtt(Att.SECTION, b"RFC822", Section(), peek=False),
    b"RFC822.HEADER": FetchAtt(Att.SECTION, b"RFC822.HEADER", Section(text=SectionText.HEADER)),
    b"RFC822.TEXT": FetchAtt(Att.SECTION, b"RFC822.TEXT", Section(text=SectionText.TEXT), peek=False),
}

_MODSEQ = _SIMPLE[b"MODSEQ"]

_Fetched = tuple[tuple[FetchAtt, ...], int | None, bool]


def parse_fetch(cursor: Cursor, tag: bytes, uid: bool) -> Fetch:
    """Parse the arguments of FETCH.  [RFC9051 9] [RFC4466 2.4]

    fetch = "FETCH" SP sequence-set SP ("ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")")
            [SP "(" fetch-modifier *(SP fetch-modifier) ")"]
    """
    messages = parse_set(cursor)
    cursor.sp()
    rest = cursor.rest()
    # A literal (a header field name) makes the octets depend on more than themselves; it is rare.
    if len(rest) <= CACHED_LENGTH and b"{" not in rest:
        items, changed_since, vanished = _cached_items(rest)
    else:
        items, changed_since, vanished = _parse_items(cursor)
    if vanished and not uid:
        raise ParseError("VANISHED is for UID FETCH")  # [RFC7162 3.2.6]
    return Fetch(tag, uid, messages, items, changed_since, vanished)


@lru_cache(maxsize=512)
def _cached_items(rest: bytes) -> _Fetched:
    return _parse_items(Cursor(rest))


def _parse_items(cursor: Cursor) -> _Fetched:
    items: dict[FetchAtt, None] = {}
    if cursor.maybe(b"("):
        cursor.maybe_sp()
        while not cursor.maybe(b")"):
            items[_parse_fetch_att(cursor)] = None
            if not cursor.maybe_sp() and cursor.peek() != b")":
                raise ParseError("Expected fetch item")
        if not items:
            raise ParseError("FETCH list is empty")
    else:
        start = cursor.place
        name = cursor.token(_ITEM, "fetch item").upper()
        if (macro := _MACROS.get(name)) is not None:
            items.update(dict.fromkeys(macro))
        else:
            cursor.place = start
            items[_parse_fetch_att(cursor)] = None
    changed_since, vanished = None, False
    if cursor.maybe_sp() and not cursor.at_end():
        changed_since, vanished = _parse_fetch_modifiers(cursor)
        if changed_since is not None:
            items.setdefault(_MODSEQ)  # CHANGEDSINCE asks for MODSEQ as well [RFC7162 3.1.4.1]
    cursor.end()
    return tuple(items), changed_since, vanished


def _parse_fetch_modifiers(cursor: Cursor) -> tuple[int | None, bool]:
    """``chgsince-fetch-mod = "CHANGEDSINCE" SP mod-sequence-value``, ``rexpunges-fetch-mod = "VANISHED"``  [RFC7162 7]."""
    changed_since: int | None = None
    vanished = False
    cursor.expect(b"(")
    cursor.maybe_sp()
    while not cursor.maybe(b")"):
        word = cursor.word()
        if word == "CHANGEDSINCE" and changed_since is None:
            cursor.sp()
            changed_since = cursor.number()
        elif word == "VANISHED" and not vanished:
            vanished = True
        else:
            raise ParseError(f"Unknown or repeated FETCH modifier {word}")
        if not cursor.maybe_sp() and cursor.peek() != b")":
            raise ParseError("Expected )")
    if vanished and changed_since is None:
        raise ParseError("VANISHED without CHANGEDSINCE")  # MUST [RFC7162 3.2.6]
    return changed_since, vanished


def _parse_fetch_att(cursor: Cursor) -> FetchAtt:
    """One fetch-att.

    fetch-att = "ENVELOPE" / "FLAGS" / "INTERNALDATE" / "RFC822.SIZE" / "BODY" ["STRUCTURE"] / "UID" /
                "BODY" section [partial] / "BODY.PEEK" section [partial] /
                "BINARY" [".PEEK"] section-binary [partial] / "BINARY.SIZE" section-binary
    fetch-att =/ "RFC822" [".HEADER" / ".TEXT"]                                      ; [RFC3501 9]
    fetch-att =/ "MODSEQ" / "SAVEDATE" / "EMAILID" / "THREADID"                      ; [RFC7162 7] [RFC8514 4.2] [RFC8474 7]
    """
    name = cursor.token(_ITEM, "fetch item").upper()
    if cursor.peek() == b"[":
        match name:
            case b"BODY" | b"BODY.PEEK":
                return _parse_section(cursor, name == b"BODY.PEEK")
            case b"BINARY" | b"BINARY.PEEK":
                return _parse_section_binary(cursor, name == b"BINARY.PEEK")
            case b"BINARY.SIZE":
                part = _section_part(cursor)
                written = b"BINARY.SIZE[" + _dotted(part) + b"]"
                return FetchAtt(Att.BINARY_SIZE, written, Section(part, decode=True))
    elif (simple := _SIMPLE.get(name)) is not None:
        return simple
    elif (old := _RFC822.get(name)) is not None:
        return old
    raise ParseError(f"Unknown fetch item {name.decode('ascii')}")


def _dotted(part: tuple[int, ...]) -> bytes:
    return ".".join(map(str, part)).encode("ascii")


def _section_part(cursor: Cursor) -> tuple[int, ...]:
    """``section-binary = "[" [section-part] "]"``"""
    cursor.expect(b"[")
    part = _part_numbers(cursor)
    cursor.expect(b"]")
    return part


def _part_numbers(cursor: Cursor) -> tuple[int, ...]:
    """``section-part = nz-number *("." nz-number)``, maybe none; a "." before section-text is left."""
    part: list[int] = []
    while (found := _NUMBER.match(cursor.text, cursor.place)) is not None:
        part.append(int(found[0]))
        cursor.place = found.end()
        if len(part) > cursor.max_nesting:
            raise ParseError(f"Section is deeper than {cursor.max_nesting} parts (imap.max_nesting)")
        if cursor.peek() != b"." or not _NUMBER.match(cursor.text, cursor.place + 1):
            break
        cursor.place += 1
    return tuple(part)


def _parse_section(cursor: Cursor, peek: bool) -> FetchAtt:
    """Parse ``section [partial]``.

    section         = "[" [section-spec] "]"
    section-spec    = section-msgtext / (section-part ["." section-text])
    section-msgtext = "HEADER" / "HEADER.FIELDS" [".NOT"] SP header-list / "TEXT"
    section-text    = section-msgtext / "MIME"
    header-list     = "(" header-fld-name *(SP header-fld-name) ")"
    """
    cursor.expect(b"[")
    part = _part_numbers(cursor)
    text = SectionText.WHOLE
    fields: tuple[bytes, ...] = ()
    written = _dotted(part)
    if cursor.peek() != b"]":
        if part:
            cursor.expect(b".")
            written += b"."
        word = cursor.token(_ITEM, "section").upper()
        try:
            text = SectionText(word.decode("ascii"))
        except ValueError:
            raise ParseError(f"Unknown section {word.decode('ascii')}") from None
        if text is SectionText.MIME and not part:
            raise ParseError("MIME needs a part number")
        written += word
        if text in (SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT):
            cursor.sp()
            fields = _parse_header_list(cursor)
            # The names as Dovecot writes them back: capitals, one SP, quoted only where an atom cannot be
            written += b" (" + b" ".join([_field_name(field) for field in fields]) + b")"
            fields = tuple(dict.fromkeys([field.lower() for field in fields]))
    cursor.expect(b"]")
    partial, suffix = _parse_partial(cursor)
    return FetchAtt(Att.SECTION, b"BODY[" + written + b"]" + suffix, Section(part, text, fields), partial, peek)


def _field_name(name: bytes) -> bytes:
    upper = name.upper()
    if re.fullmatch(rb"[!#$&'+\-./0-9:;<=>?@A-Z^_`|}~]+", upper):
        return upper
    return b'"' + upper.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def _parse_header_list(cursor: Cursor) -> tuple[bytes, ...]:
    cursor.expect(b"(")
    cursor.maybe_sp()
    fields: list[bytes] = []
    while not cursor.maybe(b")"):
        field = cursor.astring()
        # ftext = %d33-57 / %d59-126 [RFC5322 3.6.8]: anything else is in no header, and CR LF would break the answer's quoting
        if not field or any(octet < 0x21 or octet > 0x7E or octet == 0x3A for octet in field):
            raise ParseError("Invalid header field name")
        fields.append(field)
        if not cursor.maybe_sp() and cursor.peek() != b")":
            raise ParseError("Expected header field name")
    if not fields:
        raise ParseError("Empty header list")
    return tuple(fields)


def _parse_partial(cursor: Cursor) -> tuple[tuple[int, int] | None, bytes]:
    """``partial = "<" number64 "." nz-number64 ">"``; the answer names only the origin."""
    if cursor.peek() != b"<":
        return None, b""
    found = _PARTIAL.match(cursor.text, cursor.place)
    if found is None or found[2] is None:
        raise ParseError("Invalid partial")
    start, count = int(found[1]), int(found[2])
    if start >= 1 << 63 or not 0 < count < 1 << 63:
        raise ParseError("Invalid partial")
    cursor.place = found.end()
    return (start, count), b"<%d>" % start


def _parse_section_binary(cursor: Cursor, peek: bool) -> FetchAtt:
    """``"BINARY" [".PEEK"] section-binary [partial]``"""
    part = _section_part(cursor)
    partial, suffix = _parse_partial(cursor)
    return FetchAtt(Att.SECTION, b"BINARY[" + _dotted(part) + b"]" + suffix, Section(part, decode=True), partial, peek)


_STORE_ITEMS = {
    sign + b"FLAGS" + silent: (op, bool(silent))
    for sign, op in ((b"", StoreOp.REPLACE), (b"+", StoreOp.ADD), (b"-", StoreOp.REMOVE))
    for silent in (b"", b".SILENT")
}


def parse_store(cursor: Cursor, tag: bytes, uid: bool) -> Store:
    """Parse the arguments of STORE.  [RFC9051 9] [RFC7162 3.1.3]

        store           = "STORE" SP sequence-set [SP "(" store-modifier ")"] SP store-att-flags
        store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP (flag-list / (flag *(SP flag)))
        store-modifier  = "UNCHANGEDSINCE" SP mod-sequence-valzer

    ``UNCHANGEDSINCE 1`` without parentheses is no STORE item: BAD, and nothing is changed.
    """
    messages = parse_set(cursor)
    cursor.sp()
    unchanged_since: int | None = None
    if cursor.maybe(b"("):
        cursor.maybe_sp()
        if (word := cursor.word()) != "UNCHANGEDSINCE":
            raise ParseError(f"Unknown STORE modifier {word}")
        cursor.sp()
        unchanged_since = cursor.number()
        cursor.maybe_sp()
        cursor.expect(b")")
        cursor.sp()
    item = _STORE_ITEMS.get(cursor.atom().upper())
    if item is None:
        raise ParseError("Invalid STORE item")
    cursor.sp()
    op, silent = item
    flags = parse_flag_list(cursor, bare=True)
    cursor.end()
    return Store(tag, uid, messages, op, flags, silent, unchanged_since)
