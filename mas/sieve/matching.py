"""Values of a message against the keys of a test: what every matching test does after it has found its values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mas.sieve.definition import Asking, Handler, Kind, TagRule
from mas.sieve.match import NUMERIC, Glob
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
_SPECIAL = r"\s@<>()\[\],;:\\\""
_ATOMS = re.compile(rf"[^{_SPECIAL}]+")
_ADDR_SPEC = re.compile(
    rf'(?:[^{_SPECIAL}]+|"(?:[^"\\\r\n]|\\.)*")@(?:[^{_SPECIAL}.]+(?:\.[^{_SPECIAL}.]+)*|\[[^\s\[\]\\]*\])\Z'
)
_ESCAPED = re.compile(r"\\(.)")


def match(run: Run, call: Call, values: Sequence[str], names: Sequence[str] = ()) -> Any:
    """Whether one of ``values`` matches one of the keys. Returns a bool, or a generator when an external list must be asked.

    names: of what the values are, for the trace.
    """
    matcher = call.matcher
    assert matcher is not None
    keys = matcher.keys
    if keys is None:
        keys = matcher.prepare(run.arguments(call, "keys"), run.registry.regex)
    if matcher.first is None:
        if matcher.kind == "list":
            return _ask_lists(run, call, values, tuple(str(key) for key in keys))
        counted = matcher.count(len(values), keys)
        if run.tracing:
            said = f"{len(values)} values, :count {matcher.relation}: {'true' if counted else 'false'}"
            run.note(f"{call.definition.name} {', '.join(names)}: {said}")
        return counted
    folded = run.fold(call.question, values, matcher.fold) if call.question else map(matcher.fold, values)
    found = matcher.first(values, folded, keys, run.tick)
    if found is not None and found[1]:
        run.match_values = found[1][: run.limits.max_match_values + 1]
    if run.tracing:
        if found is not None:
            said = f"true, {found[0][:_SHOWN]!r} matches"
        else:
            shown = ", ".join(repr(value[:_SHOWN]) for value in values[:3]) or "no value"
            said = f"false, {shown} does not match"
        run.note(f"{call.definition.name} {', '.join(names)}: {said} (:{matcher.kind})")
    return found is not None


def shortcut(call: Call, question: str) -> Handler | None:
    """A handler for a test whose values have been compared before (``Run.folded``): done at one look when it is false, or has no match
    values to give. All else goes to the definition's own handler. None for a test that cannot be done so."""
    matcher, handler = call.matcher, call.definition.handler
    if matcher is None or matcher.keys is None or matcher.comparator == NUMERIC:
        return None
    keys = matcher.keys

    def contains(run: Run, call: Call) -> Any:
        values = run.folded.get(question)
        if values is None:
            return handler(run, call)
        for value in values:
            for key in keys:
                if key in value:
                    return True
        return False

    def equals(run: Run, call: Call) -> Any:
        values = run.folded.get(question)
        if values is None:
            return handler(run, call)
        return not exact.isdisjoint(values)

    exact = frozenset(keys) if matcher.kind == "is" else frozenset()
    needed = [key.literals for key in keys if isinstance(key, Glob)]

    def matches(run: Run, call: Call) -> Any:
        values = run.folded.get(question)
        if values is None:
            return handler(run, call)
        for value in values:
            for literals in needed:
                for literal in literals:
                    if literal not in value:
                        break
                else:
                    return handler(run, call)
        return False

    return {"contains": contains, "is": equals, "matches": matches}.get(matcher.kind)


def _ask_lists(run: Run, call: Call, values: Sequence[str], lists: tuple[str, ...]) -> Asking:
    for name in lists:
        if values and (yield ListHolds(name, tuple(values))):
            run.note(f"{call.definition.name}: true, in list {name!r}")
            return True
    run.note(f"{call.definition.name}: false, in none of the lists")
    return False


def is_atoms(local: str) -> bool:
    """Whether a local part needs no quotes: atoms and dots in any order, as some hosts give them out."""
    return _ATOMS.fullmatch(local) is not None


def is_address_syntax(address: str) -> bool:
    """Whether ``address`` is an addr-spec [RFC5322 3.4.1] [RFC6532 3.2].

    addr-spec = (1*(atext / ".") / quoted-string) "@" (1*atext *("." 1*atext) / domain-literal)
    """
    return _ADDR_SPEC.match(address) is not None


def address_part(run: Run, part: str, address: str) -> str | None:
    """The part of an addr-spec that a test looks at, local parts without their quotes; None when it has no such part. [RFC5228 2.7.4]
    [RFC5233]"""
    if part == "all":
        return address
    local, at, domain = address.rpartition("@")
    if not at:
        local, domain = address, ""
    if local[:1] == local[-1:] == '"':
        local = _ESCAPED.sub(r"\1", local[1:-1])
    if part == "localpart":
        return local
    if part == "domain":
        return domain if at else None
    cuts = [cut for char in run.transaction.delimiter if (cut := local.find(char)) >= 0]
    if part == "user":
        return local[: min(cuts)] if cuts else local
    return local[min(cuts) + 1 :] if cuts else None
