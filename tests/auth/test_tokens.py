"""Tokens against published keys: from a file and by HTTP, when they are read again, and what is refused."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from pydantic import ValidationError

from mas.auth.tokens import BadToken, Tokens
from mas.config import OAuth2
from mas.errors import AuthUnavailable

ISSUER = "https://id.example.net"
KEYS = {name: ECKey.generate_key("P-256", {"kid": name}) for name in ("one", "two")}


class Time:
    """Two clocks that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def settings(jwks: str, **more: Any) -> OAuth2:
    return OAuth2.model_validate({"jwks": jwks, "issuer": ISSUER, "audience": ("mail",), **more})


def published(*names: str) -> bytes:
    return json.dumps({"keys": [KEYS[name].as_dict(private=False) for name in names]}).encode()


def token(key: str = "one", **claims: Any) -> str:
    given = {"iss": ISSUER, "aud": "mail", "exp": time.time() + 60, "email": "kim@example.net"} | claims
    return jwt.encode({"alg": "ES256", "kid": key}, given, KEYS[key])


class Provider(BaseHTTPRequestHandler):
    """Serves ``body``, counts."""

    body = b""
    location = ""
    asked = 0
    hold: threading.Event

    def do_GET(self) -> None:
        cls = type(self)
        cls.asked += 1
        cls.hold.wait(20)
        self.send_response(302 if cls.location else 200)
        if cls.location:
            self.send_header("Location", cls.location)
        self.send_header("Content-Length", str(len(cls.body)))
        self.end_headers()
        self.wfile.write(cls.body)

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def provider() -> Iterator[tuple[type[Provider], str]]:
    class Fresh(Provider):
        body = published("one")
        hold = threading.Event()

    Fresh.hold.set()
    server = HTTPServer(("127.0.0.1", 0), Fresh)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield Fresh, f"http://127.0.0.1:{server.server_port}/jwks"
    Fresh.hold.set()
    server.shutdown()
    thread.join(20)
    server.server_close()


async def test_keys_are_read_once_and_again_for_an_unknown_one(provider: tuple[type[Provider], str]) -> None:
    server, url = provider
    clock = Time()
    tokens = Tokens(settings(url), monotonic=clock)
    for _ in range(3):
        assert await tokens.user_of(token()) == "kim@example.net"
    assert server.asked == 1
    server.body = published("two")
    # Made-up names of keys do not make this host ask and ask.
    for _ in range(3):
        with pytest.raises(BadToken):
            await tokens.user_of(token("two"))
    assert server.asked == 1
    clock.now += 31
    assert await tokens.user_of(token("two")) == "kim@example.net"
    with pytest.raises(BadToken):
        await tokens.user_of(token("one"))
    assert server.asked == 2


async def test_keys_are_read_again_when_they_are_old_and_kept_when_that_fails(
    provider: tuple[type[Provider], str],
) -> None:
    server, url = provider
    clock = Time()
    tokens = Tokens(settings(url, refresh="10m"), monotonic=clock)
    await tokens.user_of(token())
    for body in (b"no JSON", b"[]", b'{"keys": [{"kty": "EC"}]}', b"x" * 300_000):
        clock.now += 601
        server.body = body
        assert await tokens.user_of(token()) == "kim@example.net"
    assert server.asked == 5


async def test_many_that_wait_ask_once(provider: tuple[type[Provider], str]) -> None:
    server, url = provider
    server.hold.clear()
    tokens = Tokens(settings(url))
    waiting = [asyncio.create_task(tokens.user_of(token())) for _ in range(10)]
    given_up = asyncio.create_task(tokens.user_of(token()))
    async with asyncio.timeout(20):
        while not server.asked:  # noqa: ASYNC110  (another thread counts)
            await asyncio.sleep(0.001)
    given_up.cancel()
    server.hold.set()
    assert await asyncio.gather(*waiting) == ["kim@example.net"] * 10
    assert server.asked == 1


async def test_a_provider_that_sends_elsewhere_or_nothing(provider: tuple[type[Provider], str]) -> None:
    server, url = provider
    server.location = "http://127.0.0.1:1/"
    with pytest.raises(AuthUnavailable):
        await Tokens(settings(url)).user_of(token())
    with pytest.raises(AuthUnavailable):
        await Tokens(settings("http://127.0.0.1:1/")).user_of(token())


@pytest.mark.parametrize(
    "address", ["http://id.example.net/jwks", "ftp://127.0.0.1/x", "http://127.0.0.1.example.net/", "keys.json"]
)
def test_addresses_that_are_refused(address: str) -> None:
    with pytest.raises(ValidationError):
        settings(address)


def forged(claims: dict[str, Any], secret: bytes) -> str:
    """Signed with what everybody knows, the public key, in the hope that it is taken for a shared secret."""
    head, body = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": "HS256", "kid": "rsa"}, claims)
    )
    signature = hmac.digest(secret, head + b"." + body, "sha256")
    return b".".join((head, body, base64.urlsafe_b64encode(signature).rstrip(b"="))).decode()


def write(path: Path, *keys: Any) -> str:
    path.write_text(json.dumps({"keys": [key.as_dict(private=isinstance(key, OctKey)) for key in keys]}))
    return str(path)


async def test_algorithms(tmp_path: Path) -> None:
    """Only the configured ones, and no symmetric key even if somebody publishes it: everybody who knows it could sign."""
    rsa = RSAKey.generate_key(2048, {"kid": "rsa"})
    ed = OKPKey.generate_key("Ed25519", {"kid": "ed"})
    shared = OctKey.import_key("0123456789abcdef0123456789abcdef", {"kid": "shared"})
    path = write(tmp_path / "jwks.json", rsa, ed, shared)
    claims = {"iss": ISSUER, "aud": ["mail", "other"], "exp": time.time() + 60, "email": "kim@example.net"}
    default = Tokens(settings(path))
    assert await default.user_of(jwt.encode({"alg": "RS256", "kid": "rsa"}, claims, rsa)) == "kim@example.net"
    for signed in (
        jwt.encode({"alg": "RS512", "kid": "rsa"}, claims, rsa, algorithms=["RS512"]),
        jwt.encode({"alg": "EdDSA", "kid": "ed"}, claims, ed, algorithms=["EdDSA"]),
        jwt.encode({"alg": "HS256", "kid": "shared"}, claims, shared),
        forged(claims, rsa.as_pem(private=False)),
        "eyJhbGciOiJub25lIn0.e30.",
    ):
        with pytest.raises(BadToken):
            await default.user_of(signed)
    more = Tokens(settings(path, algorithms=("EdDSA",)))
    assert (
        await more.user_of(jwt.encode({"alg": "EdDSA", "kid": "ed"}, claims, ed, algorithms=["EdDSA"]))
        == "kim@example.net"
    )


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"iss": "https://id.example.org"}, "invalid_token"),
        ({"iss": None}, "invalid_token"),
        ({"aud": "other"}, "invalid_token"),
        ({"aud": {"mail": 1}}, "invalid_token"),
        ({"exp": time.time() - 60}, "invalid_token"),
        ({"exp": "tomorrow"}, "invalid_token"),
        ({"exp": True}, "invalid_token"),
        ({"nbf": time.time() + 3600}, "invalid_token"),
        ({"email": ""}, "invalid_token"),
        ({"email": 7}, "invalid_token"),
        ({"scope": "openid"}, "insufficient_scope"),
        ({"scope": 7}, "insufficient_scope"),
        ({"scope": None, "scp": ["openid"]}, "insufficient_scope"),
    ],
)
async def test_claims(tmp_path: Path, claims: dict[str, Any], code: str) -> None:
    path = write(tmp_path / "jwks.json", KEYS["one"])
    tokens = Tokens(settings(path, scope=("mail",)))
    good = {"scope": "openid mail"}
    assert await tokens.user_of(token(**good)) == "kim@example.net"
    assert await tokens.user_of(token(scp=["mail"])) == "kim@example.net"
    with pytest.raises(BadToken) as caught:
        await tokens.user_of(token(**(good | claims)))
    assert caught.value.code == code


async def test_clocks_may_differ_a_little(tmp_path: Path) -> None:
    path = write(tmp_path / "jwks.json", KEYS["one"])
    clock = Time()
    tokens = Tokens(settings(path, leeway="10s"), clock=clock)
    old = token(exp=995.0, nbf=1009.0)
    assert await tokens.user_of(old) == "kim@example.net"
    clock.now = 1006.0
    with pytest.raises(BadToken):
        await tokens.user_of(old)


@given(st.text(max_size=200) | st.lists(st.binary(max_size=60).map(lambda b: b.hex()), max_size=4).map(".".join))
def test_anything_is_no_token(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "jwks.json"
    if not path.exists():
        write(path, KEYS["one"])
    with pytest.raises(BadToken):
        asyncio.run(Tokens(settings(str(path))).user_of(text))
