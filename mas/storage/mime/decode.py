"""Content-Transfer-Encodings undone, for BINARY and for SEARCH.  [RFC2045 6] [RFC9051 6.4.5.1 BINARY]

The input comes in pieces as served (CRLF line ends), the output goes in pieces: a part is never whole in memory. ``strict`` raises
UnknownEncoding at the first octet that is not of the encoding; without it, as for SEARCH, what can be decoded is.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Iterator

from mas.errors import UnknownEncoding
from mas.storage.mime import parts


def decoded(pieces: Iterable[bytes], encoding: int, *, strict: bool) -> Iterator[bytes]:
    """``pieces`` of a body in the encoding ``parts.ENCODINGS[encoding]``, decoded. Raises UnknownEncoding."""
    if encoding == parts.IDENTITY:
        return iter(pieces)
    if encoding == parts.BASE64:
        return _base64(pieces, strict)
    if encoding == parts.QUOTED_PRINTABLE:
        return _quoted_printable(pieces, strict)
    if encoding == parts.UUENCODE:
        return _uuencode(pieces, strict)
    raise UnknownEncoding("the Content-Transfer-Encoding is not known")


_WHITE = b" \t\r\n"
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_NOT_BASE64 = bytes(set(range(256)).difference(_BASE64))


def _base64(pieces: Iterable[bytes], strict: bool) -> Iterator[bytes]:
    rest = b""
    ended = False
    for piece in pieces:
        text = rest + piece.translate(None, _WHITE if strict else _NOT_BASE64)
        whole = len(text) & ~3
        text, rest = text[:whole], text[whole:]
        if not text:
            continue
        if strict:
            if ended:
                raise UnknownEncoding("base64: octets behind the padding")
            try:
                yield binascii.a2b_base64(text, strict_mode=True)
            except binascii.Error as error:
                raise UnknownEncoding(f"base64: {error}") from error
            ended = b"=" in text
        else:
            yield _lenient_base64(text)
    if rest and strict:
        raise UnknownEncoding("base64: the last group is cut off")
    if rest:
        yield _lenient_base64(rest)


def _lenient_base64(text: bytes) -> bytes:
    """Several encoded texts one behind the other, each with its own padding or none; one digit alone is no octet."""
    return b"".join(
        [binascii.a2b_base64(run[: len(run) - (len(run) % 4 == 1)] + b"==") for run in text.split(b"=") if len(run) > 1]
    )


# Quoted-printable
#
#   qp-line   = *(qp-section [*WSP] "=" CRLF) qp-section
#   "=" must be followed by two hexadecimal digits, or end its line; white space before a line end was added on the way.

_BAD_QP = re.compile(rb"=(?![0-9A-Fa-f]{2}|[ \t]*+(?:\r?\n|\Z))")
_TRAILING = re.compile(rb"(?<![ \t])[ \t]++(?=\r?\n)")
_ENDS = (b" \r\n", b" \n", b"\t\r\n", b"\t\n")


def _quoted_printable(pieces: Iterable[bytes], strict: bool) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        text = rest + piece
        cut = _cut(text)
        rest = text[cut:]
        if cut:
            yield _qp(text[:cut], strict)
    if rest:
        # The last line: nothing follows that white space could stand before.
        yield _qp(rest, strict)


def _cut(text: bytes) -> int:
    """Where a piece can be cut: behind a line end, or in a long line not inside "=XX" nor in white space that may end it."""
    newline = text.rfind(b"\n") + 1
    if newline:
        return newline
    cut = len(text.rstrip(b" \t\r"))
    equals = text.rfind(b"=", max(cut - 2, 0), cut)
    return cut if equals < 0 else equals


def _qp(text: bytes, strict: bool) -> bytes:
    if strict and _BAD_QP.search(text):
        raise UnknownEncoding("quoted-printable: '=' without two hexadecimal digits")
    # Mostly there is none: four looks for a few octets cost nothing beside the expression, which stops at every blank.
    if any(end in text for end in _ENDS):
        text = _TRAILING.sub(b"", text)
    return binascii.a2b_qp(text)


def _uuencode(pieces: Iterable[bytes], strict: bool) -> Iterator[bytes]:
    """Lines between ``begin`` and ``end``; text around them is left out."""
    begun = ended = False
    rest = b""
    for piece in pieces:
        lines = (rest + piece).split(b"\n")
        rest = lines.pop()
        out: list[bytes] = []
        for line in lines:
            if not begun:
                begun = line.startswith(b"begin ")
            elif not ended:
                ended = line.rstrip() == b"end"
                if not ended:
                    out.append(_uu_line(line.rstrip(b"\r"), strict))
        yield b"".join(out)
    if begun and not ended and rest.rstrip() != b"end":
        if strict:
            raise UnknownEncoding("uuencode: no end")
        yield _uu_line(rest, False)
    elif not begun and strict:
        raise UnknownEncoding("uuencode: no begin")


def _uu_line(line: bytes, strict: bool) -> bytes:
    try:
        return binascii.a2b_uu(line)
    except binascii.Error as error:
        if strict:
            raise UnknownEncoding(f"uuencode: {error}") from error
        return b""
