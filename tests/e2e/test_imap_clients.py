"""IMAP with real clients over real sockets: imaplib, IMAPClient, mbsync, curl against a whole host."""

from __future__ import annotations

import imaplib
import itertools
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from imapclient import IMAPClient

from tests.support.builders import MULTIPART, message
from tests.support.host import Host, running_host
from tests.support.servers import need

pytestmark = pytest.mark.e2e
NAMES = itertools.count()


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    users = {f"kim{number}@example.net": "secret" for number in range(8)}
    with running_host(users, auth_settings="penalty = false") as running:
        yield running


@pytest.fixture
def user() -> str:
    """Whom no other test has: the host is the same."""
    return f"kim{next(NAMES)}@example.net"


def test_imaplib(host: Host, user: str) -> None:
    for number in range(1, 4):
        host.deliver(user, message(number))
    client = host.imap(user)
    assert client.select("INBOX") == ("OK", [b"3"])
    assert client.search(None, "SUBJECT", '"message 2"') == ("OK", [b"2"])
    status, data = client.fetch("2", "(FLAGS BODY.PEEK[TEXT])")
    assert status == "OK"
    assert isinstance(data[0], tuple)
    assert data[0][1] == b"This is message 2.\r\n"
    assert client.append("Sent", "(\\Seen)", '"02-Nov-2026 10:00:00 +0100"', MULTIPART)[0] == "OK"
    assert client.status("Sent", "(MESSAGES UNSEEN)")[1] == [b"Sent (MESSAGES 1 UNSEEN 0)"]
    assert client.store("1", "+FLAGS", "(\\Deleted)")[0] == "OK"
    assert client.expunge() == ("OK", [b"1"])
    assert client.copy("1", "nosuch") == ("NO", [b"[TRYCREATE] Mailbox doesn't exist: nosuch"])
    client.logout()


def test_starttls_and_no_login_before(host: Host, user: str) -> None:
    client = imaplib.IMAP4("localhost", host.imap_port, timeout=20)
    assert "LOGINDISABLED" in client.capabilities
    with pytest.raises(imaplib.IMAP4.error, match="PRIVACYREQUIRED"):
        client.login(user, "secret")
    client.starttls(host.client_context())
    assert "LOGINDISABLED" not in client.capabilities
    client.login(user, "secret")
    client.logout()


def test_wrong_password_and_wrong_user_look_alike(host: Host, user: str) -> None:
    answers = []
    for name, password in ((user, "wrong"), ("nobody@example.net", "secret")):
        client = imaplib.IMAP4_SSL("localhost", host.imaps_port, ssl_context=host.client_context(), timeout=20)
        with pytest.raises(imaplib.IMAP4.error) as failed:
            client.login(name, password)
        answers.append(str(failed.value))
        client.shutdown()
    assert answers[0] == answers[1]
    assert "AUTHENTICATIONFAILED" in answers[0]


def test_idle_with_imapclient(host: Host, user: str) -> None:
    """Each update comes whole: this client's reader breaks when a line is cut in two TLS records."""
    with IMAPClient("localhost", host.imaps_port, ssl_context=host.client_context(), timeout=20) as client:
        client.login(user, "secret")
        client.select_folder("INBOX")
        client.idle()
        host.deliver(user, message(1))
        assert (1, b"EXISTS") in client.idle_check(timeout=60)
        client.idle_done()
        assert client.search(["UNSEEN"]) == [1]


def test_mbsync_twice_transfers_nothing_the_second_time(host: Host, user: str, tmp_path: Path) -> None:
    need("mbsync")
    for number in range(1, 31):
        host.deliver(user, message(number))
    local = tmp_path / "local"
    local.mkdir()
    config = tmp_path / "mbsyncrc"
    config.write_text(
        f"""\
IMAPAccount host
Host localhost
Port {host.imaps_port}
User {user}
Pass secret
SSLType IMAPS
CertificateFile {host.directory}/ca.pem

IMAPStore remote
Account host

MaildirStore local
Path {local}/
Inbox {local}/INBOX
SubFolders Verbatim

Channel all
Far :remote:
Near :local:
Patterns *
Create Both
Expunge Both
SyncState *
"""
    )

    def sync() -> None:
        done = subprocess.run(
            ["mbsync", "-c", str(config), "-V", "all"], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    sync()
    assert len(list((local / "INBOX" / "cur").iterdir())) + len(list((local / "INBOX" / "new").iterdir())) == 30
    # a message that the client made goes up, a flag goes up, an expunged one goes away
    some = min((local / "INBOX" / "new").iterdir())
    some.rename(local / "INBOX" / "cur" / (some.name.partition(":2,")[0] + ":2,FST"))
    sync()
    assert host.imap(user).select("INBOX") == ("OK", [b"29"])
    before = {path: path.read_bytes() for path in local.rglob("*") if path.is_file()}
    sync()
    assert {path: path.read_bytes() for path in local.rglob("*") if path.is_file()} == before


def test_curl(host: Host, user: str) -> None:
    need("curl")
    host.deliver(user, message(1))
    done = subprocess.run(
        [
            "curl", "--silent", "--show-error", "--max-time", "20", "--cacert", str(host.directory / "ca.pem"),
            "--user", f"{user}:secret", f"imaps://localhost:{host.imaps_port}/INBOX;UID=1",
        ],
        capture_output=True,
        timeout=30,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(message(1))


def test_a_stopping_server_says_bye() -> None:
    with running_host() as stopping:
        client = stopping.imap("kim@example.net")
        client.select("INBOX")
        stopping.stop()
        assert client.readline().startswith(b"* BYE")
