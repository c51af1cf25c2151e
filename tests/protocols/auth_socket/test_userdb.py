"""The userdb socket: lines to requests, answers as recorded from Dovecot 2.3.19, and a session without a socket."""

from __future__ import annotations

import asyncio
import pwd
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mas.config import Config
from mas.errors import AuthUnavailable, ConfigError, UserUnknown
from mas.protocols.auth_socket.connection import Broken, Closed
from mas.protocols.auth_socket.userdb import replies
from mas.protocols.auth_socket.userdb.connection import Event, List, Pass, User, UserdbConnection
from mas.protocols.auth_socket.userdb.session import open_session
from mas.protocols.session import Peer, Wait, Woken
from mas.services import Services
from mas.user import User as Account

NOTHING: Any = None
HELLO = b"VERSION\t1\t0\n"
WRONG = Broken("a command is unknown or has wrong parameters")
KIM = Account("kim@example.net", Path("/var/vmail/example.net/kim"), "maildir:/var/vmail/example.net/kim/Maildir")

TABLE: list[tuple[bytes, Event]] = [
    (b"USER\t1\tkim@example.net\tservice=lmtp\n", User(1, "kim@example.net", "lmtp")),
    (b"USER\t4294967295\tk\x01tm\tdebug\trip=::1\tservice=lmtp\n", User(4294967295, "k\tm", "lmtp")),
    (b"PASS\t2\tkim\tservice=doveadm\n", Pass(2, "kim", "doveadm")),
    (b"PASS\t2\tkim\tprotocol=doveadm\n", Pass(2, "kim", "doveadm")),
    (b"LIST\t3\tservice=doveadm\tuser=k*\n", List(3, "k*")),
    (b"LIST\t3\tuser=*\tprotocol=doveadm\n", List(3)),
    (b"USER\t6\tkim@example.net\n", Broken("USER without a service")),
    (b"LIST\t6\n", Broken("LIST without a service")),
    (b"USER\tx\tkim\tservice=a\n", WRONG),
    (b"USER\t1\n", WRONG),
    (b"CPID\t7\n", WRONG),
    (b"FOO\t7\n", WRONG),
    (b"CACHE-FLUSH\t9\tkim@example.net\n", WRONG),
]


@pytest.mark.parametrize(("line", "event"), TABLE, ids=[repr(line[:30]) for line, _ in TABLE])
def test_requests(line: bytes, event: Event) -> None:
    whole = UserdbConnection(8192)
    whole.receive_data(HELLO + line)
    assert whole.next_event() == event
    slow = UserdbConnection(8192)
    for at in range(len(HELLO + line)):
        assert slow.next_event() is Wait.NEED_DATA
        slow.receive_data((HELLO + line)[at : at + 1])
    assert slow.next_event() == event


@pytest.mark.parametrize("first", [b"VERSION\t2\t0\n", b"USER\t8\tkim@example.net\tservice=lmtp\n"])
def test_the_version_comes_first(first: bytes) -> None:
    wire = UserdbConnection(8192)
    wire.receive_data(first)
    assert isinstance(wire.next_event(), Broken)
    assert wire.next_event() == Closed()


@given(
    st.lists(
        st.sampled_from([b"USER", b"PASS", b"LIST", b"\t", b"1", b"service=x", b"\n", b"\xff", b"\x01"]), max_size=20
    )
)
def test_anything_is_a_request_or_the_end(pieces: list[bytes]) -> None:
    wire = UserdbConnection(64)
    wire.receive_data(HELLO + b"".join(pieces))
    wire.receive_data(b"")
    for _ in range(30):
        event = wire.next_event()
        assert isinstance(event, User | Pass | List | Broken | Closed)
        if isinstance(event, Closed):
            return
    raise AssertionError("it does not end")


def test_answers_are_dovecots() -> None:
    assert replies.handshake(2839) == b"VERSION\t1\t1\nSPID\t2839\n"
    fields = {"uid": "1000", "gid": "1000", "home": "/var/vmail/example.net/kim", "quota_rule": "*:storage=1G"}
    assert replies.user(1, "kim@example.net", fields) == (
        b"USER\t1\tkim@example.net\tuid=1000\tgid=1000\thome=/var/vmail/example.net/kim\tquota_rule=*:storage=1G\n"
    )
    assert replies.user(1, "k\tm", {"nice": ""}) == b"USER\t1\tk\x01tm\tnice\n"
    assert replies.passed(3, {"user": "kim@example.net"}) == b"PASS\t3\tuser=kim@example.net\n"
    assert replies.not_found(2) == b"NOTFOUND\t2\n"
    assert replies.listed(4, "kim@example.net") == b"LIST\t4\tkim@example.net\n"
    assert replies.done(4) == b"DONE\t4\t\n"


class Accounts:
    """The databases of the test."""

    def __init__(self, *users: Account, trouble: Exception | None = None) -> None:
        self.known: Mapping[str, Account] = {user.name: user for user in users}
        self.trouble = trouble
        self.slow: dict[str, asyncio.Event] = {}

    async def lookup(self, name: str, service: str) -> Account:
        if name in self.slow:
            await self.slow[name].wait()
        if self.trouble is not None:
            raise self.trouble
        if name not in self.known:
            raise UserUnknown(name)
        return self.known[name]

    async def users(self) -> AsyncIterator[str]:
        for name in self.known:
            yield name
        if self.trouble is not None:
            raise self.trouble


class Talk:
    """The channel: all that the client says, then its end."""

    def __init__(self, accounts: Accounts, said: bytes) -> None:
        config = Config.model_validate({"hostname": "mail.example.net"})
        services = Services(config, NOTHING, accounts, NOTHING)  # type: ignore[arg-type]
        self.peer = Peer("s1", "userdb")
        self.connection, self.session = open_session(services, self.peer)
        self.connection.receive_data(HELLO + said)
        self.draining = False
        self.out: list[bytes] = []
        self.drains = 0

    async def next_event(self, timeout: float) -> Any:
        event = self.connection.next_event()
        if event is not Wait.NEED_DATA:
            return event
        if self.draining:
            return Woken.WOKEN
        self.connection.receive_data(b"")
        return self.connection.next_event()

    def write(self, data: bytes) -> None:
        self.out.append(data)

    def flush(self) -> None:
        pass

    async def drain(self) -> None:
        self.drains += 1

    async def run(self) -> bytes:
        channel: Any = self
        async with asyncio.timeout(60):
            await self.session(channel)
        assert self.out.pop(0).startswith(b"VERSION\t1\t1\nSPID\t")
        return b"".join(self.out)


def user(number: int, name: str = KIM.name) -> bytes:
    return b"USER\t%d\t%s\tservice=lmtp\n" % (number, name.encode())


async def test_look_ups() -> None:
    rich = replace(
        KIM,
        name="lee@example.net",
        location="maildir:/other/lee",
        fields={"nice": "yes", "gid": "no-such-group", "uid": "root", "empty": ""},
        quota_rules={"quota_rule": "*:storage=1G"},
    )
    said = user(1) + user(2, "lee@example.net") + user(3, "nobody") + b"PASS\t4\tkim@example.net\tservice=x\n"
    assert await Talk(Accounts(KIM, rich), said).run() == (
        b"USER\t1\tkim@example.net\thome=/var/vmail/example.net/kim\n"
        b"USER\t2\tlee@example.net\tuid=%d\tgid=no-such-group\thome=/var/vmail/example.net/kim\tmail=maildir:/other/lee"
        b"\tnice=yes\tempty\tquota_rule=*:storage=1G\n"
        b"NOTFOUND\t3\n"
        b"PASS\t4\tuser=kim@example.net\n" % pwd.getpwnam("root").pw_uid
    )


async def test_lists() -> None:
    many = [replace(KIM, name=f"kim{number}@example.net") for number in range(1200)]
    talk = Talk(Accounts(*many), b"LIST\t5\tservice=doveadm\n" + user(6, "kim7@example.net"))
    lines = (await talk.run()).splitlines()
    assert lines[:-2] == [b"LIST\t5\tkim%d@example.net" % number for number in range(1200)]
    assert lines[-2] == b"DONE\t5\t"
    assert talk.drains == 2


@pytest.mark.parametrize(
    ("mask", "found"),
    [
        ("k*", ["kim@a"]), ("K?M@*", ["kim@a"]), ("kim", []), ("", []), ("*", ["kim@a", "[k]@b"]), ("[k]*", ["[k]@b"]), ("[!x]im@a", []),
        ("*.", []), ("*" * 200 + "x", []),
    ],
)  # fmt: skip
async def test_a_list_by_a_mask(mask: str, found: list[str]) -> None:
    """As 2.4.1 compares them: regardless of case, with no other wildcards than two."""
    accounts = Accounts(replace(KIM, name="kim@a"), replace(KIM, name="[k]@b"))
    said = f"LIST\t5\tuser={mask}\tprotocol=doveadm\n".encode()
    lines = (await Talk(accounts, said).run()).decode().splitlines()
    assert lines == [*(f"LIST\t5\t{name}" for name in found), "DONE\t5\t"]


async def test_a_slow_look_up_delays_no_other() -> None:
    accounts, again = Accounts(KIM), asyncio.Event()
    accounts.slow["slow"] = again
    talk = Talk(accounts, user(1, "slow") + user(2) + user(3, "nobody"))
    asyncio.get_running_loop().call_later(0.05, again.set)
    lines = [line.split()[:2] for line in (await talk.run()).splitlines()]
    assert lines == [[b"USER", b"2"], [b"NOTFOUND", b"3"], [b"NOTFOUND", b"1"]]


async def test_too_many_look_ups_at_once() -> None:
    accounts, go = Accounts(KIM), asyncio.Event()
    accounts.slow["slow"] = go
    talk = Talk(accounts, b"".join(user(number, "slow") for number in range(1, 1003)))
    asyncio.get_running_loop().call_later(0.05, go.set)
    lines = (await talk.run()).splitlines()
    assert lines[:2] == [b"FAIL\t1001", b"FAIL\t1002"]
    assert lines.count(b"NOTFOUND\t1000") == 1
    assert len(lines) == 1002


async def test_a_mistake_of_ours_is_an_answer() -> None:
    assert await Talk(Accounts(trouble=RuntimeError("bug")), user(1)).run() == b"FAIL\t1\n"


@pytest.mark.parametrize("trouble", [AuthUnavailable("gone"), ConfigError(["no iterate_query"])])
async def test_a_list_that_cannot_be_had(trouble: Exception) -> None:
    said = b"LIST\t5\tservice=doveadm\n"
    assert await Talk(Accounts(KIM, trouble=trouble), said).run() == b"LIST\t5\tkim@example.net\nDONE\t5\tfail\n"


async def test_a_database_that_is_down() -> None:
    said = user(1) + b"PASS\t2\tkim@example.net\tservice=x\n"
    assert await Talk(Accounts(trouble=AuthUnavailable("gone")), said).run() == b"FAIL\t1\nFAIL\t2\n"


async def test_a_broken_client_and_a_stop() -> None:
    assert await Talk(Accounts(KIM), b"FOO\n" + user(1)).run() == b""
    talk = Talk(Accounts(KIM), user(1))
    talk.draining = True
    assert (await talk.run()).startswith(b"USER\t1\t")
