"""The pump over real sockets: events, output, limits, STARTTLS, ends."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mas.protocols import pump as pump_module
from mas.protocols.pump import Pump
from mas.protocols.session import Peer, Woken
from tests.support.certificates import Authority
from tests.support.echo import Closed, EchoConnection, Event, Line


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def server_context(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    directory: Path = tmp_path_factory.mktemp("tls")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue(directory, "mail.example.net"))
    return context


@asynccontextmanager
async def connected(
    context: ssl.SSLContext | None = None, *, write_timeout: float = 30.0, buffers: int = 0
) -> AsyncIterator[tuple[Pump[Event], EchoConnection, socket.socket]]:
    """A pump and the raw socket of its peer (non-blocking)."""
    listening = socket.create_server(("127.0.0.1", 0))
    theirs = socket.socket()
    if buffers:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffers)
    theirs.connect(listening.getsockname())
    ours, _ = listening.accept()
    listening.close()
    theirs.setblocking(False)
    ours.setblocking(False)
    if buffers:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffers)
    connection = EchoConnection()
    pump: Pump[Event] = Pump(connection, Peer("id", "echo"), context, handshake_timeout=60, write_timeout=write_timeout)
    await asyncio.get_running_loop().connect_accepted_socket(lambda: pump, ours)
    try:
        yield pump, connection, theirs
    finally:
        theirs.close()
        await pump.close(1)


async def receive(sock: socket.socket, octets: int) -> bytes:
    loop, data = asyncio.get_running_loop(), b""
    while len(data) < octets:
        piece = await asyncio.wait_for(loop.sock_recv(sock, min(65536, octets - len(data))), 60)
        assert piece, f"closed after {data[-80:]!r}"
        data += piece
    return data


async def send(sock: socket.socket, data: bytes) -> None:
    await asyncio.wait_for(asyncio.get_running_loop().sock_sendall(sock, data), 60)


async def test_event_and_reply() -> None:
    async with connected() as (pump, _, peer):
        await send(peer, b"one\ntw")
        assert await pump.next_event(60) == Line(b"one")
        pump.write(b"a")
        pump.write(b"b")
        waiting = asyncio.ensure_future(pump.next_event(60))
        assert await receive(peer, 2) == b"ab"  # flushed because it has to wait
        await send(peer, b"o\n")
        assert await waiting == Line(b"two")
        assert (pump.received, pump.sent) == (8, 2)


async def test_nothing_is_sent_before_it_must() -> None:
    async with connected() as (pump, _, peer):
        await send(peer, b"one\ntwo\n")
        assert await pump.next_event(60) == Line(b"one")
        pump.write(b"1")
        assert await pump.next_event(60) == Line(b"two")
        await asyncio.sleep(0)
        with pytest.raises(BlockingIOError):
            peer.recv(1)
        pump.flush()
        assert await receive(peer, 1) == b"1"


async def test_timeout_counts_from_the_call_and_trickling_octets_do_not_help() -> None:
    async with connected() as (pump, _, peer):

        async def trickle() -> None:
            while True:
                await send(peer, b"x")
                await asyncio.sleep(0.01)

        trickling = asyncio.ensure_future(trickle())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pump.next_event(0.1), 60)
        trickling.cancel()
        await send(peer, b"\n")  # and the connection is as good as before
        assert isinstance(await pump.next_event(60), Line)


async def test_one_timer_serves_changing_deadlines() -> None:
    async with connected() as (pump, _, peer):
        for timeout in (1000.0, 2000.0, 500.0):
            await send(peer, b"x\n")
            assert await pump.next_event(timeout) == Line(b"x")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pump.next_event(0.05), 60)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pump.next_event(0.05), 60)


async def test_wake() -> None:
    async with connected() as (pump, _, peer):
        pump.wake()
        assert await pump.next_event(60) is Woken.WOKEN
        waiting = asyncio.ensure_future(pump.next_event(60))
        await asyncio.sleep(0)
        pump.wake()
        assert await waiting is Woken.WOKEN
        await send(peer, b"x\n")
        assert await pump.next_event(60) == Line(b"x")


async def test_clean_end_is_an_event_and_replies_still_arrive() -> None:
    async with connected() as (pump, _, peer):
        await send(peer, b"last\n")
        peer.shutdown(socket.SHUT_WR)
        assert await pump.next_event(60) == Line(b"last")
        assert await pump.next_event(60) == Closed()
        pump.write(b"bye")
        pump.flush()
        assert await receive(peer, 3) == b"bye"


async def test_reset_is_an_error_after_what_came_before_it() -> None:
    async with connected() as (pump, _, peer):
        await send(peer, b"last\n")
        assert await pump.next_event(60) == Line(b"last")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.close()
        with pytest.raises(ConnectionError):
            await pump.next_event(60)
        pump.write(b"into nothing")
        with pytest.raises(ConnectionError):
            await pump.drain()


async def test_pipelining_flood_waits_in_the_kernel() -> None:
    async with connected() as (pump, connection, peer):
        flood = asyncio.ensure_future(asyncio.get_running_loop().sock_sendall(peer, b"noop\n" * 2_000_000))
        for _ in range(1000):
            assert await pump.next_event(60) == Line(b"noop")
        assert not flood.done()
        # One read is at most 256 KB and one may be under way when reading stops.
        assert connection.most_buffered <= pump_module.MAX_INPUT + 2 * 256 * 1024
        flood.cancel()


async def test_other_tasks_run_during_a_pipeline() -> None:
    async with connected() as (pump, _, peer):
        await send(peer, b"noop\n" * 200)
        assert await pump.next_event(60) == Line(b"noop")
        ran = asyncio.Event()
        asyncio.get_running_loop().call_soon(ran.set)
        count = 1
        while not ran.is_set():
            await pump.next_event(60)
            count += 1
        assert count <= pump_module.TURNS + 1


@pytest.mark.parametrize("tls", [False, True])
async def test_slow_reader_is_waited_for(tls: bool, authority: Authority, server_context: ssl.SSLContext) -> None:
    """drain() does not return while the peer does not read; nothing is lost or reordered."""
    async with connected(server_context, buffers=16384) as (pump, _, peer):
        if tls:
            starting = asyncio.ensure_future(pump.start_tls())
            reader, writer = await asyncio.wait_for(
                asyncio.open_connection(
                    sock=peer, ssl=authority.client_context(), server_hostname="mail.example.net", limit=4096
                ),
                10,
            )
            await starting
        data = bytes(range(256)) * 4096  # 1 MB
        handed = 0

        async def produce() -> None:
            nonlocal handed
            for start in range(0, len(data), 50_000):
                pump.write(data[start : start + 50_000])
                await pump.drain()
                handed = start + 50_000

        producing = asyncio.ensure_future(produce())
        for _ in range(50):
            await asyncio.sleep(0)
        stuck = handed
        assert stuck < len(data) // 2
        if tls:
            got = await asyncio.wait_for(reader.readexactly(len(data)), 60)
            writer.transport.abort()
        else:
            got = await receive(peer, len(data))
        await producing
        assert got == data


async def test_peer_that_takes_nothing_is_dropped() -> None:
    async with connected(write_timeout=0.1, buffers=8192) as (pump, _, peer):
        await send(peer, b"x\n" * 3)

        async def produce() -> None:
            for _ in range(1000):
                pump.write(b"y" * 65536)
                await asyncio.wait_for(pump.drain(), 60)

        with pytest.raises(ConnectionAbortedError, match="takes no data"):
            await produce()


async def test_no_event_for_a_peer_that_does_not_read_its_replies() -> None:
    async with connected(write_timeout=0.1, buffers=8192) as (pump, _, peer):
        await send(peer, b"x\n" * 1000)
        events = 0

        async def answer() -> None:
            nonlocal events
            while True:
                await asyncio.wait_for(pump.next_event(60), 60)
                events += 1
                pump.write(b"y" * 100_000)

        with pytest.raises(ConnectionAbortedError):
            await answer()
        assert events < 30


async def test_start_tls_discards_what_came_before(authority: Authority, server_context: ssl.SSLContext) -> None:
    """Commands that somebody put behind STARTTLS are never run [RFC9051 6.2.1]."""
    async with connected(server_context) as (pump, connection, peer):
        await send(peer, b"starttls\nevil\nev")
        assert await pump.next_event(60) == Line(b"starttls")
        assert connection.buffered
        pump.write(b"ok\n")
        starting = asyncio.ensure_future(pump.start_tls())
        assert await receive(peer, 3) == b"ok\n"
        reader, writer = await asyncio.wait_for(
            asyncio.open_connection(sock=peer, ssl=authority.client_context(), server_hostname="mail.example.net"), 60
        )
        await starting
        assert pump.tls
        assert pump.tls_description.startswith("TLSv1.3 with cipher ")
        writer.write(b"good\n")
        assert await pump.next_event(60) == Line(b"good")
        pump.write(b"reply\n")
        pump.flush()
        assert await asyncio.wait_for(reader.readline(), 60) == b"reply\n"
        writer.close()
        assert await pump.next_event(60) == Closed()


async def test_plain_octets_instead_of_a_handshake_fail_it(server_context: ssl.SSLContext) -> None:
    async with connected(server_context) as (pump, connection, peer):
        starting = asyncio.ensure_future(pump.start_tls())
        await asyncio.sleep(0)
        await send(peer, b"evil\nevil\n")
        with pytest.raises(ConnectionAbortedError, match="handshake failed"):
            await asyncio.wait_for(starting, 60)
        assert not connection.buffered


async def test_close_sends_what_is_queued() -> None:
    async with connected() as (pump, _, peer):
        pump.write(b"z" * 500_000)
        closing = asyncio.ensure_future(pump.close())
        assert await receive(peer, 500_000) == b"z" * 500_000
        assert await asyncio.get_running_loop().sock_recv(peer, 1) == b""
        peer.close()
        await asyncio.wait_for(closing, 60)


async def test_close_does_not_wait_for_ever() -> None:
    async with connected(buffers=8192) as (pump, _, _peer):
        for _ in range(20):
            pump.write(b"z" * 500_000)
        await asyncio.wait_for(pump.close(0.1), 60)
