"""The listener: accepts connections and runs one session task for each.

Sockets come from the supervisor, open and bound; every worker accepts from the same ones, so the queue of a port outlives any worker.
What escapes from a session is one log line with its id and the end of that connection, of no other.

Must not know: what a protocol says, what a configuration file looks like, who the user is.
"""

from __future__ import annotations

import asyncio
import base64
import errno
import os
import socket
import ssl
import time
import traceback
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, Protocol

from mas.errors import TooManyConnections
from mas.logs import get_logger
from mas.metrics import table as metrics
from mas.protocols.proxy import Client, HeaderReader, ProxyError, Rules
from mas.protocols.pump import Pump, reason
from mas.protocols.session import Channel, Connection, Peer

log = get_logger("listener")

Session = Callable[[Channel[Any]], Awaitable[None]]
"""The session of one connection: returns when the conversation is over; the connection is closed then."""

ACCEPTS = 8
"""Connections taken in one turn, so that a burst is shared among the workers."""
CLOSE_DRAINING = 2.0
"""Seconds at most that a peer has to take the last octets while the server stops."""
BEGIN_DRAINING = 2.0
"""Seconds at most that a connection has to come through its handshake while the server stops, to be told that it does."""


@dataclass(frozen=True, slots=True)
class Service:
    """A protocol, as the listener needs it.

    name: ``imap``, ``sieve``, ``lmtp``, ``auth``; in the log and in Peer.service.
    open: makes the pure connection and the session for one peer; the flag says whether TLS is there from the start.
    max_connections: of this service in one worker. max_login_connections, …_per_ip: of those, not logged in yet (0 = no limit).
    handshake_timeout: seconds for TLS. write_timeout: for a peer that takes nothing. close_timeout: for one that has to take the last
    octets, and answer the end of TLS.
    """

    name: str
    open: Callable[[Peer, bool], tuple[Connection[Any], Session]]
    max_connections: int = 0
    max_login_connections: int = 0
    max_login_connections_per_ip: int = 0
    handshake_timeout: float = 30.0
    write_timeout: float = 300.0
    close_timeout: float = 10.0


class Register(Protocol):
    """Who is connected. ``mas.sessions`` has it."""

    def connected(self, peer: Peer, service: Service) -> None:
        """A new connection. Raises TooManyConnections."""
        ...

    def ended(self, peer: Peer) -> None:
        """It is gone. Never blocks, never raises."""
        ...


class Connections:
    """The live connections of this process, by session id. ``kick_timeout``: seconds that a kicked session has for its goodbye."""

    def __init__(self, kick_timeout: float = 10.0) -> None:
        self._kick_timeout = kick_timeout
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._pumps: dict[str, Pump[Any]] = {}
        self._empty = asyncio.Event()
        self._empty.set()
        self.draining = False

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, peer: Peer, work: Coroutine[Any, Any, None], ended: Callable[[Peer], None]) -> None:
        """Run ``work`` as the task of a connection; ``ended`` is called after it, even if it could never begin."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[peer.session_id] = task
        self._empty.clear()

        def done(_: asyncio.Task[None]) -> None:
            self._done(peer.session_id)
            ended(peer)

        task.add_done_callback(done)

    def attach(self, pump: Pump[Any]) -> None:
        """The connection has a channel from now on."""
        self._pumps[pump.peer.session_id] = pump
        if self.draining:
            self._tell(pump)

    def _done(self, session_id: str) -> None:
        self._pumps.pop(session_id, None)
        del self._tasks[session_id]
        if not self._tasks:
            self._empty.set()

    def kick(self, session_id: str) -> bool:
        """Tell a session to say goodbye, and end it soon whether it does or not. False when it is not here."""
        task = self._tasks.get(session_id)
        if task is None:
            return False
        pump = self._pumps.get(session_id)
        if pump is None:  # no handshake yet: nothing to say
            task.cancel()
        else:
            self._tell(pump)
            asyncio.get_running_loop().call_later(self._kick_timeout, task.cancel)
        return True

    def drain(self) -> None:
        """The server stops: every session finishes its command, says goodbye and returns.

        A connection that has just been accepted begins its session first: Postfix, or who asks for /healthz, gets an answer.
        """
        self.draining = True
        for pump in self._pumps.values():
            self._tell(pump)
        asyncio.get_running_loop().call_later(BEGIN_DRAINING, self._cancel_handshakes)

    def _cancel_handshakes(self) -> None:
        for session_id in self._tasks.keys() - self._pumps.keys():
            self._tasks[session_id].cancel()

    @staticmethod
    def _tell(pump: Pump[Any]) -> None:
        pump.draining = True
        pump.wake()

    async def wait_empty(self, timeout: float) -> bool:
        """Whether every connection has ended within ``timeout`` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True

    async def cancel(self) -> None:
        """End what is left, at once."""
        left = list(self._tasks.values())
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=5)


class Listener:
    """One listening socket in one worker."""

    def __init__(
        self,
        sock: socket.socket,
        service: Service,
        connections: Connections,
        register: Register,
        context: ssl.SSLContext | None = None,
        *,
        implicit_tls: bool = False,
        proxied: Rules | None = None,
    ) -> None:
        """``context`` is for STARTTLS, or for the handshake at once with ``implicit_tls``. ``proxied``: a PROXY header is first."""
        self._sock = sock
        self._service = service
        self._connections = connections
        self._register = register
        self._context = context
        self._implicit_tls = implicit_tls
        self._proxied = proxied
        self._headers_awaited: set[str] = set()
        self._resume: asyncio.TimerHandle | None = None
        self._refusals_logged: dict[str, float] = {}

    def start(self) -> None:
        """Accept from now on."""
        self._sock.setblocking(False)
        asyncio.get_running_loop().add_reader(self._sock.fileno(), self._accept)

    def stop(self) -> None:
        """Accept no more. The socket stays open: others may accept from it."""
        asyncio.get_running_loop().remove_reader(self._sock.fileno())
        if self._resume is not None:
            self._resume.cancel()
            self._resume = None

    def _accept(self) -> None:
        for _ in range(ACCEPTS):
            try:
                sock, address = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause(error)
                return
            sock.setblocking(False)
            peer = make_peer(self._service.name, sock, address)
            if self._proxied is not None:
                self._accept_proxied(sock, peer, self._proxied)
            elif self._admit(sock, peer):
                self._connections.start(peer, self._serve(sock, peer), self._ended)

    def _admit(self, sock: socket.socket, peer: Peer) -> bool:
        """Count the connection; one that is too much is closed."""
        try:
            self._register.connected(peer, self._service)
        except TooManyConnections as error:
            self._refused(peer, str(error), "limit")
            sock.close()
            return False
        metrics.CONNECTIONS_TOTAL[peer.service].add()
        metrics.CONNECTIONS[peer.service].add(1)
        return True

    def _accept_proxied(self, sock: socket.socket, proxy_peer: Peer, rules: Rules) -> None:
        """A connection counts from its header on, as the client's; until then, as one of those that are waited for."""
        limit = self._service.max_login_connections
        if not rules.trusts(proxy_peer.address):
            self._refused(proxy_peer, "the address is not in proxy.trusted_networks", "proxy")
            sock.close()
        elif limit and len(self._headers_awaited) >= limit:
            self._refused(proxy_peer, f"max_login_connections = {limit} is reached", "limit")
            sock.close()
        else:
            self._headers_awaited.add(proxy_peer.session_id)
            self._connections.start(
                proxy_peer,
                self._serve_proxied(sock, proxy_peer, rules),
                lambda peer: self._headers_awaited.discard(peer.session_id),
            )

    async def _serve_proxied(self, sock: socket.socket, proxy_peer: Peer, rules: Rules) -> None:
        try:
            client = await _read_header(sock, rules.timeout)
        except (ProxyError, OSError, TimeoutError) as error:
            sock.close()
            if isinstance(error, ConnectionError):  # a health check that only looks whether somebody accepts
                log.debug("no PROXY header", service=proxy_peer.service, address=proxy_peer.address, why=str(error))
            else:
                self._refused(proxy_peer, str(error) or "no PROXY header in time", "proxy")
            return
        except asyncio.CancelledError:
            sock.close()
            raise
        finally:
            self._headers_awaited.discard(proxy_peer.session_id)
        peer = proxy_peer
        if client is not None:
            peer = replace(
                peer,
                address=client.address,
                port=client.port,
                local_address=client.local_address,
                local_port=client.local_port,
            )
        if self._admit(sock, peer):
            try:
                await self._serve(sock, peer)
            finally:
                self._ended(peer)

    def _ended(self, peer: Peer) -> None:
        metrics.CONNECTIONS[peer.service].add(-1)
        self._register.ended(peer)

    def _pause(self, error: OSError) -> None:
        """Out of file descriptors or memory: others may end meanwhile; trying on at once would only burn the CPU."""
        log.error(
            "cannot accept", service=self._service.name, error=error.strerror or errno.errorcode.get(error.errno or 0)
        )
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._sock.fileno())
        self._resume = loop.call_later(1.0, self.start)

    async def _serve(self, sock: socket.socket, peer: Peer) -> None:
        pump: Pump[Any] | None = None
        try:
            connection, session = self._service.open(peer, self._implicit_tls)
            pump = await self._connect(sock, peer, connection)
            if pump is not None:
                self._connections.attach(pump)
                await session(pump)
        except (ConnectionError, TimeoutError) as error:
            log.debug("connection lost", session=peer.session_id, service=peer.service, why=reason(error))
        except asyncio.CancelledError:
            if pump is not None:
                pump.abort()
            raise
        except Exception as error:
            log.error(
                "session failed",
                session=peer.session_id,
                service=peer.service,
                error=f"{type(error).__name__}: {error}",
                exc_info=error,
            )
        finally:
            if pump is None:
                sock.close()
        if pump is not None:
            timeout = self._service.close_timeout
            await pump.close(min(timeout, CLOSE_DRAINING) if pump.draining else timeout)

    async def _connect(self, sock: socket.socket, peer: Peer, connection: Connection[Any]) -> Pump[Any] | None:
        """The pump over ``sock``, after the handshake when TLS comes first; None when that failed."""
        service = self._service
        pump: Pump[Any] = Pump(
            connection,
            peer,
            self._context,
            handshake_timeout=service.handshake_timeout,
            write_timeout=service.write_timeout,
        )
        loop = asyncio.get_running_loop()
        try:
            if self._implicit_tls:
                await loop.connect_accepted_socket(
                    lambda: pump,
                    sock,
                    ssl=self._context,
                    ssl_handshake_timeout=service.handshake_timeout,
                    ssl_shutdown_timeout=5.0,
                )
            else:
                await loop.connect_accepted_socket(lambda: pump, sock)
        except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
            metrics.CONNECTIONS_REFUSED[peer.service, "tls"].add()
            log.info(
                "TLS handshake failed",
                session=peer.session_id,
                service=peer.service,
                address=peer.address,
                why=reason(error),
            )
            return None
        return pump

    def _refused(self, peer: Peer, why: str, label: str) -> None:
        """One line a second for each reason is enough to know of a flood. ``label`` is the metric's."""
        metrics.CONNECTIONS_REFUSED[peer.service, label].add()
        now = time.monotonic()
        if now - self._refusals_logged.get(why, float("-inf")) >= 1.0:
            self._refusals_logged[why] = now
            log.warning("connection refused", service=peer.service, address=peer.address, why=why)


def make_peer(service: str, sock: socket.socket, address: Any) -> Peer:
    """The two ends of an accepted socket, as text; an IPv4 address is written as such on a dual-stack socket too."""
    if sock.family == socket.AF_UNIX:
        return Peer(new_session_id(), service)
    try:
        local = sock.getsockname()
    except OSError:  # gone already
        local = ("", 0)
    return Peer(new_session_id(), service, plain(address[0]), address[1], plain(local[0]), local[1])


async def _read_header(sock: socket.socket, timeout: float) -> Client | None:
    """Exactly the octets of the header. Raises ProxyError, TimeoutError, OSError."""
    loop = asyncio.get_running_loop()
    reader = HeaderReader()
    async with asyncio.timeout(timeout):
        while reader.wants:
            try:
                octets = sock.recv(reader.wants)
            except BlockingIOError:
                readable = loop.create_future()
                loop.add_reader(sock.fileno(), _done, readable)
                try:
                    await readable
                finally:
                    loop.remove_reader(sock.fileno())
                continue
            if not octets:
                raise ConnectionResetError("closed before the header was whole")
            reader.feed(octets)
    return reader.client


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def plain(address: str) -> str:
    """``::ffff:192.0.2.1`` is 192.0.2.1; a zone (``%eth0``) is left out."""
    return address.removeprefix("::ffff:") if "." in address else address.partition("%")[0]


def new_session_id() -> str:
    """Sixteen characters of base64: 48 bits of the clock in microseconds, 48 random ones. Sorts by nothing, repeats never."""
    return base64.b64encode((time.time_ns() // 1000).to_bytes(8, "little")[:6] + os.urandom(6)).decode()


def where(error: BaseException) -> str:
    """The innermost calls of an exception, on one line."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    return " < ".join(f"{os.path.basename(f.filename)}:{f.lineno} {f.name}" for f in reversed(frames))
