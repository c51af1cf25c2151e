"""One client of the auth socket: many requests at once, each in a task of its own, so that a slow one delays none.

The answers come in the order in which they are ready; ids tell them apart. The failure delay and the penalty of an address are the
Authenticator's, which keeps those of the service ``smtp`` below the 10 s after which Postfix gives up. A database that does not answer
is a temporary failure, never a wrong password.

When the server stops, what is being judged is answered first: a program that asks for passwords takes a lost connection for trouble. Only
requests that wait for their client are given up, as a temporary failure.
Must not know: sockets, databases.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import itertools
import os
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from mas import logs
from mas.auth.interface import Attempt, Authenticator
from mas.auth.sasl import Exchange, SaslError
from mas.config import Config
from mas.errors import AuthFailed, AuthUnavailable, UserDisabled
from mas.protocols.auth_socket import replies
from mas.protocols.auth_socket.connection import Auth, AuthConnection, Broken, Cancel, Closed, Cont, Event
from mas.protocols.session import Channel, Peer, Woken
from mas.services import Services

_log = logs.get_logger("auth")
_connections = itertools.count(1)
_IDLE_FOREVER = 365 * 86400.0
"""Postfix holds a connection for as long as one of its processes lives."""


@dataclass(slots=True)
class _Waiting:
    """A request that a challenge was sent for."""

    exchange: Exchange
    request: Auth
    since: float


Session = Callable[[Channel[Event]], Awaitable[None]]


def open_session(services: Services, _: Peer) -> tuple[AuthConnection, Session]:
    """Connection and session of one client."""
    connection = AuthConnection(services.config.auth.max_line)

    async def run(channel: Channel[Event]) -> None:
        await _AuthSession(services, channel).run()

    return connection, run


class _AuthSession:
    def __init__(self, services: Services, channel: Channel[Event]) -> None:
        self._auth: Authenticator = services.auth
        self._config: Config = services.config
        self._channel = channel
        self._max_requests = services.config.auth.max_requests
        self._request_timeout = services.config.auth.request_timeout
        self._waiting: dict[int, _Waiting] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """From handshake to the end of the connection."""
        channel = self._channel
        # A unix socket is a trusted way: what Postfix heard in plain text is Postfix's decision (smtpd_tls_auth_only).
        mechanisms = self._auth.mechanisms(True)
        channel.write(replies.handshake(mechanisms, os.getpid(), next(_connections), secrets.token_hex(16)))
        channel.flush()
        try:
            while True:
                event = await channel.next_event(_IDLE_FOREVER)
                match event:
                    case Auth():
                        if not self._begin(event, mechanisms):
                            return
                    case Cont():
                        self._continue(event)
                    case Cancel(id=number):
                        self._waiting.pop(number, None)
                        if task := self._tasks.pop(number, None):
                            task.cancel()
                    case Broken(text=text):
                        _log.error(f"auth client disconnected: {text}", session=channel.peer.session_id)
                        return
                    case Closed():
                        return
                    case Woken.WOKEN:
                        if channel.draining and not self._unanswered():
                            return
        finally:
            for task in self._tasks.values():
                task.cancel()
            if self._tasks:
                await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _unanswered(self) -> bool:
        """The server stops: whether there is somebody left to answer. Each task that ends wakes the channel again."""
        for number in list(self._waiting):
            del self._waiting[number]
            self._say(replies.fail(number, temporary=True))
        return bool(self._tasks)

    def _begin(self, request: Auth, mechanisms: Sequence[str]) -> bool:
        """False ends the connection: the client is broken."""
        number = request.id
        self._forget_abandoned()
        if number in self._waiting or number in self._tasks:
            _log.error("auth client disconnected: an id is in use already", session=self._channel.peer.session_id)
            return False
        if len(self._waiting) + len(self._tasks) >= self._max_requests:
            _log.warning(f"auth.max_requests = {self._max_requests} is exceeded", session=self._channel.peer.session_id)
            self._say(replies.fail(number, temporary=True))
            return True
        if request.mechanism not in mechanisms:
            _log.error(
                "auth client disconnected: a mechanism that was not offered", session=self._channel.peer.session_id
            )
            return False
        exchange = Exchange(request.mechanism, self._config.auth.max_response)
        if request.response is None:
            self._wait(request, exchange)
        else:
            self._respond(request, exchange, request.response, initial=True)
        return True

    def _forget_abandoned(self) -> None:
        """An SMTP client that hangs up in AUTH leaves its request behind. The oldest come first in the dictionary."""
        now = asyncio.get_running_loop().time()
        for number, waiting in list(self._waiting.items()):
            if now - waiting.since < self._request_timeout and len(self._waiting) <= self._max_requests // 2:
                break
            del self._waiting[number]

    def _wait(self, request: Auth, exchange: Exchange) -> None:
        if self._channel.draining:
            self._say(replies.fail(request.id, temporary=True))
            return
        self._waiting[request.id] = _Waiting(exchange, request, asyncio.get_running_loop().time())
        self._say(replies.cont(request.id, exchange.challenge))

    def _continue(self, event: Cont) -> None:
        waiting = self._waiting.pop(event.id, None)
        if waiting is None:
            reason = "Unexpected continuation" if event.id in self._tasks else "Authentication request timed out"
            self._say(replies.fail(event.id, reason=reason))
            return
        self._respond(waiting.request, waiting.exchange, event.response, initial=False)

    def _respond(self, request: Auth, exchange: Exchange, text: bytes, *, initial: bool) -> None:
        number = request.id
        try:
            response = base64.b64decode(text, validate=True)
        except binascii.Error:
            where = "initial response" if initial else "continued response"
            self._say(replies.fail(number, code="invalid_base64", reason=f"Invalid base64 data in {where}"))
            return
        try:
            credentials = exchange.initial(response) if initial else exchange.respond(response)
        except SaslError:
            self._say(replies.fail(number))
            return
        if credentials is None:
            self._wait(request, exchange)
            return
        task = asyncio.get_running_loop().create_task(
            self._verify(request, credentials.authcid, credentials.password, credentials.authzid)
        )
        self._tasks[number] = task
        task.add_done_callback(lambda done: self._ended(number, done))

    def _ended(self, number: int, task: asyncio.Task[None]) -> None:
        # After a CANCEL the id may belong to another request already.
        if self._tasks.get(number) is task:
            del self._tasks[number]
        if self._channel.draining:
            self._channel.wake()

    async def _verify(self, request: Auth, authcid: str, password: bytes, authzid: str) -> None:
        given = request.parameters
        attempt = Attempt(
            given["service"],
            remote=given.get("rip", ""),
            local=given.get("lip", ""),
            secured="secured" in given,
            session_id=given.get("session", self._channel.peer.session_id),
            mechanism=request.mechanism,
            no_penalty="no-penalty" in given,
        )
        log = _log.bind(user=authcid, service=attempt.service, address=attempt.remote, session=attempt.session_id)
        try:
            user = await self._auth.verify(authcid, password, attempt, authzid)
        except UserDisabled as error:
            log.info(f"{request.mechanism}: account may not log in")
            self._say(replies.fail(request.id, user=authcid, code="user_disabled", reason=error.reason))
        except AuthFailed:
            log.info(f"{request.mechanism}: authentication failed")
            self._say(replies.fail(request.id, user=authcid))
        except AuthUnavailable as error:
            log.warning(f"{request.mechanism}: temporary failure: {error}")
            self._say(replies.fail(request.id, user=authcid, temporary=True))
        except Exception:
            log.exception(f"{request.mechanism}: temporary failure")
            self._say(replies.fail(request.id, user=authcid, temporary=True))
        else:
            log.debug(f"{request.mechanism}: authenticated")
            self._say(replies.ok(request.id, user.name))

    def _say(self, reply: bytes) -> None:
        self._channel.write(reply)
        self._channel.flush()
