"""Broken hosts, each with the finding that is expected of it."""

from __future__ import annotations

import datetime
import os
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trustme

from mas.config import Config, loads
from mas.doctor import checkup, postfix, services, system, traps
from mas.doctor.finding import Finding, Level

BASE = """
protocols = ["lmtp"]
hostname = "mail.example.net"
state_dir = "{dir}/state"
run_dir = "{dir}/run"
{top}
[imap]
port = 0
tls_port = 0
[[passdb]]
url = "{url}"
[[userdb]]
home = "{dir}/mail/%d/%n"
{userdb}
"""
GOOD_POSTFIX = {
    "mail_owner": "postfix",
    "mailbox_transport": "",
    "message_size_limit": "10240000",
    "queue_directory": "/var/spool/postfix",
    "recipient_delimiter": "+",
    "smtpd_recipient_restrictions": "",
    "smtpd_relay_restrictions": "permit_mynetworks, permit_sasl_authenticated, defer_unauth_destination",
    "smtpd_sasl_auth_enable": "yes",
    "smtpd_sasl_path": "private/auth",
    "smtpd_sasl_type": "dovecot",
    "smtpd_tls_auth_only": "yes",
    "virtual_transport": "lmtp:unix:private/dovecot-lmtp",
}


def configured(directory: Path, text: str = "", *, top: str = "", userdb: str = "", url: str = "") -> Config:
    url = url or f"sqlite+aiosqlite:///{directory}/accounts.sqlite"
    return loads(BASE.format(dir=directory, top=top, userdb=userdb, url=url) + text, directory / "mas.toml")


def bad(findings: Any) -> dict[str, Level]:
    return {finding.where: finding.level for finding in findings if finding.level is not Level.OK}


def texts(findings: Any) -> str:
    return "\n".join(f"{finding.where}: {finding.what} -> {finding.todo}" for finding in findings)


@pytest.mark.parametrize(
    ("settings", "text", "where", "level", "todo"),
    [
        ({}, "", "", Level.OK, ""),
        ({"virtual_transport": "virtual"}, "", "Postfix virtual_transport", Level.ERROR, "lmtp:unix:private/dovecot-lmtp"),
        ({"virtual_transport": "lmtp:unix:private/other"}, "", "Postfix virtual_transport", Level.ERROR, "dovecot-lmtp"),
        ({"virtual_transport": "virtual", "mailbox_transport": "lmtp:unix:private/dovecot-lmtp"}, "", "", Level.OK, ""),
        ({"virtual_transport": "lmtp:inet:127.0.0.1:24"}, "", "Postfix virtual_transport", Level.ERROR, "postconf"),
        ({"virtual_transport": "lmtp:[127.0.0.1]:24"}, "[[lmtp.listener]]\nport = 24", "", Level.OK, ""),
        (
            {},
            '[[lmtp.socket]]\npath = "/var/spool/postfix/private/dovecot-lmtp"\nmode = "0600"\nuser = "vmail"',
            "lmtp.socket /var/spool/postfix/private/dovecot-lmtp",
            Level.ERROR,
            'user = "postfix"',
        ),
        ({"smtpd_sasl_type": "cyrus"}, "", "Postfix smtpd_sasl_type", Level.ERROR, "dovecot"),
        ({"smtpd_sasl_path": "smtpd"}, "", "Postfix smtpd_sasl_path", Level.ERROR, "smtpd_sasl_path=private/auth"),
        ({"smtpd_sasl_auth_enable": "no", "smtpd_sasl_type": "cyrus"}, "", "", Level.OK, ""),
        ({"smtpd_tls_auth_only": "no"}, "", "Postfix smtpd_tls_auth_only", Level.WARN, "smtpd_tls_auth_only=yes"),
        ({"message_size_limit": "0"}, "", "Postfix message_size_limit", Level.WARN, "message_size_limit=104857600"),
        ({"message_size_limit": "204857600"}, "", "Postfix message_size_limit", Level.WARN, "postconf -e"),
        ({"recipient_delimiter": ""}, "", "Postfix recipient_delimiter", Level.WARN, "recipient_delimiter=+"),
        (
            {"smtpd_recipient_restrictions": "check_policy_service unix:private/quota-status"},
            "",
            "Postfix smtpd_recipient_restrictions",
            Level.ERROR,
            "take it out",
        ),
    ],
)  # fmt: skip
def test_postfix(settings: dict[str, str], text: str, where: str, level: Level, todo: str, tmp_path: Path) -> None:
    findings = list(postfix.check(GOOD_POSTFIX | settings, configured(tmp_path, text), {"postfix"}))
    assert bad(findings) == ({where: level} if where else {})
    assert todo in texts(findings)


@pytest.mark.parametrize(
    ("main", "service", "found", "todo"),
    [
        ({}, "smtpd_sasl_path = private/auth", {}, ""),
        (
            {"smtpd_sasl_auth_enable": "no"},
            "smtpd_sasl_auth_enable = yes\nsmtpd_sasl_path = private/other",
            {"Postfix submission/inet smtpd_sasl_path": Level.ERROR},
            "postconf -P submission/inet/smtpd_sasl_path=private/auth",
        ),
        (
            {"smtpd_sasl_auth_enable": "no", "smtpd_sasl_type": "cyrus"},
            "smtpd_sasl_auth_enable = yes",
            {"Postfix submission/inet smtpd_sasl_type": Level.ERROR},
            "postconf -e smtpd_sasl_type=dovecot",
        ),
        # Where main.cf asks a wrong place, and the one service that has logins does not.
        ({"smtpd_sasl_auth_enable": "no", "smtpd_sasl_path": "smtpd"},
         "smtpd_sasl_auth_enable = yes\nsmtpd_sasl_path = private/auth", {}, ""),
        ({}, "smtpd_sasl_auth_enable = no\nsmtpd_sasl_path = smtpd", {}, ""),
        ({"smtpd_sasl_auth_enable": "no", "smtpd_tls_auth_only": "no"},
         "smtpd_sasl_auth_enable = yes\nsmtpd_tls_security_level = encrypt", {}, ""),
        ({"smtpd_sasl_auth_enable": "no", "smtpd_tls_auth_only": "no"},
         "smtpd_sasl_auth_enable = yes\nsmtpd_tls_wrappermode = yes", {}, ""),
        (
            {},
            "smtpd_tls_auth_only = no",
            {"Postfix submission/inet smtpd_tls_auth_only": Level.WARN},
            "postconf -P submission/inet/smtpd_tls_auth_only=yes",
        ),
        (
            {},
            "message_size_limit = 0",
            {"Postfix submission/inet message_size_limit": Level.WARN},
            "postconf -P submission/inet/message_size_limit=104857600",
        ),
        (
            {},
            "smtpd_relay_restrictions = permit_sasl_authenticated, check_policy_service unix:private/quota-status",
            {"Postfix submission/inet smtpd_relay_restrictions": Level.ERROR},
            "take it out",
        ),
        ({}, "syslog_name = postfix/submission", {}, ""),
    ],
)  # fmt: skip
def test_a_service_of_master_cf(
    main: dict[str, str], service: str, found: dict[str, Level], todo: str, tmp_path: Path
) -> None:
    services = postfix.parse_services("".join(f"submission/inet/{line}\n" for line in service.splitlines()))
    findings = list(postfix.check(GOOD_POSTFIX | main, configured(tmp_path), {"postfix"}, services))
    assert bad(findings) == found
    assert todo in texts(findings)


@pytest.mark.parametrize(
    ("mode", "user", "group", "may"),
    [
        ("0600", "postfix", "root", True),
        ("0400", "postfix", "root", False),
        ("0660", "root", "postfix", True),
        ("0600", "root", "postfix", False),
        ("0666", "root", "root", True),
        ("0006", "postfix", "root", False),
    ],
)
def test_who_may_connect(mode: str, user: str, group: str, may: bool, tmp_path: Path) -> None:
    text = f'[[lmtp.socket]]\npath = "/x"\nmode = "{mode}"\nuser = "{user}"\ngroup = "{group}"'
    (unix,) = configured(tmp_path, text).lmtp.socket
    assert postfix.may_connect(unix, "postfix", {"postfix"}) is may


def test_postconfs_output_is_read() -> None:
    assert postfix.parse("a = b = c\nempty =\n\n") == {"a": "b = c", "empty": ""}


@pytest.mark.parametrize(
    ("text", "userdb", "where"),
    [
        ('[quota]\nrules = ["*:storage=1G"]', "", ""),
        ("", "", "quota.rules"),
        ('[quota]\nrules = ["*:storage=1G"]', "allow_all_users = true", "userdb[1].allow_all_users"),
        ('[quota]\nrules = ["*:storage=1G"]\nname = " "', "", "quota.name"),
        ('[quota]\nrules = ["*:storage=1G"]\n[auth]\npenalty = false', "", "auth.penalty"),
        (
            '[quota]\nrules = ["*:storage=1G"]\n[auth]\nlogin_trusted_networks = ["0.0.0.0/0"]',
            "",
            "auth.login_trusted_networks",
        ),
        ('[quota]\nrules = ["*:storage=1G"]\n[proxy]\ntrusted_networks = ["::/0"]', "", "proxy.trusted_networks"),
        (
            '[quota]\nrules = ["*:storage=1G"]\n[[lmtp.listener]]\naddress = "*"\nport = 24',
            "",
            "lmtp.listener[1].address",
        ),
        ('[quota]\nrules = ["*:storage=1G"]\n[metrics]\nlisten = "192.0.2.1:9900"', "", "metrics.listen"),
    ],
)
def test_traps(text: str, userdb: str, where: str, tmp_path: Path) -> None:
    findings = list(traps.traps(configured(tmp_path, text, userdb=userdb)))
    assert bad(findings) == ({where: Level.WARN} if where else {})


def certified(directory: Path, *names: str, intermediate: bool = True, days: int = 90) -> Config:
    authority = trustme.CA()
    issuer = authority.create_child_ca()
    ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days, hours=1)
    starts = ends - datetime.timedelta(days=100)
    leaf = issuer.issue_cert(*names, not_after=ends, not_before=starts)
    chain = leaf.cert_chain_pems if intermediate else leaf.cert_chain_pems[:1]
    for number, blob in enumerate(chain):
        blob.write_to_path(str(directory / "cert.pem"), append=number > 0)
    leaf.private_key_pem.write_to_path(str(directory / "key.pem"))
    (directory / "key.pem").chmod(0o600)
    return configured(directory, f'[tls]\ncert = "{directory}/cert.pem"\nkey = "{directory}/key.pem"')


@pytest.mark.parametrize(
    ("name", "days", "intermediate", "level", "what"),
    [
        ("mail.example.net", 90, True, Level.OK, "holds for 90 days"),
        ("*.example.net", 90, True, Level.OK, "holds"),
        ("mail.example.net", 5, True, Level.WARN, "ends in 5 days"),
        ("mail.example.net", -2, True, Level.ERROR, "has ended"),
        ("mail.example.org", 90, True, Level.WARN, "is not for mail.example.net"),
        ("mail.example.net", 90, False, Level.WARN, "no intermediate certificate"),
    ],
)
def test_certificates(name: str, days: int, intermediate: bool, level: Level, what: str, tmp_path: Path) -> None:
    findings = list(system.certificates(certified(tmp_path, name, days=days, intermediate=intermediate)))
    assert checkup.worst(findings) is level
    assert what in texts(findings)


def test_a_key_that_everybody_reads_and_one_of_another_certificate(tmp_path: Path) -> None:
    config = certified(tmp_path, "mail.example.net")
    (tmp_path / "key.pem").chmod(0o644)
    assert bad(system.certificates(config)) == {str(tmp_path / "key.pem"): Level.ERROR}
    trustme.CA().private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    assert bad(system.certificates(config)) == {"tls": Level.ERROR}


@pytest.mark.parametrize(
    ("free", "inodes", "level"),
    [(50 << 30, 0.5, Level.OK), (1 << 30, 0.5, Level.WARN), (1 << 20, 0.5, Level.ERROR), (50 << 30, 0.01, Level.WARN)],
)
def test_disk(free: int, inodes: float, level: Level) -> None:
    found: Any = SimpleNamespace(
        f_bavail=free >> 12, f_frsize=4096, f_blocks=100 << 18, f_files=1000, f_favail=int(1000 * inodes)
    )
    assert system.disk("/", found).level is level


def test_inotify(tmp_path: Path) -> None:
    (tmp_path / "max_user_watches").write_text("8192\n")
    (tmp_path / "max_user_instances").write_text("128\n")
    assert bad(system.inotify(tmp_path)) == {"fs.inotify.max_user_watches": Level.WARN}
    assert "sysctl" in texts(system.inotify(tmp_path))
    assert len(bad(system.inotify(tmp_path / "absent"))) == 2


def test_open_files(tmp_path: Path) -> None:
    config = configured(tmp_path)
    assert system.open_files(config, 1024).level is Level.WARN
    assert system.open_files(config, 1 << 20).level is Level.OK
    assert system.server_file_limit(None) == system.server_file_limit(os.getpid())


def test_directories(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    config = configured(tmp_path)
    uid, gid = os.geteuid(), os.getegid()
    if uid:
        assert bad(system.directories(config, uid, gid)) == {"userdb.home": Level.ERROR} or (tmp_path / "mail").exists()
    (tmp_path / "mail").mkdir()
    assert not bad(system.directories(config, uid, gid))
    (tmp_path / "state").mkdir(mode=0o700)
    found = bad(system.directories(config, 65534, 65534)) if uid != 65534 else {"state_dir": Level.ERROR}
    assert found["state_dir"] is Level.ERROR
    (tmp_path / "state").rmdir()
    (tmp_path / "state").touch()
    assert bad(system.directories(config, uid, gid))["state_dir"] is Level.ERROR


def test_a_password_in_a_file_for_everybody(tmp_path: Path) -> None:
    file = tmp_path / "mas.toml"
    url = "mysql+aiomysql://mail:secret@127.0.0.1/mail"
    config = configured(tmp_path, url=url)
    file.write_text(f'url = "{url}"')
    file.chmod(0o644)
    findings = list(system.files(file, config))
    assert bad(findings) == {str(file): Level.WARN}
    assert "secret" not in texts(findings)
    file.chmod(0o640)
    assert not bad(system.files(file, config))


def accounts(directory: Path, *statements: str) -> None:
    import sqlite3

    database = sqlite3.connect(directory / "accounts.sqlite")
    for statement in statements:
        database.execute(statement)
    database.commit()
    database.close()


TABLE = "CREATE TABLE users (username TEXT, domain TEXT, password TEXT)"


@pytest.mark.parametrize(
    ("statements", "where", "level", "what"),
    [
        ([], "passdb[1]", Level.ERROR, "No such file"),
        (["CREATE TABLE accounts (name TEXT)"], "passdb[1]", Level.ERROR, "no such table"),
        (["CREATE TABLE users (username TEXT, domain TEXT)"], "passdb[1]", Level.ERROR, "no such column"),
        ([TABLE], "passdb", Level.WARN, "no users"),
        ([TABLE, "INSERT INTO users VALUES ('kim', 'example.net', NULL)"], "passdb", Level.ERROR, "no password"),
        ([TABLE, "INSERT INTO users VALUES ('kim', 'example.net', '{PLAIN}x')"], "", Level.OK, "1 users"),
    ],
)
async def test_databases(statements: list[str], where: str, level: Level, what: str, tmp_path: Path) -> None:
    if statements:
        accounts(tmp_path, *statements)
    findings = [finding async for finding in services.databases(configured(tmp_path))]
    assert bad(findings) == ({where: level} if where else {}), texts(findings)
    assert what in texts(findings)


@contextmanager
def answering(answer: bytes, *, wait: bool = True) -> Iterator[int]:
    """A server that says one thing."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            if wait:
                self.request.recv(4096)
            self.request.sendall(answer)

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("answer", "level"), [(b"220 mail ESMTP\r\n", Level.OK), (b"554 no\r\n", Level.ERROR), (b"", Level.ERROR)]
)
def test_submission(answer: bytes, level: Level, tmp_path: Path) -> None:
    with answering(answer, wait=False) as port:
        config = configured(tmp_path, f'[sieve]\nsubmission = "smtp://127.0.0.1:{port}"')
        assert checkup.worst(services.outgoing(config)) is level


def test_submission_that_is_not_there(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        config = configured(tmp_path, f'[sieve]\nsubmission = "smtp://127.0.0.1:{unused.getsockname()[1]}"')
        assert bad(services.outgoing(config)) == {"sieve.submission": Level.ERROR}
    config = configured(tmp_path, '[sieve]\nsendmail = "/nonexistent/sendmail"')
    assert bad(services.outgoing(config)) == {"sieve.sendmail": Level.ERROR}


@pytest.mark.parametrize(
    ("answer", "where"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", ""),
        (b"HTTP/1.1 401 no\r\nContent-Length: 0\r\n\r\n", "rspamd.password"),
        (b"HTTP/1.1 404 no\r\nContent-Length: 0\r\n\r\n", "rspamd.controller"),
        (b"nonsense\r\n", "rspamd.controller"),
    ],
)
def test_rspamd(answer: bytes, where: str, tmp_path: Path) -> None:
    with answering(answer) as port:
        config = configured(tmp_path, f'[rspamd]\ncontroller = "http://127.0.0.1:{port}"\npassword = "x"')
        assert bad(services.rspamd(config)) == ({where: Level.ERROR} if where else {})


def test_another_server_on_our_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        text = f"[lmtp]\nsocket = []\n[[lmtp.listener]]\nport = {port}\n[auth]\nsocket = []"
        findings = bad(services.server(configured(tmp_path, text), None))
    assert findings == {"server": Level.WARN, f"lmtp 127.0.0.1:{port}": Level.ERROR}


def test_a_pid_file_without_a_server(tmp_path: Path) -> None:
    assert services.running(tmp_path) is None
    (tmp_path / "mas.pid").write_text(f"{os.getpid()}\n")
    assert services.running(tmp_path) is None


def test_a_check_that_fails_is_a_finding() -> None:
    def broken() -> Iterator[Finding]:
        raise ZeroDivisionError("by zero")

    def forbidden() -> Iterator[Finding]:
        raise PermissionError("no")

    assert bad(checkup._safely("disk", broken)) == {"disk": Level.ERROR}
    assert bad(checkup._safely("disk", forbidden)) == {"disk": Level.ERROR}


def test_a_wrong_configuration_is_the_only_finding(tmp_path: Path) -> None:
    file = tmp_path / "mas.toml"
    file.write_text("[imap]\nport = 99999\nprot = 1\n")
    findings = list(checkup.checkup(file))
    assert {finding.where for finding in findings} == {"configuration"}
    assert checkup.worst(findings) is Level.ERROR
