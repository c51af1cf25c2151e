"""What the handlers tell listeners: copies, appends, and which flags have changed; and that nobody is asked when nobody listens."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest

from mas.storage.interface import Account, Selection
from mas.storage.model import Copied, FlagChange, MailboxName, Saved
from tests.support.imap_in_process import PASSWORD, USER, InProcessClient, InProcessHost


class Events:
    """Writes down what it is told."""

    def __init__(self, flags_wanted: bool) -> None:
        self.flags_wanted = flags_wanted
        self.told: list[Any] = []

    async def copied(
        self, account: Account, source: Selection, target: MailboxName, copied: Copied, *, moved: bool
    ) -> None:
        self.told.append(("copied", source.name, target, list(copied.source), list(copied.target), moved))

    async def appended(self, account: Account, mailbox: MailboxName, saved: Saved) -> None:
        self.told.append(("appended", mailbox, list(saved.uids)))

    async def flags_changed(
        self, account: Account, mailbox: MailboxName, uid_validity: int, changed: Sequence[FlagChange]
    ) -> None:
        self.told.append(("flags", mailbox, [(one.uid, one.changed, one.flags) for one in changed]))


async def conversation(flags_wanted: bool) -> list[Any]:
    events = Events(flags_wanted)
    host = InProcessHost()
    client = InProcessClient(dataclasses.replace(host.services, events=events), 1)
    for number, command in enumerate(
        (
            f"LOGIN {USER} {PASSWORD}",
            "CREATE Junk",
            "APPEND INBOX {6+}\r\nA: 1\r\n",
            "APPEND INBOX (\\Flagged) {6+}\r\nA: 2\r\n",
            "SELECT INBOX",
            "STORE 1:2 +FLAGS (\\Flagged $a)",
            "STORE 1 -FLAGS.SILENT (\\Answered $a)",
            "STORE 1 -FLAGS.SILENT $a",
            "FETCH 1 BODY[]",
            "FETCH 1 BODY[]",
            "COPY 1 Junk",
            "UID MOVE 2 Junk",
            "UID MOVE 99 Junk",
        )
    ):
        assert (await client.command(f"a{number} {command}"))[-1].startswith(f"a{number} OK"), command
    await client.close()
    await host.close()
    return events.told


@pytest.mark.parametrize("flags_wanted", [True, False])
async def test_what_is_told(flags_wanted: bool) -> None:
    told = await conversation(flags_wanted)
    assert [one for one in told if one[0] != "flags"] == [
        ("appended", "INBOX", [1]),
        ("appended", "INBOX", [2]),
        ("copied", "INBOX", "Junk", [1], [1], False),
        ("copied", "INBOX", "Junk", [2], [2], True),
    ]
    flags = [one[2] for one in told if one[0] == "flags"]
    assert flags == (
        [
            [(1, ("\\Flagged", "$a"), ("\\Flagged", "$a")), (2, ("$a",), ("\\Flagged", "$a"))],
            [(1, ("$a",), ("\\Flagged",))],
            [(1, ("\\Seen",), ("\\Flagged", "\\Seen"))],
        ]
        if flags_wanted
        else []
    )
