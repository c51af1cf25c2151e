"""An account, as the user databases answer for it and as storage and protocols use it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class User:
    """One account.

    name: the full user name after ``username_format`` (``kim@example.net``).
    home: absolute directory; ``~/`` in the configuration.
    location: mail location with its variables expanded (``maildir:/var/vmail/example.net/kim/Maildir``).
    quota_rules: rules from the user database (``quota_rule`` replaces the first configured rule, ``quota_rule2`` … the next ones),
        keyed by the field's name.
    fields: every other ``userdb`` field, for those who asked for it by name.
    """

    name: str
    home: Path
    location: str
    quota_rules: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def local_part(self) -> str:
        """``%n``."""
        return self.name.partition("@")[0]

    @property
    def domain(self) -> str:
        """``%d``; empty without one."""
        return self.name.partition("@")[2]
