"""Work in threads and behind answers."""

from __future__ import annotations

import asyncio
import threading

import pytest

from mas.storage.blocking import Blocking


async def test_settling_when_a_task_has_ended_in_this_turn_of_the_loop() -> None:
    """It is done and not yet forgotten: since Python 3.12 that took all of the processor and of the memory, for ever."""
    blocking = Blocking(1)
    ended = asyncio.Event()

    async def work() -> None:
        ended.set()

    blocking.background(work())
    await asyncio.sleep(0)
    assert ended.is_set()
    await asyncio.wait_for(blocking.settle(), 20)
    await blocking.close()


@pytest.mark.parametrize("running", [0, 1])
async def test_a_system_without_another_thread_to_give(running: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that run do the work; without any the caller is told, and the next call tries again. Nobody waits for ever."""
    blocking = Blocking(2)
    go_on = threading.Event()

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    first = [asyncio.ensure_future(blocking.run(go_on.wait, 20)) for _ in range(running)]
    await asyncio.sleep(0)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        if running:
            more = [asyncio.ensure_future(blocking.run(int, digits)) for digits in ("1", "2", "3")]
            await asyncio.sleep(0)
            go_on.set()
            assert await asyncio.wait_for(asyncio.gather(*first, *more), 20) == [True, 1, 2, 3]
        else:
            for _ in range(3):
                with pytest.raises(RuntimeError, match="new thread"):
                    await asyncio.wait_for(blocking.run(int, "1"), 20)
    assert await asyncio.wait_for(asyncio.gather(*[blocking.run(int, "4") for _ in range(3)]), 20) == [4, 4, 4]
    await blocking.close()
