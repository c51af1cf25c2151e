"""Two views of a user's mail, compared."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mas.migrate.view import MAX_LINES, Mailbox, Message, View, differences, notes

MESSAGE = Message(frozenset({"\\Seen", "Work"}), 100, 1_700_000_000, 1_700_000_100, "aa")
BOX = Mailbox(7, 3, frozenset({"\\junk"}), {1: MESSAGE, 2: MESSAGE})
VIEW = View({"INBOX": BOX}, frozenset({"INBOX"}), {"User quota": {"STORAGE": (10, 1000)}})
NAMES = ("Dovecot", "MAS")


def box(**changes: Any) -> View:
    return replace(VIEW, mailboxes={"INBOX": replace(BOX, **changes)})


def first(**changes: Any) -> View:
    return box(messages={1: replace(MESSAGE, **changes), 2: MESSAGE})


@pytest.mark.parametrize(
    ("other", "line"),
    [
        (VIEW, None),
        (box(uid_validity=8), "INBOX: UIDVALIDITY: Dovecot 7, MAS 8"),
        (box(uid_next=4), "INBOX: UIDNEXT: Dovecot 3, MAS 4"),
        (box(special_use=frozenset()), "INBOX: special use: Dovecot \\junk, MAS none"),
        (box(messages={1: MESSAGE}), "INBOX: uid 2: only Dovecot has this message"),
        (box(messages={1: MESSAGE, 2: MESSAGE, 5: MESSAGE}), "INBOX: uid 5: only MAS has this message"),
        (first(flags=frozenset({"Work"})), "INBOX: uid 1: flags: Dovecot Work \\Seen, MAS Work"),
        (first(flags=frozenset({"\\seen", "WORK"})), None),
        (first(size=101), "INBOX: uid 1: size: Dovecot 100, MAS 101"),
        (first(internal_date=0), "INBOX: uid 1: internal date: Dovecot 14-Nov-2023 22:13:20, MAS 01-Jan-1970 00:00:00"),
        (first(save_date=1_700_000_101), "INBOX: uid 1: save date: Dovecot 14-Nov-2023 22:15:00, MAS 14-Nov-2023 22:15:01"),
        (first(save_date=0), None),
        (first(save_date=None, digest=None), None),
        (first(digest="bb"), "INBOX: uid 1: the content differs"),
        (replace(VIEW, mailboxes={}), "INBOX: only Dovecot has this mailbox"),
        (replace(VIEW, subscriptions=frozenset()), "INBOX: subscribed only in Dovecot"),
        (replace(VIEW, quota=None), None),
        (replace(VIEW, quota={"User quota": {"STORAGE": (11, 1000)}}), "quota 'User quota' STORAGE: Dovecot 10 of 1000, MAS 11 of 1000"),
        (replace(VIEW, quota={}), "quota 'User quota' STORAGE: Dovecot 10 of 1000, MAS none"),
    ],
)  # fmt: skip
def test_differences(other: View, line: str | None) -> None:
    assert list(differences(VIEW, other, NAMES)) == ([line] if line else [])


def test_many_differences_are_counted() -> None:
    many = replace(VIEW, mailboxes={"INBOX": replace(BOX, messages=dict.fromkeys(range(1, 103), MESSAGE))})
    found = list(differences(VIEW, many, NAMES))
    assert len(found) == MAX_LINES + 1
    assert found[-1] == "INBOX: and 50 more differences of messages"


def test_keywords_without_a_letter_are_told_apart() -> None:
    """Keywords beyond the 26 of a Maildir live in one server's index: not a difference, but said."""
    more = replace(MESSAGE, flags=MESSAGE.flags | {"Key27"})
    other = box(messages={1: more, 2: MESSAGE}, letterless=frozenset({"Key27"}))
    assert list(differences(VIEW, other, NAMES)) == []
    (line,) = notes(VIEW, other, NAMES)
    assert line.startswith("INBOX: a Maildir has letters for 26 keywords; 1 messages have others")
    assert list(notes(VIEW, VIEW, NAMES)) == []


def test_a_later_save_date_in_dovecot_is_the_file_s() -> None:
    """Dovecot takes the file's change time for what it did not save itself."""
    (line,) = notes(VIEW, first(save_date=1), NAMES)
    assert line == "INBOX: 1 messages have a later save date in Dovecot: it takes the time of the file's last change"
