"""Extensions of old scripts, taken with a warning and not announced: ``notify`` and ``imapflags`` of the drafts that RFC 5435 and RFC 5232
came from, ``vnd.dovecot.duplicate``. A host that moves to MAS has such scripts.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mas.sieve.actions import Action, Notify
from mas.sieve.definition import Extension, Kind, TagRule, command
from mas.sieve.extensions.base import is_address
from mas.sieve.extensions.imap4flags import change_flags
from mas.sieve.match import Matcher
from mas.sieve.program import Call
from mas.sieve.source import RunError

if TYPE_CHECKING:
    from mas.sieve.interpreter import Run

_WORD = re.compile(r"\$(from|env-from|subject)\$")
_IMPORTANCE = {"high": 1, "normal": 2, "low": 3}


def run_notify(run: Run, call: Call) -> None:
    """notify of the draft: by mail to the addresses in ``:options``; $from$, $env-from$ and $subject$ stand for the mail's."""
    method = run.tagged(call, "method") or "mailto"
    if method.lower() != "mailto":
        raise RunError(f"notify: unknown method {method!r}: mailto", call.line)
    addresses = run.tagged_list(call, "options") or ()
    if not addresses or not all(is_address(address) for address in addresses):
        raise RunError("notify: :options must hold addresses", call.line)
    values = {
        "from": next(iter(run.message.header("from")), ""),
        "env-from": run.transaction.sender,
        "subject": next(iter(run.message.header("subject")), ""),
    }
    message = _WORD.sub(lambda match: values[match[1]], run.tagged(call, "message") or "$from$: $subject$")
    importance = _IMPORTANCE[call.tags.get("importance", "normal")]
    action = Notify("mailto:" + ",".join(addresses), message, "", importance)
    name = run.tagged(call, "id")
    if name is not None:
        run.state.setdefault("notify", {})[action] = name
    run.act(action, cancels_keep=False)


def run_denotify(run: Run, call: Call) -> None:
    """denotify: takes back the notifications of an importance and of an id that matches, or all."""
    importance = call.tags.get("importance")
    key = run.tagged(call, "match-type")
    matcher = Matcher(call.tags.get("match-type", "is"), "i;octet")
    keys = [] if key is None else matcher.prepare([key])
    assert matcher.first
    first = matcher.first
    ids: dict[Notify, str] = run.state.get("notify", {})

    def meant(action: Action) -> bool:
        return (
            isinstance(action, Notify)
            and (not importance or action.importance == _IMPORTANCE[importance])
            and (key is None or (action in ids and first([ids[action]], [ids[action]], keys, run.tick) is not None))
        )

    run.result.actions[:] = [action for action in run.result.actions if not meant(action)]


def run_mark(run: Run, call: Call) -> None:
    """mark: addflag "\\\\Flagged" """
    change_flags(run, add=("\\Flagged",))


def run_unmark(run: Run, call: Call) -> None:
    """unmark: removeflag "\\\\Flagged" """
    change_flags(run, remove=("\\Flagged",))


_LEVELS = tuple(TagRule(name, group="importance") for name in _IMPORTANCE)
_OLD = "is deprecated: use {!r}"

NOTIFY = Extension(
    "notify",
    definitions=(
        command(
            "notify",
            run_notify,
            tags=(
                TagRule("method", Kind.STRING),
                TagRule("id", Kind.STRING),
                TagRule("options", Kind.STRINGS),
                TagRule("message", Kind.STRING),
                *_LEVELS,
            ),
            needs="notify",
        ),
        command(
            "denotify",
            run_denotify,
            tags=(
                *_LEVELS,
                *(TagRule(name, Kind.STRING, group="match-type") for name in ("is", "contains", "matches")),
            ),
            needs="notify",
        ),
    ),
    deprecated=_OLD.format("enotify"),
)
IMAPFLAGS = Extension(
    "imapflags",
    definitions=(
        command("mark", run_mark, needs="imapflags"),
        command("unmark", run_unmark, needs="imapflags"),
    ),
    implies=("imap4flags",),
    deprecated=_OLD.format("imap4flags"),
)
DUPLICATE = Extension("vnd.dovecot.duplicate", implies=("duplicate",), deprecated=_OLD.format("duplicate"))
