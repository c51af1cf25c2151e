"""imap4flags: setflag, addflag, removeflag, hasflag, ``:flags``. [RFC5232]

A set of flags is a text of flag names with spaces between. The internal variable is kept under the empty name: no script can name it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from mas.sieve.compiler import Checker
from mas.sieve.definition import Extension, Kind, Parameter, Role, TagRule, command, test
from mas.sieve.extensions.variables import set_variable
from mas.sieve.matching import MATCH_TAGS, match
from mas.sieve.program import Call

if TYPE_CHECKING:
    from mas.sieve.interpreter import Run

_SYSTEM = {name.lower(): name for name in ("\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft")}
_FORBIDDEN = frozenset('(){ %*"\\]')


def split_flags(texts: Iterable[str]) -> tuple[str, ...]:
    """Distinct flags of texts with spaces between flags, in order; names that can be no flag are ignored [RFC5232 5]."""
    found: dict[str, str] = {}
    for text in texts:
        for name in text.split():
            lowered = name.lower()
            if name.startswith("\\"):
                if lowered in _SYSTEM:
                    found.setdefault(lowered, _SYSTEM[lowered])
            elif not any(char in _FORBIDDEN or not " " < char < "\x7f" for char in name):
                found.setdefault(lowered, name)
    return tuple(found.values())


def read(run: Run, name: str) -> str:
    """The value of a flag variable; the empty name is the internal one."""
    return run.variables.get(name.lower(), "")


def _write(run: Run, name: str, flags: Iterable[str]) -> None:
    text = " ".join(flags)
    if name:
        set_variable(run, name, text)
    else:
        run.variables[""] = text
        run.implicit_flags = split_flags((text,))


def _target(run: Run, call: Call) -> str:
    return run.argument(call, "variable") if "variable" in call.arguments else ""


def run_setflag(run: Run, call: Call) -> None:
    """setflag [RFC5232 3.1]"""
    _write(run, _target(run, call), split_flags(run.arguments(call, "flags")))


def run_addflag(run: Run, call: Call) -> None:
    """addflag [RFC5232 3.2]"""
    name = _target(run, call)
    _write(run, name, split_flags((read(run, name), *run.arguments(call, "flags"))))


def run_removeflag(run: Run, call: Call) -> None:
    """removeflag [RFC5232 3.3]"""
    name = _target(run, call)
    gone = {flag.lower() for flag in split_flags(run.arguments(call, "flags"))}
    _write(run, name, (flag for flag in split_flags((read(run, name),)) if flag.lower() not in gone))


def change_flags(run: Run, add: Iterable[str] = (), remove: Iterable[str] = ()) -> None:
    """Change the internal variable."""
    gone = {flag.lower() for flag in remove}
    _write(run, "", (flag for flag in split_flags((read(run, ""), *add)) if flag.lower() not in gone))


def run_hasflag(run: Run, call: Call) -> Any:
    """hasflag [RFC5232 4]; a key may hold several flags, each is a key."""
    names = run.arguments(call, "variables") if "variables" in call.arguments else ("",)
    values = [flag for name in names for flag in split_flags((read(run, name),))]
    matcher = call.matcher
    assert matcher is not None
    if matcher.first and matcher.kind in ("is", "contains") and matcher.keys is None:
        keys = matcher.prepare([word for key in run.arguments(call, "keys") for word in key.split()])
        return matcher.first(values, map(matcher.fold, values), keys, run.tick) is not None
    return match(run, call, values, ["flags"])


def _split_keys(checker: Checker, call: Call) -> None:
    _needs_variables(checker, call)
    matcher, keys = call.matcher, call.arguments.get("keys")
    if matcher and matcher.keys is not None and matcher.kind in ("is", "contains") and isinstance(keys, tuple):
        matcher.keys = matcher.prepare([word for key in keys if isinstance(key, str) for word in key.split()])


def _needs_variables(checker: Checker, call: Call) -> None:
    for name in ("variable", "variables"):
        if name in call.arguments and not checker.allows("variables"):
            checker.note(call.offsets[name], "naming a variable needs require 'variables'")


_FLAGS = Parameter("flags", Kind.STRINGS)
_VARIABLE = Parameter("variable", Kind.STRING, optional=True)
_TAG = TagRule("flags", Kind.STRINGS, needs="imap4flags")

IMAP4FLAGS = Extension(
    "imap4flags",
    definitions=(
        command("setflag", run_setflag, _VARIABLE, _FLAGS, needs="imap4flags", check=_needs_variables, plain=True),
        command("addflag", run_addflag, _VARIABLE, _FLAGS, needs="imap4flags", check=_needs_variables, plain=True),
        command(
            "removeflag", run_removeflag, _VARIABLE, _FLAGS, needs="imap4flags", check=_needs_variables, plain=True
        ),
        test(
            "hasflag",
            run_hasflag,
            Parameter("variables", Kind.STRINGS, optional=True),
            Parameter("keys", Kind.STRINGS),
            tags=MATCH_TAGS,
            matches=True,
            needs="imap4flags",
            check=_split_keys,
            plain=True,
        ),
    ),
    tags={(Role.COMMAND, "keep"): (_TAG,), (Role.COMMAND, "fileinto"): (_TAG,)},
)
