"""``mas user``, ``mas pw`` and ``mas auth test`` on an SQLite database."""

from __future__ import annotations

import contextlib
import json
import socket
import sqlite3
from pathlib import Path

import pytest

from tests.cli.program import configure, run, run_program

FAST = ("--scheme", "SSHA512")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return configure(tmp_path)


def add(config: Path, name: str, password: str = "secret", *more: str) -> None:
    done = run("user", "add", name, "--create-table", *FAST, *more, config=config, stdin=password + "\n")
    assert done.returncode == 0, done.stderr


def test_an_account_from_its_birth_to_its_end(config: Path) -> None:
    add(config, "kim@example.net", "secret", "--quota", "*:storage=1G")
    add(config, "lee@example.org")
    shown = run("user", "list", config=config).stdout.splitlines()
    assert shown[0].split() == ["NAME", "SCHEME", "QUOTA_RULE", "NOLOGIN", "REASON", "CREATED"]
    assert shown[1].split()[:3] == ["kim@example.net", "SSHA512", "*:storage=1G"]
    assert [
        user["name"] for user in json.loads(run("user", "list", "example.org", "--json", config=config).stdout)
    ] == ["lee@example.org"]
    info = json.loads(run("user", "info", "kim@example.net", "--json", config=config).stdout)
    assert info["home"] == f"{config.parent}/mail/example.net/kim"
    assert info["mail"].startswith("maildir:")

    assert run("user", "passwd", "kim@example.net", *FAST, config=config, stdin="other\n").returncode == 0
    assert run("auth", "test", "kim@example.net", config=config, stdin="secret\n").returncode == 1
    assert run("auth", "test", "KIM@example.net", config=config, stdin="other\n").returncode == 0

    assert run("user", "change", "kim@example.net", "--no-login", "--reason", "unpaid", config=config).returncode == 0
    refused = run("auth", "test", "kim@example.net", config=config, stdin="other\n")
    assert "unpaid" in refused.stdout
    assert refused.returncode == 1
    assert run("user", "change", "kim@example.net", "--login", config=config).returncode == 0
    assert run("auth", "test", "kim@example.net", config=config, stdin="other\n").returncode == 0

    assert run("user", "delete", "kim@example.net", config=config).returncode == 0
    gone = run("user", "info", "kim@example.net", config=config)
    assert (gone.returncode, gone.stderr) == (1, "mas: user unknown: kim@example.net\n")


def test_a_running_server_is_told_to_forget_an_account_that_changed(config: Path) -> None:
    assert run("auth", "flush", config=config).returncode == 1  # nobody runs
    add(config, "kim@example.net")
    workers = config.parent / "run" / "workers"
    workers.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as worker:
        worker.bind(str(workers / "1.1.sock"))
        worker.settimeout(20)
        for arguments, stdin in (
            (("passwd", *FAST), "other\n"),
            (("change", "--no-login"), ""),
            (("delete",), ""),
        ):
            command, *more = arguments
            assert run("user", command, "kim@example.net", *more, config=config, stdin=stdin).returncode == 0
            assert worker.recv(100) == b"flush kim@example.net"
        assert run("auth", "flush", config=config).returncode == 0
        assert worker.recv(100) == b"flush "


def test_a_random_password_works(config: Path) -> None:
    done = run("user", "add", "kim@example.net", "--create-table", "--random", *FAST, config=config)
    assert run("auth", "test", "kim@example.net", config=config, stdin=done.stdout).returncode == 0


def test_scram_is_written_with_the_iterations_that_strangers_are_shown(config: Path) -> None:
    text = config.read_text()
    config.write_text(text.replace("[auth]\n", "[auth]\nscram_iterations = 5000\n"))
    assert "scram_iterations" in config.read_text()
    scheme = ("--scheme", "SCRAM-SHA-256")
    done = run("user", "add", "kim@example.net", "--create-table", *scheme, config=config, stdin="secret\n")
    assert done.returncode == 0, done.stderr
    with contextlib.closing(sqlite3.connect(config.parent / "accounts.sqlite")) as database:
        (stored,) = database.execute("SELECT password FROM users").fetchone()
    assert stored.startswith("{SCRAM-SHA-256}5000,")
    assert run("auth", "test", "kim@example.net", config=config, stdin="secret\n").returncode == 0
    printed = run("pw", *scheme, "--iterations", "6000", stdin="secret\n").stdout
    assert printed.startswith("{SCRAM-SHA-256}6000,")
    assert run("pw", "--test", printed.strip(), stdin="secret\n").returncode == 0


def test_what_cannot_be_added(config: Path) -> None:
    add(config, "kim@example.net")
    for arguments, code, said in (
        (["kim@example.net"], 1, "account exists: kim@example.net"),
        (["kim"], 1, "bad account name"),
        (["../x@example.net"], 1, "bad account name"),
        (["lee@example.net", "--quota", "nonsense"], 2, "expected"),
        (["lee@example.net", "--scheme", "NONSENSE"], 1, "unknown password scheme"),
    ):
        done = run("user", "add", *FAST, *arguments, config=config, stdin="secret\n")
        assert (done.returncode, said in done.stderr) == (code, True), (arguments, done.stderr)
    assert run("user", "add", "lee@example.net", config=config, stdin="").returncode == 1


def test_a_database_that_is_not_there_is_a_temporary_failure(config: Path) -> None:
    assert run("user", "list", config=config).returncode == 75
    done = run_program("auth", "test", "kim@example.net", "--json", config=config, stdin="x\n")
    assert done.returncode == 75
    assert "temporary failure" in json.loads(done.stdout)["steps"][-2]
    assert "database unavailable" in done.stderr


def test_the_steps_of_a_login(config: Path) -> None:
    add(config, "kim@example.net")
    done = run("auth", "test", "kim@example.net", "--json", config=config, stdin="secret\n")
    told = json.loads(done.stdout)
    assert told["works"]
    assert told["steps"][-1] == "OK: kim@example.net"
    assert "secret" not in done.stdout
    assert run("auth", "test", "kim@example.net", "--lookup", config=config).returncode == 0
    assert run("auth", "test", "nobody@example.net", "--lookup", config=config).returncode == 1


def test_pw() -> None:
    for scheme in ("SHA512-CRYPT", "SSHA512.HEX", "PLAIN"):
        hashed = run("pw", "-s", scheme, stdin="secret\n").stdout.strip()
        assert hashed.startswith(f"{{{scheme}}}")
        assert run("pw", "-t", hashed, stdin="secret\n").returncode == 0
        assert run("pw", "-t", hashed, stdin="wrong\n").returncode == 1
    assert "ARGON2ID" in run("pw", "--list").stdout.split()
    assert run("pw", stdin="\n").returncode == 1
