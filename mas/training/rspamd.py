"""Rspamd's controller: ``POST /learnspam`` and ``POST /learnham`` with the message, over TCP or a unix socket.

HTTP/1.1, one request a connection. Only the status line and whether the text says "already learned" matter, so that a body in chunks
needs no reading.
"""

from __future__ import annotations

import asyncio
import contextlib
import encodings.idna  # noqa: F401  # getaddrinfo asks for it, when root is given up and it may no longer be readable
import re
import ssl
from urllib.parse import urlsplit

from mas.outgoing.queue import Envelope, NotNow, Refused, Send, Unreachable

_CONNECT_TIMEOUT = 10.0
_TIMEOUT = 60.0
_MAX_ANSWER = 65536
_STATUS = re.compile(r"HTTP/1\.[01] ([0-9]{3}) ?(.*)")
_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def learner(controller: str, password: str) -> Send:
    """What the queue sends with; ``Envelope.kind`` is ``spam`` or ``ham``.

    controller: ``http://host:port``, ``https://host:port`` or ``unix:/path``. A password that is refused may be put right: Unreachable.
    """
    secret = f"Password: {password}\r\n" if password else ""
    host = "localhost" if controller.startswith("unix:") else urlsplit(controller).netloc.rpartition("@")[2]

    async def send(envelope: Envelope, message: bytes) -> None:
        head = (
            f"POST /learn{envelope.kind} HTTP/1.1\r\nHost: {host}\r\nContent-Type: message/rfc822\r\n"
            f"Content-Length: {len(message)}\r\nConnection: close\r\n{secret}\r\n"
        )
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT):
                reader, writer = await _connect(controller)
        except (OSError, TimeoutError) as error:
            raise Unreachable(f"{controller}: {error or type(error).__name__}") from error
        try:
            async with asyncio.timeout(_TIMEOUT):
                status, said = await _exchange(reader, writer, head.encode(), message)
        except (OSError, EOFError, TimeoutError) as error:
            raise NotNow(f"{controller}: {error or type(error).__name__}") from error
        finally:
            writer.close()
        if status < 300 or "already learned" in said:
            # 204 and 208: there was nothing to learn from it.
            return
        if status in (401, 403):
            raise Unreachable(f"{controller}: rspamd.password is refused: {status} {said[:200]}")
        kind = NotNow if status in (408, 429) or status >= 500 else Refused
        raise kind(f"{controller}: {status} {said[:200]}")

    return send


async def _connect(controller: str) -> _Streams:
    if controller.startswith("unix:"):
        return await asyncio.open_unix_connection(controller.removeprefix("unix:"))
    parts = urlsplit(controller)
    tls = ssl.create_default_context() if parts.scheme == "https" else None
    return await asyncio.open_connection(parts.hostname or "127.0.0.1", parts.port or (443 if tls else 80), ssl=tls)


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes, message: bytes
) -> tuple[int, str]:
    """The status of the answer, and its reason and body as text. Raises OSError, EOFError."""
    writer.write(head)
    writer.write(message)
    # A server that refuses may answer before it has read all, and close.
    with contextlib.suppress(ConnectionError):
        await writer.drain()
    answer = b""
    while len(answer) < _MAX_ANSWER and (more := await reader.read(_MAX_ANSWER - len(answer))):
        answer += more
    line, _, rest = answer.decode("utf-8", "replace").partition("\r\n")
    status = _STATUS.match(line)
    if status is None:
        raise EOFError("no answer" if not answer else f"not HTTP: {line[:100]!r}")
    body = rest.partition("\r\n\r\n")[2]
    return int(status[1]), f"{status[2]} {body}".strip()
