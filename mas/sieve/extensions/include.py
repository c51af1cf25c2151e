"""include, return, global and the namespace ``global``. [RFC6609]

An included script has its own variables and extensions; the limits on depth and number of includes hold for the whole run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mas.sieve.compiler import Checker
from mas.sieve.definition import Asking, Extension, Kind, Parameter, TagRule, command
from mas.sieve.extensions.variables import NAME
from mas.sieve.interpreter import LeaveScript
from mas.sieve.program import Call
from mas.sieve.questions import IncludeScript
from mas.sieve.source import RunError

if TYPE_CHECKING:
    from mas.sieve.interpreter import Run


def run_include(run: Run, call: Call) -> Asking:
    """include [RFC6609 3.1]"""
    name = run.argument(call, "script")
    personal = call.tags.get("location", "personal") == "personal"
    key = (personal, name)
    if "once" in call.tags and key in run.included:
        return
    where = f"{'personal' if personal else 'global'} script {name!r}"
    if key in run.include_stack:
        raise RunError(f"{where} includes itself", call.line)
    if len(run.include_stack) >= run.limits.include_depth:
        raise RunError(f"scripts include each other more than {run.limits.include_depth} deep", call.line)
    if run.includes >= run.limits.max_includes:
        raise RunError(f"more than {run.limits.max_includes} includes", call.line)
    run.includes += 1
    program = yield IncludeScript(name, personal)
    if program is None:
        if "optional" in call.tags:
            return
        raise RunError(f"{where} does not exist or does not compile", call.line)
    run.included.add(key)
    outer = run.enter(program)
    run.include_stack.append(key)
    try:
        yield from run.block(program.calls)
    except LeaveScript:
        pass
    run.include_stack.pop()
    run.leave(outer)


def run_return(run: Run, call: Call) -> None:
    """return [RFC6609 3.3]"""
    raise LeaveScript


def run_global(run: Run, call: Call) -> None:
    """global [RFC6609 3.4.1]"""
    for name in run.arguments(call, "names"):
        lowered = name.lower()
        run.global_names.add(lowered)
        run.variables[lowered] = run.globals.get(lowered, "")


def check_include(checker: Checker, text: str, offset: int) -> None:
    """A script name that stays in its folder."""
    if not text or "/" in text or text.startswith(".") or any(ord(char) < 32 for char in text):
        checker.note(offset, f"{text!r} is not a script name")


def check_global(checker: Checker, text: str, offset: int) -> None:
    """variable-name"""
    if not checker.allows("variables"):
        checker.note(offset, "global needs require 'variables'")
    elif not NAME.match(text):
        checker.note(offset, f"{text!r} is not a variable name")


INCLUDE = Extension(
    "include",
    namespace="global",
    variable=lambda run, name: run.globals.get(name, ""),
    definitions=(
        command(
            "include",
            run_include,
            Parameter("script", Kind.STRING, constant=True, check=check_include),
            tags=(
                TagRule("personal", group="location"),
                TagRule("global", group="location"),
                TagRule("once"),
                TagRule("optional"),
            ),
            needs="include",
        ),
        command("return", run_return, needs="include"),
        command(
            "global", run_global, Parameter("names", Kind.STRINGS, constant=True, check=check_global), needs="include"
        ),
    ),
)
