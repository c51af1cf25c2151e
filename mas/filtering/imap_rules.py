"""Which scripts run at an IMAP event: the ``[[imapsieve]]`` rules, read as Pigeonhole reads ``imapsieve_mailboxN_*``. Pure.

Every rule that matches counts, not only the first: all ``before`` scripts in the order of the rules, the user's own, all ``after``
scripts. A rule with a ``from`` other than ``*`` is about copies alone. A MOVE is a COPY.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from mas.config.filters import ImapSieve
from mas.events.model import Cause, MailEvent


@dataclass(frozen=True, slots=True)
class Wanted:
    """Paths of scripts, in order; the user's own script runs in between. ``source_after`` are for the messages that were copied, where they
    still are."""

    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    source_after: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.before or self.after or self.source_after)


class Rules:
    """The rules of a configuration."""

    def __init__(self, rules: Sequence[ImapSieve]) -> None:
        self._rules = rules
        self.flags_wanted = any(not rule.causes or Cause.FLAG in rule.causes for rule in rules)

    def wanted(self, event: MailEvent, separator: str) -> Wanted:
        """What runs at an event."""
        found = [rule for rule in self._rules if _matches(rule, event, separator)]
        if not found:
            return Wanted()
        before = [str(rule.before) for rule in found if rule.before]
        after = [str(rule.after) for rule in found if rule.after]
        # Not after a MOVE, which has left nothing there; so does Pigeonhole.
        source = [str(rule.copy_source_after) for rule in found if rule.copy_source_after] if event.source_uids else []
        return Wanted(tuple(before), tuple(after), tuple(source))


def _matches(rule: ImapSieve, event: MailEvent, separator: str) -> bool:
    if rule.causes and event.cause not in rule.causes:
        return False
    if rule.from_ != "*" and (not event.source or not _pattern(rule.from_, separator).match(event.source)):
        return False
    return rule.mailbox == "*" or bool(_pattern(rule.mailbox, separator).match(event.mailbox))


@lru_cache(maxsize=1000)
def _pattern(text: str, separator: str) -> re.Pattern[str]:
    """A mailbox pattern [RFC9051 6.3.9]: ``*`` is anything, ``%`` anything without a separator; INBOX in any case."""
    pieces = [
        ".*" if char == "*" else f"[^{re.escape(separator)}]*" if char == "%" else re.escape(char) for char in text
    ]
    if text[:5].upper() == "INBOX" and text[5:6] in ("", separator):
        pieces[:5] = ["INBOX"]
    return re.compile("".join(pieces) + r"\Z", re.DOTALL)
