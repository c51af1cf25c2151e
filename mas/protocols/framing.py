"""Lines and counted octets of a command stream, under limits.  Shared by IMAP, ManageSieve and LMTP.

A ``LineBuffer`` holds what the peer has sent and nobody has taken. Whoever reads it asks for a line, or for counted octets; None means
that they have not all come. Each octet is looked at once: the search for LF goes on where it stopped, however small the pieces that
arrive, and what has been taken is gone from the buffer.

Promises: nothing taken is ever longer than the limit asked for; after LineTooLong the stream can be brought back in step with
``skip_line()``, which costs no memory for the rest of the line.

Must not know: commands, tags, sockets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mas.errors import MasError

TAIL = 64
"""Octets of a skipped line that are kept: enough for the literal it may announce at its end."""

# literal  = "{" number64 ["+"] "}" CRLF *CHAR8    [RFC9051 9] [RFC7888 8] [RFC5804 4, always with "+"]
# literal8 = "~{" number64 ["+"] "}" CRLF *OCTET   [RFC3516 7]; with LITERAL+ also without waiting [RFC7888 6]
_ANNOUNCED = re.compile(rb"(~?)\{([0-9]{1,20})(\+?)\}\Z")


class LineTooLong(MasError):
    """A line passed the limit. ``start`` is its beginning (for the tag); the rest is still to come, or still in the buffer."""

    def __init__(self, limit: int, start: bytes) -> None:
        super().__init__(f"line is longer than {limit} octets")
        self.limit = limit
        self.start = start


@dataclass(frozen=True, slots=True)
class Announced:
    """A literal that the end of a line announces. ``synchronizing``: the peer waits for a continuation request."""

    size: int
    synchronizing: bool
    literal8: bool


def announced_literal(line: bytes) -> Announced | None:
    """The literal announced by a line (without its line end), or None."""
    if not line.endswith(b"}"):
        return None
    found = _ANNOUNCED.search(line)
    if found is None:
        return None
    tilde, size, plus = found.groups()
    return Announced(int(size), not plus, bool(tilde))


class LineBuffer:
    """Octets received and not yet taken."""

    __slots__ = ("_buffer", "_scanned")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0  # no LF before this place

    def __len__(self) -> int:
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Octets from the peer."""
        self._buffer += data

    def clear(self) -> None:
        """Forget everything."""
        self._buffer.clear()
        self._scanned = 0

    def line(self, limit: int) -> bytes | None:
        """The next line without its line end, or None while it has not all come. Raises LineTooLong above ``limit`` octets.

        Deviation: a bare LF ends a line, as for Dovecot; CR is only taken off directly before LF.
        """
        buffer = self._buffer
        end = buffer.find(b"\n", self._scanned)
        if end < 0:
            self._scanned = len(buffer)
            if self._scanned > limit + 1:  # the last octet may be the CR of a line of exactly ``limit``
                raise LineTooLong(limit, bytes(buffer[:TAIL]))
            return None
        stop = end - 1 if end and buffer[end - 1] == 0x0D else end
        if stop > limit:
            self._scanned = end
            raise LineTooLong(limit, bytes(buffer[:TAIL]))
        line = bytes(buffer[:stop])
        del buffer[: end + 1]
        self._scanned = 0
        return line

    def skip_line(self) -> bytes | None:
        """Drop the rest of the current line. Its last octets (without line end) when LF has come, else None: call again with more data."""
        buffer = self._buffer
        end = buffer.find(b"\n", self._scanned)
        if end < 0:
            if len(buffer) > TAIL:
                del buffer[:-TAIL]
            self._scanned = len(buffer)
            return None
        stop = end - 1 if end and buffer[end - 1] == 0x0D else end
        tail = bytes(buffer[max(0, stop - TAIL) : stop])
        del buffer[: end + 1]
        self._scanned = 0
        return tail

    def take(self, count: int) -> bytes:
        """Up to ``count`` octets that are here now, maybe none."""
        buffer = self._buffer
        if count >= len(buffer):
            data = bytes(buffer)
            buffer.clear()
        else:
            data = bytes(buffer[:count])
            del buffer[:count]
        self._scanned = 0
        return data

    def exactly(self, count: int) -> bytes | None:
        """``count`` octets, or None while they have not all come."""
        if len(self._buffer) < count:
            return None
        return self.take(count)

    def drop(self, count: int) -> int:
        """Forget up to ``count`` octets that are here now; returns how many."""
        dropped = min(count, len(self._buffer))
        del self._buffer[:dropped]
        self._scanned = 0
        return dropped
