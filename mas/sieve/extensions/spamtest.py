"""spamtest, spamtestplus, virustest. [RFC5235]

The verdict is a header field that the scanner wrote; how it is read is the administrator's setting. Without a setting every message is
untested: "0".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mas.sieve.definition import Extension, Kind, Parameter, Role, TagRule, test
from mas.sieve.matching import MATCH_TAGS, match
from mas.sieve.program import Call

if TYPE_CHECKING:
    from mas.sieve.interpreter import Run

_LIMIT = 1000
_SPAM, _VIRUS = 10, 5
"""The highest values of spamtest and virustest."""
_ROUNDING = 0.001
"""What a score may lack of a step, for fractions that have no exact binary form."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a scanner's header field becomes a number.

    header: ``Name`` or ``Name: pattern``, whose first group (or whole match) is the status. kind: ``score`` (a number), ``strlen`` (its
    length counts) or ``text`` (``texts`` maps it to the test's own numbers). max_value: the score that is 100 %; or max_header,
    a field with it.
    """

    header: str
    kind: str = "score"
    max_value: float = 0.0
    max_header: str = ""
    texts: Mapping[str, int] = field(default_factory=dict)


def _extract(run: Run, header: str) -> str | None:
    name, _, pattern = header.partition(":")
    values = run.message.header(name.strip().lower())
    if not values:
        return None
    value = values[0].strip()[:_LIMIT]
    if not pattern.strip():
        return value
    assert run.registry.regex
    found = run.registry.regex(pattern.strip(), True)(value)
    if found is None:
        return None
    return str(found[1] if len(found) > 1 else found[0])


_NUMBER = re.compile(r"\s*(-?[0-9]+(?:\.[0-9]+)?)")


def _number(text: str | None) -> float | None:
    found = _NUMBER.match(text) if text else None
    return float(found[1]) if found else None


def fraction(run: Run, verdict: Verdict | None, highest: int) -> float | None:
    """0.0 to 1.0; None when the message was not tested. highest: the test's value that stands for 1.0."""
    if verdict is None:
        return None
    status = _extract(run, verdict.header)
    if status is None:
        return None
    if verdict.kind == "text":
        value = verdict.texts.get(status.lower())
        return min(value / highest, 1.0) if value else None
    score = float(len(status)) if verdict.kind == "strlen" else _number(status)
    limit = _number(_extract(run, verdict.max_header)) if verdict.max_header else verdict.max_value
    if score is None or not limit or limit <= 0:
        return None
    return min(max(score / limit, 0.0), 1.0)


def _grade(share: float | None, highest: int) -> str:
    """The value of a test: 0 is not tested, 1 is clean. A step counts when it is reached, as Pigeonhole has it."""
    return "0" if share is None else str(1 + int(share * (highest - 1) + _ROUNDING))


def extensions(spam: Verdict | None = None, virus: Verdict | None = None) -> tuple[Extension, ...]:
    """The three extensions with the administrator's settings."""

    def run_spamtest(run: Run, call: Call) -> Any:
        share = fraction(run, spam, _SPAM)
        value = _grade(share, _SPAM) if "percent" not in call.tags else str(int((share or 0) * 100 + _ROUNDING))
        if call.matcher and call.matcher.kind == "count":
            return match(run, call, [] if share is None else [value], ["spam"])
        return match(run, call, [value], ["spam"])

    def run_virustest(run: Run, call: Call) -> Any:
        return match(run, call, [_grade(fraction(run, virus, _VIRUS), _VIRUS)], ["virus"])

    value = Parameter("keys", Kind.STRINGS)
    return (
        Extension(
            "spamtest", (test("spamtest", run_spamtest, value, tags=MATCH_TAGS, matches=True, needs="spamtest"),)
        ),
        Extension(
            "spamtestplus",
            tags={(Role.TEST, "spamtest"): (TagRule("percent", needs="spamtestplus"),)},
            implies=("spamtest",),
        ),
        Extension(
            "virustest", (test("virustest", run_virustest, value, tags=MATCH_TAGS, matches=True, needs="virustest"),)
        ),
    )
