"""Addresses: the fast way and the full way give the same; the table of broken ones is Dovecot's (test_dovecot.py)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mas.storage.mime import address
from mas.storage.mime.address import Address, addresses_text, encode_addresses, parse_addresses

TOKENS = [
    "a",
    "b.c",
    " ",
    "  ",
    "\t",
    '"',
    '"x y"',
    "\\",
    "(c)",
    "(",
    ")",
    "<",
    ">",
    "@",
    ",",
    ";",
    ":",
    ".",
    "[",
    "]",
    "<a@b>",
    "d@e",
    "ü",
]
VALUES = st.lists(st.sampled_from(TOKENS), max_size=14).map(lambda words: "".join(words).strip(" \t").encode())


@given(VALUES)
def test_fast_way_is_the_full_way(value: bytes) -> None:
    assert parse_addresses(value, 100) == address._parse_list(value, 100, [])


@given(VALUES, st.integers(0, 3))
def test_never_raises(value: bytes, limit: int) -> None:
    found = parse_addresses(value, limit)
    assert len([a for a in found if a != address.GROUP_END]) <= limit
    addresses_text(found)
    encode_addresses(found)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("A B <a@b>, c@d", "A B <a@b>, c@d"),
        ('"B, A" <a@b>', '"B, A" <a@b>'),
        ("=?utf-8?q?J=C3=BC?= <a@b>, =?utf-8?q?x?= <c@d>", "Jü <a@b>, x <c@d>"),
        ("G: a@b, c@d;, e@f", "G: a@b, c@d;, e@f"),
        ("G:;", "G:;"),
        ("a@b (N. O.)", '"N. O." <a@b>'),
        ("lonely", "lonely"),
        ("x y z", "x y z <>"),
        ("<>", ""),
        ("", ""),
    ],
)
def test_text(value: str, text: str) -> None:
    assert addresses_text(parse_addresses(value.encode(), 100)) == text


def test_wire() -> None:
    assert encode_addresses([]) == b"NIL"
    assert encode_addresses([Address(b'A "B"', None, b"a", b"b"), address.GROUP_END]) == (
        b'(("A \\"B\\"" NIL "a" "b")(NIL NIL NIL NIL))'
    )
