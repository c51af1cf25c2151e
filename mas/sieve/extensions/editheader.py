"""editheader: addheader, deleteheader. [RFC5293]

The script sees its own changes at once (an EditedMessage over the message); the edits are listed in the result for the delivery.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mas.sieve.actions import AddField, RemoveField
from mas.sieve.definition import Asking, Extension, Kind, Parameter, TagRule, command
from mas.sieve.extensions.base import check_field_name
from mas.sieve.matching import MATCH_TAGS, match
from mas.sieve.message import MessageView
from mas.sieve.program import Call
from mas.sieve.source import RunError

if TYPE_CHECKING:
    from mas.sieve.interpreter import Run

_NAME = re.compile(r"[!-9;-~]+\Z")
PROTECTED = frozenset({"received", "auto-submitted"})
"""Fields that no script may delete [RFC5293 6]; ``subject`` may be."""


class EditedMessage:
    """A message with a header of its own; everything else is the original's."""

    __slots__ = ("_changed", "_fields", "_original", "size")

    def __init__(self, original: MessageView) -> None:
        self._original = original
        self._fields = [(name, value) for name, value in original.fields()]
        self._changed: set[str] = set()
        self.size = original.size

    def header(self, name: str) -> Sequence[str]:
        """As MessageView.header."""
        return [value for field, value in self._fields if field.lower() == name]

    def encoded(self, name: str) -> Sequence[str]:
        """As MessageView.encoded."""
        return self.header(name) if name in self._changed else self._original.encoded(name)

    def fields(self) -> Sequence[tuple[str, str]]:
        """As MessageView.fields."""
        return self._fields

    def addresses(self, value: str) -> Sequence[str]:
        """As MessageView.addresses."""
        return self._original.addresses(value)

    def add(self, name: str, value: str, last: bool) -> None:
        """A new first or last field."""
        self._changed.add(name.lower())
        self._fields.insert(len(self._fields) if last else 0, (name, value))

    def remove(self, at: int) -> None:
        """Take a field away."""
        self._changed.add(self._fields[at][0].lower())
        del self._fields[at]


def _edited(run: Run) -> EditedMessage:
    if not isinstance(run.message, EditedMessage):
        run.message_replaced(EditedMessage(run.message))
    assert isinstance(run.message, EditedMessage)
    return run.message


def run_addheader(run: Run, call: Call) -> None:
    """addheader [RFC5293 4]"""
    name, value = run.argument(call, "field-name"), run.argument(call, "value")
    if not _NAME.match(name):
        raise RunError(f"addheader: {name!r} is not a header field name", call.line)
    if len(name) + len(value) > run.limits.max_header_size:
        raise RunError(f"addheader: the field is longer than {run.limits.max_header_size} characters", call.line)
    if name.lower() in run.limits.fields_not_added:
        run.note(f"addheader {name}: a protected field")
        return
    value = " ".join(value.split())
    last = "last" in call.tags
    _edited(run).add(name, value, last)
    run.edit(AddField(name, value, last))


def run_deleteheader(run: Run, call: Call) -> Asking:
    """deleteheader [RFC5293 5]; protected fields stay, without an error [RFC5293 6]."""
    name = run.argument(call, "field-name").lower()
    if name in PROTECTED or name in run.limits.fields_not_deleted:
        run.note(f"deleteheader {name}: a protected field")
        return
    message = _edited(run)
    places = [at for at, (field, _) in enumerate(message.fields()) if field.lower() == name]
    index = run.tagged_number(call, "index")
    if index is not None:
        at = len(places) - index if "last" in call.tags else index - 1
        places = [places[at]] if index > 0 and 0 <= at < len(places) else []
    patterns = "keys" in call.arguments
    gone: list[int] = []
    for at in places:
        if patterns:
            outcome = match(run, call, [message.fields()[at][1].strip()], [name])
            if outcome.__class__ is not bool:
                outcome = yield from outcome
            if not outcome:
                continue
        gone.append(at)
    for at in reversed(gone):
        number = sum(1 for field, _ in message.fields()[:at] if field.lower() == name)
        message.remove(at)
        run.edit(RemoveField(name, number))


_NAME_PARAMETER = Parameter("field-name", Kind.STRING, check=check_field_name)
EDITHEADER = Extension(
    "editheader",
    definitions=(
        command(
            "addheader",
            run_addheader,
            _NAME_PARAMETER,
            Parameter("value", Kind.STRING),
            tags=(TagRule("last"),),
            needs="editheader",
        ),
        command(
            "deleteheader",
            run_deleteheader,
            _NAME_PARAMETER,
            Parameter("keys", Kind.STRINGS, optional=True),
            tags=(*MATCH_TAGS, TagRule("index", Kind.NUMBER), TagRule("last", beside="index")),
            matches=True,
            needs="editheader",
        ),
    ),
)
