"""A run of scripts, stepwise, in a thread: scripts are the user's, and may think for long; the event loop serves others meanwhile.

Processor time is that of the thread while the run is in it, summed over its steps.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Any

from mas.sieve.interpreter import Result
from mas.sieve.questions import Question


class Steps:
    """One run. ``start(clock)`` gives its generator; ``send`` blocks for as long as the scripts take to the next question."""

    def __init__(self, start: Callable[[Callable[[], float]], Generator[Question, Any, Result]]) -> None:
        self._spent = 0.0
        self._began = time.thread_time()
        self._generator = start(self._clock)

    def _clock(self) -> float:
        return self._spent + time.thread_time() - self._began

    def send(self, answer: Any) -> Question | Result:
        """Go on with the answer to the last question (None at first): the next question, or the result."""
        self._began = time.thread_time()
        try:
            return self._generator.send(answer)
        except StopIteration as end:
            result: Result = end.value
            return result
        finally:
            self._spent += time.thread_time() - self._began
