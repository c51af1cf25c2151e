"""An LMTP session in memory: the connection and the session as they are, over the model of the store, without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

from mas.config import Config
from mas.delivery import Decide, Delivery
from mas.errors import UserUnknown
from mas.protocols.lmtp.connection import Event, LmtpConnection
from mas.protocols.lmtp.session import Lmtp
from mas.protocols.session import Peer, Wait, Woken
from mas.services import Services
from mas.user import User
from tests.support.memory_store import MemoryStore, user

NOTHING: Any = None


class Accounts:
    """The account databases: names that exist, and what goes wrong."""

    def __init__(self, *names: str) -> None:
        self.names = set(names)
        self.fail: dict[str, Exception] = {}
        self.asked: list[str] = []

    async def lookup(self, name: str, service: str) -> User:
        self.asked.append(name)
        assert service == "lmtp"
        if name in self.fail:
            raise self.fail[name]
        if name not in self.names:
            raise UserUnknown(name)
        return user(name)


def config(**sections: Any) -> Config:
    sections.setdefault("quota", {"max_mail_size": "1M"})
    return Config.model_validate({"hostname": "mail.example.net", **sections})


class MemoryChannel:
    """The pump, over lists."""

    def __init__(self, connection: LmtpConnection, peer: Peer) -> None:
        self.connection = connection
        self.peer = peer
        self.tls = False
        self.tls_description = ""
        self.draining = False
        self.received = self.sent = 0
        self.out: list[bytes] = []
        self.changed = asyncio.Event()
        self.woken = False
        self.waiting = asyncio.Event()
        self.timeouts = 0
        self.tls_started = 0

    async def next_event(self, timeout: float) -> Event | Woken:
        while True:
            if self.woken:
                self.woken = False
                return Woken.WOKEN
            event = self.connection.next_event()
            if not isinstance(event, Wait):
                return event
            if self.timeouts:
                self.timeouts -= 1
                raise TimeoutError
            self.changed.clear()
            self.waiting.set()
            await self.changed.wait()

    def feed(self, data: bytes) -> None:
        self.waiting.clear()
        self.connection.receive_data(data)
        self.changed.set()

    def wake(self) -> None:
        self.waiting.clear()
        self.woken = True
        self.changed.set()

    def write(self, data: bytes) -> None:
        self.out.append(data)

    def flush(self) -> None: ...

    async def drain(self) -> None: ...

    def binding(self, kind: str) -> bytes | None:
        return None

    def certificate_name(self, field: str) -> str | None:
        return None

    async def start_tls(self) -> None:
        self.connection.discard_input()
        self.tls = True
        self.tls_started += 1


class Talk:
    """One client of the session under test."""

    def __init__(
        self, channel: MemoryChannel, task: asyncio.Task[None], store: MemoryStore, accounts: Accounts
    ) -> None:
        self.channel = channel
        self.task = task
        self.store = store
        self.accounts = accounts

    async def settle(self) -> None:
        """Until the session waits for the client, or has ended."""
        waiting = asyncio.ensure_future(self.channel.waiting.wait())
        await asyncio.wait([waiting, self.task], return_when=asyncio.FIRST_COMPLETED, timeout=20)
        assert waiting.done() or self.task.done(), "the session does neither wait nor end"
        waiting.cancel()

    async def say(self, text: str | bytes) -> list[str]:
        """Send, and the reply lines of all that was sent."""
        self.channel.feed(text.replace("\n", "\r\n").encode() if isinstance(text, str) else text)
        return await self.replies()

    async def replies(self) -> list[str]:
        await self.settle()
        lines = b"".join(self.channel.out).decode().split("\r\n")
        self.channel.out.clear()
        assert lines.pop() == ""
        return lines

    async def codes(self, text: str | bytes) -> list[str]:
        """As say, but only ``250 2.1.0`` of each line."""
        return [" ".join(line.split()[:2]) for line in await self.say(text)]

    def mail(self, name: str = "kim@example.net", mailbox: str = "INBOX") -> list[bytes]:
        """The messages of a mailbox, in order."""
        account = self.store.account(user(name))
        box = account.mailboxes.get(cast(Any, mailbox))
        return [message.octets for message in box.messages.values()] if box else []


@asynccontextmanager
async def talking(
    *names: str, decide: Decide | None = None, address: str = "", lhlo: bool = True, **sections: Any
) -> AsyncIterator[Talk]:
    """A session that has been greeted with LHLO; ended at the end of the block."""
    settings = config(**sections)
    store = MemoryStore(max_mail_size=settings.quota.max_mail_size)
    accounts = Accounts(*(names or ("kim@example.net", "lee@example.net")))
    services = Services(config=settings, store=cast(Any, store), auth=cast(Any, accounts), sessions=NOTHING)
    service = Lmtp(services, Delivery(cast(Any, store), settings, decide))
    peer = Peer("s1", "lmtp", address)
    connection, session = service.open(peer)
    channel = MemoryChannel(connection, peer)
    task = asyncio.ensure_future(session(cast(Any, channel)))
    talk = Talk(channel, task, store, accounts)
    try:
        assert (await talk.replies())[0] == "220 2.0.0 mail.example.net LMTP ready"
        if lhlo:
            assert (await talk.say("LHLO client.example.org\n"))[-1].startswith("250 ")
        yield talk
    finally:
        if not task.done():
            channel.feed(b"")
        async with asyncio.timeout(20):
            await task
            await service.close()


def without_trace(messages: Sequence[bytes]) -> list[bytes]:
    """The messages as they were sent: header fields of delivery taken off."""
    found = []
    for message in messages:
        rest = message
        while rest.startswith((b"Return-Path:", b"Delivered-To:", b"Received:", b"\t")):
            rest = rest.partition(b"\r\n")[2]
        found.append(rest)
    return found
