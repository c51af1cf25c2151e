"""Replies are one line each, of a bounded length, whatever the texts."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from mas.errors import OverQuota, UserUnknown
from mas.protocols.lmtp import replies

LINE = re.compile(rb"[2345]\d\d(?: [245]\.\d\.\d)? [^\r\n]*\r\n")


@given(st.text(max_size=600))
def test_one_line(text: str) -> None:
    line = replies.reply(250, "2.0.0", text)
    assert LINE.fullmatch(line)
    assert len(line) <= 512
    line.decode()


@given(st.text(max_size=300), st.text(max_size=300))
def test_errors_are_one_line(address: str, message: str) -> None:
    for error in (OverQuota("root", message), UserUnknown(address), RuntimeError(message)):
        assert LINE.fullmatch(replies.error_reply(error, address))


def test_errors_tell_no_inner_things() -> None:
    assert b"secret" not in replies.error_reply(RuntimeError("secret"), "kim@example.net")


def test_several_lines() -> None:
    assert replies.lines(250, ["a", "b"]) == b"250-a\r\n250 b\r\n"


def test_constants() -> None:
    for name, value in vars(replies).items():
        if name.isupper() and isinstance(value, bytes):
            assert LINE.fullmatch(value), name
