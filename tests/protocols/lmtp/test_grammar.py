"""LMTP command lines: a table of (line, value), and any octets at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mas.protocols.lmtp.grammar import (
    Address,
    BadCommand,
    Bdat,
    Data,
    Help,
    Lhlo,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTls,
    Vrfy,
    parse_command,
)

KIM = Address("kim", "example.net")

GOOD = [
    (b"LHLO mail.example.net", Lhlo("mail.example.net")),
    (b"lhlo localhost ", Lhlo("localhost")),
    (b"LHLO [127.0.0.1]", Lhlo("[127.0.0.1]")),
    (b"LHLO [IPv6:2001:db8::1]", Lhlo("[IPv6:2001:db8::1]")),
    (b"MAIL FROM:<kim@example.net>", Mail(KIM)),
    (b"mail from:<kim@example.net>", Mail(KIM)),
    (b"MAIL FROM: <kim@example.net>", Mail(KIM)),
    (b"MAIL FROM:<>", Mail(None)),
    (b"MAIL FROM:<> SIZE=12", Mail(None, 12, False, {"SIZE": "12"})),
    (
        b"MAIL FROM:<kim@example.net> SIZE=12 BODY=8BITMIME smtputf8",
        Mail(KIM, 12, True, {"SIZE": "12", "BODY": "8BITMIME", "SMTPUTF8": ""}),
    ),
    (
        b"MAIL FROM:<kim@example.net> RET=HDRS ENVID=QQ+2B1 AUTH=<>",
        Mail(KIM, 0, False, {"RET": "HDRS", "ENVID": "QQ+2B1", "AUTH": "<>"}),
    ),
    (b"RCPT TO:<kim@example.net>", Rcpt(KIM)),
    (b"RCPT TO:<kim>", Rcpt(Address("kim"))),
    (b"RCPT TO:<kim+a.b@example.net>", Rcpt(Address("kim+a.b", "example.net"))),
    (b"RCPT TO:<a..b.@example.net>", Rcpt(Address("a..b.", "example.net"))),
    (b"RCPT TO:<@a.example,@b.example:kim@example.net>", Rcpt(KIM)),
    (b'RCPT TO:<"kim"@example.net>', Rcpt(KIM)),
    (b'RCPT TO:<"a b\\"\\\\>"@example.net>', Rcpt(Address('a b"\\>', "example.net"))),
    (b"RCPT TO:<kim@[192.0.2.1]>", Rcpt(Address("kim", "[192.0.2.1]"))),
    ("RCPT TO:<zoë@exämple.net>".encode(), Rcpt(Address("zoë", "exämple.net"))),
    (
        b"RCPT TO:<kim@example.net> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;info+2Bx@example.org",
        Rcpt(KIM, "info+x@example.org", {"NOTIFY": "SUCCESS,DELAY", "ORCPT": "rfc822;info+2Bx@example.org"}),
    ),
    (
        b"RCPT TO:<kim@example.net> ORCPT=utf-8;zo\\x{EB}@example.org",
        Rcpt(KIM, "zoë@example.org", {"ORCPT": "utf-8;zo\\x{EB}@example.org"}),
    ),
    (b"DATA", Data()),
    (b"data ", Data()),
    (b"BDAT 0 LAST", Bdat(0, True)),
    (b"bdat 86 last", Bdat(86, True)),
    (b"BDAT 86", Bdat(86)),
    (b"RSET", Rset()),
    (b"NOOP", Noop()),
    (b"NOOP whatever", Noop()),
    (b"VRFY kim", Vrfy("kim")),
    (b"HELP", Help()),
    (b"QUIT", Quit()),
    (b"STARTTLS", StartTls()),
]


@pytest.mark.parametrize(("line", "value"), GOOD)
def test_command(line: bytes, value: object) -> None:
    assert parse_command(line) == value


BAD = [
    (b"", 500, "5.5.1"),
    (b"EHLO x", 500, "5.5.1"),
    (b"HELO x", 500, "5.5.1"),
    (b"XCLIENT ADDR=192.0.2.1", 500, "5.5.1"),
    (b"GET / HTTP/1.1", 500, "5.5.1"),
    (b"\xff", 500, "5.5.2"),
    (b"LHLO", 501, "5.5.4"),
    (b"LHLO a b", 501, "5.5.4"),
    (b"LHLO (x)", 501, "5.5.4"),
    (b"LHLO " + b"a" * 300, 501, "5.5.4"),
    (b"MAIL", 501, "5.5.4"),
    (b"MAIL FROM", 501, "5.5.4"),
    (b"MAIL TO:<kim@example.net>", 501, "5.5.4"),
    (b"MAIL FROM:kim@example.net", 501, "5.1.3"),
    (b"MAIL FROM:<kim@example.net", 501, "5.1.3"),
    (b"MAIL FROM:<kim@>", 501, "5.1.3"),
    (b"MAIL FROM:<@example.net>", 501, "5.1.3"),
    (b"MAIL FROM:<kim@example.net>SIZE=1", 501, "5.5.4"),
    (b"MAIL FROM:<kim@example.net> SIZE=", 501, "5.5.4"),
    (b"MAIL FROM:<kim@example.net> SIZE=-1", 501, "5.5.4"),
    (b"MAIL FROM:<kim@example.net> SIZE=" + b"9" * 21, 501, "5.5.4"),
    (b"MAIL FROM:<kim@example.net> SIZE=1 SIZE=2", 501, "5.5.4"),
    (b"MAIL FROM:<kim@example.net> BODY=BINARYMIME", 501, "5.5.4"),
    (b"MAIL FROM:<kim@example.net> SMTPUTF8=yes", 501, "5.5.4"),
    (b"MAIL FROM:<kim@example.net> RET=ALL", 501, "5.5.4"),
    (b"MAIL FROM:<kim@example.net> ENVID", 501, "5.5.4"),
    (b"MAIL FROM:<kim@example.net> XYZ=1", 555, "5.5.4"),
    (b"MAIL FROM:<kim@example.net> =1", 501, "5.5.4"),
    (b"RCPT TO:<>", 501, "5.1.3"),
    (b"RCPT TO:<a b@example.net>", 501, "5.1.3"),
    (b'RCPT TO:<"a\x01b"@example.net>', 501, "5.1.3"),
    (b'RCPT TO:<""@example.net>', 501, "5.1.3"),
    (b"RCPT TO:<a\rb@example.net>", 501, "5.1.3"),
    (b"RCPT TO:<a@example.net\0>", 501, "5.1.3"),
    (b"RCPT TO:<a@-example.net>", 501, "5.1.3"),
    (b"RCPT TO:<" + b"a" * 600 + b"@example.net>", 501, "5.1.3"),
    (b"RCPT FROM:<kim@example.net>", 501, "5.5.4"),
    (b"RCPT TO:<kim@example.net> NOTIFY=NEVER,DELAY", 501, "5.5.4"),
    (b"RCPT TO:<kim@example.net> NOTIFY", 501, "5.5.4"),
    (b"RCPT TO:<kim@example.net> ORCPT=kim", 501, "5.5.4"),
    (b"RCPT TO:<kim@example.net> ORCPT=rfc822;a+0D+0AX:y", 501, "5.5.4"),
    (b"RCPT TO:<kim@example.net> ORCPT=utf-8;\\x{D800}", 501, "5.5.4"),
    (b"RCPT TO:<kim@example.net> ORCPT=utf-8;\\x{FFFFFF}", 501, "5.5.4"),
    (b"RCPT TO:<kim@example.net> SIZE=1", 555, "5.5.4"),
    (b"DATA now", 501, "5.5.4"),
    (b"BDAT", 501, "5.5.4"),
    (b"BDAT x", 501, "5.5.4"),
    (b"BDAT 5 FIRST", 501, "5.5.4"),
    (b"BDAT " + b"9" * 21, 501, "5.5.4"),
    (b"RSET x", 501, "5.5.4"),
    (b"QUIT x", 501, "5.5.4"),
]


@pytest.mark.parametrize(("line", "code", "status"), BAD)
def test_bad_command(line: bytes, code: int, status: str) -> None:
    command = parse_command(line)
    assert isinstance(command, BadCommand)
    assert (command.code, command.status) == (code, status)


def test_every_octet_in_a_dot_string() -> None:
    """atext = ALPHA / DIGIT / "!#$%&'*+-/=?^_`{|}~" [RFC5322 3.2.3], and the dot."""
    allowed = set(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-/=?^_`{|}~.")
    for octet in range(128):
        command = parse_command(b"RCPT TO:<a" + bytes([octet]) + b"b@example.net>")
        assert isinstance(command, Rcpt) == (octet in allowed), octet


ADDRESSES = st.builds(
    Address,
    st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=30),
    st.sampled_from(["", "example.net", "a-b.example", "[192.0.2.1]"]),
)


@given(ADDRESSES)
def test_an_address_survives_being_written(address: Address) -> None:
    assert parse_command(f"RCPT TO:<{address}>".encode()) == Rcpt(address)


@given(
    st.one_of(
        st.binary(max_size=200),
        st.builds(
            lambda verb, rest: verb + rest,
            st.sampled_from(
                [b"MAIL FROM:<", b"RCPT TO:<", b"LHLO ", b"BDAT ", b"RCPT TO:<a@b> ORCPT=", b"MAIL FROM:<> "]
            ),
            st.text(alphabet='<>@:"\\[]=;+\r\n\0 abAB019.,-é{}', max_size=60).map(str.encode),
        ),
    )
)
def test_any_line_is_a_command_or_a_bad_one(line: bytes) -> None:
    command = parse_command(line)
    if isinstance(command, BadCommand):
        assert 500 <= command.code <= 559
    if isinstance(command, Rcpt):
        assert str(command.forward_path).isprintable()
        assert command.original.isprintable()
    if isinstance(command, Mail) and command.reverse_path is not None:
        assert str(command.reverse_path).isprintable()
