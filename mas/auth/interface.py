"""What protocols, delivery and commands see of the account databases: an Authenticator, and where a login comes from.

Promises: a wrong user and a wrong password look alike and cost alike; a database that does not answer is AuthUnavailable and never
AuthFailed; nothing here blocks the event loop; no password is logged or kept.
Must not know: wire texts, sockets.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mas.user import User


@dataclass(frozen=True, slots=True)
class Attempt:
    """Where a login comes from.

    service: ``imap``, ``sieve``, ``lmtp``, or what Postfix calls itself on the auth socket (``smtp``).
    remote, local: IP addresses as text; empty when unknown (a unix socket, Postfix without ``rip=``).
    secured: TLS, or a trusted way (unix socket).
    mechanism: upper-case SASL name, for the log.
    no_penalty: the peer asked for no delay by address (Postfix's ``no-penalty``), because it keeps its own count.
    """

    service: str
    remote: str = ""
    local: str = ""
    secured: bool = False
    session_id: str = ""
    mechanism: str = "PLAIN"
    no_penalty: bool = False


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a SASL exchange (or the LOGIN command) yields. ``authzid`` is empty, or the user to act as [RFC4616 2]."""

    authcid: str
    password: bytes = field(repr=False)
    authzid: str = ""


class Authenticator(Protocol):
    """The account databases of this host, as one."""

    def mechanisms(self, secured: bool) -> Sequence[str]:
        """SASL mechanism names to offer, upper case, in the configured order; none that sends a password before TLS."""
        ...

    async def verify(self, authcid: str, password: bytes, attempt: Attempt, authzid: str = "") -> User:
        """Check a login; ``authcid`` as the client sent it.

        Raises AuthFailed (only after the failure delay and the address's penalty: do not delay again), AddressNotAllowed (likewise),
        UserDisabled (the password was right), AuthUnavailable.
        """
        ...

    async def lookup(self, name: str, service: str) -> User:
        """The account of that name, without a password: LMTP RCPT, commands. Raises UserUnknown, AuthUnavailable."""
        ...

    def users(self) -> AsyncIterator[str]:
        """Every user name the databases can list. Raises AuthUnavailable; ConfigError when no ``iterate_query`` is there to ask."""
        ...

    async def close(self) -> None:
        """Close the database connections and stop the threads."""
        ...


class CounterStore(Protocol):
    """Counts shared by the workers of one host: failed logins by address. The server implements it over its registry;
    ``mas.auth.penalty.LocalCounters`` is the one of a single process. Must be quick and must not raise for being unreachable."""

    async def get(self, key: str) -> tuple[int, float]:
        """``(count, seconds since it last changed)``; ``(0, 0.0)`` when unknown."""
        ...

    async def add(self, key: str, ttl: float) -> int:
        """Count one more, forget it ``ttl`` seconds after the last one; returns the new count."""
        ...

    async def clear(self, key: str) -> None:
        """Forget the count."""
        ...
