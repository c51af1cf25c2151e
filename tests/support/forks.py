"""Children of tests, forked from a process without threads.

pytest's plugins and the product have threads, and a lock that one of them holds at the moment of a fork is held in the child for ever: such
tests hang once in thousands of forks, and Python 3.12 warns of each. So one process (a fork server) is started apart, which imports what
children need and does nothing but fork them.
"""

from __future__ import annotations

import functools
import importlib
import multiprocessing
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec

Given = ParamSpec("Given")
Say = Callable[[Any], None]
DEADLINE = 100.0
"""Seconds that a child may take, below pytest's own timeout."""

context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(["__main__", "tests.support.forked_imports"])


@dataclass(frozen=True, slots=True)
class Ended:
    """A child's end: ``code`` is its exit code, or minus the number of the signal; ``said`` what it said before."""

    code: int
    said: list[Any]


@dataclass(frozen=True, slots=True)
class _Failed:
    traceback: str


def forked(work: Callable[..., None], *arguments: object) -> Ended:
    """Run ``work(say, *arguments)``, a function of a module, in a child to its end; ``say`` sends a value here. Raises AssertionError with
    the child's traceback when ``work`` raises."""
    reader, writer = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(work, writer, arguments))
    process.start()
    writer.close()
    said = []
    try:
        while reader.poll(DEADLINE):
            said.append(reader.recv())
    except (EOFError, OSError):  # it has ended, perhaps in the middle of a word
        pass
    finally:
        reader.close()
        process.join(DEADLINE)
        if process.exitcode is None:
            process.kill()
            process.join()
    assert process.exitcode is not None
    for word in said:
        if isinstance(word, _Failed):
            raise AssertionError(word.traceback)
    return Ended(process.exitcode, said)


def _child(work: Callable[..., None], writer: Any, arguments: tuple[object, ...]) -> None:
    try:
        work(writer.send, *arguments)
    except BaseException as error:
        writer.send(_Failed("".join(traceback.format_exception(error))))
        raise SystemExit(1) from None


def in_a_child(test: Callable[Given, None]) -> Callable[Given, None]:
    """For tests that fork by themselves: they run in a child. Their fixtures have to be values, such as ``tmp_path``."""

    @functools.wraps(test)
    def parent(*arguments: Given.args, **named: Given.kwargs) -> None:
        assert forked(_test, test.__module__, test.__qualname__, arguments, named) == Ended(0, [])

    return parent


def _test(_: Say, module: str, name: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
    getattr(importlib.import_module(module), name).__wrapped__(*arguments, **named)
