"""Feeds an ImapConnection and answers its events as the simplest session would."""

from __future__ import annotations

from mas.protocols.imap import commands
from mas.protocols.imap.connection import ImapConnection
from mas.protocols.imap.events import (
    Closed,
    Continuation,
    Event,
    ImapLimits,
    LiteralChunk,
    LiteralOffered,
    State,
)
from mas.protocols.session import Wait

NEXT = b"next NOOP\r\n"


class Driver:
    """A connection and what it gave. Chunks of a literal are joined; every command is done as soon as it is whole."""

    def __init__(
        self,
        state: State = State.SELECTED,
        *,
        utf8: bool = False,
        accept: bool = True,
        limits: ImapLimits | None = None,
    ) -> None:
        self.imap = ImapConnection(limits)
        self.imap.state = state
        self.imap.utf8 = utf8
        self.accept = accept
        self.events: list[Event] = []
        self.written = b""
        self._chunks: list[bytes] = []

    def feed(self, data: bytes) -> None:
        """Octets in, all their events out."""
        self.imap.receive_data(data)
        while not isinstance(event := self.imap.next_event(), Wait):
            self._answer(event)
            if isinstance(event, Closed):
                return

    def _answer(self, event: Event) -> None:
        imap = self.imap
        match event:
            case LiteralChunk(chunk, last):
                self._chunks.append(chunk)
                if last:
                    self.events.append(LiteralChunk(b"".join(self._chunks), last=True))
                    self._chunks.clear()
                return
            case LiteralOffered() if self.accept:
                self.written += imap.accept_literal()
            case LiteralOffered():
                imap.refuse_literal()
                imap.command_done()
            case commands.Idle():
                self.written += imap.start_idle()
            case commands.Authenticate():
                self.written += imap.challenge(b"")
            case commands.Append() | Closed():
                pass
            case Continuation(data):
                self.written += data
            case _:
                imap.command_done()
        self.events.append(event)


def events(
    data: bytes,
    state: State = State.SELECTED,
    *,
    utf8: bool = False,
    accept: bool = True,
    limits: ImapLimits | None = None,
) -> list[Event]:
    """The events of ``data``: the same whole, octet by octet, and with another command behind it."""

    def driver() -> Driver:
        return Driver(state, utf8=utf8, accept=accept, limits=limits)

    whole = driver()
    whole.feed(data)

    slow = driver()
    for place in range(len(data)):
        slow.feed(data[place : place + 1])
    assert slow.events == whole.events, "octet by octet"

    followed = driver()
    followed.feed(data + NEXT)
    assert followed.events == [*whole.events, commands.Noop(b"next")], "with a command behind it"
    return whole.events


def command(data: bytes, state: State = State.SELECTED, *, utf8: bool = False) -> Event:
    """The one event of one line (CRLF is added)."""
    found = [event for event in events(data + b"\r\n", state, utf8=utf8) if not isinstance(event, Continuation)]
    assert len(found) == 1, found
    return found[0]
