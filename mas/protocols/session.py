"""What a protocol session sees of the network: one Channel. The pump implements it over a real transport, tests over lists of bytes.

A protocol is three things: a pure Connection (bytes to events, responses to bytes), a session (an async function that takes events from
the channel and answers them), and nothing else. The channel owns every byte, timeout and TLS state; the session never sees a socket.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol, TypeVar

EventT_co = TypeVar("EventT_co", covariant=True)


class Wait(enum.Enum):
    """A connection's answer when it has no event."""

    NEED_DATA = "need data"


class Woken(enum.Enum):
    """What next_event() returns when wake() was called before an event came (IDLE: the mailbox has changed; shutdown)."""

    WOKEN = "woken"


class Connection(Protocol[EventT_co]):
    """The pure side of one connection: no socket, no clock, no log. Framing first, grammar second, each byte looked at once."""

    def receive_data(self, data: bytes) -> None:
        """Octets from the peer; ``b""`` is the end of the stream."""
        ...

    def next_event(self) -> EventT_co | Wait:
        """The next event, or Wait.NEED_DATA. One command at a time: pipelined ones wait in the buffer as bytes."""
        ...

    @property
    def buffered(self) -> bool:
        """Octets are waiting that made no event yet (discarded by start_tls)."""
        ...

    def discard_input(self) -> None:
        """Forget what was received and not yet handed out (STARTTLS)."""
        ...


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end. ``address`` is empty for a unix socket; ``session_id`` is in every log line of the session."""

    session_id: str
    service: str
    address: str = ""
    port: int = 0
    local_address: str = ""
    local_port: int = 0


class Channel(Protocol[EventT_co]):
    """The pump, as a session sees it."""

    peer: Peer
    tls: bool
    tls_description: str
    """``TLSv1.3 with cipher …``; empty before TLS."""
    draining: bool
    """The server is stopping: finish the command, say BYE, return. A wake() comes with it."""
    received: int
    sent: int
    """Octets so far, without TLS's own; for the log."""

    def binding(self, kind: str) -> bytes | None:
        """Channel binding data of this TLS connection: ``tls-exporter`` [RFC9266], ``tls-server-end-point`` or ``tls-unique`` [RFC5929];
        None when it has none of that type."""
        ...

    def certificate_name(self, field: str) -> str | None:
        """A field of the subject (``commonName``) of the client's certificate; None without one that was verified."""
        ...

    async def next_event(self, timeout: float) -> EventT_co | Woken:
        """The next event of the connection. What was written is flushed first when bytes must be awaited.

        Raises TimeoutError after ``timeout`` seconds without an event, ConnectionError when the peer is gone without a clean end
        (a clean end is fed to the connection as ``b""`` and becomes its own event)."""
        ...

    def wake(self) -> None:
        """Make a present or the next next_event() return Woken.WOKEN. Callable from any callback on the loop."""
        ...

    def write(self, data: bytes) -> None:
        """Queue octets. Joined and sent in pieces that suit TLS; nothing is sent before flush(), drain() or next_event() has to wait,
        except when much has gathered."""
        ...

    def flush(self) -> None:
        """Send what is queued now, as one write."""
        ...

    async def drain(self) -> None:
        """flush() and wait until the transport takes more (between pieces of something large)."""
        ...

    async def start_tls(self) -> None:
        """Flush, discard every octet received before the handshake, then TLS. Raises ConnectionError when the handshake fails."""
        ...
