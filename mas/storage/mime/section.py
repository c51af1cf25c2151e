"""Which octets of a message a client asks for: ``BODY[...]`` and ``BINARY[...]`` by meaning, and where they are.

Everything is answered from the packed table of parts and the file: nothing is parsed again, but for the transfer encoding of BINARY and
the fields of HEADER.FIELDS. A section that does not exist has no octets: ``b""`` [RFC9051 6.4.5]. A header without its blank line is
served as it is. What is stored with LF is served with CRLF; NUL, which no literal may hold, is served as 0x80, except by BINARY.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mas.storage.mime import parts
from mas.storage.mime.decode import decoded
from mas.storage.mime.header import header_fields, served
from mas.storage.mime.parts import Part
from mas.storage.mime.window import Data

CHUNK = 65_536


class SectionText(enum.Enum):
    """The last word of a section-spec [RFC9051 9 section-text]; WHOLE when there is none."""

    WHOLE = ""
    HEADER = "HEADER"
    HEADER_FIELDS = "HEADER.FIELDS"
    HEADER_FIELDS_NOT = "HEADER.FIELDS.NOT"
    TEXT = "TEXT"
    MIME = "MIME"


@dataclass(frozen=True, slots=True)
class Section:
    """A section of a message.

    part: part numbers from 1; empty = the message itself.
    fields: header field names in lower case, for the two FIELDS forms.
    decode: undo the Content-Transfer-Encoding (BINARY [RFC9051 6.4.5.1]).
    """

    part: tuple[int, ...] = ()
    text: SectionText = SectionText.WHOLE
    fields: tuple[bytes, ...] = ()
    decode: bool = False


@dataclass(frozen=True, slots=True)
class Extent:
    """Where a section lies: ``start`` to ``end`` in the file, ``size`` octets as served (equal to end - start when stored with CRLF).

    encoding: of the part, an index of ``parts.ENCODINGS``; only BINARY looks at it.
    """

    start: int
    end: int
    size: int
    encoding: int = parts.IDENTITY


def resolve(packed: bytes, section: Section) -> Extent | None:
    """The stretch of the file that ``section`` is made of; None when it does not exist.

    For the FIELDS forms it is the header that the fields are taken from. Raises ValueError for a table that is not one.
    """
    table = parts.unpack(packed)
    text = section.text
    number = find_part(table, section.part)
    if number < 0:
        return None
    part = table[number]
    if section.part:
        if text is SectionText.WHOLE:
            return Extent(part.body_start, part.end, part.body_served, part.encoding)
        if text is not SectionText.MIME:
            # HEADER and TEXT of a part are those of the message in it [RFC9051 6.4.5.1].
            if not part.flags & parts.MESSAGE or number + 1 >= len(table):
                return None
            part = table[number + 1]
    elif text is SectionText.WHOLE:
        return Extent(part.start, part.end, part.header_served + part.body_served)
    if text is SectionText.TEXT:
        return Extent(part.body_start, part.end, part.body_served)
    return Extent(part.start, part.body_start, part.header_served)


def find_part(table: tuple[Part, ...], numbers: tuple[int, ...]) -> int:
    """The row of a part; -1 when there is none.

    Numbers count the parts of a multipart, or of the multipart in a message. What is no multipart has one part, 1, which is itself: the
    body of a message, as the RFC says; and of a plain part too, as Dovecot says, but once only.
    """
    row = 0
    last = len(numbers) - 1
    for place, number in enumerate(numbers):
        part = table[row]
        if place and part.flags & parts.MESSAGE and row + 1 < len(table):
            row += 1
            part = table[row]
        if part.flags & parts.MULTIPART:
            row = _child(table, row, number)
            if row < 0:
                return -1
        elif number != 1 or (place != last and not part.flags & parts.MESSAGE):
            return -1
    return row


def _child(table: tuple[Part, ...], parent: int, number: int) -> int:
    seen = 0
    for row in range(parent + 1, len(table)):
        above = table[row].parent
        if above == parent:
            seen += 1
            if seen == number:
                return row
        elif above < parent:
            break
    return -1


def section_octets(data: Data, packed: bytes, section: Section) -> bytes:
    """All octets of a section, as served. Raises UnknownEncoding (decode only)."""
    extent = resolve(packed, section)
    if extent is None:
        return b""
    if section.decode:
        return b"".join(binary_chunks(data, extent))
    found = served(data[extent.start : extent.end])
    if section.text is SectionText.HEADER_FIELDS:
        return header_fields(found, section.fields, False)
    if section.text is SectionText.HEADER_FIELDS_NOT:
        return header_fields(found, section.fields, True)
    return found


def served_chunks(data: Data, extent: Extent) -> Iterator[bytes]:
    """The octets of an extent as served, ``extent.size`` in all, in pieces of at most twice CHUNK."""
    return _chunks(data, extent, served)


def binary_chunks(data: Data, extent: Extent) -> Iterator[bytes]:
    """The octets of an extent decoded, NULs and all, in pieces; how many is only known at the end. Raises UnknownEncoding."""
    return decoded(_chunks(data, extent, with_crlf), extent.encoding, strict=True)


def search_chunks(data: Data, extent: Extent) -> Iterator[bytes]:
    """As binary_chunks, but what cannot be decoded is left out. Raises UnknownEncoding when nothing can."""
    return decoded(_chunks(data, extent, with_crlf), extent.encoding, strict=False)


def with_crlf(data: bytes) -> bytes:
    """CRLF line ends, and nothing else changed."""
    if data.count(b"\n") == data.count(b"\r\n"):
        return data
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _chunks(data: Data, extent: Extent, convert: Callable[[bytes], bytes]) -> Iterator[bytes]:
    at = extent.start
    while at < extent.end:
        end = min(at + CHUNK, extent.end)
        piece = data[at:end]
        if end < extent.end and piece.endswith(b"\r") and len(piece) > 1:
            piece = piece[:-1]  # a line end stays in one piece
        at += len(piece)
        yield convert(piece)
