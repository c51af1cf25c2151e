"""Debian's sieve-connect: every command of its that changes or shows something, over STARTTLS with the certificate checked."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.host import Host, running_host
from tests.support.servers import need

pytestmark = pytest.mark.e2e
KIM = "kim@example.net"
SORTING = 'require "fileinto";\nif header :contains "subject" "x" { fileinto "Junk"; }\n'
BROKEN = 'keep;\nfilinto "x";\nif tru { stop; }\n'
MISTAKES = [
    "line 2: column 1: unknown command 'filinto'; did you mean 'fileinto'?",
    "line 3: column 4: unknown test 'tru'; did you mean 'true'?",
]


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with running_host() as host:
        yield host


class Client:
    """Each call is one run of the program: log in, one command, log out."""

    def __init__(self, host: Host, folder: Path) -> None:
        self.folder = folder
        self._command = [need("sieve-connect"), "--server", "localhost", "--port", str(host.sieve_port), "--user", KIM]
        self._command += ["--tlscafile", str(host.directory / "ca.pem"), "--passwordfd", "0"]

    def __call__(self, *words: str, password: str = "secret") -> tuple[int, str]:
        # The password is what it reads up to the end: with an open end, or asking a terminal that is none, it waits for ever.
        done = subprocess.run(
            [*self._command, *words],
            input=f"{password}\n",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=self.folder,
            start_new_session=True,
        )
        return done.returncode, done.stdout + done.stderr


def test_scripts_come_and_go(host: Host, tmp_path: Path) -> None:
    client = Client(host, tmp_path)
    (tmp_path / "sorting").write_text(SORTING)
    (tmp_path / "broken").write_text(BROKEN)
    assert client("--list") == (0, "")
    assert client("--checkscript", "--localsieve", "sorting") == (0, "")
    assert client("--upload", "--localsieve", "sorting") == (0, "")
    assert client("--upload", "--localsieve", "sorting", "--remotesieve", "an other") == (0, "")
    assert client("--activate", "--remotesieve", "sorting") == (0, "")
    assert client("--list") == (0, '"an other"\n"sorting" ACTIVE\n')
    assert client("--download", "--remotesieve", "an other", "--localsieve", "back") == (0, "")
    assert (tmp_path / "back").read_text() == SORTING

    code, said = client("--upload", "--localsieve", "broken")
    assert code == 1
    assert [line for line in said.splitlines() if "column" in line] == [f"broken: {mistake}" for mistake in MISTAKES]
    code, said = client("--checkscript", "--localsieve", "broken")
    assert code == 1
    assert [line for line in said.splitlines() if "column" in line] == MISTAKES

    code, said = client("--delete", "--remotesieve", "sorting")
    assert (code, "NO (ACTIVE)" in said) == (1, True)
    assert client("--deactivate") == (0, "")
    assert client("--delete", "--remotesieve", "sorting") == (0, "")
    code, said = client("--delete", "--remotesieve", "sorting")
    assert (code, "NO (NONEXISTENT)" in said) == (1, True)
    assert client("--list") == (0, '"an other"\n')


def test_a_script_of_many_records(host: Host, tmp_path: Path) -> None:
    client = Client(host, tmp_path)
    script = "# 0123456789 0123456789 0123456789 ü\n" * 10_000 + "keep;\n"
    (tmp_path / "long").write_text(script)
    assert client("--upload", "--localsieve", "long") == (0, "")
    assert client("--download", "--remotesieve", "long", "--localsieve", "back") == (0, "")
    assert (tmp_path / "back").read_text() == script


def test_commands_in_one_session(host: Host, tmp_path: Path) -> None:
    client = Client(host, tmp_path)
    (tmp_path / "s").write_text(SORTING)
    (tmp_path / "commands").write_text("put s one\nput s two\nactivate two\nlist\ndelete one\nlist\nquit\n")
    code, said = client("--exec", "commands")
    assert code == 0
    assert [line for line in said.splitlines() if "one" in line or "two" in line] == [
        '"one"',
        '"two" ACTIVE',
        '"two" ACTIVE',
    ]


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_mechanisms(host: Host, tmp_path: Path, mechanism: str) -> None:
    client = Client(host, tmp_path)
    assert client("--authmech", mechanism, "--list")[0] == 0
    code, said = client("--authmech", mechanism, "--list", password="wrong")
    assert (code, "Authentication failed." in said) == (255, True)
