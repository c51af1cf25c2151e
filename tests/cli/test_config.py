"""``mas config``, as a program: what it prints, and what it exits with."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from mas.cli import take_config
from mas.config import loads
from tests.cli.program import run, run_program

FILE = """
[tls]
cert = "cert.pem"
key = "key.pem"
[imap]
max_line = 131072
idle_timeout = 5400
[[passdb]]
url = "mysql://mailuser:hunter2@127.0.0.1/mail"
[[userdb]]
home = "/var/vmail/%d/%n"
[rspamd]
password = "hunter2"
[[mailbox]]
name = "Spam"
special_use = '\\Junk'
autoexpunge = "90d"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).touch()
    path = tmp_path / "mas.toml"
    path.write_text(FILE)
    return path


def test_what_differs_is_shown_without_secrets(file: Path) -> None:
    done = run("-c", str(file), "config")
    assert done.returncode == 0, done.stderr
    assert tomllib.loads(done.stdout) == {
        "tls": {"cert": str(file.parent / "cert.pem"), "key": str(file.parent / "key.pem")},
        "imap": {"max_line": "128K", "idle_timeout": "90m"},
        "passdb": [{"url": "mysql+aiomysql://mailuser:(hidden)@127.0.0.1/mail"}],
        "userdb": [{"home": "/var/vmail/%d/%n"}],
        "mailbox": [{"name": "Spam", "special_use": "\\Junk", "autoexpunge": "90d"}],
        "rspamd": {"password": "(hidden)"},
    }


def test_all_loads_again_as_the_same(file: Path) -> None:
    file.write_text(FILE.replace("mailuser:hunter2@", "").replace('password = "hunter2"', ""))
    done = run("config", "--all", "-c", str(file))
    assert done.returncode == 0, done.stderr
    assert loads(done.stdout, file) == loads(file.read_text(), file)


def test_json(file: Path) -> None:
    done = run("config", "--json", config=str(file))
    shown = json.loads(done.stdout)
    assert shown["imap"] == {"max_line": 131072, "idle_timeout": 5400.0}
    assert "hunter2" not in done.stdout
    assert json.loads(run("config", "--json", "--all", config=str(file)).stdout)["imap"]["port"] == 143


def test_check_names_every_mistake_and_exits_1(file: Path) -> None:
    assert run("config", "--check", config=str(file)).returncode == 0
    file.write_text("hostnam = 'x'\n[imap]\nprot = 143\n")
    done = run("config", "--check", config=str(file))
    assert done.returncode == 1
    assert [line.removeprefix(f"{file}:").partition(" ")[2].partition(":")[0] for line in done.stderr.splitlines()] == [
        "hostnam",
        "imap.prot",
        "passdb",
        "tls.cert",
        "tls.key",
        "userdb",
    ]
    as_json = json.loads(run("config", "--check", "--json", config=str(file)).stdout)
    assert len(as_json["problems"]) == 6


def test_a_wrong_file_is_78_for_other_commands(file: Path) -> None:
    file.write_text("[imap\n")
    done = run("config", config=str(file))
    assert done.returncode == 78
    assert done.stderr.startswith(f"{file}:1:")
    assert run("config", "-c").returncode == 2
    assert run("confug").returncode == 2
    assert run_program("config", config=str(file)).returncode == 78


@pytest.mark.parametrize(
    ("arguments", "path", "rest"),
    [
        ([], "/env.toml", []),
        (["-c", "a", "who"], "a", ["who"]),
        (["who", "-ca", "--json"], "a", ["who", "--json"]),
        (["who", "--config=a"], "a", ["who"]),
        (["--config", "a"], "a", []),
        (["x", "--", "-c", "a"], "/env.toml", ["x", "--", "-c", "a"]),
    ],
)
def test_the_file_may_be_named_anywhere(
    arguments: list[str], path: str, rest: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAS_CONFIG", "/env.toml")
    assert take_config(arguments) == (Path(path), rest)
    monkeypatch.delenv("MAS_CONFIG")
    assert take_config([]) == (Path("/etc/mas/mas.toml"), [])
