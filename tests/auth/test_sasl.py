"""SASL mechanisms: tables, the RFCs' own exchanges, and no input breaks them with anything but SaslError."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scramp import ScramClient, ScramException

from mas.auth.digests import cram_md5_states
from mas.auth.sasl import MECHANISMS, Context, SaslError
from mas.auth.sasl.steps import (
    MAX_NAME,
    MAX_PASSWORD,
    Bearer,
    Certificate,
    Claim,
    CramSecret,
    Password,
    Proof,
    Question,
    ScramSalt,
    ScramSecret,
)
from mas.auth.scram import ALGORITHMS, ScramKeys, encode_scram, made_up_salt, parse_scram, scram_keys

END_POINT = b"e" * 32


def context(**named: Any) -> Context:
    named.setdefault("binding", {"tls-exporter": END_POINT}.get)
    return Context("mail.example.net", lambda count: b"\x07" * count, **named)


class Drive:
    """A mechanism with a client's responses and canned answers to its questions."""

    def __init__(self, mechanism: str, answers: Mapping[type[Question], object] | None = None, **named: Any) -> None:
        self.steps = MECHANISMS[mechanism].start(context(**named))
        self.answers = answers or {}
        self.asked: list[Question] = []
        first = next(self.steps)
        assert isinstance(first, bytes)
        self.challenge = first
        self.claim: Claim | None = None

    def respond(self, response: bytes) -> bytes | Claim:
        try:
            item = self.steps.send(response)
            while not isinstance(item, bytes):
                self.asked.append(item)
                item = self.steps.send(self.answers.get(type(item)))
            self.challenge = item
            return item
        except StopIteration as end:
            claim: Claim = end.value
            self.claim = claim
            return claim

    def challenged(self, response: bytes) -> str:
        challenge = self.respond(response)
        assert isinstance(challenge, bytes)
        return challenge.decode()


GOOD = [
    ("PLAIN", [b"\0kim@example.net\0secret"], Password("kim@example.net", b"secret")),
    ("PLAIN", [b"ann\0kim\0\xff\xfe"], Password("kim", b"\xff\xfe", "ann")),
    ("PLAIN", [b"\0kim\0"], Password("kim", b"")),
    ("PLAIN", ["\0jürgen\0pass wörd".encode()], Password("jürgen", "pass wörd".encode())),
    ("LOGIN", [b"kim@example.net", b"secret"], Password("kim@example.net", b"secret")),
    ("EXTERNAL", [b""], Certificate("")),
    ("EXTERNAL", ["jürgen".encode()], Certificate("jürgen")),
]
BAD = [
    ("PLAIN", [b""]),
    ("PLAIN", [b"kim"]),
    ("PLAIN", [b"kim\0secret"]),
    ("PLAIN", [b"\0kim\0sec\0ret"]),
    ("PLAIN", [b"\0\0secret"]),
    ("PLAIN", [b"\0k\xff\0secret"]),
    ("PLAIN", [b"\xff\0kim\0secret"]),
    ("PLAIN", [b"\0kim\0" + b"x" * (MAX_PASSWORD + 1)]),
    ("PLAIN", [b"\0" + b"x" * (MAX_NAME + 1) + b"\0x"]),
    ("LOGIN", [b"", b"secret"]),
    ("LOGIN", [b"ki\0m", b"secret"]),
    ("LOGIN", [b"kim", b"sec\0ret"]),
    ("EXTERNAL", [b"ki\0m"]),
    ("EXTERNAL", [b"\xff"]),
    ("CRAM-MD5", [b""]),
    ("CRAM-MD5", [b"kim"]),
    ("CRAM-MD5", [b" " + b"0" * 32]),
    ("CRAM-MD5", [b"kim " + b"0" * 31]),
    ("SCRAM-SHA-256", [b""]),
    ("SCRAM-SHA-256", [b"n,,n=kim"]),
    ("SCRAM-SHA-256", [b"n,,n=,r=abc"]),
    ("SCRAM-SHA-256", [b"n,,n=kim,r="]),
    ("SCRAM-SHA-256", [b"n,,m=x,n=kim,r=abc"]),
    ("SCRAM-SHA-256", [b"x,,n=kim,r=abc"]),
    ("SCRAM-SHA-256", [b"n,,n=k=2Dm,r=abc"]),
    ("SCRAM-SHA-256", [b"n,,n=k\xff,r=abc"]),
    ("SCRAM-SHA-256", [b"n,b=kim,n=kim,r=abc"]),
    ("SCRAM-SHA-256", [b"p=tls-exporter,,n=kim,r=abc"]),
    ("SCRAM-SHA-256", [b"n,,n=kim,r=abc", b""]),
    ("SCRAM-SHA-256", [b"n,,n=kim,r=abc", b"c=biws,r=abc,p=AAAA"]),
    ("SCRAM-SHA-256-PLUS", [b"n,,n=kim,r=abc"]),
    ("SCRAM-SHA-256-PLUS", [b"y,,n=kim,r=abc"]),
    ("SCRAM-SHA-256-PLUS", [b"p=tls-unique,,n=kim,r=abc"]),
    ("OAUTHBEARER", [b""]),
    ("OAUTHBEARER", [b"n,a=kim,\x01auth=Bearer abc\x01"]),
    ("OAUTHBEARER", [b"n,a=kim,\x01auth=Basic abc\x01\x01"]),
    ("OAUTHBEARER", [b"n,a=kim,\x01host=x\x01\x01"]),
    ("OAUTHBEARER", [b"n,a=kim,\x01auth=Bearer abc\x01auth=Bearer abc\x01\x01"]),
    ("OAUTHBEARER", [b"p=x,a=kim,\x01auth=Bearer abc\x01\x01"]),
    ("XOAUTH2", [b"user=kim\x01auth=Bearer \x01\x01"]),
    ("XOAUTH2", [b"user=kim\x01auth=Bearer abc\x01"]),
    ("XOAUTH2", [b"user=\x01auth=Bearer abc\x01\x01"]),
]


@pytest.mark.parametrize(("mechanism", "responses", "expected"), GOOD)
def test_good_exchange(mechanism: str, responses: list[bytes], expected: Claim) -> None:
    drive = Drive(mechanism)
    for response in responses[:-1]:
        assert isinstance(drive.respond(response), bytes)
    assert drive.respond(responses[-1]) == expected


@pytest.mark.parametrize(("mechanism", "responses"), BAD)
def test_malformed_exchange(mechanism: str, responses: list[bytes]) -> None:
    drive = Drive(mechanism, {ScramSalt: (b"salt", 4096)})
    for response in responses[:-1]:
        assert isinstance(drive.respond(response), bytes)
    with pytest.raises(SaslError):
        drive.respond(responses[-1])


def test_prompts() -> None:
    drive = Drive("LOGIN")
    assert drive.challenge == b"Username:"
    assert drive.respond(b"kim") == b"Password:"


def test_who_speaks_first() -> None:
    for name, mechanism in MECHANISMS.items():
        assert (Drive(name).challenge != b"") is mechanism.server_first


def test_no_secret_is_in_a_repr() -> None:
    keys = ScramKeys(4096, b"salt", b"hunter2", b"hunter2")
    assert "hunter2" not in repr([Password("kim", b"hunter2"), Bearer("hunter2", "kim"), keys])


# SCRAM


def client_first(user: str) -> bytes:
    return b"n,,n=%s,r=rOprNGfwEbeRWgbNEkqO" % user.encode()


def test_scram_sha_256_of_the_rfc() -> None:
    """The exchange of [RFC7677 3]: its salt and iterations, with the nonce that this server draws."""
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    keys = scram_keys(b"pencil", "sha256", salt, 4096)
    drive = Drive("SCRAM-SHA-256", {ScramSalt: (salt, 4096), ScramSecret: keys})
    first = drive.respond(client_first("user"))
    assert first == b"r=rOprNGfwEbeRWgbNEkqO%s,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096" % base64.b64encode(b"\x07" * 18)
    assert drive.asked == [ScramSalt("user", "", "SCRAM-SHA-256")]


def test_scram_keys_of_the_rfc() -> None:
    """[RFC5802 5] and [RFC7677 3] give client proof and server signature of a whole exchange."""
    for algorithm, salt, nonce, proof, signature in (
        (
            "sha1",
            "QSXCR+Q6sek8bf92",
            "fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j",
            "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            "rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        ),
        (
            "sha256",
            "W22ZaJ0SNY7soEsUEjb6gQ==",
            "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
            "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        ),
    ):
        keys = scram_keys(b"pencil", algorithm, base64.b64decode(salt), 4096)
        client_nonce = nonce[:24] if algorithm == "sha1" else nonce[:20]
        message = f"n=user,r={client_nonce},r={nonce},s={salt},i=4096,c=biws,r={nonce}".encode()
        mask = hmac.digest(keys.stored_key, message, algorithm)
        client_key = bytes(a ^ b for a, b in zip(base64.b64decode(proof), mask, strict=True))
        assert hashlib.new(algorithm, client_key).digest() == keys.stored_key
        assert base64.b64encode(hmac.digest(keys.server_key, message, algorithm)).decode() == signature


def scramp_run(
    mechanism: str,
    password: str,
    keys: ScramKeys | None,
    user: str = "kim@example.net",
    binding: tuple[str, bytes] | None = None,
) -> tuple[Claim, ScramClient]:
    """scramp's client against the mechanism."""
    client = ScramClient([mechanism], user, password, channel_binding=binding)
    kinds = {"tls-server-end-point": END_POINT}
    salt, iterations = (keys.salt, keys.iterations) if keys else (b"made up 16 chars", 4096)
    drive = Drive(mechanism, {ScramSalt: (salt, iterations), ScramSecret: keys}, binding=kinds.get)
    server_first = drive.respond(client.get_client_first().encode())
    assert isinstance(server_first, bytes)
    client.set_server_first(server_first.decode())
    claim = drive.respond(client.get_client_final().encode())
    assert not isinstance(claim, bytes)
    return claim, client


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS"])
@pytest.mark.parametrize("user", ["kim@example.net", "k,i=m", "jürgen"])
def test_an_independent_scram_client(mechanism: str, user: str) -> None:
    keys = scram_keys(b"secret", ALGORITHMS[mechanism.removesuffix("-PLUS")], b"0123456789abcdef", 4096)
    binding = ("tls-server-end-point", END_POINT) if mechanism.endswith("-PLUS") else None
    claim, client = scramp_run(mechanism, "secret", keys, user, binding)
    assert isinstance(claim, Proof)
    assert claim.right
    client.set_server_final(claim.data.decode())  # raises when the server does not know the secret
    wrong, _ = scramp_run(mechanism, "other", keys, user, binding)
    assert wrong == Proof(False)
    nobody, _ = scramp_run(mechanism, "secret", None, user, binding)
    assert nobody == Proof(False, reason="no secret for this mechanism")


def test_the_client_notices_a_server_that_does_not_know_the_secret() -> None:
    keys = scram_keys(b"secret", "sha256", b"0123456789abcdef", 4096)
    client = ScramClient(["SCRAM-SHA-256"], "kim", "secret")
    drive = Drive("SCRAM-SHA-256", {ScramSalt: (keys.salt, 4096), ScramSecret: keys})
    client.get_client_first()
    with pytest.raises(ScramException):
        client.set_server_first(drive.challenged(client_first("kim")))


def test_binding_to_another_connection_is_refused() -> None:
    keys = scram_keys(b"secret", "sha256", b"0123456789abcdef", 4096)
    drive = Drive(
        "SCRAM-SHA-256-PLUS",
        {ScramSalt: (keys.salt, 4096), ScramSecret: keys},
        binding={"tls-server-end-point": END_POINT}.get,
    )
    client = ScramClient(
        ["SCRAM-SHA-256-PLUS"], "kim", "secret", channel_binding=("tls-server-end-point", b"another certificate")
    )
    client.set_server_first(drive.challenged(client.get_client_first().encode()))
    refused = drive.respond(client.get_client_final().encode())
    assert refused == Proof(False, reason="the channel binding is of another connection")


def test_a_client_that_was_kept_from_binding_is_refused() -> None:
    """It says that the server cannot bind, and the server has said that it can [RFC5802 6]."""
    assert isinstance(Drive("SCRAM-SHA-256", {ScramSalt: (b"s", 4096)}).respond(b"y,,n=kim,r=abc"), bytes)
    with pytest.raises(SaslError):
        Drive("SCRAM-SHA-256", {ScramSalt: (b"s", 4096)}, plus=True).respond(b"y,,n=kim,r=abc")


def test_names_of_scram() -> None:
    drive = Drive("SCRAM-SHA-256", {ScramSalt: (b"s", 4096)})
    drive.respond(b"n,a=ann=3D=2C,n=k=2Ci=3Dm,r=abc,x=more")
    assert drive.asked == [ScramSalt("k,i=m", "ann=,", "SCRAM-SHA-256")]


def test_stored_keys_round_trip() -> None:
    keys = scram_keys(b"secret", "sha256", b"salt", 5000)
    assert parse_scram(encode_scram(keys), "sha256") == keys


@pytest.mark.parametrize(
    "raw", [b"", b"4096,c2FsdA==,AAAA", b"0,c2FsdA==,AAAA,AAAA", b"4096,c2FsdA==,AAAA,AAAA", b"x,!,!,!"]
)
def test_stored_keys_that_are_none(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"SCRAM|rounds"):
        parse_scram(raw, "sha256")


def test_a_made_up_salt_is_the_same_again_and_another_for_others() -> None:
    one = made_up_salt(b"k" * 32, "SCRAM-SHA-256", "kim")
    assert len(one) == 16
    assert one == made_up_salt(b"k" * 32, "SCRAM-SHA-256", "kim")
    others = [("SCRAM-SHA-1", "kim", b"k"), ("SCRAM-SHA-256", "ann", b"k"), ("SCRAM-SHA-256", "kim", b"j")]
    assert one not in [made_up_salt(key * 32, scheme, user) for scheme, user, key in others]


# CRAM-MD5


def test_cram_md5() -> None:
    for password in (b"tanstaaftanstaaf", b"x" * 64):
        drive = Drive("CRAM-MD5", {CramSecret: cram_md5_states(password)})
        assert drive.challenge == b"<%s@mail.example.net>" % (b"07" * 16)
        digest = hmac.digest(password, drive.challenge, "md5").hex().encode()
        assert drive.respond(b"tim with space " + digest) == Proof(True)
        assert drive.asked == [CramSecret("tim with space")]
        assert Drive("CRAM-MD5", {CramSecret: cram_md5_states(b"other")}).respond(b"tim " + digest) == Proof(False)


def test_cram_md5_of_nobody() -> None:
    drive = Drive("CRAM-MD5", {CramSecret: None})
    zeros = hmac.digest(b"", drive.challenge, "md5").hex().encode()
    assert drive.respond(b"tim " + zeros) == Proof(False)


# OAuth

TOKEN = b"vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg"


@pytest.mark.parametrize(
    ("mechanism", "message", "asked"),
    [
        (
            "OAUTHBEARER",
            b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer %s==\x01\x01" % TOKEN,
            Bearer(TOKEN.decode() + "==", "user@example.com"),
        ),
        ("OAUTHBEARER", b"n,,\x01auth=bearer a.b-c_d~e+f/g\x01\x01", Bearer("a.b-c_d~e+f/g", "")),
        ("XOAUTH2", b"user=kim@example.net\x01auth=Bearer abc\x01\x01", Bearer("abc", "kim@example.net")),
    ],
)
def test_tokens(mechanism: str, message: bytes, asked: Bearer) -> None:
    """The first is [RFC7628 4.1]'s."""
    good = Drive(mechanism)
    assert good.respond(message) == Proof(True)
    assert good.asked == [asked]
    hints = {"scope": "mail", "openid-configuration": "https://id.example.net/.well-known/openid-configuration"}
    refused = Drive(mechanism, {Bearer: "invalid_token"}, oauth_hints=hints)
    error = refused.respond(message)
    assert isinstance(error, bytes)
    status = {"status": "invalid_token"} if mechanism == "OAUTHBEARER" else {"status": "401", "schemes": "bearer"}
    assert json.loads(error) == status | hints
    assert refused.respond(b"\x01") == Proof(False, reason="token: invalid_token")


# Anything


KEYS = scram_keys(b"secret", "sha256", b"0123456789abcdef", 1)
PIECES = (
    *(b"n,,", b"y,,", b"p=tls-exporter,,", b"n=kim", b",", b"r=abc", b"c=biws", b"p=AAAA", b"a=kim"),
    *(b"\x01", b"auth=Bearer x", b"user=", b"=", b"\0", b" "),
)


@given(
    st.sampled_from(sorted(MECHANISMS)),
    st.lists(
        st.binary(max_size=200) | st.lists(st.sampled_from(PIECES), max_size=8).map(b"".join), min_size=1, max_size=4
    ),
)
def test_any_input_ends_in_a_claim_or_sasl_error(mechanism: str, responses: list[bytes]) -> None:
    answers = {ScramSalt: (b"salt", 4096), ScramSecret: KEYS, CramSecret: None, Bearer: "invalid_token"}
    drive = Drive(mechanism, answers)
    with contextlib.suppress(SaslError):
        for response in responses:
            if not isinstance(drive.respond(response), bytes):
                claim = drive.claim
                assert not (isinstance(claim, Proof) and claim.right)
                assert not isinstance(claim, Password) or (claim.authcid and b"\0" not in claim.password)
                break


@given(
    st.text(min_size=1, max_size=50).filter(lambda s: "\0" not in s and s.isprintable()),
    st.binary(max_size=80).filter(lambda b: b"\0" not in b),
)
def test_plain_round_trip(name: str, password: bytes) -> None:
    assert Drive("PLAIN").respond(b"\0" + name.encode() + b"\0" + password) == Password(name, password)
