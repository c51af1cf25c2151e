"""The wire of one LMTP connection: octets to events. Pure.

Three ways to read what comes:

    command   a line up to LF; longer than ``max_line`` is skipped to its end and told as one BadCommand
    data      after begin_data(): up to CRLF "." CRLF, and a leading dot taken off every other line [RFC5321 4.5.2]
    chunk     after a BDAT command, by itself: exactly as many octets as it said [RFC3030 2]

Only CRLF "." CRLF ends data. A dot between bare LFs or bare CRs is text: two programs that disagree on this let a sender smuggle a second
message past the first one. Commands may end in a bare LF; that can smuggle nothing, since no sender's text is read as commands.

Octets of data and chunks come out in pieces as large as they came in; nothing is gathered. A piece of data may end anywhere.
Must not know: whether a command is allowed now, replies, time.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from mas.protocols.lmtp.grammar import BadCommand, Bdat, Command, parse_command
from mas.protocols.session import Wait


@dataclass(frozen=True, slots=True)
class MessageOctets:
    """A piece of the message, never empty."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class MessageEnd:
    """The data, or the present chunk, is complete."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The client closed the connection. Anything unfinished is to be forgotten."""


Event = Command | BadCommand | MessageOctets | MessageEnd | Closed

_MESSAGE_END = MessageEnd()
_CLOSED = Closed()


class _Mode(enum.Enum):
    COMMAND = 1
    SKIP_LINE = 2
    DATA = 3
    CHUNK = 4


class LmtpConnection:
    """See ``mas.protocols.session.Connection``."""

    def __init__(self, max_line: int = 4096) -> None:
        self._max_line = max_line
        self._buffer = b""
        self._at = 0
        self._mode = _Mode.COMMAND
        self._line_start = True
        self._chunk_left = 0
        self._ended = False

    def receive_data(self, data: bytes) -> None:
        """Octets from the client; ``b""`` is the end of the stream."""
        if not data:
            self._ended = True
        elif self._at == len(self._buffer):
            self._buffer, self._at = data, 0
        else:
            self._buffer, self._at = self._buffer[self._at :] + data, 0

    def next_event(self) -> Event | Wait:
        """The next event, or Wait.NEED_DATA."""
        event: Event | None
        if self._mode is _Mode.DATA:
            event = self._take_data()
        elif self._mode is _Mode.CHUNK:
            event = self._take_chunk()
        else:
            event = self._take_line()
        if event is not None:
            return event
        return _CLOSED if self._ended else Wait.NEED_DATA

    def begin_data(self) -> None:
        """DATA was accepted: what follows is the message."""
        self._mode = _Mode.DATA
        self._line_start = True

    @property
    def buffered(self) -> bool:
        """Octets wait that made no event yet."""
        return self._at < len(self._buffer)

    def discard_input(self) -> None:
        """Forget them (STARTTLS)."""
        self._buffer, self._at, self._mode = b"", 0, _Mode.COMMAND

    def _take_line(self) -> Command | BadCommand | None:
        end = self._buffer.find(b"\n", self._at)
        if end < 0:
            if len(self._buffer) - self._at > self._max_line:
                self._mode = _Mode.SKIP_LINE
            if self._mode is _Mode.SKIP_LINE:
                self._buffer, self._at = b"", 0
            return None
        line = self._buffer[self._at : end]
        self._at = end + 1
        if self._mode is _Mode.SKIP_LINE or len(line) > self._max_line:
            self._mode = _Mode.COMMAND
            return BadCommand(500, "5.5.2", f"Line is longer than {self._max_line} octets")
        command = parse_command(line.removesuffix(b"\r"))
        if isinstance(command, Bdat):
            self._mode = _Mode.CHUNK
            self._chunk_left = command.size
        return command

    def _take_chunk(self) -> MessageOctets | MessageEnd | None:
        if not self._chunk_left:
            self._mode = _Mode.COMMAND
            return _MESSAGE_END
        octets = self._buffer[self._at : self._at + self._chunk_left]
        if not octets:
            return None
        self._at += len(octets)
        self._chunk_left -= len(octets)
        return MessageOctets(octets)

    def _take_data(self) -> MessageOctets | MessageEnd | None:
        """All that is certain of the buffer. Held back are a CR at its very end, and a dot that may become the end mark."""
        buffer, at = self._buffer, self._at
        pieces: list[bytes] = []
        while True:
            if self._line_start:
                head = buffer[at : at + 3]
                if head == b".\r\n" and not pieces:
                    self._at = at + 3
                    self._mode = _Mode.COMMAND
                    return _MESSAGE_END
                if head in (b".\r\n", b".\r", b".", b""):
                    break
                self._line_start = False
                at += head.startswith(b".")
            mark = buffer.find(b"\r\n.", at)
            if mark < 0:
                end = len(buffer) - buffer.endswith(b"\r")
                pieces.append(buffer[at:end])
                self._line_start = buffer.endswith(b"\r\n")
                at = end
                break
            pieces.append(buffer[at : mark + 2])
            self._line_start = True
            at = mark + 2
        self._at = at
        octets = b"".join(pieces)
        return MessageOctets(octets) if octets else None
