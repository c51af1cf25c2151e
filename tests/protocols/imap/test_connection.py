"""Framing, state and continuations of one connection."""

from __future__ import annotations

import pytest

from mas.protocols.imap import commands, responses
from mas.protocols.imap.connection import ImapConnection
from mas.protocols.imap.events import (
    AppendDone,
    BadCommand,
    Closed,
    Continuation,
    Event,
    IdleDone,
    ImapLimits,
    LiteralChunk,
    LiteralOffered,
    SaslResponse,
    State,
)
from mas.protocols.session import Wait
from mas.storage import query
from mas.storage.model import INBOX, SEEN, Flags, MailboxName
from tests.protocols.imap.wire import Driver, events

X = MailboxName("x")
READY = Continuation(b"+ OK\r\n")


def bad(tag: bytes, text: str, *, fatal: bool = False) -> BadCommand:
    return BadCommand(tag, text, fatal=fatal)


FRAMING: list[tuple[str, bytes, list[Event]]] = [
    ("two commands", b"a NOOP\r\nb noop\r\n", [commands.Noop(b"a"), commands.Noop(b"b")]),
    # Deviation: bare LF ends a line, an empty line is no command; both as Dovecot
    ("bare LF", b"a NOOP\n\r\nb NOOP\n", [commands.Noop(b"a"), commands.Noop(b"b")]),
    ("trailing SP", b"a NOOP \r\n", [commands.Noop(b"a")]),
    ("no tag", b"\x01\r\n", [bad(b"*", "Invalid command")]),
    ("tag alone", b"tag\r\n", [bad(b"tag", "Invalid command")]),
    ("tag with plus", b"a+ NOOP\r\n", [bad(b"*", "Invalid command")]),
    ("unknown", b"a XYZZY y\r\n", [bad(b"a", "Unknown command XYZZY")]),
    ("unknown uid", b"a UID noop\r\n", [bad(b"a", "Unknown command UID NOOP")]),
    ("HTTP", b"GET / HTTP/1.0\r\n", [bad(b"GET", "Unknown command /")]),
    (
        "literal in a command",
        b"a SUBSCRIBE {1}\r\nx\r\nb SUBSCRIBE {1+}\r\nx\r\n",
        [READY, commands.Subscribe(b"a", X), commands.Subscribe(b"b", X)],
    ),
    (
        "a literal may hold line ends and braces",
        b"a SEARCH SUBJECT {8+}\r\n{3+}\r\nab\r\n",
        [commands.Search(b"a", False, query.Header("subject", "{3+}\r\nab"))],
    ),
    # The client sees the refusal and does not send the literal
    (
        "unknown command with literal",
        b"a XYZZY {5}\r\nb NOOP\r\n",
        [bad(b"a", "Unknown command XYZZY"), commands.Noop(b"b")],
    ),
    # This one it sends in any case: dropped with the rest of the line, which announces another one
    (
        "unknown command with literals on the way",
        b"a XYZZY {8+}\r\nb NOOP\r\n {8+}\r\nc NOOP\r\n foo\r\nd NOOP\r\n",
        [bad(b"a", "Unknown command XYZZY"), commands.Noop(b"d")],
    ),
    (
        "syntax error behind a literal",
        b"a RENAME {8+}\r\nb NOOP\r\n (\r\nc NOOP\r\n",
        [BadCommand(b"a", "Mailbox name is not valid mUTF-7", no=True, code=responses.CANNOT), commands.Noop(b"c")],
    ),
]


@pytest.mark.parametrize(("data", "expected"), [case[1:] for case in FRAMING], ids=[case[0] for case in FRAMING])
def test_framing(data: bytes, expected: list[Event]) -> None:
    assert events(data) == expected


APPEND: list[tuple[str, bytes, list[Event]]] = [
    (
        "plain",
        b"a APPEND x {3+}\r\nabc\r\n",
        [
            commands.Append(b"a", X),
            LiteralOffered(3, synchronizing=False),
            LiteralChunk(b"abc", True),
            AppendDone(),
        ],
    ),
    (
        "all arguments, synchronizing",
        b'a APPEND inbox (\\Seen kw) "17-Jul-1996 02:44:25 -0700" {2}\r\n\r\n\r\n',
        [
            commands.Append(b"a", INBOX),
            LiteralOffered(2, Flags(SEEN, frozenset({"kw"})), 837596665),
            LiteralChunk(b"\r\n", True),
            AppendDone(),
        ],
    ),
    (
        "mailbox as a literal, empty flags",
        b"a append {1+}\r\nx () {1+}\r\ny\r\n",
        [commands.Append(b"a", X), LiteralOffered(1, synchronizing=False), LiteralChunk(b"y", True), AppendDone()],
    ),
    (
        "several messages [RFC3502 6.3.11]",
        b"a APPEND x {1+}\r\ny (\\Seen) {2+}\r\nzz {0+}\r\n\r\n",
        [
            commands.Append(b"a", X),
            LiteralOffered(1, synchronizing=False),
            LiteralChunk(b"y", True),
            LiteralOffered(2, Flags(SEEN), synchronizing=False),
            LiteralChunk(b"zz", True),
            LiteralOffered(0, synchronizing=False),
            LiteralChunk(b"", True),
            AppendDone(),
        ],
    ),
    (
        "literal8 and UTF8 [RFC6855 4]",
        b"a APPEND x UTF8 (~{1+}\r\ny)\r\nb APPEND x ~{1}\r\n\x00\r\n",
        [
            commands.Append(b"a", X),
            LiteralOffered(1, synchronizing=False, literal8=True, utf8=True),
            LiteralChunk(b"y", True),
            AppendDone(),
            commands.Append(b"b", X),
            LiteralOffered(1, literal8=True),
            LiteralChunk(b"\0", True),
            AppendDone(),
        ],
    ),
    ("no message", b"a APPEND x\r\n", [bad(b"a", "Expected literal")]),
    # The literal of a refused APPEND is never run as commands
    (
        "flags without parentheses",
        b"a APPEND x \\Seen {9+}\r\nb LOGOUT\n\r\n",
        [bad(b"a", "Expected literal")],
    ),
    ("flags without parentheses, synchronizing", b"a APPEND x \\Seen {9}\r\n", [bad(b"a", "Expected literal")]),
    ("bad flag", b"a APPEND x (\\Recent) {8+}\r\nb NOOP\r\n\r\n", [bad(b"a", "Invalid system flag \\Recent")]),
    ("bad date", b'a APPEND x "32-Jan-2020 00:00:00 +0000" {8+}\r\nb NOOP\r\n\r\n', [bad(b"a", "Invalid date-time")]),
    (
        "rubbish behind the message",
        b"a APPEND x {1+}\r\ny zz\r\n",
        [
            commands.Append(b"a", X),
            LiteralOffered(1, synchronizing=False),
            LiteralChunk(b"y", True),
            bad(b"a", "Expected literal"),
        ],
    ),
    (
        "second message with a bad flag",
        b"a APPEND x {1+}\r\ny (\\Foo) {8+}\r\nb NOOP\r\n\r\n",
        [
            commands.Append(b"a", X),
            LiteralOffered(1, synchronizing=False),
            LiteralChunk(b"y", True),
            bad(b"a", "Invalid system flag \\Foo"),
        ],
    ),
]


@pytest.mark.parametrize(("data", "expected"), [case[1:] for case in APPEND], ids=[case[0] for case in APPEND])
def test_append(data: bytes, expected: list[Event]) -> None:
    assert events(data) == expected


def test_refused_append_is_swallowed() -> None:
    data = b"a APPEND x {8+}\r\nb NOOP\r\n (\\Seen) {9+}\r\nc LOGOUT\n\r\n"
    assert events(data, accept=False) == [commands.Append(b"a", X), LiteralOffered(8, synchronizing=False)]


def test_refused_synchronizing_append_does_not_come() -> None:
    assert events(b"a APPEND x {8}\r\n", accept=False) == [commands.Append(b"a", X), LiteralOffered(8)]


def test_command_done_refuses_what_was_not_accepted() -> None:
    imap = ImapConnection()
    imap.state = State.AUTHENTICATED
    imap.receive_data(b"a APPEND x {8+}\r\nb NOOP\r\n\r\nc NOOP\r\n")
    assert imap.next_event() == commands.Append(b"a", X)
    imap.command_done()
    assert imap.next_event() == commands.Noop(b"c")


def test_session_gives_up_in_a_message() -> None:
    imap = ImapConnection()
    imap.state = State.AUTHENTICATED
    imap.receive_data(b"a APPEND x {20+}\r\n0123")
    imap.next_event()
    imap.next_event()
    assert imap.accept_literal() == b""
    assert imap.next_event() == LiteralChunk(b"0123", False)
    imap.command_done()
    imap.receive_data(b"b NOOP\r\n01234567 {2+}\r\nzz\r\nc NOOP\r\n")
    assert imap.next_event() == commands.Noop(b"c")


def test_too_many_append_messages() -> None:
    limits = ImapLimits(max_append_messages=1)
    found = events(b"a APPEND x {1+}\r\ny {8+}\r\nb NOOP\r\n\r\n", limits=limits)
    assert isinstance(found[-1], BadCommand)
    assert (found[-1].no, found[-1].code) == (True, b"LIMIT")


def test_one_command_at_a_time() -> None:
    imap = ImapConnection()
    imap.receive_data(b"a LOGIN u p\r\nb SELECT x\r\n")
    assert imap.next_event() == commands.Login(b"a", b"u", b"p")
    assert imap.next_event() is Wait.NEED_DATA
    assert imap.buffered
    imap.state = State.AUTHENTICATED  # the state is checked when a command is handed out, not when it came
    imap.command_done()
    assert imap.next_event() == commands.Select(b"b", X)


STATES = [
    (b"a SELECT x", State.NOT_AUTHENTICATED, "Please log in first"),
    (b"a LOGIN u p", State.AUTHENTICATED, "Already logged in"),
    (b"a STARTTLS", State.SELECTED, "Already logged in"),
    (b"a FETCH 1 FLAGS", State.AUTHENTICATED, "No mailbox selected"),
    (b"a UID FETCH 1 FLAGS", State.AUTHENTICATED, "No mailbox selected"),
]


@pytest.mark.parametrize(("line", "state", "text"), STATES)
def test_wrong_state(line: bytes, state: State, text: str) -> None:
    assert events(line + b"\r\n", state) == [bad(b"a", text)]


def test_sasl() -> None:
    driver = Driver(State.NOT_AUTHENTICATED)
    driver.feed(
        b"a AUTHENTICATE plain\r\nAHUAcA==\r\nb AUTHENTICATE PLAIN AHUAcA==\r\n*\r\nc AUTHENTICATE PLAIN =\r\n!\r\n"
    )
    assert driver.events == [
        commands.Authenticate(b"a", "PLAIN"),
        SaslResponse(b"\0u\0p"),
        commands.Authenticate(b"b", "PLAIN", b"\0u\0p"),
        SaslResponse(None),
        commands.Authenticate(b"c", "PLAIN", b""),
        bad(b"c", "Invalid base64 data in SASL response"),
    ]
    assert driver.written == b"+ \r\n" * 3


def test_secrets_are_not_shown() -> None:
    driver = Driver(State.NOT_AUTHENTICATED)
    driver.feed(b"a LOGIN u hunter2\r\nb AUTHENTICATE X aHVudGVyMg==\r\naHVudGVyMg==\r\n")
    assert "hunter2" not in repr(driver.events)


def test_idle() -> None:
    assert events(b"a IDLE\r\ndone\r\nb NOOP\r\n") == [commands.Idle(b"a"), IdleDone(), commands.Noop(b"b")]
    # Another command ends IDLE with an error, and its literal is not run
    assert events(b"a IDLE\r\nb APPEND x {8+}\r\nc NOOP\r\n\r\n") == [commands.Idle(b"a"), bad(b"a", "Expected DONE")]


def test_end_of_stream() -> None:
    for data, mid_command in ((b"", False), (b"a NOOP\r\n", False), (b"a NO", True), (b"a SUBSCRIBE {3+}\r\n", True)):
        driver = Driver()
        driver.feed(data)
        driver.feed(b"")
        assert driver.events[-1] == Closed(mid_command)
        assert driver.imap.next_event() is Wait.NEED_DATA
    driver = Driver()
    driver.feed(b"a IDLE\r\n")
    driver.feed(b"")
    assert driver.events[-1] == Closed(True)


def test_discarded_input() -> None:
    imap = ImapConnection()
    imap.receive_data(b"a STARTTLS\r\nb LOGIN u p\r\n")
    assert imap.next_event() == commands.StartTls(b"a")
    assert imap.buffered
    imap.discard_input()
    imap.command_done()
    assert not len(imap._buffer)
    assert imap.next_event() is Wait.NEED_DATA


SMALL = ImapLimits(max_line=40, max_literal=20, max_literal_before_login=10)


def test_line_limit() -> None:
    longest = b"a SUBSCRIBE " + b"x" * 28
    assert events(longest + b"\r\n", limits=SMALL) == [commands.Subscribe(b"a", MailboxName("x" * 28))]
    found = events(longest + b"x\r\nb NOOP\r\n", limits=SMALL)
    assert found == [bad(b"a", "Line is longer than 40 octets (imap.max_line)"), commands.Noop(b"b")]
    # The dropped line announces a literal, which comes
    found = events(b"a SEARCH TEXT " + b"x" * 500 + b" {8+}\r\nc NOOP\r\n\r\nb NOOP\r\n", limits=SMALL)
    assert found == [bad(b"a", "Line is longer than 40 octets (imap.max_line)"), commands.Noop(b"b")]


def test_literal_limits() -> None:
    def too_big(tag: bytes, size: int, key: str, fatal: bool = False) -> BadCommand:
        return BadCommand(tag, f"Literals are longer than {size} octets (imap.{key})", True, responses.TOOBIG, fatal)

    # synchronizing: no continuation request, so it does not come
    assert events(b"a SUBSCRIBE {21}\r\n", limits=SMALL) == [too_big(b"a", 20, "max_literal")]
    # non-synchronizing: swallowed
    data = b"a SUBSCRIBE {21+}\r\n" + b"b NOOP\r\n" * 2 + b"12345\r\n"
    assert events(data, limits=SMALL) == [too_big(b"a", 20, "max_literal")]
    # before login: less, and no waiting for more
    before = State.NOT_AUTHENTICATED
    assert events(b"a LOGIN {11}\r\n", before, limits=SMALL) == [too_big(b"a", 10, "max_literal_before_login")]
    driver = Driver(before, limits=SMALL)
    driver.feed(b"a LOGIN {11+}\r\n")
    assert driver.events == [too_big(b"a", 10, "max_literal_before_login", fatal=True)]
    # absurd
    driver = Driver(limits=SMALL)
    driver.feed(b"a SUBSCRIBE {%d+}\r\n" % 10**19)
    assert isinstance(driver.events[0], BadCommand)
    assert driver.events[0].fatal


def test_literals_of_one_command_together() -> None:
    """Many small literals are limited as one large one is."""
    driver = Driver(limits=SMALL)
    driver.feed(b"a SEARCH" + b" TEXT {5+}\r\nabcde" * 100 + b"\r\nb NOOP\r\n")
    assert isinstance(driver.events[0], BadCommand)
    assert driver.events[0].code == b"TOOBIG"
    assert driver.events[1:] == [commands.Noop(b"b")]


def test_many_bad_commands() -> None:
    driver = Driver(limits=ImapLimits(max_bad_commands=3))
    driver.feed(b"a X\r\nb X\r\nc NOOP\r\nd X\r\ne X\r\nf X\r\n")
    fatal = [event.fatal for event in driver.events if isinstance(event, BadCommand)]
    assert fatal == [False, False, False, False, True]


def test_long_line_octet_by_octet() -> None:
    driver = Driver(limits=ImapLimits(max_line=70_000))
    driver.feed(b"a SUBSCRIBE ")
    for _ in range(65_000):
        driver.imap.receive_data(b"x")
        assert driver.imap.next_event() is Wait.NEED_DATA
    driver.feed(b"\r\n")
    assert isinstance(driver.events[0], BadCommand)
    assert driver.events[0].code == b"LIMIT"  # imap.max_mailbox_name


CONTINUATIONS = [
    (b"a IDLE\r\n", State.SELECTED, "Expected DONE"),
    (b"a AUTHENTICATE PLAIN\r\n", State.NOT_AUTHENTICATED, "SASL response is too long (imap.max_line)"),
    (b"a APPEND x {1+}\r\ny", State.SELECTED, "Line is longer than 40 octets (imap.max_line)"),
]


@pytest.mark.parametrize(("data", "state", "text"), CONTINUATIONS)
def test_long_line_where_a_continuation_was_due(data: bytes, state: State, text: str) -> None:
    found = events(data + b"x" * 100 + b" {8+}\r\nc NOOP\r\n\r\nb NOOP\r\n", state, limits=SMALL)
    assert found[-2:] == [bad(b"a", text), commands.Noop(b"b")]


def test_refused_literals_before_they_are_read() -> None:
    assert events(b"a LOGIN ~{3+}\r\nx\r\n\r\nb NOOP\r\n", State.NOT_AUTHENTICATED) == [
        bad(b"a", "Literal8 is not allowed here"),
        commands.Noop(b"b"),
    ]
