"""A large expunge: the commit is the promise, the files go after the answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mas.storage import maintenance, transfer
from mas.storage.model import DELETED, INBOX, SEEN, Flags, MailboxName, StoreOp
from mas.storage.selection import MaildirSelection
from mas.storage.store import MaildirStore
from mas.user import User
from tests.storage.test_account import MESSAGE, put


def files(user: User) -> set[str]:
    return {path.name for part in ("cur", "new") for path in (user.home / "Maildir" / part).iterdir()}


async def doomed(store: MaildirStore, user: User, count: int) -> MaildirSelection:
    """INBOX with ``count`` messages that have \\Deleted, every other one in new/, and one that has not."""
    account = await store.open(user)
    await put(store, account, octets=[MESSAGE] * (count // 2), flags=Flags(SEEN))
    await put(store, account, octets=[MESSAGE] * (count - count // 2))
    selection = await account.select(INBOX)
    await selection.store(list(selection.snapshot.uids), StoreOp.ADD, Flags(DELETED))
    await put(store, account, octets=[b"Subject: stays\r\n\r\n"])
    selection.take_changes()
    return selection


@pytest.fixture(autouse=True)
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "AT_ONCE", 3)


async def test_files_follow_the_answer(store: MaildirStore, user: User) -> None:
    selection = await doomed(store, user, 10)
    account = await store.open(user)
    assert len(await selection.expunge()) == 10
    assert len(selection.snapshot.uids) == 1
    (usage, *_) = await account.quota()
    assert usage.messages == 1
    assert await maintenance.check(account) == []
    await store.blocking.settle()
    assert len(files(user)) == 1
    assert await maintenance.check(account) == []


async def test_a_few_are_removed_before_the_answer(store: MaildirStore, user: User) -> None:
    selection = await doomed(store, user, 3)
    await selection.expunge()
    assert len(files(user)) == 1


async def test_closing_the_store_removes_them_first(store: MaildirStore, user: User) -> None:
    selection = await doomed(store, user, 10)
    await selection.expunge()
    await store.close()
    assert len(files(user)) == 1


async def test_the_mailbox_is_deleted_or_renamed_meanwhile(store: MaildirStore, user: User) -> None:
    account = await store.open(user)
    for name in ("Gone", "Old"):
        await account.create(MailboxName(name))
        await put(store, account, name, [MESSAGE] * 8, Flags(DELETED))
        selection = await account.select(MailboxName(name))
        await selection.expunge()
        await selection.close()
    await account.delete(MailboxName("Gone"))
    await account.rename(MailboxName("Old"), MailboxName("New"))
    await store.blocking.settle()
    assert not list((user.home / "Maildir/.New/cur").iterdir())
    assert await maintenance.check(account) == []


@pytest.mark.parametrize("foreign", ["", "new", "cur"], ids=["nothing", "new mail", "a rename"])
async def test_killed_after_the_answer(
    stores: Callable[..., MaildirStore],
    user: User,
    monkeypatch: pytest.MonkeyPatch,
    foreign: str,
    tmp_path: Path,
) -> None:
    """The process dies with every file still there; another program delivers or renames before the next one looks."""
    monkeypatch.setattr("mas.storage.account.MaildirAccount.unlink_later", lambda self: None)
    first = stores()
    selection = await doomed(first, user, 10)
    await selection.expunge()
    (await first.open(user))._expunged.clear()
    await first.close()
    assert len(files(user)) == 11
    maildir = user.home / "Maildir"
    if foreign == "new":
        (maildir / "new/1700000000.foreign").write_bytes(MESSAGE)
    if foreign == "cur":
        path = next(path for path in (maildir / "cur").iterdir())
        path.rename(path.with_name(path.name + "F"))
    second = stores()
    account = await second.open(user)
    again = await account.select(INBOX)
    await again.refresh()
    kept = 2 if foreign == "new" else 1
    assert len(again.snapshot.uids) == kept
    await account.synchronise(account.faces[INBOX], everything=True)
    assert len(again.snapshot.uids) == kept
    assert len(files(user)) == kept
    assert await maintenance.check(account) == []


async def test_a_scan_of_new_alone_brings_nothing_back(
    store: MaildirStore, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mas.storage.account.MaildirAccount.unlink_later", lambda self: None)
    selection = await doomed(store, user, 10)
    account = await store.open(user)
    await selection.expunge()

    def unchecked() -> None:
        row = account.engine.require(INBOX)
        with account.engine.transaction(durable=False) as transaction:
            row.new_checked = 0
            transaction.touch(row)

    await account.write(unchecked)
    await account.synchronise(account.faces[INBOX])
    assert len(selection.snapshot.uids) == 1
