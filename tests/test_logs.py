"""One event, one line, no secret; and a failed login as fail2ban's stock filter for Dovecot knows it."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from mas.config import Log
from mas.logs import escape, get_logger, login_failed, login_failed_line, setup
from tests.support.servers import need

Lines = Callable[[], list[str]]


@pytest.fixture
def log_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, Lines]]:
    """A descriptor to log to, and what came out of it."""
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    path = tmp_path / "log"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    yield descriptor, lambda: path.read_text().splitlines()
    os.close(descriptor)
    structlog.reset_defaults()
    logging.captureWarnings(False)
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)


def test_text(log_file: tuple[int, Lines]) -> None:
    descriptor, lines = log_file
    setup(Log(), descriptor)
    log = get_logger("lmtp").bind(session="k3Xw9a")
    log.info("delivered", user="kim@example.net", mailbox="Two words", size=12, left_out=None)
    log.debug("not at this level")
    (line,) = lines()
    time, _, rest = line.partition(" ")
    assert time[10] == "T"
    assert rest == 'info lmtp: delivered session=k3Xw9a user=kim@example.net mailbox="Two words" size=12'


def test_json(log_file: tuple[int, Lines]) -> None:
    descriptor, lines = log_file
    setup(Log(level="debug", format="json"), descriptor)
    get_logger("imap").debug("selected\u2028\n", user="käthe@example.net", address="192.0.2.1")
    (line,) = lines()
    assert line.isascii()
    event = json.loads(line)
    assert event.pop("time")
    assert event == {
        "level": "debug",
        "area": "imap",
        "event": "selected\u2028\n",
        "user": "käthe@example.net",
        "address": "192.0.2.1",
    }


def test_the_journal_gets_priorities_instead_of_times(
    log_file: tuple[int, Lines], monkeypatch: pytest.MonkeyPatch
) -> None:
    descriptor, lines = log_file
    status = os.fstat(descriptor)
    monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
    setup(Log(), descriptor)
    get_logger("auth").warning("database is down")
    get_logger("auth").error("gone", user="x")
    assert lines() == ["<4>auth: database is down", "<3>auth: gone user=x"]
    monkeypatch.setenv("JOURNAL_STREAM", "1:1")
    setup(Log(), descriptor)
    get_logger("auth").info("not the journal")
    assert lines()[-1].endswith(" info auth: not the journal")


@pytest.mark.parametrize("format_", ["text", "json"])
def test_no_secret_is_shown(format_: str, log_file: tuple[int, Lines]) -> None:
    descriptor, lines = log_file
    setup(Log(format=format_), descriptor)  # type: ignore[arg-type]
    get_logger("auth").info("x", password="hunter2", new_password="hunter2", access_token="hunter2", user="kim")
    assert "hunter2" not in lines()[0]
    assert "kim" in lines()[0]


def test_an_exception_is_one_line_without_its_variables(log_file: tuple[int, Lines]) -> None:
    descriptor, lines = log_file
    setup(Log(), descriptor)
    try:
        hidden = "hunter" + "2"
        raise ValueError(len(hidden))
    except ValueError:
        get_logger("imap").exception("failed", session="s")
    (line,) = lines()
    assert 'error imap: failed session=s traceback="Traceback' in line
    assert "\\x0aValueError: 7" in line
    assert "hunter2" not in line


def test_the_standard_librarys_loggers(log_file: tuple[int, Lines]) -> None:
    descriptor, lines = log_file
    setup(Log(), descriptor)
    logging.getLogger("asyncio.events").warning("slow %s", "call")
    logging.getLogger("aiomysql").info("SELECT 1")
    assert len(lines()) == 1
    assert lines()[0].endswith(" warning asyncio: slow call")


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path, log_file: tuple[int, Lines]) -> None:
    descriptor = os.open(tmp_path / "log", os.O_RDONLY | os.O_CREAT)
    setup(Log(), descriptor)
    get_logger("imap").info("lost")
    os.close(descriptor)
    get_logger("imap").info("lost")


NASTY = st.text(
    alphabet=st.sampled_from("a \n\r\x00\x1b\x7f\x85\u2028\u2029\ud800\"'\\=<>,\U000e0001") | st.characters(),
    max_size=20,
)


@given(NASTY)
def test_escape_keeps_one_line_and_says_what_was_there(text: str) -> None:
    escaped = escape(text)
    assert escaped.isprintable()
    assert escaped.encode("ascii", "backslashreplace").decode("unicode_escape") == text


@given(NASTY, NASTY)
def test_a_peer_cannot_forge_a_line_or_a_field(user: str, method: str) -> None:
    line = login_failed_line(
        "imap", user="x" + user, method=method, address="192.0.2.9", local_address="192.0.2.1", session="s", tls=True
    )
    assert line.isprintable()
    assert line.count("rip=") == 1 + user.count("rip=") + method.count("rip=")
    inside = line.partition("user=<")[2].partition(">")
    assert inside[2].startswith(", ")
    assert not set(inside[0]) & set("<> ,\n")


def test_the_line_of_a_failed_login() -> None:
    assert login_failed_line(
        "imap",
        user="kim@example.net",
        method="PLAIN",
        address="192.0.2.9",
        local_address="192.0.2.1",
        session="k3Xw",
        tls=True,
        attempts=1,
        seconds=2.3,
    ) == (
        "imap-login: Info: Disconnected: Connection closed (auth failed, 1 attempts in 2 secs): "
        "user=<kim@example.net>, method=PLAIN, rip=192.0.2.9, lip=192.0.2.1, TLS, session=<k3Xw>"
    )
    sieve = login_failed_line(
        "sieve", user="", method="", address="::1", local_address="::1", session="s", tls=False, attempts=0, seconds=9
    )
    assert sieve == (
        "managesieve-login: Info: Disconnected: Connection closed (no auth attempts in 9 secs): "
        "rip=::1, lip=::1, session=<s>"
    )


def test_every_logger_has_an_area() -> None:
    """One that was made by another name would say "mas"."""
    nameless = re.compile(r"structlog\.get_logger\((?!area=)")
    package = Path(__file__).parent.parent / "mas"
    assert [path.name for path in package.rglob("*.py") if nameless.search(path.read_text())] == []


@pytest.mark.e2e
@pytest.mark.parametrize("prefix", ["", "Nov 22 20:37:19 mx dovecot[711]: "], ids=["stderr", "syslog"])
def test_fail2bans_stock_filter_finds_the_address(
    prefix: str, log_file: tuple[int, Lines], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = need("fail2ban-regex")
    descriptor, lines = log_file
    setup(Log(), descriptor)
    for service, user, address in (
        ("imap", "kim@example.net", "192.0.2.9"),
        ("imap", "kim@example.net>, method=PLAIN, rip=198.51.100.1, x=<", "192.0.2.10"),
        ("sieve", "kim@example.net\nimap-login: x", "2001:db8::9"),
    ):
        login_failed(
            service, user=user, method="PLAIN", address=address, local_address="192.0.2.1", session="a/+", tls=True
        )
    get_logger("imap").info("login", user="kim@example.net", address="192.0.2.77")
    text = lines()
    if prefix:  # what syslog or the journal make of it with the unit's SyslogIdentifier
        text = [prefix + line.partition(" info ")[2] for line in text]
    failures = tmp_path / "failures"
    failures.write_text("\n".join(text) + "\n")
    found = subprocess.run(
        [program, "--usedns=no", "-o", "<ip>", str(failures), "dovecot"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert found.stdout.split() == ["192.0.2.9", "192.0.2.10", "2001:db8::9"]
