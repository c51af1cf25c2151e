"""FETCH and STORE."""

from __future__ import annotations

import pytest

from mas.protocols.imap.commands import Att, Fetch, FetchAtt, Store
from mas.protocols.imap.events import BadCommand
from mas.protocols.imap.numset import SAVED, STAR, SequenceSet
from mas.protocols.imap.parse_fetch import CACHED_LENGTH
from mas.storage.mime.section import Section, SectionText
from mas.storage.model import DELETED, SEEN, Flags, StoreOp
from tests.protocols.imap.wire import Driver, command

ONE = SequenceSet(((1, 1),))


def simple(*atts: Att) -> tuple[FetchAtt, ...]:
    return tuple(FetchAtt(att, att.value.encode()) for att in atts)


def section(name: bytes, value: Section, partial: tuple[int, int] | None = None, peek: bool = False) -> FetchAtt:
    return FetchAtt(Att.SECTION, name, value, partial, peek)


ITEMS: list[tuple[bytes, tuple[FetchAtt, ...]]] = [
    (b"FLAGS", simple(Att.FLAGS)),
    (b"(flags Uid)", simple(Att.FLAGS, Att.UID)),
    (b"( FLAGS FLAGS )", simple(Att.FLAGS)),
    (b"FAST", simple(Att.FLAGS, Att.INTERNAL_DATE, Att.SIZE)),
    (b"all", simple(Att.FLAGS, Att.INTERNAL_DATE, Att.SIZE, Att.ENVELOPE)),
    (b"FULL", simple(Att.FLAGS, Att.INTERNAL_DATE, Att.SIZE, Att.ENVELOPE, Att.BODY)),
    (
        b"(BODY BODYSTRUCTURE MODSEQ SAVEDATE EMAILID THREADID)",
        simple(Att.BODY, Att.BODYSTRUCTURE, Att.MODSEQ, Att.SAVE_DATE, Att.EMAIL_ID, Att.THREAD_ID),
    ),
    (b"BODY[]", (section(b"BODY[]", Section()),)),
    (b"body.peek[]", (section(b"BODY[]", Section(), peek=True),)),
    (b"BODY[text]", (section(b"BODY[TEXT]", Section(text=SectionText.TEXT)),)),
    (b"BODY[4.2.HEADER]", (section(b"BODY[4.2.HEADER]", Section((4, 2), SectionText.HEADER)),)),
    (b"BODY[1.MIME]", (section(b"BODY[1.MIME]", Section((1,), SectionText.MIME)),)),
    (b"BODY[1]<0.100>", (section(b"BODY[1]<0>", Section((1,)), (0, 100)),)),
    (
        b'BODY[HEADER.FIELDS (DATE "from" Date)]',
        (
            section(
                b"BODY[HEADER.FIELDS (DATE FROM DATE)]",
                Section(text=SectionText.HEADER_FIELDS, fields=(b"date", b"from")),
            ),
        ),
    ),
    (
        b'BODY.PEEK[1.HEADER.FIELDS.NOT ("x(y")]<2.3>',
        (
            section(
                b'BODY[1.HEADER.FIELDS.NOT ("X(Y")]<2>',
                Section((1,), SectionText.HEADER_FIELDS_NOT, (b"x(y",)),
                (2, 3),
                True,
            ),
        ),
    ),
    (b"RFC822", (section(b"RFC822", Section()),)),
    (b"RFC822.HEADER", (section(b"RFC822.HEADER", Section(text=SectionText.HEADER), peek=True),)),
    (b"RFC822.TEXT", (section(b"RFC822.TEXT", Section(text=SectionText.TEXT)),)),
    (b"BINARY[1.2]", (section(b"BINARY[1.2]", Section((1, 2), decode=True)),)),
    (b"BINARY.PEEK[]<1.2>", (section(b"BINARY[]<1>", Section(decode=True), (1, 2), True),)),
    (b"BINARY.SIZE[3]", (FetchAtt(Att.BINARY_SIZE, b"BINARY.SIZE[3]", Section((3,), decode=True)),)),
]


@pytest.mark.parametrize(("text", "items"), ITEMS)
def test_items(text: bytes, items: tuple[FetchAtt, ...]) -> None:
    assert command(b"a FETCH 1 " + text) == Fetch(b"a", False, ONE, items)
    # The same by the way that long items and those with literals take
    padded = b"a UID FETCH 1 " + text + b" " * (CACHED_LENGTH + 1)
    assert command(padded) == Fetch(b"a", True, ONE, items)


def test_literal_as_a_field_name() -> None:
    driver = Driver()
    for name in (b"from", b"to", b"from"):
        driver.feed(b"a FETCH 1 BODY.PEEK[HEADER.FIELDS ({%d+}\r\n%b)]\r\n" % (len(name), name))
    fields = [
        event.items[0].section.fields for event in driver.events if isinstance(event, Fetch) and event.items[0].section
    ]
    assert fields == [(b"from",), (b"to",), (b"from",)]


def test_sets_and_modifiers() -> None:
    star = SequenceSet(((1, STAR),))
    flags_modseq = simple(Att.FLAGS, Att.MODSEQ)
    assert command(b"a UID FETCH 1:* (FLAGS) (CHANGEDSINCE 12345 VANISHED)") == Fetch(
        b"a", True, star, flags_modseq, 12345, True
    )
    fetch = command(b"a FETCH $ (MODSEQ) ( changedsince 5 )")
    assert fetch == Fetch(b"a", False, SAVED, simple(Att.MODSEQ), 5)
    assert isinstance(fetch, Fetch)
    assert fetch.modseq
    assert not fetch.sets_seen
    body = command(b"a FETCH 1 (BODY.PEEK[] BODY[1])")
    assert isinstance(body, Fetch)
    assert body.sets_seen


BAD_FETCH = [
    b"FETCH 1",
    b"FETCH 1 ()",
    b"FETCH 1 (FLAGS",
    b"FETCH 1 FLAGS UID",
    b"FETCH 1 (FAST)",
    b"FETCH 1 FOO",
    b"FETCH 1 BODY.PEEK",
    b"FETCH 1 BODY[",
    b"FETCH 1 BODY[0]",
    b"FETCH 1 BODY[01]",
    b"FETCH 1 BODY[1.0]",
    b"FETCH 1 BODY[1..2]",
    b"FETCH 1 BODY[1.]",
    b"FETCH 1 BODY[99999999999]",
    b"FETCH 1 BODY[MIME]",
    b"FETCH 1 BODY[FOO]",
    b"FETCH 1 BODY[1TEXT]",
    b"FETCH 1 BODY[HEADER.FIELDS]",
    b"FETCH 1 BODY[HEADER.FIELDS ()]",
    b"FETCH 1 BODY[HEADER.FIELDS (a:b)]",
    b'FETCH 1 BODY[HEADER.FIELDS ("")]',
    b'FETCH 1 BODY[HEADER.FIELDS ("a b")]',
    b"FETCH 1 BODY[]<1>",
    b"FETCH 1 BODY[]<1.0>",
    b"FETCH 1 BODY[]<a.1>",
    b"FETCH 1 BINARY[TEXT]",
    b"FETCH 1 BINARY.SIZE[1]<0.1>",
    b"FETCH 1 FLAGS[]",
    b"FETCH 1 BODY[" + b"1." * 60 + b"1]",
    b"FETCH 1 FLAGS (CHANGEDSINCE)",
    b"FETCH 1 FLAGS (FOO 1)",
    b"FETCH 1 FLAGS (VANISHED)",
    b"FETCH 1 FLAGS (CHANGEDSINCE 1 CHANGEDSINCE 2)",
    b"FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)",
    b"FETCH 1 FLAGS CHANGEDSINCE 1",
    b"FETCH a FLAGS",
    b"FETCH FLAGS",
]


@pytest.mark.parametrize("line", BAD_FETCH)
def test_bad_fetch(line: bytes) -> None:
    assert isinstance(command(b"a " + line), BadCommand)


STORES = [
    (b"STORE 1 FLAGS (\\Seen)", Store(b"a", False, ONE, StoreOp.REPLACE, Flags(SEEN))),
    (b"STORE 1 FLAGS ()", Store(b"a", False, ONE, StoreOp.REPLACE, Flags())),
    (
        b"UID STORE 1 +Flags.Silent (\\seen $Junk)",
        Store(b"a", True, ONE, StoreOp.ADD, Flags(SEEN, frozenset({"$Junk"})), True),
    ),
    # node-imap and others: no parentheses; the ABNF has it for several flags as well
    (b"STORE 1 +FLAGS.SILENT \\Deleted", Store(b"a", False, ONE, StoreOp.ADD, Flags(DELETED), True)),
    (b"STORE 1 -FLAGS \\Deleted a", Store(b"a", False, ONE, StoreOp.REMOVE, Flags(DELETED, frozenset({"a"})))),
    (
        b"STORE 1 (UNCHANGEDSINCE 0) -flags (a)",
        Store(b"a", False, ONE, StoreOp.REMOVE, Flags(0, frozenset({"a"})), False, 0),
    ),
    (b"STORE 1 FLAGS (Aa aA)", Store(b"a", False, ONE, StoreOp.REPLACE, Flags(0, frozenset({"Aa"})))),
]


@pytest.mark.parametrize(("line", "value"), STORES)
def test_store(line: bytes, value: Store) -> None:
    assert command(b"a " + line) == value


BAD_STORE = [
    b"STORE 1 FLAGS",
    b"STORE 1 FLAGS \\Recent",
    b"STORE 1 FLAGS (\\Foo)",
    b"STORE 1 FLAGS (\\*)",
    b"STORE 1 FLAGS (a",
    b"STORE 1 FLAGS (a) b",
    b"STORE 1 FOO (a)",
    b"STORE 1 (FOO 1) FLAGS (a)",
    b"STORE 1 (UNCHANGEDSINCE) FLAGS (a)",
    b"STORE 1 (UNCHANGEDSINCE 1 UNCHANGEDSINCE 1) FLAGS (a)",
    b"STORE 1 UNCHANGEDSINCE 1 FLAGS (a)",  # must change nothing
    b"STORE FLAGS (a)",
]


@pytest.mark.parametrize("line", BAD_STORE)
def test_bad_store(line: bytes) -> None:
    assert isinstance(command(b"a " + line), BadCommand)
