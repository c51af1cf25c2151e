"""Debian's HAProxy in front of IMAPS: the client's address is the one that counts."""

from __future__ import annotations

import contextlib
import imaplib
import json
import os
import socket
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.host import ROOT, Host, running_host
from tests.support.ports import free_ports
from tests.support.servers import need

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]
KIM = "kim@example.net"
CLIENT, OTHER = "127.0.0.7", "127.0.0.8"


@contextlib.contextmanager
def behind_haproxy(send: str, more: str = "") -> Iterator[tuple[Host, int]]:
    """A host with a proxied listener, and the port of a HAProxy that leads there."""
    need("haproxy")
    port, front = free_ports(2)
    listener = f'[[imap.listener]]\nport = {port}\nproxy = true\n[proxy]\ntrusted_networks = ["127.0.0.1"]\n'
    with (
        running_host(settings=listener, imap_settings=more) as host,
        tempfile.TemporaryDirectory(prefix="mas-haproxy-") as directory,
    ):
        file = Path(directory) / "haproxy.cfg"
        file.write_text(
            "defaults\n mode tcp\n timeout connect 10s\n timeout client 60s\n timeout server 60s\n"
            f"listen imaps\n bind 127.0.0.1:{front}\n server mas 127.0.0.1:{port} {send} source 127.0.0.1\n"
        )
        process = subprocess.Popen(["haproxy", "-db", "-q", "-f", str(file)], stdin=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 30
            while True:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", front), 5):
                    break
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield host, front
        finally:
            process.terminate()
            process.wait(20)


class Client(imaplib.IMAP4_SSL):
    """Comes from ``address``."""

    address = CLIENT

    def _create_socket(self, timeout: float | None) -> socket.socket:
        sock = socket.create_connection((self.host, self.port), timeout, source_address=(self.address, 0))
        context: ssl.SSLContext = self.ssl_context
        return context.wrap_socket(sock, server_hostname="localhost")


class OtherClient(Client):
    address = OTHER


def connect(host: Host, port: int, address: str = CLIENT) -> Client:
    kind = OtherClient if address == OTHER else Client
    return kind("127.0.0.1", port, ssl_context=host.client_context(), timeout=20)


def who(host: Host) -> list[dict[str, str]]:
    program = [sys.executable, "-m", "mas", "-c", str(host.config_path), "who", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    listing = subprocess.run(program, env=environment, capture_output=True, check=True, timeout=60)
    found: list[dict[str, str]] = json.loads(listing.stdout)
    return found


@pytest.mark.parametrize("send", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"])
def test_the_clients_address_is_known(send: str) -> None:
    with behind_haproxy(send) as (host, port):
        client = connect(host, port)
        client.login(KIM, "secret")
        client.select()
        assert [session["address"] for session in who(host)] == [CLIENT]
        assert f"address={CLIENT}" in host.log()
        client.logout()


def refusal(client: imaplib.IMAP4, password: str) -> str:
    with pytest.raises(imaplib.IMAP4.error) as caught:
        client.login(KIM, password)
    said = caught.value.args[0]  # octets before Python 3.14
    return said.decode() if isinstance(said, bytes) else str(said)


def test_limits_and_penalties_are_the_clients() -> None:
    """Two clients of one proxy: what one of them does costs the other nothing."""
    more = "max_user_ip_connections = 2\nmax_login_connections_per_ip = 2\n"
    with behind_haproxy("send-proxy-v2", more) as (host, port):
        guesser, second = connect(host, port), connect(host, port)
        with pytest.raises((OSError, imaplib.IMAP4.error)):  # a third one before login, from this address
            connect(host, port)
        other = connect(host, port, OTHER)
        assert refusal(guesser, "wrong").startswith("[AUTHENTICATIONFAILED]")
        # In the counters of all workers, by the clients' addresses and never by the proxy's.
        assert {key.split()[1] for key in counters(host)} == {CLIENT}
        other.login(KIM, "secret")
        another = connect(host, port, OTHER)
        another.login(KIM, "secret")
        assert refusal(connect(host, port, OTHER), "secret").startswith("[LIMIT]")
        assert {key.split()[1] for key in counters(host)} == {CLIENT}
        second.login(KIM, "secret")  # right: wipes what the address owed
        assert not [key for key in counters(host) if key == f"penalty {CLIENT}"]
        for client in (guesser, second, other, another):
            client.logout()
        deadline = time.monotonic() + 20
        while f"rip={CLIENT}, lip=127.0.0.1" not in host.log():
            assert time.monotonic() < deadline, host.log()
            time.sleep(0.05)


def counters(host: Host) -> list[str]:
    with contextlib.closing(sqlite3.connect(host.directory / "run" / "workers" / "sessions.db")) as database:
        return [key for (key,) in database.execute("SELECT key FROM counter")]


def test_from_elsewhere_and_without_a_header() -> None:
    (port,) = free_ports(1)
    settings = f'[[imap.listener]]\nport = {port}\nproxy = true\n[proxy]\ntrusted_networks = ["127.0.0.1"]\n'
    with running_host(settings=settings) as host:
        elsewhere = socket.create_connection(("127.0.0.1", port), 20, source_address=(CLIENT, 0))
        with elsewhere, contextlib.suppress(ConnectionError):
            elsewhere.sendall(b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 993\r\n")
            assert elsewhere.recv(100) == b""
        with contextlib.suppress(ssl.SSLError, ConnectionError, EOFError):
            host.imap(KIM, port=port)
            pytest.fail("a TLS handshake is no PROXY header")
        with socket.create_connection(("127.0.0.1", port), 20) as sock:
            sock.sendall(b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 993\r\n")
            with host.client_context().wrap_socket(sock, server_hostname="localhost") as tls:
                answers = tls.makefile("rb")
                assert answers.readline().startswith(b"* OK")
                tls.sendall(b"a LOGIN kim@example.net secret\r\n")
                assert answers.readline().startswith(b"a OK")
                assert [session["address"] for session in who(host)] == ["192.0.2.7"]
        log = host.log()
    assert f'connection refused service=imap address={CLIENT} why="the address is not in proxy.trusted_networks"' in log
    assert 'why="no PROXY header"' in log
