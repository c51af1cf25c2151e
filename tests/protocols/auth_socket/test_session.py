"""A session of the auth socket without a socket: what its limits do, and what becomes of requests when the server stops."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, cast

import pytest

from mas.config import Config
from mas.errors import AuthUnavailable, NotAuthorized, PasswordExpired, UserDisabled
from mas.protocols.auth_socket.session import open_session
from mas.protocols.session import Peer, Wait, Woken
from mas.services import Services
from tests.support.imap_in_process import FakeAuthenticator
from tests.support.memory_store import user

NOTHING: Any = None
KIM = "kim@example.net"
TEMPORARY = b"code=temp_fail\treason=Temporary authentication failure\n"


class Accounts(FakeAuthenticator):
    """One user, whose password is judged when ``judge`` is set."""

    def __init__(self) -> None:
        super().__init__(user(KIM))
        self.judge = asyncio.Event()

    async def verify(self, *arguments: Any, **named: Any) -> Any:
        await self.judge.wait()
        return await super().verify(*arguments, **named)


class Talk:
    """The channel of the session, over lists."""

    def __init__(self, **auth: Any) -> None:
        self.accounts = accounts = Accounts()
        config = Config.model_validate({"hostname": "mail.example.net", "auth": auth})
        self.peer = Peer("s1", "auth")
        self.connection, self.session = open_session(Services(config, NOTHING, cast(Any, accounts), NOTHING), self.peer)
        self.tls = False
        self.tls_description = ""
        self.draining = False
        self.received = self.sent = 0
        self.woken = False
        self.news = asyncio.Event()
        self.waiting = asyncio.Event()
        self.written = asyncio.Event()
        self.out: list[bytes] = []

    async def next_event(self, timeout: float) -> Any:
        while True:
            if self.woken:
                self.woken = False
                return Woken.WOKEN
            event = self.connection.next_event()
            if event is not Wait.NEED_DATA:
                return event
            self.news.clear()
            self.waiting.set()
            await self.news.wait()

    def wake(self) -> None:
        self.woken = True
        self.waiting.clear()
        self.news.set()

    def write(self, data: bytes) -> None:
        self.out.append(data)
        self.written.set()

    def flush(self) -> None: ...

    async def drain(self) -> None: ...

    def binding(self, kind: str) -> bytes | None:
        return None

    def certificate_name(self, field: str) -> str | None:
        return None

    async def start_tls(self) -> None:
        raise AssertionError

    async def say(self, *lines: bytes) -> None:
        """Send requests, and wait until the session waits again."""
        self.waiting.clear()
        self.connection.receive_data(b"".join(line + b"\n" for line in lines))
        self.news.set()
        async with asyncio.timeout(60):
            await self.waiting.wait()

    async def answered(self, count: int) -> list[bytes]:
        """Wait for so many answers, and take them."""
        async with asyncio.timeout(60):
            while len(self.out) < count:
                self.written.clear()
                await self.written.wait()
        out, self.out = self.out, []
        return out

    def stop(self) -> None:
        self.draining = True
        self.wake()


@asynccontextmanager
async def talking(**auth: Any) -> AsyncIterator[tuple[Talk, asyncio.Task[None]]]:
    talk = Talk(**auth)
    task = asyncio.ensure_future(talk.session(talk))
    await talk.say(b"VERSION\t1\t1", b"CPID\t7")
    assert talk.out.pop().endswith(b"DONE\n")
    yield talk, task
    if not task.done():
        talk.connection.receive_data(b"")
        talk.news.set()
    async with asyncio.timeout(60):
        await task


def plain(password: str = "secret") -> bytes:
    return base64.b64encode(f"\0{KIM}\0{password}".encode())


def auth(number: int, password: str = "secret") -> bytes:
    return b"AUTH\t%d\tPLAIN\tservice=smtp\tresp=" % number + plain(password)


async def test_a_stop_answers_what_is_being_judged() -> None:
    async with talking() as (talk, task):
        await talk.say(auth(1), b"AUTH\t2\tLOGIN\tservice=smtp", auth(3, "wrong"))
        assert (await talk.answered(1))[0].startswith(b"CONT\t2\t")
        talk.stop()
        assert await talk.answered(1) == [b"FAIL\t2\t" + TEMPORARY]
        # What comes meanwhile is answered as well, but no new conversation begins.
        await talk.say(b"AUTH\t4\tLOGIN\tservice=smtp", auth(5))
        assert await talk.answered(1) == [b"FAIL\t4\t" + TEMPORARY]
        assert not task.done()
        talk.accounts.judge.set()
        assert sorted(await talk.answered(3)) == [
            b"FAIL\t3\tuser=kim@example.net\n",
            b"OK\t1\tuser=kim@example.net\n",
            b"OK\t5\tuser=kim@example.net\n",
        ]
        async with asyncio.timeout(60):
            await task


async def test_a_stop_ends_an_idle_connection() -> None:
    async with talking() as (talk, task):
        talk.stop()
        async with asyncio.timeout(60):
            await task
        assert talk.out == []


async def test_requests_in_flight_have_a_limit() -> None:
    async with talking(max_requests=2) as (talk, _):
        await talk.say(auth(1), auth(2), auth(3))
        assert await talk.answered(1) == [b"FAIL\t3\t" + TEMPORARY]
        talk.accounts.judge.set()
        assert len(await talk.answered(2)) == 2
        await talk.say(auth(4))
        assert await talk.answered(1) == [b"OK\t4\tuser=kim@example.net\n"]


async def test_a_challenge_that_nobody_answers_is_forgotten() -> None:
    async with talking(request_timeout="0s") as (talk, _):
        talk.accounts.judge.set()
        await talk.say(b"AUTH\t1\tPLAIN\tservice=smtp")
        assert await talk.answered(1) == [b"CONT\t1\t\n"]
        await talk.say(auth(2), b"CONT\t1\t" + plain())
        assert sorted(await talk.answered(2)) == [
            b"FAIL\t1\treason=Authentication request timed out\n",
            b"OK\t2\tuser=kim@example.net\n",
        ]


async def test_a_line_has_a_limit() -> None:
    talk = Talk(max_line="1K")
    task = asyncio.ensure_future(talk.session(talk))
    await talk.say(b"VERSION\t1\t1")
    talk.connection.receive_data(b"AUTH\t1\tPLAIN\tservice=smtp\tresp=" + b"A" * 1024 + b"\n")
    talk.news.set()
    async with asyncio.timeout(60):
        await task


@pytest.mark.parametrize(
    ("trouble", "answer"),
    [
        (UserDisabled("on holiday"), b"FAIL\t1\tuser=kim@example.net\tcode=user_disabled\treason=on holiday\n"),
        (UserDisabled(""), b"FAIL\t1\tuser=kim@example.net\tcode=user_disabled\n"),
        (PasswordExpired("too old"), b"FAIL\t1\tuser=kim@example.net\tcode=pass_expired\treason=too old\n"),
        (
            NotAuthorized("nobody@example.net", "boss"),
            b"FAIL\t1\tuser=nobody@example.net\tcode=authz_fail\toriginal_user=boss\tauth_user=boss\n",
        ),
        (AuthUnavailable("gone"), b"FAIL\t1\tuser=kim@example.net\t" + TEMPORARY),
        (RuntimeError("a bug"), b"FAIL\t1\tuser=kim@example.net\t" + TEMPORARY),
    ],
)
async def test_refusals_have_codes(trouble: Exception, answer: bytes) -> None:
    async with talking() as (talk, _):
        talk.accounts.judge.set()
        talk.accounts.trouble = trouble
        await talk.say(auth(1))
        assert await talk.answered(1) == [answer]


async def test_who_has_logged_in_as_another() -> None:
    async with talking() as (talk, _):
        talk.accounts.judge.set()
        talk.accounts.user = replace(talk.accounts.user, fields={"master_user": "boss"})
        await talk.say(auth(1))
        assert await talk.answered(1) == [b"OK\t1\tuser=kim@example.net\toriginal_user=boss\tauth_user=boss\n"]
