"""Mailbox names on the wire and inside: INBOX, modified UTF-7, UTF-8, patterns of LIST.  [RFC9051 5.1] [RFC3501 5.1.3] [RFC6855 3]

Inside, a name is Unicode (``MailboxName``); this is the only module that knows another form. Before a client enables UTF8=ACCEPT or
IMAP4rev2 names are modified UTF-7 in both directions, afterwards UTF-8.

Decoding is strict: a name has one spelling on the wire, and ``encode(decode(x)) == x`` for everything that decodes. Two spellings of one
name would let a client make a mailbox that it cannot find again.
"""

from __future__ import annotations

import codecs
import re
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable

from mas.protocols.imap.cursor import ParseError
from mas.storage.model import INBOX, MailboxName

codecs.lookup("utf-16-be")  # now: a worker without root may not be able to read the standard library any more

# Everything that modified UTF-7 lets stand for itself: %x20-25 / %x27-7E; "&" is "&-"  [RFC3501 5.1.3]
_PLAIN = re.compile(rb"[\x20-\x25\x27-\x7e]*\Z")
_SHIFTED = re.compile(rb"&([A-Za-z0-9+,]*)-")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_TO_ENCODE = re.compile(r"&|[^\x20-\x7e]+")


def parse_mailbox_name(wire: bytes, utf8: bool, max_length: int = 1000) -> MailboxName:
    """A mailbox argument as the name it means; INBOX in any case is INBOX.  [RFC9051 5.1]

    Raises ParseError (NO [CANNOT]) for octets that no name has, and above ``max_length`` octets.
    """
    if len(wire) > max_length:
        raise ParseError(f"Mailbox name is longer than {max_length} octets", no=True, code=b"LIMIT")
    name = decode_name(wire, utf8)
    if name is None:
        text = "Mailbox name is not valid UTF-8" if utf8 else "Mailbox name is not valid mUTF-7"
        raise ParseError(text, no=True, code=b"CANNOT")
    return fold_inbox(name)


def fold_inbox(name: str, separator: str | None = None) -> MailboxName:
    """``inbox`` in any case is INBOX; with a separator also as the first level (``inbox/x``).  [RFC9051 5.1]"""
    if len(name) == 5 and name.upper() == INBOX:
        return INBOX
    if separator and len(name) > 5 and name[5] == separator and name[:5].upper() == INBOX:
        return MailboxName(INBOX + name[5:])
    return MailboxName(name)


def encode_mailbox_name(name: str, utf8: bool) -> bytes:
    """The octets of a name, before quoting (``encode.astring``)."""
    if name.isascii() and "&" not in name:
        return name.encode("ascii")
    return name.encode("utf-8", "replace") if utf8 else encode_mutf7(name)


def decode_name(wire: bytes, utf8: bool) -> str | None:
    """A name or a pattern in Unicode, or None when no name is spelt so. Not normalized: the name on disk is the name."""
    if not utf8:
        if b"&" in wire:
            return decode_mutf7(wire)
        return wire.decode("ascii") if _PLAIN.match(wire) else None
    try:
        text = wire.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if _CONTROL.search(text) else text


def decode_mutf7(wire: bytes) -> str | None:
    """Strict modified UTF-7.  [RFC3501 5.1.3]

    None for 8-bit octets and controls, a shift that is cut, and every spelling that ``encode_mutf7`` would not have chosen: superfluous
    shifts, printable characters in base64, padding bits that are not zero, half a surrogate pair.
    """
    pieces: list[str] = []
    place = 0
    while (shift := wire.find(b"&", place)) >= 0:
        plain = wire[place:shift]
        found = _SHIFTED.match(wire, shift)
        if found is None or not _PLAIN.match(plain):
            return None
        pieces.append(plain.decode("ascii"))
        encoded = found[1]
        try:
            octets = a2b_base64(encoded.replace(b",", b"/") + b"=" * (-len(encoded) % 4))
            pieces.append(octets.decode("utf-16-be") if encoded else "&")
        except (Base64Error, UnicodeDecodeError):
            return None
        place = found.end()
    if not _PLAIN.match(wire, place):
        return None
    text = "".join(pieces) + wire[place:].decode("ascii")
    return text if encode_mutf7(text) == wire and not _CONTROL.search(text) else None


def encode_mutf7(name: str) -> bytes:
    """Modified UTF-7.  [RFC3501 5.1.3]"""

    return _TO_ENCODE.sub(_shifted, name).encode("ascii")


def _shifted(found: re.Match[str]) -> str:
    text = found[0]
    if text == "&":
        return "&-"
    encoded = b2a_base64(text.encode("utf-16-be", "surrogatepass"), newline=False).rstrip(b"=").replace(b"/", b",")
    return f"&{encoded.decode('ascii')}-"


def compile_pattern(reference: str, pattern: str | None, separator: str) -> Callable[[str], bool]:
    """A matcher of names for one pattern of LIST.  [RFC9051 6.3.9]

    ``*`` is any characters, ``%`` any but the separator. INBOX is matched in any case, as the whole name or its first level. The
    reference is put before the pattern, as Dovecot does. A pattern of None (no mailbox is spelt so) matches nothing. The cost is at most
    pattern times name times name: no backtracking, no pattern that takes seconds.
    """
    if pattern is None:
        return lambda name: False
    whole = reference + pattern
    if whole == "*":
        return lambda name: True
    pieces = re.findall(r"[*%]+|[^*%]+", whole)
    match_exact = _pattern_matcher(pieces, separator)
    # The pattern "inbox" or "inBOX/%" means INBOX and its children; only a literal first piece can.
    folded = fold_inbox(pieces[0], separator) if pieces else ""
    match_inbox = _pattern_matcher([folded, *pieces[1:]], separator) if pieces and folded != pieces[0] else match_exact
    upper_pieces = [piece.upper() for piece in pieces]
    match_upper = _pattern_matcher(upper_pieces, separator)

    def matches(name: str) -> bool:
        if name == INBOX:
            return match_upper(name)
        return match_exact(name) or match_inbox(name)

    return matches


def _pattern_matcher(pieces: list[str], separator: str) -> Callable[[str], bool]:
    """What lies between two ``*`` is a segment, matched as far left as it can be: a later ``*`` takes whatever an earlier one left, so
    no choice is ever taken back.
    """
    segments: list[list[str]] = [[]]  # between two "*"
    for piece in pieces:
        if piece[0] in "*%":
            if "*" in piece:
                segments.append([])
            else:
                segments[-1].append("%")
        else:
            segments[-1].append(piece)
    if len(segments) == 1:
        fixed = segments[0]
        return lambda name: _match_segment(fixed, name, 0, separator, True) is not None

    def matches(name: str) -> bool:
        place = _match_segment(segments[0], name, 0, separator, False)
        if place is None:
            return False
        for segment in segments[1:-1]:
            for start in range(place, len(name) + 1):
                end = _match_segment(segment, name, start, separator, False)
                if end is not None:
                    place = end
                    break
            else:
                return False
        last = segments[-1]
        return any(
            _match_segment(last, name, start, separator, True) is not None for start in range(place, len(name) + 1)
        )

    return matches


def _match_segment(segment: list[str], name: str, start: int, separator: str, to_end: bool) -> int | None:
    """Match literal pieces and ``%`` from ``start``; the place after the (shortest) match. Sets of places: no backtracking."""
    places = {start}
    for piece in segment:
        following: set[int] = set()
        if piece == "%":
            for place in places:
                stop = name.find(separator, place)
                following.update(range(place, (len(name) if stop < 0 else stop) + 1))
        else:
            following = {place + len(piece) for place in places if name.startswith(piece, place)}
        places = following
        if not places:
            return None
    if to_end:
        return len(name) if len(name) in places else None
    return min(places)
