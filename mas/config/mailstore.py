"""Sections about stored mail: where it lies, special mailboxes, quota."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, field_validator, model_validator

from mas import quota_rules
from mas.config.section import Section, written
from mas.config.values import (
    Count,
    Duration,
    FilePath,
    PartOfLimit,
    Positive,
    Size,
    SystemAccount,
    Template,
    one_of,
)
from mas.errors import ConfigError

SPECIAL_USES = ("\\All", "\\Archive", "\\Drafts", "\\Flagged", "\\Junk", "\\Sent", "\\Trash", "\\Important")
_LOCATION_KEYS = ("INBOX", "CONTROL", "INDEX", "LAYOUT", "DIRNAME", "VOLATILEDIR")


class Mail(Section):
    """The Maildirs, and the limits of what is read out of them."""

    location: Template = "maildir:~/Maildir"
    uid: SystemAccount = "vmail"
    gid: SystemAccount = "vmail"
    separator: str = written(".", pattern=r"^[./]$")
    max_header: Size = written("1M")
    mime_max_depth: Positive = written(100, le=200)  # DEEPEST of storage.mime.limits
    mime_max_parts: Positive = 10000
    mime_max_parameters: Positive = 1000
    mime_max_addresses: Positive = 10000
    max_keywords: Positive = written(58, le=58)  # MAX_KEYWORDS of storage.model
    max_keyword_length: Positive = 50
    lock_timeout: Duration = written("30s")
    open_accounts: Positive = 1000
    threads: Positive = 8

    @field_validator("location")
    @classmethod
    def _location(cls, value: str) -> str:
        kind, _, rest = value.partition(":")
        path, *options = rest.split(":")
        if kind != "maildir" or not path.startswith(("/", "~/", "%h")):
            raise ValueError('a Maildir, as "maildir:~/Maildir" or "maildir:/var/vmail/%d/%n/Maildir"')
        for option in options:
            if option.partition("=")[0] not in _LOCATION_KEYS:
                raise ValueError(f'"{option}" is no known part of a location; there are {", ".join(_LOCATION_KEYS)}')
            key, _, what = option.partition("=")
            if key == "LAYOUT" and what.lower() not in ("maildir++", "fs"):
                raise ValueError(f'"{option}": there are LAYOUT=Maildir++ and LAYOUT=fs')
            if key == "DIRNAME" and (what in ("", ".", "..") or "/" in what or "layout=fs" not in value.lower()):
                raise ValueError(f'"{option}": the name of a directory, with LAYOUT=fs')
        return value


class Metadata(Section):
    """Annotations of mailboxes and of the account: METADATA, and what Sieve reads of them. Limits hold for one user."""

    enabled: bool = True
    max_value: Size = written("64K", ge=1024)  # both minima: RFC 5464 section 4.1
    max_entries: int = written(100, ge=10)
    max_total: Size = written("1M", ge=1024)
    server_comment: str = ""
    server_admin: str = written("", pattern=r"^$|^[A-Za-z][A-Za-z0-9+.-]*:[!-~]+$")


class MailboxRule(Section):
    """A mailbox that every user has. ``auto``: no, create, or subscribe (which creates as well)."""

    name: str = Field(min_length=1)
    special_use: str = ""
    auto: Annotated[str, one_of("no", "create", "subscribe")] = "no"
    autoexpunge: Duration = written(0)
    autoexpunge_max_mails: Count = 0

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        if value != value.strip() or re.search(r"[\x00-\x1f\x7f%*]", value) or value.startswith("~"):
            raise ValueError("a mailbox name has no control characters, no % or *, and no blank at its ends")
        return value

    @field_validator("special_use")
    @classmethod
    def _special_use(cls, value: str) -> str:
        import difflib

        known = {use.lower(): use for use in SPECIAL_USES}
        uses = []
        for use in value.split():
            if use.lower() not in known:
                near = difflib.get_close_matches(use.lower(), known, 1, 0.5)
                hint = f'; did you mean "{known[near[0]]}"?' if near else f"; there are {' '.join(SPECIAL_USES)}"
                raise ValueError(f'"{use}" is no known special use{hint}')
            uses.append(known[use.lower()])
        return " ".join(uses)


DEFAULT_MAILBOXES = tuple(
    {"name": name, "special_use": use, "auto": "subscribe"}
    for name, use in (
        ("Drafts", "\\Drafts"),
        ("Sent", "\\Sent"),
        ("Archives", "\\Archive"),
        ("Junk", "\\Junk"),
        ("Trash", "\\Trash"),
    )
)


def _check_rules(rules: tuple[str, ...]) -> tuple[str, ...]:
    """Only checked here; ``mas.storage.quota`` parses them again, together with the user's own. Raises ValueError."""
    try:
        quota_rules.parse_rules(rules, "rule ")
    except ConfigError as error:
        raise ValueError("; ".join(error.problems)) from None
    return rules


QuotaRules = Annotated[tuple[str, ...], AfterValidator(_check_rules)]


class QuotaRoot(Section):
    """A further limit, shared by the users with the same ``scope``."""

    name: str = Field(min_length=1)
    scope: Template = "%u"
    rules: QuotaRules = ()


class QuotaWarning(Section):
    """What happens when usage crosses ``threshold``: a command, the built-in mail, or a mail from a template file."""

    threshold: str
    command: tuple[Template, ...] = ()
    mail: bool = False
    template: FilePath | None = None

    @field_validator("threshold")
    @classmethod
    def _threshold(cls, value: str) -> str:
        try:
            quota_rules.parse_threshold(value)
        except ConfigError as error:
            raise ValueError(error.problems[0].partition(": ")[2]) from None
        return value

    @model_validator(mode="after")
    def _one_action(self) -> QuotaWarning:
        if (bool(self.command) + self.mail + (self.template is not None)) != 1:
            raise ValueError("one of command, mail = true or template has to be given")
        return self


class Quota(Section):
    """Limits on a user's mail. ``rules`` belong to the root ``name``; the user database can replace them."""

    name: str = written("User quota", min_length=1)
    rules: QuotaRules = ()
    grace: PartOfLimit = written("10%")
    max_mail_size: Size = written("100M")
    exceeded_message: str = "Quota exceeded (mailbox for user is full)"
    warning: tuple[QuotaWarning, ...] = ()
    root: tuple[QuotaRoot, ...] = ()
