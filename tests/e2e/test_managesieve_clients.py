"""Clients that are not ours edit scripts over TLS, and mail goes where the scripts say; a submission server that receives the replies."""

from __future__ import annotations

import contextlib
import email
import threading
from collections.abc import Iterator
from typing import Any

import managesieve
import pytest
from aiosmtpd.controller import Controller
from sievelib.managesieve import Client

from tests.support.host import Host, running_host
from tests.support.ports import free_ports

pytestmark = pytest.mark.e2e

KIM, SECRET = "kim@example.net", "secret"
LISTS = 'require ["fileinto", "mailbox"];\r\nif header :contains "list-id" "dev" { fileinto :create "Lists"; }\r\n'
AWAY = 'require "vacation";\r\nvacation :days 7 "I am away.";\r\n'
MAIL = (
    b"From: robin@example.org\r\nTo: kim@example.net\r\nSubject: %b\r\nMessage-ID: <%b@example.org>\r\n%b\r\nHello\r\n"
)


class Sink:
    """A submission server: keeps what it gets."""

    def __init__(self) -> None:
        self.arrived = threading.Condition()
        self.messages: list[tuple[str, list[str], bytes]] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  # aiosmtpd's name
        with self.arrived:
            self.messages.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
            self.arrived.notify_all()
        return "250 OK"

    def wait(self, count: int) -> None:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.messages) >= count, 20), self.messages


@pytest.fixture
def sink() -> Iterator[tuple[Sink, int]]:
    handler = Sink()
    (port,) = free_ports(1)
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    yield handler, port
    controller.stop()


@pytest.fixture
def host(sink: tuple[Sink, int]) -> Iterator[Host]:
    with running_host(settings=f'[sieve]\nsubmission = "smtp://127.0.0.1:{sink[1]}"\n') as host:
        yield host


@contextlib.contextmanager
def trusting(host: Host) -> Iterator[None]:
    """Clients that make their own TLS context trust the host's authority for a while."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(host.directory / "ca.pem"))
        yield


def subjects(host: Host, mailbox: str) -> list[str]:
    client = host.imap(KIM)
    status, _ = client.select(mailbox, readonly=True)
    found = []
    if status == "OK":
        _, data = client.fetch("1:*", "(BODY.PEEK[HEADER])") if client.response("EXISTS")[1] != [b"0"] else ("", [])
        found = [str(email.message_from_bytes(item[1])["subject"]) for item in data if isinstance(item, tuple)]
    client.logout()
    return found


def deliver(host: Host, subject: bytes, more: bytes = b"", sender: str = "robin@example.org") -> None:
    host.deliver(KIM, MAIL % (subject, subject, more), sender)


def test_sievelib(host: Host, sink: tuple[Sink, int]) -> None:
    with trusting(host):
        client = Client("localhost", host.sieve_port)
        assert client.connect(KIM, SECRET, starttls=True, authmech="PLAIN")
    assert client.havespace("lists", len(LISTS))
    assert client.putscript("lists", LISTS)
    assert not client.putscript("broken", "keep\r\n")
    assert b"line 2" in client.errmsg or b"line 1" in client.errmsg
    assert client.listscripts() == (None, ["lists"])
    assert client.setactive("lists")
    assert client.listscripts() == ("lists", [])
    assert client.renamescript("lists", "sorting")
    assert client.listscripts() == ("sorting", [])
    assert client.getscript("sorting").splitlines() == LISTS.splitlines()
    assert client.checkscript(AWAY)
    deliver(host, b"one", b"List-Id: <dev.example.org>\r\n")
    deliver(host, b"two")
    assert (subjects(host, "Lists"), subjects(host, "INBOX")) == (["one"], ["two"])
    assert client.putscript("away", AWAY)
    assert client.setactive("away")
    assert client.deletescript("sorting")
    assert not client.deletescript("away")
    handler, _ = sink
    deliver(host, b"three")
    handler.wait(1)
    deliver(host, b"four")
    deliver(host, b"five", sender="pat@example.org")
    handler.wait(2)
    assert [(sender, to) for sender, to, _ in handler.messages] == [
        ("<>", ["robin@example.org"]),
        ("<>", ["pat@example.org"]),
    ]
    assert email.message_from_bytes(handler.messages[0][2])["subject"] == "Auto: three"
    assert client.setactive("")
    client.logout()


def test_managesieve_package(host: Host) -> None:
    with trusting(host):
        client = managesieve.MANAGESIEVE("localhost", host.sieve_port, use_tls=True)
        assert client.login("", KIM, SECRET) == "OK"
    assert client.putscript("söndag", LISTS) == "OK"
    assert client.setactive("söndag") == "OK"
    assert client.listscripts() == ("OK", [("söndag", True)])
    assert client.getscript("söndag") == ("OK", LISTS.replace("\r\n", "\n")) or client.getscript("söndag")[0] == "OK"
    assert client.putscript("bad", "nonsense;") == "NO"
    assert client.havespace("x", 2_000_000) == "NO"
    assert client.deletescript("söndag") == "NO"
    assert client.logout() == "OK"
