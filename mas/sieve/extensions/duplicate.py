"""duplicate. [RFC7352]

The id is asked for now and recorded by the caller after the delivery has succeeded, so that a retry of a failed delivery is no duplicate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mas.sieve.compiler import Checker
from mas.sieve.definition import Asking, Extension, Kind, TagRule, test
from mas.sieve.extensions.base import warn_field_name
from mas.sieve.program import Call
from mas.sieve.questions import SeenBefore

if TYPE_CHECKING:
    from mas.sieve.interpreter import Run


def run_duplicate(run: Run, call: Call) -> Asking:
    """duplicate [RFC7352 3]"""
    handle = run.tagged(call, "handle") or ""
    field = run.tagged(call, "header")
    unique = run.tagged(call, "uniqueid")
    if unique is None:
        values = run.message.header((field or "message-id").lower())
        if not values:
            run.note("duplicate: false, no id")
            return False
        unique = values[0].strip()
    seconds = run.tagged_number(call, "seconds")
    limits = run.limits
    seconds = limits.duplicate_default_seconds if seconds is None else min(seconds, limits.duplicate_max_seconds)
    question = SeenBefore(
        f"duplicate\0{handle}\0{'' if field is None else 'header'}\0{unique}", seconds, "last" in call.tags
    )
    found = bool((yield question))
    if question not in run.result.to_record and (not found or question.last):
        run.result.to_record.append(question)
    run.note(f"duplicate {unique!r}: {'true' if found else 'false'}")
    return found


def _check(checker: Checker, call: Call) -> None:
    if "header" in call.tags and "uniqueid" in call.tags:
        checker.note(call.offset, "duplicate takes :header or :uniqueid, not both")


DUPLICATE = Extension(
    "duplicate",
    definitions=(
        test(
            "duplicate",
            run_duplicate,
            tags=(
                TagRule("handle", Kind.STRING),
                TagRule("header", Kind.STRING, check=warn_field_name),
                TagRule("uniqueid", Kind.STRING),
                TagRule("seconds", Kind.NUMBER),
                TagRule("last"),
            ),
            needs="duplicate",
            check=_check,
        ),
    ),
)
