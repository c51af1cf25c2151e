"""enotify [RFC5435] with the mailto method [RFC5436]: notify, valid_notify_method, notify_method_capability, ``:encodeurl``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from mas.sieve.actions import Notify
from mas.sieve.compiler import Checker
from mas.sieve.definition import Extension, Kind, Parameter, TagRule, command, test
from mas.sieve.extensions.base import is_address
from mas.sieve.extensions.fcc import file_copy
from mas.sieve.matching import MATCH_TAGS, match
from mas.sieve.program import Call
from mas.sieve.source import RunError

if TYPE_CHECKING:
    from mas.sieve.interpreter import Run

_OPTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*=", re.ASCII)
_MAX_RECIPIENTS = 8


def mailto_recipients(uri: str) -> list[str]:
    """The addresses of a mailto URI [RFC6068 2], ``to=`` included. Empty when it is no valid one."""
    scheme, colon, rest = uri.partition(":")
    if not colon or scheme.lower() != "mailto":
        return []
    path, _, query = rest.partition("?")
    # A comma between addresses may be encoded, too [RFC2368 2].
    addresses = [address.strip() for address in unquote(path).split(",") if address]
    for pair in query.split("&") if query else []:
        name, equals, value = pair.partition("=")
        if not equals:
            return []
        if name.lower() in ("to", "cc"):
            addresses.extend(address.strip() for address in unquote(value).split(",") if address)
    if len(addresses) > _MAX_RECIPIENTS or not all(is_address(address) for address in addresses):
        return []
    return addresses


def run_notify(run: Run, call: Call) -> None:
    """notify [RFC5435 3]"""
    method = run.argument(call, "method")
    if not mailto_recipients(method):
        raise RunError(f"notify: {method!r} is not a mailto URI with an address", call.line)
    importance = run.tagged(call, "importance") or "2"
    if importance not in ("1", "2", "3"):
        raise RunError("notify: :importance is 1, 2 or 3", call.line)
    run.act(
        Notify(
            method,
            run.tagged(call, "message") or "",
            run.tagged(call, "from") or "",
            int(importance),
            run.tagged_list(call, "options") or (),
            file_copy(run, call),
        ),
        cancels_keep=False,
    )


def run_valid(run: Run, call: Call) -> bool:
    """valid_notify_method [RFC5435 4]"""
    return all(mailto_recipients(uri) for uri in run.arguments(call, "uris"))


def run_capability(run: Run, call: Call) -> Any:
    """notify_method_capability [RFC5435 5]: of mailto, whether someone is ``online`` is never known."""
    if not mailto_recipients(run.argument(call, "uri")) or run.argument(call, "capability").lower() != "online":
        return False
    return match(run, call, ["maybe"], ["online"])


def _check_method(checker: Checker, text: str, offset: int) -> None:
    if not mailto_recipients(text):
        checker.note(offset, f"{text!r} is not a mailto URI with an address")


def _check_importance(checker: Checker, text: str, offset: int) -> None:
    if text not in ("1", "2", "3"):
        checker.note(offset, ":importance is 1, 2 or 3")


def _check_option(checker: Checker, text: str, offset: int) -> None:
    if not _OPTION.match(text):
        checker.note(offset, f"{text!r} is not an option of the form name=value")


ENOTIFY = Extension(
    "enotify",
    definitions=(
        command(
            "notify",
            run_notify,
            Parameter("method", Kind.STRING, check=_check_method),
            tags=(
                TagRule("from", Kind.STRING),
                TagRule("importance", Kind.STRING, check=_check_importance),
                TagRule("options", Kind.STRINGS, check=_check_option),
                TagRule("message", Kind.STRING),
            ),
            needs="enotify",
        ),
        test("valid_notify_method", run_valid, Parameter("uris", Kind.STRINGS), needs="enotify"),
        test(
            "notify_method_capability",
            run_capability,
            Parameter("uri", Kind.STRING),
            Parameter("capability", Kind.STRING),
            Parameter("keys", Kind.STRINGS),
            tags=MATCH_TAGS,
            matches=True,
            needs="enotify",
        ),
    ),
)
