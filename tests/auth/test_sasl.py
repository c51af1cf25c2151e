"""SASL exchanges: tables, and no input breaks them with anything but SaslError."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mas.auth.interface import Credentials
from mas.auth.sasl import CLEARTEXT, CLIENT_FIRST, MAX_PASSWORD, MAX_RESPONSE, MECHANISMS, Exchange, SaslError

GOOD = [
    ("PLAIN", [b"\0kim@example.net\0secret"], Credentials("kim@example.net", b"secret")),
    ("plain", [b"ann\0kim\0\xff\xfe"], Credentials("kim", b"\xff\xfe", "ann")),
    ("PLAIN", [b"\0kim\0"], Credentials("kim", b"")),
    ("PLAIN", ["\0jürgen\0pass wörd".encode()], Credentials("jürgen", "pass wörd".encode())),
    ("LOGIN", [b"kim@example.net", b"secret"], Credentials("kim@example.net", b"secret")),
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
    ("PLAIN", [b"x" * (MAX_RESPONSE + 1)]),
    ("LOGIN", [b"", b"secret"]),
    ("LOGIN", [b"ki\0m", b"secret"]),
    ("LOGIN", [b"kim", b"sec\0ret"]),
]


@pytest.mark.parametrize(("mechanism", "responses", "expected"), GOOD)
def test_good_exchange(mechanism: str, responses: list[bytes], expected: Credentials) -> None:
    exchange = Exchange(mechanism)
    for response in responses[:-1]:
        assert exchange.respond(response) is None
    assert exchange.respond(responses[-1]) == expected
    assert exchange.credentials == expected


@pytest.mark.parametrize(("mechanism", "responses"), BAD)
def test_malformed_exchange(mechanism: str, responses: list[bytes]) -> None:
    exchange = Exchange(mechanism)
    for response in responses[:-1]:
        exchange.respond(response)
    with pytest.raises(SaslError):
        exchange.respond(responses[-1])
    assert exchange.credentials is None


def test_prompts() -> None:
    assert Exchange("PLAIN").challenge == b""
    exchange = Exchange("LOGIN")
    assert exchange.challenge == b"Username:"
    exchange.initial(b"kim")
    assert exchange.challenge == b"Password:"


def test_unknown_mechanism() -> None:
    with pytest.raises(SaslError):
        Exchange("ANONYMOUS")


def test_every_mechanism_says_whether_it_is_cleartext_and_who_speaks_first() -> None:
    assert set(MECHANISMS) >= CLEARTEXT
    for name in MECHANISMS:
        assert (Exchange(name).challenge == b"") is (name in CLIENT_FIRST)


def test_the_password_is_not_in_a_repr() -> None:
    assert "hunter2" not in repr(Credentials("kim", b"hunter2"))


@given(st.sampled_from(sorted(MECHANISMS)), st.lists(st.binary(max_size=200), min_size=1, max_size=3))
def test_any_input_ends_in_credentials_or_sasl_error(mechanism: str, responses: list[bytes]) -> None:
    exchange = Exchange(mechanism)
    with contextlib.suppress(SaslError):
        for response in responses:
            if (credentials := exchange.respond(response)) is not None:
                assert credentials.authcid
                assert b"\0" not in credentials.password
                break


@given(
    st.text(min_size=1).filter(lambda s: "\0" not in s and s.isprintable()),
    st.binary(max_size=80).filter(lambda b: b"\0" not in b),
)
def test_plain_round_trip(name: str, password: bytes) -> None:
    assert Exchange("PLAIN").respond(b"\0" + name.encode() + b"\0" + password) == Credentials(name, password)
