"""A real mail client moves mail, a real Rspamd counts what it has learnt; also what was moved while it was away."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from imapclient import IMAPClient

from tests.support.host import Host, running_host
from tests.support.rspamd import PASSWORD, Rspamd

pytestmark = pytest.mark.e2e
KIM = "kim@example.net"
OFFERS = ("watches", "lottery", "pills", "inheritance", "loans", "diplomas")


def mail(number: int) -> bytes:
    """Each with words of its own: Rspamd tells messages by their words, and those by their stems in the language that it guesses, now this
    and now that one: so all end in a digit, which is no ending in any."""
    words = " ".join(f"{OFFERS[number]}{n}" for n in range(20))
    return (
        f"From: robin@example.org\r\nTo: {KIM}\r\nSubject: {OFFERS[number]}0\r\nMessage-ID: <{number}@example.org>\r\n"
        f"\r\n{words}\r\n"
    ).encode()


@pytest.fixture(scope="module")
def server() -> Iterator[Rspamd]:
    with Rspamd() as rspamd:
        yield rspamd


@pytest.fixture
def rspamd(server: Rspamd) -> Rspamd:
    server.forget()
    return server


def settings(controller: str, password: str = PASSWORD) -> str:
    return f'[rspamd]\ncontroller = "{controller}"\npassword = "{password}"\n'


def connected(host: Host) -> IMAPClient:
    client = IMAPClient("localhost", host.imaps_port, ssl_context=host.client_context(), timeout=20)
    client.login(KIM, host.users[KIM])
    return client


def waiting(host: Host) -> int:
    """Lessons on disk."""
    return len(list((host.directory / "state" / "training").glob("*.mail")))


def wait_until(host: Host, lessons: int) -> None:
    end = time.monotonic() + 20
    while waiting(host) != lessons:
        assert time.monotonic() < end, host.log()
        time.sleep(0.02)


def test_counts_rise_and_fall_by_one(rspamd: Rspamd) -> None:
    with running_host(settings=settings(rspamd.controller)) as host:
        for number in range(3):
            host.deliver(KIM, mail(number))
        before = rspamd.stat()["learned"]
        with connected(host) as client:
            client.select_folder("INBOX")
            client.move([1], "Junk")
            rspamd.wait(spam=1, ham=0)
            client.copy([2], "Junk")
            rspamd.wait(spam=2, ham=0)

            client.select_folder("Junk")
            client.move([1], "INBOX")
            rspamd.wait(spam=1, ham=1)

            # Into Trash is no judgement, and a message that was taught already is not taught again.
            client.move([2], "Trash")
            client.select_folder("INBOX")
            client.copy([2], "Junk")
            client.copy([3], "Archives")
            # Lessons are learnt in order: what comes after them is a sign that they have been dealt with.
            client.move([3], "Junk")
            rspamd.wait(spam=2, ham=1)
        wait_until(host, 0)
    assert rspamd.learned() == {"spam": 2, "ham": 1}
    # The controller counts lessons: two as spam, one as ham, and the third as spam.
    assert rspamd.stat()["learned"] - before == 4


def test_over_the_unix_socket(rspamd: Rspamd) -> None:
    with running_host(settings=settings(rspamd.socket, "")) as host:
        host.deliver(KIM, mail(0))
        with connected(host) as client:
            client.select_folder("INBOX")
            client.move([1], "Junk")
            rspamd.wait(spam=1, ham=0)


def test_moves_do_not_wait_for_an_rspamd_that_is_away(rspamd: Rspamd) -> None:
    """Stopped, then also MAS is stopped and killed: the lessons are kept and learnt when both are back."""
    with running_host(settings=settings(rspamd.controller)) as host:
        for number in range(4):
            host.deliver(KIM, mail(number))
        rspamd.stop()
        try:
            with connected(host) as client:
                client.select_folder("INBOX")
                client.move([1, 2], "Junk")
                wait_until(host, 2)
            host.stop()
            host.start()
            with connected(host) as client:
                client.select_folder("INBOX")
                client.move([3], "Junk")
                wait_until(host, 3)
            host.kill()
        finally:
            rspamd.start()
        assert rspamd.learned() == {"spam": 0, "ham": 0}
        assert waiting(host) == 3
        host.start()
        rspamd.wait(spam=3, ham=0)
        wait_until(host, 0)
        log = [line for line in host.log().splitlines() if "nothing can be sent now" in line]
        assert len(log) == 2, log  # one in each life of the server
        assert all("ConnectionRefused" in line or "refused" in line.lower() for line in log)


def test_moves_do_not_wait_for_an_rspamd_that_hangs(rspamd: Rspamd) -> None:
    with running_host(settings=settings(rspamd.controller)) as host:
        host.deliver(KIM, mail(0))
        rspamd.pause()
        try:
            with connected(host) as client:
                client.select_folder("INBOX")
                client.move([1], "Junk")
                client.select_folder("Junk", readonly=True)
                assert client.search() == [1]
            wait_until(host, 1)
            host.stop()
        finally:
            rspamd.resume()
        host.start()
        rspamd.wait(spam=1, ham=0)


def test_a_wrong_password_is_one_clear_line(rspamd: Rspamd) -> None:
    with running_host(settings=settings(rspamd.controller, "wrong-guess")) as host:
        for number in range(3):
            host.deliver(KIM, mail(number))
        with connected(host) as client:
            client.select_folder("INBOX")
            client.move([1], "Junk")
            wait_until(host, 1)
            client.move([2, 3], "Junk")
            wait_until(host, 3)
        host.stop()
        said = [line for line in host.log().splitlines() if "rspamd.password is refused" in line]
        assert len(said) == 1, host.log()
        assert "wrong-guess" not in host.log()
        # Put right, all of it is learnt.
        host.settings = settings(rspamd.controller)
        host.configure()
        host.start()
        rspamd.wait(spam=3, ham=0)
