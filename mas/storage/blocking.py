"""The only door to threads for file and SQLite work.

``run`` moves one function to a bounded pool and waits for it. A cancelled waiter does not stop the function: whoever must not be left with
half a result (every writer) runs inside ``settled``, which finishes behind the caller's back and hands the cancellation on afterwards.

The pool is small on purpose. Python code in a thread competes for the interpreter with the event loop, so threads are for waiting on the
disk, not for computing; long loops hand over work in pieces of a few milliseconds. Must not know: what runs in it.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

import structlog

P = ParamSpec("P")
T = TypeVar("T")
_Item = tuple[asyncio.Future[Any], Callable[..., Any], tuple[Any, ...]]

_log = structlog.get_logger(area="storage")


class Blocking:
    """A pool of worker threads for one event loop, started as they are needed. Shared by every account of a store.

    ``loop.run_in_executor`` does the same at three times the cost (90 against 30 microseconds a call under uvloop): two futures, two
    conditions and a lock for each piece of work.
    """

    def __init__(self, threads: int = 0) -> None:
        self._most = threads or min(16, 4 + 2 * (os.cpu_count() or 1))
        self._queue: SimpleQueue[_Item | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._sleeping: set[asyncio.Task[Any]] = set()

    async def run(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """``work(*args)`` in a worker thread. A cancelled waiter leaves the work running."""
        loop = self._loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if self._idle <= 0 and len(self._threads) < self._most:
            self._start()
        else:
            self._idle -= 1
        self._queue.put((future, (lambda: work(*args, **kwargs)) if kwargs else work, () if kwargs else args))
        return await future

    def _start(self) -> None:
        """Another thread for the work that is about to be queued. Raises RuntimeError where the system gives none and there is none yet."""
        thread = threading.Thread(target=self._serve, name=f"disk-{len(self._threads)}", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # A thread that never ran must not be counted: work would be queued for it, and nobody would come.
            if not self._threads:
                raise
            self._idle -= 1
        else:
            self._threads.append(thread)

    def _serve(self) -> None:
        loop = self._loop
        assert loop is not None
        while (item := self._queue.get()) is not None:
            future, work, args = item
            result, error = None, None
            try:
                result = work(*args)
            except BaseException as caught:
                error = caught
            try:
                loop.call_soon_threadsafe(self._finish, future, result, error)
            except RuntimeError:
                # The loop was closed without close(): nobody waits any more.
                return
            del item, future, work, args, result, error

    def _finish(self, future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        self._idle += 1
        if future.cancelled():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    async def settled(self, work: Coroutine[Any, Any, T]) -> T:
        """Await ``work`` to its end even when the caller is cancelled: locks are left and events applied in order."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    def background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start ``work`` on the loop with nobody waiting; an error is logged, and ``close`` waits for it."""
        task: asyncio.Task[None] = asyncio.ensure_future(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def later(self, seconds: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """As ``background``, after a while; dropped when the pool closes before."""

        async def wait() -> None:
            task = asyncio.current_task()
            assert task is not None
            self._sleeping.add(task)
            try:
                await asyncio.sleep(seconds)
            finally:
                self._sleeping.discard(task)
            await work()

        self.background(wait())

    @staticmethod
    async def _guarded(work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except asyncio.CancelledError:
            raise
        except Exception as error:
            _log.warning("background work failed", error=str(error), kind=type(error).__name__)

    async def settle(self) -> None:
        """Wait for what was started. Work that waits for its time is expected to look whether the store is closing."""
        current = asyncio.current_task()
        # A task that is done, and not yet forgotten, must not be waited for: since Python 3.12 that is over at once, without a turn of the
        # loop in which it could be forgotten.
        while waiting := [task for task in self._tasks if task is not current and not task.done()]:
            for task in self._sleeping & set(waiting):
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def close(self) -> None:
        """Wait for what was started, then end the threads."""
        await self.settle()
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            # Idle by now: each ends at once.
            thread.join(1.0)
        self._threads.clear()
