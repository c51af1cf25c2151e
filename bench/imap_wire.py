"""What IMAP's wire code costs: octets to commands, messages to FETCH lines.  ``python -m bench.imap_wire``

Each figure is the best of several runs, in processor time. The first line is a yardstick (one match of a
small expression): a machine under load shows in it, and the others can be read against it.
"""

from __future__ import annotations

import random
import re
import time
import timeit
from array import array
from collections.abc import Callable

from mas.protocols.imap.arguments import parse_mailbox
from mas.protocols.imap.commands import Fetch
from mas.protocols.imap.connection import ImapConnection
from mas.protocols.imap.cursor import Cursor
from mas.protocols.imap.encode import encode_search
from mas.protocols.imap.encode_fetch import DateTimes, compile_fetch
from mas.protocols.imap.events import State
from mas.protocols.imap.mailbox_name import compile_pattern
from mas.protocols.imap.numset import encode_numbers, parse_sequence_set, resolve, uids_in

MESSAGES = 20_000

COMMANDS = [
    b"a1 NOOP",
    b"a1 UID FETCH 1:* (FLAGS)",
    b"a1 UID FETCH 4711 (UID FLAGS BODY.PEEK[HEADER.FIELDS (From To Subject Date)])",
    b"a1 STATUS x (MESSAGES UNSEEN)",
    b"a1 UID STORE 4711 +FLAGS.SILENT (\\Seen)",
    b'a1 UID SEARCH UNSEEN SINCE 1-Jan-2024 FROM "x"',
    b'a1 LIST "" "*"',
    b'a1 LIST (SUBSCRIBED) "" "*" RETURN (STATUS (MESSAGES UNSEEN) SPECIAL-USE CHILDREN)',
    b"a1 SELECT INBOX",
    b'a1 ID ("name" "x" "version" "1.0")',
]


def microseconds(work: Callable[[], object], each: int = 1, runs: int = 7) -> float:
    """The best time of ``work`` for one of its ``each`` parts."""
    number = max(1, 20_000 // each)
    return min(timeit.repeat(work, number=number, repeat=runs, timer=time.process_time)) / number / each * 1e6


def show(name: str, figure: float, unit: str = "us") -> None:
    print(f"{figure:9.2f} {unit}  {name}")


def parsing() -> None:
    imap = ImapConnection()
    imap.state = State.SELECTED
    for line in COMMANDS:
        data = line + b"\r\n"

        def one(data: bytes = data) -> None:
            imap.receive_data(data)
            imap.next_event()
            imap.command_done()

        show(line.decode(), microseconds(one))
    literal = b"a1 LOGIN {4+}\r\nuser {4+}\r\npass\r\n"
    imap = ImapConnection()

    def login() -> None:
        imap.receive_data(literal)
        imap.next_event()
        imap.command_done()

    show("LOGIN with two literals", microseconds(login))


def octet_by_octet() -> None:
    line = b"a1 SUBSCRIBE " + b"x" * 60_000 + b"\r\n"
    pieces = [line[place : place + 1] for place in range(len(line))]

    def feed() -> None:
        imap = ImapConnection()
        imap.state = State.SELECTED
        for piece in pieces:
            imap.receive_data(piece)
            imap.next_event()

    show("an octet of a line of 60 KB that comes octet by octet", microseconds(feed, len(pieces)))


def sets() -> None:
    uids = array("I", range(1, 2 * MESSAGES, 2))
    text = b",".join(b"%d" % uid for uid in uids[: MESSAGES // 4])
    scattered = sorted(random.Random(1).sample(range(1, 200_000), MESSAGES))
    show("1:* of 20,000 uids", microseconds(lambda: uids_in(resolve(parse_sequence_set(b"1:*"), uids[-1]), uids)))
    show(
        "one of 5,000 uids in a set",
        microseconds(lambda: uids_in(resolve(parse_sequence_set(text), uids[-1]), uids), 5000),
    )
    show("one of 20,000 scattered uids as a set", microseconds(lambda: encode_numbers(scattered), MESSAGES))
    show("one of 20,000 scattered uids in SEARCH", microseconds(lambda: encode_search(scattered), MESSAGES))


def fetch_lines() -> None:
    seqnums = list(range(1, MESSAGES + 1))
    uids = array("I", [number * 2 for number in seqnums])
    texts = {8: b"\\Seen", 10: b"\\Flagged \\Seen", 0: b""}
    flags = [(8, 8, 10, 0)[number % 4] for number in seqnums]
    dates = DateTimes()
    times = [1_600_000_000 + number * 911 for number in seqnums]
    envelope = (
        b'("Mon, 1 Jan 2024 00:00:00 +0000" "subject" (("a" NIL "a" "example.net")) NIL NIL NIL NIL NIL NIL "<x@y>")'
    )
    rows = [(uid, 1000, when, envelope) for uid, when in zip(uids, times, strict=True)]

    def plan(text: bytes) -> Callable[[], bytes]:
        imap = ImapConnection()
        imap.state = State.SELECTED
        imap.receive_data(b"a UID FETCH 1:* " + text + b"\r\n")
        command = imap.next_event()
        assert isinstance(command, Fetch)
        made = compile_fetch(command.items, True)
        chosen = rows if made.columns else ()
        return lambda: made.lines(seqnums, uids, [texts[each] for each in flags], seqnums, chosen)

    show("20,000 lines (FLAGS)", microseconds(plan(b"(FLAGS)"), MESSAGES) * MESSAGES / 1000, "ms")
    show("20,000 lines (FLAGS MODSEQ)", microseconds(plan(b"(FLAGS MODSEQ)"), MESSAGES) * MESSAGES / 1000, "ms")
    show(
        "a line (FLAGS RFC822.SIZE INTERNALDATE ENVELOPE)",
        microseconds(plan(b"(FLAGS RFC822.SIZE INTERNALDATE ENVELOPE)"), MESSAGES),
    )
    show("a date-time", microseconds(lambda: [dates(when) for when in times], MESSAGES))


def names() -> None:
    show("a mailbox name", microseconds(lambda: parse_mailbox(Cursor(b"Archive/2024"))))
    show("a mailbox name in modified UTF-7", microseconds(lambda: parse_mailbox(Cursor(b"Entw&APw-rfe"))))
    match = compile_pattern("", "Archive/*", "/")
    show("a name against a pattern", microseconds(lambda: match("Archive/2024/08")))


def main() -> None:
    small = re.compile(b"a+")
    show("yardstick: one match", microseconds(lambda: small.match(b"aaa")))
    parsing()
    octet_by_octet()
    sets()
    fetch_lines()
    names()


if __name__ == "__main__":
    main()
