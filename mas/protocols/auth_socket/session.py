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
from typing import Any

from mas import logs
from mas.auth.interface import Attempt, Authenticator, Exchange, LoggedIn
from mas.errors import AuthFailed, AuthUnavailable, NotAuthorized, PasswordExpired, UserDisabled
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


@dataclass(frozen=True, slots=True)
class _Asker:
    """The TLS of the client of the program that asks: of its certificate the program says a name, of its channel nothing."""

    name: str

    def binding(self, kind: str) -> bytes | None:
        return None

    def certificate_name(self, field: str) -> str | None:
        return self.name or None


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
        self._channel = channel
        self._max_requests = services.config.auth.max_requests
        self._request_timeout = services.config.auth.request_timeout
        self._waiting: dict[int, _Waiting] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """From handshake to the end of the connection."""
        channel = self._channel
        # A unix socket is a trusted way: what Postfix heard in plain text is Postfix's decision (smtpd_tls_auth_only).
        mechanisms = self._auth.mechanisms(True, _Asker("somebody"))
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
        given = request.parameters
        attempt = Attempt(
            given["service"],
            remote=given.get("rip", ""),
            local=given.get("lip", ""),
            secured="secured" in given,
            session_id=self._session_id(request),
            mechanism=request.mechanism,
            no_penalty="no-penalty" in given,
            tls=_Asker(given.get("cert_username", "") if "valid-client-cert" in given else ""),
        )
        exchange = self._auth.exchange(attempt, success_data="final-resp-ok" in given)
        self._respond(request, exchange, request.response, initial=True)
        return True

    def _forget_abandoned(self) -> None:
        """An SMTP client that hangs up in AUTH leaves its request behind. The oldest come first in the dictionary."""
        now = asyncio.get_running_loop().time()
        for number, waiting in list(self._waiting.items()):
            if now - waiting.since < self._request_timeout and len(self._waiting) <= self._max_requests // 2:
                break
            del self._waiting[number]

    def _continue(self, event: Cont) -> None:
        waiting = self._waiting.pop(event.id, None)
        if waiting is None:
            reason = "Unexpected continuation" if event.id in self._tasks else "Authentication request timed out"
            self._say(replies.fail(event.id, reason=reason))
            return
        self._respond(waiting.request, waiting.exchange, event.response, initial=False)

    def _respond(self, request: Auth, exchange: Exchange, text: bytes | None, *, initial: bool) -> None:
        number = request.id
        try:
            response = None if text is None else base64.b64decode(text, validate=True)
        except binascii.Error:
            where = "initial response" if initial else "continued response"
            self._say(replies.fail(number, code="invalid_base64", reason=f"Invalid base64 data in {where}"))
            return
        task = asyncio.get_running_loop().create_task(self._step(request, exchange, response))
        self._tasks[number] = task
        task.add_done_callback(lambda done: self._ended(number, done))

    def _ended(self, number: int, task: asyncio.Task[None]) -> None:
        # After a CANCEL the id may belong to another request already.
        if self._tasks.get(number) is task:
            del self._tasks[number]
        if self._channel.draining:
            self._channel.wake()

    async def _step(self, request: Auth, exchange: Exchange, response: bytes | None) -> None:
        number = request.id
        try:
            answer = await exchange.respond(response)
        except Exception as error:
            self._say(self._refusal(request, exchange.authcid, error))
            return
        if isinstance(answer, LoggedIn):
            self._log(request, exchange.authcid).debug(f"{request.mechanism}: authenticated")
            master = answer.user.fields.get("master_user", "")
            self._say(replies.ok(number, answer.user.name, master=master, data=answer.data))
        elif self._channel.draining:
            self._say(replies.fail(number, temporary=True))
        else:
            # Before the challenge is out: its answer may be here before this task is done.
            del self._tasks[number]
            self._waiting[number] = _Waiting(exchange, request, asyncio.get_running_loop().time())
            self._say(replies.cont(number, answer))

    def _refusal(self, request: Auth, user: str, error: Exception) -> bytes:
        """What an exchange's failure is called here."""
        number, log = request.id, self._log(request, user)
        match error:
            case UserDisabled():
                code = "pass_expired" if isinstance(error, PasswordExpired) else "user_disabled"
                log.info(f"{request.mechanism}: account may not log in", code=code)
                return replies.fail(number, user=user, code=code, reason=error.reason)
            case NotAuthorized():
                log.info(f"{request.mechanism}: {error}")
                return replies.fail(number, user=error.user, code="authz_fail", master=error.master)
            case AuthFailed():
                log.debug(f"{request.mechanism}: authentication failed")  # who judged it has said so, with the reason
                return replies.fail(number, user=user)
            case AuthUnavailable():
                log.warning(f"{request.mechanism}: temporary failure: {error}")
            case _:
                log.error(f"{request.mechanism}: temporary failure", exc_info=error)
        return replies.fail(number, user=user, temporary=True)

    def _log(self, request: Auth, user: str) -> Any:
        given = request.parameters
        return _log.bind(
            user=user, service=given["service"], address=given.get("rip", ""), session=self._session_id(request)
        )

    def _session_id(self, request: Auth) -> str:
        return request.parameters.get("session", self._channel.peer.session_id)

    def _say(self, reply: bytes) -> None:
        self._channel.write(reply)
        self._channel.flush()
