"""FETCH lines, values and date-times."""

from __future__ import annotations

import datetime
import zoneinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mas.protocols.imap import commands
from mas.protocols.imap.arguments import parse_date_time
from mas.protocols.imap.commands import Att, FetchAtt
from mas.protocols.imap.cursor import Cursor
from mas.protocols.imap.encode_fetch import END, DateTimes, FetchPlan, clip, compile_fetch, literal_head, string_value
from mas.storage.model import Column
from tests.protocols.imap.wire import command


def items(text: bytes) -> tuple[FetchAtt, ...]:
    fetch = command(b"a FETCH 1 " + text)
    assert isinstance(fetch, commands.Fetch)
    return fetch.items


def plan(text: bytes, uid: bool = False) -> FetchPlan:
    return compile_fetch(items(text), uid)


def test_flags_only() -> None:
    made = plan(b"(FLAGS)", uid=True)
    assert (made.columns, made.headers, made.files) == ([], [], [])
    assert made.flags
    assert not made.modseq
    wire = made.lines([1, 2], [7, 9], [b"\\Seen", b""])
    assert wire == b"* 1 FETCH (UID 7 FLAGS (\\Seen))\r\n* 2 FETCH (UID 9 FLAGS ())\r\n"
    assert plan(b"FLAGS").lines([1], [7], [b"x"]) == b"* 1 FETCH (FLAGS (x))\r\n"


def test_uid_comes_first_and_once() -> None:
    for uid in (True, False):
        assert (
            plan(b"(FLAGS MODSEQ UID)", uid).lines([1], [7], [b""], [12])
            == b"* 1 FETCH (UID 7 FLAGS () MODSEQ (12))\r\n"
        )


def test_columns_in_the_order_asked() -> None:
    made = plan(b"(RFC822.SIZE ENVELOPE EMAILID FLAGS THREADID BODYSTRUCTURE)")
    assert made.columns == [Column.SIZE, Column.ENVELOPE, Column.EMAIL_ID, Column.BODYSTRUCTURE]
    wire = made.lines([3], [9], [b"\\Seen"], rows=[(9, 120, b"(E)", "M1", b"(B)")])
    assert wire == (
        b"* 3 FETCH (RFC822.SIZE 120 ENVELOPE (E) EMAILID (M1) FLAGS (\\Seen) THREADID NIL BODYSTRUCTURE (B))\r\n"
    )


def test_dates() -> None:
    made = plan(b"(INTERNALDATE SAVEDATE)")
    wire = made.lines([1], [1], rows=[(1, 0, 0)])
    assert wire.startswith(b'* 1 FETCH (INTERNALDATE "')
    assert b' SAVEDATE "' in wire


def test_header_items_stand_in_the_line() -> None:
    made = plan(b'(BODY.PEEK[HEADER.FIELDS (subject "%x")] UID)')
    assert made.files == []
    wire = made.lines([1], [7], headers=[[b"Subject: x\r\n\r\n"]])
    assert wire == b'* 1 FETCH (UID 7 BODY[HEADER.FIELDS (SUBJECT "%X")] {14}\r\nSubject: x\r\n\r\n)\r\n'


def test_sections_come_last() -> None:
    made = plan(b"(BODY[] FLAGS BINARY.SIZE[1] BODY[TEXT]<0.2>)")
    [head] = made.heads([1], [7], [b""])
    body, size, text = made.files
    wire = head + made.section(body, b"abc") + made.section(size, b"xy") + made.section(text, b"abc") + END
    assert wire == b"* 1 FETCH (FLAGS () BODY[] {3}\r\nabc BINARY.SIZE[1] 2 BODY[TEXT]<0> {2}\r\nab)\r\n"
    alone = plan(b"(BODY[1] BODY[2])")
    [head] = alone.heads([1], [7])
    assert head + alone.section(alone.files[0], b"") + alone.section(alone.files[1], b"") == (
        b"* 1 FETCH (BODY[1] {0}\r\n BODY[2] {0}\r\n"
    )


def test_header_of_a_part_needs_the_file() -> None:
    made = plan(b"(BODY[1.HEADER] BODY[HEADER] BINARY[])")
    assert [item.name for item in made.headers] == [b"BODY[HEADER]"]
    assert [item.name for item in made.files] == [b"BODY[1.HEADER]", b"BINARY[]"]


VALUES = [
    (b"BODY[]", b"abc", b"{3}\r\nabc"),
    (b"BODY[]", b"", b"{0}\r\n"),
    (b"BODY[]<1.1>", b"abc", b"{1}\r\nb"),
    (b"BODY[]<3.1>", b"abc", b"{0}\r\n"),
    (b"BODY[]<2.100>", b"abc", b"{1}\r\nc"),
    (b"BODY[]", b"a\0", b"{2}\r\na\x80"),
    (b"BINARY[1]", b"abc", b"{3}\r\nabc"),
    (b"BINARY[1]", b"a\0", b"~{2}\r\na\0"),
    (b"BINARY.SIZE[1]", b"a\0", b"2"),
    (b"RFC822.TEXT", b"a", b"{1}\r\na"),
]


@pytest.mark.parametrize(("item", "octets", "wire"), VALUES)
def test_values(item: bytes, octets: bytes, wire: bytes) -> None:
    assert string_value(items(item)[0], octets) == wire


def test_streams() -> None:
    whole, part, binary = items(b"(BODY[] BODY[]<5.10> BINARY[1])")
    assert clip(whole, 20) == (0, 20)
    assert clip(part, 20) == (5, 10)
    assert clip(part, 9) == (5, 4)
    assert clip(part, 3) == (3, 0)
    assert literal_head(whole, 20) == b"{20}\r\n"
    assert literal_head(binary, 20) == b"~{20}\r\n"


def test_no_item_is_forgotten() -> None:
    for att in Att:
        if att not in (Att.SECTION, Att.BINARY_SIZE):
            assert [item.att for item in plan(att.value.encode()).atts] == [att]


def test_date_time() -> None:
    utc = DateTimes(datetime.UTC)
    assert utc(0) == b'"01-Jan-1970 00:00:00 +0000"'
    assert utc(837596665) == b'"17-Jul-1996 09:44:25 +0000"'
    assert utc(-5) == b'"01-Jan-1970 00:00:00 +0000"'
    assert utc(1 << 60).startswith(b'"30-Dec-9999')


def test_date_time_over_a_change_of_clocks() -> None:
    berlin = DateTimes(zoneinfo.ZoneInfo("Europe/Berlin"))
    change = 1711846800  # 2024-03-31 01:00 UTC
    assert berlin(change - 1) == b'"31-Mar-2024 01:59:59 +0100"'
    assert berlin(change) == b'"31-Mar-2024 03:00:00 +0200"'
    assert berlin(change + 86400) == b'"01-Apr-2024 03:00:00 +0200"'
    west = DateTimes(datetime.timezone(-datetime.timedelta(hours=3, minutes=30)))
    assert west(0) == b'"31-Dec-1969 20:30:00 -0330"'


@given(st.integers(0, 253402214399), st.integers(-720, 840))
def test_date_time_is_read_back(seconds: int, minutes: int) -> None:
    made = DateTimes(datetime.timezone(datetime.timedelta(minutes=minutes)))
    assert parse_date_time(Cursor(made(seconds))) == seconds
