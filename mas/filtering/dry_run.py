"""Runs a script over a message file without doing anything: what it would do, and why. For ``mas sieve test``.

Questions are answered so that a script can be tried anywhere: every mailbox exists, nothing was seen before, included scripts lie beside
the script, programs are not run (they count as having worked, with no output).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mas.filtering.answers import rewritten
from mas.filtering.edits import applied
from mas.filtering.view import HeaderView, body
from mas.sieve.actions import Rewritten
from mas.sieve.compiler import compile_script
from mas.sieve.definition import Registry
from mas.sieve.interpreter import Result, Run
from mas.sieve.limits import Limits
from mas.sieve.message import Transaction
from mas.sieve.program import Program
from mas.sieve.questions import (
    EncloseMessage,
    FilterMessage,
    IncludeScript,
    MailboxExists,
    MailboxIdExists,
    Question,
    ReadBody,
    ReplacePart,
    RunProgram,
    SpecialUseExists,
)
from mas.storage.mime.limits import MimeLimits
from mas.storage.mime.window import header_end

_SENDER = "user@localhost"
"""The author of what enclose makes."""


def dry_run(
    script: Path,
    message: bytes,
    registry: Registry,
    transaction: Transaction,
    *,
    limits: Limits | None = None,
    mime_limits: MimeLimits | None = None,
    trace: bool = False,
    environment: Mapping[str, str] | None = None,
) -> Result:
    """What ``script`` decides about ``message``; limits None: the defaults. Raises ScriptError when it does not compile, OSError when it
    cannot be read."""
    program = compile_script(script.read_bytes(), registry, limits, script.name.removesuffix(".sieve"))
    data = message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    view = HeaderView(data[: header_end(data, 0, len(data))], len(data))
    run = Run(
        registry,
        view,
        transaction,
        limits=limits,
        environment=environment,
        cpu_clock=time.thread_time,
        now=time.time(),
        trace=trace,
    )
    steps = run.scripts([program])
    answer: Any = None
    while True:
        try:
            question = steps.send(answer)
        except StopIteration as end:
            result: Result = end.value
            return result
        answer = _answer(question, data, script, registry, limits, mime_limits or MimeLimits())


def _answer(
    question: Question, data: bytes, script: Path, registry: Registry, limits: Limits | None, mime_limits: MimeLimits
) -> Any:
    match question:
        case ReadBody(edits=edits):
            return body(applied(data, edits), mime_limits)
        case ReplacePart() | EncloseMessage():
            return rewritten(applied(data, question.edits), question, _SENDER, mime_limits)
        case MailboxExists() | MailboxIdExists() | SpecialUseExists():
            return True
        case IncludeScript(name=name):
            return _beside(script, name, registry, limits)
        case RunProgram():
            return True, ""
        case FilterMessage():
            return None
    return None


def _beside(script: Path, name: str, registry: Registry, limits: Limits | None) -> Program | None:
    path = script.parent / f"{name}.sieve"
    return compile_script(path.read_bytes(), registry, limits, name) if path.is_file() else None


def describe(result: Result) -> list[str]:
    """The decisions, a line each, in the order in which they would be carried out."""
    lines = [_words(action) for action in result.actions]
    lines += [f"header: {_words(edit)}" for edit in result.edits]
    if result.keep:
        flags = f" with flags {' '.join(result.keep_flags)}" if result.keep_flags else ""
        lines.append(f"keep in INBOX{flags}")
    if not lines:
        lines.append("discard")
    if result.error:
        lines.append(f"error: {result.error}")
    return lines


def _words(action: object) -> str:
    if isinstance(action, Rewritten):
        return f"another message of {action.message.size} octets"
    values = {name: getattr(action, name) for name in action.__slots__ if name != "edits"}  # type: ignore[attr-defined]  # every action has slots
    told = ", ".join(
        f"{name.replace('_', ' ')}: {value}" for name, value in values.items() if value not in (None, False, "", ())
    )
    return f"{type(action).__name__.lower()} ({told})"
