"""Autoexpunge against a small model of an account."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from mas.storage import expire as module
from mas.storage.expire import BATCH, LOCK_NAME, expire, expire_lock
from mas.storage.model import MailboxName, Uid

JUNK, TRASH = MailboxName("Junk"), MailboxName("Trash")
DAY = 86400.0


class Box:
    """Mailboxes as {uid: save date}."""

    def __init__(self, boxes: dict[MailboxName, dict[int, int]]) -> None:
        self.boxes = boxes
        self.batches: list[int] = []

    async def oldest(self, name: MailboxName, saved_before: int | None, beyond: int, limit: int) -> Sequence[Uid]:
        ordered = sorted((date, uid) for uid, date in self.boxes.get(name, {}).items())
        chosen = [row for row in ordered if saved_before is not None and row[0] < saved_before]
        if saved_before is None:
            chosen = ordered[: max(0, len(ordered) - beyond)]
        return [Uid(uid) for _, uid in chosen[:limit]]

    async def expunge_uids(self, name: MailboxName, uids: Sequence[Uid]) -> int:
        self.batches.append(len(uids))
        return sum(self.boxes[name].pop(uid, None) is not None for uid in uids)


async def test_by_save_date(tmp_path: Path) -> None:
    box = Box({JUNK: {1: 0, 2: 1000, 3: 999}, TRASH: {1: 0}})
    assert await expire(box, {JUNK: (DAY, 0)}, tmp_path, now=DAY + 1000) == 2
    assert box.boxes == {JUNK: {2: 1000}, TRASH: {1: 0}}


async def test_by_number(tmp_path: Path) -> None:
    box = Box({JUNK: {1: 50, 2: 10, 3: 30, 4: 20}})
    assert await expire(box, {JUNK: (0.0, 2)}, tmp_path, now=100) == 2
    assert sorted(box.boxes[JUNK]) == [1, 3]


async def test_both_and_a_mailbox_that_is_not_there(tmp_path: Path) -> None:
    box = Box({JUNK: {1: 0, 2: 90, 3: 91, 4: 92}})
    assert await expire(box, {TRASH: (1.0, 1), JUNK: (50.0, 2)}, tmp_path, now=100) == 2
    assert sorted(box.boxes[JUNK]) == [3, 4]


async def test_batches_and_the_bound_of_a_run(tmp_path: Path) -> None:
    box = Box({JUNK: dict.fromkeys(range(1, 2 * BATCH + 501), 0)})
    assert await expire(box, {JUNK: (DAY, 0)}, tmp_path, now=2 * DAY, max_messages=2 * BATCH + 100) == 2 * BATCH + 100
    assert box.batches == [BATCH, BATCH, 100]
    assert min(box.boxes[JUNK]) == 2 * BATCH + 101
    assert await expire(box, {JUNK: (DAY, 0)}, tmp_path, now=2 * DAY) == 400


async def test_messages_that_others_removed_end_the_run(tmp_path: Path) -> None:
    class Vanishing(Box):
        async def expunge_uids(self, name: MailboxName, uids: Sequence[Uid]) -> int:
            return 0

    box = Vanishing({JUNK: dict.fromkeys(range(1, BATCH + 501), 0)})
    assert await expire(box, {JUNK: (DAY, 0)}, tmp_path, now=2 * DAY) == 0


async def test_no_rules_touch_nothing(tmp_path: Path) -> None:
    assert await expire(Box({JUNK: {1: 0}}), {}, tmp_path) == 0
    assert os.listdir(tmp_path) == []


def hold(directory: Path, pipe: Connection) -> None:
    with expire_lock(directory) as ours:
        pipe.send(ours)
        pipe.recv()


async def test_one_run_at_a_time_over_processes(tmp_path: Path) -> None:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=hold, args=(tmp_path, theirs))
    process.start()
    try:
        assert ours.poll(30)
        assert ours.recv() is True
        box = Box({JUNK: {1: 0}})
        assert await expire(box, {JUNK: (DAY, 0)}, tmp_path, now=2 * DAY) == 0
        process.kill()  # the lock does not outlive its holder
        process.join(30)
        assert await expire(box, {JUNK: (DAY, 0)}, tmp_path, now=2 * DAY) == 1
    finally:
        process.kill()
        process.join(30)


async def test_the_lock_is_dovecots_and_is_left_after_an_error(tmp_path: Path) -> None:
    class Broken(Box):
        async def expunge_uids(self, name: MailboxName, uids: Sequence[Uid]) -> int:
            raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        await expire(Broken({JUNK: {1: 0}}), {JUNK: (DAY, 0)}, tmp_path, now=2 * DAY)
    assert (tmp_path / LOCK_NAME).exists()
    with module.expire_lock(tmp_path) as ours:
        assert ours
