"""Mailbox names on the wire and inside, and the patterns of LIST."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mas.protocols.imap.cursor import ParseError
from mas.protocols.imap.mailbox_name import (
    compile_pattern,
    decode_mutf7,
    decode_name,
    encode_mailbox_name,
    encode_mutf7,
    fold_inbox,
    parse_mailbox_name,
)

MUTF7 = [
    (b"", ""),
    (b"plain ~ name", "plain ~ name"),
    (b"&-", "&"),
    (b"a&-b&--", "a&b&-"),
    (b"~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),  # [RFC3501 5.1.3]
    (b"Entw&APw-rfe", "Entwürfe"),
    (b"&2D3eAA-", "😀"),
    (b"&APw-&-&APw-", "ü&ü"),
]


@pytest.mark.parametrize(("wire", "name"), MUTF7)
def test_mutf7(wire: bytes, name: str) -> None:
    assert decode_mutf7(wire) == decode_name(wire, False) == name
    assert encode_mutf7(name) == encode_mailbox_name(name, False) == wire


REFUSED = [
    b"&",  # cut
    b"&Jjo",
    b"&Jjo!",  # [RFC3501 5.1.3]
    b"&U,BTFw-&ZeVnLIqe-",  # superfluous shift [RFC3501 5.1.3]
    b"&AGE-",  # "a" must stand for itself
    b"&AGEA,A-",
    b"&ACY-",  # "&" is "&-"
    b"&APx-",  # bits that are not zero
    b"&AP-",  # half a character
    b"&2D0-",  # half a surrogate pair
    b"&AP/w-",
    b"\xc3\xbc",
    b"a\tb",
    b"a\x7f",
    b"&AAA-",  # NUL
    b"&AAoACg-",  # line ends
]


@pytest.mark.parametrize("wire", REFUSED)
def test_no_name(wire: bytes) -> None:
    assert decode_name(wire, False) is None
    with pytest.raises(ParseError) as raised:
        parse_mailbox_name(wire, False)
    assert raised.value.no


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), max_size=20))
def test_names_come_back(name: str) -> None:
    for utf8 in (False, True):
        assert decode_name(encode_mailbox_name(name, utf8), utf8) == name


@given(st.binary(max_size=20))
def test_one_spelling(wire: bytes) -> None:
    for utf8 in (False, True):
        name = decode_name(wire, utf8)
        if name is not None:
            assert encode_mailbox_name(name, utf8) == wire


@given(st.text("&-,A/wP+x", max_size=12).map(str.encode))
def test_one_spelling_near_shifts(wire: bytes) -> None:
    name = decode_mutf7(wire)
    if name is not None:
        assert encode_mutf7(name) == wire


def test_utf8() -> None:
    assert decode_name("ü&x".encode(), True) == "ü&x"
    assert decode_name(b"&APw-", True) == "&APw-"  # the same octets, another name
    assert decode_name(b"\xff", True) is None
    assert decode_name("a\u2028".encode(), True) is None


def test_inbox() -> None:
    assert parse_mailbox_name(b"iNbOx", False) == "INBOX"
    assert fold_inbox("inboxes") == "inboxes"
    assert fold_inbox("inbox/a", "/") == "INBOX/a"
    assert fold_inbox("inbox.a", "/") == "inbox.a"


def test_length() -> None:
    with pytest.raises(ParseError) as raised:
        parse_mailbox_name(b"x" * 11, False, 10)
    assert (raised.value.no, raised.value.code) == (True, b"LIMIT")


PATTERNS = [
    # reference, pattern, names that match, names that do not
    ("", "*", ["INBOX", "a", "a/b"], []),
    ("", "%", ["INBOX", "a"], ["a/b", "INBOX/a"]),
    ("", "inbox", ["INBOX"], ["INBOX/a", "in"]),
    ("", "inBOX/%", ["INBOX/a"], ["INBOX", "INBOX/a/b"]),
    ("", "iN%", ["INBOX"], ["inx"[::-1]]),
    ("a/", "%", ["a/b"], ["a", "a/b/c"]),
    ("a", "*b", ["ab", "a/b", "axxb"], ["a", "b", "abc"]),
    ("", "%/%", ["a/b"], ["a", "a/b/c"]),
    ("", "*a*b*", ["ab", "xaxbx", "aab", "ba/b"], ["ba", "a"]),
    ("", "a%b*c", ["abc", "axb/yc"], ["a/bc", "ab"]),
    ("", "%%", ["a"], ["a/b"]),
    ("", "*%", ["a", "a/b"], []),
    ("", "", [""], ["a"]),
    ("", "a.b", ["a.b"], ["axb"]),
    ("", "ü%", ["ü", "üx"], ["u"]),
]


@pytest.mark.parametrize(("reference", "pattern", "matching", "other"), PATTERNS)
def test_patterns(reference: str, pattern: str, matching: list[str], other: list[str]) -> None:
    match = compile_pattern(reference, pattern, "/")
    assert [name for name in matching + other if match(name)] == matching


def test_cut_pattern_matches_nothing() -> None:
    assert decode_name(b"Entw&APw", False) is None
    match = compile_pattern("", decode_name(b"Entw&AP%", False), "/")
    assert not match("Entwürfe")
    assert not match("")


@given(st.text("ab/*%", max_size=8), st.text("ab/", max_size=10))
def test_patterns_are_their_regular_expression(pattern: str, name: str) -> None:
    expression = "".join({"*": ".*", "%": "[^/]*"}.get(character, re.escape(character)) for character in pattern)
    assert compile_pattern("", pattern, "/")(name) == (re.fullmatch(expression, name) is not None)


def test_no_pattern_is_expensive() -> None:
    match = compile_pattern("", "*a" * 400 + "%" * 100 + "b", "/")
    assert not match("a" * 900)
