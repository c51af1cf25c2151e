"""Values of a message against the keys of a test: what every matching test does after it has found its values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mas.sieve.definition import Asking, Kind, TagRule
from mas.sieve.program import Call
from mas.sieve.questions import ListHolds

if TYPE_CHECKING:
    from mas.sieve.interpreter import Run

MATCH_TAGS = (
    TagRule("comparator", Kind.STRING, constant=True),
    TagRule("is", group="match-type"),
    TagRule("contains", group="match-type"),
    TagRule("matches", group="match-type"),
)
ADDRESS_TAGS = (
    TagRule("all", group="address-part"),
    TagRule("localpart", group="address-part"),
    TagRule("domain", group="address-part"),
)
_SHOWN = 60
_LONG = 16384
"""From this length of a value on, the clock is looked at while it is searched."""


def match(run: Run, call: Call, values: Sequence[str], names: Sequence[str] = ()) -> Any:
    """Whether one of ``values`` matches one of the keys. Returns a bool, or a generator when an external list must be asked.

    names: of what the values are, for the trace.
    """
    matcher = call.matcher
    assert matcher is not None
    keys = matcher.keys
    if keys is None:
        keys = matcher.prepare(run.arguments(call, "keys"), run.registry.regex)
    if matcher.kind == "count":
        found = matcher.count(len(values), keys)
        if run.tracing:
            counted = f"{len(values)} values, :count {matcher.relation}: {'true' if found else 'false'}"
            run.note(f"{call.definition.name} {', '.join(names)}: {counted}")
        return found
    if matcher.kind == "list":
        return _ask_lists(run, call, values, tuple(str(key) for key in keys))
    for value in values:
        groups = matcher.find(value, keys, run.tick if len(value) > _LONG else None)
        if groups is not None:
            if groups:
                run.match_values = groups[: run.limits.max_match_values + 1]
            if run.tracing:
                run.note(
                    f"{call.definition.name} {', '.join(names)}: true, {value[:_SHOWN]!r} matches (:{matcher.kind})"
                )
            return True
    if run.tracing:
        shown = ", ".join(repr(value[:_SHOWN]) for value in values[:3]) or "no value"
        run.note(f"{call.definition.name} {', '.join(names)}: false, {shown} does not match (:{matcher.kind})")
    return False


def _ask_lists(run: Run, call: Call, values: Sequence[str], lists: tuple[str, ...]) -> Asking:
    for name in lists:
        if values and (yield ListHolds(name, tuple(values))):
            run.note(f"{call.definition.name}: true, in list {name!r}")
            return True
    run.note(f"{call.definition.name}: false, in none of the lists")
    return False


def address_part(run: Run, part: str, address: str) -> str | None:
    """The part of an addr-spec that a test looks at; None when it has no such part. [RFC5228 2.7.4] [RFC5233]"""
    if part == "all":
        return address
    local, at, domain = address.rpartition("@")
    if not at:
        local, domain = address, ""
    if part == "localpart":
        return local
    if part == "domain":
        return domain if at else None
    cuts = [cut for char in run.transaction.delimiter if (cut := local.find(char)) >= 0]
    if part == "user":
        return local[: min(cuts)] if cuts else local
    return local[min(cuts) + 1 :] if cuts else None
