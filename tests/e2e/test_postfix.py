"""Debian's Postfix delivers through the socket, and loses nothing whatever happens to the server.

A private instance: its own configuration, queue and data directories, no chroot, nothing listens on the network, mail goes in through
sendmail(1). Needs root, as Postfix does.
"""

from __future__ import annotations

import collections
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.host import Host, running_host
from tests.support.servers import need

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(300),
    pytest.mark.skipif(os.geteuid() != 0, reason="Postfix needs root"),
]
KIM, LEE = "kim@example.net", "lee@example.net"
USERS = {KIM: "x", LEE: "x"}
BACKLOG = 40
"""Messages that wait in the queue, so that there is load and the machine can still start a server."""

MASTER = """\
pickup    unix  n - n 1    1 pickup
cleanup   unix  n - n -    0 cleanup
qmgr      unix  n - n 1    1 qmgr
rewrite   unix  - - n -    - trivial-rewrite
bounce    unix  - - n -    0 bounce
defer     unix  - - n -    0 bounce
trace     unix  - - n -    0 bounce
flush     unix  n - n 1000 0 flush
proxymap  unix  - - n -    - proxymap
showq     unix  n - n -    - showq
error     unix  - - n -    - error
retry     unix  - - n -    - error
discard   unix  - - n -    - discard
lmtp      unix  - - n -    - lmtp
anvil     unix  - - n -    1 anvil
scache    unix  - - n -    1 scache
postlog   unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """One private instance."""

    def __init__(self, directory: Path, socket: Path) -> None:
        self.directory = directory
        self.config = directory / "etc"
        self.log_path = directory / "log" / "postfix.log"
        for name in ("etc", "queue", "data", "log"):
            (directory / name).mkdir()
        shutil.chown(directory / "data", "postfix", "root")
        (self.config / "master.cf").write_text(MASTER)
        settings = {
            "compatibility_level": "3.6",
            "queue_directory": directory / "queue",
            "data_directory": directory / "data",
            "maillog_file": self.log_path,
            "maillog_file_prefixes": directory,
            "syslog_name": "postfix-test",
            "myhostname": "mta.example.net",
            "mydestination": "",
            "inet_interfaces": "loopback-only",
            "default_transport": "error:nothing leaves this test",
            "virtual_mailbox_domains": "example.net",
            "virtual_transport": f"lmtp:unix:{socket}",
            "recipient_delimiter": "+",
            "alias_maps": "",
            "local_recipient_maps": "",
            "minimal_backoff_time": "1s",
            "maximal_backoff_time": "2s",
            "queue_run_delay": "1s",
            "lmtp_destination_concurrency_failed_cohort_limit": "1000000",
            "lmtp_destination_recipient_limit": "50",
            "transport_retry_time": "1s",
            "bounce_size_limit": "1000",
            "lmtp_connect_timeout": "5s",
        }
        (self.config / "main.cf").write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "MAIL_CONFIG": str(self.config)}
        return subprocess.run(words, capture_output=True, text=True, timeout=60, env=environment)

    def start(self) -> None:
        done = self.run("postfix", "-c", str(self.config), "start")
        assert done.returncode == 0, done.stdout + done.stderr + self.log()

    def stop(self) -> None:
        self.run("postfix", "-c", str(self.config), "stop")

    def send(self, number: str, *recipients: str, text: str = "hello") -> None:
        message = f"From: robin@example.net\nTo: kim@example.net\nSubject: {number}\nMessage-ID: <{number}@example.org>\n\n{text}\n"
        done = subprocess.run(
            ["/usr/sbin/sendmail", "-C", str(self.config), "-i", "-f", LEE, *recipients],
            input=message,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr

    def flush(self) -> None:
        self.run("postqueue", "-c", str(self.config), "-f")

    def queued(self) -> int:
        return sum(
            len(files)
            for part in ("maildrop", "incoming", "active", "deferred")
            for _, _, files in os.walk(self.directory / "queue" / part)
        )

    def wait_empty(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self.queued():
            assert time.monotonic() < deadline, f"{self.queued()} messages are left\n{self.log()[-4000:]}"
            self.flush()
            time.sleep(0.3)

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""


@contextmanager
def postfix(socket: Path) -> Iterator[Postfix]:
    need("postfix")
    # Postfix wants directories that nobody else can change all the way up: not pytest's.
    with tempfile.TemporaryDirectory(prefix="mas-postfix-", dir="/var/tmp") as name:
        directory = Path(name)
        directory.chmod(0o755)
        instance = Postfix(directory, socket)
        instance.start()
        try:
            yield instance
        finally:
            instance.stop()


def message_ids(host: Host, user: str) -> collections.Counter[str]:
    found: collections.Counter[str] = collections.Counter()
    for octets in host.messages(user):
        match = re.search(rb"^Message-ID: <([^@>]+)@example\.org>", octets, re.MULTILINE | re.IGNORECASE)
        assert match, octets
        found[match[1].decode()] += 1
    return found


def test_delivery_and_bounces() -> None:
    """Delivered, unknown user and over quota: what Postfix makes of each reply."""
    settings = '[quota]\nrules = ["*:bytes=20000"]\ngrace = "0"\n[lmtp]\nrcpt_check_quota = false\n'
    with running_host(USERS, settings=settings, lmtp_mode="0666") as host, postfix(host.lmtp_path) as mta:
        mta.send("one", KIM, "lee+detail@example.net")
        mta.wait_empty(60)
        for user in (KIM, LEE):
            assert message_ids(host, user) == {"one": 1}
        mta.send("unknown", "nobody@example.net")
        mta.send("large", KIM, text=("x" * 70 + "\n") * 400)
        mta.wait_empty(60)
        bounces = [octets for octets in host.messages(LEE) if b"multipart/report" in octets]
        assert len(bounces) == 2
        statuses = sorted(re.findall(rb"^Status: (\S+)", b"\n".join(bounces), re.MULTILINE))
        assert [status.strip() for status in statuses] == [b"5.1.1", b"5.2.2"]
        assert message_ids(host, KIM) == {"one": 1}
        headers = host.messages(LEE)[0].replace(b"\r\n", b"\n")
        assert b"Return-Path: <lee@example.net>" in headers


KILLS = 15
"""Two of three hit the whole server, the third all of its workers."""


@pytest.mark.timeout(600)
def test_nothing_is_lost_when_the_server_is_killed() -> None:
    """SIGKILL under load, ten times to the whole server: every message that Postfix took arrives at least once."""
    with running_host(USERS, lmtp_mode="0666") as host, postfix(host.lmtp_path) as mta:
        stop = threading.Event()
        sent: list[str] = []
        failed: list[BaseException] = []

        def load() -> None:
            number = 0
            try:
                while not stop.is_set():
                    if mta.queued() > BACKLOG:
                        time.sleep(0.02)
                        continue
                    name = f"load{number}"
                    mta.send(name, KIM, LEE, text="y" * (number % 7) * 3000)
                    sent.append(name)
                    number += 1
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=load)
        thread.start()
        try:
            for turn in range(KILLS):
                # Killed at ever other moments: after some more deliveries have begun.
                seen, deadline = len(host.messages(KIM)), time.monotonic() + 20
                while len(host.messages(KIM)) < seen + (turn % 4) * 7 + 1 and time.monotonic() < deadline:
                    time.sleep(0.003 * (turn + 1))
                if turn % 3 == 2:
                    host.crash_workers()  # the supervisor replaces them
                else:
                    host.crash()
                    host.start()
        finally:
            stop.set()
            thread.join(120)
        assert failed == []
        mta.wait_empty(120)
        for user in (KIM, LEE):
            counts = message_ids(host, user)
            assert set(counts) == set(sent), f"{len(set(sent) - set(counts))} of {len(sent)} are lost"
        # Twice is allowed after a kill between commit and reply; it stays the exception.
        twice = sum(count - 1 for count in message_ids(host, KIM).values())
        assert twice <= KILLS * 20, twice
        print(f"{len(sent)} messages, {twice} delivered twice")
