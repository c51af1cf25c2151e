"""The store through its interface: mailboxes, saving, selecting."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from mas.errors import (
    DiskFull,
    InvalidMailboxName,
    KeywordLimit,
    MailboxExists,
    MailboxHasChildren,
    MailboxNotFound,
    MailboxNotSelectable,
)
from mas.storage import maintenance
from mas.storage.account import MaildirAccount
from mas.storage.interface import Store
from mas.storage.mime.section import Section, SectionText
from mas.storage.model import DELETED, FLAGGED, INBOX, SEEN, Column, Flags, MailboxName, SaveOptions, StoreOp
from mas.storage.selection import MaildirSelection
from mas.storage.store import MaildirStore
from mas.user import User

MESSAGE = b"From: kim@example.net\r\nSubject: Hello\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n\r\nText.\r\n"


async def put(
    store: MaildirStore,
    account: MaildirAccount,
    name: str = "INBOX",
    octets: Sequence[bytes] = (MESSAGE,),
    flags: Flags = Flags(),
    date: int | None = None,
    delivery: bool = False,
) -> Sequence[int]:
    """Save messages, return their uids."""
    messages = []
    for data in octets:
        incoming = store.incoming(account.user)
        await incoming.write(data)
        await incoming.finish()
        messages.append((incoming, SaveOptions(flags, date)))
    saved = await account.save(MailboxName(name), messages, delivery=delivery)
    for incoming, _ in messages:
        await incoming.__aexit__(None, None, None)
    return saved.uids


async def contents(selection: MaildirSelection) -> dict[int, bytes]:
    found = {}
    async for batch in selection.octets(list(selection.snapshot.uids), Section()):
        for uid, octets in batch:
            assert isinstance(octets, bytes)
            found[uid] = octets
    return found


def test_it_is_a_store(store: MaildirStore) -> None:
    typed: Store = store
    assert typed is store


async def test_a_full_mailbox_forgets_keywords_that_nobody_has(stores: Callable[..., MaildirStore], user: User) -> None:
    """Those that live in the index alone: a letter keeps its name, whatever other programs remember of it."""
    store = stores("mailbox = []\n[mail]\nmax_keywords = 29")
    account = await store.open(user)
    await put(store, account, octets=[MESSAGE, MESSAGE])
    selection, other = await account.select(INBOX), await account.select(INBOX)
    letters = [f"k{number:02}" for number in range(26)]
    await selection.store([1], StoreOp.ADD, Flags(0, frozenset(letters)))
    await selection.store([1], StoreOp.ADD, Flags(0, frozenset({"x", "y", "z"})))
    assert other.snapshot.keywords == [*letters, "x", "y", "z"]
    memo: dict[int, bytes] = {1: b"text"}
    other.snapshot.memo["of a reader"] = memo
    await selection.store([1], StoreOp.REMOVE, Flags(0, frozenset({"k03", "y", "z"})))
    with pytest.raises(KeywordLimit):
        await selection.store([2], StoreOp.ADD, Flags(0, frozenset({"z", "new", "newer"})))
    assert other.snapshot.keywords == [*letters, "x", "y", "z"]
    await selection.store([2], StoreOp.ADD, Flags(0, frozenset({"new", "z"})))
    assert other.snapshot.keywords == [*letters, "x", "new", "z"]
    assert memo == {}
    lines = (user.home / "Maildir/dovecot-keywords").read_text().splitlines()
    assert lines == [f"{number} {name}" for number, name in enumerate(letters)]
    assert _keywords(selection) == [{*letters, "x"} - {"k03"}, {"new", "z"}]
    # In an idle moment, before anybody asks for room.
    await selection.store([2], StoreOp.REMOVE, Flags(0, frozenset({"new", "z"})))
    await maintenance.tidy(account)
    assert other.snapshot.keywords == [*letters, "x"]
    await selection.store([2], StoreOp.ADD, Flags(0, frozenset({"last"})))
    assert _keywords(other) == [{*letters, "x"} - {"k03"}, {"last"}]


def _keywords(selection: MaildirSelection) -> list[set[str]]:
    names = selection.snapshot.keywords
    return [{name for n, name in enumerate(names) if flags >> (5 + n) & 1} for flags in selection.snapshot.flags]


async def test_saved_message_is_there_after_reopening(
    stores: Callable[..., MaildirStore], user: User, tmp_path: Path
) -> None:
    store = stores()
    account = await store.open(user)
    assert await put(store, account, flags=Flags(SEEN, frozenset({"$Junk"})), date=1700000000) == [1]
    assert await put(store, account, delivery=True) == [2]
    (status,) = await account.status([INBOX])
    assert status is not None
    assert (status.messages, status.unseen, status.uid_next, status.size) == (2, 1, 3, 2 * len(MESSAGE))
    await store.close()
    assert len(list((tmp_path / "kim/Maildir/new").iterdir())) == 1
    assert next((tmp_path / "kim/Maildir/cur").iterdir()).name.endswith(":2,Sa")
    assert not list((tmp_path / "kim/Maildir/tmp").iterdir())

    again = stores()
    account = await again.open(user)
    assert await account.status([INBOX]) == [status]
    selection = await account.select(INBOX)
    assert selection.recent_from == 1
    assert list(selection.snapshot.uids) == [1, 2]
    assert selection.snapshot.flags == [SEEN | 1 << 5, 0]
    assert selection.snapshot.keywords == ["$Junk"]
    rows = [row async for batch in selection.fetch([1, 2], [Column.SIZE, Column.INTERNAL_DATE]) for row in batch]
    assert rows[0] == (1, len(MESSAGE), 1700000000)
    assert await contents(selection) == {1: MESSAGE, 2: MESSAGE}
    await selection.close()
    assert not list((tmp_path / "kim/Maildir/new").iterdir())


async def test_store_copy_move_expunge(store: MaildirStore, user: User) -> None:
    account = await store.open(user)
    await account.create(MailboxName("Archive.2024"))
    await put(store, account, octets=[MESSAGE] * 5)
    selection = await account.select(INBOX)
    other = await account.select(INBOX, read_only=True)
    done = await selection.store([1, 2, 3], StoreOp.ADD, Flags(FLAGGED, frozenset({"Work"})))
    assert [row.uid for row in done.changed] == [1, 2, 3]
    assert [change.uid for change in other.take_changes()] == [1, 2, 3]
    copied = await selection.copy([1, 4], MailboxName("Archive.2024"))
    assert (copied.source, copied.target) == ([1, 4], [1, 2])
    moved = await selection.move([2, 3, 77], MailboxName("Archive.2024"))
    assert (moved.source, moved.target) == ([2, 3], [3, 4])
    assert list(selection.snapshot.uids) == [1, 4, 5]
    await selection.store([4, 5], StoreOp.ADD, Flags(DELETED))
    assert await selection.expunge([5, 1]) == [5]
    assert await selection.expunge() == [4]
    archive = await account.select(MailboxName("Archive.2024"))
    assert archive.snapshot.keywords == ["Work"]
    assert archive.snapshot.flags == [FLAGGED | 32, 0, FLAGGED | 32, FLAGGED | 32]
    assert await contents(archive) == dict.fromkeys([1, 2, 3, 4], MESSAGE)
    resync = await selection.resync(done.changed[0].modseq, None)
    assert resync.vanished == [(2, 5)]
    (status,) = await account.status([INBOX])
    assert status is not None
    assert (status.messages, status.deleted, status.deleted_size) == (1, 0, 0)


async def test_mailbox_names(store: MaildirStore, user: User) -> None:
    account = await store.open(user)
    await account.create(MailboxName("A.B"))
    with pytest.raises(MailboxExists):
        await account.create(MailboxName("A.B"))
    for name in ("", "A..B", "A/B", "..", "x" * 1001, "a\x00b", "A.", ".A", "ä" * 300):
        with pytest.raises(InvalidMailboxName):
            await account.create(MailboxName(name))
    with pytest.raises(MailboxNotSelectable):
        await account.select(MailboxName("A"))
    with pytest.raises(MailboxHasChildren):
        await account.delete(MailboxName("A"))
    with pytest.raises(MailboxNotFound):
        await account.select(MailboxName("Nowhere"))
    before = {info.name: info.mailbox_id for info in await account.list()}
    await account.rename(MailboxName("A"), MailboxName("Z.Ü"))
    after = {info.name: info.mailbox_id for info in await account.list()}
    assert after[MailboxName("Z.Ü.B")] == before[MailboxName("A.B")]
    assert set(after) == {"INBOX", "Z", "Z.Ü", "Z.Ü.B"}
    await account.delete(MailboxName("Z.Ü.B"))
    assert [info.name for info in await account.list()] == ["INBOX"]


LARGE = (
    b"Subject: large\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nsmall\r\n--b\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\n" + (b"QUJD" * 18 + b"\r\n") * 30_000 + b"--b--\r\n"
)


async def section(selection: MaildirSelection, uid: int, wanted: Section, start: int = 0) -> bytes:
    """One section, whatever form it is handed out in."""
    async for batch in selection.octets([uid], wanted):
        ((found, octets),) = batch
        assert found == uid
        if isinstance(octets, bytes):
            return octets[start:]
        pieces = [piece async for piece in octets.chunks(start)]
        assert max(map(len, pieces)) <= 131_072
        assert sum(map(len, pieces)) == octets.size - start
        return b"".join(pieces)
    raise AssertionError("no answer")


async def test_sections_of_small_and_large_messages(store: MaildirStore, user: User) -> None:
    account = await store.open(user)
    await put(store, account, octets=[LARGE, LARGE, MESSAGE])
    selection = await account.select(INBOX)
    # The second becomes a file with bare LFs, as other programs leave them: CRLF is served all the same.
    await selection.close()
    maildir = user.home / "Maildir"
    second = sorted((maildir / "cur").iterdir())[1]
    (maildir / "new" / "1700000000.foreign").write_bytes(second.read_bytes().replace(b"\r\n", b"\n"))
    selection = await account.select(INBOX)
    header = LARGE[: LARGE.index(b"\r\n\r\n") + 4]
    for uid in (1, 4):
        assert await section(selection, uid, Section()) == LARGE
        assert await section(selection, uid, Section(), 1_000_001) == LARGE[1_000_001:]
        assert await section(selection, uid, Section((1,))) == b"small"
        assert await section(selection, uid, Section((), SectionText.HEADER)) == header
        assert await section(selection, uid, Section((), SectionText.TEXT)) == LARGE[len(header) :]
        assert await section(selection, uid, Section((2,), decode=True)) == b"ABC" * 18 * 30_000
        assert await section(selection, uid, Section((2,), decode=True), 7) == (b"ABC" * 18 * 30_000)[7:]
        assert await section(selection, uid, Section((9,))) == b""
    fields = Section((), SectionText.HEADER_FIELDS, (b"subject",))
    found = [pair async for batch in selection.header_fields([1, 3, 4, 77], fields) for pair in batch]
    assert found == [
        (1, b"Subject: large\r\n\r\n"),
        (3, b"Subject: Hello\r\n\r\n"),
        (4, b"Subject: large\r\n\r\n"),
    ]
    columns = [Column.ENVELOPE, Column.BODYSTRUCTURE, Column.SIZE]
    rows = [row async for batch in selection.fetch([3, 4], columns) for row in batch]
    assert [(row[0], row[3]) for row in rows] == [(3, len(MESSAGE)), (4, len(LARGE))]
    assert b'"Hello"' in str(rows[0][1]).encode()


async def test_keywords_have_a_limit(stores: Callable[..., MaildirStore], user: User) -> None:
    """``mail.max_keywords``; what the mailbox has may still be used, and removing needs no room."""
    store = stores("mailbox = []\n[mail]\nmax_keywords = 3")
    account = await store.open(user)
    assert await put(store, account, flags=Flags(0, frozenset({"a", "b"}))) == [1]
    selection = await account.select(INBOX)
    with pytest.raises(KeywordLimit, match=r"mail\.max_keywords: 3 "):
        await selection.store([1], StoreOp.ADD, Flags(0, frozenset({"c", "d"})))
    with pytest.raises(KeywordLimit):
        await put(store, account, flags=Flags(0, frozenset({"c", "d"})))
    await selection.store([1], StoreOp.ADD, Flags(0, frozenset({"c", "A"})))
    await selection.store([1], StoreOp.REMOVE, Flags(0, frozenset({"unheard-of", "a"})))
    assert selection.snapshot.keywords == ["a", "b", "c"]
    assert list(selection.snapshot.flags) == [0b110 << 5]
    await account.create(MailboxName("Other"))
    other = await account.select(MailboxName("Other"))
    await put(store, account, name=MailboxName("Other"), flags=Flags(0, frozenset({"x", "y", "z"})))
    with pytest.raises(KeywordLimit):
        await selection.copy([1], MailboxName("Other"))
    assert list(other.snapshot.uids) == [1]
    assert await maintenance.check(account) == []


async def test_as_many_keywords_as_a_mailbox_can_hold(store: MaildirStore, user: User) -> None:
    account = await store.open(user)
    await put(store, account)
    selection = await account.select(INBOX)
    names = [f"k{number}" for number in range(58)]
    await selection.store([1], StoreOp.ADD, Flags(0, frozenset(names)))
    assert selection.snapshot.flags[0] >> 5 == (1 << 58) - 1
    with pytest.raises(KeywordLimit):
        await selection.store([1], StoreOp.ADD, Flags(0, frozenset({"more"})))
    # Another program gives the letters to 26 others: those of ours that have no place are gone, and nothing else.
    (user.home / "Maildir/dovecot-keywords").write_text("".join(f"{number} theirs{number}\n" for number in range(26)))
    await account.synchronise(account.faces[INBOX], everything=True)
    assert len([name for name in selection.snapshot.keywords if name]) == 58
    assert await maintenance.check(account) == []


async def test_save_finishes_what_was_not_finished(store: MaildirStore, user: User) -> None:
    account = await store.open(user)
    for octets in ([MESSAGE], [MESSAGE, b"Subject: large\r\n\r\n" + b"x" * 300_000]):
        async with contextlib.AsyncExitStack() as stack:
            messages = []
            for data in octets:
                incoming = await stack.enter_async_context(store.incoming(user))
                await incoming.write(data)
                messages.append((incoming, SaveOptions()))
            await account.save(INBOX, messages)
    selection = await account.select(INBOX)
    assert list((await contents(selection)).values()) == [MESSAGE, MESSAGE, octets[1]]
    assert await maintenance.check(account) == []


@pytest.mark.parametrize("count", [1, 3])
async def test_a_cancelled_save_is_whole_and_keeps_its_files_open(store: MaildirStore, user: User, count: int) -> None:
    account = await store.open(user)
    before = await put(store, account)

    async def save() -> None:
        async with contextlib.AsyncExitStack() as stack:
            messages = []
            for _ in range(count):
                incoming = await stack.enter_async_context(store.incoming(user))
                await incoming.write(MESSAGE)
                await incoming.finish()
                messages.append((incoming, SaveOptions()))
            reached.set()
            await account.save(INBOX, messages)

    for turns in range(6):
        reached = asyncio.Event()
        task = asyncio.create_task(save())
        await reached.wait()
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    await store.blocking.settle()
    selection = await account.select(INBOX)
    found = await contents(selection)
    assert set(found.values()) == {MESSAGE}
    assert (len(found) - len(before)) % count == 0
    assert await maintenance.check(account) == []


@pytest.mark.parametrize("killed", [False, True], ids=["disk full", "killed"])
async def test_special_mailboxes_come_together(
    stores: Callable[..., MaildirStore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: bool
) -> None:
    """An error at any step leaves none of them; at the latest the next opening makes all, and whoever made them, they are subscribed."""
    wanted = ["INBOX", "Drafts", "Junk"]
    rules = "".join(f'[[mailbox]]\nname = "{name}"\nauto = "subscribe"\n' for name in wanted[1:])
    if killed:
        monkeypatch.setattr("mas.storage.tree._take_back", lambda *_: None)
    for fail_at in range(1, 60):
        user = User(f"u{fail_at}@example.net", tmp_path / str(fail_at), f"maildir:{tmp_path}/{fail_at}/Maildir")
        steps = 0

        def failpoint(name: str, path: str, fail_at: int = fail_at) -> None:
            nonlocal steps
            steps += 1
            if steps == fail_at and name != "committed":
                raise OSError(28, "No space left on device", path)

        store = stores(rules)
        with monkeypatch.context() as patched:
            patched.setattr("mas.storage.disk.failpoint", failpoint)
            with contextlib.suppress(DiskFull):
                await store.open(user)
        if not killed:
            assert len(list((user.home / "Maildir").glob(".[DJ]*"))) in (0, 2)
        account = await stores(rules).open(user)
        assert [info.name for info in await account.list()] == wanted
        assert sorted(await account.subscriptions()) == wanted[1:]
        assert await maintenance.check(account) == []
        if steps < fail_at:
            return
    pytest.fail("no end of steps")


async def test_the_received_date_is_that_of_the_file(
    store: MaildirStore, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which Dovecot and a new index would take, however long the account was waited for after the octets had come."""
    account = await store.open(user)
    later = time.time() + 100
    monkeypatch.setattr("mas.storage.save.time", SimpleNamespace(time=lambda: later))
    await put(store, account, delivery=True)
    (path,) = (user.home / "Maildir/new").iterdir()
    selection = await account.select(INBOX)
    rows = [row async for batch in selection.fetch([1], [Column.INTERNAL_DATE]) for row in batch]
    assert [row[1] for row in rows] == [int(path.stat().st_mtime)]
    assert path.stat().st_mtime < later - 50
