"""``mas sieve``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mas.cli import main
from tests.cli.program import configure

MAIL = "From: kim@example.org\nSubject: news\n\nhello\n"
SCRIPT = 'require ["fileinto", "body"];\nif header :is "subject" "old" { stop; }\nif body :contains "hello" { fileinto "News"; }\n'


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    return int(end.value.code or 0) if not isinstance(end.value.code, str) else 1


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    (tmp_path / "s.sieve").write_text(SCRIPT)
    (tmp_path / "mail").write_text(MAIL)
    return str(tmp_path / "s.sieve"), str(tmp_path / "mail")


def test_check_names_every_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "bad.sieve"
    script.write_text("keep\nfoo;\nif true { bar; }\n")
    assert run("sieve", "check", str(script)) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"{script}:2:1: keep takes no test: is a ';' missing before 'foo'?",
        f"{script}:3:11: unknown command 'bar'",
    ]


def test_check_of_a_good_script(files: tuple[str, str]) -> None:
    assert run("sieve", "check", files[0]) == 0


def test_dry_run_with_its_reasons(files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("sieve", "test", *files, "--trace") == 0
    assert capsys.readouterr().out.splitlines() == [
        "s:2: header subject: false, 'news' does not match (:is)",
        "s:3: body :text: true, 'hello\\r\\n' matches (:contains)",
        "s:3: action FileInto(mailbox='News', flags=None, create=False, special_use='', mailbox_id='')",
        "fileinto (mailbox: News)",
    ]


def test_dry_run_for_programs(files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("sieve", "test", *files, "--json") == 0
    assert json.loads(capsys.readouterr().out)["actions"] == ["fileinto (mailbox: News)"]


def test_dry_run_within_the_limits_of_the_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = str(configure(tmp_path, "[mail]\nmime_max_parts = 2\n[sieve]\nmax_actions = 1\n"))
    (tmp_path / "mail").write_text(
        'Content-Type: multipart/mixed; boundary="b"\n\n--b\n\none\n--b\nContent-Type: text/html\n\ntwo\n--b--\n'
    )
    script = tmp_path / "s.sieve"
    script.write_text('require ["body", "fileinto"];\nif body :content "text/html" :contains "two" { discard; }\n')
    files = (str(script), str(tmp_path / "mail"))
    assert run("sieve", "test", *files) == 0
    assert run("-c", config, "sieve", "test", *files) == 0
    assert capsys.readouterr().out.splitlines() == ["discard", "keep in INBOX"]
    script.write_text('require "fileinto";\nfileinto "a";\nfileinto "b";\n')
    assert run("-c", config, "sieve", "test", *files) == 1
    assert "line 3: more than 1 actions" in capsys.readouterr().out
