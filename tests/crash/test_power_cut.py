"""The power fails before each durable step of each operation, and after its answer. What was not fsynced is lost, or some of it is.

Afterwards nothing that anybody was told is taken back: not a message, uid, flag or modseq, not a mailbox, not quota's count. The child
works on a ``Disk`` that knows what was fsynced.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from mas.storage import disk, uidlist
from mas.storage import verify as verifying
from mas.storage.account import MaildirAccount
from mas.storage.mime.section import Section
from mas.storage.model import FLAGGED, INBOX, Flags, StoreOp
from mas.storage.store import MaildirStore
from tests.crash.test_kill import (
    CASES,
    OPERATIONS,
    STEPS,
    Operation,
    check,
    check_annotations,
    numbers,
    prepare,
    save,
    user_in,
)
from tests.storage.conftest import config
from tests.support.forks import Say, forked
from tests.support.power import Disk

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CUT = 9
"""The exit code of a child whose power failed."""
Told = dict[str, Any]


async def tell(account: MaildirAccount) -> Told:
    """What a client knows: mailboxes with their counters, messages with flags and modseq, usage of the quota."""
    told: Told = {"quota": [[root.storage, root.messages] for root in await account.quota()]}
    for info in await account.list():
        if not info.selectable:
            continue
        (status,) = await account.status([info.name])
        assert status is not None
        selection = await account.select(info.name, read_only=True)
        snapshot = selection.snapshot
        found = {}
        async for batch in selection.octets(list(snapshot.uids), Section()):
            for uid, octets in batch:
                assert isinstance(octets, bytes)
                found[uid] = octets.decode()
        named = [[name for n, name in enumerate(snapshot.keywords) if flags >> (5 + n) & 1] for flags in snapshot.flags]
        system = [flags & 31 for flags in snapshot.flags]
        told[info.name] = {
            "identity": [status.uid_validity, status.mailbox_id],
            "uid_next": status.uid_next,
            "modseq": status.highest_modseq,
            "messages": {
                str(uid): [found.get(uid), flags, keywords, modseq]
                for uid, flags, keywords, modseq in zip(snapshot.uids, system, named, snapshot.modseqs, strict=True)
            },
        }
        await selection.close()
    return told


def run_child(
    directory: Path, after: Path, operation: Operation, stop_at: int, seed: int, layout: str = ""
) -> tuple[bool, Told | None]:
    """``(the power failed at that step, what was told after the answer)``. What the disk has then is ``after``."""
    ended = forked(stopping, directory, after, operation, stop_at, seed, layout)
    assert ended.code in (0, CUT)
    return ended.code == CUT, ended.said[0] if ended.said else None


def stopping(
    say: Say, directory: Path, after: Path, operation: Operation, stop_at: int, seed: int, layout: str
) -> None:
    """The child."""
    steps = 0
    chance = random.Random(seed) if seed else None
    kept: list[Disk] = []

    def cut(status: int) -> None:
        disk.failpoint = None
        kept[0].cut(after, chance)
        os._exit(status)

    def failpoint(name: str, path: str) -> None:
        nonlocal steps
        steps += 1
        if steps == stop_at:
            cut(CUT)

    async def main() -> None:
        kept.append(Disk(directory))
        kept[0].watch()
        store = MaildirStore(config(directory))
        account = await store.open(user_in(directory, layout))
        disk.failpoint = failpoint
        await operation(store, account)
        disk.failpoint = None
        say(await tell(account))
        cut(0)

    asyncio.run(main())


async def look(directory: Path, layout: str = "") -> Told:
    """After the cut: every mailbox as a client sees it, with index, Maildir and uid lists in agreement."""
    store = MaildirStore(config(directory))
    try:
        account = await store.open(user_in(directory, layout))
        for info in await account.list():
            if info.selectable:
                await account.synchronise(account.faces[info.name])
        told = await tell(account)
        assert await account.write(lambda: verifying.verify(account.engine)) == []
        return told
    finally:
        await store.close()


def boot_again(patched: pytest.MonkeyPatch) -> None:
    patched.setattr("mas.storage.engine.BOOT_ID", "the next boot")
    patched.setattr("mas.storage.lock.BOOTED", time.time() + 1)


def nothing_taken_back(before: Told, now: Told, step: str) -> None:
    for name, box in before.items():
        if name == "quota":
            continue
        assert name in now, f"{step}: mailbox {name} is gone"
        assert now[name]["identity"] == box["identity"], f"{step}: {name} is another mailbox"
        assert now[name]["uid_next"] >= box["uid_next"], f"{step}: {name}: UIDNEXT went back"
        assert now[name]["modseq"] >= box["modseq"], f"{step}: {name}: HIGHESTMODSEQ went back"
        for uid, row in box["messages"].items():
            assert now[name]["messages"].get(uid) == row, f"{step}: {name}: uid {uid}"


def dovecot_gives_no_other_uids(told: Told, directory: Path) -> None:
    """Who opens the Maildir first finds a line in the uid list for each message that anybody was told of."""
    lists = listed(directory)
    for name, box in told.items():
        if name != "quota":
            assert {int(uid) for uid in box["messages"]} <= lists[box["identity"][1]].keys(), name


def sums(told: Told) -> list[list[int]]:
    octets = [len(row[0]) for name in told if name != "quota" for row in told[name]["messages"].values()]
    return [[sum(octets), len(octets)]]


def listed(directory: Path) -> dict[str, dict[int, str]]:
    found = {}
    for path in (directory / "kim/Maildir").glob("**/dovecot-uidlist"):
        if (parsed := uidlist.read_uidlist(str(path))) is not None:
            found[parsed.guid] = {uid: base for base, uid in parsed.uids.items()}
    return found


def content(told: Told) -> dict[str, dict[int, bytes]]:
    return {
        name: {int(uid): row[0].encode() for uid, row in box["messages"].items()}
        for name, box in told.items()
        if name != "quota"
    }


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.e2e), pytest.param(2, marks=pytest.mark.e2e)])
@pytest.mark.parametrize(
    ("name", "layout"), [case if case == ("save", "") else pytest.param(*case, marks=pytest.mark.e2e) for case in CASES]
)
def test_power_cut_at_every_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, layout: str, seed: int
) -> None:
    for stop_at in range(1, STEPS):
        directory, after = tmp_path / str(stop_at), tmp_path / f"{stop_at}-after"
        directory.mkdir()

        async def setup(directory: Path = directory) -> Told:
            store = MaildirStore(config(directory))
            await prepare(store, user_in(directory, layout))
            told = await tell(await store.open(user_in(directory, layout)))
            await store.close()
            return told

        before = asyncio.run(setup())
        names = listed(directory)
        stopped, told = run_child(directory, after, OPERATIONS[name], stop_at, seed and seed * 1000 + stop_at, layout)
        if told is not None:
            dovecot_gives_no_other_uids(told, after)
        with monkeypatch.context() as patched:
            boot_again(patched)
            now = asyncio.run(look(after, layout))
            assert asyncio.run(look(after, layout)) == now, "a second look sees something else"
        step = f"step {stop_at}"
        assert now["quota"] == sums(now), step
        if told is not None:
            nothing_taken_back(told, now, step)
            assert now["quota"] == told["quota"]
        elif name in ("save", "copy", "create", "flags"):
            kept = {
                n: {**box, "messages": {} if name == "flags" else box["messages"]}
                for n, box in before.items()
                if n != "quota"
            }
            nothing_taken_back(kept, now, step)
        check(name, content(now), told is not None, stop_at)
        check_annotations(after, name, told is not None)
        for guid, lines in listed(after).items():
            for uid in lines.keys() & names.get(guid, {}).keys():
                assert lines[uid] == names[guid][uid], f"{step}: uid {uid} names another message"
        if not stopped:
            assert stop_at > 1, "the operation has no durable step"
            return
    pytest.fail(f"more than {STEPS} steps")


async def deliver(store: MaildirStore, account: MaildirAccount) -> None:
    await save(store, account, range(1, 2))


def test_first_delivery_of_a_new_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Directories are new as well."""
    directory, after = tmp_path / "home", tmp_path / "after"
    directory.mkdir()

    stopped, told = run_child(directory, after, deliver, 1000, 0)
    assert not stopped
    assert told is not None
    boot_again(monkeypatch)
    now = asyncio.run(look(after))
    nothing_taken_back(told, now, "first delivery")
    assert numbers(content(now), INBOX) == {1}


def test_a_disk_that_lied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It said that it had the commits, and had not. What clients know is lost; what happens afterwards they must learn of."""
    directory, after = tmp_path / "home", tmp_path / "after"
    directory.mkdir()

    async def lose() -> int:
        store = MaildirStore(config(directory))
        await prepare(store, user_in(directory))
        account = await store.open(user_in(directory))
        shutil.copytree(directory, after)
        selection = await account.select(INBOX)
        for _ in range(20):
            await selection.store([4], StoreOp.ADD, Flags(FLAGGED))
            await selection.store([4], StoreOp.REMOVE, Flags(FLAGGED))
        (status,) = await account.status([INBOX])
        assert status is not None
        disk.failpoint = None
        await store.close()
        return status.highest_modseq

    known = asyncio.run(lose())
    boot_again(monkeypatch)

    async def go_on() -> None:
        store = MaildirStore(config(after))
        account = await store.open(user_in(after))
        selection = await account.select(INBOX)
        await selection.store([5], StoreOp.ADD, Flags(FLAGGED))
        changed = [
            uid
            for uid, modseq in zip(selection.snapshot.uids, selection.snapshot.modseqs, strict=True)
            if modseq > known
        ]
        assert changed == [5]
        assert selection.snapshot.highest_modseq > known
        await selection.close()
        await store.close()

    asyncio.run(go_on())


def test_the_simulator_loses_what_was_not_fsynced(tmp_path: Path) -> None:
    """Otherwise the tests above prove nothing."""
    root, after = tmp_path / "root", tmp_path / "after"
    root.mkdir()
    (root / "old").write_text("old")
    kept = Disk(root)
    (root / "new").write_text("new")
    (root / "old").write_text("changed")
    with open(root / "synced", "w") as file:
        file.write("synced")
        file.flush()
        kept.sync(str(root / "synced"))
    kept.cut(after)
    assert {path.name: path.read_text() for path in after.iterdir()} == {"old": "old"}
    kept.sync(str(root))
    kept.cut(tmp_path / "later")
    assert {path.name: path.read_text() for path in (tmp_path / "later").iterdir()} == {
        "old": "old",
        "new": "",
        "synced": "synced",
    }
