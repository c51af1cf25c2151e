"""The listener: connections to sessions, limits, kick, drain. TLS and processes are in tests/server."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import errno
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from mas.errors import TooManyConnections
from mas.protocols.listener import Connections, Listener, Service, make_peer, new_session_id, plain, where
from mas.protocols.session import Peer
from tests.support.echo import opener


class Register:
    """Counts; refuses above ``limit``."""

    def __init__(self) -> None:
        self.present: dict[str, Peer] = {}
        self.limit = 100

    def connected(self, peer: Peer, service: Service) -> None:
        assert service.name == peer.service
        if len(self.present) >= self.limit:
            raise TooManyConnections("limit = 1 is reached")
        self.present[peer.session_id] = peer

    def ended(self, peer: Peer) -> None:
        del self.present[peer.session_id]

    async def login(self, peer: Peer, user: str, limit: int) -> None: ...

    def state(self, peer: Peer, text: str) -> None: ...


class Host:
    """One listening socket and what belongs to it."""

    def __init__(self) -> None:
        self.register = Register()
        self.connections = Connections()
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.service = Service("echo", opener(self.register))
        self.listener = Listener(self.sock, self.service, self.connections, self.register)
        self.writers: list[asyncio.StreamWriter] = []

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(*self.sock.getsockname())
        self.writers.append(writer)
        return reader, writer


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    made = Host()
    made.listener.start()
    yield made
    made.listener.stop()
    made.sock.close()
    for writer in made.writers:
        writer.close()
    await made.connections.cancel()


async def line(reader: asyncio.StreamReader) -> bytes:
    return (await asyncio.wait_for(reader.readline(), 60)).rstrip(b"\n")


async def until(condition: Any) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_session_and_its_end(host: Host) -> None:
    reader, writer = await host.connect()
    assert await line(reader) == b"* hello plain"
    (peer,) = host.register.present.values()
    assert (peer.service, peer.address, peer.local_address) == ("echo", "127.0.0.1", "127.0.0.1")
    assert (peer.port, peer.local_port) == (writer.get_extra_info("sockname")[1], host.sock.getsockname()[1])
    writer.write(b"quit\n")
    assert await line(reader) == b"* bye"
    assert await line(reader) == b""
    assert await host.connections.wait_empty(60)
    assert not host.register.present


async def test_a_bug_ends_one_session(host: Host) -> None:
    good, bad = await host.connect(), await host.connect()
    for reader, _ in (good, bad):
        await line(reader)
    bad[1].write(b"crash\n")
    assert await line(bad[0]) == b""
    good[1].write(b"still here\n")
    assert await line(good[0]) == b"still here"
    await until(lambda: len(host.register.present) == 1)


async def test_refused_above_the_limit(host: Host) -> None:
    host.register.limit = 1
    first = await host.connect()
    await line(first[0])
    second = await host.connect()
    assert await line(second[0]) == b""
    first[1].write(b"quit\n")
    assert await host.connections.wait_empty(60)
    third = await host.connect()
    assert await line(third[0]) == b"* hello plain"


async def test_kick(host: Host) -> None:
    one, other = await host.connect(), await host.connect()
    await line(one[0])
    await line(other[0])
    one[1].write(b"whoami\n")
    session_id = (await line(one[0])).split()[1].decode()
    assert host.connections.kick(session_id)
    assert await line(one[0]) == b"* bye draining"
    other[1].write(b"x\n")
    assert await line(other[0]) == b"x"
    assert not host.connections.kick("nobody")


async def test_a_kicked_session_that_does_not_end_is_ended(host: Host) -> None:
    host.connections = Connections(kick_timeout=0.05)

    async def stubborn(channel: Any) -> None:
        channel.write(b"* hello\n")
        while True:
            await channel.next_event(30)

    start = host.service.open
    host.listener.stop()
    host.service = replace(host.service, open=lambda peer, tls: (start(peer, tls)[0], stubborn))
    host.listener = Listener(host.sock, host.service, host.connections, host.register)
    host.listener.start()
    reader, _ = await host.connect()
    assert await line(reader) == b"* hello"
    (session_id,) = host.register.present
    assert host.connections.kick(session_id)
    assert await host.connections.wait_empty(60)
    assert not host.register.present


async def test_a_peer_that_does_not_take_the_last_octets_loses_them(host: Host) -> None:
    """``close_timeout``."""

    async def much(channel: Any) -> None:
        for _ in range(100):
            channel.write(b"x" * 1_000_000)

    host.listener.stop()
    start = host.service.open
    host.service = replace(host.service, open=lambda peer, tls: (start(peer, tls)[0], much), close_timeout=0.05)
    host.listener = Listener(host.sock, host.service, host.connections, host.register)
    host.listener.start()
    with socket.create_connection(host.sock.getsockname(), 10) as client:
        await until(lambda: host.register.present)
        assert await host.connections.wait_empty(60)
        client.settimeout(60)
        received = 0
        with contextlib.suppress(ConnectionResetError):
            while octets := client.recv(1_000_000):
                received += len(octets)
        assert received < 100_000_000


async def test_drain(host: Host) -> None:
    readers = [(await host.connect())[0] for _ in range(3)]
    for reader in readers:
        await line(reader)
    host.listener.stop()
    host.connections.drain()
    for reader in readers:
        assert await line(reader) == b"* bye draining"
    assert await host.connections.wait_empty(60)
    assert not host.register.present


async def test_drain_answers_who_was_accepted_a_moment_before(host: Host) -> None:
    """A health check at the moment of the stop was closed without a word; Postfix, too."""
    reader, _ = await host.connect()
    host.listener._accept()
    assert len(host.connections) == 1
    host.connections.drain()
    assert await line(reader) == b"* hello plain"
    assert await line(reader) == b"* bye draining"
    assert await host.connections.wait_empty(60)
    assert not host.register.present


async def test_drain_does_not_wait_for_a_handshake(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mas.protocols.listener.BEGIN_DRAINING", 0.01)
    peer = Peer("one", "echo", "192.0.2.1", 1, "192.0.2.2", 2)
    host.connections.start(peer, asyncio.sleep(1000), lambda _: None)
    host.connections.drain()
    assert await host.connections.wait_empty(60)


async def test_a_connection_that_could_not_begin_leaves_nothing(host: Host) -> None:
    """Accepted, and ended before its task ran once."""
    await host.connect()
    host.listener._accept()
    (session_id,) = host.register.present
    assert host.connections.kick(session_id)
    assert await host.connections.wait_empty(60)
    assert not host.register.present


async def test_out_of_descriptors_pauses_the_accepting(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def __init__(self, sock: socket.socket) -> None:
            self.fileno = sock.fileno
            self.setblocking = sock.setblocking

        def accept(self) -> None:
            raise OSError(errno.EMFILE, "Too many open files")

    full = Listener(Full(host.sock), host.service, host.connections, host.register)  # type: ignore[arg-type]
    host.listener.stop()
    full.start()
    reader, _ = await host.connect()
    await until(lambda: full._resume is not None)
    full.stop()
    host.listener.start()  # descriptors are there again
    assert await line(reader) == b"* hello plain"


def test_session_ids() -> None:
    found = {new_session_id() for _ in range(1000)}
    assert len(found) == 1000
    assert all(len(base64.b64decode(one, validate=True)) == 12 and len(one) == 16 for one in found)


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
    ],
)
def test_plain_addresses(address: str, text: str) -> None:
    assert plain(address) == text


def test_a_unix_peer_has_no_address() -> None:
    one, other = socket.socketpair()
    peer = make_peer("lmtp", one, "")
    assert (peer.service, peer.address, peer.port) == ("lmtp", "", 0)
    one.close()
    other.close()


def test_where_is_one_line() -> None:
    with pytest.raises(ValueError, match="x") as caught:
        raise ValueError("x")
    assert where(caught.value).startswith("test_listener.py:")
    assert "\n" not in where(caught.value)
