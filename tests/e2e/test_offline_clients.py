"""Clients that keep a copy of the mail and bring it up to date by QRESYNC, as RFC 7162 tells them to, while others change everything.

Each client believes what the server says and nothing else: it applies EXISTS, VANISHED and FETCH in the order they come, and works out
HIGHESTMODSEQ as [RFC7162 6] has it. Its connection breaks now and then, between any two responses; workers are killed, the index is made
anew; it changes mailboxes and comes back to what it has kept. In the end every copy, brought up to date once more over a new connection, is
what a client sees that has no copy. What is done is made up from a seed.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import select
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.builders import message
from tests.support.host import ROOT, Host, running_host

pytestmark = pytest.mark.e2e
USER = "kim@example.net"
BOXES = ["INBOX", "a", "b"]
CLIENTS = 5
STEPS = 50
FLAGS = [r"\Seen", r"\Flagged", r"\Answered", "kw1", "kw2"]
_FETCH = re.compile(r"\* (\d+) FETCH \((.*)\)$")


def uids_of(text: str) -> list[int]:
    """``1:3,7`` as numbers."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition(":")
        low, high = sorted((int(first), int(last or first)))
        found += range(low, high + 1)
    return found


@dataclass
class Copy:
    """What a client has kept of a mailbox. ``uids`` by sequence number: None is a message of which only the number is known."""

    validity: str = ""
    highest: int = 0
    uids: list[int | None] = field(default_factory=list)
    flags: dict[int, frozenset[str]] = field(default_factory=dict)
    modseqs: dict[int, int] = field(default_factory=dict)

    def known(self) -> list[int]:
        return [uid for uid in self.uids if uid is not None]

    def forget(self) -> None:
        """What a client has after it lost its connection: messages that it had not asked for yet are no part of it."""
        if None in self.uids:
            for uid in self.uids[self.uids.index(None) :]:
                if uid is not None:
                    self.flags.pop(uid, None)
                    self.modseqs.pop(uid, None)
            del self.uids[self.uids.index(None) :]

    def remove(self, uid: int) -> None:
        if uid in self.uids:
            self.uids.remove(uid)
            self.flags.pop(uid, None)
            self.modseqs.pop(uid, None)
            return
        # One that it had not asked for: it lies between those that it knows.
        place = sum(1 for known in self.known() if known < uid)
        at = self.uids.index(self.known()[place - 1]) + 1 if place else 0
        if at < len(self.uids) and self.uids[at] is None:
            del self.uids[at]

    def view(self) -> dict[int, tuple[frozenset[str], int]]:
        return {uid: (self.flags[uid], self.modseqs[uid]) for uid in self.known()}


class Broken(Exception):
    """The connection is gone."""


class Client:
    """One client with its copies, over one connection after the other."""

    def __init__(self, host: Host, seed: int) -> None:
        self.host = host
        self.random = random.Random(seed)
        self.copies: dict[str, Copy] = {box: Copy() for box in BOXES}
        self.box = ""
        self.trail: list[str] = []
        self.tag = 0
        self.said: list[int] = []
        self.told: set[int] = set()
        self.code: int | None = None
        self.selecting: list[str] | None = None
        self.connect()

    # Wire

    def connect(self) -> None:
        raw = socket.create_connection(("localhost", self.host.imaps_port), timeout=60)
        self.socket: ssl.SSLSocket = self.host.client_context().wrap_socket(raw, server_hostname="localhost")
        self.file = self.socket.makefile("rb")
        self.box = ""
        self.line()
        self.command(f'LOGIN {USER} "{self.host.users[USER]}"')
        self.command("ENABLE QRESYNC")

    def line(self) -> str:
        try:
            data = self.file.readline()
        except OSError as error:
            raise Broken from error
        if not data.endswith(b"\r\n"):
            raise Broken
        text = data.decode().rstrip("\r\n")
        self.trail.append("S: " + text)
        if text.startswith("* BYE"):
            raise Broken
        return text

    def send(self, text: str) -> None:
        self.trail.append("C: " + text)
        try:
            self.socket.sendall(text.encode() + b"\r\n")
        except OSError as error:
            raise Broken from error

    def command(self, text: str, *, breaks: bool = False) -> tuple[str, list[str]]:
        """Send a command, apply what is said until its end. breaks: the connection ends at some line before that."""
        self.tag += 1
        tag = f"t{self.tag}"
        self.send(f"{tag} {text}")
        self.told.clear()
        lines: list[str] = []
        left = self.random.randrange(4)
        while True:
            if breaks and not left:
                raise Broken
            left -= 1
            line = self.line()
            if line.startswith(tag + " "):
                status = line[len(tag) + 1 :]
                assert not status.startswith("BAD"), self.tail()
                self.note_code(status)
                self.settle()
                return status, lines
            lines.append(line)
            self.apply(line)

    def tail(self) -> str:
        return "\n".join(self.trail[-60:])

    # What the server says

    def note_code(self, text: str) -> None:
        if found := re.search(r"\[HIGHESTMODSEQ (\d+)\]", text):
            self.code = int(found[1])

    def settle(self) -> None:
        """After a tagged response [RFC7162 6]."""
        if self.box and self.selecting is None:
            copy = self.copies[self.box]
            if self.code is not None:
                copy.highest = self.code
            elif self.said:
                copy.highest = max(copy.highest, *self.said)
        self.code, self.said = None, []

    def apply(self, line: str) -> None:
        if self.selecting is not None:
            self.selecting.append(line)
            return
        if not self.box:
            return
        copy = self.copies[self.box]
        self.note_code(line)
        if found := re.match(r"\* (\d+) EXISTS", line):
            count = int(found[1])
            assert count >= len(copy.uids), (line, len(copy.uids), self.tail())
            copy.uids += [None] * (count - len(copy.uids))
        elif found := re.match(r"\* VANISHED (\(EARLIER\) )?([\d:,]+)", line):
            for uid in uids_of(found[2]):
                copy.remove(uid)
        elif found := _FETCH.match(line):
            self.fetched(copy, int(found[1]), found[2])
        assert "EXPUNGE" not in line, line

    def fetched(self, copy: Copy, number: int, items: str) -> None:
        uid = re.search(r"UID (\d+)", items)
        modseq = re.search(r"MODSEQ \((\d+)\)", items)
        flags = re.search(r"FLAGS \(([^)]*)\)", items)
        assert uid, self.tail()
        assert number <= len(copy.uids), (items, len(copy.uids), self.tail())
        assert copy.uids[number - 1] in (None, int(uid[1])), (number, items, copy.uids, self.tail())
        copy.uids[number - 1] = int(uid[1])
        if flags:
            self.told.add(int(uid[1]))
            copy.flags[int(uid[1])] = frozenset(flags[1].split()) - {r"\Recent"}
        if modseq:
            copy.modseqs[int(uid[1])] = int(modseq[1])
            self.said.append(int(modseq[1]))

    # Synchronising

    def select(self, box: str) -> None:
        copy = self.copies[box]
        copy.forget()
        known = copy.known()
        words = ""
        if copy.validity:
            words = f" (QRESYNC ({copy.validity} {copy.highest}"
            how = self.random.randrange(3)
            if known and how:
                words += f" {known[0]}:{known[-1]}"
            if known and how == 2:
                numbers = sorted(self.random.sample(range(len(known)), min(3, len(known))))
                words += f" ({','.join(str(n + 1) for n in numbers)} {','.join(str(known[n]) for n in numbers)})"
            words += "))"
        self.box, self.selecting = "", []
        try:
            status, lines = self.command(f"SELECT {box}{words}")
        finally:
            self.selecting = None
        assert status.startswith("OK"), status
        text = "\n".join(lines)
        validity = re.search(r"\[UIDVALIDITY (\d+)\]", text)
        highest = re.search(r"\[HIGHESTMODSEQ (\d+)\]", text)
        exists = re.search(r"\* (\d+) EXISTS", text)
        assert validity
        assert highest
        assert exists
        if copy.validity != validity[1]:
            copy = self.copies[box] = Copy(validity[1])
        for found in re.finditer(r"\* VANISHED \(EARLIER\) ([\d:,]+)", text):
            for uid in uids_of(found[1]):
                if uid in copy.uids:
                    copy.remove(uid)
        assert int(exists[1]) >= len(copy.uids), (copy.uids, self.tail())
        copy.uids += [None] * (int(exists[1]) - len(copy.uids))
        self.box = box
        # Behind it, in this order: what changed, and what came and went while the mailbox was opened.
        for line in lines[max(n for n, line in enumerate(lines) if "[HIGHESTMODSEQ" in line) + 1 :]:
            if "(EARLIER)" not in line:
                self.apply(line)
        copy.highest = int(highest[1])
        self.said, self.code = [], None
        self.fill()

    def fill(self) -> None:
        """Ask for the messages of which only the number is known."""
        copy = self.copies[self.box]
        while None in copy.uids:
            place = copy.uids.index(None)
            first = (copy.uids[place - 1] or 0) + 1 if place else 1
            self.command(f"UID FETCH {first}:* (FLAGS MODSEQ)")

    # What it does

    def step(self) -> None:
        steps: list[tuple[Callable[[], None], int]] = [
            (self.change_mailbox, 6),
            (self.append, 14),
            (self.store, 16),
            (self.conditional_store, 10),
            (self.copy_or_move, 8),
            (self.expunge, 8),
            (self.look, 14),
            (self.idle, 6),
            (self.noop, 8),
            (self.lose_connection, 8),
            (self.rename_a_file, 3),
        ]
        [chosen] = self.random.choices([step for step, _ in steps], [weight for _, weight in steps])
        chosen()

    def some(self) -> tuple[str, list[int]]:
        """``UID`` or nothing, and the numbers of some messages."""
        copy = self.copies[self.box]
        if self.random.random() < 0.5 and copy.known():
            return "UID ", sorted(self.random.sample(copy.known(), min(len(copy.known()), 4)))
        return "", sorted(self.random.sample(range(1, len(copy.uids) + 1), min(len(copy.uids), 4)))

    def change_mailbox(self) -> None:
        self.select(self.random.choice(BOXES))

    def append(self) -> None:
        octets = message(self.random.randrange(1000)).decode()
        box, flags = self.random.choice(BOXES), self.random.choice(["", r"(\Seen) ", "(kw2) "])
        self.tag += 1
        self.send(f"t{self.tag} APPEND {box} {flags}{{{len(octets)}+}}\r\n{octets}")
        while not (line := self.line()).startswith(f"t{self.tag} "):
            self.apply(line)
        self.note_code(line)
        self.settle()
        self.fill()

    def store(self) -> None:
        self.change_flags("")

    def conditional_store(self) -> None:
        self.change_flags(f" (UNCHANGEDSINCE {self.copies[self.box].highest - self.random.choice([0, 1, 5])})")

    def change_flags(self, condition: str) -> None:
        how, numbers = self.some()
        if not numbers:
            return
        sign, silent, flag = self.random.choice("+-"), self.random.random() < 0.5, self.random.choice(FLAGS)
        copy = self.copies[self.box]
        uids = [n if how else copy.uids[n - 1] for n in numbers]
        verb = f"{sign}FLAGS{'.SILENT' if silent else ''}"
        status, _ = self.command(
            f"{how}STORE {','.join(map(str, numbers))}{condition} {verb} ({flag})", breaks=self.random.random() < 0.1
        )
        found = re.search(r"\[MODIFIED ([\d:,]+)\]", status)
        refused = {n if how else uids[numbers.index(n)] for n in uids_of(found[1])} if found else set()
        if silent and status.startswith("OK"):
            for uid in uids:
                # Of what it has done itself it is told nothing; of what others did to the same message, it is.
                if uid in copy.flags and uid not in refused | self.told:
                    copy.flags[uid] = copy.flags[uid] | {flag} if sign == "+" else copy.flags[uid] - {flag}
        self.fill()

    def copy_or_move(self) -> None:
        how, numbers = self.some()
        if numbers:
            verb = self.random.choice(["COPY", "MOVE"])
            self.command(f"{how}{verb} {','.join(map(str, numbers[:2]))} {self.random.choice(BOXES)}")
            self.fill()

    def expunge(self) -> None:
        copy = self.copies[self.box]
        if len(copy.known()) > 8:
            chosen = ",".join(map(str, self.random.sample(copy.known(), 3)))
            self.command(rf"UID STORE {chosen} +FLAGS (\Deleted)")
            self.command(self.random.choice([f"UID EXPUNGE {chosen}", "EXPUNGE"]))
            self.fill()

    def look(self) -> None:
        """FETCH by sequence number, which makes expunges wait."""
        count = len(self.copies[self.box].uids)
        if count:
            first = self.random.randint(1, count)
            self.command(
                f"FETCH {first}:{self.random.randint(first, count)} (UID FLAGS MODSEQ)",
                breaks=self.random.random() < 0.15,
            )
            self.fill()

    def idle(self) -> None:
        self.tag += 1
        self.send(f"t{self.tag} IDLE")
        while not self.line().startswith("+"):
            raise AssertionError(self.tail())
        for _ in range(self.random.randrange(4)):
            if not self.socket.pending() and not select.select([self.socket], [], [], 0.05)[0]:
                break
            self.apply(self.line())
            if self.random.random() < 0.1:
                raise Broken
        self.send("DONE")
        while not (line := self.line()).startswith(f"t{self.tag} "):
            self.apply(line)
        self.note_code(line)
        self.settle()
        self.fill()

    def noop(self) -> None:
        self.command("NOOP")
        self.fill()

    def lose_connection(self) -> None:
        raise Broken

    def rename_a_file(self) -> None:
        """As mutt does: a flag by hand."""
        directory = self.host.home(USER) / "Maildir" / self.random.choice([".a", ".b", "."]) / "cur"
        with contextlib.suppress(FileNotFoundError, IndexError):
            name = self.random.choice(os.listdir(directory))
            base, _, flags = name.partition(":2,")
            (directory / name).rename(directory / f"{base}:2,{''.join(sorted(set(flags) ^ {'F'}))}")

    # Its life

    def again(self) -> None:
        """A new connection and the mailbox that was selected."""
        box = self.box or "INBOX"
        self.selecting = None
        self.said, self.code = [], None
        with contextlib.suppress(OSError):
            self.socket.close()
        for _ in range(20):
            try:
                self.connect()
                self.select(box)
            except (Broken, OSError):
                time.sleep(0.5)  # its own patience; a killed worker is replaced meanwhile
                continue
            return
        raise AssertionError("no connection")

    def live(self) -> None:
        self.again()
        for _ in range(STEPS):
            try:
                self.step()
            except Broken:
                self.again()


def rebuild(host: Host) -> None:
    """The index is made anew under all of them."""
    command = [sys.executable, "-m", "mas", "-c", str(host.config_path), "index", "rebuild", USER]
    subprocess.run(command, capture_output=True, timeout=100, cwd=ROOT, check=True)


def fresh_view(host: Host, box: str) -> dict[int, tuple[frozenset[str], int]]:
    """The mailbox as somebody sees it who has no copy."""
    client = Client(host, 0)
    client.select(box)
    client.socket.close()
    return client.copies[box].view()


@pytest.mark.parametrize("seed", [1])
def test_copies_of_offline_clients(seed: int, tmp_path: Path) -> None:
    with running_host(workers=2) as host:
        with host.imap(USER) as first:
            for box in ("a", "b"):
                first.create(box)
        for number in range(10):
            host.deliver(USER, message(number))
        clients = [Client(host, seed * 100 + number) for number in range(CLIENTS)]
        failures: list[BaseException] = []

        def live(client: Client) -> None:
            try:
                client.live()
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=live, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        for disturb in (host.crash_workers, lambda: rebuild(host), host.crash_workers):
            threads[0].join(1.5)
            disturb()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        for client in clients:
            for box in BOXES:
                client.box = box
                client.again()
        expected = {box: fresh_view(host, box) for box in BOXES}
        for number, client in enumerate(clients):
            for box in BOXES:
                assert client.copies[box].view() == expected[box], (number, box, client.trail)
