"""variables: ``set``, the test ``string``, references in strings (``mas.sieve.strings``). [RFC5229]

Names are kept in lower case. A name that ``global`` has declared [RFC6609 3.4.1] is shared by all scripts of the run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mas.sieve.compiler import Checker
from mas.sieve.definition import Extension, Kind, Parameter, TagRule, command, test
from mas.sieve.match import ascii_casemap
from mas.sieve.matching import MATCH_TAGS, match
from mas.sieve.program import Call
from mas.sieve.source import RunError

if TYPE_CHECKING:
    from mas.sieve.interpreter import Run

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_QUALIFIED = re.compile(r"global\.[A-Za-z_][A-Za-z0-9_]*\Z", re.IGNORECASE)
_SPECIAL = re.compile(r"[*?\\]")
_UPPER = str.maketrans({chr(c): chr(c - 32) for c in range(97, 123)})

_MODIFIERS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("lower", ascii_casemap),
    ("upper", lambda text: text.translate(_UPPER)),
    ("lowerfirst", lambda text: ascii_casemap(text[:1]) + text[1:]),
    ("upperfirst", lambda text: text[:1].translate(_UPPER) + text[1:]),
    ("quotewildcard", lambda text: _SPECIAL.sub(r"\\\g<0>", text)),
    ("quoteregex", re.escape),
    ("encodeurl", lambda text: quote(text, safe="-._~", errors="replace")),
    ("length", lambda text: str(len(text))),
)
_GROUPS = {
    "lower": "case",
    "upper": "case",
    "lowerfirst": "letter",
    "upperfirst": "letter",
    "quotewildcard": "quote",
    "quoteregex": "quote",
}
_NEEDS = {"quoteregex": "regex", "encodeurl": "enotify"}
"""Modifiers of other extensions: regex, and enotify [RFC5435 6]."""


def set_variable(run: Run, name: str, value: str) -> None:
    """Give a variable a value, cut to the limit as Pigeonhole does. Raises RunError for too many variables."""
    lowered = name.lower()
    if len(value) > run.limits.max_variable_size:
        value = value[: run.limits.max_variable_size]
    shared = lowered.removeprefix("global.")
    if shared != lowered or lowered in run.global_names:
        scope = run.globals
        if shared not in scope and len(scope) >= run.limits.max_variables:
            raise RunError(f"more than {run.limits.max_variables} global variables", run.line)
        scope[shared] = value
        if shared in run.global_names:
            run.variables[shared] = value
        return
    if lowered not in run.variables and len(run.variables) >= run.limits.max_variables:
        raise RunError(f"more than {run.limits.max_variables} variables", run.line)
    run.variables[lowered] = value


def modified(call: Call, value: str) -> str:
    """The value after the call's modifiers, in the order of their precedence, highest first [RFC5229 4.1]."""
    for name, modify in _MODIFIERS:
        if call.tags.get(_GROUPS.get(name, name)) == name:
            value = modify(value)
    return value


def run_set(run: Run, call: Call) -> None:
    """set [RFC5229 4]"""
    value = modified(call, run.argument(call, "value"))
    name = run.argument(call, "name")
    set_variable(run, name, value)
    if run.tracing:
        run.note(f"set {name} = {value[:60]!r}")


def run_string(run: Run, call: Call) -> Any:
    """string [RFC5229 5]: white space counts; with ``:count`` empty strings do not."""
    values: Sequence[str] = run.arguments(call, "source")
    matcher = call.matcher
    if matcher is not None and matcher.kind == "count":
        values = [value for value in values if value]
    return match(run, call, values)


def check_name(checker: Checker, text: str, offset: int) -> None:
    """variable-name, or one of the global namespace when include is in use [RFC6609 3.4.2]."""
    if NAME.match(text):
        return
    if _QUALIFIED.match(text):
        if not checker.allows("include"):
            checker.note(offset, f"{text!r} needs require 'include'")
        return
    checker.note(offset, f"{text!r} is not a variable name")


MODIFIER_TAGS = tuple(TagRule(name, group=_GROUPS.get(name, ""), needs=_NEEDS.get(name, "")) for name, _ in _MODIFIERS)
"""MODIFIER [RFC5229 4.1], for every command that sets a variable."""

VARIABLES = Extension(
    "variables",
    definitions=(
        command(
            "set",
            run_set,
            Parameter("name", Kind.STRING, constant=True, check=check_name),
            Parameter("value", Kind.STRING),
            tags=MODIFIER_TAGS,
            needs="variables",
        ),
        test(
            "string",
            run_string,
            Parameter("source", Kind.STRINGS),
            Parameter("keys", Kind.STRINGS),
            tags=MATCH_TAGS,
            matches=True,
            needs="variables",
        ),
    ),
    interprets=True,
)
