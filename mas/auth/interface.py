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


class Tls(Protocol):
    """What a connection's TLS says of it. ``mas.protocols.session.Channel`` is one."""

    def binding(self, kind: str) -> bytes | None:
        """Channel binding data of a type (``tls-exporter`` …); None when this connection has none. [RFC5929] [RFC9266]"""
        ...

    def certificate_name(self, field: str) -> str | None:
        """A field of the subject of the client's verified certificate (``commonName``); None without one."""
        ...


@dataclass(frozen=True, slots=True)
class Attempt:
    """Where a login comes from.

    service: ``imap``, ``sieve``, ``lmtp``, or what Postfix calls itself on the auth socket (``smtp``).
    remote, local: IP addresses as text; empty when unknown (a unix socket, Postfix without ``rip=``).
    secured: TLS, or a trusted way (unix socket).
    mechanism: upper-case SASL name, for the log.
    no_penalty: the peer asked for no delay by address (Postfix's ``no-penalty``), because it keeps its own count.
    tls: None without TLS, or when nothing is known of it.
    """

    service: str
    remote: str = ""
    local: str = ""
    secured: bool = False
    session_id: str = ""
    mechanism: str = "PLAIN"
    no_penalty: bool = False
    tls: Tls | None = field(default=None, compare=False, repr=False)

    @property
    def hurried(self) -> bool:
        """A program asks on the auth socket, and gives up after a while: Postfix after 10 s."""
        return self.service not in ("imap", "sieve")


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """The end of an exchange. ``data`` is for the client, with the success [RFC4422 3.6]; empty when there is none."""

    user: User
    data: bytes = b""


class Exchange(Protocol):
    """One SASL exchange [RFC4422 3.3]."""

    authcid: str
    """Who it is about, as the client wrote it; empty until it has said so. For the log."""

    async def respond(self, response: bytes | None) -> bytes | LoggedIn:
        """The client's next response, decoded; at first its initial response, or None when it sent none. Returns the next challenge, or the
        end. Raises what ``Authenticator.verify`` does, at the same price, and SaslError, an AuthFailed, for a response that is none."""
        ...


class Authenticator(Protocol):
    """The account databases of this host, as one."""

    def mechanisms(self, secured: bool, tls: Tls | None = None) -> Sequence[str]:
        """SASL mechanism names to offer, upper case, in the configured order: none at all before TLS, none with channel binding or
        certificate where ``tls`` has none."""
        ...

    def exchange(self, attempt: Attempt, *, success_data: bool = False) -> Exchange:
        """Begin ``attempt.mechanism``, one of ``mechanisms()``. ``success_data``: the protocol can send data with its success; where it
        cannot, they go out as a last challenge, which the client answers with nothing."""
        ...

    async def verify(self, authcid: str, password: bytes, attempt: Attempt, authzid: str = "") -> User:
        """Check a login; ``authcid`` as the client sent it, ``user*master`` where that is configured. When a master user has logged in as
        somebody, the User has a field ``master_user``.

        Raises AuthFailed (only after the failure delay and the address's penalty: do not delay again), AddressNotAllowed and NotAuthorized
        (likewise), UserDisabled (the password was right), AuthUnavailable.
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
