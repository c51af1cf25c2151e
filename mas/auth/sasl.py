"""SASL mechanisms, pure: a mechanism is a generator that yields challenges, is sent responses, and returns Credentials.

::

    exchange = MECHANISMS["PLAIN"]()
    challenge = next(exchange)                 # raw octets: the protocol does the base64
    exchange.send(response)                    # raises StopIteration(credentials) at the end, SaslError when malformed

A mechanism that the client speaks first in [RFC4422 5] yields an empty first challenge: a protocol with an initial response sends it at
once as the answer to that. ``Exchange`` wraps the generator for those who like methods better. Must not know: databases, sockets, base64.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Final

from mas.auth.interface import Credentials
from mas.errors import AuthFailed

MAX_RESPONSE: Final = 8192
"""Octets of one response. [RFC4616 2] needs 255 + 255 + 1024; OAuth tokens fit as well."""
MAX_NAME: Final = 1024
MAX_PASSWORD: Final = 4096

Mechanism = Generator[bytes, bytes, Credentials]


class SaslError(AuthFailed):
    """A response that is no response of the mechanism: malformed, too long. The peer's exchange is over (IMAP BAD, ManageSieve NO)."""


def plain() -> Mechanism:
    """PLAIN.  [RFC4616 2]

    message = [authzid] UTF8NUL authcid UTF8NUL passwd
    """
    message = yield b""
    parts = message.split(b"\0")
    if len(parts) != 3:
        raise SaslError("PLAIN: not authzid NUL authcid NUL passwd")
    authzid, authcid, password = parts
    return _credentials(authcid, password, authzid)


def login() -> Mechanism:
    """LOGIN, which no RFC describes: two prompts. Clients do not read them, but Outlook wants exactly these words."""
    authcid = yield b"Username:"
    password = yield b"Password:"
    return _credentials(authcid, password)


MECHANISMS: Final[dict[str, Callable[[], Mechanism]]] = {"PLAIN": plain, "LOGIN": login}
CLEARTEXT: Final = frozenset({"PLAIN", "LOGIN"})
"""Mechanisms that send the password itself: never before TLS."""
CLIENT_FIRST: Final = frozenset({"PLAIN"})
"""Mechanisms whose first challenge is empty."""


class Exchange:
    """One authentication exchange. ``challenge`` is what to send next, ``credentials`` the result (None until done)."""

    def __init__(self, mechanism: str, max_response: int = MAX_RESPONSE) -> None:
        """``max_response`` octets of one response (``auth.max_response``). Raises SaslError when MAS does not know the mechanism."""
        try:
            self._steps = MECHANISMS[mechanism.upper()]()
        except KeyError:
            raise SaslError("unknown SASL mechanism") from None
        self._max_response = max_response
        self.challenge: bytes = next(self._steps)
        self.credentials: Credentials | None = None

    def respond(self, response: bytes) -> Credentials | None:
        """Take the client's response (decoded). Returns the credentials when it was the last one. Raises SaslError."""
        if len(response) > self._max_response:
            raise SaslError(f"auth.max_response = {self._max_response} is exceeded")
        try:
            self.challenge = self._steps.send(response)
        except StopIteration as end:
            credentials: Credentials = end.value
            self.credentials = credentials
        return self.credentials

    def initial(self, response: bytes) -> Credentials | None:
        """Take an initial response [RFC4422 3.3]. For a server-first mechanism it answers the first challenge unseen, as clients of
        LOGIN that send one expect."""
        return self.respond(response)


def _credentials(authcid: bytes, password: bytes, authzid: bytes = b"") -> Credentials:
    if not authcid:
        raise SaslError("empty user name")
    if len(authcid) > MAX_NAME or len(authzid) > MAX_NAME or len(password) > MAX_PASSWORD:
        raise SaslError("user name or password too long")
    if b"\0" in authcid or b"\0" in password:
        raise SaslError("NUL in user name or password")
    try:
        return Credentials(authcid.decode("utf-8"), password, authzid.decode("utf-8"))
    except UnicodeDecodeError:
        raise SaslError("user name is not UTF-8") from None
