"""One id leads through the log: from the Message-ID in the LMTP line over the Sieve decision to the mailbox and the uid; and from a
login to the end of its session."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from typing import Any

import pytest

from tests.support.builders import message
from tests.support.host import ROOT, Host, running_host

pytestmark = pytest.mark.e2e
KIM = "kim@example.net"
SCRIPT = b'require ["fileinto", "mailbox", "copy"];\nfileinto :copy :create "Lists";\nkeep;\n'


def activate(host: Host, script: bytes) -> None:
    subprocess.run(
        [sys.executable, "-m", "mas", "-c", str(host.config_path), "sieve", "put", "--activate", KIM, "one", "-"],
        input=script,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        timeout=60,
    )


def wait_log(host: Host, pattern: str) -> list[str]:
    """The lines of the log, once one of them matches."""
    deadline = time.monotonic() + 30
    while not re.search(pattern, host.log()):
        assert time.monotonic() < deadline, host.log()
        time.sleep(0.02)
    return host.log().splitlines()


def read_mail(host: Host) -> None:
    client = host.imap(KIM)
    client.xatom("ID", '("name" "Reader" "version" "7")')
    client.select()
    client.logout()


def test_json() -> None:
    with running_host(settings='[log]\nformat = "json"') as host:
        activate(host, SCRIPT)
        host.deliver(KIM, message(1))
        host.deliver(KIM, message(2))
        read_mail(host)
        lines: list[dict[str, Any]] = [json.loads(line) for line in wait_log(host, '"reason": "logged out", "user"')]
    received = [line for line in lines if line["event"] == "message received"]
    assert len(received) == 2
    sessions = set()
    for number, first in enumerate(received, 1):
        session = first["session"]
        sessions.add(session)
        assert (first["area"], first["sender"], first["recipients"]) == ("lmtp", "robin@example.org", 1)
        about = [line for line in lines if line.get("session") == session]
        assert [line["area"] for line in about] == ["lmtp", "sieve", f"lmtp({KIM})", f"lmtp({KIM})"]
        assert about[1]["actions"] == "fileinto Lists; keep"
        assert {(line["mailbox"], line["uid"]) for line in about[2:]} == {("INBOX", number), ("Lists", number)}
        assert all(first["message_id"] in line["event"] for line in about[2:])
        connection = session.rpartition(".")[0]
        (end,) = [line for line in lines if line.get("session") == connection]
        assert (end["event"], end["messages"], end["reason"]) == ("disconnected", 1, "logged out")
        assert end["received"] > first["size"] / 2
        assert end["sent"] > 0
    assert len(sessions) == 2
    (login,) = [line for line in lines if line["event"] == "login"]
    about = [line for line in lines if line.get("session") == login["session"]]
    assert [line["event"] for line in about] == ["login", "disconnected"]
    assert (about[1]["user"], about[1]["client"]) == (KIM, "Reader 7")
    assert about[1]["received"] > 0


def test_text() -> None:
    with running_host() as host:
        activate(host, SCRIPT)
        host.deliver(KIM, message(1))
        read_mail(host)
        lines = wait_log(host, 'imap: disconnected reason="logged out"')
    (received,) = [line for line in lines if " lmtp: message received " in line]
    found = re.search(r"message_id=(\S+) session=(\S+)", received)
    assert found
    message_id, session = found[1].strip('"'), found[2]
    rest = [line for line in lines if f"session={session} " in f"{line} "][1:]
    assert 'sieve: decided actions="fileinto Lists; keep"' in rest[0]
    assert all(f"msgid={message_id}: saved mail to " in line for line in rest[1:])
    assert {tuple(re.findall(r"mailbox=(\S+) uid=(\d+)", line)[0]) for line in rest[1:]} == {
        ("INBOX", "1"),
        ("Lists", "1"),
    }
