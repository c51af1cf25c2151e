"""The journal: files that are locked, cut, left and adopted."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from mas.events import journal as module
from mas.events.journal import Journal, unfinished
from mas.events.model import Cause, MailEvent


def event(number: int) -> MailEvent:
    return MailEvent("kim", Cause.COPY, "Junk", 1, (number,), 0.0)


def left(folder: Path) -> list[int]:
    """The uids of what is not dealt with, as a file tells."""
    files = sorted(folder.iterdir()) if folder.exists() else []
    return [uid for path in files for one in unfinished(path.read_bytes()) for uid in one.uids]


async def test_a_line_is_there_until_it_is_dealt_with(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "events")
    first = await journal.write([event(1)])
    second = await journal.write([event(2), event(3)])
    assert first is second is not None
    assert left(journal.folder) == [1, 2, 3]
    for _ in range(2):
        journal.done(second)
    assert left(journal.folder) == [1, 2, 3]
    journal.done(second)
    assert left(journal.folder) == []
    assert await journal.write([event(4)]) is second
    assert left(journal.folder) == [4]
    journal.done(second)
    journal.close()
    assert not list(journal.folder.iterdir())


async def test_a_file_that_has_grown_is_cut(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "events")
    for _ in range(1000):
        segment = await journal.write([event(number) for number in range(1, 11)])
        assert segment is not None
        for _ in range(10):
            journal.done(segment)
        if not segment.size:
            break
    assert segment is not None
    assert segment.path.stat().st_size == 0
    await journal.write([event(1)])
    assert left(journal.folder) == [1]
    journal.close()


async def test_what_is_noted_at_one_time_is_written_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = 0
    sync = os.fdatasync

    def count(descriptor: int) -> None:
        nonlocal synced
        synced += 1
        sync(descriptor)

    monkeypatch.setattr(os, "fdatasync", count)
    journal = Journal(tmp_path / "events")
    segments = await asyncio.gather(*(journal.write([event(n)]) for n in range(1, 51)))
    assert synced < 5
    assert len(set(segments)) == 1
    for segment in segments:
        assert segment is not None
        assert len(left(journal.folder)) == 50
        journal.done(segment)
    assert left(journal.folder) == []
    journal.close()


async def test_a_writer_that_is_cut_off_does_not_take_the_others_lines(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "events")
    cut_off = asyncio.ensure_future(journal.write([event(1)]))
    other = asyncio.ensure_future(journal.write([event(2)]))
    await asyncio.sleep(0)
    cut_off.cancel()
    assert await other is not None
    assert left(journal.folder) == [1, 2]
    journal.close()


async def test_a_long_file_goes_when_its_last_event_is_dealt_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LONG", 100)
    journal = Journal(tmp_path / "events")
    first = await journal.write([event(1), event(2)])
    second = await journal.write([event(3)])
    assert first is not None
    assert second is not None
    assert first is not second
    assert len(list(journal.folder.iterdir())) == 2
    journal.done(first)
    journal.done(first)
    assert [path.read_bytes() for path in journal.folder.iterdir()] == [event(3).line()]
    journal.close()


async def test_nobody_adopts_what_is_held(tmp_path: Path) -> None:
    mine, other = Journal(tmp_path / "events"), Journal(tmp_path / "events")
    assert other.adopt() is None
    await mine.write([event(1), event(2)])
    assert other.adopt() is None
    mine.close()
    (path,) = mine.folder.iterdir()
    with path.open("ab") as file:
        file.write(event(3).line()[:-5])  # torn
    found = other.adopt()
    assert found is not None
    segment, events = found
    assert events == [event(1), event(2)]
    assert mine.adopt() is None
    other.hold(segment)
    other.done(segment)
    other.done(segment)
    assert not list(mine.folder.iterdir())
    other.close()


async def test_left_for_later(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "events")
    assert await journal.leave_for_later([event(1)])
    found = journal.adopt()
    assert found is not None
    assert found[1] == [event(1)]
    journal.hold(found[0])
    journal.close()


async def test_a_disk_that_takes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "events")
    segment = await journal.write([event(1)])
    assert segment is not None

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        assert await journal.write([event(2)]) is None
        assert not await journal.leave_for_later([event(2)])
    again = await journal.write([event(3)])
    assert again is not None
    assert again is not segment
    journal.done(segment)
    assert not segment.path.exists()
    assert [path.read_bytes() for path in journal.folder.glob("[!.]*") if path.stat().st_size] == [event(3).line()]
    journal.close()
