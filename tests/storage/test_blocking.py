"""Work in threads and behind answers."""

from __future__ import annotations

import asyncio

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
