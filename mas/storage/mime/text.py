"""The text of a message for SEARCH BODY and TEXT: decoded, in casemap form, a part at a time. Runs at SEARCH only.

As Dovecot searches: bodies of text/* and message/* parts, with the tags of HTML, after transfer decoding and charset conversion; parts in
an encoding that is not known, other media types, preambles and epilogues are not searched. TEXT also takes every header: the message's,
those of messages in it and those of the parts. Line ends are CRLF, so a text never matches across them.
"""

from __future__ import annotations

from collections.abc import Iterator

from mas.errors import UnknownEncoding
from mas.storage.mime import parts
from mas.storage.mime.casemap import casemap
from mas.storage.mime.charset import decode
from mas.storage.mime.content import parameter, parse_content_type
from mas.storage.mime.header import fields, header_text, served, unfold
from mas.storage.mime.limits import MimeLimits
from mas.storage.mime.parts import Part
from mas.storage.mime.section import Extent, search_chunks
from mas.storage.mime.window import Data


def search_texts(data: Data, packed: bytes, limits: MimeLimits, *, headers: bool, limit: int) -> Iterator[str]:
    """Texts to look for a casemapped substring in; no match lies across two of them.

    headers: TEXT (True) or BODY. limit: octets of one part, after transfer decoding, that are looked at.
    """
    for part in parts.unpack(packed):
        end = min(part.body_start, part.start + limits.max_header_size)
        if headers:
            yield header_text(served(data[part.start : end]))
        if part.flags & (parts.TEXT | parts.MESSAGE_TEXT):
            raw = _decoded(data, part, limit)
            if raw:
                charset = (
                    "us-ascii" if raw.isascii() and b"\x1b" not in raw else _charset(data[part.start : end], limits)
                )
                yield casemap(decode(raw, charset))


def _decoded(data: Data, part: Part, limit: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    try:
        for piece in search_chunks(data, Extent(part.body_start, part.end, part.body_served, part.encoding)):
            pieces.append(piece)
            size += len(piece)
            if size >= limit:
                break
    except UnknownEncoding:
        return b""
    return b"".join(pieces)[:limit]


def _charset(header: bytes, limits: MimeLimits) -> str:
    for name, value in fields(header):
        if name == b"content-type":
            named = parameter(parse_content_type(unfold(value), limits.max_parameters)[2], b"charset")
            return (named or b"us-ascii").decode("ascii", "replace")
    return "us-ascii"
