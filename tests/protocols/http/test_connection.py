"""Requests, in any pieces, and those that are none."""

from __future__ import annotations

import http.client
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mas.protocols.http.connection import (
    MAX_HEAD,
    REASONS,
    BadRequest,
    Closed,
    HttpConnection,
    Request,
    response,
)
from mas.protocols.session import Wait

CASES: list[tuple[bytes, object]] = [
    (b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n", Request("GET", "/metrics")),
    (b"GET /metrics HTTP/1.0\n\n", Request("GET", "/metrics")),
    (b"HEAD /healthz?x=1&y HTTP/1.1\r\n\r\n", Request("HEAD", "/healthz")),
    (b"POST /metrics HTTP/1.1\r\nContent-Length: 0\r\n\r\n", Request("POST", "/metrics")),
    (b"POST /metrics HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde", BadRequest(400)),
    (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", BadRequest(400)),
    (b"GET http://x/ HTTP/1.1\r\n\r\n", BadRequest(400)),
    (b"GET / HTTP/2.0\r\n\r\n", BadRequest(400)),
    (b"get / HTTP/1.1\r\n\r\n", BadRequest(400)),
    (b"GET /a b HTTP/1.1\r\n\r\n", BadRequest(400)),
    (b"\x16\x03\x01\x02\x00\r\n\r\n", BadRequest(400)),
    (b"GET / HTTP/1.1\r\nX: " + b"x" * MAX_HEAD, BadRequest(431)),
    (b"x" * MAX_HEAD, BadRequest(431)),
    (b"GET / HTTP/1.1\r\n", Wait.NEED_DATA),
    (b"", Wait.NEED_DATA),
]


@pytest.mark.parametrize(("octets", "event"), CASES, ids=[repr(octets[:30]) for octets, _ in CASES])
@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_table(octets: bytes, event: object, piece: int) -> None:
    connection = HttpConnection()
    found: Any = connection.next_event()
    for start in range(0, len(octets), piece):
        if found is not Wait.NEED_DATA:
            break
        connection.receive_data(octets[start : start + piece])
        found = connection.next_event()
    assert found == event
    connection.receive_data(b"")
    assert connection.next_event() == Closed()


@given(st.lists(st.binary(max_size=3000), max_size=8))
def test_anything_is_one_event_at_most_and_little_is_kept(pieces: list[bytes]) -> None:
    connection = HttpConnection()
    events = []
    for piece in pieces:
        connection.receive_data(piece)
        if (event := connection.next_event()) is not Wait.NEED_DATA:
            events.append(event)
    assert len([event for event in events if not isinstance(event, Closed)]) <= 1
    assert len(connection._head) < MAX_HEAD + 3000


@pytest.mark.parametrize("status", REASONS)
@pytest.mark.parametrize("head", [False, True])
def test_python_reads_the_answer(status: int, head: bool) -> None:
    class Socket:
        def makefile(self, _: str) -> io.BytesIO:
            return io.BytesIO(response(status, "tëxt\n", head=head))

    answer = http.client.HTTPResponse(Socket(), method="HEAD" if head else "GET")  # type: ignore[arg-type]
    answer.begin()
    assert (answer.status, answer.reason) == (status, REASONS[status])
    assert answer.getheader("Content-Length") == "6"
    assert answer.read() == (b"" if head else "tëxt\n".encode())
    assert answer.will_close
