"""A new index, verification, quota, collecting."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mas.errors import MailboxForbidden
from mas.storage import contents, index, maintenance, schema
from mas.storage.engine import BOOT_ID
from mas.storage.model import DELETED, INBOX, Column, Flags, MailboxName, StoreOp
from mas.storage.store import MaildirStore
from mas.user import User
from tests.storage.test_account import MESSAGE, put


async def test_rebuild_under_a_session(store: MaildirStore, user: User) -> None:
    account = await store.open(user)
    await account.create(MailboxName("Box"))
    await put(store, account, "Box", [MESSAGE] * 70)
    await put(store, account)
    selection = await account.select(MailboxName("Box"))
    await selection.store([3], StoreOp.ADD, Flags(0, frozenset({"Work"})))
    seen: list[tuple[str, int, int]] = []
    assert await maintenance.rebuild(account, lambda *what: seen.append(what)) == 71
    assert seen[0] == ("Box", 0, 70)
    assert seen[-1] == ("INBOX", 1, 1)
    assert not selection.gone
    assert list(selection.snapshot.uids) == list(range(1, 71))
    rows = [row async for batch in selection.fetch([1, 70], [Column.ENVELOPE]) for row in batch]
    assert len(rows) == 2
    assert await maintenance.check(account) == []


async def test_check_says_what_is_wrong(store: MaildirStore, user: User) -> None:
    account = await store.open(user)
    await put(store, account, octets=[MESSAGE] * 3, flags=Flags(DELETED))
    assert await maintenance.check(account) == []

    def damage() -> None:
        with account.engine.transaction(durable=True) as transaction:
            row = account.engine.require(INBOX)
            row.messages, row.size = 7, 1
            transaction.touch(row)
            transaction.execute("UPDATE message SET file = 'cur/nowhere:2,' WHERE uid = 2")

    await account.write(damage)
    problems = await maintenance.check(account)
    assert [problem.partition(":")[0] for problem in problems] == ["INBOX"] * len(problems)
    text = "\n".join(problems)
    for part in ("messages is 7, counted 3", "size is 1", "uid 2: no file cur/nowhere", "is not in the index"):
        assert part in text
    usage, wrong = await maintenance.recalculate(account)
    assert wrong
    assert (usage[0].messages, usage[0].storage) == (3, 3 * len(MESSAGE))
    assert not (await maintenance.recalculate(account))[1]


async def test_tidy_collects_what_nobody_has(store: MaildirStore, user: User) -> None:
    account = await store.open(user)
    await put(store, account, octets=[MESSAGE.replace(b"Hello", b"%d" % n) for n in range(5)])
    await account.create(MailboxName("Copies"))
    selection = await account.select(INBOX)
    await selection.copy([1, 2], MailboxName("Copies"))
    await selection.store([1, 3, 4], StoreOp.ADD, Flags(DELETED))
    selection.take_changes()
    assert await selection.expunge() == [1, 3, 4]
    await account.write(lambda: contents.collect(account.engine))
    with account.engine.reading() as database:
        for table in ("content", "content_text", "content_header"):
            assert index.fetch_all(database, f"SELECT count(*) FROM {table}") == [(3,)]
    await maintenance.tidy(account)
    copies = await account.select(MailboxName("Copies"))
    rows = [row async for batch in copies.fetch([1, 2], [Column.ENVELOPE]) for row in batch]
    assert [b'"0"' in bytes(str(row[1]), "ascii") for row in rows] == [True, False]


async def test_special_uses_outlive_the_index(stores: Callable[..., MaildirStore], user: User) -> None:
    store = stores()
    account = await store.open(user)
    await account.create(MailboxName("Bin"), ["\\Trash", "\\Archive"])
    await account.create(MailboxName("Plain"))
    await account.rename(MailboxName("Bin"), MailboxName("Old.Bin"))

    async def uses() -> dict[str, set[str]]:
        return {info.name: set(info.special_use) for info in await account.list() if info.special_use}

    expected = {"Old.Bin": {"\\Trash", "\\Archive"}}
    assert await uses() == expected
    await maintenance.rebuild(account)
    assert await uses() == expected
    with pytest.raises(MailboxForbidden):
        await account.create(MailboxName("Second"), ["\\Trash"])
    await store.close()
    for path in (user.home / "Maildir").glob("mas-index*"):
        path.unlink()
    store = stores()
    account = await store.open(user)
    assert await uses() == expected
    await account.delete(MailboxName("Old.Bin"))
    await account.create(MailboxName("Second"), ["\\Trash"])
    assert await uses() == {"Second": {"\\Trash"}}


async def test_rest_marks_clean_for_everybody(stores: Callable[..., MaildirStore], user: User) -> None:
    """Who wrote last before a process let the index rest begins the boot again with his next commit; sessions are not woken for it."""
    one, two = stores(), stores()
    here, there = await one.open(user), await two.open(user)

    async def boot() -> str:
        ((found,),) = await here.write(lambda: index.fetch_all(here.engine.database, "SELECT boot FROM account"))
        return str(found)

    await put(one, here)
    await put(two, there)
    await here.catch_up()
    assert await boot() == BOOT_ID
    await maintenance.tidy(there)
    assert there.engine.parked
    assert here.current
    assert await boot() == ""
    await put(one, here)
    assert await boot() == BOOT_ID
    await put(two, there)
    await maintenance.tidy(here)
    await maintenance.tidy(there)
    assert await boot() == ""


async def test_rest_leaves_a_small_wal(store: MaildirStore, user: User) -> None:
    """A delivery's is read by the next one, a large one goes into the file."""
    account = await store.open(user)
    wal = user.home / "Maildir/mas-index.sqlite-wal"
    for _ in range(2):
        await put(store, account)
        await maintenance.tidy(account)
    assert 0 < wal.stat().st_size <= schema.WAL_KEPT
    await put(store, account, octets=[b"Subject: %d\r\n\r\n" % n + b"x" * 5000 for n in range(200)])
    assert wal.stat().st_size > schema.WAL_KEPT
    await maintenance.tidy(account)
    assert wal.stat().st_size == 0
    assert await maintenance.check(account) == []


async def test_closing_a_delivered_account_opens_nothing(store: MaildirStore, user: User) -> None:
    """Mail that nobody has seen stays in new/ under its name."""
    account = await store.open(user)
    await put(store, account, delivery=True)
    unfinished = [account.unfinished]
    selection = await account.select(INBOX)
    unfinished.append(account.unfinished)
    await selection.close()
    unfinished.append(account.unfinished)
    assert unfinished == [False, True, False]
    assert len(list((user.home / "Maildir/cur").iterdir())) == 1
