"""The auth socket: a plain client, and Debian's Postfix checking SMTP passwords by it."""

from __future__ import annotations

import base64
import os
import smtplib
import socket
import ssl
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.test_postfix import MASTER, Postfix
from tests.support import mariadb
from tests.support.host import Host, running_host
from tests.support.ports import free_ports
from tests.support.servers import need

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="Postfix needs root")
KIM, LEE = "kim@example.net", "lee@example.net"
TEMPORARY = b"Temporary authentication failure"
HELLO = b"VERSION\t1\t1\nCPID\t77\n"


@contextmanager
def host_with_socket(
    users: Mapping[str, str] | None = None, *, auth: str = "", database: str = "", settings: str = ""
) -> Iterator[tuple[Host, Path]]:
    with tempfile.TemporaryDirectory(prefix="mas-auth-", ignore_cleanup_errors=True) as directory:
        os.chmod(directory, 0o755)
        path = Path(directory) / "auth"
        with running_host(
            users,
            auth_sockets=f'[{{path = "{path}", mode = "0666"}}]',
            auth_settings=auth,
            accounts_url=database,
            settings=settings,
        ) as host:
            deadline = time.monotonic() + 30
            while not path.exists():
                # It takes its place when a worker accepts on it, which may be after the first greeting.
                assert time.monotonic() < deadline, host.log()
                time.sleep(0.01)
            yield host, path


def plain(user: str, password: str) -> bytes:
    return base64.b64encode(f"\0{user}\0{password}".encode())


class Client:
    """A client of the socket."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(str(path))
        self.file = self.socket.makefile("rb")
        self.handshake: list[bytes] = []
        while not self.handshake or self.handshake[-1] != b"DONE\n":
            self.handshake.append(self.file.readline())
        self.socket.sendall(HELLO)

    def ask(self, *lines: bytes) -> None:
        self.socket.sendall(b"".join(line + b"\n" for line in lines))

    def close(self) -> None:
        self.file.close()
        self.socket.close()


@pytest.fixture(scope="module")
def shared() -> Iterator[Path]:
    with host_with_socket() as (_, path):
        yield path


def test_many_requests_at_once_on_one_connection(shared: Path) -> None:
    client = Client(shared)
    assert client.handshake[:3] == [b"VERSION\t1\t2\n", b"MECH\tPLAIN\tplaintext\n", b"MECH\tLOGIN\tplaintext\n"]
    client.ask(
        b"AUTH\t1\tPLAIN\tservice=smtp\trip=192.0.2.1\tresp=" + plain(KIM, "wrong"),
        b"AUTH\t2\tPLAIN\tservice=smtp\tsecured\tresp=" + plain(KIM, "secret"),
        b"AUTH\t3\tPLAIN\tservice=smtp\tresp=!!!",
        b"AUTH\t4\tLOGIN\tservice=smtp",
    )
    answers = {client.file.readline() for _ in range(3)}
    # The wrong password waits for its delay; nobody else does.
    assert answers == {
        b"OK\t2\tuser=kim@example.net\n",
        b"FAIL\t3\tcode=invalid_base64\treason=Invalid base64 data in initial response\n",
        b"CONT\t4\t" + base64.b64encode(b"Username:") + b"\n",
    }
    client.ask(b"CONT\t4\t" + base64.b64encode(KIM.encode()))
    assert client.file.readline() == b"CONT\t4\t" + base64.b64encode(b"Password:") + b"\n"
    client.ask(b"CONT\t4\t" + base64.b64encode(b"secret"))
    assert {client.file.readline(), client.file.readline()} == {
        b"OK\t4\tuser=kim@example.net\n",
        b"FAIL\t1\tuser=kim@example.net\n",
    }
    client.close()


def test_abandoned_requests_do_not_fill_a_connection() -> None:
    with host_with_socket(auth="max_requests = 20") as (_, path):
        client = Client(path)
        for number in range(1, 101):
            client.ask(b"AUTH\t%d\tLOGIN\tservice=smtp" % number)
            assert client.file.readline().startswith(b"CONT\t%d\t" % number)
        client.ask(b"AUTH\t9000\tPLAIN\tservice=smtp\tresp=" + plain(KIM, "secret"))
        assert client.file.readline() == b"OK\t9000\tuser=kim@example.net\n"
        client.close()


def test_a_cancelled_id_can_be_used_again(shared: Path) -> None:
    client = Client(shared)
    client.ask(
        b"AUTH\t1\tPLAIN\tservice=smtp\tresp=" + plain(KIM, "wrong"),
        b"CANCEL\t1",
        b"AUTH\t1\tPLAIN\tservice=smtp\tresp=" + plain(KIM, "secret"),
    )
    assert client.file.readline() == b"OK\t1\tuser=kim@example.net\n"
    client.close()


def test_a_broken_client_is_disconnected(shared: Path) -> None:
    client = Client(shared)
    client.ask(b"AUTH\t1\tNTLM\tservice=smtp")
    assert client.file.readline() == b""
    client.close()


def test_a_database_that_is_gone_is_a_temporary_failure() -> None:
    with host_with_socket() as (host, path):
        client = Client(path)
        (host.directory / "accounts.sqlite").rename(host.directory / "away")
        (host.directory / "accounts.sqlite").mkdir()
        client.ask(b"AUTH\t1\tPLAIN\tservice=smtp\tresp=" + plain(KIM, "secret"))
        assert (
            client.file.readline()
            == b"FAIL\t1\tuser=kim@example.net\tcode=temp_fail\treason=Temporary authentication failure\n"
        )
        client.close()


def test_requests_in_flight_are_answered_before_the_server_stops() -> None:
    with host_with_socket() as (host, path):
        client = Client(path)
        client.ask(
            b"AUTH\t1\tPLAIN\tservice=smtp\trip=192.0.2.1\tresp=" + plain(KIM, "wrong"),
            b"AUTH\t2\tLOGIN\tservice=smtp",
        )
        assert client.file.readline().startswith(b"CONT\t2\t")
        host.stop()
        assert client.file.read() == (
            b"FAIL\t2\tcode=temp_fail\treason=Temporary authentication failure\nFAIL\t1\tuser=kim@example.net\n"
        )
        client.close()


@contextmanager
def postfix_asking(host: Host, path: Path) -> Iterator[int]:
    """Debian's Postfix with SMTP AUTH over STARTTLS by the socket ``path``; gives its port."""
    need("postfix")
    with tempfile.TemporaryDirectory(prefix="mas-postfix-") as directory:
        os.chmod(directory, 0o755)
        (port,) = free_ports(1)
        postfix = Postfix(Path(directory), host.lmtp_path)
        master = f"127.0.0.1:{port} inet n - n - - smtpd\ntlsmgr unix - - n 1000? 1 tlsmgr\n{MASTER}"
        (postfix.config / "master.cf").write_text(master)
        tls = Path(directory) / "tls.pem"
        tls.write_text((host.directory / "key.pem").read_text() + (host.directory / "cert.pem").read_text())
        with (postfix.config / "main.cf").open("a") as file:
            file.write(
                f"smtpd_sasl_type = dovecot\nsmtpd_sasl_path = {path}\nsmtpd_sasl_auth_enable = yes\nsmtpd_tls_auth_only = yes\n"
                f"smtpd_tls_security_level = may\nsmtpd_tls_chain_files = {tls}\n"
                "smtpd_relay_restrictions = permit_sasl_authenticated, reject\n"
            )
        postfix.start()
        try:
            yield port
        finally:
            postfix.stop()


@as_root
def test_postfix_checks_smtp_passwords() -> None:
    with host_with_socket() as (host, path), postfix_asking(host, path) as port:
        for mechanism in ("PLAIN", "LOGIN"):
            with connected(port, host.client_context()) as smtp:
                smtp.user, smtp.password = KIM, "secret"
                code, _ = smtp.auth(mechanism, getattr(smtp, f"auth_{mechanism.lower()}"))
                assert code == 235
        assert refusal(host, port, KIM, "wrong") == (535, True)


@as_root
def test_postfix_while_mariadb_stops_and_starts() -> None:
    """Temporary while it is down, for those whom the cache does not know; right and wrong again when it is back."""
    with mariadb.MariaDb() as server:
        server.execute(
            "CREATE TABLE users (username VARCHAR(64), domain VARCHAR(255), password VARCHAR(255))",
            *(f"INSERT INTO users VALUES ('{name}', 'example.net', '{{PLAIN}}secret')" for name in ("kim", "lee")),
        )
        with (
            host_with_socket(database=server.url, auth='failure_delay = "100ms"') as (host, path),
            postfix_asking(host, path) as port,
        ):
            with connected(port, host.client_context()) as smtp:
                smtp.login(KIM, "secret")
            server.kill()
            with connected(port, host.client_context()) as smtp:
                smtp.login(KIM, "secret")
            # Postfix knows only one word for a refusal, but it passes the reason on.
            for user, password in ((LEE, "secret"), (LEE, "wrong"), (KIM, "wrong")):
                assert refusal(host, port, user, password) == (535, False)
            server.start()
            deadline = time.monotonic() + 60
            while not logs_in(host, port, LEE):
                assert time.monotonic() < deadline, host.log()
            assert refusal(host, port, LEE, "wrong") == (535, True)


def logs_in(host: Host, port: int, user: str) -> bool:
    """Whether a right password is taken; a refusal for good is a failure of the test."""
    with connected(port, host.client_context()) as smtp:
        code, text = smtp.docmd("AUTH", "PLAIN " + plain(user, "secret").decode())
    assert code == 235 or TEMPORARY in text
    return code == 235


def refusal(host: Host, port: int, user: str, password: str) -> tuple[int, bool]:
    """Log in over SMTP in vain; the reply code, and whether it is said to be for good."""
    with connected(port, host.client_context()) as smtp, pytest.raises(smtplib.SMTPAuthenticationError) as refused:
        smtp.login(user, password)
    assert isinstance(refused.value.smtp_error, bytes)
    return refused.value.smtp_code, TEMPORARY not in refused.value.smtp_error


@contextmanager
def connected(port: int, context: ssl.SSLContext) -> Iterator[smtplib.SMTP]:
    """An SMTP client after STARTTLS, once Postfix listens."""
    deadline = time.monotonic() + 30
    while True:
        try:
            smtp = smtplib.SMTP("127.0.0.1", port, timeout=30)
            break
        except OSError:
            assert time.monotonic() < deadline, "Postfix does not listen"
            time.sleep(0.05)
    with smtp:
        smtp.ehlo()
        assert not smtp.has_extn("auth")
        smtp.starttls(context=context)
        smtp.ehlo()
        yield smtp
