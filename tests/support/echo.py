"""A line protocol to try pump, listener and server with: the smallest Connection, and a session that does what a line says.

``login NAME``, ``state TEXT``, ``starttls``, ``big OCTETS``, ``slow`` (until drained), ``crash``, ``pid``, ``whoami``, ``quit``;
anything else is echoed.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from mas.errors import TooManyConnections
from mas.protocols.session import Channel, Peer, Wait, Woken
from mas.services import Sessions


@dataclass(frozen=True, slots=True)
class Line:
    text: bytes


@dataclass(frozen=True, slots=True)
class Closed:
    pass


class EchoConnection:
    """Lines that end with LF."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._eof = False
        self.most_buffered = 0

    def receive_data(self, data: bytes) -> None:
        self._eof = self._eof or not data
        self._buffer += data
        self.most_buffered = max(self.most_buffered, len(self._buffer))

    def next_event(self) -> Line | Closed | Wait:
        end = self._buffer.find(b"\n")
        if end >= 0:
            line = bytes(self._buffer[:end]).rstrip(b"\r")
            del self._buffer[: end + 1]
            return Line(line)
        return Closed() if self._eof else Wait.NEED_DATA

    @property
    def buffered(self) -> bool:
        return bool(self._buffer)

    def discard_input(self) -> None:
        self._buffer.clear()


Event = Line | Closed


async def echo_session(channel: Channel[Event], sessions: Sessions, timeout: float = 30.0) -> None:
    """Serve one connection."""
    user = "-"
    channel.write(b"* hello %s\n" % (b"tls" if channel.tls else b"plain"))
    while True:
        try:
            event = await channel.next_event(timeout)
        except TimeoutError:
            channel.write(b"* bye timeout\n")
            return
        if isinstance(event, Woken):
            if channel.draining:
                channel.write(b"* bye draining\n")
                return
            channel.write(b"* woken\n")
            continue
        if isinstance(event, Closed):
            return
        word, _, rest = event.text.decode("latin-1").partition(" ")
        if word == "login":
            try:
                await sessions.login(channel.peer, rest, 2)
            except TooManyConnections:
                channel.write(b"* bye too many\n")
                return
            user = rest
            channel.write(b"ok login\n")
        elif word == "state":
            sessions.state(channel.peer, rest)
            channel.write(b"ok state\n")
        elif word == "starttls":
            channel.write(b"ok begin\n")
            await channel.start_tls()
            channel.write(b"* hello tls\n")
        elif word == "big":
            left = int(rest)
            while left:
                piece = min(left, 65536)
                channel.write(b"x" * piece)
                await channel.drain()
                left -= piece
            channel.write(b"\nok big\n")
        elif word == "slow":
            channel.write(b"ok slow\n")
            while not channel.draining:
                await channel.next_event(timeout)
            channel.write(b"ok delivered\n* bye draining\n")
            return
        elif word == "crash":
            raise ValueError("a bug in a session")
        elif word == "pid":
            channel.write(b"%d\n" % os.getpid())
        elif word == "whoami":
            channel.write(f"{user} {channel.peer.session_id} {channel.tls_description}\n".encode())
        elif word == "quit":
            channel.write(b"* bye\n")
            return
        else:
            channel.write(event.text + b"\n")


def opener(
    sessions: Sessions, timeout: float = 30.0
) -> Callable[[Peer, bool], tuple[Any, Callable[[Any], Awaitable[None]]]]:
    """For ``listener.Service.open``."""

    def start(_: Peer, __: bool) -> tuple[EchoConnection, Callable[[Any], Awaitable[None]]]:
        return EchoConnection(), lambda channel: echo_session(channel, sessions, timeout)

    return start
