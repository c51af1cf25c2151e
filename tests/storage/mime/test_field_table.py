"""HEADER.FIELDS cut out by table is what a search of the header gives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mas.storage.mime import field_table
from mas.storage.mime.field_table import NAMES, OTHER, Cutter, cutter, locate
from mas.storage.mime.header import header_fields, kept_header, served

_NAME = st.sampled_from(
    [b"from", b"to", b"subject", b"date", b"x-mine", b"x-other", b"received", b"list-id", b" ", b"a b"]
)
_LINE = st.one_of(
    st.builds(
        lambda name, fill, value: name.title() + fill + b":" + value,
        _NAME,
        st.sampled_from([b"", b" ", b"\t "]),
        st.sampled_from([b" a", b"", b" b\r\n c", b" d\r\n\te: f\r\n ", b" \xff", b"\r"]),
    ),
    st.sampled_from([b"no colon", b" folded: first", b":", b"\r", b"From:From: x"]),
    st.binary(max_size=12),
)
_HEADER = st.builds(
    lambda lines, end: b"\r\n".join(lines) + end,
    st.lists(_LINE, max_size=8),
    st.sampled_from([b"\r\n\r\n", b"\r\n", b"", b"\n\n"]),
)
_NAMES = st.lists(st.one_of(_NAME, st.sampled_from(NAMES), st.binary(max_size=5)), max_size=5)


def _check(block: bytes, names: tuple[bytes, ...]) -> None:
    kept = kept_header(served(block))
    assert Cutter(names).cut([(7, locate(kept), kept)]) == [(7, header_fields(kept, names, False))]


@pytest.mark.parametrize(
    "names",
    [
        (b"from",),
        (b"from", b"subject"),
        (b"subject",),
        (b"date", b"from", b"to"),
        (b"x-unheard-of",),
        (b"x-mine",),
        (b"cc",),
        (),
        (b"from ",),
        (b" x",),
    ],
)
@pytest.mark.parametrize(
    "block",
    [
        b"\r\n",
        b"From: a\r\n\r\n",
        b"From: a\r\nTo: b\r\nSubject: c\r\n d\r\nDate: e\r\nFROM : f\r\nX-Mine: g\r\n\r\n",
        b"From: a\nTo: b\nno colon\nSubject: c\n\n",
        b" From: folded first\r\nFrom: a\r\n\r\n",
        b"From: no blank line\r\n",
        b"From: no line end",
        b"Received: x\r\nFrom: a\r\nReceived: y\r\n\r\n",
        b"From: " + b"x" * 70_000 + b"\r\nTo: b\r\n\r\n",
    ],
)
def test_cut_is_what_a_search_gives(block: bytes, names: tuple[bytes, ...]) -> None:
    _check(block, names)


@given(_HEADER, _NAMES)
def test_any_header(block: bytes, names: list[bytes]) -> None:
    _check(block, tuple(name.lower() for name in names if b"\n" not in name))


@given(st.lists(_HEADER, max_size=6))
def test_a_cutter_remembers_no_header(blocks: list[bytes]) -> None:
    names = (b"from", b"subject")
    rows = [(at, locate(kept), kept) for at, kept in enumerate(kept_header(served(block)) for block in blocks)]
    assert Cutter(names).cut(rows) == [(at, header_fields(kept, names, False)) for at, _, kept in rows]


def test_known_names_are_cut_out_without_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(field_table, "header_fields", lambda *_: pytest.fail("searched"))
    kept = b"From: a\r\nX-Mine: b\r\nSubject: c\r\n\r\n"
    assert Cutter([b"from", b"subject"]).cut([(1, locate(kept), kept)]) == [(1, b"From: a\r\nSubject: c\r\n\r\n")]


def test_codes_are_a_format() -> None:
    assert len(NAMES) < OTHER
    assert len(set(NAMES)) == len(NAMES)
    assert NAMES[:6] == (b"from", b"to", b"cc", b"bcc", b"subject", b"date")


def test_plans_are_bounded() -> None:
    one = Cutter([b"from"])
    for number in range(2 * field_table._PLANS):
        codes = [b"from" if number >> bit & 1 else b"to" for bit in range(11)]
        kept = b"".join([b"%b: x\r\n" % name for name in codes]) + b"\r\n"
        one.cut([(number, locate(kept), kept)])
    assert len(one._plans) <= field_table._PLANS
    assert cutter((b"from",)) is cutter((b"from",))
