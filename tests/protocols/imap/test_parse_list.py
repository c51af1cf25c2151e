"""LIST, LSUB, XLIST."""

from __future__ import annotations

import pytest

from mas.protocols.imap.commands import List, ListOptions, Lsub, StatusItem, Xlist
from mas.protocols.imap.events import BadCommand
from tests.protocols.imap.wire import command

LISTS = [
    (b'LIST "" "*"', List(b"a", "", ("*",))),
    (b'LIST "" *', List(b"a", "", ("*",))),  # node-imap
    (b'list "" "%/%"', List(b"a", "", ("%/%",))),
    (b'LIST "" ""', List(b"a", "", ("",))),
    (b"LIST a/ Entw&APw-%", List(b"a", "a/", ("Entwü%",))),
    (b'LIST "" "Entw&AP%"', List(b"a", "", (None,))),  # cut: matches nothing
    (b'LIST "" (INBOX "x")', List(b"a", "", ("INBOX", "x"), extended=True)),
    (
        b'list (subscribed) "" "*" return (special-use)',  # Thunderbird
        List(b"a", "", ("*",), ListOptions(select_subscribed=True, return_special_use=True), True),
    ),
    (b'LIST () "" *', List(b"a", "", ("*",), extended=True)),
    (
        b'LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"',
        List(b"a", "", ("%",), ListOptions(select_subscribed=True, recursive_match=True), True),
    ),
    (
        b'LIST (SPECIAL-USE REMOTE) "" "*" RETURN ()',
        List(b"a", "", ("*",), ListOptions(select_special_use=True, select_remote=True), True),
    ),
    (
        b'LIST "" "*" RETURN (STATUS (MESSAGES UNSEEN) CHILDREN SUBSCRIBED )',  # imapflow
        List(
            b"a",
            "",
            ("*",),
            ListOptions(
                return_children=True, return_subscribed=True, return_status=(StatusItem.MESSAGES, StatusItem.UNSEEN)
            ),
            True,
        ),
    ),
]


@pytest.mark.parametrize(("line", "value"), LISTS)
def test_list(line: bytes, value: List) -> None:
    assert command(b"a " + line) == value


def test_old_forms() -> None:
    assert command(b'a LSUB "" "*"') == Lsub(b"a", "", "*")
    assert command(b'a xlist "" %') == Xlist(b"a", "", "%")


BAD = [
    b"LIST",
    b'LIST ""',
    b'LIST "" * x',
    b'LIST "" ()',
    b'LIST "" (a',
    b'LIST (FOO) "" *',
    b'LIST (RECURSIVEMATCH) "" *',
    b'LIST (RECURSIVEMATCH REMOTE) "" *',
    b'LIST "" * RETURN',
    b'LIST "" * RETURN (FOO)',
    b'LIST "" * RETURN (STATUS)',
    b'LIST "" * RETURN (STATUS ())',
    b'LIST (SUBSCRIBED "" *',
    b'LSUB "" (a b)',
    b'XLIST ""',
]


@pytest.mark.parametrize("line", BAD)
def test_bad(line: bytes) -> None:
    assert isinstance(command(b"a " + line), BadCommand)


def test_limit() -> None:
    found = command(b'a LIST "" ' + b"x" * 1001)
    assert isinstance(found, BadCommand)
    assert found.code == b"LIMIT"
