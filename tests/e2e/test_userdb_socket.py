"""The userdb socket beside Debian's Dovecot: doveadm asks MAS, and both answer the same octets to the same questions."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.dovecot_version import configuration
from tests.support.host import Host, running_host
from tests.support.servers import need

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180), pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]
USERS = {"kim@example.net": "secret", "lee@example.net": "secret"}
CONFIG = """
base_dir = {d}/run
state_dir = {d}/state
log_path = {d}/log
protocols =
ssl = no
auth_mechanisms = plain
auth_failure_delay = 1 secs
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
"""
OLD = """
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {d}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {d}/users
}}
"""
NEW = """
auth_username_format = %{{user | lower}}
passwd_file_path = {d}/users
passdb passwd-file {{
  default_password_scheme = PLAIN
}}
userdb passwd-file {{
}}
"""


@contextmanager
def dovecot(host: Host) -> Iterator[Path]:
    """A private Dovecot with the same users; gives its directory."""
    need("dovecot")
    with tempfile.TemporaryDirectory(prefix="mas-dovecot-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        os.chmod(directory, 0o755)
        (directory / "users").write_text(
            "".join(f"{user}:{{PLAIN}}secret:65534:65534::{host.home(user)}::\n" for user in USERS)
        )
        config = directory / "dovecot.conf"
        config.write_text(configuration(CONFIG + OLD, CONFIG + NEW).format(d=directory))
        subprocess.run(["dovecot", "-c", str(config)], check=True, timeout=30)
        try:
            deadline = time.monotonic() + 30
            while not (directory / "run" / "auth-userdb").exists():
                assert time.monotonic() < deadline, (directory / "log").read_text()
                time.sleep(0.02)
            yield directory
        finally:
            subprocess.run(["doveadm", "-c", str(config), "stop"], timeout=30, check=False)


@contextmanager
def mas() -> Iterator[tuple[Host, Path, Path]]:
    """MAS with both kinds of sockets: the host, userdb's and the passwords' path."""
    with tempfile.TemporaryDirectory(prefix="mas-userdb-", ignore_cleanup_errors=True) as directory:
        os.chmod(directory, 0o755)
        userdb, client = Path(directory) / "userdb", Path(directory) / "client"
        sockets = f'[{{type = "userdb", path = "{userdb}", mode = "0666"}}, {{path = "{client}", mode = "0666"}}]'
        with running_host(USERS, auth_sockets=sockets, settings='uid = "65534"\ngid = "65534"') as host:
            deadline = time.monotonic() + 30
            while not (userdb.exists() and client.exists()):
                assert time.monotonic() < deadline, host.log()
                time.sleep(0.02)
            yield host, userdb, client


def ask(path: Path, *lines: bytes) -> list[bytes]:
    """What a server says to these lines and to a last question, sorted as answers come in any order; its process id and the
    minor version (2.4's is 3) replaced."""
    listed = any(line.startswith(b"LIST") for line in lines)
    last = [] if listed else [b"USER\t99\tkim@example.net\tservice=end"]
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(path))
        client.sendall(b"".join(line + b"\n" for line in (b"VERSION\t1\t0", *lines, *last)))
        found = b""
        while not re.search(rb"\nDONE\t.*\n", found) if listed else found.count(b"\n") < 2 + len(lines) + len(last):
            data = client.recv(65536)
            if not data:
                break
            found += data
    found = re.sub(rb"^VERSION\t1\t\d+", b"VERSION\t1\t1", found)
    return sorted(re.sub(rb"SPID\t\d+", b"SPID\t0", found).splitlines())


QUESTIONS = [
    [b"USER\t1\tkim@example.net\tservice=lmtp"],
    [b"USER\t1\tKIM@Example.NET\tservice=lmtp\tdebug"],
    [b"USER\t2\tnobody@example.net\tservice=lmtp"],
    [b"USER\t3\tbad name\tservice=lmtp"],
    [b"PASS\t4\tkim@example.net\tservice=lmtp"],
    [b"PASS\t5\tnobody@example.net\tservice=lmtp"],
    [b"LIST\t6\tservice=doveadm\tuser=*"],
    [b"USER\t7\tkim@example.net\tservice=lmtp", b"USER\t7\tlee@example.net\tservice=lmtp"],
    [b"USER\t8\tkim@example.net"],
    [b"USER\tx\tkim@example.net\tservice=lmtp"],
    [b"CPID\t7"],
    [b"FOO\t7"],
    [b"VERSION\t2\t0"],
]


def test_the_same_answers_as_dovecot() -> None:
    with mas() as (host, path, _), dovecot(host) as directory:
        for lines in QUESTIONS:
            theirs = ask(directory / "run" / "auth-userdb", *lines)
            assert ask(path, *lines) == theirs, lines


def doveadm(path: Path, *words: str) -> tuple[int, str]:
    config = path.parent / "doveadm.conf"
    text = f"ssl = no\nbase_dir = {path.parent}\n"
    config.write_text(configuration(text, text))
    done = subprocess.run(
        ["doveadm", "-c", str(config), "-o", f"auth_socket_path={path}", *words],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_doveadm_asks() -> None:
    need("dovecot")
    assert shutil.which("doveadm")
    with mas() as (host, userdb, client):
        code, text = doveadm(userdb, "user", "kim@example.net")
        assert code == 0, text
        assert (
            dict(line.split("\t", 1) for line in text.splitlines() if "\t" in line).items()
            >= {
                "uid": "65534",
                "gid": "65534",
                "home": str(host.home("kim@example.net")),
            }.items()
        )
        code, text = doveadm(userdb, "user", "nobody@example.net")
        assert code == 67, text
        code, text = doveadm(userdb, "user", "*")
        assert (code, text.split()) == (0, list(USERS)), text
        code, text = doveadm(userdb, "user", "k*")
        assert (code, text.split()) == (0, ["kim@example.net"]), text
        code, text = doveadm(userdb, "auth", "lookup", "kim@example.net")
        assert code == 0, text
        for password, right in (("secret", 0), ("wrong", 77)):
            code, text = doveadm(userdb, "auth", "test", "-a", str(client), "kim@example.net", password)
            assert code == right, text
