"""Roundcube's filter plugin, without its pages: it logs in by STARTTLS, writes its rules, reads them back, marks the lines with mistakes;
and mail goes where its rules say."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.host import ROOT, Host, running_host
from tests.support.servers import need, need_file

pytestmark = pytest.mark.e2e
KIM = "kim@example.net"
CLASSES = "share/roundcube/plugins/managesieve/lib/Roundcube"


def roundcube(host: Host) -> dict[str, Any]:
    need_file("/usr/share/php/Net/Sieve.php")
    classes = need_file(f"/usr/{CLASSES}", ROOT / ".venv" / CLASSES)
    driver = Path(__file__).with_name("roundcube.php")
    arguments = [str(classes), str(host.sieve_port), str(host.directory / "ca.pem"), KIM, host.users[KIM]]
    done = subprocess.run(
        [need("php"), str(driver), *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def deliver(host: Host, number: int, header: str, body: str) -> None:
    head = f"From: pat@example.org\r\nTo: {KIM}\r\nSubject: {number}\r\nMessage-ID: <{number}@example.org>\r\n{header}"
    host.deliver(KIM, f"{head}\r\n{body}\r\n".encode(), "")


def count(host: Host, mailbox: str, *criteria: str) -> int:
    client = host.imap(KIM)
    client.select(mailbox, readonly=True)
    found: list[bytes] = client.search(None, *criteria or ("ALL",))[1][0].split()
    client.logout()
    return len(found)


def test_rules_are_written_read_and_followed() -> None:
    with running_host(settings='[lmtp]\nmailbox_autocreate = true\n[sieve]\nsubmission = "smtp://127.0.0.1:1"') as host:
        said = roundcube(host)
        text = said.pop("text")
        assert {"fileinto", "vacation", "imap4flags", "regex"} <= set(said.pop("extensions"))
        assert said == {
            "wrong password": 2,
            "connected": False,
            "scripts at first": [],
            "broken": False,
            "broken lines": ["2", "4"],
            "quotes": True,
            "copied": True,
            # Net_Sieve takes the line end behind the literal for a part of it, and so each copy gains one.
            "read": '/* "x" */\r\nkeep;\r\n\r\n\r\n',
            "saved": True,
            "activated": True,
            "active": "roundcube",
            "loaded": True,
            "names of rules": ["lists", "copies", "away", "off", "rest"],
            "scripts": ['"Größe" \\ 1', "copy", "roundcube"],
            "removed": True,
            "removed twice": False,
            "scripts in the end": ['"Größe" \\ 1', "roundcube"],
        }, text
        deliver(host, 1, "List-Id: <dev.example.org>\r\n", "x")
        deliver(host, 2, "", "x")
        deliver(host, 3, "", "x" * 2000)
        assert count(host, "Lists") == 1
        assert count(host, "Pat") == 1
        assert count(host, "INBOX", "KEYWORD", "pat", "FLAGGED") == 1
        assert count(host, "INBOX") == 2
