"""Whatever a stranger wrote, a message that is composed here has the fields that it should have, and each text comes back as it was."""

from __future__ import annotations

import email
import email.policy
import re
from email.header import decode_header, make_header
from email.utils import parseaddr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mas.outgoing import compose, fields
from mas.outgoing.compose import Original

FRAGMENTS = st.lists(
    st.sampled_from(
        [
            *(
                "=?utf-8?q?",
                "?=",
                "=?us-ascii?q?=0d=0aBcc:=20evil@example.com?=",
                "=?x?q?a?=",
                "\r\n",
                "\n",
                "\r",
                "\0",
            ),
            *(
                "\x0b",
                "\x0c",
                "\x85",
                "\u2028",
                "ü",
                "\ud800",
                "\udcff",
                "<",
                ">",
                "@",
                "a@b",
                ",",
                ";",
                ":",
                '"',
                "\\",
            ),
            *(
                "(",
                ")",
                "[",
                "]",
                "Bcc: evil@example.com",
                " ",
                "\t",
                "x" * 80,
                "x" * 1000,
                "é" * 300,
                "😀",
                "%0d%0aBcc:",
                "&to=",
            ),
        ]
    ),
    max_size=8,
).map("".join)
FIELDS = {
    *("message-id", "date", "from", "to", "subject", "in-reply-to", "references", "auto-submitted", "precedence", "cc"),
    *("x-auto-response-suppress", "x-priority", "mime-version", "content-type", "content-transfer-encoding"),
}


def composed(original: Original, text: str) -> list[bytes]:
    """One message of every kind."""
    facts = {"message_id": "<1@example.net>", "now": 1_790_000_000.0}
    return [
        *[
            compose.vacation(original, reason=text, subject=subject, sender=text, mime=mime, **facts)  # type: ignore[arg-type]
            for subject in ("", text)
            for mime in (False, True)
        ],
        compose.rejection(original, reason=text, hostname="mx", postmaster="p@example.net", **facts),  # type: ignore[arg-type]
        compose.notification(
            original,
            method=f"mailto:a@example.net?subject={text}",
            message=text,
            sender=text,
            importance=1,
            hostname="mx",
            **facts,  # type: ignore[arg-type]
        )[1],
        compose.report(
            original,
            original.block,
            feedback_type="abuse",
            text=text,
            address=text,
            headers_only=False,
            sender=text,
            **facts,  # type: ignore[arg-type]
        ),
    ]


@settings(max_examples=100, deadline=None)
@given(FRAGMENTS, FRAGMENTS, st.binary(max_size=20))
def test_nothing_becomes_a_field(one: str, other: str, block: bytes) -> None:
    header = {name: [one] for name in ("subject", "message-id", "references", "from", "to")}
    original = Original(header, b"Subject: " + block + b"\r\n\r\n", other, other)
    for data in composed(original, one):
        assert re.search(rb"(?<!\r)\n|\r(?!\n)", data) is None
        head = data.partition(b"\r\n\r\n")[0].split(b"\r\n")
        names = {line.partition(b":")[0].decode().lower() for line in head if line[:1] not in b" \t"}
        assert names <= FIELDS
        assert max(map(len, head)) <= 998


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "two  blanks",
        "größer",
        "=?us-ascii?q?=0d=0aBcc:=20evil@example.com?=",
        "x" * 1200,
        "😀" * 300,
        "a " * 100 + "b",
        "",
    ],
)
def test_text_comes_back(text: str) -> None:
    octets = fields.text_field("Subject", text)
    assert octets.startswith(b"Subject:")
    unfolded = octets.removesuffix(b"\r\n").replace(b"\r\n", b"").decode()
    assert str(make_header(decode_header(unfolded.removeprefix("Subject:").removeprefix(" ")))) == text
    assert max(map(len, octets.split(b"\r\n"))) <= 998


@pytest.mark.parametrize(
    ("given_address", "name", "address"),
    [
        ("kim@example.net", "", "kim@example.net"),
        ("Kim <kim@example.net>", "Kim", "kim@example.net"),
        ('"Kim, M." <kim@example.net>', "Kim, M.", "kim@example.net"),
        ('"a \\"b\\" \\\\ c" <kim@example.net>', 'a "b" \\ c', "kim@example.net"),
        ("größer <kim@example.net>", "größer", "kim@example.net"),
        ("Kim <kïm@exämple.net>", "Kim", "kïm@exämple.net"),
        ('"a b"@example.net', "", '"a b"@example.net'),
    ],
)
def test_addresses_come_back(given_address: str, name: str, address: str) -> None:
    octets = fields.address_field("To", [given_address, "robin@example.org"])
    first, _, second = octets.decode().removesuffix("\r\n").replace("\r\n", "").removeprefix("To:").rpartition(",")
    assert second.strip() == "robin@example.org"
    found_name, found = parseaddr(first)
    assert (str(make_header(decode_header(found_name))), found) == (name, address)


def test_a_list_of_addresses_is_one_field() -> None:
    octets = fields.address_field(
        "From", fields.split_addresses('"a, b" <a@example.net>, größer <b@exämple.net>,\r\nBcc: c@x')
    )
    assert octets.startswith(b'From: "a, b" <a@example.net>, =?utf-8?b?')
    assert b"\r\nB" not in octets


def test_mail_that_is_no_ascii_is_answered() -> None:
    """A sender of SMTPUTF8, and a header in raw UTF-8 or in Latin-1: every kind of answer can be composed."""
    block = "Subject: größer\r\nX-Old: ".encode() + b"gr\xf6\xdfer\r\n\r\n"
    original = Original({"subject": ["größer"], "message-id": ["<ü@x>"]}, block, "kïm@exämple.net", "leë@example.net")
    for data in composed(original, "größer\r\n"):
        read = email.message_from_bytes(data, policy=email.policy.SMTPUTF8)
        assert not read.defects
        assert data.isascii() or "größer".encode() in data or b"@ex" in data
    rejection = email.message_from_bytes(composed(original, "x")[4], policy=email.policy.SMTPUTF8)
    assert [part.get_content_type() for part in rejection.iter_parts()] == [
        "text/plain",
        "message/disposition-notification",
        "text/rfc822-headers",
    ]
    assert block.removesuffix(b"\r\n") in composed(original, "x")[4]
