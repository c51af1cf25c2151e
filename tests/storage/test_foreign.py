"""Other programs on the Maildir: mutt, a backup restore, a delivery agent, Dovecot's files."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mas.storage import verify as verifying
from mas.storage.account import MaildirAccount
from mas.storage.model import ANSWERED, FLAGGED, INBOX, SEEN, ChangeKind, Flags, MailboxName, StoreOp
from mas.storage.selection import MaildirSelection
from mas.storage.store import MaildirStore
from mas.user import User
from tests.storage.test_account import MESSAGE, contents, put

KEYWORD_A = 1 << 5


def file_of(maildir: Path, uid: int) -> Path:
    """The file of a message, found through the uid list."""
    for line in (maildir / "dovecot-uidlist").read_text().splitlines()[1:]:
        number, _, base = line.partition(" :")
        if int(number.split()[0]) == uid:
            (found,) = [*(maildir / "cur").glob(base + "*"), *(maildir / "new").glob(base + "*")]
            return found
    raise AssertionError(f"uid {uid} is not listed")


async def agreeing(account: MaildirAccount) -> None:
    assert await account.write(lambda: verifying.verify(account.engine)) == []


@pytest.fixture
async def selection(store: MaildirStore, user: User) -> MaildirSelection:
    account = await store.open(user)
    await put(store, account, octets=[MESSAGE] * 3, flags=Flags(SEEN, frozenset({"Work"})))
    return await account.select(INBOX)


@pytest.fixture
def maildir(user: User) -> Path:
    return user.home / "Maildir"


async def test_delivery_by_another_program(selection: MaildirSelection, maildir: Path) -> None:
    (maildir / "new" / "1700000000.1.elsewhere").write_bytes(MESSAGE.replace(b"\r\n", b"\n"))
    (maildir / "cur" / "1600000000.1.elsewhere:2,FRb").write_bytes(MESSAGE)
    await selection.refresh()
    changes = selection.take_changes()
    assert [(c.kind, c.uid) for c in changes] == [(ChangeKind.NEW, 4), (ChangeKind.NEW, 5)]
    assert selection.snapshot.flags[3:] == [FLAGGED | ANSWERED | KEYWORD_A << 1, 0]
    assert await contents(selection) == dict.fromkeys([1, 2, 3, 4, 5], MESSAGE)
    await agreeing(selection._account)


async def test_flags_changed_by_another_program(selection: MaildirSelection, maildir: Path) -> None:
    # Ours is pending: the file is still called as before.
    await selection.store([1], StoreOp.ADD, Flags(FLAGGED))
    selection.take_changes()
    path = file_of(maildir, 1)
    assert path.name.endswith(":2,Sa")
    path.rename(path.with_name(path.name.replace(":2,Sa", ":2,RSP")))
    await selection.refresh()
    (change,) = selection.take_changes()
    # They added \Answered and took the keyword away; \Flagged is ours and stays; a letter nobody knows is kept.
    assert change.flags == SEEN | FLAGGED | ANSWERED
    await selection.close()
    assert file_of(maildir, 1).name.endswith(":2,FRSP")
    await agreeing(selection._account)


async def test_file_removed_by_another_program(selection: MaildirSelection, maildir: Path) -> None:
    file_of(maildir, 2).unlink()
    assert sorted(await contents(selection)) == [1, 3]
    assert [(c.kind, c.uid) for c in selection.take_changes()] == [(ChangeKind.EXPUNGED, 2)]
    await agreeing(selection._account)


async def test_restored_file_gets_another_uid(selection: MaildirSelection, maildir: Path) -> None:
    path = file_of(maildir, 3)
    octets = path.read_bytes()
    path.unlink()
    await selection.refresh()
    path.write_bytes(octets)
    await selection.refresh()
    assert [(c.kind, c.uid) for c in selection.take_changes()] == [(ChangeKind.EXPUNGED, 3), (ChangeKind.NEW, 4)]
    assert not path.exists()
    await agreeing(selection._account)


async def test_uidlist_removed_is_written_again(selection: MaildirSelection, maildir: Path) -> None:
    before = (maildir / "dovecot-uidlist").read_bytes()
    (maildir / "dovecot-uidlist").unlink()
    await put(selection._account.store, selection._account)
    listed = (maildir / "dovecot-uidlist").read_bytes()
    assert listed.splitlines()[1:4] == before.splitlines()[1:4]
    assert listed.split()[1] == before.split()[1]
    assert list(selection.snapshot.uids) == [1, 2, 3, 4]
    await agreeing(selection._account)


@pytest.mark.parametrize(
    "damage", [b"", b"garbage\n", b"3 V0 N1\n", os.urandom(300)], ids=["empty", "text", "zero", "noise"]
)
async def test_damaged_uidlist_is_written_again(selection: MaildirSelection, maildir: Path, damage: bytes) -> None:
    (maildir / "dovecot-uidlist").write_bytes(damage)
    await put(selection._account.store, selection._account)
    assert list(selection.snapshot.uids) == [1, 2, 3, 4]
    await agreeing(selection._account)


async def test_both_lists_lost_is_another_uid_validity(stores: Callable[..., MaildirStore], user: User) -> None:
    first = stores()
    account = await first.open(user)
    await put(first, account, octets=[MESSAGE] * 2)
    (before,) = await account.status([INBOX])
    await first.close()
    maildir = user.home / "Maildir"
    (maildir / "mas-index.sqlite").unlink()
    (maildir / "dovecot-uidlist").write_bytes(b"garbage")
    second = stores()
    (after,) = await (await second.open(user)).status([INBOX])
    assert before is not None
    assert after is not None
    assert after.uid_validity > before.uid_validity
    assert after.messages == 2


@pytest.mark.parametrize("how", ["removed", "noise", "truncated"])
async def test_index_lost_keeps_what_was_promised(stores: Callable[..., MaildirStore], user: User, how: str) -> None:
    first = stores()
    account = await first.open(user)
    await account.create(MailboxName("Box"))
    await put(first, account, "Box", [MESSAGE] * 3, Flags(SEEN, frozenset({"Work"})))
    selection = await account.select(MailboxName("Box"))
    await selection.store([2], StoreOp.REPLACE, Flags(FLAGGED))
    await selection.close()
    (before,) = await account.status([MailboxName("Box")])
    assert before is not None
    await first.close()
    path = user.home / "Maildir/mas-index.sqlite"
    if how == "removed":
        path.unlink()
    elif how == "noise":
        path.write_bytes(os.urandom(50_000))
    else:
        os.truncate(path, 5000)
    second = stores()
    account = await second.open(user)
    (after,) = await account.status([MailboxName("Box")])
    assert after is not None
    assert (after.uid_validity, after.uid_next, after.mailbox_id, after.messages, after.unseen) == (
        before.uid_validity,
        before.uid_next,
        before.mailbox_id,
        3,
        1,
    )
    assert after.highest_modseq > before.highest_modseq
    selection = await account.select(MailboxName("Box"))
    assert list(selection.snapshot.flags) == [SEEN | KEYWORD_A, FLAGGED, SEEN | KEYWORD_A]
    assert selection.snapshot.keywords == ["Work"]
    resync = await selection.resync(before.highest_modseq, [(1, 5)])
    assert (resync.vanished, [row.uid for row in resync.changed]) == ([], [1, 2, 3])
    await agreeing(account)


async def test_two_processes_learn_of_each_other(stores: Callable[..., MaildirStore], user: User) -> None:
    """Two stores stand for two processes: they share nothing but the files."""
    one, two = stores(), stores()
    here, there = await one.open(user), await two.open(user)
    mine = await here.select(INBOX)
    woken = asyncio.Event()
    mine.on_change(woken.set)

    async def next_change() -> list[tuple[ChangeKind, int]]:
        async with asyncio.timeout(60):
            while not mine.has_changes():
                woken.clear()
                await woken.wait()
        return [(change.kind, change.uid) for change in mine.take_changes()]

    await put(two, there)
    assert await next_change() == [(ChangeKind.NEW, 1)]
    theirs = await there.select(INBOX)
    await theirs.store([1], StoreOp.ADD, Flags(0, frozenset({"Fresh"})))
    assert await next_change() == [(ChangeKind.FLAGS, 1)]
    assert mine.snapshot.keywords == ["Fresh"]
    # A third program, without our lock.
    (user.home / "Maildir/new/1700000001.x.y").write_bytes(MESSAGE)
    assert await next_change() == [(ChangeKind.NEW, 2)]
    await theirs.refresh()
    await theirs.move([1], MailboxName("INBOX"))
    assert await next_change() == [(ChangeKind.NEW, 3), (ChangeKind.EXPUNGED, 1)]
    done = await mine.store([2, 3], StoreOp.ADD, Flags(SEEN))
    assert [row.uid for row in done.changed] == [2, 3]
    await there.create(MailboxName("Other"))
    assert "Other" in {info.name for info in await here.list()}
    await agreeing(here)


async def test_concurrent_writers_in_two_processes(stores: Callable[..., MaildirStore], user: User) -> None:
    one, two = stores(), stores()
    here, there = await one.open(user), await two.open(user)
    given = await asyncio.gather(*[put(store, account) for store, account in [(one, here), (two, there)] * 15])
    uids = [uid for uids in given for uid in uids]
    assert sorted(uids) == list(range(1, 31))
    mine, theirs = await here.select(INBOX), await there.select(INBOX)
    await mine.refresh()
    assert list(mine.snapshot.uids) == list(theirs.snapshot.uids) == list(range(1, 31))
    await agreeing(here)


async def test_deleted_mailbox_is_gone_for_others(stores: Callable[..., MaildirStore], user: User) -> None:
    one, two = stores(), stores()
    here, there = await one.open(user), await two.open(user)
    await here.create(MailboxName("Box"))
    await put(one, here, "Box")
    theirs = await there.select(MailboxName("Box"))
    await here.delete(MailboxName("Box"))
    await theirs.refresh()
    assert theirs.gone
    await here.create(MailboxName("Box"))
    again = await there.select(MailboxName("Box"))
    assert again.snapshot.uid_validity > theirs.snapshot.uid_validity


async def test_unclean_boot_looks_at_every_file(
    stores: Callable[..., MaildirStore], user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The uid list has lost its last line, and a directory's time says nothing: the list comes back from the index."""
    first = stores()
    account = await first.open(user)
    await put(first, account, octets=[MESSAGE] * 3, delivery=True)
    path = user.home / "Maildir/dovecot-uidlist"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]) + bytes(len(lines[-1])))
    monkeypatch.setattr("mas.storage.engine.BOOT_ID", "another boot")
    second = stores()
    account = await second.open(user)
    (status,) = await account.status([INBOX])
    assert status is not None
    assert (status.messages, status.uid_next) == (3, 4)
    assert path.read_bytes().splitlines(keepends=True)[1:] == lines[1:]
    assert await put(second, account, delivery=True) == [4]
    await agreeing(account)


async def test_index_damaged_under_a_session(selection: MaildirSelection, user: User) -> None:
    """The session goes on: the uids are the uid list's, so only the modseqs are new."""
    account = selection._account
    before = selection.snapshot.highest_modseq
    await account.write(account.engine.rest)
    (user.home / "Maildir/mas-index.sqlite").write_bytes(os.urandom(30_000))
    done = await selection.store([2], StoreOp.ADD, Flags(FLAGGED))
    assert [(row.uid, row.flags) for row in done.changed] == [(2, SEEN | KEYWORD_A | FLAGGED)]
    assert done.changed[0].modseq > before
    assert not selection.gone
    assert await contents(selection) == dict.fromkeys([1, 2, 3], MESSAGE)
    await agreeing(account)
