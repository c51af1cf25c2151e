"""Annotations on disk: the file, its limits, and what processes see of each other's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mas.errors import (
    AnnotationTooBig,
    MailboxForbidden,
    MailboxNotFound,
    MailboxNotSelectable,
    StorageUnavailable,
    TooManyAnnotations,
)
from mas.storage import maintenance
from mas.storage.metadata import FILE_NAME, SERVER_FILE_NAME, encode_annotations, parse_annotations
from mas.storage.model import INBOX, MailboxName
from mas.storage.store import MaildirStore
from mas.user import User

BOX = MailboxName("Box")
SERVER = MailboxName("")
ENTRIES = st.text(st.characters(min_codepoint=0x1A, max_codepoint=0x7E), min_size=1)


def files(folder: Path) -> list[Path]:
    return list(folder.glob("**/mas-metadata*"))


@given(st.dictionaries(ENTRIES, st.binary()))
def test_round_trip(annotations: dict[str, bytes]) -> None:
    assert parse_annotations(encode_annotations(annotations)) == annotations


def test_the_file() -> None:
    octets = encode_annotations({"/shared/b": b"\0\t\r\n\\ \xff", "/private/a": b""})
    assert octets == b"V\t1\n/private/a\t\n/shared/b\t\\0\\t\\r\\n\\\\ \xff\n"


@given(st.binary())
def test_any_octets(octets: bytes) -> None:
    found = parse_annotations(b"V\t1\n" + octets)
    assert parse_annotations(encode_annotations(found)) == found


def test_what_is_no_annotation_is_left_out() -> None:
    assert parse_annotations(b"V\t1\nnothing\n\xff\tx\n/private/a\t\\q\\\n\n") == {"/private/a": b"\\q\\"}


@pytest.mark.parametrize("octets", [b"", b"V\t2\n/private/a\tb\n", b"/private/a\tb\n"])
async def test_a_file_of_another_version_is_not_touched(store: MaildirStore, user: User, octets: bytes) -> None:
    account = await store.open(user)
    path = user.home / "Maildir" / FILE_NAME
    path.write_bytes(octets)
    with pytest.raises(StorageUnavailable, match=FILE_NAME):
        await account.metadata(INBOX)
    with pytest.raises(StorageUnavailable):
        await account.set_metadata(INBOX, {"/private/a": b"x"})
    assert path.read_bytes() == octets


async def test_another_process_sees_it_at_once(stores: Callable[..., MaildirStore], user: User) -> None:
    one, other = [await store.open(user) for store in (stores(), stores())]
    await one.create(BOX)
    for name in (BOX, SERVER, INBOX):
        assert await other.metadata(name) == {}
        await one.set_metadata(name, {"/private/a": b"1", "/shared/b": b"2"})
        assert await other.metadata(name) == {"/private/a": b"1", "/shared/b": b"2"}
        await other.set_metadata(name, {"/private/a": None})
        assert await one.metadata(name) == {"/shared/b": b"2"}
        await one.set_metadata(name, {"/shared/b": None})
        assert await other.metadata(name) == {}
    assert files(user.home / "Maildir") == []


async def test_an_idle_session_of_another_process_is_woken(stores: Callable[..., MaildirStore], user: User) -> None:
    one, other = [await store.open(user) for store in (stores(), stores())]
    selection = await other.select(INBOX)
    listing = await other.list()
    woken = asyncio.Event()
    selection.on_change(woken.set)
    await one.set_metadata(SERVER, {"/private/a": b"1"})
    await asyncio.wait_for(woken.wait(), 30)
    assert await other.list() is not listing
    assert not selection.has_changes()
    await selection.close()


async def test_it_outlives_the_index_and_follows_the_mailbox(store: MaildirStore, user: User) -> None:
    account = await store.open(user)
    await account.create(MailboxName("A.B"))
    await account.set_metadata(MailboxName("A.B"), {"/private/a": b"1"})
    await account.rename(MailboxName("A"), MailboxName("C"))
    await maintenance.rebuild(account)
    assert await account.metadata(MailboxName("C.B")) == {"/private/a": b"1"}
    with pytest.raises(MailboxNotSelectable):
        await account.metadata(MailboxName("C"))
    with pytest.raises(MailboxNotFound):
        await account.set_metadata(MailboxName("A.B"), {"/private/a": b"1"})
    await account.delete(MailboxName("C.B"))
    await account.create(MailboxName("C.B"))
    assert await account.metadata(MailboxName("C.B")) == {}


async def test_control_files_apart(store: MaildirStore, tmp_path: Path) -> None:
    user = User("kim@example.net", tmp_path, f"maildir:{tmp_path}/Maildir:CONTROL={tmp_path}/control")
    account = await store.open(user)
    await account.create(BOX)
    for name in (INBOX, BOX, SERVER):
        await account.set_metadata(name, {"/private/a": name.encode()})
    control = tmp_path / "control"
    assert all((control / name).exists() for name in (f".INBOX/{FILE_NAME}", f".Box/{FILE_NAME}", SERVER_FILE_NAME))
    assert files(tmp_path / "Maildir") == []


async def test_limits(stores: Callable[..., MaildirStore], user: User) -> None:
    limits = "[metadata]\nmax_value = 2000\nmax_entries = 10\nmax_total = 5000\n"
    account = await stores(f"mailbox = []\n{limits}").open(user)
    await account.create(BOX)
    with pytest.raises(AnnotationTooBig, match=r"metadata\.max_value = 2000"):
        await account.set_metadata(BOX, {"/private/a": b"1", "/private/b": bytes(2001)})
    await account.set_metadata(BOX, {f"/private/{n}": b"" for n in range(10)})
    with pytest.raises(TooManyAnnotations, match=r"metadata\.max_entries = 10"):
        await account.set_metadata(BOX, {"/private/0": b"new", "/private/10": b""})
    assert (await account.metadata(BOX))["/private/0"] == b""
    await account.set_metadata(INBOX, {"/private/a": b"x" * 2000})
    await account.set_metadata(SERVER, {"/private/a": b"x" * 2000})
    with pytest.raises(TooManyAnnotations, match=r"metadata\.max_total = 5000"):
        await account.set_metadata(BOX, {"/private/0": b"x" * 1000})
    # An operator may lower a limit: what is there stays, and can be made less.
    lower = await stores("mailbox = []\n[metadata]\nmax_total = 1024\n").open(user)
    await lower.set_metadata(INBOX, {"/private/a": b"y" * 1500})
    with pytest.raises(TooManyAnnotations):
        await lower.set_metadata(INBOX, {"/private/a": b"y" * 1501})


async def test_special_uses(stores: Callable[..., MaildirStore], user: User) -> None:
    store = stores('[[mailbox]]\nname = "Junk"\nspecial_use = \'\\Junk\'\nauto = "create"\n')
    account = await store.open(user)
    await account.create(BOX, ["\\Sent"])
    await account.create(MailboxName("Other"))

    async def uses() -> dict[str, list[str]]:
        return {info.name: sorted(info.special_use) for info in await account.list() if info.special_use}

    await account.set_special_use(MailboxName("Other"), ["\\Sent", "\\Drafts"])
    assert await uses() == {"Junk": ["\\Junk"], "Other": ["\\Drafts", "\\Sent"]}
    await account.set_special_use(BOX, ["\\Junk"])
    assert await uses() == {"Box": ["\\Junk"], "Other": ["\\Drafts", "\\Sent"]}
    await maintenance.rebuild(account)
    assert await uses() == {"Box": ["\\Junk"], "Other": ["\\Drafts", "\\Sent"]}
    await account.set_special_use(BOX, [])
    assert await uses() == {"Junk": ["\\Junk"], "Other": ["\\Drafts", "\\Sent"]}
    for name, wanted in ((MailboxName("Junk"), []), (MailboxName("Junk"), ["\\Trash"]), (INBOX, ["\\Trash"])):
        with pytest.raises(MailboxForbidden):
            await account.set_special_use(name, wanted)
    with pytest.raises(MailboxNotFound):
        await account.set_special_use(MailboxName("nosuch"), ["\\Trash"])
