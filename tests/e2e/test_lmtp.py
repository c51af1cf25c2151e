"""LMTP of the whole server, with clients that others wrote."""

from __future__ import annotations

import smtplib
import socket
import subprocess
import threading
from collections.abc import Iterator

import pytest

from tests.support.builders import message
from tests.support.host import Host, running_host
from tests.support.servers import need

pytestmark = pytest.mark.e2e
KIM, LEE, PAT, SAM, JOE = (f"{name}@example.net" for name in ("kim", "lee", "pat", "sam", "joe"))


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """Each test has users of its own on it."""
    with running_host(dict.fromkeys((KIM, LEE, PAT, SAM, JOE), "x")) as running:
        yield running


def body(octets: bytes) -> bytes:
    """From the message's own first field on."""
    return octets.replace(b"\r\n", b"\n")[octets.replace(b"\r\n", b"\n").index(b"From: ") :]


def send(client: smtplib.LMTP, recipients: list[str], text: bytes) -> list[tuple[int, bytes]]:
    """One transaction and all its replies after the data: smtplib's sendmail() reads only the first of them."""
    client.ehlo_or_helo_if_needed()
    assert client.mail("robin@example.org")[0] == 250
    accepted = [recipient for recipient in recipients if client.rcpt(recipient)[0] == 250]
    replies = [client.data(text)]
    return replies + [client.getreply() for _ in accepted[1:]]


def test_smtplib(host: Host) -> None:
    texts = [message(number, text="..\r\n.dot\r\n" * number) for number in range(1, 20)]
    with smtplib.LMTP(str(host.lmtp_path), timeout=30) as client:
        for text in texts:
            assert [code for code, _ in send(client, [KIM, "nobody@example.net", LEE], text)] == [250, 250]
        assert client.sendmail("robin@example.org", [KIM], message(99)) == {}
        texts.append(message(99))
        assert send(client, [LEE], message(99))[0][0] == 250
        for user in (KIM, LEE):
            assert sorted(map(body, host.messages(user))) == sorted(t.replace(b"\r\n", b"\n") for t in texts)


def test_one_file_for_many_recipients(host: Host) -> None:
    with smtplib.LMTP(str(host.lmtp_path), timeout=30) as client:
        send(client, [PAT, SAM], message(1, text=("y" * 70 + "\r\n") * 5000))
    (one,) = (host.home(PAT) / "Maildir" / "new").iterdir()
    (other,) = (host.home(SAM) / "Maildir" / "new").iterdir()
    assert one.stat().st_ino == other.stat().st_ino


def test_swaks(host: Host) -> None:
    done = subprocess.run(
        [
            need("swaks"), "--protocol", "LMTP", "--socket", str(host.lmtp_path),
            "--from", "robin@example.org", "--to", JOE, "--suppress-data",
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(host.messages(JOE)) == 1


def test_quota() -> None:
    settings = (
        '[lmtp]\nrcpt_check_quota = false\n[quota]\nrules = ["*:storage=23"]\ngrace = "10%"\nmax_mail_size = "64K"\n'
    )
    with running_host({KIM: "x"}, settings=settings) as host, smtplib.LMTP(str(host.lmtp_path), timeout=30) as client:
        text = message(1, text=("x" * 70 + "\r\n") * 100)
        for _ in range(2):
            assert client.sendmail("robin@example.org", [KIM], text) == {}
        assert (
            client.sendmail("robin@example.org", [KIM], text) == {}
        )  # the last one may pass the limit, within the grace
        with pytest.raises(smtplib.SMTPDataError) as caught:
            client.sendmail("robin@example.org", [KIM], text)
        assert (caught.value.smtp_code, caught.value.smtp_error) == (
            552,
            b"5.2.2 <kim@example.net> Quota exceeded (mailbox for user is full)",
        )
        with pytest.raises(smtplib.SMTPSenderRefused) as refused:
            client.sendmail("robin@example.org", [KIM], message(2, text="x" * 70_000))  # by SIZE=
        assert refused.value.smtp_error == b"5.3.4 Message is larger than 65536 octets"
        assert len(host.messages(KIM)) == 3


def raw(host: Host, octets: bytes) -> None:
    """Send, and go away without a word."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(host.lmtp_path))
        client.sendall(octets)
        client.shutdown(socket.SHUT_WR)
        while client.recv(65536):
            pass


def test_a_client_that_goes_away_in_the_middle_leaves_no_trace() -> None:
    with running_host({KIM: "x"}) as host:
        start = b"LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<kim@example.net>\r\nDATA\r\n"
        for text in (b"Subject: x\r\n\r\n", b"Subject: x\r\n\r\n" + b"y" * 2_000_000 + b"\r\n.\r"):
            raw(host, start + text)
        host.stop()
        maildir = host.home(KIM) / "Maildir"
        assert [list((maildir / part).glob("*")) for part in ("tmp", "new", "cur")] == [[], [], []]


def test_many_clients_at_once() -> None:
    users = [f"user{number}@example.net" for number in range(4)]
    with running_host(dict.fromkeys(users, "x"), workers=2) as host:
        failed: list[BaseException] = []

        def client_of(number: int) -> None:
            try:
                with smtplib.LMTP(str(host.lmtp_path), timeout=60) as client:
                    for count in range(10):
                        replies = send(client, users, message(number * 100 + count))
                        assert [code for code, _ in replies] == [250] * 4
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=client_of, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(100)
        assert failed == []
        assert [len(host.messages(user)) for user in users] == [80] * 4
