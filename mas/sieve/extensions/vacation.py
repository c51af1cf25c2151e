"""vacation [RFC5230] and vacation-seconds [RFC6131]. Whether a reply goes out is the delivery's decision: it knows sender and memory."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from mas.sieve.actions import Vacation
from mas.sieve.compiler import Checker
from mas.sieve.definition import Extension, Kind, Parameter, Role, TagRule, command
from mas.sieve.extensions.base import addr_spec, check_address
from mas.sieve.extensions.fcc import file_copy
from mas.sieve.program import Call

if TYPE_CHECKING:
    from mas.sieve.interpreter import Run

_DAY = 86400


def run_vacation(run: Run, call: Call) -> None:
    """vacation [RFC5230 4]; days and seconds are kept within the limits [RFC5230 4.1]."""
    limits = run.limits
    number = run.tagged_number(call, "period")
    if number is not None and call.tags["period"] == "days":
        number *= _DAY
    seconds = max(limits.vacation_default_seconds if number is None else number, limits.vacation_min_seconds)
    if limits.vacation_max_seconds:
        seconds = min(seconds, limits.vacation_max_seconds)
    reason = run.argument(call, "reason")
    subject, sender = run.tagged(call, "subject") or "", run.tagged(call, "from") or ""
    handle = run.tagged(call, "handle")
    if handle is None:
        # Replies that differ are different replies [RFC5230 4.2].
        told = "\0".join((reason, subject, sender, str("mime" in call.tags)))
        handle = hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()
    run.act(
        Vacation(
            reason,
            seconds,
            subject,
            sender,
            tuple(addr_spec(address) or address for address in run.tagged_list(call, "addresses") or ()),
            "mime" in call.tags,
            handle,
            file_copy(run, call),
        ),
        cancels_keep=False,
    )


def _warn_address(checker: Checker, text: str, offset: int) -> None:
    """It only never is the recipient's: scripts that ran elsewhere go on running."""
    if not addr_spec(text):
        checker.warn(offset, f"{text!r} is not an address")


VACATION = Extension(
    "vacation",
    definitions=(
        command(
            "vacation",
            run_vacation,
            Parameter("reason", Kind.STRING),
            tags=(
                TagRule("days", Kind.NUMBER, group="period"),
                TagRule("subject", Kind.STRING),
                TagRule("from", Kind.STRING, check=check_address),
                TagRule("addresses", Kind.STRINGS, check=_warn_address),
                TagRule("mime"),
                TagRule("handle", Kind.STRING),
            ),
            needs="vacation",
            plain=True,
        ),
    ),
    at_delivery=True,
)
VACATION_SECONDS = Extension(
    "vacation-seconds",
    tags={(Role.COMMAND, "vacation"): (TagRule("seconds", Kind.NUMBER, group="period", needs="vacation-seconds"),)},
    implies=("vacation",),
    at_delivery=True,
)
