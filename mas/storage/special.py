"""Mailboxes that every user has: ``[[mailbox]]`` of the configuration, and which special uses LIST shows [RFC6154 2].

A mailbox with ``auto = "create"`` or ``"subscribe"`` is there as soon as the account is touched, and again after it was deleted: made on
disk, not only shown, so that every program on the Maildir sees the same. ``subscribe`` subscribes when it makes it and never afterwards,
so a user's UNSUBSCRIBE lasts.

A special use that the user gave to another mailbox (CREATE … USE [RFC6154 3]) is the user's choice: the configured mailbox does not show
that use as long as the chosen one exists. It is kept in a file ``mas-special-use`` beside the mailbox's uid list, so that it outlives the
index; Dovecot leaves such a file alone, and removes it with the mailbox::

    file = special-use *( SP special-use ) LF

Pure: names in, names out. The account makes, subscribes and stores.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field

from mas.config.mailstore import MailboxRule
from mas.storage.model import INBOX, MailboxName

FILE_NAME = "mas-special-use"
_USE = re.compile(r"\\[A-Za-z]{1,30}")


def parse_uses(data: bytes) -> str:
    """Uses with a space between, as the index keeps them; what is none is left out."""
    words = data[:1000].decode("ascii", "replace").split()
    return " ".join(sorted({word for word in words if _USE.fullmatch(word)}))


def encode_uses(uses: str) -> bytes:
    return uses.encode("ascii") + b"\n"


def canonical(name: str, separator: str) -> MailboxName:
    """INBOX in capitals, also as the first level [RFC9051 5.1]."""
    first, mark, rest = name.partition(separator)
    return MailboxName(INBOX + mark + rest if first.upper() == INBOX else name)


@dataclass(frozen=True)
class SpecialMailboxes:
    """The configured mailboxes of a host. Build with from_config()."""

    uses: Mapping[MailboxName, frozenset[str]] = field(default_factory=dict)
    """Special uses by name, as configured."""
    automatic: Mapping[MailboxName, bool] = field(default_factory=dict)
    """Mailboxes to make, in configured order; the value says whether to subscribe as well."""
    expiring: Mapping[MailboxName, tuple[float, int]] = field(default_factory=dict)
    """``(autoexpunge in seconds or 0, autoexpunge_max_mails or 0)`` of the mailboxes that have one of the two."""

    @classmethod
    def from_config(cls, rules: Sequence[MailboxRule], separator: str) -> SpecialMailboxes:
        named = [(canonical(rule.name, separator), rule) for rule in rules]
        return cls(
            uses={name: frozenset(rule.special_use.split()) for name, rule in named if rule.special_use},
            automatic={name: rule.auto == "subscribe" for name, rule in named if rule.auto != "no" and name != INBOX},
            expiring={
                name: (rule.autoexpunge, rule.autoexpunge_max_mails)
                for name, rule in named
                if rule.autoexpunge or rule.autoexpunge_max_mails
            },
        )

    def missing(self, existing: Container[str]) -> list[tuple[MailboxName, bool]]:
        """``(name, subscribe)`` of what is to be made now, superiors before inferiors as configured."""
        return [(name, subscribe) for name, subscribe in self.automatic.items() if name not in existing]

    def special_use(
        self, existing: Container[str], chosen: Mapping[MailboxName, frozenset[str]]
    ) -> dict[MailboxName, frozenset[str]]:
        """What LIST shows. ``chosen``: uses that the user gave to mailboxes; only those that exist count."""
        shown: dict[MailboxName, frozenset[str]] = {n: uses for n, uses in chosen.items() if uses and n in existing}
        taken = frozenset[str]().union(*shown.values())
        for name, uses in self.uses.items():
            left = shown.get(name, frozenset()) | (uses - taken)
            if left:
                shown[name] = left
        return shown

    def find(
        self, use: str, existing: Container[str], chosen: Mapping[MailboxName, frozenset[str]]
    ) -> MailboxName | None:
        """The mailbox that has the special use (Sieve's ``:specialuse`` [RFC8579], spam learning); None when there is none."""
        for name, uses in self.special_use(existing, chosen).items():
            if use.lower() in {one.lower() for one in uses} and (name in existing or name in self.automatic):
                return name
        return None
