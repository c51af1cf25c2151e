"""The pump: octets between one transport and one pure connection. The only reader and writer of a connection's socket.

Theory of operation. What arrives goes straight into ``connection.receive_data``; the session's task takes events out with
``next_event`` and is the only one that ever waits: for data, for room to write, or for the end. So there is one future at most, and
one timer, which is left running while deadlines move and re-armed when it fires early: a command costs no timer.

Output gathers in a list and goes out as one write when the session has to wait. Under TLS many small writes are thirty times slower
than a joined one, and a buffer of OpenSSL never shrinks while connected: so what is large goes in PIECEs, and none follows while the
transport says that it is full.

Limits: input that the connection has not used up stops the reading (a pipelining flood waits in the kernel); a session gets no further
event while its peer does not take the replies to the earlier ones; a peer that takes nothing for ``write_timeout`` is dropped; after
TURNS events without a wait the other sessions of this process get their turn.

Must not know: any protocol, how connections are accepted, the log.
"""

from __future__ import annotations

import asyncio
import enum
import ssl
from typing import Generic, TypeVar, cast

from mas.protocols.bindings import binding, certificate_name
from mas.protocols.session import Connection, Peer, Wait, Woken

EventT = TypeVar("EventT")

PIECE = 32 * 1024
"""Octets of one write to the transport; as much may gather before it is sent without being asked for."""
MAX_INPUT = 64 * 1024
"""Octets received and not used up by the connection, above which reading stops (one more read may arrive: 256 KB at most)."""
TURNS = 32
"""Events handed out of the buffer in a row before other tasks run."""
SLICE = 256 * 1024
"""Octets written in a row before other tasks run."""
NEVER = float("inf")


class _For(enum.Enum):
    """What the session's task waits for."""

    DATA = 1
    ROOM = 2
    END = 3


class Pump(asyncio.Protocol, Generic[EventT]):
    """One connection's Channel (``mas.protocols.session``)."""

    __slots__ = (
        "_backlog",
        "_connection",
        "_context",
        "_deadline",
        "_ended",
        "_handshake_timeout",
        "_loop",
        "_lost",
        "_out",
        "_out_size",
        "_paused",
        "_reading",
        "_run",
        "_timer",
        "_timer_at",
        "_transport",
        "_turns",
        "_unused",
        "_upgrading",
        "_waiter",
        "_waiting",
        "_woken",
        "_write_timeout",
        "draining",
        "peer",
        "received",
        "sent",
        "tls",
        "tls_description",
    )

    def __init__(
        self,
        connection: Connection[EventT],
        peer: Peer,
        context: ssl.SSLContext | None = None,
        *,
        handshake_timeout: float = 30.0,
        write_timeout: float = 300.0,
    ) -> None:
        """``context`` is for start_tls(); timeouts are seconds."""
        self._connection = connection
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._handshake_timeout = handshake_timeout
        self._write_timeout = write_timeout
        self._waiter: asyncio.Future[None] | None = None
        self._waiting = _For.DATA
        self._deadline = NEVER
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = NEVER
        self._woken = False
        self._ended = False  # the connection was given b""
        self._lost: Exception | None = None  # the transport is gone
        self._reading = True
        self._upgrading = False
        self._unused = 0
        self._turns = 0
        self._out: list[bytes] = []
        self._out_size = 0
        self._backlog: memoryview | None = None  # the rest of a joined write that is larger than a piece
        self._paused = False
        self._run = 0
        self.peer = peer
        self.tls = False
        self.tls_description = ""
        self.draining = False
        self.received = 0
        self.sent = 0

    # Channel: events

    async def next_event(self, timeout: float) -> EventT | Woken:
        """The next event of the connection. See Channel."""
        deadline = 0.0
        if self._backlog is not None or self._out_size > PIECE:
            await self._room()
        while True:
            if self._woken:
                self._woken = False
                self.flush()
                return Woken.WOKEN
            event = self._connection.next_event()
            if event is not Wait.NEED_DATA:
                self._turns += 1
                if self._turns >= TURNS:
                    self._turns = 0
                    self.flush()
                    await asyncio.sleep(0)
                return event
            self._unused = 0
            self._turns = 0
            if self._lost is not None:
                raise self._lost
            if self._ended:
                raise ConnectionResetError("the stream has ended")
            if self._out:
                self.flush()
            if not self._reading:
                self._reading = True
                self._open().resume_reading()
            if not deadline:
                deadline = self._loop.time() + timeout
            await self._wait(_For.DATA, deadline)

    def wake(self) -> None:
        """Make next_event() return Woken.WOKEN."""
        self._woken = True
        self._resolve(_For.DATA)

    # Channel: output

    def write(self, data: bytes) -> None:
        """Queue octets; after the end of the connection they go nowhere."""
        if not data or self._lost is not None:
            return
        self._out.append(data)
        self._out_size += len(data)
        if self._out_size >= PIECE:
            self.flush()

    def flush(self) -> None:
        """Send what is queued, as one write if it is small and the transport has room."""
        if self._out and not self._paused and self._backlog is None and self._transport is not None:
            data = self._join()
            if len(data) <= PIECE:
                self._transport.write(data)
            else:
                self._backlog = memoryview(data)
                self._send()

    async def drain(self) -> None:
        """flush() and wait for room. Raises ConnectionError when the peer is gone or takes nothing."""
        self.flush()
        if self._paused or self._backlog is not None:
            await self._room()
        elif self._run >= SLICE:
            self._run = 0
            await asyncio.sleep(0)
        if self._lost is not None:
            raise self._lost

    async def _room(self) -> None:
        """Wait until everything queued is in the hands of a transport that takes more."""
        while (self._paused or self._backlog is not None) and self._lost is None:
            try:
                await self._wait(_For.ROOM, self._loop.time() + self._write_timeout)
            except TimeoutError:
                self.abort()
                raise ConnectionAbortedError("the peer takes no data") from None
            self._run = 0
        self.flush()

    def _join(self) -> bytes:
        data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        self._out_size = 0
        self._run += len(data)
        self.sent += len(data)
        return data

    def _send(self) -> None:
        """Hand over pieces until the transport is full or nothing is left."""
        transport = self._open()
        while not self._paused and self._lost is None:
            view = self._backlog
            if view is None:
                if not self._out:
                    return
                view = memoryview(self._join())
            # Set before the write: pause_writing() may be called inside it.
            self._backlog = view[PIECE:] if len(view) > PIECE else None
            transport.write(view[:PIECE])

    # Channel: TLS

    async def start_tls(self) -> None:
        """Flush, forget every octet that came before the handshake, then TLS [RFC9051 6.2.1].

        The transport is stopped from reading before the reply that lets the client begin leaves, and the protocol is changed before it
        reads again: what an attacker put behind the command is either discarded here, or fed to the handshake, which fails.
        Raises ConnectionError.
        """
        if self._context is None or self.tls:
            raise ConnectionAbortedError("no TLS to start")
        transport = self._open()
        self._reading = False
        transport.pause_reading()
        await self.drain()
        self._connection.discard_input()
        self._unused = 0
        self._woken = False
        self._upgrading = True
        try:
            upgraded = await self._loop.start_tls(
                transport,
                self,
                self._context,
                server_side=True,
                ssl_handshake_timeout=self._handshake_timeout,
                ssl_shutdown_timeout=5.0,
            )
        except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
            raise ConnectionAbortedError(f"TLS handshake failed: {reason(error)}") from None
        finally:
            self._upgrading = False
        if upgraded is None:
            raise ConnectionResetError("connection lost during the TLS handshake")
        self._transport = upgraded
        self._reading = True
        if self.draining:
            self._woken = True
        self._describe_tls(upgraded)
        if self._unused > MAX_INPUT:
            self._stop_reading()

    def binding(self, kind: str) -> bytes | None:
        """See Channel."""
        connection = self._tls_object()
        return None if connection is None else binding(connection, kind)

    def certificate_name(self, field: str) -> str | None:
        """See Channel."""
        connection = self._tls_object()
        return None if connection is None else certificate_name(connection, field)

    def _tls_object(self) -> ssl.SSLObject | None:
        return self._transport.get_extra_info("ssl_object") if self._transport is not None and self.tls else None

    def _describe_tls(self, transport: asyncio.Transport) -> None:
        self.tls = True
        transport.set_write_buffer_limits(high=PIECE)
        cipher = transport.get_extra_info("cipher")
        if cipher:
            name, version, bits = cipher
            tls_version = transport.get_extra_info("ssl_object").version() or version
            self.tls_description = f"{tls_version} with cipher {name} ({bits}/{bits} bits)"

    # The end

    async def close(self, linger: float = 10.0) -> None:
        """Send what is queued, close, and wait until that is done; a peer that does not take it within ``linger`` seconds loses it."""
        deadline = self._loop.time() + linger
        try:
            self.flush()
            while (self._paused or self._backlog is not None) and self._lost is None:
                await self._wait(_For.ROOM, deadline)
            self.flush()
            if self._transport is not None:
                self._transport.close()
            while self._lost is None and self._transport is not None:
                await self._wait(_For.END, deadline)
        except TimeoutError:
            self.abort()

    def abort(self) -> None:
        """Close now; what is queued is lost."""
        if self._transport is not None:
            self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._transport.get_extra_info("ssl_object") is not None:
            self._describe_tls(self._transport)

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        self._unused += len(data)
        self._connection.receive_data(data)
        if self._unused > MAX_INPUT and not self._upgrading:
            self._stop_reading()
        self._resolve(_For.DATA)

    def eof_received(self) -> bool:
        self._end()
        self._resolve(_For.DATA)
        return not self.tls  # a half-closed plain connection still gets its replies; TLS cannot

    def connection_lost(self, exc: Exception | None) -> None:
        # A TLS peer that closes without close_notify, as many mail clients do, ends up here with no error: a clean end as well.
        # Nothing can be cut short by that: lines have an end, literals a length.
        if exc is None:
            self._end()
        self._lost = exc if isinstance(exc, ConnectionError) else ConnectionResetError(str(exc or "connection closed"))
        self._out.clear()
        self._out_size = 0
        self._backlog = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._timer_at = NEVER
        self._resolve(self._waiting)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._lost is None:
            self._send()
        if not self._paused:
            self._resolve(_For.ROOM)

    # The one future and the one timer

    def _wait(self, what: _For, deadline: float) -> asyncio.Future[None]:
        """A future that ends with what is waited for, or with TimeoutError at ``deadline`` (loop time)."""
        self._waiting = what
        self._deadline = deadline
        if deadline < self._timer_at:
            self._arm(deadline)
        self._waiter = waiter = self._loop.create_future()
        return waiter

    def _arm(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = when
        self._timer = self._loop.call_at(when, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._timer_at = NEVER
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        # The loop's clock has milliseconds: a timer may fire a little before its time.
        if self._loop.time() + 0.002 < self._deadline:
            self._arm(self._deadline)
        else:
            self._waiter = None
            waiter.set_exception(TimeoutError())

    def _resolve(self, what: _For) -> None:
        waiter = self._waiter
        if waiter is not None and self._waiting is what:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._connection.receive_data(b"")

    def _stop_reading(self) -> None:
        if self._reading and self._lost is None:
            self._reading = False
            self._open().pause_reading()

    def _open(self) -> asyncio.Transport:
        if self._lost is not None:
            raise self._lost
        assert self._transport is not None, "no transport yet"
        return self._transport


def reason(error: BaseException) -> str:
    """What OpenSSL or the system said, in a few words for one log line."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.lower().replace("_", " ")
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
