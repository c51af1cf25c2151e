"""A process is killed before each durable step of each operation: afterwards no acknowledged message is lost, no uid names another message,
the counters are what is counted, and index and Maildir agree.

The child stops in the failpoint by SIGKILL: no clean-up runs. What it was answered before comes back through a pipe.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from mas.errors import MasError
from mas.storage import disk, maintenance, metadata, transfer, uidlist
from mas.storage import verify as verifying
from mas.storage.account import MaildirAccount
from mas.storage.mime.section import Section
from mas.storage.model import DELETED, FLAGGED, INBOX, SEEN, Flags, MailboxName, SaveOptions, StoreOp
from mas.storage.store import MaildirStore
from mas.user import User
from tests.storage.conftest import config
from tests.support.forks import Say, forked

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ARCHIVE = MailboxName("Archive")
STEPS = 60
NESTED = ":LAYOUT=fs"


def message(number: int) -> bytes:
    return f"Subject: {number}\r\n\r\nMessage {number}.\r\n".encode()


async def save(store: MaildirStore, account: MaildirAccount, numbers: range, flags: Flags = Flags()) -> None:
    messages = []
    for number in numbers:
        incoming = store.incoming(account.user)
        await incoming.write(message(number))
        await incoming.finish()
        messages.append((incoming, SaveOptions(flags)))
    await account.save(INBOX, messages, delivery=True)
    for incoming, _ in messages:
        await incoming.__aexit__(None, None, None)


async def prepare(store: MaildirStore, user: User) -> None:
    account = await store.open(user)
    await account.create(ARCHIVE)
    await account.create(MailboxName("Tree.Leaf"))
    await account.set_metadata(MailboxName("Tree.Leaf"), {"/private/comment": b"leaf"})
    await account.set_metadata(INBOX, {"/private/comment": b"old", "/private/x": b"old"})
    await save(store, account, range(1, 5), Flags(SEEN))
    await save(store, account, range(5, 7))
    selection = await account.select(INBOX)
    await selection.store([2, 3], StoreOp.ADD, Flags(DELETED))
    await selection.copy([1], MailboxName("Tree.Leaf"))
    if NESTED in user.location:
        for name in ("Box", "Box.Inner"):
            await account.create(MailboxName(name))
            await selection.copy([4], MailboxName(name))
    await selection.close()


# Operations. What each says it has done is checked as acknowledged.


async def op_save(store: MaildirStore, account: MaildirAccount) -> None:
    await save(store, account, range(100, 102))
    await save(store, account, range(102, 103), Flags(FLAGGED, frozenset({"Work"})))


async def op_copy(store: MaildirStore, account: MaildirAccount) -> None:
    selection = await account.select(INBOX)
    await selection.copy([1, 2, 6], ARCHIVE)


async def op_move(store: MaildirStore, account: MaildirAccount) -> None:
    selection = await account.select(INBOX)
    await selection.move([1, 2, 6], ARCHIVE)


async def op_expunge(store: MaildirStore, account: MaildirAccount) -> None:
    selection = await account.select(INBOX)
    await selection.expunge()


async def op_expunge_many(store: MaildirStore, account: MaildirAccount) -> None:
    """So many that their files go after the answer; one of them is in new/."""
    transfer.AT_ONCE = 1
    selection = await account.select(INBOX)
    await selection.store([5], StoreOp.ADD, Flags(DELETED))
    await selection.expunge()


async def op_flags(store: MaildirStore, account: MaildirAccount) -> None:
    selection = await account.select(INBOX)
    await selection.store([1, 5, 6], StoreOp.ADD, Flags(FLAGGED, frozenset({"Work", "Play"})))
    await selection.close()


async def op_rename(store: MaildirStore, account: MaildirAccount) -> None:
    await account.rename(MailboxName("Tree"), MailboxName("Moved.Tree"))


async def op_rename_inbox(store: MaildirStore, account: MaildirAccount) -> None:
    await account.rename(INBOX, MailboxName("Old"))


async def op_create(store: MaildirStore, account: MaildirAccount) -> None:
    await account.create(MailboxName("Fresh.One"))


async def op_delete(store: MaildirStore, account: MaildirAccount) -> None:
    await account.delete(MailboxName("Tree.Leaf"))


async def op_metadata(store: MaildirStore, account: MaildirAccount) -> None:
    await account.set_metadata(INBOX, {"/private/comment": b"new", "/private/x": None})


async def op_rest(store: MaildirStore, account: MaildirAccount) -> None:
    """Nobody uses the account any more: the index is marked clean and closed, and opened again by a delivery."""
    selection = await account.select(INBOX)
    await selection.store([2, 5], StoreOp.ADD, Flags(FLAGGED))
    await selection.close()
    await maintenance.tidy(account)
    await save(store, account, range(100, 101))
    await maintenance.tidy(account)


async def op_delete_above(store: MaildirStore, account: MaildirAccount) -> None:
    """Of nested mailboxes the one above is taken apart."""
    await account.delete(MailboxName("Box"))


Operation = Callable[[MaildirStore, MaildirAccount], Awaitable[None]]
OPERATIONS: dict[str, Operation] = {
    name.removeprefix("op_"): value for name, value in list(globals().items()) if name.startswith("op_")
}


CASES: list[tuple[str, str]] = [(name, "") for name in OPERATIONS if name != "delete_above"] + [
    (name, NESTED) for name in ("create", "delete_above", "rename")
]
"""Operations and the layout that they happen in."""


def user_in(directory: Path, layout: str = "") -> User:
    return User("kim@example.net", directory / "kim", f"maildir:{directory}/kim/Maildir{layout}")


def run_child(directory: Path, operation: Operation, stop_at: int, layout: str = "") -> tuple[bool, bool]:
    """``(stopped at that step, operation was acknowledged)``."""
    ended = forked(stopping, directory, operation, stop_at, layout)
    assert ended.code in (0, -signal.SIGKILL)
    return ended.code != 0, bool(ended.said)


def stopping(say: Say, directory: Path, operation: Operation, stop_at: int, layout: str) -> None:
    """The child."""
    steps = 0

    def failpoint(name: str, path: str) -> None:
        nonlocal steps
        steps += 1
        if steps == stop_at:
            os.kill(os.getpid(), signal.SIGKILL)

    async def main() -> None:
        store = MaildirStore(config(directory))
        account = await store.open(user_in(directory, layout))
        disk.failpoint = failpoint
        await operation(store, account)
        say("done")
        await store.blocking.settle()
        disk.failpoint = None
        await store.close()

    asyncio.run(main())


State = dict[str, dict[int, bytes]]


async def look(directory: Path, layout: str = "") -> State:
    """Every mailbox's uids and octets, with index and Maildir in agreement."""
    store = MaildirStore(config(directory))
    try:
        account = await store.open(user_in(directory, layout))
        state: State = {}
        for info in await account.list():
            if not info.selectable:
                continue
            selection = await account.select(info.name, read_only=True)
            await account.synchronise(account.faces[info.name], everything=True)
            found: dict[int, bytes] = {}
            async for batch in selection.octets(list(selection.snapshot.uids), Section()):
                for uid, octets in batch:
                    assert isinstance(octets, bytes)
                    found[uid] = octets
            assert sorted(found) == list(selection.snapshot.uids), f"{info.name}: unreadable messages"
            state[info.name] = found
            await selection.close()
        problems = await account.write(lambda: verifying.verify(account.engine))
        assert problems == []
        return state
    finally:
        await store.close()


def listed(directory: Path) -> dict[str, dict[int, str]]:
    """What the uid lists say: mailbox directory's guid to uid to name."""
    found = {}
    for path in (directory / "kim/Maildir").glob("**/dovecot-uidlist"):
        parsed = uidlist.read_uidlist(str(path))
        assert parsed is not None
        found[parsed.guid] = {uid: base for base, uid in parsed.uids.items()}
    return found


def numbers(state: State, name: str | None = None) -> set[int]:
    boxes = [state.get(name, {})] if name else list(state.values())
    return {int(octets.split(b"\r\n")[0][9:]) for box in boxes for octets in box.values()}


@pytest.mark.parametrize(
    ("name", "layout"), [case if case == ("save", "") else pytest.param(*case, marks=pytest.mark.e2e) for case in CASES]
)
def test_killed_at_every_step(tmp_path: Path, name: str, layout: str) -> None:
    operation = OPERATIONS[name]
    for stop_at in range(1, STEPS):
        directory = tmp_path / str(stop_at)
        directory.mkdir()

        async def setup(directory: Path = directory) -> None:
            store = MaildirStore(config(directory))
            await prepare(store, user_in(directory, layout))
            await store.close()

        asyncio.run(setup())
        names_before = listed(directory)
        stopped, acknowledged = run_child(directory, operation, stop_at, layout)
        names_between = listed(directory)
        state = asyncio.run(look(directory, layout))
        names_after = listed(directory)
        for older, newer in ((names_before, names_between), (names_between, names_after), (names_before, names_after)):
            for guid in older.keys() & newer.keys():
                for uid in older[guid].keys() & newer[guid].keys():
                    assert older[guid][uid] == newer[guid][uid], f"step {stop_at}: uid {uid} names another message"
        check(name, state, acknowledged, stop_at)
        check_annotations(directory, name, acknowledged)
        assert asyncio.run(look(directory, layout)) == state, "a second look sees something else"
        if not stopped:
            assert stop_at > 1, "the operation has no durable step"
            return
    pytest.fail(f"more than {STEPS} steps")


def check(name: str, state: State, acknowledged: bool, step: int) -> None:
    """What must be there, by operation; and never a message twice where it was once."""
    inbox, everywhere = numbers(state, "INBOX"), numbers(state)
    before = {1, 2, 3, 4, 5, 6}
    lost = before - everywhere
    gone = {"expunge": {2, 3}, "expunge_many": {2, 3, 5}}.get(name, set())
    assert lost <= gone, f"step {step}: lost {lost}"
    if name == "save" and acknowledged:
        assert {100, 101, 102} <= inbox
    if name == "rest" and acknowledged:
        assert 100 in inbox
    if name in ("copy", "move") and acknowledged:
        assert numbers(state, "Archive") == {1, 2, 6}
    if name == "copy":
        assert before <= inbox
    if name == "move":
        assert len(state["INBOX"]) + len(state["Archive"]) == 6
    if gone and acknowledged:
        assert inbox == before - gone
    if name == "rename":
        leaf = state.get("Tree.Leaf") or state.get("Moved.Tree.Leaf")
        assert leaf is not None
        assert len(leaf) == 1
        assert not acknowledged or "Moved.Tree.Leaf" in state
    if name == "rename_inbox" and acknowledged:
        assert numbers(state, "Old") == before
        assert not inbox
    if name == "create" and acknowledged:
        assert state["Fresh.One"] == {}
    if name == "delete" and acknowledged:
        assert "Tree.Leaf" not in state
    if name == "delete_above":
        assert numbers(state, "Box.Inner") == {4}
        assert not acknowledged or "Box" not in state


def check_annotations(directory: Path, name: str, acknowledged: bool) -> None:
    """Each file is the old one or the new one, and goes where its mailbox goes."""
    maildir = directory / "kim/Maildir"
    old, new = ({"/private/comment": text, **more} for text, more in ((b"old", {"/private/x": b"old"}), (b"new", {})))
    inbox = metadata.parse_annotations((maildir / metadata.FILE_NAME).read_bytes())
    assert inbox == new if acknowledged and name == "metadata" else inbox in (old, new)
    for leaf in [*maildir.glob(".*Leaf"), *maildir.glob("*/**/Leaf")]:
        assert metadata.parse_annotations((leaf / metadata.FILE_NAME).read_bytes()) == {"/private/comment": b"leaf"}
    if name == "rename_inbox" and acknowledged:
        assert metadata.parse_annotations((maildir / ".Old" / metadata.FILE_NAME).read_bytes()) == old


@pytest.mark.e2e
def test_disk_errors_take_everything_back(tmp_path: Path) -> None:
    """ENOSPC instead of a kill: the operation fails with DiskFull, and nothing of it remains."""
    for name in ("save", "copy", "move", "create"):
        for fail_at in range(1, STEPS):
            directory = tmp_path / f"{name}{fail_at}"
            directory.mkdir()
            if asyncio.run(failing(directory, OPERATIONS[name], fail_at)):
                break
        else:
            pytest.fail(f"more than {STEPS} steps")


async def failing(directory: Path, operation: Operation, fail_at: int) -> bool:
    """Whether the operation was done, since it has fewer steps."""
    store = MaildirStore(config(directory))
    await prepare(store, user_in(directory))
    account = await store.open(user_in(directory))
    steps = 0

    def failpoint(name: str, path: str) -> None:
        nonlocal steps
        steps += 1
        if steps == fail_at and name != "committed":
            raise OSError(28, "No space left on device", path)

    disk.failpoint = failpoint
    try:
        await operation(store, account)
        done = steps < fail_at
        refused = False
    except MasError:
        done, refused = False, True
    finally:
        disk.failpoint = None
    problems = await account.write(lambda: verifying.verify(account.engine))
    assert problems == []
    await store.close()
    state = await look(directory)
    assert numbers(state) >= {1, 2, 3, 4, 5, 6}
    if refused:
        assert len(state.get("Archive", {})) in (0, 3)
    return done
