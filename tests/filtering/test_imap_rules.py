"""Which scripts an IMAP event runs: a table of rules and events."""

from __future__ import annotations

from typing import Any

import pytest

from mas.config.filters import ImapSieve
from mas.events.model import Cause, MailEvent
from mas.filtering.imap_rules import Rules


def event(cause: str, mailbox: str, source: str = "", *, moved: bool = False) -> MailEvent:
    left = (7,) if source and not moved else ()
    return MailEvent("kim@example.net", Cause(cause), mailbox, 1, (1,), 0.0, source, left)


def rule(**values: Any) -> ImapSieve:
    return ImapSieve.model_validate({"before": "/b", **values})


@pytest.mark.parametrize(
    ("values", "matching", "others"),
    [
        ({}, [event("APPEND", "x"), event("COPY", "x", "y"), event("FLAG", "x")], []),
        (
            {"mailbox": "Junk", "causes": ("COPY", "FLAG")},
            [event("COPY", "Junk", "INBOX"), event("FLAG", "Junk"), event("COPY", "Junk", "Junk")],
            [event("APPEND", "Junk"), event("COPY", "Junk.a", "INBOX"), event("COPY", "junk", "INBOX")],
        ),
        (
            {"from": "Junk"},
            [event("COPY", "INBOX", "Junk"), event("COPY", "Trash", "Junk", moved=True)],
            [event("COPY", "Junk", "INBOX"), event("APPEND", "Junk"), event("FLAG", "Junk")],
        ),
        (
            {"mailbox": "Lists.%"},
            [event("APPEND", "Lists.a")],
            [event("APPEND", "Lists.a.b"), event("APPEND", "Lists")],
        ),
        ({"mailbox": "Lists*"}, [event("APPEND", "Lists.a.b"), event("APPEND", "Lists")], [event("APPEND", "XLists")]),
        ({"mailbox": "inbox"}, [event("APPEND", "INBOX")], [event("APPEND", "INBOX.a")]),
        ({"mailbox": "Inbox.*"}, [event("APPEND", "INBOX.a")], [event("APPEND", "INBOX")]),
        ({"mailbox": "inboxes"}, [event("APPEND", "inboxes")], [event("APPEND", "INBOXes")]),
    ],
)
def test_matches(values: dict[str, Any], matching: list[MailEvent], others: list[MailEvent]) -> None:
    rules = Rules([rule(**values)])
    assert [bool(rules.wanted(one, ".")) for one in matching + others] == [True] * len(matching) + [False] * len(others)


def test_order_and_source_after() -> None:
    rules = Rules([rule(before="/b1", after="/a1"), rule(before="/b2", after="/a2", copy_source_after="/s")])
    wanted = rules.wanted(event("COPY", "x", "y"), ".")
    assert (wanted.before, wanted.after, wanted.source_after) == (("/b1", "/b2"), ("/a1", "/a2"), ("/s",))
    assert rules.wanted(event("COPY", "x", "y", moved=True), ".").source_after == ()


def test_flags_are_wanted_only_where_a_rule_wants_them() -> None:
    assert Rules([rule()]).flags_wanted
    assert Rules([rule(causes=("APPEND",)), rule(causes=("FLAG",))]).flags_wanted
    assert not Rules([rule(causes=("APPEND", "COPY"))]).flags_wanted
