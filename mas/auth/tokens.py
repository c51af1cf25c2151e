"""Bearer tokens: JSON Web Tokens checked against the public keys of an identity provider.  [RFC7519] [RFC9068]

The keys (a JWKS [RFC7517]) come from a file or by HTTPS, are read in a thread with a limit of size and time, and kept. They are read again
when they are older than ``refresh``, and when a token names a key that is not among them, but not more often than ``_PAUSE``: made-up key
names must not make this host hammer the provider. When they cannot be read the kept ones go on serving; without any it is a temporary
failure, never "wrong token".

Only signatures by asymmetric keys are taken, of the configured algorithms; issuer, audience and an expiry are required. Must not know:
users, SASL.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import math
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from http.client import HTTPMessage
from pathlib import Path
from typing import IO, Any, Final

import structlog
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from mas.config import OAuth2
from mas.errors import AuthUnavailable, MasError

log = structlog.get_logger(area="auth")

_PAUSE: Final = 30.0
"""Seconds between two tries to read the keys."""


class BadToken(MasError):
    """The token is refused. ``code`` is the OAuth error for the client [RFC6750 3.1]; ``str()`` is for the log and shows nothing of it."""

    def __init__(self, why: str, code: str = "invalid_token") -> None:
        super().__init__(why)
        self.code = code


class Tokens:
    """The judge of tokens of one configuration."""

    def __init__(
        self,
        settings: OAuth2,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """clock: seconds since 1970, as tokens have them; monotonic: for the age of the keys."""
        self._settings = settings
        self._clock = clock
        self._monotonic = monotonic
        self._registry = JWSRegistry(algorithms=list(settings.algorithms), strict_check_header=False)
        self._keys: KeySet | None = None
        self._read_at = -math.inf
        self._tried_at = -math.inf
        self._reading: asyncio.Task[None] | None = None

    async def user_of(self, token: str) -> str:
        """The name in a good token's ``username_claim``. Raises BadToken, AuthUnavailable."""
        key_id = _key_id(token)
        await self._ensure(key_id)
        if self._keys is None:
            raise AuthUnavailable(f"auth.oauth2.jwks: the keys of {self._settings.jwks} cannot be read")
        try:
            decoded = jwt.decode(token, self._keys, registry=self._registry)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise BadToken(f"not signed by a known key: {type(error).__name__}") from None
        self._check(decoded.claims)
        name = decoded.claims.get(self._settings.username_claim)
        if not isinstance(name, str) or not name:
            raise BadToken(f"no claim {self._settings.username_claim}")
        return name

    def _check(self, claims: Mapping[str, Any]) -> None:
        settings, now = self._settings, self._clock()
        if claims.get("iss") != settings.issuer:
            raise BadToken("of another issuer")
        audience = claims.get("aud")
        audiences = {audience} if isinstance(audience, str) else set(_strings(audience))
        if audiences.isdisjoint(settings.audience):
            raise BadToken("for another audience")
        if (expires := _number(claims, "exp")) is None:
            raise BadToken("without an expiry")
        if expires + settings.leeway <= now:
            raise BadToken("expired")
        if (_number(claims, "nbf") or 0.0) - settings.leeway > now:
            raise BadToken("not valid yet")
        scope = claims.get("scope", claims.get("scp", ""))
        granted = set(scope.split() if isinstance(scope, str) else _strings(scope))
        if not granted.issuperset(settings.scope):
            raise BadToken("lacks a scope", "insufficient_scope")

    # The keys

    async def _ensure(self, key_id: str | None) -> None:
        """Keys that are fresh, and among which ``key_id`` is, as far as they can be had."""
        now = self._monotonic()
        known = self._keys is not None and (key_id is None or any(key.kid == key_id for key in self._keys))
        if known and now - self._read_at < self._settings.refresh:
            return
        if self._reading is None:
            if now - self._tried_at < _PAUSE:
                return
            self._tried_at = now
            self._reading = asyncio.get_running_loop().create_task(self._read())
        # Whoever waits may be cancelled; the reading goes on for the others.
        await asyncio.shield(self._reading)

    async def _read(self) -> None:
        try:
            octets = await asyncio.to_thread(self._fetch)
            self._keys = KeySet.import_key_set(_public(json.loads(octets)))
            self._read_at = self._monotonic()
        except (OSError, ValueError, TypeError, KeyError, JoseError) as error:
            log.error("keys of the identity provider cannot be read", jwks=self._settings.jwks, why=str(error))
        finally:
            self._reading = None

    def _fetch(self) -> bytes:
        """In a thread. Raises OSError, ValueError."""
        settings = self._settings
        if "://" not in settings.jwks:
            with Path(settings.jwks).open("rb") as file:
                octets = file.read(settings.max_jwks + 1)
        else:
            opener = urllib.request.build_opener(_NoRedirect)
            with opener.open(settings.jwks, timeout=settings.timeout) as response:
                octets = response.read(settings.max_jwks + 1)
        if len(octets) > settings.max_jwks:
            raise ValueError(f"auth.oauth2.max_jwks = {settings.max_jwks} is exceeded")
        return bytes(octets)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The configured address and no other."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        raise urllib.error.URLError(f"redirected ({code}): give the address of the keys themselves")


def _key_id(token: str) -> str | None:
    """The name of the key that a token says it is signed with. Raises BadToken."""
    head = token.partition(".")[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        raise BadToken("no JSON Web Token") from None
    if not isinstance(header, dict):
        raise BadToken("no JSON Web Token")
    name = header.get("kid")
    return name if isinstance(name, str) else None


def _public(keys: Any) -> Any:
    """Without symmetric keys, which have no business in a published set, and without those for encryption."""
    return {"keys": [key for key in keys["keys"] if key.get("kty") != "oct" and key.get("use", "sig") == "sig"]}


def _strings(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _number(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
