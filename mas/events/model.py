"""One event: messages came into a mailbox by an IMAP command, or changed their flags there. Pure.

It is kept as one line of JSON: an event that a process has noted may be read by another one, of another version. Unknown keys are left
out; a line that is no event is no event.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from mas.storage.model import MailboxName


class Cause(enum.StrEnum):
    """Why [RFC6785 4.3]; a MOVE is a COPY."""

    APPEND = "APPEND"
    COPY = "COPY"
    FLAG = "FLAG"


@dataclass(frozen=True, slots=True)
class MailEvent:
    """user: whose mail it is. mailbox, uid_validity, uids: where the messages are now. at: seconds since the epoch.

    source: the mailbox that a COPY came from; source_uids: the messages there, in the order of ``uids``, none after a MOVE;
    source_uid_validity: 0 when it is not known.
    changed_flags: names of the flags that are set now and were not, or the other way; flags: all names after that change.
    """

    user: str
    cause: Cause
    mailbox: str
    uid_validity: int
    uids: tuple[int, ...]
    at: float
    source: str = ""
    source_uids: tuple[int, ...] = ()
    changed_flags: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    source_uid_validity: int = 0

    @property
    def name(self) -> MailboxName:
        """The mailbox, as the store takes it."""
        return MailboxName(self.mailbox)

    def pieces(self, size: int) -> Iterator[MailEvent]:
        """The same, ``size`` messages at a time."""
        if len(self.uids) <= size:
            yield self
            return
        for start in range(0, len(self.uids), size):
            end = start + size
            yield replace(self, uids=self.uids[start:end], source_uids=self.source_uids[start:end])

    def line(self) -> bytes:
        """The event's line in a journal, with its line end."""
        return json.dumps(asdict(self), separators=(",", ":")).encode() + b"\n"


_NAMES = frozenset(field.name for field in fields(MailEvent))


def parse_line(line: bytes) -> MailEvent | None:
    """The event of a line, None when it is none (a line that a power cut has torn)."""
    try:
        values: Any = json.loads(line)
        known = {name: value for name, value in values.items() if name in _NAMES}
        event = MailEvent(
            **{
                **known,
                "cause": Cause(values["cause"]),
                "uids": _numbers(values["uids"]),
                "source_uids": _numbers(values.get("source_uids", ())),
                "changed_flags": tuple(str(name) for name in values.get("changed_flags", ())),
                "flags": tuple(str(name) for name in values.get("flags", ())),
            }
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    sound = (
        all(isinstance(text, str) for text in (event.user, event.mailbox, event.source))
        and isinstance(event.uid_validity, int)
        and isinstance(event.source_uid_validity, int)
        and isinstance(event.at, int | float)
        and len(event.source_uids) in (0, len(event.uids))
    )
    return event if sound else None


def _numbers(values: Any) -> tuple[int, ...]:
    if not isinstance(values, list | tuple) or not all(type(value) is int and value > 0 for value in values):
        raise ValueError("not a list of uids")
    return tuple(values)
