"""Scripts of users at IMAP events: which one runs, between which others, and who hears of its mistakes [RFC6785 2.3.1]."""

from __future__ import annotations

from pathlib import Path

import pytest

from mas.filtering.imap_events import SCRIPT
from mas.filtering.imap_rules import Rules
from mas.storage.model import MailboxName
from tests.filtering.test_imap_events import ALL, Host, flags

WORK, SERVER = MailboxName("Work"), MailboxName("")


@pytest.fixture
async def host(tmp_path: Path) -> Host:
    host = Host(tmp_path, imapsieve_url="sieve://mail.example.net", dir=f"{tmp_path}/scripts", user_log="~/log")
    (tmp_path / "scripts").mkdir()
    await host.store.account(host.user).create(WORK)
    return host


async def name(host: Host, mailbox: MailboxName, script: bytes | None) -> None:
    await host.store.account(host.user).set_metadata(mailbox, {SCRIPT: script})


def write(host: Host, script: str, text: str) -> None:
    (host.tmp_path / "scripts" / f"{script}.sieve").write_text(ALL.replace(', "vnd.dovecot.pipe"', "") + text)


@pytest.mark.parametrize(
    ("mailbox", "server", "ran"),
    [
        (None, None, ""),
        (b"one", None, "one"),
        (None, b"two", "two"),
        (b"one", b"two", "one"),
        (b"", b"two", ""),  # the mailbox's is chosen before it is looked at
        (b"nosuch", b"two", ""),
        (b"../scripts/one", b"two", ""),
        (b"\xff", b"two", ""),
    ],
)
async def test_which(host: Host, mailbox: bytes | None, server: bytes | None, ran: str) -> None:
    for script in ("one", "two"):
        write(host, script, f'addflag "{script}";')
    await name(host, WORK, mailbox)
    await name(host, SERVER, server)
    await host.run()
    assert flags(host)["Work"] == [ran]


async def test_who_waits(host: Host) -> None:
    """Nothing is noted for a mailbox without a script; flag changes are looked at."""
    host.events = type(host.events)(host.events._filter, Rules([]))
    assert host.events.flags_wanted
    await name(host, WORK, b"one")
    await name(host, MailboxName("INBOX"), b"")
    write(host, "one", 'addflag "x";')
    await host.run()
    assert flags(host)["Work"] == ["x"]
    with pytest.raises(AssertionError, match="nobody wants"):
        await host.run(mailbox="INBOX")
    host.events._users = False
    with pytest.raises(AssertionError, match="nobody wants"):
        await host.run()


async def test_order(host: Host) -> None:
    await name(host, WORK, b"one")
    write(host, "one", 'if hasflag "before" { addflag "user"; }')
    await host.run('addflag "before";', 'if hasflag "user" { addflag "after"; }')
    assert flags(host)["Work"] == ["after before user"]
    write(host, "one", "discard;")
    await host.run('addflag "before";', 'addflag "after";')
    assert flags(host)["Work"][1] == "D"
    await host.run("discard;", 'addflag "after";')
    assert flags(host)["Work"][2] == "D"


@pytest.mark.parametrize("text", ['error "on purpose";', 'vacation "no mail arrives here";', "nonsense"])
async def test_mistakes(host: Host, text: str) -> None:
    await name(host, WORK, b"one")
    write(host, "one", f'require ["vacation"]; {text}')
    await host.run('addflag "before";')
    # A script that compiles and fails takes all back, one that does not compile is passed over.
    assert flags(host)["Work"] == ["before" if text == "nonsense" else ""]
    assert "one" in (host.tmp_path / "log").read_text()
    (host.tmp_path / "log").unlink()
    write(host, "one", "keep;")
    await host.run('error "the administrator";')
    assert not (host.tmp_path / "log").exists()
