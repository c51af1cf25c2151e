"""What mechanisms and their driver say to each other.

::

    steps = MECHANISMS["PLAIN"].start(context)
    item = next(steps)                 # bytes: a challenge; else a question
    item = steps.send(answer)          # to bytes the client's response, to a question its answer (its class says the type)

The generator ends by returning a claim; it raises SaslError for a response that is none of the mechanism.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mas.errors import AuthFailed

MAX_NAME: Final = 1024
MAX_PASSWORD: Final = 4096


class SaslError(AuthFailed):
    """A response that is no response of the mechanism: malformed, too long. The peer's exchange is over (IMAP BAD, ManageSieve NO)."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a mechanism may know of its surroundings.

    random: so many octets that nobody can guess. binding: TLS channel binding data of a type (``tls-exporter``), None when this channel
    has none. plus: the same mechanism with channel binding was offered, so that a client that says "y" was lied to [RFC5802 6].
    oauth_hints: ``scope``, ``openid-configuration`` [RFC7628 3.2.2].
    """

    hostname: str
    random: Callable[[int], bytes]
    binding: Callable[[str], bytes | None] = lambda kind: None
    plus: bool = False
    oauth_hints: Mapping[str, str] = field(default_factory=dict)


# Questions, and what is sent back


@dataclass(frozen=True, slots=True)
class ScramSalt:
    """Salt and iterations of a user: ``tuple[bytes, int]``, plausible ones when nobody has that name."""

    authcid: str
    authzid: str
    scheme: str


@dataclass(frozen=True, slots=True)
class ScramSecret:
    """The keys that belong to the salt: ``mas.auth.scram.ScramKeys``, or None when there are none."""


@dataclass(frozen=True, slots=True)
class CramSecret:
    """HMAC-MD5's state of a user's password: 32 octets (``mas.auth.digests.cram_md5_states``), or None."""

    authcid: str


@dataclass(frozen=True, slots=True)
class Bearer:
    """Whether a token is good: None, or why it is not, as an OAuth error code (``invalid_token``, ``insufficient_scope``)."""

    token: str = field(repr=False)
    authzid: str = ""


Question = ScramSalt | ScramSecret | CramSecret | Bearer


# Claims


@dataclass(frozen=True, slots=True)
class Password:
    """A password, to be judged. ``authzid`` is empty, or the user to act as [RFC4616 2]."""

    authcid: str
    password: bytes = field(repr=False)
    authzid: str = ""


@dataclass(frozen=True, slots=True)
class Proof:
    """The mechanism has judged what it asked for. ``data`` goes to the client with the success [RFC4422 3.6]."""

    right: bool
    data: bytes = b""
    reason: str = "wrong password"


@dataclass(frozen=True, slots=True)
class Certificate:
    """The client is who its TLS certificate says."""

    authzid: str


Claim = Password | Proof | Certificate
Steps = Generator[bytes | Question, Any, Claim]


def name_of(octets: bytes) -> str:
    """A user name of a response. Raises SaslError."""
    if len(octets) > MAX_NAME:
        raise SaslError("user name too long")
    if b"\0" in octets:
        raise SaslError("NUL in a user name")
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise SaslError("user name is not UTF-8") from None


def password_claim(authcid: bytes, password: bytes, authzid: bytes = b"") -> Password:
    """Name and password of a response. Raises SaslError."""
    if not authcid:
        raise SaslError("empty user name")
    if len(password) > MAX_PASSWORD:
        raise SaslError("password too long")
    if b"\0" in password:
        raise SaslError("NUL in the password")
    return Password(name_of(authcid), password, name_of(authzid))


def gs2_name(octets: bytes) -> str:
    """``saslname`` of SCRAM and OAUTHBEARER: a comma is ``=2C``, an equals sign ``=3D`` [RFC5801 4]. Raises SaslError."""
    if octets.count(b"=") != octets.count(b"=2C") + octets.count(b"=3D"):
        raise SaslError("a user name with = that is neither =2C nor =3D")
    return name_of(octets.replace(b"=2C", b",").replace(b"=3D", b"="))
