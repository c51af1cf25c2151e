"""Rspamd's controller: ``POST /learnspam`` and ``POST /learnham`` with the message, over TCP or a unix socket.

Blocking HTTP of the standard library in a thread: it happens in the background, a message at a time.
"""

from __future__ import annotations

import asyncio
import encodings.idna  # noqa: F401  # getaddrinfo asks for it, when root is given up and it may no longer be readable
import http.client
import socket
from urllib.parse import urlsplit

from mas.outgoing.queue import Envelope, NotNow, Refused, Send

_TIMEOUT = 60.0
_MAX_ANSWER = 65536


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_TIMEOUT)
        self.sock.connect(self._path)


def learner(controller: str, password: str) -> Send:
    """What the queue sends with; ``Envelope.kind`` is ``spam`` or ``ham``.

    controller: ``http://host:port``, ``https://host:port`` or ``unix:/path``. A password that is refused may be put right: NotNow.
    """

    def post(envelope: Envelope, message: bytes) -> None:
        headers = {"Content-Type": "message/rfc822", **({"Password": password} if password else {})}
        connection = _connection(controller)
        try:
            connection.request("POST", f"/learn{envelope.kind}", message, headers)
            response = connection.getresponse()
            said = response.read(_MAX_ANSWER).decode("utf-8", "replace").strip()
        except (OSError, http.client.HTTPException) as error:
            raise NotNow(f"{controller}: {error or type(error).__name__}") from error
        finally:
            connection.close()
        if response.status < 300 or "already learned" in said:
            # 204 and 208: there was nothing to learn from it.
            return
        kind = NotNow if response.status in (401, 403, 408, 429) or response.status >= 500 else Refused
        raise kind(f"{controller}: {response.status} {said[:200]}")

    async def send(envelope: Envelope, message: bytes) -> None:
        await asyncio.to_thread(post, envelope, message)

    return send


def _connection(controller: str) -> http.client.HTTPConnection:
    if controller.startswith("unix:"):
        return _UnixConnection(controller.removeprefix("unix:"))
    parts = urlsplit(controller)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname or "127.0.0.1", parts.port, timeout=_TIMEOUT)
