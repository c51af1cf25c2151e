"""Where scripts run: on the event loop when they cannot take long, in a thread otherwise."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from typing import Any

import pytest

from mas.filtering.steps import Steps, may_run_on_loop
from mas.sieve.compiler import compile_script
from mas.sieve.extensions import default_registry
from mas.sieve.interpreter import Result
from mas.sieve.questions import MailboxExists, Question

REGISTRY = default_registry()


@pytest.mark.parametrize("on_loop", [True, False])
async def test_each_step_runs_where_it_should(on_loop: bool) -> None:
    where = []

    def run(clock: Callable[[], float] | None) -> Generator[Question, Any, Result]:
        where.append(threading.get_ident())
        assert (yield MailboxExists(("a",))) == "answer"
        where.append(threading.get_ident())
        assert (clock is None) is on_loop
        assert not clock or clock() >= 0
        return Result()

    steps = Steps(run, on_loop=on_loop)
    assert await steps.go() == MailboxExists(("a",))
    assert isinstance(await steps.go("answer"), Result)
    assert [ident == threading.get_ident() for ident in where] == [on_loop, on_loop]


@pytest.mark.parametrize(
    ("scripts", "header", "on_loop"),
    [
        (["keep;"], 1000, True),
        (["keep;", "discard;"], 1000, True),
        (['require "regex"; if header :regex "subject" "a" { keep; }'], 1000, False),
        (["keep;", 'require "body"; if body :contains "a" { keep; }'], 1000, False),
        (["keep;"], 100_000, False),
        (["keep;" * 2000], 500, True),
        (["keep;" * 2000], 5000, False),
    ],
)
def test_what_may_run_on_the_loop(scripts: list[str], header: int, on_loop: bool) -> None:
    programs = [compile_script(script.encode(), REGISTRY) for script in scripts]
    assert may_run_on_loop(programs, b"a" * header) is on_loop
