"""``mas deliver`` on a real store: exit codes, envelope, what lands on disk."""

from __future__ import annotations

import io
import os
import pwd
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from mas import deliver, logs
from mas.config import Config
from mas.deliver import EX_NOPERM, EX_NOUSER, EX_OK, EX_TEMPFAIL, EX_USAGE, Order, run

MESSAGE = b"Subject: x\nMessage-ID: <1@example.org>\n\nhello\n"
KIM = "kim@example.net"


@pytest.fixture(autouse=True)
def _keep_the_process_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliver, "_drop_root", lambda uid, gid: None)
    monkeypatch.setattr(logs, "setup", lambda log: None)


@pytest.fixture
def host(tmp_path: Path) -> Config:
    return config(tmp_path)


def config(directory: Path, **sections: object) -> Config:
    path = directory / "accounts.sqlite"
    if not path.exists():
        with sqlite3.connect(path) as database:
            database.execute("CREATE TABLE users (username, domain, password)")
            database.execute("INSERT INTO users VALUES ('kim', 'example.net', '{PLAIN}x')")
    query = "SELECT username, domain, password FROM users WHERE username = '%n' AND domain = '%d'"
    return Config.model_validate(
        {
            "hostname": "mail.example.net",
            "state_dir": str(directory / "state"),
            "run_dir": str(directory / "run"),
            "passdb": ({"driver": "sql", "url": f"sqlite+aiosqlite:///{path}", "query": query},),
            "userdb": ({"driver": "static", "home": f"{directory}/mail/%d/%n"},),
            **sections,
        }
    )


def mail(config: Config, mailbox: str = "") -> list[bytes]:
    home = config.userdb[0].home.replace("%d", "example.net").replace("%n", "kim")
    return [path.read_bytes() for path in sorted(Path(home, "Maildir", mailbox, "new").glob("*"))]


def test_delivered(host: Config) -> None:
    assert run(host, Order(KIM, sender="robin@example.org"), io.BytesIO(MESSAGE)) == EX_OK
    assert [octets.replace(b"\r\n", b"\n") for octets in mail(host)] == [MESSAGE]


def test_mbox_line_is_dropped_and_line_ends_are_one_kind(host: Config) -> None:
    text = b"From robin@example.org Sun Nov 22 20:00:00 2026\n" + MESSAGE.replace(b"\nhello", b"\r\nhello")
    assert run(host, Order(KIM), io.BytesIO(text)) == EX_OK
    assert [octets.replace(b"\r\n", b"\n") for octets in mail(host)] == [MESSAGE]


def test_large(host: Config) -> None:
    text = MESSAGE + (b"x" * 75 + b"\n") * 40_000
    assert run(host, Order(KIM), io.BytesIO(text)) == EX_OK
    assert [len(octets.replace(b"\r\n", b"\n")) for octets in mail(host)] == [len(text)]


def test_mailbox(host: Config) -> None:
    assert run(host, Order(KIM, mailbox="Junk"), io.BytesIO(MESSAGE)) == EX_OK
    assert run(host, Order(KIM, mailbox="Missing"), io.BytesIO(MESSAGE)) == EX_OK
    assert (len(mail(host, ".Junk")), len(mail(host))) == (1, 1)


def test_detail_of_the_address(tmp_path: Path) -> None:
    host = config(tmp_path, lmtp={"save_to_detail_mailbox": True})
    assert run(host, Order(KIM, address="kim+Junk@example.net"), io.BytesIO(MESSAGE)) == EX_OK
    assert len(mail(host, ".Junk")) == 1


def test_the_users_script_decides(host: Config) -> None:
    script = Path(host.userdb[0].home.replace("%d", "example.net").replace("%n", "kim"), ".dovecot.sieve")
    script.parent.mkdir(parents=True)
    script.write_text(
        'require ["fileinto", "envelope"]; if envelope :is "from" "robin@example.org" { fileinto "Junk"; }'
    )
    assert run(host, Order(KIM, sender="robin@example.org"), io.BytesIO(MESSAGE)) == EX_OK
    assert (len(mail(host, ".Junk")), len(mail(host))) == (1, 0)


def test_no_such_user(host: Config, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(host, Order("nobody@example.net"), io.BytesIO(MESSAGE)) == EX_NOUSER
    assert capsys.readouterr().err.splitlines()[-1] == "mas deliver: nobody@example.net: no such user"


def test_over_quota(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = config(tmp_path, quota={"rules": ("*:bytes=10",), "exceeded_message": "Full"})
    assert run(host, Order(KIM), io.BytesIO(MESSAGE)) == EX_NOPERM
    assert capsys.readouterr().err.splitlines()[-1] == "mas deliver: kim@example.net: Full"
    assert mail(host) == []


def test_too_big(tmp_path: Path) -> None:
    host = config(tmp_path, quota={"max_mail_size": 20})
    assert run(host, Order(KIM), io.BytesIO(MESSAGE)) == EX_NOPERM
    assert mail(host) == []


def test_the_database_is_down(host: Config, tmp_path: Path) -> None:
    (tmp_path / "accounts.sqlite").unlink()
    (tmp_path / "accounts.sqlite").mkdir()
    assert run(host, Order(KIM), io.BytesIO(MESSAGE)) == EX_TEMPFAIL


def test_the_disk_cannot_be_written(host: Config, tmp_path: Path) -> None:
    (tmp_path / "mail").write_text("a file where a directory should be")
    assert run(host, Order(KIM), io.BytesIO(MESSAGE)) == EX_TEMPFAIL


@pytest.mark.parametrize(
    "order",
    [Order(KIM, address="a b"), Order(KIM, sender="a\nb"), Order(KIM, address="<>"), Order(KIM, address="a@b\r\nX: y")],
)
def test_wrong_arguments(host: Config, order: Order) -> None:
    assert run(host, order, io.BytesIO(MESSAGE)) == EX_USAGE


def test_no_message(host: Config) -> None:
    assert run(host, Order(KIM), io.BytesIO(b"")) == EX_USAGE
    assert mail(host) == []


def test_the_caller(host: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert run(host, Order(), io.BytesIO(MESSAGE)) == EX_USAGE
    entry = pwd.getpwnam("nobody")
    monkeypatch.setattr(os, "getuid", lambda: entry.pw_uid)
    assert run(host, Order(), io.BytesIO(MESSAGE)) == EX_NOUSER


def test_a_bug_is_a_temporary_failure(host: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(config: Config) -> object:
        raise RuntimeError("bug")

    monkeypatch.setattr(deliver, "MaildirStore", broken)
    assert run(host, Order(KIM), io.BytesIO(MESSAGE)) == EX_TEMPFAIL


def test_what_the_command_does_not_wait_for() -> None:
    """One process a message: what a delivery does not need is not imported."""
    code = "import sys, mas.cli.application, mas.cli.deliver, mas.deliver; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert "mas.deliver" in loaded
    unwanted = {
        "aiomysql", "aiosmtplib", "aiosqlite", "asyncpg", "cryptography", "joserfc", "mas.demo", "mas.doctor",
        "mas.dovecot_config", "mas.migrate", "mas.protocols.imap", "mas.protocols.listener", "mas.protocols.managesieve",
        "mas.protocols.pump", "mas.server.composition", "mas.server.preload", "mas.server.supervisor", "mas.server.worker", "uvloop",
    }  # fmt: skip
    assert unwanted.isdisjoint(loaded), unwanted.intersection(loaded)
