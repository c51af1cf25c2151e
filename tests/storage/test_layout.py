"""Mailbox names and directories in each layout, as Dovecot has them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mas.errors import InvalidMailboxName
from mas.storage import subscriptions
from mas.storage.layout import Layout, Nested, layout_of
from mas.storage.location import Location
from mas.storage.model import INBOX, MailboxName

FLAT, SLASH, DOT, NAMED = Layout("."), Nested("/"), Nested("."), Nested("/", "mAildir")


def test_the_layout_of_a_location() -> None:
    assert layout_of(Location("/m", "/m"), ".") == FLAT
    assert layout_of(Location("/m", "/m", nested=True), "/") == SLASH
    assert layout_of(Location("/m", "/m", nested=True, dirname="mAildir"), "/") == NAMED


@pytest.mark.parametrize(
    ("layout", "name", "directory", "control"),
    [
        (FLAT, "INBOX", "", ".INBOX"),
        (FLAT, "Archive.2024", ".Archive.2024", ".Archive.2024"),
        (FLAT, "inbox.a", ".INBOX.a", ".INBOX.a"),
        (SLASH, "INBOX", "", "INBOX"),
        (SLASH, "Archive/2024", "Archive/2024", "Archive/2024"),
        (SLASH, "inbox/a", "INBOX/a", "INBOX/a"),
        (SLASH, "d.ot/.hidden", "d.ot/.hidden", "d.ot/.hidden"),
        (SLASH, "Entwürfe/~x", "Entw&APw-rfe/~x", "Entw&APw-rfe/~x"),
        (DOT, "Archive.2024", "Archive/2024", "Archive/2024"),
        (NAMED, "Archive/cur", "Archive/cur/mAildir", "Archive/cur"),
        (NAMED, "INBOX", "", "INBOX"),
        (NAMED, "INBOX/a", "INBOX/a/mAildir", "INBOX/a"),
    ],
)
def test_directories(layout: Layout, name: str, directory: str, control: str) -> None:
    assert layout.directory_of(MailboxName(name)) == directory
    assert layout.name_of(directory) == layout.check_name(name)
    assert layout.control_of(directory) == control


@pytest.mark.parametrize(
    ("layout", "name"),
    [
        (FLAT, "a/b"),
        (SLASH, "a/cur"),
        (SLASH, "new"),
        (SLASH, "tmp/x"),
        (SLASH, "~kim/x"),
        (SLASH, "../x"),
        (SLASH, "a/."),
        (SLASH, "a//b"),
        (SLASH, "/a"),
        (SLASH, "subscriptions"),
        (SLASH, "a/dovecot-uidlist"),
        (SLASH, "dovecot.index.log"),
        (SLASH, "mas-index.sqlite"),
        (SLASH, "..mas-deleted.0"),
        (SLASH, "x" * 256),
        (SLASH, "/".join(["𝒳" * 20] * 40)),
        (DOT, "a/b"),
        (NAMED, "a/mAildir/b"),
        (NAMED, "mas-index"),
    ],
)
def test_names_that_never_reach_the_disk(layout: Layout, name: str) -> None:
    with pytest.raises(InvalidMailboxName):
        layout.directory_of(MailboxName(name))


@pytest.mark.parametrize("layout", [SLASH, NAMED])
@pytest.mark.parametrize("name", ["mas-salsa", "dovecot-users", "subscriptions2", "curious", "a/..."])
def test_names_that_only_look_like_files(layout: Layout, name: str) -> None:
    assert layout.name_of(layout.directory_of(MailboxName(name))) == name


@pytest.mark.parametrize("directory", ["INBOX", "inbox", "inbox/a", "caf\udce9", "&bad", "a/cur", "&AGE-"])
def test_directories_that_are_no_mailboxes(directory: str) -> None:
    with pytest.raises(InvalidMailboxName):
        SLASH.name_of(directory)
    with pytest.raises(InvalidMailboxName):
        NAMED.name_of(directory.replace("cur", "mAildir") + "/mAildir")


def test_a_level_with_the_separator_in_it_is_no_mailbox() -> None:
    with pytest.raises(InvalidMailboxName):
        DOT.name_of("d.ot/a")


@given(st.sampled_from([FLAT, SLASH, DOT, NAMED]), st.text(max_size=40))
def test_directory_and_back(layout: Layout, text: str) -> None:
    try:
        directory = layout.directory_of(MailboxName(text))
    except InvalidMailboxName:
        return
    assert not directory.startswith("/")
    assert not {"", ".", ".."} & set(directory.split("/")) or directory == ""
    assert layout.name_of(directory) == layout.check_name(text)


@pytest.mark.parametrize(
    ("layout", "data", "expected"),
    [
        (SLASH, b"V\t2\n\nINBOX\na\tb\nd.ot\te\n", ["INBOX", "a/b", "d.ot/e"]),
        (SLASH, b"INBOX\na/b\nd.ot/e\n", ["INBOX", "a/b", "d.ot/e"]),
        (DOT, b"V\t2\n\na\tb\nd.ot\te\n", ["a.b"]),
        (NAMED, b"V\t2\n\na\tcur\nmAildir\n", ["a/cur"]),
        (FLAT, b"V\t2\n\na\tb\nd.ot\te\n", ["a.b"]),
    ],
)
def test_subscriptions(layout: Layout, data: bytes, expected: list[str]) -> None:
    assert subscriptions.parse_subscriptions(data, layout) == expected
    again = subscriptions.encode_subscriptions([MailboxName(name) for name in expected], layout)
    assert subscriptions.parse_subscriptions(again, layout) == expected
    assert (INBOX in expected) == (b"INBOX\n" in again)
