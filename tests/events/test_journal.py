"""The journal: files that are locked, cut, left and adopted."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
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
    return [uid for path in files for one in unfinished(path.read_bytes()).values() for uid in one.uids]


async def test_a_line_is_there_until_it_is_dealt_with(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "events")
    (first,) = await journal.write([event(1)]) or []
    second, third = await journal.write([event(2), event(3)]) or []
    assert first.segment is second.segment is third.segment
    assert left(journal.folder) == [1, 2, 3]
    journal.done(second)
    assert left(journal.folder) == [1, 3]
    journal.done(first)
    assert left(journal.folder) == [3]
    journal.done(third)
    assert left(journal.folder) == []
    (fourth,) = await journal.write([event(4)]) or []
    assert fourth.segment is first.segment
    assert left(journal.folder) == [4]
    journal.done(fourth)
    journal.close()
    assert not list(journal.folder.iterdir())


async def test_a_file_that_has_grown_is_cut(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "events")
    for _ in range(1000):
        places = await journal.write([event(number) for number in range(1, 11)]) or []
        for place in places:
            journal.done(place)
        if not places[0].segment.size:
            break
    assert places[0].segment.path.stat().st_size == 0
    first, second = await journal.write([event(1), event(2)]) or []
    journal.done(first)
    assert left(journal.folder) == [2]
    journal.done(second)
    journal.close()


@pytest.mark.parametrize(
    ("text", "uids"),
    [
        ("1 2 3", [1, 2, 3]),
        ("1 2 done 3", [3]),
        ("1 2 3 done_1", [1, 3]),
        ("1 done_0 2 done_1 3 done_7 done_x", [3]),
        ("1 torn 3 done_2", [1]),
        ("1 2 done done_0 3 done_0", [3]),
    ],
)
def test_what_a_file_tells(text: str, uids: list[int]) -> None:
    lines = [
        event(int(word)).line() if word.isdigit() else f"{word}\n".encode().replace(b"_", b" ") for word in text.split()
    ]
    assert [one.uids[0] for one in unfinished(b"".join(lines)).values()] == uids


async def test_what_is_noted_at_one_time_is_written_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = 0
    sync = os.fdatasync

    def count(descriptor: int) -> None:
        nonlocal synced
        synced += 1
        sync(descriptor)

    monkeypatch.setattr(os, "fdatasync", count)
    journal = Journal(tmp_path / "events")
    places = [found[0] for found in await asyncio.gather(*(journal.write([event(n)]) for n in range(1, 51))) if found]
    assert synced < 5
    assert len({place.segment for place in places}) == 1
    for number, place in enumerate(places, 1):
        assert left(journal.folder) == list(range(number, 51))
        journal.done(place)
    assert left(journal.folder) == []
    journal.close()


async def test_it_does_not_wait_for_threads_that_scripts_have(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    gate = threading.Event()
    with ThreadPoolExecutor(1) as scripts:
        loop.set_default_executor(scripts)
        busy = [loop.run_in_executor(None, gate.wait) for _ in range(2)]
        journal = Journal(tmp_path / "events")
        assert await asyncio.wait_for(journal.write([event(1)]), 30)
        gate.set()
        await asyncio.gather(*busy)
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
    first, second = await journal.write([event(1), event(2)]) or []
    (third,) = await journal.write([event(3)]) or []
    assert first.segment is not third.segment
    assert len(list(journal.folder.iterdir())) == 2
    journal.done(first)
    assert left(journal.folder) == [2, 3]
    journal.done(second)
    assert [path.read_bytes() for path in journal.folder.iterdir()] == [event(3).line()]
    journal.close()


async def test_nobody_adopts_what_is_held(tmp_path: Path) -> None:
    mine, other = Journal(tmp_path / "events"), Journal(tmp_path / "events")
    assert other.adopt() is None
    places = await mine.write([event(1), event(2), event(4)]) or []
    mine.done(places[1])
    assert other.adopt() is None
    mine.close()
    (path,) = mine.folder.iterdir()
    with path.open("ab") as file:
        file.write(event(3).line()[:-5])  # torn
    found = other.adopt()
    assert found is not None
    (first, one), (second, two) = found
    assert [one, two] == [event(1), event(4)]
    assert mine.adopt() is None
    other.hold(first.segment)
    other.done(second)
    assert left(other.folder) == [1]
    other.done(first)
    assert not list(mine.folder.iterdir())
    other.close()


async def test_left_for_later(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "events")
    assert await journal.leave_for_later([event(1)])
    found = journal.adopt()
    assert found is not None
    ((place, one),) = found
    assert one == event(1)
    journal.hold(place.segment)
    journal.close()


async def test_a_disk_that_takes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "events")
    (place,) = await journal.write([event(1)]) or []

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        assert await journal.write([event(2)]) is None
        assert not await journal.leave_for_later([event(2)])
    (again,) = await journal.write([event(3)]) or []
    assert again.segment is not place.segment
    journal.done(place)
    assert not place.segment.path.exists()
    assert [path.read_bytes() for path in journal.folder.glob("[!.]*") if path.stat().st_size] == [event(3).line()]
    journal.close()
