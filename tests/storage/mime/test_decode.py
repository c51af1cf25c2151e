"""Transfer encodings, in whatever pieces they come."""

from __future__ import annotations

import base64
import binascii
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mas.errors import UnknownEncoding
from mas.storage.mime import parts
from mas.storage.mime.decode import decoded


def pieces(data: bytes, size: int) -> list[bytes]:
    """Cut as ``section`` cuts: never between CR and LF."""
    out: list[bytes] = []
    while data:
        end = size + 1 if data[size - 1 : size + 1] == b"\r\n" else size
        out.append(data[:end])
        data = data[end:]
    return out


def undo(data: bytes, encoding: int, size: int = 1000, *, strict: bool = True) -> bytes:
    return b"".join(decoded(pieces(data, size), encoding, strict=strict))


@given(st.binary(max_size=300), st.integers(1, 90))
def test_base64(data: bytes, size: int) -> None:
    encoded = base64.encodebytes(data).replace(b"\n", b"\r\n")
    assert undo(encoded, parts.BASE64, size) == data
    assert undo(encoded, parts.BASE64, size, strict=False) == data


@given(st.binary(max_size=300), st.integers(1, 90))
def test_quoted_printable(data: bytes, size: int) -> None:
    text = data.replace(b"\r", b"").replace(b"\n", b"\r\n")
    encoded = quopri.encodestring(text.replace(b"\r\n", b"\n"), quotetabs=True).replace(b"\n", b"\r\n")
    assert undo(encoded, parts.QUOTED_PRINTABLE, size) == text
    assert undo(encoded, parts.QUOTED_PRINTABLE, size, strict=False) == text


@given(st.binary(max_size=300), st.integers(1, 90))
def test_uuencode(data: bytes, size: int) -> None:
    lines = [binascii.b2a_uu(data[i : i + 45]) for i in range(0, len(data), 45)]
    encoded = (b"text\nbegin 644 x\n" + b"".join(lines) + b"`\nend\nmore\n").replace(b"\n", b"\r\n")
    assert undo(encoded, parts.UUENCODE, size) == data


@given(st.binary(max_size=200), st.sampled_from(range(5)), st.integers(1, 40), st.booleans())
def test_any_octets_in_any_pieces(data: bytes, encoding: int, size: int, strict: bool) -> None:
    try:
        expected = undo(data, encoding, strict=strict)
    except UnknownEncoding:
        with pytest.raises(UnknownEncoding):
            undo(data, encoding, size, strict=strict)
        return
    found = undo(data, encoding, size, strict=strict)
    if strict or encoding == parts.IDENTITY:
        assert found == expected


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (b"aGVs*bG8=", parts.BASE64),
        (b"aGVsb", parts.BASE64),
        (b"aGU=bGxv", parts.BASE64),
        (b"=aGVs", parts.BASE64),
        (b"a=ZZ", parts.QUOTED_PRINTABLE),
        (b"a==\r\n", parts.QUOTED_PRINTABLE),
        (b"a=4", parts.QUOTED_PRINTABLE),
        (b"no begin\r\n", parts.UUENCODE),
        (b"begin 644 x\r\n%:&5L;&\\\r\n", parts.UUENCODE),
        (b"begin 644 x\r\n\xff\xff\r\nend\r\n", parts.UUENCODE),
        (b"x", parts.UNKNOWN),
    ],
)
def test_broken(data: bytes, encoding: int) -> None:
    with pytest.raises(UnknownEncoding):
        undo(data, encoding)


@pytest.mark.parametrize(
    ("data", "encoding", "expected"),
    [
        (b"aGVs*bG8=", parts.BASE64, b"hello"),
        (b"aGU=bGxv", parts.BASE64, b"hello"),
        (b"aGVsbG8", parts.BASE64, b"hello"),
        (b"a=ZZb=\r\nc  \r\n", parts.QUOTED_PRINTABLE, b"a=ZZbc\r\n"),
    ],
)
def test_what_can_be_read_is_searched(data: bytes, encoding: int, expected: bytes) -> None:
    assert undo(data, encoding, strict=False) == expected
