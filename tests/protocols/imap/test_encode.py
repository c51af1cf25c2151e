"""Responses to octets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mas.protocols.imap import encode, responses
from mas.protocols.imap.commands import StatusItem
from mas.protocols.imap.cursor import Cursor
from mas.protocols.imap.responses import Condition, EsearchData, ListData, QuotaResource
from mas.storage.model import MailboxName

STRINGS = [
    (b"", b'""'),
    (b"plain text", b'"plain text"'),
    (b'a"b\\c', b'"a\\"b\\\\c"'),
    (b"a\r\nb", b"{4}\r\na\r\nb"),
    (b"\xc3\xbc", b"{2}\r\n\xc3\xbc"),
    (b"a\0", b"~{2}\r\na\0"),
]


@pytest.mark.parametrize(("octets", "wire"), STRINGS)
def test_string(octets: bytes, wire: bytes) -> None:
    assert encode.string(octets) == encode.nstring(octets) == wire
    assert encode.nstring(None) == b"NIL"


def test_astring() -> None:
    assert encode.astring(b"a]b&-") == b"a]b&-"
    assert encode.astring(b"nil") == b'"nil"'
    assert encode.astring(b"") == b'""'
    assert encode.astring(b"a b") == b'"a b"'
    assert encode.astring(b"a%") == b'"a%"'
    assert encode.astring("ü".encode()) == '"ü"'.encode()
    assert encode.astring("ü".encode(), utf8=False) == b"{2}\r\n\xc3\xbc"


@given(st.binary(max_size=40), st.booleans())
def test_what_is_written_is_read(octets: bytes, utf8: bool) -> None:
    for wire in (encode.string(octets, utf8=utf8), encode.astring(octets, utf8=utf8)):
        cursor = Cursor(wire)
        assert cursor.astring() == octets
        assert cursor.at_end()


LINES = [
    (encode.encode_status_response(Condition.OK, "done", tag=b"a"), b"a OK done\r\n"),
    (encode.encode_status_response(Condition.NO, b"x", tag=b"a", code=responses.CANNOT), b"a NO [CANNOT] x\r\n"),
    (encode.encode_status_response(Condition.BYE, "a\r\nb OK ü"), b"* BYE a b OK ?\r\n"),
    (encode.encode_status_response(Condition.BAD, ""), b"* BAD .\r\n"),
    (encode.encode_capability(b"IMAP4rev1 X"), b"* CAPABILITY IMAP4rev1 X\r\n"),
    (encode.encode_enabled([]), b"* ENABLED\r\n"),
    (encode.encode_enabled(["QRESYNC"]), b"* ENABLED QRESYNC\r\n"),
    (encode.encode_id([("name", "M"), ("x", None)]), b'* ID ("name" "M" "x" NIL)\r\n'),
    (encode.encode_id([]), b"* ID NIL\r\n"),
    (encode.encode_flags([b"\\Seen", b"kw"]), b"* FLAGS (\\Seen kw)\r\n"),
    (encode.encode_exists(2) + encode.encode_recent(0), b"* 2 EXISTS\r\n* 0 RECENT\r\n"),
    (encode.encode_expunges([3, 3]), b"* 3 EXPUNGE\r\n* 3 EXPUNGE\r\n"),
    (encode.encode_vanished_earlier([(1, 3), (7, 7)]), b"* VANISHED (EARLIER) 1:3,7\r\n"),
    (encode.encode_vanished([7]), b"* VANISHED 7\r\n"),
    (encode.encode_namespace("."), b'* NAMESPACE (("" ".")) NIL NIL\r\n'),
    (
        encode.encode_list(ListData(MailboxName("a b"), (b"\\HasChildren", b"\\Junk"), "."), False),
        b'* LIST (\\HasChildren \\Junk) "." "a b"\r\n',
    ),
    (encode.encode_list(ListData(MailboxName("ü")), False, b"LSUB"), b'* LSUB () "/" &APw-\r\n'),
    (encode.encode_list(ListData(MailboxName("ü"), (), "\\"), True), '* LIST () "\\\\" "ü"\r\n'.encode()),
    # [RFC9051 6.3.9.8] examples
    (
        encode.encode_list(ListData(MailboxName("foo"), child_info=("SUBSCRIBED",)), False),
        b'* LIST () "/" foo ("CHILDINFO" ("SUBSCRIBED"))\r\n',
    ),
    (
        encode.encode_list(ListData(MailboxName("b"), old_name=MailboxName("a")), False),
        b'* LIST () "/" b ("OLDNAME" (a))\r\n',
    ),
    (
        encode.encode_status(
            b"x", [(StatusItem.MESSAGES, 1), (StatusItem.MAILBOXID, "F1"), (StatusItem.APPENDLIMIT, None)]
        ),
        b"* STATUS x (MESSAGES 1 MAILBOXID (F1) APPENDLIMIT NIL)\r\n",
    ),
    (encode.encode_search([2, 84, 882]), b"* SEARCH 2 84 882\r\n"),
    (encode.encode_search([2], 917162500), b"* SEARCH 2 (MODSEQ 917162500)\r\n"),
    (encode.encode_search([], 5), b"* SEARCH\r\n"),
    (
        encode.encode_esearch(EsearchData(b"A285", True, min=7, max=3800)),
        b'* ESEARCH (TAG "A285") UID MIN 7 MAX 3800\r\n',
    ),
    (encode.encode_esearch(EsearchData(b"a", False, all=[])), b'* ESEARCH (TAG "a")\r\n'),
    (
        encode.encode_esearch(EsearchData(b"a\\", False, all=[2, 3, 9], count=3, modseq=4)),
        b'* ESEARCH (TAG "a\\\\") ALL 2:3,9 COUNT 3 MODSEQ 4\r\n',
    ),
    (
        encode.encode_quota("User quota", [QuotaResource("STORAGE", 10, 512)]),
        b'* QUOTA "User quota" (STORAGE 10 512)\r\n',
    ),
    (encode.encode_quota("", []), b'* QUOTA "" ()\r\n'),
    (encode.encode_quotaroot(b"INBOX", ["", "a"]), b'* QUOTAROOT INBOX "" a\r\n'),
]


@pytest.mark.parametrize(("wire", "expected"), LINES)
def test_lines(wire: bytes, expected: bytes) -> None:
    assert wire == expected


CODES = [
    (responses.badcharset(), b"BADCHARSET"),
    (responses.badcharset("UTF-8", "US-ASCII"), b"BADCHARSET (UTF-8 US-ASCII)"),
    (responses.capability(b"IMAP4rev1"), b"CAPABILITY IMAP4rev1"),
    (responses.permanentflags([b"\\Seen", b"\\*"]), b"PERMANENTFLAGS (\\Seen \\*)"),
    (responses.uidnext(1), b"UIDNEXT 1"),
    (responses.uidvalidity(4294967295), b"UIDVALIDITY 4294967295"),
    (responses.unseen(3), b"UNSEEN 3"),
    (responses.highestmodseq((1 << 63) - 1), b"HIGHESTMODSEQ 9223372036854775807"),
    (responses.modified([7, 9]), b"MODIFIED 7,9"),
    (responses.appenduid(38505, [3955]), b"APPENDUID 38505 3955"),
    (responses.copyuid(38505, [304, 319, 320], [3956, 3957, 3958]), b"COPYUID 38505 304,319:320 3956:3958"),
    (responses.copyuid(1, [5, 3], [1, 2]), b"COPYUID 1 5,3 1:2"),
    (responses.mailboxid("F1"), b"MAILBOXID (F1)"),
]


@pytest.mark.parametrize(("code", "expected"), CODES)
def test_codes(code: bytes, expected: bytes) -> None:
    assert code == expected
