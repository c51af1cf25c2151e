"""Content-* fields: the fast way and the full way give the same; broken ones are in test_dovecot.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mas.storage.mime import content

TOKENS = [
    "text",
    "/",
    "plain",
    ";",
    " ",
    "\t",
    "=",
    '"',
    '"a b"',
    '""',
    "\\",
    "(c)",
    "x",
    "n*0",
    "n*1*",
    "n*",
    "*",
    "utf-8''%41",
    "ü",
    "?",
    ",",
]
VALUES = st.lists(st.sampled_from(TOKENS), max_size=16).map(lambda words: "".join(words).strip(" \t").encode())
TYPES = VALUES.map(lambda value: b"text/plain" + value)


@given(st.one_of(VALUES, TYPES), st.integers(1, 4))
def test_fast_way_is_the_full_way(value: bytes, limit: int) -> None:
    assert content.parse_content_type(value, limit) == content.read_content_type(value, limit)
    assert content.parse_disposition(value, limit) == content.read_disposition(value, limit)


@given(VALUES)
def test_never_raises(value: bytes) -> None:
    content.parse_encoding(value)
    content.parse_languages(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"text/plain", (b"text", b"plain", ())),
        (b'Text/HTML; charset="utf-8" ; x=y;', (b"Text", b"HTML", ((b"charset", b"utf-8"), (b"x", b"y")))),
        (b'a/b; n="x\\"y"', (b"a", b"b", ((b"n", b'x"y'),))),
        (b"a/b; n*1=2; n*0=1", (b"a", b"b", ((b"n", b"12"),))),
        (b"a/b; n*=utf-8''%41", (b"a", b"b", ((b"n*", b"utf-8''%41"),))),
        (b"a/b c", (b"", b"", ())),
    ],
)
def test_content_type(value: bytes, expected: tuple[bytes, bytes, content.Parameters]) -> None:
    assert content.parse_content_type(value, 100) == expected


def test_long_values_are_not_cached() -> None:
    value = b"a/b; n=" + b"x" * 500
    assert content.parse_content_type(value, 100)[2] == ((b"n", b"x" * 500),)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"base64", (b"base64", b"base64")),
        (b"Quoted-Printable (x)", (b"Quoted-Printable", b"quoted-printable")),
        (b"base64;", (b"", b"base64")),
        (b"8 bit", (b"", b"8 bit")),
    ],
)
def test_encoding(value: bytes, expected: tuple[bytes, bytes]) -> None:
    assert content.parse_encoding(value) == expected
