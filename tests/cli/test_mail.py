"""``mas mailbox``, ``quota``, ``expire``, ``deliver``, ``who`` and ``kick`` on a Maildir, as programs: root becomes the mail's owner."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.program import configure, run, run_forked, run_program

pytestmark = pytest.mark.e2e
KIM = "kim@example.net"


@pytest.fixture
def config() -> Iterator[Path]:
    """Where an unprivileged user can get at it, which pytest's own directories are not for root's."""
    directory = Path(tempfile.mkdtemp(prefix="mas-test-"))
    path = configure(
        directory,
        '[mail]\nuid = "nobody"\ngid = "nogroup"\n[quota]\nrules = ["*:storage=1G:messages=10"]\n'
        '[[mailbox]]\nname = "Trash"\nauto = "create"\nautoexpunge_max_mails = 9\n',
    )
    path.chmod(0o644)
    added = run("user", "add", KIM, "--create-table", "-s", "SSHA512", config=path, stdin="secret\n")
    assert added.returncode == 0, added.stderr
    for each in (directory, directory / "accounts.sqlite"):
        each.chmod(0o777)
    yield path
    shutil.rmtree(directory)


def ok(config: Path, *arguments: str, stdin: str = "") -> str:
    done = run_forked(*arguments, config=config, stdin=stdin)
    assert done.returncode == 0, done.stderr
    return done.stdout


def as_json(config: Path, *arguments: str) -> Any:
    return json.loads(ok(config, *arguments, "--json"))


def test_mailboxes_and_what_is_in_them(config: Path) -> None:
    ok(config, "mailbox", "create", KIM, "Käse.Alt", "--subscribe")
    ok(config, "mailbox", "rename", KIM, "Käse.Alt", "Käse.Neu")
    found = {info["name"]: info for info in as_json(config, "mailbox", "list", KIM)}
    assert {"INBOX", "Trash", "Käse.Neu"} <= set(found)
    for subject in "one", "two", "three":
        ok(config, "deliver", "-d", KIM, "-m", "Trash", stdin=f"Subject: {subject}\n\nx\n")
    ok(config, "deliver", "-d", KIM, "-f", "lee@example.org", stdin="Subject: hello\n\nx\n")
    (trash,) = as_json(config, "mailbox", "status", KIM, "Trash")
    assert (trash["messages"], trash["uid_next"]) == (3, 4)
    (quota,) = as_json(config, "quota", "get", KIM)
    assert (quota["root"], quota["messages"], quota["octets_limit"]) == ("User quota", 4, 1 << 30)
    assert as_json(config, "quota", "recalc", KIM) == [quota]
    assert as_json(config, "index", "verify", KIM) == []
    assert as_json(config, "index", "rebuild", KIM) == {"messages": 4}
    assert as_json(config, "index", "verify", KIM) == []
    (after,) = as_json(config, "mailbox", "status", KIM, "Trash")
    assert (after["messages"], after["uid_next"], after["uid_validity"]) == (3, 4, trash["uid_validity"])
    assert as_json(config, "quota", "get", KIM) == [quota]
    config.write_text(config.read_text().replace("autoexpunge_max_mails = 9", "autoexpunge_max_mails = 1"))
    assert as_json(config, "expire") == {KIM: 2}
    assert ok(config, "expire", KIM) == "0 messages of 0 users\n"
    inbox = next(line for line in ok(config, "mailbox", "status", KIM).splitlines() if line.startswith("INBOX"))
    assert inbox.split()[1:3] == ["1", "1"]
    if os.geteuid() == 0:
        owners = {path.owner() for path in (config.parent / "mail").rglob("*")}
        assert owners == {"nobody"}
    done = run_forked("mailbox", "delete", KIM, "Nothing", config=config)
    assert (done.returncode, done.stderr) == (1, "mas: mailbox not found: Nothing\n")
    assert run_forked("mailbox", "list", "nobody@example.net", config=config).returncode == 1


def test_delivery_fails_with_the_codes_of_sysexits(config: Path) -> None:
    for arguments, code in (
        (["-d", "nobody@example.net"], 67),
        (["--nonsense"], 64),
        (["-d", KIM, "-a", "<<"], 64),
    ):
        assert run_forked("deliver", *arguments, config=config, stdin="Subject: x\n\nx\n").returncode == code, arguments
    config.write_text("nonsense")
    assert run_forked("deliver", "-d", KIM, config=config, stdin="Subject: x\n\nx\n").returncode == 75


def test_nobody_is_there_without_a_server(config: Path) -> None:
    done = run_program("who", "--json", config=config)  # the program as it is installed
    assert (done.returncode, done.stdout) == (0, "[]\n")
    done = run("kick", KIM, config=config)
    assert (done.returncode, done.stderr) == (1, f"mas: no session: {KIM}\n")


def test_scripts_of_a_user(config: Path) -> None:
    broken = run_forked("sieve", "put", KIM, "away", config=config, stdin="keep\n")
    assert (broken.returncode, broken.stderr) == (
        1,
        "-:2:1: expected ';' or a block after 'keep', found end of script\n",
    )
    ok(config, "sieve", "put", KIM, "lists", stdin="keep;\n")
    ok(config, "sieve", "put", KIM, "away", "--activate", stdin="discard;\n")
    assert as_json(config, "sieve", "list", KIM) == [
        {"name": "away", "active": True},
        {"name": "lists", "active": False},
    ]
    assert ok(config, "sieve", "get", KIM, "lists") == "keep;\n"
    ok(config, "deliver", "-d", KIM, stdin="Subject: gone\n\nx\n")
    assert run_forked("sieve", "delete", KIM, "away", config=config).returncode == 1
    ok(config, "sieve", "activate", KIM, "lists")
    ok(config, "sieve", "delete", KIM, "away")
    ok(config, "sieve", "activate", KIM, "")
    assert as_json(config, "sieve", "list", KIM) == [{"name": "lists", "active": False}]
    assert run_forked("sieve", "get", KIM, "nothing", config=config).returncode == 1
    assert next(iter(as_json(config, "mailbox", "status", KIM, "INBOX")))["messages"] == 0


def test_a_deleted_account_counts_no_more_for_a_shared_quota(config: Path) -> None:
    with config.open("a") as file:
        file.write('[[quota.root]]\nname = "Domain"\nscope = "%d"\nrules = ["*:storage=1M"]\n')
    ok(config, "user", "add", "lee@example.net", "-s", "SSHA512", stdin="secret\n")
    for name in (KIM, "lee@example.net"):
        ok(config, "deliver", "-d", name, stdin="Subject: a\n\nHello.\n")

    def domain() -> int:
        shown = as_json(config, "quota", "get", "lee@example.net")
        return next(int(root["messages"]) for root in shown if root["root"] == "Domain")

    assert domain() == 2
    ok(config, "user", "delete", KIM)
    assert domain() == 1
