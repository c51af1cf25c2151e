"""``mas demo`` as a user tries it: start, read with curl over TLS, stop; and again."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from mas.config.load import load
from mas.demo import DemoError, _whose
from mas.demo_mail import messages
from tests.support.ports import free_base
from tests.support.servers import need

START_TIMEOUT = 90.0


@pytest.fixture
def directory() -> Iterator[Path]:
    """Where root's demo can go as well, which does not run as root."""
    above = Path(tempfile.mkdtemp(prefix="mas-demo-"))
    above.chmod(0o755)
    yield above / "demo"
    shutil.rmtree(above)


@contextlib.contextmanager
def demo(directory: Path, base: int) -> Iterator[tuple[str, str]]:
    """A running one: (password, all that it printed)."""
    log = directory.parent / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "mas", "demo", "--dir", str(directory), "--port-base", str(base)],
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
        )
    try:
        deadline = time.monotonic() + START_TIMEOUT
        while "Thunderbird" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        printed = log.read_text()
        (password,) = re.findall(r"^ +password +(\S+)$", printed, re.MULTILINE)
        yield password, printed
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.mark.e2e
def test_the_lines_that_it_prints_work(directory: Path) -> None:
    need("curl")
    base = free_base([143, 993, 3190], range(20000, 32000, 7))
    with demo(directory, base) as (password, printed):
        lines = re.findall(r"^ +(curl .*)$", printed, re.MULTILINE)
        assert len(lines) == 3
        said = [
            subprocess.run(["sh", "-c", line], capture_output=True, timeout=60, check=True).stdout for line in lines
        ]
        assert b"\\Junk" in said[0]
        assert said[1] == b"* SEARCH 1 2 3 4 5 6\r\n"  # what newer curls hide of a FETCH they show of a SEARCH
        assert b"Welcome to MAS" in said[2]
        sieve = load(directory / "mas.toml").sieve
        assert sieve.default.startswith(str(directory)), "not of a host that is installed beside it"
    certificate = (directory / "certificate.pem").read_bytes()
    with demo(directory, base) as (again, printed):
        assert again == password
        assert (directory / "certificate.pem").read_bytes() == certificate
        (_, search, _) = re.findall(r"^ +(curl .*)$", printed, re.MULTILINE)
        said_again = subprocess.run(["sh", "-c", search], capture_output=True, timeout=60, check=True).stdout
        assert said_again == said[1], "the messages are delivered once"
    if os.geteuid() == 0:
        assert {path.owner() for path in (directory / "mail").rglob("*")} == {"nobody"}


def test_the_messages_are_what_they_are_meant_to_be() -> None:
    found = [message_from_bytes(octets, policy=default) for _, octets in messages()]
    assert all(message["Date"].datetime and message["Message-ID"] for message in found)
    assert found[1].get_content_type() == "multipart/alternative"
    assert [part.get_filename() for part in found[2].iter_attachments()] == ["pixel.png", "Einkauf für Käthe.txt"]
    assert found[3]["Subject"] == "Grüße aus Köln – 你好"
    assert found[5]["References"].split() == [found[3]["Message-ID"], found[4]["Message-ID"]]
    assert all(octets.replace(b"\r\n", b"").count(b"\n") == 0 for _, octets in messages())


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_root_needs_a_place_that_others_can_enter(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(DemoError, match="only root may enter"):
        _whose(tmp_path / "demo")
    os.chown(tmp_path, 12345, 12346)
    assert _whose(tmp_path / "demo") == (12345, 12346, tmp_path / "demo")
