"""Which mailboxes every user has, and what LIST says of their use."""

from __future__ import annotations

import pytest

from mas.config.mailstore import DEFAULT_MAILBOXES, MailboxRule
from mas.storage.model import MailboxName
from mas.storage.special import SpecialMailboxes, canonical, encode_uses, parse_uses


def rule(name: str, auto: str = "no", use: str = "", **more: object) -> MailboxRule:
    return MailboxRule.model_validate({"name": name, "auto": auto, "special_use": use, **more})


def special(*rules: MailboxRule) -> SpecialMailboxes:
    return SpecialMailboxes.from_config(rules, "/")


DEFAULT = SpecialMailboxes.from_config([MailboxRule.model_validate(one) for one in DEFAULT_MAILBOXES], ".")
J, S, T = (MailboxName(n) for n in ("Junk", "Spam", "Trash"))
USE = {one: frozenset([f"\\{one}"]) for one in ("Junk", "Trash", "Sent")}


def test_the_five_of_the_default_are_made_and_subscribed() -> None:
    names = ["Drafts", "Sent", "Archives", "Junk", "Trash"]
    assert DEFAULT.missing({"INBOX"}) == [(n, True) for n in names]
    assert DEFAULT.missing({"INBOX", "Sent", "Junk"}) == [(n, True) for n in ("Drafts", "Archives", "Trash")]
    assert DEFAULT.missing(set(names)) == []


def test_auto() -> None:
    boxes = special(rule("A", "create"), rule("B", "no"), rule("C", "subscribe"), rule("inbox", "create"))
    assert boxes.missing(set()) == [("A", False), ("C", True)]


@pytest.mark.parametrize(
    ("name", "expected"), [("inbox", "INBOX"), ("Inbox/a", "INBOX/a"), ("Inboxes", "Inboxes"), ("a/inbox", "a/inbox")]
)
def test_canonical(name: str, expected: str) -> None:
    assert canonical(name, "/") == expected


def test_configured_uses_are_shown() -> None:
    boxes = special(rule("Junk", "create", "\\Junk"), rule("Sent", use="\\Sent \\Important"), rule("x"))
    assert boxes.special_use({"Junk", "Sent"}, {}) == {"Junk": USE["Junk"], "Sent": USE["Sent"] | {"\\Important"}}


def test_the_choice_of_the_user_wins_while_the_mailbox_exists() -> None:
    boxes = special(rule("Junk", "create", "\\Junk"), rule("Trash", "create", "\\Trash"))
    chosen = {S: USE["Junk"]}
    assert boxes.special_use({"Junk", "Spam"}, chosen) == {S: USE["Junk"], T: USE["Trash"]}
    assert boxes.special_use({"Junk"}, chosen) == {J: USE["Junk"], T: USE["Trash"]}
    assert boxes.special_use({"Junk"}, {J: USE["Sent"]}) == {J: USE["Junk"] | USE["Sent"], T: USE["Trash"]}
    assert boxes.special_use({"Spam"}, {S: frozenset()}) == {J: USE["Junk"], T: USE["Trash"]}


def test_find() -> None:
    boxes = special(rule("Junk", "create", "\\Junk"), rule("Old", use="\\Archive"))
    assert boxes.find("\\junk", {"INBOX"}, {}) == "Junk"
    assert boxes.find("\\Junk", {"Spam"}, {S: USE["Junk"]}) == "Spam"
    assert boxes.find("\\Archive", {"INBOX"}, {}) is None
    assert boxes.find("\\Archive", {"Old"}, {}) == "Old"
    assert boxes.find("\\Sent", {"Sent"}, {}) is None


def test_expiring() -> None:
    boxes = special(rule("Junk", autoexpunge="90d"), rule("Trash", autoexpunge_max_mails=5), rule("x"))
    assert boxes.expiring == {"Junk": (90 * 86400.0, 0), "Trash": (0.0, 5)}


@pytest.mark.parametrize(
    ("data", "uses"),
    [
        (b"\\Junk\n", "\\Junk"),
        (b"\\Sent \\Archive\n", "\\Archive \\Sent"),
        (b"", ""),
        (b"Junk \xff\xff \\ \\J\0nk \\Drafts", "\\Drafts"),
        (b"\\x" * 1000, ""),
    ],
)
def test_file_of_uses(data: bytes, uses: str) -> None:
    assert parse_uses(data) == uses
    if uses:
        assert parse_uses(encode_uses(uses)) == uses
