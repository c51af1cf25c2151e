"""The rows of the table: what is timed on each server. A row is a function of a Bench; what it does inside ``clock`` counts."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.client import Imap, Lmtp
from bench.servers import PASSWORD, SIEVE_USERS, Server

BIG_USER, COPY_USER, DELIVER_USER, SMALL_USER, IDLE_USER = 0, 1, 2, 3, 4
_PLAIN_USERS = range(DELIVER_USER + 4, DELIVER_USER + 16)
_ATTRIBUTES = b"(FLAGS ENVELOPE BODYSTRUCTURE INTERNALDATE RFC822.SIZE)"
_FIELDS = b"(From To Cc Subject Date Message-ID References In-Reply-To Content-Type List-Id)"


@dataclass(slots=True)
class Bench:
    """One server under test, with a big mailbox filled."""

    server: Server
    mail: list[bytes]
    big: int
    wall: float = 0.0
    cpu: float = 0.0
    operations: int = 1
    values: dict[str, float] = field(default_factory=dict)
    serial: int = 0

    @contextmanager
    def clock(self, operations: int = 1) -> Iterator[None]:
        """What runs in here is the row."""
        before = self.server.settle()
        start = time.perf_counter()
        yield
        self.wall = (time.perf_counter() - start) / operations
        self.cpu = (self.server.settle() - before) / operations

    def session(self, user: int) -> Imap:
        """A logged-in connection."""
        imap = Imap(self.server.imaps)
        imap.login(self.server.user(user), PASSWORD)
        return imap

    def selected(self, mailbox: str = "Big", user: int = BIG_USER) -> Imap:
        """A connection with a mailbox selected."""
        imap = self.session(user)
        imap.run(b"SELECT " + mailbox.encode())
        return imap

    def fresh(self) -> str:
        """A mailbox name that no row has used."""
        self.serial += 1
        return f"Fresh{self.serial}"


ROWS: dict[str, Callable[[Bench], None]] = {}


def row(name: str) -> Callable[[Callable[[Bench], None]], Callable[[Bench], None]]:
    """Register a row."""

    def add(function: Callable[[Bench], None]) -> Callable[[Bench], None]:
        ROWS[name] = function
        return function

    return add


def expect(what: str, found: int, wanted: int) -> None:
    """Answers are checked, or a fast wrong server would win."""
    if found != wanted:
        raise RuntimeError(f"{what}: {found} instead of {wanted}")


def fill(imap: Imap, mailbox: str, mail: list[bytes]) -> None:
    """Put mail into a new mailbox, a hundred at a time."""
    imap.run(b"CREATE " + mailbox.encode())
    for start in range(0, len(mail), 100):
        parts = b"".join(b" {%d+}\r\n%s" % (len(message), message) for message in mail[start : start + 100])
        imap.run(b"APPEND " + mailbox.encode() + parts)


def _deliver(bench: Bench, connections: int, messages: int, users: Sequence[int] = _PLAIN_USERS) -> None:
    def work(number: int) -> None:
        lmtp = Lmtp(bench.server.lmtp)
        for at in range(messages // connections):
            lmtp.deliver(
                bench.server.user(users[(number + at) % len(users)]),
                bench.mail[(number * 131 + at) % len(bench.mail)],
            )
        lmtp.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(connections)]
    with bench.clock(messages):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


@row("LMTP delivery, 1 connection")
def deliver_one(bench: Bench) -> None:
    _deliver(bench, 1, 200)


@row("LMTP delivery, 4 connections")
def deliver_four(bench: Bench) -> None:
    _deliver(bench, 4, 400)


@row("LMTP delivery, 30 Sieve rules")
def deliver_through_rules(bench: Bench) -> None:
    _deliver(bench, 1, 200, SIEVE_USERS)


@row("APPEND")
def append(bench: Bench) -> None:
    imap = bench.session(SMALL_USER)
    name = bench.fresh()
    imap.run(b"CREATE " + name.encode())
    with bench.clock(100):
        for message in bench.mail[:100]:
            imap.append(name, message)
    imap.close()


@row("login (connect, TLS, LOGIN, LOGOUT)")
def login(bench: Bench) -> None:
    with bench.clock(20):
        for _ in range(20):
            bench.session(SMALL_USER).close()


@row("SELECT, 20,000 messages")
def select(bench: Bench) -> None:
    imap = bench.selected()
    with bench.clock(100):
        for _ in range(100):
            answer = imap.run(b"SELECT Big")
    expect("EXISTS", int(re.search(rb"\* (\d+) EXISTS", answer)[1]), bench.big)  # type: ignore[index]
    imap.close()


@row("STATUS")
def status(bench: Bench) -> None:
    imap = bench.session(BIG_USER)
    imap.run(b"STATUS Big (MESSAGES UNSEEN UIDNEXT)")
    with bench.clock(200):
        for _ in range(200):
            imap.run(b"STATUS Big (MESSAGES UNSEEN UIDNEXT)")
    imap.close()


@row("LIST")
def list_mailboxes(bench: Bench) -> None:
    imap = bench.session(BIG_USER)
    imap.run(b'LIST "" *')
    with bench.clock(100):
        for _ in range(100):
            imap.run(b'LIST "" *')
    imap.close()


def _fetch(bench: Bench, items: bytes, pattern: bytes, last: int | None = None) -> None:
    imap = bench.selected()
    command = b"UID FETCH 1:%s %s" % (b"*" if last is None else b"%d" % last, items)
    imap.run(command)
    with bench.clock():
        answer = imap.run(command)
    expect("messages", answer.count(pattern), bench.big if last is None else last)
    imap.close()


@row("FETCH flags, 20,000 messages")
def fetch_flags(bench: Bench) -> None:
    _fetch(bench, b"(FLAGS)", b" FETCH (")


@row("FETCH envelope and structure, 20,000 messages")
def fetch_envelope(bench: Bench) -> None:
    _fetch(bench, _ATTRIBUTES, b"ENVELOPE (")


@row("FETCH header fields, 20,000 messages")
def fetch_headers(bench: Bench) -> None:
    _fetch(bench, b"(BODY.PEEK[HEADER.FIELDS %s])" % _FIELDS, b" FETCH (")


@row("FETCH bodies, 2,000 messages")
def fetch_bodies(bench: Bench) -> None:
    _fetch(bench, b"(BODY.PEEK[])", b"BODY[] {", min(2000, bench.big))


@row("FETCH one body")
def fetch_one(bench: Bench) -> None:
    imap = bench.selected()
    with bench.clock(200):
        for uid in range(1, 201):
            imap.run(b"UID FETCH %d (BODY.PEEK[])" % uid)
    imap.close()


@row("SEARCH SUBJECT")
def search_subject(bench: Bench) -> None:
    imap = bench.selected()
    imap.run(b"UID SEARCH SUBJECT garden")
    with bench.clock():
        imap.run(b"UID SEARCH SUBJECT kitchen")
    imap.close()


@row("STORE +FLAGS, 20,000 messages")
def store_all(bench: Bench) -> None:
    imap = bench.selected()
    imap.run(b"UID STORE 1:* -FLAGS.SILENT (\\Flagged)")
    with bench.clock():
        imap.run(b"UID STORE 1:* +FLAGS.SILENT (\\Flagged)")
    imap.close()


@row("STORE, one message")
def store_one(bench: Bench) -> None:
    imap = bench.selected()
    with bench.clock(200):
        for uid in range(1, 101):
            imap.run(b"UID STORE %d +FLAGS (\\Answered)" % uid)
        for uid in range(1, 101):
            imap.run(b"UID STORE %d -FLAGS (\\Answered)" % uid)
    imap.close()


@row("COPY, 1,000 messages")
def copy(bench: Bench) -> None:
    imap = bench.selected()
    name = bench.fresh()
    imap.run(b"CREATE " + name.encode())
    with bench.clock():
        imap.run(b"UID COPY 1:1000 " + name.encode())
    imap.run(b"DELETE " + name.encode())
    imap.close()


@row("MOVE, 1,000 messages")
def move(bench: Bench) -> None:
    imap = bench.session(COPY_USER)
    source, target = bench.fresh(), bench.fresh()
    fill(imap, source, bench.mail[:1000])
    imap.run(b"CREATE " + target.encode())
    imap.run(b"SELECT " + source.encode())
    with bench.clock():
        imap.run(b"UID MOVE 1:* " + target.encode())
    imap.run(b"SELECT " + target.encode())
    imap.run(b"UID STORE 1:* +FLAGS.SILENT (\\Deleted)")
    bench.values["moved"] = 1
    imap.run(b"UNSELECT")
    imap.run(b"DELETE " + source.encode())
    imap.close()


@row("EXPUNGE, 1,000 messages")
def expunge(bench: Bench) -> None:
    imap = bench.session(COPY_USER)
    name = bench.fresh()
    fill(imap, name, bench.mail[:1000])
    imap.run(b"SELECT " + name.encode())
    imap.run(b"UID STORE 1:* +FLAGS.SILENT (\\Deleted)")
    with bench.clock():
        imap.run(b"EXPUNGE")
    imap.run(b"UNSELECT")
    imap.close()


@row("delivery to IDLE push")
def push(bench: Bench) -> None:
    imap = bench.selected("INBOX", SMALL_USER)
    tag = imap.send(b"IDLE")
    imap.line()
    lmtp = Lmtp(bench.server.lmtp)
    waits = []
    with bench.clock(20):
        for message in bench.mail[:20]:
            lmtp.deliver(bench.server.user(SMALL_USER), message)
            start = time.perf_counter()
            while b"EXISTS" not in imap.line():
                pass
            waits.append(time.perf_counter() - start)
    imap.socket.sendall(b"DONE\r\n")
    imap.wait(tag)
    lmtp.close()
    imap.close()
    waits.sort()
    bench.wall = waits[len(waits) // 2]


@row("memory of an idle TLS connection")
def memory(bench: Bench) -> None:
    count = 200
    # What a process takes with its first connection is not what each takes: all processes have had some before.
    held = _idle(bench, 20)
    before = bench.server.memory()
    held += _idle(bench, count)
    bench.values["bytes"] = (bench.server.memory() - before) / count
    for imap in held:
        imap.socket.close()


def _idle(bench: Bench, count: int) -> list[Imap]:
    held = []
    for number in range(count):
        imap = bench.selected("INBOX", IDLE_USER + number % 4)
        imap.send(b"IDLE")
        imap.line()
        held.append(imap)
    time.sleep(1)
    return held
