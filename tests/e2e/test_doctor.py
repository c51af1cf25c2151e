"""``mas doctor`` on a running host with a Postfix configuration of its own, then with one thing after another broken."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.test_postfix import Postfix
from tests.support.host import ROOT, Host, running_host
from tests.support.ports import free_ports
from tests.support.servers import need

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(180),
    pytest.mark.skipif(os.geteuid() != 0, reason="Postfix needs root"),
]


def doctor(host: Host, postfix: Postfix) -> tuple[int, dict[str, tuple[str, str, str]]]:
    """Exit code, and what is not well: where to level, what, todo."""
    program = [sys.executable, "-m", "mas", "-c", str(host.config_path), "doctor", "--json", "-q"]
    answer = subprocess.run(
        [*program, "--postfix", str(postfix.config)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert answer.stdout, answer.stderr
    found = {item["where"]: (item["level"], item["what"], item["todo"]) for item in json.loads(answer.stdout)}
    return answer.returncode, found


def tree(directory: Path) -> dict[str, tuple[int, int, int]]:
    return {
        str(path): (path.lstat().st_mtime_ns, path.lstat().st_mode, path.lstat().st_uid)
        for path in directory.rglob("*")
    }


@contextmanager
def hosts() -> Iterator[tuple[Host, Postfix]]:
    need("postfix")
    (port,) = free_ports(1)
    settings = (
        f'[metrics]\nlisten = "127.0.0.1:{port}"\n[quota]\nrules = ["*:storage=1G"]\n[sieve]\nsendmail = "/bin/true"\n'
    )
    with running_host(settings=settings) as host, tempfile.TemporaryDirectory(prefix="mas-doctor-") as directory:
        os.chmod(directory, 0o755)
        yield host, Postfix(Path(directory), host.lmtp_path)


def set_up(postfix: Postfix, *settings: str) -> None:
    program = shutil.which("postconf", path="/usr/sbin:/usr/bin") or "postconf"
    subprocess.run([program, "-c", str(postfix.config), "-e", *settings], check=True, timeout=30)


def test_a_host_that_works_and_one_that_does_not() -> None:
    with hosts() as (host, postfix):
        # The socket of this host is root's, and its throw-away certificate ends some day; this machine's limits are its own.
        _, found = doctor(host, postfix)
        ours = {where for where in found if not where.startswith(("fs.inotify", "open files", str(host.directory)))}
        assert ours == {f"lmtp.socket {host.lmtp_path}"}, found
        assert found[f"lmtp.socket {host.lmtp_path}"][2] == 'set user = "postfix" and mode = "0600"'

        set_up(
            postfix,
            "virtual_transport = virtual",
            "message_size_limit = 204857600",
            "smtpd_sasl_auth_enable = yes",
            "smtpd_sasl_type = dovecot",
            "smtpd_sasl_path = private/auth",
        )
        code, found = doctor(host, postfix)
        assert code == 2
        assert found["Postfix virtual_transport"][0] == "error"
        assert found["Postfix message_size_limit"][::2] == ("warn", "postconf -e message_size_limit=104857600")
        assert found["Postfix smtpd_sasl_path"][0] == "error"

        # master.cf's own values count for the service that has them.
        set_up(postfix, "smtpd_sasl_auth_enable = no")
        with (postfix.config / "master.cf").open("a") as master:
            master.write(
                "submission inet n - n - - smtpd\n -o smtpd_sasl_auth_enable=yes\n -o { smtpd_sasl_path = $nowhere }\n"
            )
        set_up(postfix, "nowhere = private/other")
        code, found = doctor(host, postfix)
        assert "Postfix smtpd_sasl_path" not in found
        _, what, todo = found["Postfix submission/inet smtpd_sasl_path"]
        assert what.startswith("Postfix asks for SMTP logins at ")
        assert "private/other, where" in what
        assert todo.startswith("postconf -P submission/inet/smtpd_sasl_path=")

        host.stop()
        before = tree(host.directory)
        (host.directory / "key.pem").chmod(0o644)
        code, found = doctor(host, postfix)
        assert code == 2
        assert found["server"][0] == "warn"
        assert found[str(host.directory / "key.pem")][0] == "error"
        (host.directory / "key.pem").chmod(0o600)
        after = tree(host.directory)
        assert after.keys() == before.keys(), "nothing is made"
        assert {path for path in before if before[path][0] != after[path][0]} == set(), "nothing is written"
