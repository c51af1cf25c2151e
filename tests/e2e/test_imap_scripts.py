"""The scripts of tests/scripts/imap again, over TLS against a whole host: what holds on the model has to hold on the disk."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.builders import MULTIPART, message
from tests.support.host import Host, running_host
from tests.support.script_runner import Client, Script, load, run_script

pytestmark = pytest.mark.e2e

USER, PASSWORD = "kim@example.net", "secret"
PATIENCE = 60.0
HEADERS = {"mailbox", "append", "state", "special", "subscribed"}
SCRIPTS = sorted((Path(__file__).parents[1] / "scripts" / "imap").glob("*.script"))


def runs_here(script: Script) -> bool:
    """Whether a host from outside can be brought to what the script needs."""
    events = [step.text.split() for step in script.steps if step.who == "!"]
    return set(script.header) <= HEADERS and all(words == ["deliver", "INBOX"] for words in events)


CHOSEN = [path for path in SCRIPTS if runs_here(load(path))]


def user_of(script: Script) -> str:
    """Each script has a user, whom no other script disturbs. Those that log in by themselves are all the same one."""
    return USER if script.header.get("state") == ["none"] else f"{script.path.stem}@example.net"


@pytest.fixture(scope="module")
def running() -> Iterator[Host]:
    users = {user_of(load(path)): PASSWORD for path in CHOSEN}
    # Wrong passwords are part of the scripts; what they cost is tested elsewhere.
    without_delay = 'failure_delay = "10ms"\npenalty = false\n'
    with running_host(users, top_settings="mailbox = []", auth_settings=without_delay) as host:
        yield host


class SocketClient:
    """A script's side of one TLS connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def line(self) -> bytes | None:
        async with asyncio.timeout(PATIENCE):
            line = await self.reader.readline()
        return line.removesuffix(b"\r\n") if line else None

    async def settle(self) -> list[bytes]:
        return []


class SocketHost:
    """The host of a script over sockets."""

    def __init__(self, host: Host, user: str) -> None:
        self.host = host
        self.user = user
        self.clients: list[SocketClient] = []
        self.delivered = 0

    async def connect(self, number: int) -> SocketClient:
        reader, writer = await asyncio.open_connection(
            "localhost", self.host.imaps_port, ssl=self.host.client_context(), limit=1 << 20
        )
        client = SocketClient(reader, writer)
        self.clients.append(client)
        return client

    async def login(self, client: Client) -> None:
        await client.line()
        await client.send(f"login LOGIN {self.user} {PASSWORD}\r\n".encode())
        answer = await client.line()
        assert answer is not None
        assert answer.startswith(b"login OK"), answer

    async def event(self, words: list[str]) -> None:
        self.delivered += 1
        await asyncio.to_thread(self.host.deliver, self.user, message(self.delivered))

    def prepare(self, script: Script) -> None:
        """The script's mailboxes and messages, by a client that goes away again."""
        client = self.host.imap(self.user)
        for text in script.header.get("mailbox", []):
            name, count = text.split()
            if name != "INBOX":
                client.create(name)
            for _ in range(int(count)):
                self.delivered += 1
                assert client.append(name, "", "", message(self.delivered))[0] == "OK"
        for text in script.header.get("append", []):
            assert client.append(text.split()[0], "", "", MULTIPART)[0] == "OK"
        for text in script.header.get("special", []):
            name, use = text.split()
            assert client.xatom("CREATE", name, f"(USE ({use}))")[0] == "OK"
        for text in script.header.get("subscribed", []):
            client.subscribe(text)
        client.logout()


@pytest.mark.parametrize("path", CHOSEN, ids=[path.stem for path in CHOSEN])
async def test_script_over_a_socket(path: Path, running: Host) -> None:
    script = load(path)
    host = SocketHost(running, user_of(script))
    await asyncio.to_thread(host.prepare, script)
    logged_in = script.header.get("state", ["login"])[0] != "none"
    try:
        async with asyncio.timeout(100):
            await run_script(script, host, login=host.login if logged_in else None)
    finally:
        for client in host.clients:
            client.writer.close()
