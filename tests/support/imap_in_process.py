"""IMAP sessions without sockets: the pure connection and the session on the model store, for scripts and for tests of handlers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from mas.auth.exchange import SaslExchange
from mas.auth.interface import Attempt, Tls
from mas.auth.sasl import SaslError
from mas.auth.sasl.steps import Claim, Password, Question
from mas.config import Config
from mas.errors import AuthFailed, AuthUnavailable, DiskFull, TooManyConnections, UserDisabled
from mas.protocols.imap.connection import ImapConnection
from mas.protocols.imap.session import limits, serve
from mas.protocols.imap.state import Session
from mas.protocols.session import Peer, Wait, Woken
from mas.services import Services
from mas.storage.interface import Store
from mas.storage.model import SYSTEM_FLAGS, Flags, MailboxName, SaveOptions, StoreOp
from mas.storage.store import MaildirStore
from mas.user import User
from tests.support import memory_store
from tests.support.builders import MULTIPART, message
from tests.support.memory_store import MemoryStore
from tests.support.script_runner import Client, Script

USER, PASSWORD = "kim@example.net", "secret"
PATIENCE = 10.0
"""Seconds until a script gives up on a line; only a failing test waits."""


class FakeAuthenticator:
    """One user. ``trouble`` is raised instead of an answer."""

    def __init__(self, user: User) -> None:
        self.user = user
        self.trouble: Exception | None = None

    def mechanisms(self, secured: bool, tls: Tls | None = None) -> Sequence[str]:
        return ("PLAIN", "LOGIN") if secured else ()

    def exchange(self, attempt: Attempt, *, success_data: bool = False) -> SaslExchange:
        return SaslExchange(attempt, FakeJudge(self, attempt), success_data=success_data)

    async def verify(self, authcid: str, password: bytes, attempt: Attempt, authzid: str = "") -> User:
        if self.trouble is not None:
            raise self.trouble
        if (authcid, password) != (USER, PASSWORD.encode()) or authzid not in ("", USER):
            raise AuthFailed
        return self.user


class FakeJudge:
    """Passwords only, judged by ``authenticator.verify``."""

    def __init__(self, authenticator: FakeAuthenticator, attempt: Attempt) -> None:
        self.authenticator = authenticator
        self.attempt = attempt

    async def answer(self, question: Question) -> object:
        raise AssertionError(question)

    async def decide(self, claim: Claim) -> User:
        assert isinstance(claim, Password)
        return await self.authenticator.verify(claim.authcid, claim.password, self.attempt, claim.authzid)

    async def refuse(self, error: SaslError) -> None: ...


class FakeSessions:
    """Counts logins; remembers what every session does."""

    def __init__(self, limit: int = 0) -> None:
        self.limit = limit
        self.users: dict[str, str] = {}
        self.states: dict[str, str] = {}

    async def login(self, peer: Peer, user: str, limit: int) -> None:
        if self.limit and len(self.users) >= self.limit:
            raise TooManyConnections
        self.users[peer.session_id] = user

    def state(self, peer: Peer, text: str) -> None:
        self.states[peer.session_id] = text


class ScriptChannel:
    """A Channel over lists of bytes. ``waiting`` is set while the session waits for the client."""

    def __init__(self, connection: ImapConnection, session_id: str, tls: bool) -> None:
        self.peer = Peer(session_id, "imap", "192.0.2.1", 40000, "192.0.2.2", 143)
        self.tls = tls
        self.tls_description = "TLSv1.3" if tls else ""
        self.draining = False
        self.received = self.sent = 0
        self.connection = connection
        self.output = bytearray()
        self.writes: list[bytes] = []
        self.waiting = asyncio.Event()
        self.news = asyncio.Event()
        self.timeout = 0.0
        self._queued: list[bytes] = []
        self._woken = False
        self._time_out = False
        self._input = asyncio.Event()

    def feed(self, data: bytes) -> None:
        self.connection.receive_data(data)
        self.received += len(data)
        self.waiting.clear()
        self._input.set()

    def time_out(self) -> None:
        """The client says nothing for as long as the session waits."""
        self._time_out = True
        self.waiting.clear()
        self._input.set()

    async def next_event(self, timeout: float) -> Any:
        while True:
            if self._woken:
                self._woken = False
                return Woken.WOKEN
            event = self.connection.next_event()
            if event is not Wait.NEED_DATA:
                return event
            self.flush()
            if self._time_out:
                self._time_out = False
                raise TimeoutError
            self.timeout = timeout
            self._input.clear()
            self.waiting.set()
            await self._input.wait()

    def wake(self) -> None:
        self._woken = True
        self.waiting.clear()
        self._input.set()

    def write(self, data: bytes) -> None:
        if data:
            self.sent += len(data)
            self._queued.append(data)

    def flush(self) -> None:
        if self._queued:
            data = b"".join(self._queued)
            self._queued.clear()
            self.writes.append(data)
            self.output += data
            self.news.set()

    async def drain(self) -> None:
        self.flush()
        await asyncio.sleep(0)

    def binding(self, kind: str) -> bytes | None:
        return None

    def certificate_name(self, field: str) -> str | None:
        return None

    async def start_tls(self) -> None:
        self.flush()
        self.connection.discard_input()
        self.tls = True
        self.tls_description = "TLSv1.3"


class InProcessClient:
    """One session and the script's side of it."""

    def __init__(self, services: Services, number: int, tls: bool = True) -> None:
        self.connection = ImapConnection(limits(services.config))
        self.channel = ScriptChannel(self.connection, f"session{number}", tls)
        self.session = Session(self.channel, self.connection, services)
        self.task = asyncio.ensure_future(serve(self.session))
        self.task.add_done_callback(lambda _: self.channel.news.set())
        self.read = 0

    async def send(self, data: bytes) -> None:
        self.channel.feed(data)

    async def line(self) -> bytes | None:
        """The next line of the server; None when it has ended the session. Raises TimeoutError, and what the session died of."""
        async with asyncio.timeout(PATIENCE):
            while True:
                end = self.channel.output.find(b"\r\n", self.read)
                if end >= 0:
                    line = bytes(self.channel.output[self.read : end])
                    self.read = end + 2
                    return line
                if self.task.done():
                    self.channel.flush()
                    if self.channel.output.find(b"\r\n", self.read) >= 0:
                        continue
                    self.task.result()
                    return None
                self.channel.news.clear()
                await self.channel.news.wait()

    async def settle(self) -> list[bytes]:
        async with asyncio.timeout(PATIENCE):
            while not self.task.done() and not self.channel.waiting.is_set():
                waiting = asyncio.ensure_future(self.channel.waiting.wait())
                await asyncio.wait({waiting, self.task}, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
        if self.task.done():
            self.channel.flush()
            self.task.result()
        return bytes(self.channel.output[self.read :]).split(b"\r\n")[:-1]

    async def command(self, text: str) -> list[str]:
        """Send a command and read to the end of what the session has to say, as lines."""
        await self.send(text.encode() + b"\r\n")
        lines = await self.settle()
        self.read = len(self.channel.output)
        return [line.decode("utf-8", "backslashreplace") for line in lines]

    async def close(self) -> None:
        """The client hangs up."""
        if not self.task.done():
            self.channel.feed(b"")
        await asyncio.wait({self.task}, timeout=PATIENCE)
        self.task.cancel()


class InProcessHost:
    """Sessions on one store. ``prepare`` fills it by a script's header."""

    def __init__(self, store: Store | None = None, config: Config | None = None, user: User | None = None) -> None:
        self.store = store or MemoryStore()
        self.user = user or memory_store.user(USER)
        self.auth = FakeAuthenticator(self.user)
        self.sessions = FakeSessions()
        self.config = config or Config()
        self.tls = True
        self.clients: dict[int, InProcessClient] = {}
        self.delivered = 0

    @property
    def services(self) -> Services:
        return Services(self.config, self.store, self.auth, self.sessions)  # type: ignore[arg-type]

    async def prepare(self, script: Script) -> None:
        """Header lines ``mailbox: NAME COUNT``, ``append: NAME multipart``, ``special: NAME USE``, ``subscribed: NAME``, limits."""
        header = script.header
        for text in header.get("storage_limit", []):
            assert isinstance(self.store, MemoryStore)
            self.store.storage_limit = int(text)
        for text in header.get("size_limit", []):
            quota = self.config.quota.model_copy(update={"max_mail_size": int(text)})
            self.config = self.config.model_copy(update={"quota": quota})
        for text in header.get("max_keywords", []):
            mail = self.config.mail.model_copy(update={"max_keywords": int(text)})
            self.config = self.config.model_copy(update={"mail": mail})
        for text in header.get("metadata", []):
            key, value = text.split()
            metadata = self.config.metadata.model_copy(
                update={key: value != "false" if key == "enabled" else int(value)}
            )
            self.config = self.config.model_copy(update={"metadata": metadata})
            if isinstance(self.store, MemoryStore):
                self.store.metadata = metadata
            elif isinstance(self.store, MaildirStore):
                self.store.config = self.config
        self.sessions.limit = int(header.get("sessions", ["0"])[0])
        self.tls = header.get("tls", ["yes"])[0] == "yes"
        async with await self.store.open(self.user) as account:
            existing = {info.name for info in await account.list()}
            for text in header.get("mailbox", []):
                name, count = text.split()
                if name not in existing:
                    await account.create(MailboxName(name))
                for _ in range(int(count)):
                    await self.deliver(name)
            for text in header.get("append", []):
                await self.deliver(text.split()[0], octets=MULTIPART)
            for text in header.get("special", []):
                name, use = text.split()
                await account.create(MailboxName(name), [use])
            for text in header.get("subscribed", []):
                await account.subscribe(MailboxName(text))

    async def connect(self, number: int) -> Client:
        client = self.clients[number] = InProcessClient(self.services, number, self.tls)
        return client

    async def login(self, client: Client) -> None:
        """Get a new connection to the authenticated state."""
        await client.line()
        await client.send(f"login LOGIN {USER} {PASSWORD}\r\n".encode())
        answer = await client.line()
        assert answer is not None
        assert answer.startswith(b"login OK"), answer

    async def deliver(self, name: str, flags: Sequence[str] = (), octets: bytes | None = None) -> None:
        """A new message, as a delivery makes it."""
        self.delivered += 1
        system = sum(SYSTEM_FLAGS[flag] for flag in flags if flag.startswith("\\"))
        keywords = frozenset(flag for flag in flags if not flag.startswith("\\"))
        async with (
            await self.store.open(self.user) as account,
            self.store.incoming(self.user) as incoming,
        ):
            await incoming.write(octets or message(self.delivered))
            await incoming.finish()
            options = SaveOptions(Flags(system, keywords), internal_date=memory_store.NOW + self.delivered)
            await account.save(MailboxName(name), [(incoming, options)], delivery=True)

    @staticmethod
    def needs_the_model(script: Script) -> bool:
        """Whether a script does what only the model store lets be done."""
        verbs = {step.text.split()[0] for step in script.steps if step.who == "!"}
        return "storage_limit" in script.header or bool(verbs & {"fail", "bug", "vanish"})

    async def event(self, words: list[str]) -> None:
        """deliver NAME [FLAG…], flag NAME UID FLAG, expunge NAME UID, delete NAME, fail disk|none, vanish UID, auth unavailable|disabled
        TEXT|works, timeout CONNECTION, drain, hangup CONNECTION."""
        verb, *rest = words
        match verb:
            case "deliver":
                await self.deliver(rest[0], rest[1:])
            case "flag" | "expunge":
                async with await self.store.open(self.user) as account:
                    selection = await account.select(MailboxName(rest[0]))
                    flags = Flags(SYSTEM_FLAGS["\\Deleted" if verb == "expunge" else rest[2]])
                    await selection.store([int(rest[1])], StoreOp.ADD, flags)
                    if verb == "expunge":
                        await selection.expunge([int(rest[1])])
                    await selection.close()
            case "delete":
                async with await self.store.open(self.user) as account:
                    await account.delete(MailboxName(rest[0]))
            case "fail":
                assert isinstance(self.store, MemoryStore)
                self.store.fail = DiskFull("no space left") if rest[0] == "disk" else None
            case "bug":
                assert isinstance(self.store, MemoryStore)
                self.store.fail = ZeroDivisionError("a bug")
            case "vanish":
                assert isinstance(self.store, MemoryStore)
                self.store.vanished_files.add(int(rest[0]))
            case "auth":
                self.auth.trouble = {
                    "unavailable": AuthUnavailable("database is down"),
                    "disabled": UserDisabled(" ".join(rest[1:])),
                    "works": None,
                }[rest[0]]
            case "timeout":
                self.clients[int(rest[0])].channel.time_out()
            case "drain":
                for client in self.clients.values():
                    client.channel.draining = True
                    client.channel.wake()
            case "hangup":
                await self.clients[int(rest[0])].close()
            case _:
                raise KeyError(verb)

    async def close(self) -> None:
        """Every client hangs up; a session that died of a bug fails the test."""
        for client in self.clients.values():
            await client.close()
            if not client.task.cancelled():
                client.task.result()
