"""inotify: a burst in a directory is one look, which comes after the watch was renewed; a file is told of at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from mas.storage.notify import Notify


@pytest.fixture
async def notify() -> AsyncIterator[Notify]:
    made = Notify()
    yield made
    made.close()


class Calls:
    """A callback that can be waited for."""

    def __init__(self) -> None:
        self.count = 0
        self._come = asyncio.Event()

    def __call__(self) -> None:
        self.count += 1
        self._come.set()

    async def next(self) -> None:
        await asyncio.wait_for(self._come.wait(), 20)
        self._come.clear()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  (the timer of a watch has no event)
            await asyncio.sleep(0.001)


async def test_a_burst_is_one_look(notify: Notify, tmp_path: Path) -> None:
    one, two = Calls(), Calls()
    assert notify.watch(str(tmp_path), one, directory=True)
    assert notify.watch(str(tmp_path), two, directory=True)
    for round_ in (1, 2, 3):
        for number in range(100):
            (tmp_path / f"{round_}-{number}").touch()
        await one.next()
        await two.next()
        assert (one.count, two.count) == (round_, round_)


async def test_what_comes_during_the_look_brings_another(notify: Notify, tmp_path: Path) -> None:
    calls = Calls()

    def look() -> None:
        if not calls.count:
            (tmp_path / "second").touch()
        calls()

    assert notify.watch(str(tmp_path), look, directory=True)
    (tmp_path / "first").touch()
    await until(lambda: calls.count == 2)


async def test_who_does_not_want_to_know_is_not_called(notify: Notify, tmp_path: Path) -> None:
    gone, there = Calls(), Calls()
    for name, callback in (("a", gone), ("b", there)):
        (tmp_path / name).mkdir()
        assert notify.watch(str(tmp_path / name), callback, directory=True)
    (tmp_path / "a/file").touch()
    await until(lambda: bool(notify._later))
    notify.unwatch(str(tmp_path / "a"), gone)
    (tmp_path / "b/file").touch()
    await there.next()
    assert not gone.count


async def test_a_directory_that_goes(notify: Notify, tmp_path: Path) -> None:
    calls, other = Calls(), Calls()
    (tmp_path / "a").mkdir()
    assert notify.watch(str(tmp_path / "a"), calls, directory=True)
    assert notify.watch(str(tmp_path), other, directory=True)
    (tmp_path / "a").rmdir()
    await other.next()
    await until(lambda: not notify._later)
    assert not notify.watch(str(tmp_path / "a"), calls, directory=True)


async def test_a_file_is_told_of_at_once(notify: Notify, tmp_path: Path) -> None:
    path, calls = tmp_path / "lock", Calls()
    path.touch()
    assert notify.watch(str(path), calls, directory=False)
    for count in (1, 2):
        path.write_text(str(count))
        await calls.next()
        assert not notify._later
    notify.unwatch(str(path), calls)
