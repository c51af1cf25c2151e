"""What a Maildir should not hold, and an index that is not what it was: said in the log, and nothing of the rest is lost."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from mas.errors import MailboxExists, StorageUnavailable
from mas.storage import disk, maintenance, uidlist
from mas.storage.mime.section import Section
from mas.storage.model import INBOX, Column, Flags, MailboxName, StoreOp
from mas.storage.store import MaildirStore
from mas.user import User
from tests.storage.test_account import MESSAGE, contents, put


async def test_a_file_that_vanished(store: MaildirStore, user: User) -> None:
    account = await store.open(user)
    await put(store, account, octets=[MESSAGE] * 3)
    selection = await account.select(INBOX)
    sorted((user.home / "Maildir/new").iterdir())[1].unlink()
    assert await contents(selection) == {1: MESSAGE, 3: MESSAGE}
    assert [change.uid for change in selection.take_changes()] == [2]
    assert await maintenance.check(account) == []


async def test_a_file_that_cannot_be_read(store: MaildirStore, user: User) -> None:
    """A directory with a message's name: root as well cannot read it."""
    account = await store.open(user)
    await put(store, account, octets=[MESSAGE] * 2)
    (user.home / "Maildir/cur/1.M1P1.host:2,S").mkdir()
    selection = await account.select(INBOX)
    assert list(selection.snapshot.uids) == [1, 2, 3]
    with pytest.raises(StorageUnavailable):
        [batch async for batch in selection.octets([3], Section())]
    rows = [row async for batch in selection.fetch([1, 2, 3], [Column.ENVELOPE]) for row in batch]
    assert [row[0] for row in rows] == [1, 2]
    batches = [batch async for batch in selection.octets([1, 2], Section())]
    assert [pair for batch in batches for pair in batch] == [(1, MESSAGE), (2, MESSAGE)]
    assert await put(store, account) == [4]


async def test_names_that_no_program_makes(store: MaildirStore, user: User) -> None:
    account = await store.open(user)
    await put(store, account)
    cur = user.home / "Maildir/cur"
    names = [b"\xff\xfe:2,S", b"a b\nc:2,", b":2,S", b"x" * 255, b"1.2.host,S=9,W=99999999999999999999:2,S", b".hidden"]
    for name in names:
        (cur / os.fsdecode(name)).write_bytes(MESSAGE)
    (cur / "5.M5P5.link:2,").symlink_to("nowhere")
    selection = await account.select(INBOX)
    found = await contents(selection)
    assert len(found) >= 3
    assert set(found.values()) == {MESSAGE}
    assert await put(store, account) == [selection.snapshot.uid_next - 1]
    listed = uidlist.read_uidlist(str(user.home / "Maildir/dovecot-uidlist"))
    assert listed is not None
    assert not listed.torn
    assert sorted(listed.uids.values()) == list(selection.snapshot.uids)


@pytest.mark.parametrize("how", ["version", "wal"])
async def test_an_index_of_another_time(
    stores: Callable[..., MaildirStore], user: User, tmp_path: Path, how: str
) -> None:
    """Of another version of MAS, or copied without its WAL: the uids are the uid list's."""
    first = stores()
    account = await first.open(user)
    await put(first, account, octets=[MESSAGE] * 3, flags=Flags(0, frozenset({"Work"})))
    copy = tmp_path / "copy"
    ignored = shutil.ignore_patterns("*-wal", "*-shm", "mas-index.lock") if how == "wal" else None
    if how == "version":
        await first.close()
    shutil.copytree(user.home, copy, ignore=ignored)
    if how == "version":
        database = apsw.Connection(str(copy / "Maildir/mas-index.sqlite"))
        database.pragma("user_version", 99)
        database.close()
    second = stores()
    account = await second.open(User(user.name, copy, f"maildir:{copy}/Maildir"))
    selection = await account.select(INBOX)
    assert await contents(selection) == dict.fromkeys([1, 2, 3], MESSAGE)
    assert selection.snapshot.keywords == ["Work"]
    assert await put(second, account) == [4]
    assert await maintenance.check(account) == []


@pytest.mark.parametrize("damage", [b"", b"x\n" * 50, b"0\n1 \n99 Far\n-1 Neg\n", os.urandom(300)])
async def test_damaged_keywords_file(stores: Callable[..., MaildirStore], user: User, damage: bytes) -> None:
    """The index knows the names: none is lost, and the next keyword gets a number of its own."""
    store = stores()
    account = await store.open(user)
    await put(store, account, flags=Flags(0, frozenset({"Work"})))
    selection = await account.select(INBOX)
    (user.home / "Maildir/dovecot-keywords").write_bytes(damage)
    await account.synchronise(account.faces[INBOX], everything=True)
    await selection.store([1], StoreOp.ADD, Flags(0, frozenset({"Play"})))
    flags = selection.snapshot.flags[0] >> 5
    assert {name for n, name in enumerate(selection.snapshot.keywords) if flags >> n & 1} == {"Work", "Play"}
    assert await maintenance.check(account) == []


async def test_a_rename_onto_what_is_no_mailbox(store: MaildirStore, user: User) -> None:
    account = await store.open(user)
    for name in ("A", "A.x"):
        await account.create(MailboxName(name))
    (user.home / "Maildir/.B.x").write_bytes(b"a file of somebody")
    with pytest.raises(MailboxExists):
        await account.rename(MailboxName("A"), MailboxName("B"))
    assert {info.name for info in await account.list()} == {"INBOX", "A", "A.x"}
    assert await maintenance.check(account) == []


@pytest.mark.parametrize("location", ["", ":CONTROL={control}"])
async def test_an_interrupted_rename_that_cannot_be_finished(
    stores: Callable[..., MaildirStore], user: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, location: str
) -> None:
    """Another program made a mailbox of that name meanwhile: both are there, with their mail, and everybody can go on."""
    user = User(user.name, user.home, user.location + location.format(control=tmp_path / "control"))
    first = stores()
    account = await first.open(user)
    for name in ("A", "A.x"):
        await account.create(MailboxName(name))
        await put(first, account, name)

    class Killed(BaseException):
        """The process is no more."""

    def kill(step: str, path: str) -> None:
        if step == "rename" and path.endswith("/.B.x"):
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(disk, "failpoint", kill)
        with pytest.raises(Killed):
            await account.rename(MailboxName("A"), MailboxName("B"))
    cur = user.home / "Maildir/.B.x/cur"
    cur.mkdir(parents=True)
    (cur / "1.M1P1.host:2,S").write_bytes(MESSAGE)
    account = await stores().open(user)
    statuses = dict(zip(["A.x", "B.x"], await account.status([MailboxName("A.x"), MailboxName("B.x")]), strict=True))
    assert {name: status.messages if status else None for name, status in statuses.items()} == {"A.x": 1, "B.x": 1}
    names = {info.name for info in await account.list() if info.selectable}
    assert names in ({"INBOX", "A", "A.x", "B.x"}, {"INBOX", "B", "A.x", "B.x"})
    assert await maintenance.check(account) == []


async def test_the_highest_uidvalidity_is_on_disk(store: MaildirStore, user: User) -> None:
    (user.home / "Maildir").mkdir(parents=True, exist_ok=True)
    (user.home / "Maildir/dovecot-uidvalidity").write_text("ffffffff")
    account = await store.open(user)
    names = [MailboxName(name) for name in ("A", "B")]
    for name in names:
        await account.create(name)
    validities = [status.uid_validity for status in await account.status(names) if status]
    assert 0 not in validities
    assert len(set(validities)) == 2
