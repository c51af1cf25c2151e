"""The commands' own arguments: octets to values, each fed whole, octet by octet and with another command behind it."""

from __future__ import annotations

import pytest

from mas.protocols.imap import commands
from mas.protocols.imap.commands import Command, Qresync, StatusItem
from mas.protocols.imap.events import BadCommand, State
from mas.protocols.imap.numset import SAVED, SequenceSet
from mas.protocols.imap.parse_command import COMMANDS, holds_expunge
from mas.storage.model import INBOX, MailboxName
from tests.protocols.imap.wire import Driver, command

T = b"a"
X = MailboxName("x")


def numbers(*ranges: tuple[int, int]) -> SequenceSet:
    return SequenceSet(ranges)


BEFORE: list[tuple[bytes, Command]] = [
    (b"a CAPABILITY", commands.Capability(T)),
    (b"a noop", commands.Noop(T)),
    (b"a NOOP x y", commands.Noop(T)),  # Deviation: as Dovecot
    (b"a  NOOP", commands.Noop(T)),
    (b"a LOGOUT", commands.Logout(T)),
    (b"a StartTLS", commands.StartTls(T)),
    (b"a ID NIL", commands.Id(T, ())),
    (b"a ID ()", commands.Id(T, ())),
    (b'a ID ("Name" "x" "version" NIL)', commands.Id(T, (("name", "x"), ("version", None)))),
    (b'a ID ( "name" "x" )', commands.Id(T, (("name", "x"),))),  # aioimaplib
    (b"a LOGIN user pass", commands.Login(T, b"user", b"pass")),
    (b'a login "a\\"b" "c d" ', commands.Login(T, b'a"b', b"c d")),
    ('a LOGIN "ü" "ß"'.encode(), commands.Login(T, "ü".encode(), "ß".encode())),
    (b"a AUTHENTICATE plain", commands.Authenticate(T, "PLAIN")),
    (b"a AUTHENTICATE EXTERNAL =", commands.Authenticate(T, "EXTERNAL", b"")),
    (b"a AUTHENTICATE PLAIN AHUAcA==", commands.Authenticate(T, "PLAIN", b"\0u\0p")),
]


@pytest.mark.parametrize(("line", "value"), BEFORE)
def test_before_login(line: bytes, value: Command) -> None:
    # A SASL exchange leaves the connection waiting for its next line, which is not what is looked at here
    if isinstance(value, commands.Authenticate):
        driver = Driver(State.NOT_AUTHENTICATED)
        driver.feed(line + b"\r\n")
        assert driver.events == [value]
    else:
        assert command(line, State.NOT_AUTHENTICATED) == value


AFTER: list[tuple[bytes, Command]] = [
    (b"a ENABLE condstore QRESYNC", commands.Enable(T, ("CONDSTORE", "QRESYNC"))),
    (b"a ENABLE UTF8=ACCEPT", commands.Enable(T, ("UTF8=ACCEPT",))),
    (b"a SELECT inbox", commands.Select(T, INBOX)),
    (b'a EXAMINE "x"', commands.Select(T, X, read_only=True)),
    (b"a SELECT x (CONDSTORE)", commands.Select(T, X, condstore=True)),
    (b"a SELECT Entw&APw-rfe", commands.Select(T, MailboxName("Entwürfe"))),
    (
        b"a SELECT INBOX (QRESYNC (67890007 20050715194045000 41,43:211,214:541))",
        commands.Select(
            T, INBOX, qresync=Qresync(67890007, 20050715194045000, numbers((41, 41), (43, 211), (214, 541)))
        ),
    ),
    (b"a SELECT x (QRESYNC (1 0))", commands.Select(T, X, qresync=Qresync(1, 0))),
    (
        b"a SELECT x (QRESYNC (1 2 1:5 (1,3 2,4)) CONDSTORE)",
        commands.Select(
            T,
            X,
            condstore=True,
            qresync=Qresync(1, 2, numbers((1, 5)), (numbers((1, 1), (3, 3)), numbers((2, 2), (4, 4)))),
        ),
    ),
    (
        b"a SELECT x (QRESYNC (1 2 (1 2)))",
        commands.Select(T, X, qresync=Qresync(1, 2, None, (numbers((1, 1)), numbers((2, 2))))),
    ),
    (b"a CREATE x", commands.Create(T, X)),
    (b"a CREATE x/", commands.Create(T, MailboxName("x/"))),
    (b"a CREATE x (USE (\\junk \\Sent))", commands.Create(T, X, ("\\Junk", "\\Sent"))),
    (b"a DELETE x", commands.Delete(T, X)),
    (b"a RENAME x inbox", commands.Rename(T, X, INBOX)),
    (b"a SUBSCRIBE x", commands.Subscribe(T, X)),
    (b"a UNSUBSCRIBE x", commands.Unsubscribe(T, X)),
    (b"a NAMESPACE", commands.Namespace(T)),
    (b"a STATUS x (messages UNSEEN)", commands.Status(T, X, (StatusItem.MESSAGES, StatusItem.UNSEEN))),
    (b"a STATUS x ( RECENT RECENT )", commands.Status(T, X, (StatusItem.RECENT,))),
    (b"a STATUS x (DELETED-STORAGE)", commands.Status(T, X, (StatusItem.DELETED_STORAGE,))),
    (b'a GETQUOTA ""', commands.GetQuota(T, "")),
    (b"a getquotaroot INBOX", commands.GetQuotaRoot(T, INBOX)),
    (
        b'a SETQUOTA "User quota" (STORAGE 512 MESSAGE 9)',
        commands.SetQuota(T, "User quota", (("STORAGE", 512), ("MESSAGE", 9))),
    ),
    (b"a CHECK", commands.Check(T)),
    (b"a CLOSE", commands.Close(T)),
    (b"a UNSELECT", commands.Unselect(T)),
    (b"a EXPUNGE", commands.Expunge(T)),
    (b"a uid expunge 1:3", commands.Expunge(T, numbers((1, 3)))),
    (b"a COPY 2:4 x", commands.Copy(T, False, numbers((2, 4)), X)),
    (b"a UID COPY $ x", commands.Copy(T, True, SAVED, X)),
    (b"a UID  move 1 x", commands.Move(T, True, numbers((1, 1)), X)),
    (b"a MOVE 1 x", commands.Move(T, False, numbers((1, 1)), X)),
]


@pytest.mark.parametrize(("line", "value"), AFTER)
def test_after_login(line: bytes, value: Command) -> None:
    assert command(line) == value


BAD = [
    b"a EXPUNGE 1",
    b"a UID EXPUNGE",
    b"a IDLE x",
    b"a SELECT",
    b"a SELECT x y",
    b"a SELECT x (FOO)",
    b"a SELECT x (QRESYNC (1))",
    b"a SELECT x (QRESYNC (0 1))",
    b"a SELECT x (QRESYNC (1 2 1:*))",
    b"a SELECT x (QRESYNC (1 2) QRESYNC (1 2))",
    b"a SELECT x (QRESYNC (1 2 1 (1)))",
    b"a CREATE x (FOO)",
    b"a ENABLE",
    b"a RENAME x",
    b"a STATUS x",
    b"a STATUS x ()",
    b"a STATUS x (FOO)",
    b"a STATUS x (UNSEEN",
    b"a STATUS x UNSEEN",
    b"a GETQUOTA",
    b"a SETQUOTA x (STORAGE)",
    b"a COPY x",
    b"a COPY 1",
    b"a COPY 0 x",
    b"a ID foo",
    b'a ID "foo"',
    b'a ID ("a" "b""c" "d")',
    b"a STATUS x (UNSEEN(",
    b"a SELECT x (CONDSTORE(",
    b'a ID ("a")',
    b'a ID ("a" "b"',
]


@pytest.mark.parametrize("line", BAD)
def test_bad(line: bytes) -> None:
    found = command(line)
    assert isinstance(found, BadCommand)
    assert (found.tag, found.no, found.fatal) == (b"a", False, False)


@pytest.mark.parametrize(
    "line", [b"a LOGIN x", b"a LOGIN", b"a AUTHENTICATE", b"a AUTHENTICATE PLAIN !", b"a STARTTLS x"]
)
def test_bad_before_login(line: bytes) -> None:
    found = command(line, State.NOT_AUTHENTICATED)
    assert isinstance(found, BadCommand)
    assert not found.no


REFUSED = [
    (b"a SELECT &x", b"CANNOT"),
    (b'a CREATE "\xc3\xbc"', b"CANNOT"),
    (b"a CREATE " + b"x" * 1001, b"LIMIT"),
    (b"a CREATE x (USE (\\Foo))", b"USEATTR"),
]


@pytest.mark.parametrize(("line", "code"), REFUSED)
def test_refused(line: bytes, code: bytes) -> None:
    found = command(line)
    assert isinstance(found, BadCommand)
    assert (found.tag, found.no, found.code) == (b"a", True, code)


def test_id_limit() -> None:
    found = command(b"a ID (" + b'"a" "b" ' * 31 + b")")
    assert isinstance(found, BadCommand)


def test_names_in_utf8() -> None:
    assert command('a SELECT "ü"'.encode(), utf8=True) == commands.Select(T, MailboxName("ü"))
    assert command(b"a SELECT &APw-", utf8=True) == commands.Select(T, MailboxName("&APw-"))


def test_every_command_has_a_case() -> None:
    """The table and these tables agree; FETCH, STORE, SEARCH, LIST have their own files, APPEND and IDLE the connection's."""
    elsewhere = {
        b"FETCH",
        b"STORE",
        b"SEARCH",
        b"UID FETCH",
        b"UID STORE",
        b"UID SEARCH",
        b"LIST",
        b"LSUB",
        b"XLIST",
        b"APPEND",
        b"IDLE",
        b"GETMETADATA",
        b"SETMETADATA",
    }
    seen = set()
    for line, _ in BEFORE + AFTER:
        words = line.upper().split()[1:]
        seen.add(b" ".join(words[:2]) if words[0] == b"UID" else words[0])
    assert seen | elsewhere == COMMANDS.keys()


def test_holds_expunge() -> None:
    lines = (b"FETCH 1 FLAGS", b"STORE 1 FLAGS ()", b"SEARCH ALL", b"COPY 1 x", b"EXPUNGE")
    found = {line: command(b"a " + line) for line in lines}
    assert {line for line, value in found.items() if isinstance(value, Command) and holds_expunge(value)} == {
        b"FETCH 1 FLAGS",
        b"STORE 1 FLAGS ()",
        b"SEARCH ALL",
    }
    for line in (b"UID FETCH 1 FLAGS", b"UID SEARCH ALL"):
        value = command(b"a " + line)
        assert isinstance(value, Command)
        assert not holds_expunge(value)
