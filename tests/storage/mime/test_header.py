"""Fields, encoded words and the header subsets of FETCH."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mas.storage.mime.casemap import casemap
from mas.storage.mime.header import (
    decode_words,
    fields,
    header_fields,
    header_holds,
    header_text,
    is_dropped,
    kept_header,
    served,
    unfold,
)


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (b"", []),
        (b"\r\n", []),
        (b"A: b\r\n\r\n", [(b"a", b" b\r")]),
        (b"A: b\n c\n\td\nE:f", [(b"a", b" b\n c\n\td"), (b"e", b"f")]),
        (b"Sub ject \t: x\n", [(b"sub ject", b" x")]),
        (b"no colon\nA: b\n", [(b"no colon", b""), (b"a", b" b")]),
        (b": x\n", [(b"", b" x")]),
        (b"A:\n", [(b"a", b"")]),
    ],
)
def test_fields(block: bytes, expected: list[tuple[bytes, bytes]]) -> None:
    assert fields(block) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(b" a \r", b"a"), (b" a\r\n  b\n\tc ", b"a  b\tc"), (b"", b""), (b"\r\n x", b"x"), (b"a\rb", b"a\rb")],
)
def test_unfold(value: bytes, expected: bytes) -> None:
    assert unfold(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"plain", "plain"),
        ("ü".encode(), "ü"),
        (b"\xfc", "\ufffd"),
        (b"=?utf-8?q?a_=C3=A4?=", "a ä"),
        (b"=?UTF-8?B?w6Q=?=", "ä"),
        (b"=?utf-8?b?w6Q?=", "ä"),
        (b"=?utf-8*de?q?x?=", "x"),
        (b"=?iso-8859-1?q?=E4?= =?utf-8?q?=C3=A4?=", "ää"),
        (b"=?utf-8?q?=C3?= =?utf-8?q?=A4?=", "ä"),
        (b"=?utf-8?q?a?= \t =?utf-8?q?b?= c", "ab c"),
        (b"x =?utf-8?q?a?= y", "x a y"),
        (b"=?utf-8?q?a?=b=?utf-8?q?c?=", "abc"),
        (b"=?utf-8?x?a?= =?utf-8?q?b", "=?utf-8?x?a?= =?utf-8?q?b"),
        (b"=??q?a?=", "=??q?a?="),
        (b"=?utf-8?b?a?=", "=?utf-8?b?a?="),
        (b"=?nonsense?q?=C3=A4?=", "ä"),
        (b"=?rot13?q?a?= =?hex?q?61?= =?idna?q?a?=", "a61a"),
        (b"=?utf-8?q?a=0D=0Ab=00?=", "a  b "),
        (b"=?gb2312?b?xOO6ww==?=", "你好"),
        (b"=?ks_c_5601-1987?b?vsiz5w==?=", "안녕"),
        (b"=?iso-2022-jp?b?GyRCRnxLXBsoQg==?=", "日本"),
        (b"=?utf-8?q?=?= x", " x"),
    ],
)
def test_decode_words(value: bytes, expected: str) -> None:
    assert decode_words(value) == expected


@given(st.binary(max_size=80))
def test_decode_words_never_raises(value: bytes) -> None:
    decode_words(value)
    decode_words(b"=?utf-8?q?" + value + b"?= =?iso-2022-jp?b?" + value + b"?=")


BLOCK = (
    b"Received: one\r\n\tmore\r\nSubject: s\r\n folded\r\nTo : t\r\nARC-Seal: i=1\r\n x\r\nX-Google-DKIM-Signature: y\r\nsubject: again\r\n"
    b"X-Subject: other\r\nDKIM-Signature: z\r\nno colon\r\nTo:last\r\n\r\n"
)


@pytest.mark.parametrize(
    ("names", "negate", "expected"),
    [
        ((b"subject",), False, b"Subject: s\r\n folded\r\nsubject: again\r\n\r\n"),
        ((b"to", b"subject"), False, b"Subject: s\r\n folded\r\nTo : t\r\nsubject: again\r\nTo:last\r\n\r\n"),
        ((b"nothing",), False, b"\r\n"),
        ((b"sub",), False, b"\r\n"),
        ((), False, b"\r\n"),
        ((), True, BLOCK),
        ((b"nothing",), True, BLOCK),
        (
            (b"subject", b"received", b"arc-seal", b"x-google-dkim-signature", b"no colon"),
            True,
            b"To : t\r\nX-Subject: other\r\nDKIM-Signature: z\r\nno colon\r\nTo:last\r\n\r\n",
        ),
        ((b"x.*",), False, b"\r\n"),
    ],
)
def test_header_fields(names: tuple[bytes, ...], negate: bool, expected: bytes) -> None:
    assert header_fields(BLOCK, names, negate) == expected


@pytest.mark.parametrize(
    ("block", "pick", "without"),
    [
        (b"A: b", b"A: b\r\n\r\n", b""),
        (b"A: b\r\n", b"A: b\r\n\r\n", b""),
        (b"A: b\r\nC: d", b"A: b\r\n\r\n", b"C: d"),
        (b"C: d\r\nA: b", b"A: b\r\n\r\n", b"C: d\r\n"),
        (b" first\r\nA: b\r\n x\r\n\r\n", b"A: b\r\n x\r\n\r\n", b" first\r\n\r\n"),
        (b"\r\n", b"\r\n", b"\r\n"),
        (b"", b"\r\n", b""),
    ],
)
def test_header_without_its_end(block: bytes, pick: bytes, without: bytes) -> None:
    assert header_fields(block, (b"a",), False) == pick
    assert header_fields(block, (b"a",), True) == without


def test_kept_header() -> None:
    kept = kept_header(BLOCK)
    assert (
        kept == b"Subject: s\r\n folded\r\nTo : t\r\nsubject: again\r\nX-Subject: other\r\nno colon\r\nTo:last\r\n\r\n"
    )
    assert [name for name, _ in fields(BLOCK) if is_dropped(name)] == [
        b"received",
        b"arc-seal",
        b"x-google-dkim-signature",
        b"dkim-signature",
    ]
    for name in (b"arc", b"x-google", b"subject", b"receive", b"list-id", b"x-priority", b"return-path"):
        assert not is_dropped(name)


@given(
    st.lists(
        st.sampled_from([b"A: 1\r\n", b" f\r\n", b"b:2\r\n", b"Received: x\r\n", b"none\r\n", b"ARC-x\t:\r\n"]),
        max_size=8,
    )
)
def test_kept_header_answers_as_the_whole(lines: list[bytes]) -> None:
    block = b"".join(lines) + b"\r\n"
    kept = kept_header(block)
    for names in ((b"a",), (b"a", b"b"), (b"none", b"b")):
        assert header_fields(kept, names, False) == header_fields(block, names, False)
        rest = header_fields(block, names, True)
        assert kept_header(rest) == header_fields(kept, names, True)
    assert not any(is_dropped(name) and value for name, value in fields(kept))


def test_header_text() -> None:
    text = header_text(b"Subject: =?utf-8?q?=C3=A4?=\r\n  two\r\nX-A : b\r\nX-A:\r\n\r\n")
    assert header_holds(text, "subject", casemap("Ä"))
    assert header_holds(text, "Subject", "TWO")
    assert header_holds(text, "x-a", "B")
    assert header_holds(text, "x-a", "")
    assert not header_holds(text, "x-a", "TWO")
    assert not header_holds(text, "x", "")
    assert not header_holds(text, "two", "")
    assert not header_holds("", "subject", "")


def test_served() -> None:
    assert served(b"a\nb\r\nc\rd\0\r\r\n") == b"a\r\nb\r\nc\rd\x80\r\r\n"
    assert served(b"a\r\n") == b"a\r\n"
