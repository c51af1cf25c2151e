"""The whole scan on arbitrary octets: it never raises, its offsets lie in the message, what it writes is IMAP, and its work is linear."""

from __future__ import annotations

import itertools
import mmap
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mas.errors import UnknownEncoding
from mas.storage.mime import parts, structure, window
from mas.storage.mime.header import header_fields, is_dropped, kept_header, served
from mas.storage.mime.limits import MimeLimits
from mas.storage.mime.parse import parse
from mas.storage.mime.section import Section, SectionText, resolve, section_octets, served_chunks, with_crlf
from mas.storage.mime.text import search_texts
from tests.storage.mime.nasty import messages
from tests.storage.mime.wire_check import check_body, check_envelope, read

LIMITS = MimeLimits()
MESSAGES = messages()

# Octets that mean something, glued together at random.
TOKENS = [
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b" ",
        b"\t",
        b":",
        b";",
        b'"',
        b"\\",
        b"(",
        b")",
        b"<",
        b">",
        b"@",
        b",",
        b".",
        b"=",
        b"?",
        b"-",
    ),
    *(
        b"--b",
        b"--b--",
        b"--bb",
        b"\n--b\n",
        b"\r\n--b\r\n",
        b"\n--b--\n",
        b"\n\n",
        b"\r\n\r\n",
        b"x",
        b"\xc3\xa4",
        b"\xff",
    ),
    *(
        b"Subject: ",
        b"From: ",
        b"To: ",
        b"Cc: a@b\n",
        b"Date: Mon, 2 Nov 2026 10:11:12 +0100\n",
        b"Message-ID: <a@b>\n",
    ),
    *(
        b"Content-Type: ",
        b"multipart/mixed; boundary=b\n\n",
        b"multipart/digest; boundary=bb\n\n",
        b"message/rfc822\n\n",
    ),
    *(
        b'Content-Type: multipart/alternative;\n boundary="b"\n\n--b\n',
        b"text/html; charset=utf-8\n",
        b"name*0*=utf-8''%41; name*1=b",
    ),
    *(
        b"Content-Transfer-Encoding: base64\n",
        b"Content-Transfer-Encoding: quoted-printable\n",
        b"aGVsbG8=",
        b"=3D",
        b"=\n",
    ),
    *(
        b"Content-Disposition: attachment; filename=x\n",
        b"Content-Language: en, de\n",
        b"=?utf-8?q?x?=",
        b"=?x?b?eA==?=",
        b"Grp: ",
    ),
]
MESSAGE = st.one_of(
    st.binary(max_size=300),
    st.lists(st.sampled_from(TOKENS), max_size=60).map(b"".join),
    st.tuples(
        st.sampled_from(sorted(MESSAGES.values())), st.integers(0, 400), st.lists(st.sampled_from(TOKENS), max_size=6)
    ).map(lambda t: t[0][: t[1]] + b"".join(t[2]) + t[0][t[1] :]),
)


def check(data: bytes, limits: MimeLimits = LIMITS) -> None:
    parsed = parse(data, limits)
    crlf = with_crlf(data)
    assert parsed.file_size == len(data)
    assert parsed.size == len(crlf)
    check_envelope(read(parsed.envelope))
    table = parts.unpack(parsed.parts)
    check_body(read(parsed.body), extended=False)
    check_body(read(parsed.bodystructure), extended=True)
    assert len(table) <= limits.max_parts + 1
    assert (table[0].start, table[0].end) == (0, len(data))
    for row, part in enumerate(table):
        above = table[part.parent]
        assert part.parent < row or row == 0
        assert above.body_start <= part.start or row == 0
        assert part.start <= part.body_start <= part.end <= above.end
        assert part.header_served == len(with_crlf(data[part.start : part.body_start]))
        assert part.body_served == len(with_crlf(data[part.body_start : part.end]))
    for earlier, later in itertools.pairwise(table):
        if earlier.parent == later.parent and earlier is not table[0]:
            assert earlier.end <= later.start
    header = section_octets(data, parsed.parts, Section(text=SectionText.HEADER))
    text = section_octets(data, parsed.parts, Section(text=SectionText.TEXT))
    whole = section_octets(data, parsed.parts, Section())
    assert header + text == whole == served(data)
    assert parsed.header_size == len(header)
    for numbers in ((), (1,), (2,), (1, 1), (1, 2), (2, 1), (1, 1, 1)):
        for word in SectionText:
            section = Section(numbers, word, (b"subject",) if "FIELDS" in word.value else ())
            found = section_octets(data, parsed.parts, section)
            extent = resolve(parsed.parts, section)
            if extent is not None and not section.fields:
                assert len(found) == extent.size
                assert b"".join(served_chunks(data, extent)) == found
            assert b"\0" not in found
        try:
            section_octets(data, parsed.parts, Section(numbers, decode=True))
        except UnknownEncoding:
            pass  # an answer
    if parsed.kept_header is not None:
        for names in ((b"subject", b"to"), (b"x",)):
            assert header_fields(parsed.kept_header, names, False) == header_fields(header, names, False)
        assert kept_header(parsed.kept_header) == parsed.kept_header
    for found_text in search_texts(data, parsed.parts, limits, headers=True, limit=10_000):
        assert isinstance(found_text, str)


@given(MESSAGE)
def test_any_octets(data: bytes) -> None:
    check(data)


def test_empty_part_before_an_outer_boundary() -> None:
    """The line end between both boundaries is the inner one's: its part, though empty, is not behind the end of its multipart."""
    check(b"\0\nContent-Type:multipart/x;boundary=\x01\n\n--\nContent-Type:multipart/x;boundary=b\n--b\n--")


@pytest.mark.parametrize("name", MESSAGES)
def test_odd_messages(name: str) -> None:
    check(MESSAGES[name])


@given(MESSAGE, st.integers(1, 4), st.integers(1, 4), st.integers(0, 60))
def test_small_limits(data: bytes, depth: int, most: int, header: int) -> None:
    check(data, MimeLimits(max_depth=depth, max_parts=most, max_header_size=header, max_parameters=1, max_addresses=2))


@given(MESSAGE, st.integers(2, 9))
def test_windows_do_not_show(data: bytes, size: int) -> None:
    """A memory map, read in windows so small that everything lies across two of them, is read like bytes."""
    expected = parse(data, LIMITS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(window, "WINDOW", size + 250)
        with mmap.mmap(-1, max(len(data), 1)) as mapped:
            mapped.write(data)
            if data:  # a map cannot be empty
                assert parse(mapped, LIMITS) == expected


def test_memory_map() -> None:
    data = MESSAGES["mp-nested"] * 3
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            parsed = parse(mapped, LIMITS)
            assert parsed == parse(data, LIMITS)
            assert section_octets(mapped, parsed.parts, Section((2,))) == b"AAAA"
            # Nothing keeps the map: it can be closed here.


def test_texts_and_keys() -> None:
    parsed = parse(
        b"Subject: =?utf-8?q?Re=3A_[list]_Gr=C3=BC=C3=9Fe?=\r\nFrom: =?utf-8?q?J=C3=BCrgen?= <Jay@Example.net>\r\n"
        b"To: G: a@b, C D <c@d>;\r\nDate: Sun, 1 Nov 2026 23:30:00 -0200\r\nMessage-ID: <M1@x>\r\n"
        b'References: <r1@x>\r\n <"r 2"@x>\r\nReceived: trace\r\nX-Odd : v\r\n\r\nbody\r\n',
        LIMITS,
    )
    umlaut = "U\N{COMBINING DIAERESIS}"
    assert parsed.texts["subject"] == f"RE: [LIST] GR{umlaut}ßE"
    assert parsed.texts["from"] == f"J{umlaut}RGEN <JAY@EXAMPLE.NET>"
    assert parsed.texts["to"] == "G: A@B, C D <C@D>;"
    assert parsed.texts["cc"] == ""
    assert (parsed.base_subject, parsed.is_reply) == (f"GR{umlaut}ßE", True)
    assert (parsed.sort_from, parsed.display_from) == ("JAY", f"J{umlaut}RGEN")
    assert (parsed.sort_to, parsed.display_to) == ("G", "G")
    assert parsed.sent_day == 20758
    assert parsed.sent_time == 20758 * 86400 + 25 * 3600 + 1800
    assert (parsed.message_id, parsed.references) == ("M1@x", ("r1@x", "r2@x"))
    assert "RECEIVED" not in parsed.header_text
    assert "X-ODD" in parsed.header_text
    assert is_dropped(b"received")


def test_limits_leave_the_rest_opaque() -> None:
    many = MESSAGES["mp-many"]
    parsed = parse(many, MimeLimits(max_parts=10))
    table = parts.unpack(parsed.parts)
    assert len(table) == 10
    assert table[-1].end == len(many)
    assert [part.end for part in table[:9]] == [len(many)] + [
        part.end for part in parts.unpack(parse(many, LIMITS).parts)[1:9]
    ]
    nested = MESSAGES["rfc822-nested"]
    assert b'"application" "octet-stream"' in parse(nested, MimeLimits(max_depth=1)).bodystructure
    long_header = b"Subject: x\r\nX: " + b"y" * 2000 + b"\r\nTo: late@example.net\r\n\r\nbody"
    parsed = parse(long_header, MimeLimits(max_header_size=1000))
    assert parsed.kept_header is None
    assert parsed.texts["to"] == ""
    assert parsed.header_size == len(long_header) - 4
    many_addresses = parse(MESSAGES["addr-many"], MimeLimits(max_addresses=7))
    assert many_addresses.envelope.count(b"example.net") == 7
    with pytest.raises(ValueError, match="mime_max_depth"):
        MimeLimits(max_depth=1000)


def repeated(piece: bytes, size: int = 1_000_000) -> bytes:
    return piece * (size // len(piece))


def nest(levels: int) -> bytes:
    return b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (i, i) for i in range(levels))


HOSTILE: dict[str, bytes] = {
    "boundary-like lines": b"Content-Type: multipart/mixed; boundary=b\n\n" + repeated(b"--a\n"),
    "boundary-like lines, nested": nest(100) + repeated(b"--a\n"),
    "prefixes of the boundary": b"Content-Type: multipart/mixed; boundary="
    + b"a" * 190
    + b"\n\n"
    + repeated(b"--" + b"a" * 189 + b"\n"),
    "boundaries": b"Content-Type: multipart/mixed; boundary=b\n\n" + repeated(b"--b\n"),
    "parts without blank lines": b"Content-Type: multipart/mixed; boundary=b\n\n" + repeated(b"--b\nX: y\n"),
    "multiparts in a row": b"Content-Type: multipart/mixed; boundary=b\n\n"
    + repeated(b"--b\nContent-Type: multipart/mixed; boundary=c\n\n"),
    "one boundary, ever deeper": repeated(b"Content-Type: multipart/mixed; boundary=b\n\n--b\n"),
    "deep": nest(20_000),
    "messages in messages": repeated(b"Content-Type: message/rfc822\n\n"),
    "digests": repeated(b"Content-Type: multipart/digest; boundary=b\n\n--b\n\n"),
    "header fields": repeated(b"X: y\n", 500_000) + b"\n",
    "header lines without colon": repeated(b"x\n", 500_000) + b"\n",
    "one long header line": b"Subject: " + b"x" * 1_000_000,
    "folded": b"Subject: x" + repeated(b"\n ", 900_000),
    "subjects": repeated(b"Subject: x\n", 900_000),
    "parentheses": b"From: " + b"(" * 900_000,
    "parentheses in a list": b"From: " + repeated(b"a (b,", 900_000),
    "quotes": b"From: " + repeated(b'"a,', 900_000),
    "backslashes": b'From: "' + b"\\" * 900_001,
    "angles": b"From: " + b"<" * 900_000,
    "routes": b"From: <" + repeated(b"@a,", 900_000),
    "colons": b"To: " + repeated(b"a:", 900_000),
    "groups": b"To: " + repeated(b"a:b@c;,", 900_000),
    "spaces": b"From: a@b," + b" " * 900_000 + b"!(",
    "words": b"From: " + repeated(b"a ", 900_000) + b"(",
    "dots": b"From: " + b"." * 900_000 + b"\nTo: " + b"a." * 50_000,
    "fields of addresses": repeated(b"To: a@b, c (d) <e@f>\n", 900_000),
    "parameters": b"Content-Type: text/plain" + repeated(b"; a=b", 900_000),
    "extended parameters": b"Content-Type: text/plain" + b"".join(b"; a*%d*=b" % (i % 1000) for i in range(80_000)),
    "semicolons": b"Content-Type: text/plain" + b";" * 900_000,
    "equals signs": b"Content-Type: text/plain;a" + b"=" * 900_000,
    "encoded words": b"Subject: " + repeated(b"=?utf-8?q?a?= ", 900_000),
    "broken encoded words": b"Subject: " + repeated(b"=?a?q?", 900_000) + repeated(b"=?", 50_000),
    "blobs": b"Subject: " + repeated(b"[a]", 900_000),
    "open blobs": b"Subject: re" + b"[" * 900_000,
    "replies": b"Subject: " + repeated(b"re: ", 900_000) + repeated(b"(fwd)", 50_000),
    "forwards": b"Subject: " + b"[fwd:" * 100_000 + b"]" * 100_000,
    "ids": b"References: " + repeated(b"<a@b> ", 900_000),
    "open ids": b"References: " + b"<" * 900_000,
    "date": b"Date: " + b"(" * 900_000,
    "date of spaces": b"Date: Mon" + b" " * 900_000,
    "languages": b"Content-Language: " + repeated(b"en,", 900_000),
    "html comments": b"Content-Type: text/html\n\n" + repeated(b"<!--"),
    "quoted-printable spaces": b"Content-Transfer-Encoding: quoted-printable\n\n" + b" " * 1_000_000 + b"x",
    "quoted-printable equals": b"Content-Transfer-Encoding: quoted-printable\n\n" + b"=" * 1_000_000,
    "base64 padding": b"Content-Transfer-Encoding: base64\n\n" + b"=" * 1_000_000,
    "base64 groups": b"Content-Transfer-Encoding: base64\n\n" + repeated(b"YQ=="),
    "nul": b"Subject: " + b"\0" * 900_000 + b"\n\n" + b"\0" * 100_000,
    "line ends": b"\n" * 500_000 + b"\r\n" * 200_000,
}


class Meter:
    """Counts the octets that the scan searches."""

    def __init__(self) -> None:
        self.octets = 0

    def find(self, data: window.Data, needle: bytes, start: int, end: int) -> int:
        found = window.find(data, needle, start, end)
        self.octets += (end if found < 0 else found) - start
        return found

    def count(self, data: window.Data, needle: bytes, start: int, end: int) -> int:
        self.octets += end - start
        return window.count(data, needle, start, end)

    def header_end(self, data: window.Data, start: int, end: int) -> int:
        found = window.header_end(data, start, end)
        self.octets += found - start
        return found


@pytest.fixture
def meter(monkeypatch: pytest.MonkeyPatch) -> Meter:
    metered = Meter()
    monkeypatch.setattr(structure, "find", metered.find)
    monkeypatch.setattr(structure, "count", metered.count)
    monkeypatch.setattr(structure, "header_end", metered.header_end)
    return metered


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_messages_are_linear(name: str, meter: Meter) -> None:
    """Work on offsets is counted; what regular expressions do shows by the test coming to its end."""
    data = HOSTILE[name]
    limits = MimeLimits(max_header_size=1_000_000)
    parsed = parse(data, limits)
    depth = max_depth(parsed.parts)
    assert meter.octets <= (depth + 4) * 4 * len(data)
    assert len(parsed.bodystructure) <= 60 * len(data)
    for headers in (True, False):
        for text in search_texts(data, parsed.parts, limits, headers=headers, limit=2_000_000):
            assert len(text) <= 4 * len(data) + 100
    section_octets(data, parsed.parts, Section(text=SectionText.HEADER_FIELDS, fields=(b"subject", b"x")))
    section_octets(data, parsed.parts, Section(text=SectionText.HEADER_FIELDS_NOT, fields=(b"subject", b"x")))
    try:
        section_octets(data, parsed.parts, Section((1,), decode=True))
    except UnknownEncoding:
        pass  # an answer


def max_depth(packed: bytes) -> int:
    depths: list[int] = []
    for row, part in enumerate(parts.unpack(packed)):
        depths.append(depths[part.parent] + 1 if row else 0)
    return max(depths)
