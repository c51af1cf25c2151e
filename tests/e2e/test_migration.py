"""A Dovecot host with a usual guide's configuration and MariaDB moves to MAS and back: what users and Postfix see stays the same.

Both servers run on the same ports, sockets and mail, one after the other: the original configuration and what ``mas import-dovecot`` made
of it.
"""

from __future__ import annotations

import imaplib
import os
import re
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.cli.program import run_program
from tests.support.dovecot_server import DovecotHost, dovecot_host
from tests.support.host import ROOT, running_host, workers_account
from tests.support.mariadb import MariaDb

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(300),
    pytest.mark.skipif(os.geteuid() != 0, reason="Dovecot needs root"),
]
KIM, LEE, PASSWORD = "kim@example.net", "lee@example.net", "secret"
DEADLINE = 60.0


@pytest.fixture(scope="module")
def database() -> Iterator[MariaDb]:
    with MariaDb() as server:
        hashed = subprocess.run(
            ["openssl", "passwd", "-6", PASSWORD], capture_output=True, text=True, check=True, timeout=30
        ).stdout.strip()
        server.execute("CREATE TABLE users (username VARCHAR(99), domain VARCHAR(99), password VARCHAR(255))")
        # With a scheme in front, and without: default_pass_scheme.
        server.execute(
            f"INSERT INTO users VALUES ('kim', 'example.net', '{hashed}'), ('lee', 'example.net', '{{PLAIN}}{PASSWORD}')"
        )
        yield server


class Mas:
    """MAS with the converted configuration, in Dovecot's place."""

    def __init__(self, host: DovecotHost) -> None:
        self.host = host
        self.config = host.root / "mas.toml"
        self.log = host.root / "mas.log"
        self.process: subprocess.Popen[bytes] | None = None
        done = run_program("import-dovecot", str(host.config))
        assert done.returncode == 0, done.stderr
        (host.root / "state").mkdir(exist_ok=True)
        shutil.chown(host.root / "state", *workers_account())
        head = f'workers = 1\nstate_dir = "{host.root}/state"\nrun_dir = "{host.root}/run"\n'
        self.config.write_text(head + done.stdout)
        self.config.chmod(0o644)
        check = run_program("config", "--check", config=self.config)
        assert check.returncode == 0, check.stderr

    @contextmanager
    def running(self) -> Iterator[None]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mas", "-c", str(self.config)], stdout=log, stderr=log, env=environment
            )
        try:
            deadline = time.monotonic() + DEADLINE
            while True:
                with suppress(OSError), socket.create_connection(("127.0.0.1", self.host.ports[0]), 5) as sock:
                    if sock.recv(4) == b"* OK" and self.host.lmtp.exists():
                        break
                assert self.process.poll() is None, self.log.read_text()
                assert time.monotonic() < deadline, self.log.read_text()
                time.sleep(0.05)
            yield
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(DEADLINE) == 0, self.log.read_text()
        except BaseException:
            print(self.log.read_text())
            raise
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()


@contextmanager
def dovecot(host: DovecotHost) -> Iterator[None]:
    host.start()
    try:
        yield
    finally:
        host.stop()


def connect(host: DovecotHost, user: str = KIM, password: str = PASSWORD) -> imaplib.IMAP4_SSL:
    context = ssl.create_default_context(cafile=str(host.root / "ca.pem"))
    client = imaplib.IMAP4_SSL("localhost", host.ports[1], ssl_context=context, timeout=30)
    client.login(user, password)
    return client


def message(number: int, size: int = 0) -> bytes:
    head = f"From: robin@example.org\r\nTo: {KIM}\r\nSubject: {number}\r\nMessage-ID: <{number}@example.org>\r\n"
    body = ("x" * 70 + "\r\n") * (1 + size // 72)
    return f"{head}Date: Sun, 22 Nov 2026 10:00:00 +0000\r\n\r\n{body}".encode()


def deliver(host: DovecotHost, recipient: str, octets: bytes) -> tuple[str, int]:
    """Where in the transaction it ended, and with which code."""
    with smtplib.LMTP(str(host.lmtp), timeout=60) as client:
        client.ehlo_or_helo_if_needed()
        client.mail("robin@example.org")
        code, _ = client.rcpt(recipient)
        if code >= 300:
            return "RCPT", code
        code, _ = client.data(octets)
        return "DATA", code


def login(host: DovecotHost, user: str, password: str, *, tls: bool = True) -> str:
    try:
        if tls:
            connect(host, user, password).logout()
        else:
            plain = imaplib.IMAP4("localhost", host.ports[0], timeout=30)
            plain.login(user, password)
    except imaplib.IMAP4.error as error:
        return (re.search(r"\[[A-Z]+\]", str(error)) or ["refused"])[0]
    return "in"


def observe(host: DovecotHost) -> dict[str, Any]:
    """All that a conversion promises to keep, as far as clients and Postfix can see it."""
    shutil.rmtree(host.root / "mail", ignore_errors=True)
    (host.root / "mail").mkdir()
    shutil.chown(host.root / "mail", *workers_account())
    seen: dict[str, Any] = {
        "logins": {
            (user, password): login(host, user, password)
            for user, password in (
                (KIM, PASSWORD),
                (LEE, PASSWORD),
                (KIM.upper(), PASSWORD),
                ("kim", PASSWORD),
                (KIM, "wrong"),
                ("x@example.net", PASSWORD),
            )
        },
        "deliveries": [
            deliver(host, KIM, message(1)),
            deliver(host, "Kim@Example.NET", message(2)),
            deliver(host, "kim+detail@example.net", message(3)),
            deliver(host, "typo@example.net", message(4)),
        ],
    }
    client = connect(host)
    seen["list"] = sorted(
        re.sub(rb"(?i) \\(un)?marked", b"", line) for line in client.list()[1] if isinstance(line, bytes)
    )
    seen["subscriptions"] = sorted(line.rpartition(b" ")[2] for line in client.lsub()[1] if isinstance(line, bytes))
    client.create("Made")
    client.append("Made", "", "", message(5))
    seen["quota"] = [client.getquotaroot(name)[1] for name in ("INBOX", "Trash", "Made")]
    client.logout()
    seen["files"] = sorted(
        f"{path.parent.relative_to(host.root / 'mail')}"
        for path in (host.root / "mail").rglob("*")
        if path.is_file() and path.parent.name in ("new", "cur")
    )
    return seen


def test_the_converted_configuration_behaves_the_same(database: MariaDb) -> None:
    with dovecot_host(database) as host:
        with dovecot(host):
            before = observe(host)
        with Mas(host).running():
            after = observe(host)
            # The two differences that are wanted: Dovecot takes a password before TLS from its own host, and answers 451 to what will never
            # become smaller than quota_max_mail_size, so that Postfix tries for days.
            assert login(host, KIM, PASSWORD, tls=False) == "[PRIVACYREQUIRED]"
            assert deliver(host, KIM, message(6, 26 << 20)) == ("DATA", 552)
    assert before["logins"][KIM, PASSWORD] == "in"
    assert before["logins"][KIM, "wrong"] == "[AUTHENTICATIONFAILED]"
    assert before["files"].count("example.net/kim/Maildir/new") == 3
    for what, seen in before.items():
        assert after[what] == seen, what


def prove(host: DovecotHost, config: Path, *options: str) -> tuple[int, str, str]:
    done = run_program(
        "migrate", "prove", KIM, "--dovecot", f"imaps://localhost:{host.ports[1]}", "--no-verify", *options,
        config=config, stdin=f"{PASSWORD}\n",
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def live_on_dovecot(host: DovecotHost) -> None:
    """Some mail, as it has grown over the years."""
    for number in range(1, 31):
        assert deliver(host, KIM, message(number)) == ("DATA", 250)
    client = connect(host)
    client.select("INBOX")
    client.uid("STORE", "1:9", "+FLAGS", "(\\Seen $Label1)")
    client.uid("STORE", "5", "+FLAGS", "(\\Flagged Work)")
    client.uid("STORE", "7", "+FLAGS", "(\\Deleted)")
    client.expunge()
    client.create("Lists.2024")
    client.subscribe("Lists.2024")
    client.create('"Entw&APw-rfe (alt)"')
    client.uid("COPY", "1:4", "Lists.2024")
    client.uid("COPY", "5", '"Entw&APw-rfe (alt)"')
    client.append("Sent", "(\\Seen)", '"01-Jan-2020 12:00:00 +0000"', message(99))
    client.logout()


def days_on_mas(host: DovecotHost) -> None:
    """New mail, flags, more keywords than letters, expunges, moves, a rename, subscriptions, a folder that goes."""
    for number in range(101, 111):
        assert deliver(host, KIM, message(number)) == ("DATA", 250)
    client = connect(host)
    client.select("INBOX")
    for number in range(30):
        client.uid("STORE", str(10 + number % 9), "+FLAGS", f"(Key{number})")
    client.uid("STORE", "1:3", "-FLAGS", "(\\Seen)")
    client.uid("STORE", "12,14", "+FLAGS", "(\\Deleted)")
    client.expunge()
    client.uid("MOVE", "20:22", "Trash")
    client.rename("Lists.2024", "Lists.2025")
    client.unsubscribe("Lists.2024")
    client.subscribe("Lists.2025")
    client.create("Short")
    client.delete("Short")
    client.append("Drafts", "(\\Draft)", '"02-Feb-2021 12:00:00 +0000"', message(98))
    client.logout()


def test_there_and_back_again(database: MariaDb) -> None:
    with dovecot_host(database) as host:
        mas = Mas(host)
        with dovecot(host):
            live_on_dovecot(host)
            assert prove(host, mas.config, "--digest", "body")[:2] == (0, "")
        with mas.running():
            days_on_mas(host)
        with dovecot(host):
            code, output, errors = prove(host, mas.config, "--digest", "body")
            assert (code, output) == (0, ""), output
            assert "0 differences" in errors
            assert "INBOX: a Maildir has letters for 26 keywords; 5 messages have others" in errors
            # And it does see what is different.
            client = connect(host)
            client.select("INBOX")
            assert len(client.uid("SEARCH", "ALL")[1][0].split()) == 34
            seen = client.uid("FETCH", "10", "(FLAGS)")[1][0]
            assert {f"Key{number}" for number in (0, 9, 18)} <= set(
                seen.decode().replace("(", " ").replace(")", " ").split()
            )
            client.logout()


def test_prove_changes_nothing() -> None:
    """Not even where MAS's mailboxes with ``auto`` are not there yet: they are named, and made when MAS serves."""
    with running_host(top_settings="mailbox = []") as host:
        host.deliver(KIM, message(1))
        config = host.directory / "moving.toml"
        config.write_text(host.config_path.read_text().replace("mailbox = []", ""))
        config.chmod(0o644)
        home = host.home(KIM)
        before = sorted(str(path) for path in home.rglob("*") if not path.name.startswith("mas-index"))
        done = run_program(
            "migrate", "prove", KIM, "--dovecot", f"imaps://localhost:{host.imaps_port}", "--no-verify",
            config=config, stdin=f"{PASSWORD}\n",
        )  # fmt: skip
        assert done.returncode == 1, done.stderr
        assert done.stdout.splitlines() == [
            f"{name}: MAS will make this mailbox ([[mailbox]] auto)"
            for name in ("Drafts", "Sent", "Archives", "Junk", "Trash")
        ]
        assert sorted(str(path) for path in home.rglob("*") if not path.name.startswith("mas-index")) == before


def test_prove_prints_what_differs(database: MariaDb) -> None:
    """Dovecot's answers against another account's mail: each kind of difference has its line."""
    with dovecot_host(database) as host:
        mas = Mas(host)
        with dovecot(host):
            live_on_dovecot(host)
            assert deliver(host, LEE, message(1)) == ("DATA", 250)
            code, output, _ = prove(host, mas.config, "--login", LEE)
            assert code == 1
            assert "Lists.2024: only MAS has this mailbox" in output
            assert "INBOX: uid 1: flags: Dovecot none, MAS $Label1 \\Seen" in output
            assert "INBOX: uid 2: only MAS has this message" in output
            assert "INBOX: UIDNEXT: Dovecot 2, MAS 31" in output
            assert "quota 'User quota' STORAGE" in output
            code, _, errors = prove(host, mas.config, "--login", "wrong")
            assert code == 75
            assert "AUTHENTICATIONFAILED" in errors
