"""Drives a SASL mechanism: the client's responses into it, its questions and its claim to the judge of a login.

One place for what all mechanisms have in common: a response's size, the price of a malformed one, the order of initial response and first
challenge, and data that come with the success. Must not know: databases, base64, protocols.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

from mas.auth.interface import Attempt, LoggedIn
from mas.auth.sasl import MECHANISMS, Context, SaslError
from mas.auth.sasl.steps import Bearer, Claim, CramSecret, Password, Question, ScramSalt
from mas.user import User

MAX_RESPONSE: Final = 8192


class Judge(Protocol):
    """Who answers and decides: ``mas.auth.login.Login``, or one of a test."""

    async def answer(self, question: Question) -> object:
        """The answer to a mechanism's question. Raises AuthUnavailable."""
        ...

    async def decide(self, claim: Claim) -> User:
        """Whether the claim is right. Raises as ``Authenticator.verify``."""
        ...

    async def refuse(self, error: SaslError) -> None:
        """Let a malformed response cost what a wrong password does."""
        ...


class SaslExchange:
    """Implements ``mas.auth.interface.Exchange``."""

    def __init__(
        self,
        attempt: Attempt,
        judge: Judge,
        *,
        hostname: str = "localhost",
        max_response: int = MAX_RESPONSE,
        success_data: bool = False,
        plus: bool = False,
        oauth_hints: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """``max_response`` octets of one response (``auth.max_response``); plus: the same mechanism with channel binding was
        offered; oauth_hints: what a client whose token is refused is told beside that."""
        self.authcid = ""
        self._judge = judge
        self._mechanism = MECHANISMS[attempt.mechanism]
        tls = attempt.tls
        binding = (lambda kind: None) if tls is None else tls.binding
        self._steps = self._mechanism.start(Context(hostname, secrets.token_bytes, binding, plus, oauth_hints))
        self._max_response = max_response
        self._success_data = success_data
        self._begun = False
        self._over = False
        self._ended: LoggedIn | None = None

    async def respond(self, response: bytes | None) -> bytes | LoggedIn:
        """See Exchange."""
        if self._over:
            raise SaslError("the exchange is over")
        self._over = True  # whatever goes wrong; what goes on says so
        try:
            answer = await self._respond(response)
        except SaslError as error:
            await self._judge.refuse(error)
            raise
        self._over = isinstance(answer, LoggedIn)
        return answer

    async def _respond(self, response: bytes | None) -> bytes | LoggedIn:
        if self._ended is not None:
            if response:
                raise SaslError("a response to the data that came with the success")
            return self._ended
        if not self._begun:
            self._begun = True
            challenge = next(self._steps)
            assert isinstance(challenge, bytes)
            if response is None or (self._mechanism.server_first and not response):
                # Exim sends an empty response where its client sent none.
                return challenge
            if not self._mechanism.initial:
                raise SaslError("an initial response in a mechanism where the server speaks first")
        if response is None:
            raise SaslError("no response")
        if len(response) > self._max_response:
            raise SaslError(f"auth.max_response = {self._max_response} is exceeded")
        try:
            item = self._steps.send(response)
            while not isinstance(item, bytes):
                if isinstance(item, ScramSalt | CramSecret):
                    self.authcid = item.authcid
                elif isinstance(item, Bearer):
                    self.authcid = item.authzid
                item = self._steps.send(await self._judge.answer(item))
            return item
        except StopIteration as end:
            claim: Claim = end.value
        if isinstance(claim, Password):
            self.authcid = claim.authcid
        user = await self._judge.decide(claim)
        data = getattr(claim, "data", b"")
        if data and not self._success_data:
            self._ended = LoggedIn(user)
            return bytes(data)
        return LoggedIn(user, data)
