"""That two tests at a time never get the same port."""

from __future__ import annotations

import socket

import pytest

from tests.support.ports import free_base, free_ports


def test_a_reserved_port_is_for_a_server_that_asks_for_it() -> None:
    first, second = free_ports(2)
    assert first != second
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", first), 20)
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", first))
    for _ in range(2):  # a server may come again
        with (
            socket.create_server(("127.0.0.1", first)) as server,
            socket.create_connection(("127.0.0.1", first), 20) as client,
        ):
            server.accept()[0].close()
            assert client.recv(1) == b""


def test_a_base_is_given_once() -> None:
    (port,) = free_ports(1)
    bases = [port, *range(20000, 32000, 7)]
    first, second = free_base([0, 1, 2], bases), free_base([0, 1, 2], bases)
    assert port != first != second != port
    with pytest.raises(OSError, match="no free ports"):
        free_base([0], [port])
