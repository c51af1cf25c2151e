"""QRESYNC while others are at it: what happens between two awaits of one command.  [RFC7162]"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from mas.storage.model import Modseq, Resync
from mas.storage.store import MaildirStore
from mas.user import User
from tests.storage.conftest import config as storage_config
from tests.support.imap_in_process import USER, InProcessClient, InProcessHost
from tests.support.memory_store import MemorySelection


@pytest.fixture
async def host() -> AsyncIterator[InProcessHost]:
    made = InProcessHost()
    for _ in range(5):
        await made.deliver("INBOX")
    yield made
    await made.close()


async def connected(host: InProcessHost, number: int) -> InProcessClient:
    client = await host.connect(number)
    assert isinstance(client, InProcessClient)
    await host.login(client)
    await client.settle()
    client.read = len(client.channel.output)
    await client.command("e ENABLE QRESYNC")
    return client


def number_after(lines: Sequence[str], word: str) -> int:
    [line] = [line for line in lines if f"[{word} " in line]
    return int(line.partition(f"[{word} ")[2].partition("]")[0])


@pytest.fixture
def meanwhile(host: InProcessHost, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Events that happen in the store while it looks up what vanished, as they do in the Maildir store's threads."""
    waiting: list[list[str]] = []
    original = MemorySelection.resync

    async def resync(self: MemorySelection, since: Modseq, known: Sequence[tuple[int, int]] | None) -> Resync:
        while waiting:
            await host.event(waiting.pop(0))
        return await original(self, since, known)

    monkeypatch.setattr(MemorySelection, "resync", resync)
    return waiting


async def test_an_expunge_while_select_looks_up_is_told_once(host: InProcessHost, meanwhile: list[list[str]]) -> None:
    """It was among the EXISTS of this SELECT, so it goes by VANISHED without EARLIER; numbers of messages behind it are those before."""
    client = await connected(host, 1)
    lines = await client.command("s SELECT INBOX")
    validity, highest = number_after(lines, "UIDVALIDITY"), number_after(lines, "HIGHESTMODSEQ")
    await client.command("c UNSELECT")
    await host.event(["flag", "INBOX", "4", "\\Seen"])
    meanwhile.append(["expunge", "INBOX", "2"])
    lines = await client.command(f"s SELECT INBOX (QRESYNC ({validity} {highest} 1:5))")
    told = [line for line in lines if "VANISHED" in line or "FETCH" in line or "EXISTS" in line]
    assert told[0] == "* 5 EXISTS"
    assert told[1].startswith("* 4 FETCH (UID 4 ")
    assert told[-1] == "* VANISHED 2"
    assert not any("EARLIER" in line for line in told)


async def test_an_expunge_while_fetch_looks_up_is_told_once(host: InProcessHost, meanwhile: list[list[str]]) -> None:
    client = await connected(host, 1)
    highest = number_after(await client.command("s SELECT INBOX"), "HIGHESTMODSEQ")
    meanwhile.append(["expunge", "INBOX", "2"])
    lines = await client.command(f"f UID FETCH 1:5 (FLAGS) (CHANGEDSINCE {highest} VANISHED)")
    assert [line for line in lines if "VANISHED" in line] == ["* VANISHED 2"]


@pytest.mark.parametrize(
    "stored", ["STORE 4:5 (UNCHANGEDSINCE {since}) +FLAGS.SILENT (\\Flagged)", "STORE 2,5 +FLAGS (x)"]
)
async def test_a_client_never_thinks_that_it_heard_of_a_waiting_expunge(host: InProcessHost, stored: str) -> None:
    """The tagged line has another code, so HIGHESTMODSEQ comes before it: below the expunge, although more was told [RFC7162 6]."""
    client = await connected(host, 1)
    since = number_after(await client.command("s SELECT INBOX"), "HIGHESTMODSEQ")
    await host.event(["flag", "INBOX", "4", "\\Seen"])
    await client.command("n NOOP")
    await host.event(["expunge", "INBOX", "2"])
    lines = await client.command("t " + stored.format(since=since))
    assert "[MODIFIED 4]" in lines[-1] or "[EXPUNGEISSUED]" in lines[-1]
    told = number_after(lines, "HIGHESTMODSEQ")
    assert not any("VANISHED" in line for line in lines)
    validity_lines = await client.command("u UNSELECT")
    assert validity_lines
    lines = await client.command(f"s SELECT INBOX (QRESYNC (1 {told}))")
    validity = number_after(lines, "UIDVALIDITY")
    lines = await client.command(f"s SELECT INBOX (QRESYNC ({validity} {told}))")
    assert "* VANISHED (EARLIER) 2" in lines


@pytest.mark.parametrize("known", ["", " 3,7:4000000000", " 2,4"])
async def test_a_mailbox_that_has_had_very_many_messages(known: str, tmp_path: Path) -> None:
    """What vanished before the index remembers is told as ranges: nobody counts to four thousand millions."""
    cur = tmp_path / "kim/Maildir/cur"
    cur.mkdir(parents=True)
    for uid in (5, 3_999_999_990):
        (cur / f"{uid}.M1P1.host:2,S").write_bytes(b"Subject: x\r\n\r\nx\r\n")
    (tmp_path / "kim/Maildir/dovecot-uidlist").write_text(
        "3 V1234567 N4000000000\n5 :5.M1P1.host\n3999999990 :3999999990.M1P1.host\n"
    )
    user = User(USER, tmp_path / "kim", f"maildir:{tmp_path}/kim/Maildir")
    host = InProcessHost(MaildirStore(storage_config(tmp_path)), user=user)
    client = await connected(host, 1)
    lines = await client.command(f"s SELECT INBOX (QRESYNC (1234567 1{known}))")
    told = {
        "": "1:4,6:3999999989,3999999991:3999999999",
        " 3,7:4000000000": "3,7:3999999989,3999999991:3999999999",
        " 2,4": "2,4",
    }
    assert f"* VANISHED (EARLIER) {told[known]}" in lines
    assert lines[-1].startswith("s OK")
    lines = await client.command("f UID FETCH 6:10 (FLAGS) (CHANGEDSINCE 1 VANISHED)")
    assert lines[0] == "* VANISHED (EARLIER) 6:10"
    await host.close()
    await host.store.close()
