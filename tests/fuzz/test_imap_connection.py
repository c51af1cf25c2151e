"""Hostile input to the IMAP connection: the corpus of past failures, and commands made at random, in every connection state.

What must hold: no exception at all; the events do not depend on how the octets are cut; and after a command with correct framing, however
wrong its grammar, the next command is understood.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mas.protocols.imap import commands
from mas.protocols.imap.events import AppendDone, BadCommand, Event, ImapLimits, State
from mas.protocols.imap.parse_command import COMMANDS
from tests.protocols.imap.wire import Driver

pytestmark = pytest.mark.slow

CORPUS = sorted((Path(__file__).parent / "corpus" / "imap").iterdir())
STATES = [State.NOT_AUTHENTICATED, State.AUTHENTICATED, State.SELECTED]
LAST = commands.Noop(b"z")


def run(data: bytes, state: State, piece: int, *, accept: bool = True) -> Driver:
    driver = Driver(state, accept=accept)
    for place in range(0, len(data), piece):
        driver.feed(data[place : place + piece])
    return driver


def is_fatal(events: list[Event]) -> bool:
    return any(isinstance(event, BadCommand) and event.fatal for event in events)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("path", CORPUS, ids=[path.name for path in CORPUS])
def test_corpus(path: Path, state: State) -> None:
    data = path.read_bytes()
    for accept in (True, False):
        whole = run(data, state, len(data), accept=accept)
        assert run(data, state, 1 if len(data) < 5000 else 61, accept=accept).events == whole.events
        assert not any(isinstance(event, commands.Logout) for event in whole.events), "a literal was run"
        if data.endswith(b"z NOOP\r\n") and not is_fatal(whole.events):
            assert whole.events[-1] == LAST


PIECES = st.sampled_from(
    [
        *(name for name in COMMANDS),
        *b'( ) [ ] < > { } \\Seen \\Recent $ * 1:* 1,2 0 4294967296 INBOX &AP &- NIL " \\ ~ % BODY[] BODY.PEEK[HEADER.FIELDS'.split(),
        *b"(FLAGS) RETURN (ALL) CHARSET UTF-8 OR NOT SUBJECT SINCE 1-Jan-2024 UID (UNCHANGEDSINCE 1) FLAGS.SILENT +FLAGS".split(),
        *b'"a" "\\"" (MESSAGES) STATUS (QRESYNC (1 2)) UTF8 (USE (\\Junk)) = AHUAcA== <0.1> 1.2.MIME CHANGEDSINCE VANISHED'.split(),
    ]
)
TEXT = st.lists(
    st.one_of(PIECES, st.binary(max_size=6).filter(lambda octets: not set(octets) & set(b"\r\n"))), max_size=8
)
LITERAL = st.tuples(st.binary(max_size=30), st.sampled_from([b"", b"+"]), st.sampled_from([b"", b"~"]))
COMMAND = st.tuples(TEXT, st.lists(st.tuples(LITERAL, TEXT), max_size=3))


def harmless(text: list[bytes]) -> bytes:
    """Text that announces no literal of its own."""
    joined = b" ".join(text)
    return joined + b"." if joined.endswith(b"}") else joined


@settings(max_examples=300, deadline=None)
@given(st.lists(COMMAND, max_size=4), st.sampled_from(STATES), st.booleans())
def test_next_command_is_understood(
    made: list[tuple[list[bytes], list[tuple[tuple[bytes, bytes, bytes], list[bytes]]]]], state: State, accept: bool
) -> None:
    driver = Driver(
        state, accept=accept, limits=ImapLimits(max_bad_commands=1000, max_literal=50, max_literal_before_login=20)
    )
    for text, literals in made:
        send(driver, b"t " + harmless(text), literals)
        if driver.events and isinstance(driver.events[-1], commands.Idle):
            driver.feed(b"DONE\r\n")
        elif driver.events and isinstance(driver.events[-1], commands.Authenticate):
            driver.feed(b"*\r\n")
        if is_fatal(driver.events):
            return
        driver.feed(b"z NOOP\r\n")
        assert driver.events[-1] == LAST


def send(driver: Driver, text: bytes, literals: list[tuple[tuple[bytes, bytes, bytes], list[bytes]]]) -> None:
    """As a client: a synchronizing literal is sent when the server asks for it, and the command given up when it does not."""
    for (octets, plus, tilde), behind in literals:
        asked = len(driver.written)
        driver.feed(text + b" %b{%d%b}\r\n" % (tilde, len(octets), plus))
        if not plus and len(driver.written) == asked:
            return
        if is_fatal(driver.events):
            return
        if octets:  # b"" is the end of the stream
            driver.feed(octets)
        text = harmless(behind)
    driver.feed(text + b"\r\n")


@settings(max_examples=300, deadline=None)
@given(
    st.lists(PIECES | st.binary(max_size=8) | st.just(b"\r\n"), max_size=40), st.sampled_from(STATES), st.integers(1, 9)
)
def test_events_do_not_depend_on_the_cut(pieces: list[bytes], state: State, piece: int) -> None:
    data = b" ".join(pieces) + b"\r\n"
    assert run(data, state, piece).events == run(data, state, len(data)).events


def test_corpus_reaches_every_kind_of_event() -> None:
    seen = {type(event) for path in CORPUS for event in run(path.read_bytes(), State.SELECTED, 1 << 20).events}
    assert {BadCommand, AppendDone, commands.Append, commands.Idle, commands.Search, commands.Noop} <= seen
