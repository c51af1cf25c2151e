"""ihave and error. [RFC5463]"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mas.sieve.definition import Extension, Kind, Parameter, command, test
from mas.sieve.program import Call
from mas.sieve.source import RunError

if TYPE_CHECKING:
    from mas.sieve.interpreter import Run

_BUILT_IN = frozenset({"comparator-i;octet", "comparator-i;ascii-casemap"})


def run_ihave(run: Run, call: Call) -> bool:
    """ihave [RFC5463 4]: all or none are enabled; what changes how a script is read never is."""
    names = [name for name in run.arguments(call, "capabilities") if name not in _BUILT_IN]
    for name in names:
        extension = run.registry.extensions.get(name) if name in run.program.offered else None
        if name not in run.enabled and (not name or extension is None or extension.interprets):
            run.note(f"ihave: false, no {name}")
            return False
    for name in names:
        if run.message_flags is not None and run.registry.extensions[name].at_delivery:
            raise RunError(f"{name} cannot be used at an IMAP event", call.line)
        run.enabled.add(name)
        run.enabled.update(run.registry.extensions[name].implies)
    run.note("ihave: true")
    return True


def run_error(run: Run, call: Call) -> None:
    """error [RFC5463 5]"""
    raise RunError(run.argument(call, "message"), call.line)


IHAVE = Extension(
    "ihave",
    definitions=(
        test("ihave", run_ihave, Parameter("capabilities", Kind.STRINGS, constant=True), needs="ihave"),
        command("error", run_error, Parameter("message", Kind.STRING), needs="ihave"),
    ),
)
