"""One HTTP request, pure: octets in, one event out; an answer as octets.  [RFC9112 2, 3]

    request      = request-line *(field CRLF) CRLF
    request-line = method SP request-target SP "HTTP/1." DIGIT CRLF
    request-target = absolute-path ["?" query]

Fields are read over: nothing here depends on one, and a body is refused. A single LF ends a line too [RFC9112 2.2]. MAX_HEAD octets at
most.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mas.protocols.session import Wait

MAX_HEAD = 8192
"""Octets of a request."""
_REQUEST_LINE = re.compile(rb"([A-Z]{1,20}) (/[!-~]*) HTTP/1\.[0-9]")
_BODY = re.compile(rb"(?:^|\n)(?:transfer-encoding[ \t]*:|content-length[ \t]*:[ \t]*0*[1-9])", re.IGNORECASE)
_END = re.compile(rb"\r?\n\r?\n")
REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


@dataclass(frozen=True, slots=True)
class Request:
    """``path`` is without the query."""

    method: str
    path: str


@dataclass(frozen=True, slots=True)
class BadRequest:
    """Not a request that is served; ``status`` says why."""

    status: int


@dataclass(frozen=True, slots=True)
class Closed:
    """The peer is gone before it asked anything."""


Event = Request | BadRequest | Closed


class HttpConnection:
    """See ``mas.protocols.session.Connection``."""

    def __init__(self) -> None:
        self._head = b""
        self._asked = False
        self._ended = False

    def receive_data(self, data: bytes) -> None:
        """Octets from the peer; ``b""`` is the end of the stream. What follows the first request is not kept."""
        if not data:
            self._ended = True
        elif not self._asked:
            self._head += data

    @property
    def buffered(self) -> bool:
        """Octets are waiting that made no event yet."""
        return bool(self._head)

    def discard_input(self) -> None:
        """There is no STARTTLS here."""
        self._head = b""

    def next_event(self) -> Event | Wait:
        """The request, once it is whole."""
        if self._asked:
            return Closed() if self._ended else Wait.NEED_DATA
        end = _END.search(self._head, 0, MAX_HEAD)
        if end is None:
            if len(self._head) >= MAX_HEAD:
                return self._answer(BadRequest(431))
            return Closed() if self._ended else Wait.NEED_DATA
        head = self._head[: end.start()]
        line, _, fields = head.partition(b"\n")
        match = _REQUEST_LINE.fullmatch(line.rstrip(b"\r"))
        if match is None or _BODY.search(fields):
            return self._answer(BadRequest(400))
        return self._answer(Request(match[1].decode("ascii"), match[2].decode("ascii").partition("?")[0]))

    def _answer(self, event: Event) -> Event:
        self._asked = True
        self._head = b""
        return event


def response(status: int, body: str, content_type: str = "text/plain; charset=utf-8", *, head: bool = False) -> bytes:
    """An answer after which the connection ends; ``head``: without its body [RFC9110 9.3.2]."""
    octets = body.encode()
    fields = (
        f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: {content_type}\r\nContent-Length: {len(octets)}\r\n"
        "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n"
    )
    if status == 405:
        fields += "Allow: GET, HEAD\r\n"
    return fields.encode() + b"\r\n" + (b"" if head else octets)
