"""What scripts send, with a submission server that is away, and hosts that are killed: nothing is lost, nothing goes round for ever."""

from __future__ import annotations

import email
import smtplib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from sievelib.managesieve import Client

from tests.support.host import Host, running_host
from tests.support.ports import free_ports

pytestmark = pytest.mark.e2e

KIM, LEE = "kim@example.net", "lee@example.net"
USERS = {KIM: "secret", LEE: "secret"}
MAIL = "From: robin@example.org\r\nTo: kim@example.net\r\nSubject: {0}\r\nMessage-ID: <{0}@example.org>\r\n{1}\r\nHello\r\n"


class Sink:
    """A submission server: keeps what it gets, or says what ``answer`` says to it."""

    def __init__(self, answer: Callable[[str, bytes], str] | None = None) -> None:
        self.arrived = threading.Condition()
        self.messages: list[tuple[str, str, bytes]] = []
        self._answer = answer

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  # aiosmtpd's name
        (to,) = envelope.rcpt_tos
        with self.arrived:
            self.messages.append((envelope.mail_from, to, envelope.content))
            self.arrived.notify_all()
        return self._answer(to, envelope.content) if self._answer else "250 OK"

    def wait(self, count: int) -> None:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.messages) >= count, 60), self.messages

    def header(self, name: str) -> list[str]:
        return [str(email.message_from_bytes(message)[name]) for *_, message in self.messages]


@contextmanager
def listening(sink: Sink, port: int) -> Iterator[None]:
    controller = Controller(sink, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield
    finally:
        controller.stop()


@contextmanager
def host_with(port: int, **scripts: str) -> Iterator[Host]:
    with running_host(USERS, settings=f'[sieve]\nsubmission = "smtp://127.0.0.1:{port}"\n') as host:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SSL_CERT_FILE", str(host.directory / "ca.pem"))
            for name, script in scripts.items():
                client = Client("localhost", host.sieve_port)
                assert client.connect(f"{name}@example.net", "secret", starttls=True, authmech="PLAIN")
                assert client.putscript("s", script), client.errmsg
                assert client.setactive("s")
                client.logout()
        yield host


def deliver(host: Host, subject: str, header: str = "", to: str = KIM) -> None:
    host.deliver(to, MAIL.format(subject, header).encode())


def count(host: Host, user: str) -> int:
    client = host.imap(user)
    found = int(client.select("INBOX", readonly=True)[1][0] or b"0")
    client.logout()
    return found


def waiting(host: Host) -> int:
    """Not those that a kill has left half written: their deliveries had no answer."""
    return len(list((host.directory / "state" / "outgoing").glob("[!.]*.mail")))


def wait_until(condition: Callable[[], bool], host: Host) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, host.log()
        time.sleep(0.02)


AWAY = 'require ["copy", "vacation"]; redirect :copy "pat@example.org"; vacation "Gone.";'


def test_a_server_that_is_away_and_hosts_that_are_killed() -> None:
    """Each delivery is answered at once, and each redirect and each first reply goes out once, by whoever lives then."""
    (port,) = free_ports(1)
    sink = Sink()
    with host_with(port, kim=AWAY) as host:
        deliver(host, "one")
        host.kill()
        host.start()
        deliver(host, "two")
        deliver(host, "three", to=LEE)
        host.kill()
        host.start()
        assert waiting(host) == 3  # two redirects, one reply: the second mail of a sender has none
        assert sum("nothing can be sent now" in line for line in host.log().splitlines()) >= 1
        host.stop()
        with listening(sink, port):
            host.start()
            sink.wait(3)
            wait_until(lambda: waiting(host) == 0, host)
            host.stop()
            host.start()
        assert sorted((to, email.message_from_bytes(message)["subject"]) for _, to, message in sink.messages) == [
            ("pat@example.org", "one"),
            ("pat@example.org", "two"),
            ("robin@example.org", "Auto: one"),
        ]
        assert (count(host, KIM), count(host, LEE)) == (2, 1)


def test_a_temporary_refusal_is_tried_again_and_a_final_one_comes_back() -> None:
    (port,) = free_ports(1)
    sink = Sink(lambda to, _: "451 4.3.0 later" if to.startswith("later") else "554 5.7.1 never")
    with (
        listening(sink, port),
        host_with(port, kim='redirect "later@example.org";', lee='redirect "never@example.org";') as host,
    ):
        deliver(host, "one")
        deliver(host, "two", to=LEE)
        sink.wait(2)
        wait_until(lambda: count(host, LEE) == 1, host)  # refused for good: the user has it after all
        assert (waiting(host), count(host, KIM)) == (1, 0)
        (file,) = (host.directory / "state" / "outgoing").glob("*.mail")
        assert file.stat().st_mtime > time.time()  # its time has not come yet


def test_two_users_who_forward_to_each_other() -> None:
    (port,) = free_ports(1)
    hosts: list[Host] = []

    def inject(to: str, message: bytes) -> str:
        with smtplib.LMTP(str(hosts[0].lmtp_path), timeout=30) as client:
            client.sendmail("robin@example.org", [to], message)
        return "250 OK"

    sink = Sink(inject)
    with listening(sink, port), host_with(port, kim=f'redirect "{LEE}";', lee=f'redirect "{KIM}";') as host:
        hosts.append(host)
        deliver(host, "round")
        sink.wait(2)
        wait_until(lambda: count(host, KIM) == 1, host)
        assert [to for _, to, _ in sink.messages] == [LEE, KIM]
        assert count(host, LEE) == 0
        assert "the message was redirected from here before" in host.log()


def test_a_mail_that_has_come_far_is_redirected_no_further() -> None:
    (port,) = free_ports(1)
    sink = Sink()
    with listening(sink, port), host_with(port, kim='redirect "pat@example.org";') as host:
        deliver(host, "far", "Received: from a by b; Tue, 03 Mar 2026 09:30:00 +0100\r\n" * 51)
        deliver(host, "near", "Received: from a by b; Tue, 03 Mar 2026 09:30:00 +0100\r\n" * 20)
        sink.wait(1)
        assert sink.header("subject") == ["near"]
        assert count(host, KIM) == 1


def test_the_same_mail_twice_is_redirected_once() -> None:
    """As when the server is asked to take it again because its answer was lost."""
    (port,) = free_ports(1)
    sink = Sink()
    with listening(sink, port), host_with(port, kim='redirect "pat@example.org";') as host:
        for subject in ("same", "same", "other"):
            deliver(host, subject)
        sink.wait(2)
        wait_until(lambda: waiting(host) == 0, host)
        assert sorted(sink.header("subject")) == ["other", "same"]
        assert count(host, KIM) == 1  # what is not sent on again is kept


def test_a_notification_to_several_is_one_mail_each() -> None:
    """One who is refused for now is tried again by himself."""
    (port,) = free_ports(1)
    sink = Sink(lambda to, _: "451 4.3.0 later" if to.startswith("later") else "250 OK")
    notify = 'require "enotify"; notify :message "m" "mailto:a@example.org,later@example.org?cc=b@example.org";'
    with listening(sink, port), host_with(port, kim=notify) as host:
        deliver(host, "one")
        sink.wait(3)
        wait_until(lambda: waiting(host) == 1, host)
        assert sorted(to for _, to, _ in sink.messages) == ["a@example.org", "b@example.org", "later@example.org"]
