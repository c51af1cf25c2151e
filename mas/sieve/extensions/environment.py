"""environment [RFC5183] and vnd.dovecot.environment with its namespace ``env``.

The delivery gives the items; an unknown one makes the test false. Other extensions may add items of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mas.sieve.definition import Extension, Kind, Parameter, test
from mas.sieve.matching import MATCH_TAGS, match
from mas.sieve.program import Call

if TYPE_CHECKING:
    from mas.sieve.interpreter import Run


def item(run: Run, name: str) -> str | None:
    """An item of the environment, None when there is no such item. The vendor's own need their extension."""
    lowered = name.lower()
    source = run.registry.environment.get(lowered)
    if source:
        return source(run)
    if lowered.startswith("vnd.dovecot.") and "vnd.dovecot.environment" not in run.enabled:
        return None
    return run.environment.get(lowered)


def run_environment(run: Run, call: Call) -> Any:
    """environment [RFC5183 4]"""
    name = run.argument(call, "name")
    value = item(run, name)
    if value is None:
        run.note(f"environment {name}: false, no such item")
        return False
    return match(run, call, [value], [name])


def _variable(run: Run, name: str) -> str:
    """``${env.name}``: an item, empty when there is none. A ``_`` may stand for a ``-``, which the name of a variable cannot have."""
    for known in (name, name.replace("_", "-")):
        source = run.registry.environment.get(known)
        value = source(run) if source else run.environment.get(known)
        if value is not None:
            return value
    return ""


ENVIRONMENT = Extension(
    "environment",
    definitions=(
        test(
            "environment",
            run_environment,
            Parameter("name", Kind.STRING),
            Parameter("keys", Kind.STRINGS),
            tags=MATCH_TAGS,
            matches=True,
            needs="environment",
        ),
    ),
)
DOVECOT_ENVIRONMENT = Extension(
    "vnd.dovecot.environment", implies=("environment",), namespace="env", variable=_variable
)
