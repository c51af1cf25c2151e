"""What scripts cannot show: writes, logs, streams, limits of the session."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from mas.config import Config
from mas.protocols.imap.connection import ImapConnection
from mas.protocols.imap.handlers import HANDLERS
from mas.protocols.imap.state import RECENT, FlagTexts
from mas.storage.model import KEYWORD_SHIFT, MailboxName
from tests.support.builders import message
from tests.support.imap_in_process import PASSWORD, USER, InProcessClient, InProcessHost
from tests.support.memory_store import MemoryOctets, MemoryStore

LARGE = message(1, text="x" * 200_000)


@pytest.fixture
async def host() -> AsyncIterator[InProcessHost]:
    made = InProcessHost()
    yield made
    await made.close()


async def logged_in(host: InProcessHost, number: int = 1, *, select: str = "") -> InProcessClient:
    client = await host.connect(number)
    assert isinstance(client, InProcessClient)
    await host.login(client)
    if select:
        assert (await client.command(f"s SELECT {select}"))[-1].startswith("s OK")
    client.channel.writes.clear()
    return client


def with_imap(config: Config, **settings: int) -> Config:
    return config.model_copy(update={"imap": config.imap.model_copy(update=settings)})


async def test_idle_sends_each_update_as_one_write(host: InProcessHost) -> None:
    """A line in two TLS records breaks IMAPClient's reader."""
    client = await logged_in(host, select="INBOX")
    await client.command("i IDLE")
    client.channel.writes.clear()
    await host.deliver("INBOX")
    await client.settle()
    assert client.channel.writes == [b"* 1 EXISTS\r\n* 1 RECENT\r\n"]


async def test_idle_leaves_no_watcher_behind(host: InProcessHost) -> None:
    client = await logged_in(host, select="INBOX")
    await client.command("i IDLE")
    assert (await client.command("DONE"))[-1].startswith("i OK")
    await host.deliver("INBOX")
    assert not client.channel._woken


async def test_idle_ends_at_the_timeout(host: InProcessHost) -> None:
    host.config = with_imap(host.config, idle_timeout=0)
    client = await logged_in(host, select="INBOX")
    await client.send(b"i IDLE\r\n")
    await client.settle()
    client.channel.time_out()
    lines = await client.settle()
    assert lines[-1].startswith(b"* BYE")


async def test_idle_tells_mas_who(host: InProcessHost) -> None:
    client = await logged_in(host, select="INBOX")
    assert host.sessions.states["session1"] == "INBOX"
    await client.command("i IDLE")
    assert host.sessions.states["session1"] == "INBOX IDLE"
    await client.command("DONE")
    assert host.sessions.states["session1"] == "INBOX"


async def test_large_section_comes_whole_and_in_pieces(host: InProcessHost) -> None:
    await host.deliver("INBOX", octets=LARGE)
    client = await logged_in(host, select="INBOX")
    await client.send(b"f FETCH 1 (UID BODY.PEEK[])\r\n")
    await client.settle()
    head = b"* 1 FETCH (UID 1 BODY[] {%d}\r\n" % len(LARGE)
    assert bytes(client.channel.output[client.read :]) == head + LARGE + b")\r\nf OK Fetch completed.\r\n"
    assert max(len(data) for data in client.channel.writes) <= 70_000


@pytest.mark.parametrize(
    ("first", "count"), [(0, 10), (65530, 20), (150_000, 70_000), (199_990, 1_000_000), (10**9, 5)]
)
async def test_partial_of_a_large_section(host: InProcessHost, first: int, count: int) -> None:
    await host.deliver("INBOX", octets=LARGE)
    client = await logged_in(host, select="INBOX")
    await client.send(b"f FETCH 1 BODY.PEEK[]<%d.%d>\r\n" % (first, count))
    await client.settle()
    want = LARGE[first : first + count]
    value = b"{%d}\r\n%s" % (len(want), want)
    answer = bytes(client.channel.output[client.read :])
    assert answer == b"* 1 FETCH (BODY[]<%d> %s)\r\nf OK Fetch completed.\r\n" % (first, value)


async def test_file_that_ends_early_ends_the_connection(host: InProcessHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """The literal is announced and cannot be completed: anything else said would be read as mail."""
    await host.deliver("INBOX", octets=LARGE)
    client = await logged_in(host, select="INBOX")

    async def short(self: MemoryOctets, start: int = 0) -> AsyncIterator[bytes]:
        yield self.octets[:1000]

    monkeypatch.setattr(MemoryOctets, "chunks", short)
    await client.send(b"f FETCH 1 BODY.PEEK[]\r\n")
    await client.settle()
    assert client.task.done()
    assert client.channel.output.endswith(b"x" * 100)


async def test_a_bug_is_one_log_line_with_the_session_and_no_secret(host: InProcessHost) -> None:
    assert isinstance(host.store, MemoryStore)
    client = await host.connect(7)
    assert isinstance(client, InProcessClient)
    await client.line()
    host.store.fail = ZeroDivisionError("a bug")
    with capture_logs() as logs:
        lines = await client.command(f"a LOGIN {USER} {PASSWORD}")
    assert lines == ["a NO [SERVERBUG] Internal error occurred. Refer to server log for more information."]
    errors = [entry for entry in logs if entry["log_level"] == "error"]
    assert len(errors) == 1
    assert errors[0]["session"] == "session7"
    assert PASSWORD not in repr(errors)
    host.store.fail = None
    assert (await client.command(f"b LOGIN {USER} {PASSWORD}"))[-1].startswith("b OK")


async def test_failed_login_is_logged_as_fail2ban_reads_it(host: InProcessHost) -> None:
    client = await host.connect(1)
    assert isinstance(client, InProcessClient)
    await client.command("a LOGIN mallory@example.net guess")
    with capture_logs() as logs:
        await client.close()
    line = logs[-1]["event"]
    assert "auth failed, 1 attempts in" in line
    assert "user=<mallory@example.net>, method=PLAIN, rip=192.0.2.1, lip=192.0.2.2, TLS, session=<session1>" in line
    assert "guess" not in line


async def test_the_end_is_one_line_with_octets_and_the_client(host: InProcessHost) -> None:
    client = await logged_in(host)
    await client.command('i ID ("version" "12.1" "os" NIL "name" "Mail\x07Reader")')
    received = client.channel.received
    with capture_logs() as logs:
        await client.close()
    (line,) = logs
    assert (line["event"], line["client"]) == ("disconnected", "Mail\x07Reader 12.1")
    assert (line["received"], line["sent"]) == (received, len(client.channel.output))


async def test_a_bug_in_the_wire_code_is_no_silence(host: InProcessHost, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await logged_in(host)

    def broken(_: object) -> None:
        raise LookupError("a bug")

    monkeypatch.setattr(ImapConnection, "next_event", broken)
    await client.send(b"a NOOP\r\n")
    with pytest.raises(LookupError, match="a bug"):
        await client.task
    host.clients.clear()  # it is known what this one died of
    client.channel.flush()
    assert client.channel.output.endswith(b"* BYE Internal error occurred.\r\n")


async def test_commands_before_login_are_limited(host: InProcessHost) -> None:
    host.config = with_imap(host.config, max_commands_before_login=3)
    client = await host.connect(1)
    assert isinstance(client, InProcessClient)
    await client.line()
    for _ in range(3):
        assert (await client.command("a NOOP")) == ["a OK NOOP completed."]
    assert "imap.max_commands_before_login" in (await client.command("a NOOP"))[-1]
    assert client.task.done()


async def test_a_client_that_hangs_up_leaves_its_mailbox(host: InProcessHost) -> None:
    assert isinstance(host.store, MemoryStore)
    client = await logged_in(host, select="INBOX")
    box = host.store.account(host.user).mailbox(MailboxName("INBOX"))
    assert len(box.selections) == 1
    await client.close()
    assert box.selections == []


async def test_hanging_up_inside_an_append_saves_nothing(host: InProcessHost) -> None:
    assert isinstance(host.store, MemoryStore)
    client = await logged_in(host)
    await client.send(b"a APPEND INBOX {100+}\r\nSubject: half")
    await client.settle()
    await client.close()
    assert not host.store.account(host.user).mailbox(MailboxName("INBOX")).messages


async def test_a_torn_view_ends_the_session(host: InProcessHost) -> None:
    client = await logged_in(host, select="INBOX")
    assert client.session.view is not None
    client.session.view.torn = True
    lines = await client.command("a NOOP")
    assert lines[0].startswith("a OK")
    assert lines[1].startswith("* BYE")


def test_every_command_has_a_handler() -> None:
    from mas.protocols.imap import commands

    made = {kind for kind in vars(commands).values() if isinstance(kind, type) and issubclass(kind, commands.Command)}
    assert set(HANDLERS) == made - {commands.Command}


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (0, b""),
        (8, b"\\Seen"),
        (1 | 2 | 4 | 8 | 16, b"\\Answered \\Flagged \\Deleted \\Seen \\Draft"),
        (1 << KEYWORD_SHIFT, b"$Junk"),
        (8 | 2 << KEYWORD_SHIFT | RECENT, b"\\Seen Work \\Recent"),
        (RECENT, b"\\Recent"),
    ],
)
def test_flag_texts(flags: int, expected: bytes) -> None:
    assert FlagTexts(["$Junk", "Work"])[flags] == expected


def test_flag_texts_of_a_keyword_that_came_later() -> None:
    keywords = ["$Junk"]
    texts = FlagTexts(keywords)
    assert texts[1 << KEYWORD_SHIFT] == b"$Junk"
    keywords.append("Work")
    assert texts[3 << KEYWORD_SHIFT] == b"$Junk Work"


LINE_ENDS = [
    (b"a APPEND INBOX {9+}\r\nA: b\n\nc\r\n", b"{11}\r\nA: b\r\n\r\nc\r\n"),
    (b"a APPEND INBOX ~{9+}\r\nA: b\n\nc\r\n", b"{9}\r\nA: b\n\nc\r\n"),
    (b"a APPEND INBOX UTF8 (~{9+}\r\nA: b\n\nc\r\n)", b"{11}\r\nA: b\r\n\r\nc\r\n"),
]


@pytest.mark.parametrize(("append", "literal"), LINE_ENDS)
async def test_a_script_appends_with_bare_line_feeds(host: InProcessHost, append: bytes, literal: bytes) -> None:
    """Only octets of a literal8 are kept as they are: they may be binary [RFC3516 4.3]."""
    client = await logged_in(host)
    if b"UTF8" in append:
        await client.command("e ENABLE UTF8=ACCEPT")
    await client.send(append + b"\r\n")
    await client.settle()
    assert (await client.command("s SELECT INBOX"))[-1].startswith("s OK")
    start = len(client.channel.output)
    await client.command("f FETCH * BODY.PEEK[]")
    assert b" " + literal + b")\r\n" in client.channel.output[start:]
