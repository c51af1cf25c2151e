"""``mas`` itself: mail in over LMTP, scripts over ManageSieve, with real accounts, as the configuration says."""

from __future__ import annotations

import imaplib
import os
import signal
import smtplib
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import cast

import pytest

from tests.server.test_supervisor import DEADLINE, ROOT, Client, Server, authority, wait_for
from tests.server.test_supervisor import server as echo_server
from tests.support.ports import free_ports

pytestmark = pytest.mark.e2e
__all__ = ["authority", "echo_server"]


class Mas(Server):
    """The real program in place of the echo."""

    def write(self) -> None:
        (self.sieve_port,) = free_ports(1)
        self.config.write_text(
            f"""
hostname = "mail.example.net"
protocols = ["imap", "lmtp", "sieve"]
listen = ["127.0.0.1"]
workers = 2
drain_timeout = "5s"
run_dir = "{self.directory}/run"
state_dir = "{self.directory}/state"
[tls]
cert = "{self.directory}/tls.cert.pem"
key = "{self.directory}/tls.key.pem"
[imap]
port = {self.port}
tls_port = {self.tls_port}
[managesieve]
port = {self.sieve_port}
[auth]
socket = []
[[lmtp.socket]]
path = "{self.directory}/lmtp.sock"
[[passdb]]
url = "sqlite+aiosqlite:///{self.directory}/accounts.db"
default_scheme = "PLAIN"
[[userdb]]
home = "{self.directory}/home/%d/%n"
allow_all_users = true
[mail]
uid = "nobody"
gid = "nogroup"
"""
        )
        database = sqlite3.connect(self.directory / "accounts.db")
        database.execute("CREATE TABLE IF NOT EXISTS users (username TEXT, domain TEXT, password TEXT)")
        database.execute("INSERT INTO users VALUES ('kim', 'example.net', 'secret')")
        database.commit()
        database.close()
        (self.directory / "home").mkdir(exist_ok=True)
        self.config.write_text(self.config.read_text().replace("[imap]", "[imap]\nmax_user_ip_connections = 1000"))
        for path in (self.directory / "home", self.directory / "accounts.db"):
            path.chmod(0o777)

    def start_program(self) -> None:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mas", "-c", str(self.config)],
                cwd=ROOT,
                stderr=log,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
        self.wait_log("serving")


@pytest.fixture
def mas(echo_server: Server) -> Iterator[Mas]:
    made = Mas(echo_server.directory, echo_server.authority)
    yield made
    made.stop()


def test_delivery_login_and_the_end(mas: Mas) -> None:
    mas.start_program()
    with smtplib.LMTP(str(mas.directory / "lmtp.sock")) as lmtp:
        refused = lmtp.sendmail("lee@example.org", ["kim@example.net"], b"Subject: hello\r\n\r\nworld\r\n")
    assert refused == {}
    home = mas.directory / "home" / "example.net" / "kim"
    messages = [path for path in home.rglob("*") if path.parent.name in ("new", "cur")]
    assert len(messages) == 1
    assert b"Subject: hello" in messages[0].read_bytes()

    plain = socket.create_connection(("127.0.0.1", mas.sieve_port), DEADLINE)
    client = Client(plain)

    def answer(client: Client) -> str:
        while not (line := client.line()).startswith(("OK", "NO", "BYE")):
            assert line
        return line

    assert answer(client).startswith("OK")
    plain.sendall(b"STARTTLS\r\n")
    assert answer(client).startswith("OK")
    secured = Client(mas.authority.client_context().wrap_socket(plain, server_hostname="mail.example.net"))
    assert answer(secured).startswith("OK")
    secured.sock.sendall(b'AUTHENTICATE "PLAIN" "AGtpbUBleGFtcGxlLm5ldABzZWNyZXQ="\r\n')
    assert answer(secured).startswith("OK")

    who = subprocess.run(
        [sys.executable, "-m", "mas", "-c", str(mas.config), "who", "--json"],
        cwd=ROOT,
        capture_output=True,
        timeout=DEADLINE,
        check=True,
    )
    assert b'"kim@example.net"' in who.stdout
    flush = [sys.executable, "-m", "mas", "-c", str(mas.config), "auth", "flush", "Kim@example.net"]
    assert subprocess.run(flush, cwd=ROOT, timeout=DEADLINE, check=False).returncode == 0
    mas.wait_log("auth: cache flushed user=Kim@example.net", 2)  # each worker has
    kick = [sys.executable, "-m", "mas", "-c", str(mas.config), "kick", "kim@example.net"]
    assert subprocess.run(kick, cwd=ROOT, timeout=DEADLINE, check=False).returncode == 0
    assert answer(secured).startswith("BYE")
    wait_for(lambda: subprocess.run(kick, cwd=ROOT, timeout=DEADLINE, check=False).returncode == 1, "nobody is left")
    secured.close()

    mas.signal(signal.SIGTERM)
    assert mas.wait_end() == 0
    assert "Traceback" not in mas.log.read_text()


def test_mail_arrives_in_an_idle_session_of_another_worker(mas: Mas) -> None:
    """IMAP by STARTTLS and by TLS from the start, a delivery, and the same mail in both."""
    mas.start_program()
    context = mas.authority.client_context()
    sessions = []
    for _ in range(4):  # in both workers, most likely
        session = imaplib.IMAP4_SSL("127.0.0.1", mas.tls_port, ssl_context=context, timeout=DEADLINE)
        session.login("kim@example.net", "secret")
        assert session.select()[0] == "OK"
        sessions.append(session)
    for session in sessions:
        session.send(b"x1 IDLE\r\n")
        assert session.readline().startswith(b"+")
    with smtplib.LMTP(str(mas.directory / "lmtp.sock")) as lmtp:
        assert lmtp.sendmail("lee@example.org", ["kim@example.net"], b"Subject: hello\r\n\r\nworld\r\n") == {}
    for session in sessions:
        while (line := session.readline()) and not line.startswith(b"* 1 EXISTS"):
            assert line.startswith(b"* ")
        assert line
    plain = imaplib.IMAP4("127.0.0.1", mas.port, timeout=DEADLINE)
    with pytest.raises(imaplib.IMAP4.error):
        plain.login("kim@example.net", "secret")
    plain.starttls(context)
    plain.login("kim@example.net", "secret")
    plain.select()
    status, data = plain.fetch("1", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    assert status == "OK"
    assert b"hello" in b"".join(part for item in data if isinstance(item, tuple) for part in item)
    mas.signal(signal.SIGTERM)
    for session in sessions:
        line = session.readline()
        while line.startswith(b"* ") and not line.startswith(b"* BYE"):
            line = session.readline()
        assert line.startswith(b"* BYE")
        session.shutdown()
    plain.shutdown()
    assert mas.wait_end() == 0
    assert "Traceback" not in mas.log.read_text()


def test_a_client_that_does_not_begin_with_tls_is_left(mas: Mas) -> None:
    """``tls.handshake_timeout``, for TLS from the start and for STARTTLS."""
    mas.config.write_text(mas.config.read_text().replace("[tls]", '[tls]\nhandshake_timeout = "1s"'))
    mas.start_program()
    with socket.create_connection(("127.0.0.1", mas.tls_port), DEADLINE) as silent:
        assert silent.recv(1) == b""
    mas.wait_log("TLS handshake failed")
    client = Client(socket.create_connection(("127.0.0.1", mas.port), DEADLINE))
    client.sock.sendall(b"a STARTTLS\r\n")
    assert client.line().startswith("a OK")
    assert client.line() == ""
    client.close()


def test_connections_of_a_user_and_what_comes_before_tls(mas: Mas) -> None:
    """``imap.max_user_ip_connections`` counts over both workers; what was pipelined behind STARTTLS is never run."""
    text = mas.config.read_text()
    mas.config.write_text(text.replace("max_user_ip_connections = 1000", "max_user_ip_connections = 3"))
    mas.start_program()
    context = mas.authority.client_context()

    def connect() -> imaplib.IMAP4_SSL:
        return imaplib.IMAP4_SSL("127.0.0.1", mas.tls_port, ssl_context=context, timeout=DEADLINE)

    first, *others = [connect() for _ in range(4)]
    for client in (first, *others[:2]):
        client.login("kim@example.net", "secret")
    with pytest.raises(imaplib.IMAP4.error, match="Maximum number of connections"):
        others[2].login("kim@example.net", "secret")
    first.logout()

    def place_is_free() -> bool:
        client = connect()
        try:
            client.login("kim@example.net", "secret")
        except imaplib.IMAP4.error:
            return False
        finally:
            client.shutdown()
        return True

    wait_for(place_is_free, "the place of the one that has logged out")
    for client in others:
        client.shutdown()

    plain = Client(socket.create_connection(("127.0.0.1", mas.port), DEADLINE))
    plain.sock.sendall(b"a STARTTLS\r\nevil LOGIN kim@example.net secret\r\n")
    assert plain.line().startswith("a OK")
    secured = Client(context.wrap_socket(plain.sock, server_hostname="mail.example.net"), greeting=False)
    assert secured.ask("b NOOP\r").startswith("b OK")
    assert secured.ask("c SELECT INBOX\r").startswith("c BAD")  # nobody is logged in
    secured.close()


def test_server_names_a_renewed_certificate_and_a_broken_reload(mas: Mas) -> None:
    mas.authority.issue(mas.directory, "mail.example.org", "other")
    names = f"""
[[tls.sni]]
names = ["mail.example.org"]
cert = "{mas.directory}/other.cert.pem"
key = "{mas.directory}/other.key.pem"
[imap]
"""
    good = mas.config.read_text().replace("[imap]\n", names, 1)
    mas.config.write_text(good)
    mas.start_program()
    context = mas.authority.client_context()

    def certificate(name: str) -> tuple[str, str]:
        """The name in the certificate that a client of ``name`` gets, and its serial number."""
        raw = socket.create_connection(("127.0.0.1", mas.tls_port), DEADLINE)
        with context.wrap_socket(raw, server_hostname=name) as client:
            found = client.getpeercert()
        assert found
        names = dict(cast(Iterable[tuple[str, str]], found["subjectAltName"]))
        return names["DNS"], str(found["serialNumber"])

    assert certificate("mail.example.org")[0] == "mail.example.org"
    before = certificate("mail.example.net")
    assert before[0] == "mail.example.net"

    session = imaplib.IMAP4_SSL("127.0.0.1", mas.tls_port, ssl_context=context, timeout=DEADLINE)
    session.login("kim@example.net", "secret")
    mas.config.write_text("nonsense = 1\n" + good)
    mas.signal(signal.SIGHUP)
    mas.wait_log("nonsense: unknown key")
    assert session.noop()[0] == "OK"
    assert certificate("mail.example.net") == before

    mas.config.write_text(good)
    mas.authority.issue(mas.directory, "mail.example.net", "tls")
    wait_for(lambda: certificate("mail.example.net") != before, "the renewed certificate")
    assert session.noop()[0] == "OK"
    assert "Traceback" not in mas.log.read_text()


def memory(pids: set[int]) -> int:
    """KB that these processes have to themselves or share in part."""
    lines = [line for pid in pids for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def test_memory_of_idle_connections(mas: Mas) -> None:
    """Logged in, over TLS, in IDLE: well below the 100 KB that are promised."""
    mas.start_program()
    context = mas.authority.client_context()
    held = []

    def idle(count: int) -> int:
        for _ in range(count):
            session = imaplib.IMAP4_SSL("127.0.0.1", mas.tls_port, ssl_context=context, timeout=DEADLINE)
            session.login("kim@example.net", "secret")
            session.select()
            session.send(b"x1 IDLE\r\n")
            assert session.readline().startswith(b"+")
            held.append(session)
        return memory(mas.children())

    before = idle(40)
    after = idle(200)
    assert (after - before) / 200 < 60
    for session in held:
        session.shutdown()
