"""SIGKILL of any process at any time: a host under deliveries, IMAP sessions, Sieve actions and password checks loses a worker, its
supervisor, or all of them, again and again. Nobody mends anything; a supervisor that is gone is started anew, as systemd would. Afterwards
no acknowledged mail is missing, none is there more often than it was sent, no uid means two messages, flags that were acknowledged are set,
index, counters and Maildir agree, what scripts sent has arrived, and every service answers.
"""

from __future__ import annotations

import collections
import contextlib
import email
import http.client
import imaplib
import json
import os
import random
import re
import smtplib
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sievelib.managesieve import Client as SieveClient

from tests.e2e.test_auth_socket import Client as AuthClient
from tests.e2e.test_auth_socket import plain
from tests.e2e.test_lmtp import send
from tests.e2e.test_outgoing import Sink, listening, waiting
from tests.support.builders import message
from tests.support.host import ROOT, Host, running_host
from tests.support.ports import free_ports

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
KIM, LEE = "kim@example.net", "lee@example.net"
USERS = {KIM: "secret", LEE: "secret"}
LINE = "x" * 60 + "\n"
BOXES = ("INBOX", "a", "b")
KILLS = ("worker",) * 7 + ("workers",) * 2 + ("supervisor",)
SCRIPT = """
require ["fileinto", "copy", "mailbox"];
if header :contains "subject" "file" { fileinto :create "Filed"; }
elsif header :contains "subject" "forward" { redirect :copy "pat@example.org"; }
"""
LOST = (OSError, EOFError, smtplib.SMTPException, imaplib.IMAP4.error)
"""What clients of a server that is being killed see."""


class Ledger:
    """What the clients know together. Names of messages are ``<kind>-<number>``."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.stop = False
        self.acknowledged = 0
        self.saved: dict[str, set[str]] = {KIM: set(), LEE: set()}
        self.tries: dict[str, collections.Counter[str]] = {user: collections.Counter() for user in USERS}
        self.expunged: set[str] = set()
        self.flagged: set[tuple[str, int]] = set()
        self.meaning: dict[tuple[str, int], str] = {}
        self._numbers = iter(range(1, 1_000_000))

    def name(self, kind: str) -> str:
        with self.changed:
            return f"{kind}-{next(self._numbers)}"

    def acknowledge(self, kept: set[Any] | None = None, what: object = None) -> None:
        """Something was answered with yes: ``what`` is ``kept``."""
        with self.changed:
            if kept is not None:
                kept.add(what)
            self.acknowledged += 1
            self.changed.notify_all()

    def see(self, validity: str, uid: int, name: str) -> None:
        with self.changed:
            assert self.meaning.setdefault((validity, uid), name) == name, f"uid {uid} means two messages"

    def wait_more(self, count: int) -> None:
        with self.changed:
            wanted = self.acknowledged + count
            assert self.changed.wait_for(lambda: self.acknowledged >= wanted, 60), "nobody is answered any more"


class Mta:
    """Delivers as Postfix does: again and again until it has a 250 for each recipient, which it may get twice what it did not see."""

    def __init__(self, host: Host, ledger: Ledger, seed: int) -> None:
        self.host, self.ledger, self.random = host, ledger, random.Random(seed)

    def run(self) -> None:
        while not self.ledger.stop:
            name = self.ledger.name(self.random.choice(["plain", "file", "forward"]))
            octets = message(1, subject=name, text=LINE * self.random.randrange(80)).replace(
                b"<1@", f"<{name}@".encode()
            )
            left = self.random.choice([[KIM], [LEE], [KIM, LEE]])
            while left:
                try:
                    with contextlib.closing(smtplib.LMTP(str(self.host.lmtp_path), timeout=20)) as client:
                        client.ehlo_or_helo_if_needed()
                        for user in left:
                            self.ledger.tries[user][name] += 1
                        codes = [code for code, _ in send(client, left, octets)]
                except (*LOST, AssertionError):
                    time.sleep(0.02)  # Postfix waits longer
                    continue
                for user, code in zip(list(left), codes, strict=True):
                    if code == 250:
                        left.remove(user)
                        self.ledger.acknowledge(self.ledger.saved[user], name)


class Reader:
    """An IMAP client of kim's that comes back when its connection is lost."""

    def __init__(self, host: Host, ledger: Ledger, seed: int) -> None:
        self.host, self.ledger, self.random = host, ledger, random.Random(seed)

    def run(self) -> None:
        while not self.ledger.stop:
            try:
                self.imap = self.host.imap(KIM)
            except LOST:
                time.sleep(0.02)
                continue
            with contextlib.suppress(*LOST):
                while not self.ledger.stop:
                    box = self.random.choice(BOXES)
                    if self.imap.select(box)[0] != "OK":
                        break
                    self.validity = self.imap.response("UIDVALIDITY")[1][0].decode()
                    for _ in range(self.random.randrange(1, 6)):
                        self.random.choice([self.append, self.move, self.move, self.flag, self.expunge, self.look])()
            with contextlib.suppress(OSError):
                self.imap.shutdown()

    def uids(self) -> list[str]:
        code, found = self.imap.uid("SEARCH", "ALL")
        return found[0].decode().split() if code == "OK" and found[0] else []

    def append(self) -> None:
        name = self.ledger.name("own")
        self.ledger.tries[KIM][name] += 1
        if self.imap.append(self.random.choice(BOXES), "", "", message(1, subject=name))[0] == "OK":
            self.ledger.acknowledge(self.ledger.saved[KIM], name)

    def move(self) -> None:
        if uids := self.uids():
            chosen = ",".join(self.random.sample(uids, min(3, len(uids))))
            if self.imap.uid("MOVE", chosen, self.random.choice(BOXES))[0] == "OK":
                self.ledger.acknowledge()

    def flag(self) -> None:
        if uids := self.uids():
            uid = self.random.choice(uids)
            code, found = self.imap.uid("STORE", uid, "+FLAGS", r"(\Flagged)")
            # Without an answer for it another session has moved it meanwhile.
            if code == "OK" and any(item and f"UID {uid} ".encode() in item + b" " for item in found):
                self.ledger.acknowledge(self.ledger.flagged, (self.validity, int(uid)))

    def expunge(self) -> None:
        own = [(uid, name) for uid, name, _ in listed(self.imap) if name.startswith("own")]
        if own:
            uid, name = self.random.choice(own)
            with self.ledger.changed:
                self.ledger.expunged.add(name)
            self.imap.uid("STORE", str(uid), "+FLAGS.SILENT", r"(\Deleted)")
            self.imap.uid("EXPUNGE", str(uid))

    def look(self) -> None:
        for uid, name, _ in listed(self.imap):
            self.ledger.see(self.validity, uid, name)


def listed(client: imaplib.IMAP4) -> Iterator[tuple[int, str, bytes]]:
    """Uid, name and attributes of every message of the selected mailbox."""
    for item in client.uid("FETCH", "1:*", "(UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]:
        if isinstance(item, tuple):
            uid = re.search(rb"UID (\d+)", item[0])
            assert uid is not None
            yield int(uid[1]), item[1].decode().strip().removeprefix("Subject: "), item[0]


class Asker:
    """Asks the auth socket about a right password: nobody may say that it is wrong."""

    def __init__(self, path: Path, ledger: Ledger) -> None:
        self.path, self.ledger = path, ledger

    def run(self) -> None:
        while not self.ledger.stop:
            try:
                client = AuthClient(self.path)
            except (OSError, IndexError):
                time.sleep(0.02)
                continue
            with contextlib.suppress(OSError):
                for number in range(1, 1_000_000):
                    client.ask(b"AUTH\t%d\tPLAIN\tservice=smtp\tsecured\tresp=" % number + plain(LEE, "secret"))
                    answer = client.file.readline()
                    assert answer in (b"", b"OK\t%d\tuser=lee@example.net\n" % number) or b"temp" in answer, answer
                    if self.ledger.stop or not answer:
                        break
                    time.sleep(0.01)
            with contextlib.suppress(OSError):
                client.close()


def children(pid: int) -> set[int]:
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def kill(host: Host, kind: str, dice: random.Random, seen: set[int]) -> None:
    assert host.process is not None
    pid = host.process.pid
    seen |= children(pid) | {pid}
    match kind:
        case "worker":
            with contextlib.suppress(IndexError, ProcessLookupError):
                os.kill(dice.choice(sorted(children(pid))), 9)
        case "workers":
            host.crash_workers()
        case "supervisor":
            host.kill()
            host.start()
        case "all":
            host.crash()
            host.start()


def mas(host: Host, *arguments: str) -> str:
    command = [sys.executable, "-m", "mas", "-c", str(host.config_path), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=ROOT, check=False)
    assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    return done.stdout


def usage(host: Host, user: str) -> bytes:
    with host.imap(user) as client:
        [roots, [found]] = client.getquotaroot("INBOX")[1]
    assert roots
    assert b"STORAGE" in found
    return bytes(found)


def put_scripts(host: Host, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("SSL_CERT_FILE", str(host.directory / "ca.pem"))
    for user in USERS:
        client = SieveClient("localhost", host.sieve_port)
        assert client.connect(user, "secret", starttls=True, authmech="PLAIN")
        assert client.putscript("s", SCRIPT), client.errmsg
        assert client.setactive("s")
        client.logout()


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@pytest.mark.parametrize("seed", [int(os.environ.get("MAS_CHAOS_SEED", "7"))])
def test_a_host_whose_processes_are_killed_recovers_by_itself(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    dice = random.Random(seed)
    smtp_port, metrics_port = free_ports(2)
    sink, ledger, failures, pids = Sink(), Ledger(), list[BaseException](), set[int]()
    settings = (
        f'[sieve]\nsubmission = "smtp://127.0.0.1:{smtp_port}"\n[metrics]\nlisten = "127.0.0.1:{metrics_port}"\n'
        '[quota]\nrules = ["*:storage=1G"]\n'
    )
    with (
        tempfile.TemporaryDirectory(prefix="mas-chaos-", ignore_cleanup_errors=True) as directory,
        listening(sink, smtp_port),
    ):
        os.chmod(directory, 0o755)
        path = Path(directory) / "auth"
        sockets = f'[{{path = "{path}", mode = "0666"}}]'
        with running_host(USERS, settings=settings, workers=2, auth_sockets=sockets) as host:
            put_scripts(host, monkeypatch)
            with host.imap(KIM) as client:
                client.create("a")
                client.create("b")

            def guarded(run: Callable[[], None]) -> None:
                try:
                    run()
                except BaseException as error:
                    failures.append(error)

            runs = [Mta(host, ledger, seed + 1).run, Mta(host, ledger, seed + 2).run, Asker(path, ledger).run]
            runs += [Reader(host, ledger, seed + number).run for number in range(3, 6)]
            threads = [threading.Thread(target=guarded, args=(run,)) for run in runs]
            for thread in threads:
                thread.start()
            try:
                kills = list(KILLS)
                dice.shuffle(kills)
                for kind in [*kills, "all"]:
                    ledger.wait_more(dice.randrange(1, 16))
                    time.sleep(dice.random() * 0.02)  # at any moment of what is going on
                    kill(host, kind, dice, pids)
                ledger.wait_more(5)
            finally:
                ledger.stop = True
                for thread in threads:
                    thread.join(100)
            assert failures == []
            assert host.process is not None
            mine = children(host.process.pid) | {host.process.pid}
            wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids - mine), "killed hosts left workers")
            check(host, ledger, sink, metrics_port, path)


def check(host: Host, ledger: Ledger, sink: Sink, metrics_port: int, auth: Path) -> None:
    """Everything that was promised."""
    # Every service answers.
    connection = http.client.HTTPConnection("127.0.0.1", metrics_port, timeout=20)
    connection.request("GET", "/healthz")
    assert connection.getresponse().read() == b"ok\n"
    connection.close()
    asker = AuthClient(auth)
    asker.ask(b"AUTH\t1\tPLAIN\tservice=smtp\tresp=" + plain(KIM, "secret"))
    assert asker.file.readline() == b"OK\t1\tuser=kim@example.net\n"
    asker.close()
    with socket.create_connection(("127.0.0.1", host.sieve_port), 20) as sieve:
        assert sieve.recv(20).startswith(b'"IMPLEMENTATION"')
    host.deliver(LEE, message(1, subject="plain-last"))
    ledger.saved[LEE].add("plain-last")
    ledger.tries[LEE]["plain-last"] = 1

    # No mail is lost, none is there more often than it was sent, and everybody sees the same.
    for user in USERS:
        found: collections.Counter[str] = collections.Counter()
        with host.imap(user) as client:
            lines = [line for line in client.list()[1] if isinstance(line, bytes)]
            boxes = [line.decode().rpartition(' "." ')[2].strip('"') for line in lines]
            for box in boxes:
                status = client.status(box, "(MESSAGES UNSEEN)")[1][0].decode()
                assert client.select(box, readonly=True)[0] == "OK"
                validity = client.response("UIDVALIDITY")[1][0].decode()
                messages = list(listed(client))
                assert f"MESSAGES {len(messages)} " in status, box
                assert f"UNSEEN {sum(b'Seen' not in flags for *_, flags in messages)})" in status, box
                for uid, name, flags in messages:
                    found[name] += 1
                    if user == KIM:
                        ledger.see(validity, uid, name)
                        assert b"Flagged" in flags or (validity, uid) not in ledger.flagged, (box, uid, name)
        lost = ledger.saved[user] - found.keys() - ledger.expunged
        assert not lost, f"{len(lost)} of {len(ledger.saved[user])} are lost: {sorted(lost)}"
        too_often = {name: count for name, count in found.items() if count > ledger.tries[user][name]}
        assert not too_often
        assert mas(host, "index", "verify", user) == ""
        before = usage(host, user)
        mas(host, "quota", "recalc", user)
        assert usage(host, user) == before

    # What scripts sent has arrived, and nothing waits.
    wait_for(lambda: not waiting(host), "mail waits to be sent")
    forwarded = collections.Counter(
        str(email.message_from_bytes(octets)["Subject"]) for _, to, octets in sink.messages if to == "pat@example.org"
    )
    wanted = {name for names in ledger.saved.values() for name in names if name.startswith("forward")}
    assert wanted <= forwarded.keys(), sorted(wanted - forwarded.keys())
    sent_twice = sum(forwarded.values()) - sum(1 for user in USERS for name in ledger.saved[user] if name in forwarded)
    assert sent_twice <= len(KILLS) * 2, forwarded

    assert json.loads(mas(host, "who", "--json")) == []
    wrong = [line for line in host.log().splitlines() if " error " in line and "worker died" not in line]
    assert wrong == []
    assert "Traceback" not in host.log()
    print(f"{ledger.acknowledged} answers, {sum(map(len, ledger.saved.values()))} messages, {sent_twice} sent twice")
