"""Dovecot's auth protocol: lines to requests, whole, octet by octet, and with the next one behind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mas.protocols.auth_socket import replies
from mas.protocols.auth_socket.connection import Auth, AuthConnection, Broken, Cancel, Closed, Cont, Event
from mas.protocols.session import Wait

HELLO = b"VERSION\t1\t1\nCPID\t77\n"
TABLE: list[tuple[bytes, Event]] = [
    (b"AUTH\t1\tPLAIN\tservice=smtp\tresp=AGE=\n", Auth(1, "PLAIN", {"service": "smtp"}, b"AGE=")),
    (b"AUTH\t1\tplain\tservice=smtp\n", Auth(1, "PLAIN", {"service": "smtp"})),
    (
        b"AUTH\t1\tPLAIN\tprotocol=doveadm\tfinal-resp-ok\n",
        Auth(1, "PLAIN", {"service": "doveadm", "final-resp-ok": ""}),
    ),
    (
        b"AUTH\t4294967295\tLOGIN\tservice=smtp\tnologin\tlip=127.0.0.1\trip=::1\tsecured\tresp=\n",
        Auth(
            4294967295,
            "LOGIN",
            {"service": "smtp", "nologin": "", "lip": "127.0.0.1", "rip": "::1", "secured": ""},
            b"",
        ),
    ),
    (b"AUTH\t1\tPLAIN\tservice=a\x01tb\x01\x31\n", Auth(1, "PLAIN", {"service": "a\tb\x01"})),
    (b"CONT\t5\tAAAA\n", Cont(5, b"AAAA")),
    (b"CANCEL\t5\n", Cancel(5)),
    (b"AUTH\t1\tPLAIN\n", Broken("AUTH without id, mechanism and service")),
    (b"AUTH\t1\tPLAIN\tsecured\n", Broken("AUTH without a service")),
    (b"AUTH\tx\tPLAIN\tservice=smtp\n", Broken("AUTH without id, mechanism and service")),
    (b"AUTH\t4294967296\tPLAIN\tservice=smtp\n", Broken("AUTH without id, mechanism and service")),
    (b"AUTH\t1\tPLAIN\tresp=AA==\tservice=smtp\n", Broken("resp= is not the last parameter")),
    (b"CONT\t5\n", Broken("a command is unknown or has wrong parameters")),
    (b"BLAH\t9\n", Broken("a command is unknown or has wrong parameters")),
]


@pytest.mark.parametrize(("line", "event"), TABLE, ids=[repr(line[:30]) for line, _ in TABLE])
def test_requests(line: bytes, event: Event) -> None:
    whole = AuthConnection(8192)
    whole.receive_data(HELLO + line)
    assert whole.next_event() == event
    slow = AuthConnection(8192)
    for at in range(len(HELLO + line)):
        assert slow.next_event() is Wait.NEED_DATA
        slow.receive_data((HELLO + line)[at : at + 1])
    assert slow.next_event() == event
    followed = AuthConnection(8192)
    followed.receive_data(HELLO + line + b"CANCEL\t7\n")
    assert followed.next_event() == event
    assert followed.next_event() == (Closed() if isinstance(event, Broken) else Cancel(7))


@pytest.mark.parametrize("first", [b"VERSION\t2\t1\n", b"CPID\t77\n", b"AUTH\t1\tPLAIN\tservice=smtp\n", b"\n"])
def test_the_version_comes_first(first: bytes) -> None:
    wire = AuthConnection(8192)
    wire.receive_data(first)
    assert isinstance(wire.next_event(), Broken)


def test_a_line_over_its_limit_is_the_end() -> None:
    wire = AuthConnection(100)
    wire.receive_data(HELLO + b"x" * 101)
    assert isinstance(wire.next_event(), Broken)
    assert wire.next_event() == Closed()
    assert not wire.buffered


def test_answers_are_dovecots() -> None:
    """As recorded from Dovecot 2.3.19."""
    assert replies.handshake(["PLAIN", "LOGIN"], 22777, 1, "3a44eed0c7dea715b6cc539c340ac9cd") == (
        b"VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\nSPID\t22777\nCUID\t1\n"
        b"COOKIE\t3a44eed0c7dea715b6cc539c340ac9cd\nDONE\n"
    )
    assert replies.fail(1, user="kim@example.net") == b"FAIL\t1\tuser=kim@example.net\n"
    assert replies.fail(1, code="invalid_base64", reason="Invalid base64 data in initial response") == (
        b"FAIL\t1\tcode=invalid_base64\treason=Invalid base64 data in initial response\n"
    )
    assert replies.cont(5, b"Username:") == b"CONT\t5\tVXNlcm5hbWU6\n"
    assert replies.ok(5, "a\tb") == b"OK\t5\tuser=a\x01tb\n"


@given(
    st.lists(
        st.binary(max_size=40) | st.sampled_from([HELLO, b"AUTH\t1\tPLAIN\tservice=x", b"\n", b"\t", b"CONT\t1\t"]),
        max_size=15,
    )
)
def test_any_octets(chunks: list[bytes]) -> None:
    wire = AuthConnection(200)
    for chunk in [*chunks, b""]:
        wire.receive_data(chunk)
        while (event := wire.next_event()) is not Wait.NEED_DATA:
            if isinstance(event, Closed | Broken):
                return
