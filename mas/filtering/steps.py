"""A run of scripts, stepwise. Scripts are the user's, and may think for long: they do so in a thread, and the event loop serves others
meanwhile. Those that cannot think for long run on the loop: the two changes of thread would take as long as thirty rules.

Processor time is that of the thread while the run is in it, summed over its steps. On the loop none is counted: what is left to be done
there has its limit.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator, Sequence
from typing import Any

from mas.sieve.interpreter import Result
from mas.sieve.program import Program
from mas.sieve.questions import Question

_MAX_HEADER = 64 * 1024
_MAX_COST = 4_000_000


def may_run_on_loop(programs: Sequence[Program], header: bytes) -> bool:
    """Whether the scripts are done with a message of this header in a few milliseconds, whatever is in both."""
    costs = [program.cost for program in programs if program.cost is not None]
    return len(costs) == len(programs) and len(header) <= _MAX_HEADER and sum(costs) * max(1, len(header)) <= _MAX_COST


class Steps:
    """One run. ``start(clock)`` gives its generator; the clock is None on the loop."""

    def __init__(
        self, start: Callable[[Callable[[], float] | None], Generator[Question, Any, Result]], *, on_loop: bool = False
    ) -> None:
        self._on_loop = on_loop
        self._spent = 0.0
        self._began = 0.0 if on_loop else time.thread_time()
        self._generator = start(None if on_loop else self._clock)

    def _clock(self) -> float:
        return self._spent + time.thread_time() - self._began

    async def go(self, answer: Any = None) -> Question | Result:
        """Go on with the answer to the last question (None at first): the next question, or the result."""
        return self._send(answer) if self._on_loop else await asyncio.to_thread(self._send_counting, answer)

    def _send(self, answer: Any) -> Question | Result:
        try:
            return self._generator.send(answer)
        except StopIteration as end:
            result: Result = end.value
            return result

    def _send_counting(self, answer: Any) -> Question | Result:
        self._began = time.thread_time()
        try:
            return self._send(answer)
        finally:
            self._spent += time.thread_time() - self._began
