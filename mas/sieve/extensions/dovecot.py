"""Pigeonhole's own extensions: vnd.dovecot.pipe, filter, execute, debug, report.

Programs are named without a path; the delivery finds them in the configured folder and gives them their limits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mas.sieve.actions import Pipe, Report
from mas.sieve.compiler import Checker
from mas.sieve.definition import Asking, Extension, Kind, Parameter, Role, TagRule, command, test
from mas.sieve.extensions.base import addr_spec, check_address
from mas.sieve.extensions.variables import check_name, set_variable
from mas.sieve.program import Call
from mas.sieve.questions import FilterMessage, RunProgram
from mas.sieve.source import RunError

if TYPE_CHECKING:
    from mas.sieve.interpreter import Run

MAX_PROGRAM_NAME = 128
MAX_ARGUMENT = 1024


def bad_program(text: str) -> bool:
    """Whether ``text`` can not be a program of the configured folder."""
    return (
        not text
        or len(text) > MAX_PROGRAM_NAME
        or "/" in text
        or text.startswith(".")
        or any(ord(char) < 32 for char in text)
    )


def _check_program(checker: Checker, text: str, offset: int) -> None:
    if bad_program(text):
        checker.note(offset, f"{text!r} is not the name of a program: no path, at most {MAX_PROGRAM_NAME} characters")


def _program(run: Run, call: Call) -> tuple[str, tuple[str, ...]]:
    program = run.argument(call, "program")
    arguments = run.arguments(call, "arguments") if "arguments" in call.arguments else ()
    if bad_program(program):
        raise RunError(f"{call.definition.name}: {program!r} is not the name of a program", call.line)
    for argument in arguments:
        if len(argument) > MAX_ARGUMENT or any(char in argument for char in "\r\n\0"):
            raise RunError(
                f"{call.definition.name}: an argument has a line end or more than {MAX_ARGUMENT} characters", call.line
            )
    return program, arguments


def run_pipe(run: Run, call: Call) -> None:
    """pipe: give the message to a program; without ``:copy`` the implicit keep goes."""
    program, arguments = _program(run, call)
    run.act(Pipe(program, arguments, "try" in call.tags), cancels_keep="copy" not in call.tags)


def run_filter_command(run: Run, call: Call) -> Asking:
    """filter as a command: the message becomes the program's output; a failure leaves it as it was."""
    yield from _filter(run, call)


def run_filter_test(run: Run, call: Call) -> Asking:
    """filter as a test: whether that worked."""
    return (yield from _filter(run, call))


def _filter(run: Run, call: Call) -> Asking:
    program, arguments = _program(run, call)
    message = yield FilterMessage(program, arguments, run.edits())
    if message is None:
        run.note(f"filter {program}: failed, message unchanged")
        return False
    run.rewritten(message)
    return True


def run_execute_command(run: Run, call: Call) -> Asking:
    """execute as a command."""
    yield from _execute(run, call)


def run_execute_test(run: Run, call: Call) -> Asking:
    """execute as a test: whether the program ended with 0."""
    return (yield from _execute(run, call))


def _execute(run: Run, call: Call) -> Asking:
    program, arguments = _program(run, call)
    piped = call.tags.get("input") == "pipe"
    worked, output = yield RunProgram(
        program, arguments, None if piped else run.tagged(call, "input"), piped, run.edits() if piped else ()
    )
    name = run.tagged(call, "output")
    if name is not None and worked:
        set_variable(run, name, output)
    run.note(f"execute {program}: {'worked' if worked else 'failed'}")
    return bool(worked)


def run_debug(run: Run, call: Call) -> None:
    """debug_log: a line for whoever debugs the script."""
    run.result.debug.append(run.argument(call, "message"))
    run.note(f"debug_log {run.argument(call, 'message')!r}")


def run_report(run: Run, call: Call) -> None:
    """report: an abuse report about the message [RFC5965]."""
    address = run.argument(call, "address")
    if not addr_spec(address):
        raise RunError(f"report: {address!r} is not an address", call.line)
    action = Report(
        run.argument(call, "feedback-type"),
        run.argument(call, "text"),
        addr_spec(address),
        "headers_only" in call.tags,
    )
    run.act(action, cancels_keep=False)


def _check_type(checker: Checker, text: str, offset: int) -> None:
    if text.lower() not in ("abuse", "fraud", "virus", "other", "not-spam"):
        checker.note(offset, f"unknown feedback type {text!r}: abuse, fraud, not-spam, virus or other")


def _check_execute(checker: Checker, call: Call) -> None:
    if "output" in call.tags and not checker.allows("variables"):
        checker.note(call.offsets["output"], ":output needs require 'variables'")


_PROGRAM = Parameter("program", Kind.STRING, check=_check_program)
_ARGUMENTS = Parameter("arguments", Kind.STRINGS, optional=True)
# The program comes first and its arguments may be missing: then the one positional argument is the program.
_PARAMETERS = (_PROGRAM, _ARGUMENTS)
_EXECUTE = {
    "tags": (
        TagRule("input", Kind.STRING, group="input"),
        TagRule("pipe", group="input"),
        TagRule("output", Kind.STRING, constant=True, check=check_name),
    ),
    "needs": "vnd.dovecot.execute",
    "check": _check_execute,
}

PIPE = Extension(
    "vnd.dovecot.pipe",
    definitions=(command("pipe", run_pipe, *_PARAMETERS, tags=(TagRule("try"),), needs="vnd.dovecot.pipe"),),
    tags={(Role.COMMAND, "pipe"): (TagRule("copy", needs="copy"),)},
)
FILTER = Extension(
    "vnd.dovecot.filter",
    definitions=(
        command("filter", run_filter_command, *_PARAMETERS, needs="vnd.dovecot.filter"),
        test("filter", run_filter_test, *_PARAMETERS, needs="vnd.dovecot.filter"),
    ),
)
EXECUTE = Extension(
    "vnd.dovecot.execute",
    definitions=(
        command("execute", run_execute_command, *_PARAMETERS, **_EXECUTE),
        test("execute", run_execute_test, *_PARAMETERS, **_EXECUTE),
    ),
)
DEBUG = Extension(
    "vnd.dovecot.debug",
    (command("debug_log", run_debug, Parameter("message", Kind.STRING), needs="vnd.dovecot.debug"),),
)
REPORT = Extension(
    "vnd.dovecot.report",
    definitions=(
        command(
            "report",
            run_report,
            Parameter("feedback-type", Kind.STRING, check=_check_type),
            Parameter("text", Kind.STRING),
            Parameter("address", Kind.STRING, check=check_address),
            tags=(TagRule("headers_only"),),
            needs="vnd.dovecot.report",
        ),
    ),
)
