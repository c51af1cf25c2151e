"""Where the parts of a message lie, packed into a few octets a part: what ``section`` needs to serve any BODY[...] without a parse.

Layout: one octet of version, then a row for each part in the order of the message (a part before its children). Numbers are unsigned,
32 bits wide, or 64 in messages of 4 GB and more (version 2).

    row = parent flags start header body header_served body_served

parent: row number, the root is its own. start: offset in the file. header and body: octets in the file; the body begins where the header
ends. ``…_served``: the same in octets as served, with CRLF line ends.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

MULTIPART = 1
MESSAGE = 2
TEXT = 4
HTML = 8
MESSAGE_TEXT = 16
"""message/* that is no message to look into, such as message/delivery-status: text for SEARCH."""
ENCODING_SHIFT = 5
"""Above this bit: the transfer encoding, an index of ENCODINGS."""

ENCODINGS = ("identity", "base64", "quoted-printable", "uuencode", "unknown")
IDENTITY, BASE64, QUOTED_PRINTABLE, UUENCODE, UNKNOWN = range(5)


class Part(NamedTuple):
    """One row; all numbers in octets."""

    parent: int
    flags: int
    start: int
    header: int
    body: int
    header_served: int
    body_served: int

    @property
    def body_start(self) -> int:
        return self.start + self.header

    @property
    def end(self) -> int:
        return self.start + self.header + self.body

    @property
    def encoding(self) -> int:
        return self.flags >> ENCODING_SHIFT


Row = tuple[int, int, int, int, int, int, int]

_NARROW = struct.Struct("<7I")
_WIDE = struct.Struct("<7Q")


def pack(rows: Iterable[Row], size: int) -> bytes:
    """``size`` bounds every number in the rows."""
    version, form = (b"\1", _NARROW) if size < 1 << 32 else (b"\2", _WIDE)
    return version + b"".join([form.pack(*row) for row in rows])


@lru_cache(maxsize=64)
def unpack(packed: bytes) -> tuple[Part, ...]:
    """Raises ValueError for what ``pack`` has not made: a damaged or newer index row, to be made again from the message."""
    form = {b"\1": _NARROW, b"\2": _WIDE}.get(packed[:1])
    if form is None or len(packed) < 1 + form.size or (len(packed) - 1) % form.size:
        raise ValueError("not a table of parts")
    return tuple(Part._make(row) for row in form.iter_unpack(packed[1:]))
