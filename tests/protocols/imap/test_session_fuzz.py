"""Two clients do anything, in any order, on one mailbox: no handler has a bug, and what each client was told is what the mailbox is."""

from __future__ import annotations

import asyncio
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mas.storage.model import MailboxName
from tests.support.imap_in_process import InProcessClient, InProcessHost
from tests.support.memory_store import MemoryStore

pytestmark = pytest.mark.slow

NUMBERS = st.sampled_from(["1", "2", "1:3", "2:*", "*", "1:*", "$", "1,3", "3:1", "7", "2,4:5"])
FLAGS = st.sampled_from(["(\\Deleted)", "(\\Seen \\Flagged)", "($Work)", "()", "\\Answered"])
ITEMS = st.sampled_from(
    [
        "(FLAGS)",
        "(UID FLAGS MODSEQ)",
        "ALL",
        "FULL",
        "BODY[]",
        "(BODY.PEEK[TEXT]<3.5> RFC822.SIZE)",
        "(BODY.PEEK[HEADER.FIELDS (SUBJECT TO)] ENVELOPE)",
        "(BINARY.PEEK[1] BINARY.SIZE[1])",
        "(BODY[HEADER] BODY.PEEK[2.MIME] UID)",
        "(FLAGS) (CHANGEDSINCE 3)",
        "(FLAGS) (CHANGEDSINCE 3 VANISHED)",
        "(EMAILID THREADID SAVEDATE INTERNALDATE)",
    ]
)
KEYS = st.sampled_from(
    [
        "ALL",
        "1:2",
        "$",
        "UNSEEN",
        "NOT DELETED",
        "OR SEEN UID 1:3",
        "MODSEQ 4",
        "TEXT 3",
        "SUBJECT x",
        "NEW",
        "LARGER 9 $",
    ]
)
RETURNS = st.sampled_from(["", "RETURN () ", "RETURN (SAVE) ", "RETURN (MIN MAX) ", "RETURN (SAVE MIN COUNT) "])
UID = st.sampled_from(["", "UID "])
COMMANDS = st.one_of(
    st.sampled_from(
        [
            "SELECT INBOX",
            "SELECT INBOX (CONDSTORE)",
            "EXAMINE INBOX",
            "SELECT Other",
            "SELECT INBOX (QRESYNC (1700000001 2))",
            "NOOP",
            "CHECK",
            "EXPUNGE",
            "CLOSE",
            "UNSELECT",
            "ENABLE QRESYNC",
            "ENABLE CONDSTORE",
            "ENABLE IMAP4rev2",
            "STATUS INBOX (MESSAGES HIGHESTMODSEQ)",
            'LIST "" * RETURN (STATUS (UNSEEN) SUBSCRIBED)',
            "DELETE Other",
            "CREATE Other",
            "RENAME Other Third",
            "GETQUOTAROOT INBOX",
            "IDLE\r\nDONE",
            "APPEND INBOX {16+}\r\nSubject: x\r\n\r\nhi",
        ]
    ),
    st.builds("{}FETCH {} {}".format, UID, NUMBERS, ITEMS),
    st.builds("{}STORE {} {} {}".format, UID, NUMBERS, st.sampled_from(["FLAGS", "+FLAGS", "-FLAGS.SILENT"]), FLAGS),
    st.builds("{}STORE {} (UNCHANGEDSINCE 5) +FLAGS.SILENT {}".format, UID, NUMBERS, FLAGS),
    st.builds(
        "{}{} {} {}".format, UID, st.sampled_from(["COPY", "MOVE"]), NUMBERS, st.sampled_from(["INBOX", "Other"])
    ),
    st.builds("{}SEARCH {}{}".format, UID, RETURNS, KEYS),
    st.builds("UID EXPUNGE {}".format, NUMBERS),
)


class Told:
    """What one client knows of its mailbox, from the lines that it was sent alone."""

    def __init__(self) -> None:
        self.count = 0
        self.selected = False

    def read(self, lines: list[str]) -> None:
        for line in lines:
            if found := re.match(r"\* (\d+) (EXISTS|EXPUNGE|FETCH)", line):
                number = int(found[1])
                if found[2] == "EXISTS":
                    self.count = number
                elif found[2] == "EXPUNGE":
                    assert 1 <= number <= self.count, line
                    self.count -= 1
                else:
                    assert 1 <= number <= self.count, line
            elif found := re.match(r"\* VANISHED ([\d:,]+)", line):
                for part in found[1].split(","):
                    low, _, high = part.partition(":")
                    self.count -= int(high or low) - int(low) + 1


async def converse(acts: list[tuple[int, str]]) -> None:
    host = InProcessHost()
    assert isinstance(host.store, MemoryStore)
    account = host.store.account(host.user)
    await account.create(MailboxName("Other"))
    for _ in range(4):
        await host.deliver("INBOX")
    clients, told = [], []
    for number in (1, 2):
        client = await host.connect(number)
        assert isinstance(client, InProcessClient)
        await host.login(client)
        clients.append(client)
        told.append(Told())
        told[-1].read(await client.command("s SELECT INBOX"))
    for which, text in acts:
        client = clients[which]
        if client.task.done():
            continue  # its mailbox was deleted under it
        lines = await client.command(f"t {text}")
        told[which].read(lines)
        assert not any("SERVERBUG" in line for line in lines), lines
        tagged = [line for line in lines if line.startswith("t ")]
        assert len(tagged) == 1, lines
        by_number = re.match(r"(FETCH|STORE|SEARCH) ", text)
        assert not (by_number and any(re.match(r"\* (\d+ EXPUNGE|VANISHED \d)", line) for line in lines)), lines
    for client, known in zip(clients, told, strict=True):
        if client.task.done() or client.session.view is None:
            continue
        known.read(await client.command("z NOOP"))
        assert client.session.view is not None
        assert known.count == client.session.view.exists == len(client.session.view.snapshot.uids)
    await host.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, 1), COMMANDS), max_size=25))
def test_any_conversation(acts: list[tuple[int, str]]) -> None:
    asyncio.run(converse(acts))
