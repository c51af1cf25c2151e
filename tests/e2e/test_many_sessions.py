"""Six sessions of one user in two workers, deliveries and another program at once; afterwards everybody has to agree.

What each client does is made up from a seed, so that a failure can be looked at again. No message may be lost: what was saved is either
there at the end or was expunged by a session that had it in its hands. No uid may ever mean two messages.
"""

from __future__ import annotations

import contextlib
import imaplib
import os
import random
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.builders import message
from tests.support.host import ROOT, Host, running_host

pytestmark = pytest.mark.e2e
USER = "kim@example.net"
BOXES = ["INBOX", "a", "b", "Trash"]
SESSIONS = 6
STEPS = 80
FLAGS = [r"(\Seen)", "(kw1)", r"(\Flagged kw2)", r"(\Answered)"]


class Ledger:
    """What the sessions know together."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.saved: set[str] = set()
        self.expunged: set[str] = set()
        self.meaning: dict[tuple[str, int], str] = {}
        self.number = 0

    def next_number(self) -> int:
        with self.lock:
            self.number += 1
            return self.number

    def see(self, validity: str, uid: int, subject: str) -> None:
        with self.lock:
            assert self.meaning.setdefault((validity, uid), subject) == subject, f"uid {uid} means two messages"


class Client:
    """One session that does a step at a time."""

    def __init__(self, host: Host, ledger: Ledger, seed: int) -> None:
        self.host = host
        self.ledger = ledger
        self.random = random.Random(seed)
        self.imap = host.imap(USER)
        if self.random.random() < 0.5:
            self.imap.enable("QRESYNC")
        self.validity = ""
        self.select()

    def run(self) -> None:
        for _ in range(STEPS):
            self.step()
        self.imap.logout()

    def step(self) -> None:
        steps: list[tuple[Callable[[], None], int]] = [
            (self.select, 5),
            (self.append, 20),
            (self.store, 15),
            (self.copy_or_move, 15),
            (self.expunge, 10),
            (self.fetch, 25),
            (self.deliver, 5),
            (self.rename_a_file, 5),
        ]
        [chosen] = self.random.choices([step for step, _ in steps], [weight for _, weight in steps])
        chosen()

    def ask(self, answer: tuple[str, list[Any]]) -> list[Any]:
        assert answer[0] == "OK", answer
        return answer[1]

    def select(self) -> None:
        self.ask(self.imap.select(self.random.choice(BOXES)))
        self.validity = self.imap.response("UIDVALIDITY")[1][0].decode()

    def append(self) -> None:
        number = self.ledger.next_number()
        self.ask(self.imap.append(self.random.choice(BOXES), "", "", message(number)))
        self.ledger.saved.add(f"message {number}")

    def deliver(self) -> None:
        number = self.ledger.next_number()
        self.host.deliver(USER, message(number))
        self.ledger.saved.add(f"message {number}")

    def store(self) -> None:
        how = self.random.choice(["+FLAGS", "-FLAGS", "+FLAGS.SILENT"])
        self.ask(self.imap.uid("STORE", f"{self.random.randrange(1, 200)}:*", how, self.random.choice(FLAGS)))

    def uids(self) -> list[str]:
        return [uid.decode() for line in self.ask(self.imap.uid("SEARCH", "ALL")) if line for uid in line.split()]

    def copy_or_move(self) -> None:
        if uids := self.uids():
            how = self.random.choice(["COPY", "MOVE"])
            # NO [EXPUNGEISSUED] when another session was faster.
            self.imap.uid(how, self.random.choice(uids), self.random.choice(BOXES))

    def expunge(self) -> None:
        uids = self.uids()
        if len(uids) < 12:
            return
        chosen = ",".join(self.random.sample(uids, 3))
        gone = {subject for _, subject in self.subjects(chosen)}
        with self.ledger.lock:
            self.ledger.expunged |= gone
        self.ask(self.imap.uid("STORE", chosen, "+FLAGS.SILENT", r"(\Deleted)"))
        self.ask(self.imap.uid("EXPUNGE", chosen))

    def fetch(self) -> None:
        for uid, subject in self.subjects("1:*"):
            self.ledger.see(self.validity, uid, subject)

    def subjects(self, uids: str) -> Iterator[tuple[int, str]]:
        found = self.ask(self.imap.uid("FETCH", uids, "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))
        return read_subjects(found)

    def rename_a_file(self) -> None:
        """As mutt does: a flag by hand."""
        directory = self.host.home(USER) / "Maildir" / self.random.choice([".a", ".b", "."]) / "cur"
        with contextlib.suppress(FileNotFoundError, IndexError):
            name = self.random.choice(os.listdir(directory))
            base, _, flags = name.partition(":2,")
            (directory / name).rename(directory / f"{base}:2,{''.join(sorted(set(flags) ^ {'F'}))}")


def read_subjects(found: list[Any]) -> Iterator[tuple[int, str]]:
    for item in found:
        if isinstance(item, tuple):
            uid = re.search(rb"UID (\d+)", item[0])
            assert uid is not None
            yield int(uid[1]), item[1].decode().strip().removeprefix("Subject: ")


View = dict[str, tuple[str, list[str], list[tuple[int, str]]]]
"""Mailbox: STATUS, FETCH lines, uids with subjects."""


def view(client: imaplib.IMAP4) -> View:
    """Everything that a session can see, with the counters checked against it."""
    seen: View = {}
    for box in BOXES:
        status = client.status(box, "(MESSAGES UNSEEN UIDNEXT SIZE)")[1][0].decode()
        assert client.select(box, readonly=True)[0] == "OK"
        found = client.uid("FETCH", "1:*", "(UID FLAGS RFC822.SIZE BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
        lines = [item[0].decode() for item in found if isinstance(item, tuple)]
        sizes = sum(int(size) for line in lines for size in re.findall(r"RFC822.SIZE (\d+)", line))
        unseen = sum(r"\Seen" not in line for line in lines)
        assert f"MESSAGES {len(lines)} " in status, box
        assert f"UNSEEN {unseen} " in status, box
        assert f"SIZE {sizes})" in status, box
        seen[box] = (status, lines, sorted(read_subjects(found)))
    return seen


def mas(host: Host, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mas", "-c", str(host.config_path), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=ROOT, check=False)


@pytest.mark.parametrize("seed", [1, 2])
def test_many_sessions_of_one_user(seed: int, tmp_path: Path) -> None:
    with running_host(workers=2) as host:
        with host.imap(USER) as first:
            for box in ("a", "b"):
                first.create(box)
        ledger = Ledger()
        failures: list[BaseException] = []

        def session(number: int) -> None:
            try:
                Client(host, ledger, seed * 100 + number).run()
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=session, args=(number,)) for number in range(SESSIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures, failures
        views = []
        for _ in range(4):
            with host.imap(USER) as client:
                views.append(view(client))
        assert all(other == views[0] for other in views[1:])
        there = {subject for _, _, subjects in views[0].values() for _, subject in subjects}
        assert ledger.saved - there <= ledger.expunged
        assert there <= ledger.saved
        assert mas(host, "index", "verify", USER).returncode == 0
        assert " error " not in host.log()
