"""Composed messages, read back by the standard library."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Sequence
from email.message import EmailMessage

import pytest

from mas.outgoing import compose
from mas.outgoing.compose import Original

NOW = 1_790_000_000.0
HEADER: dict[str, Sequence[str]] = {
    "subject": ["Größe\r\nBcc: evil@example.com"],
    "message-id": ["<1@example.org>"],
    "from": ["Kim <kim@example.org>"],
    "to": ["lee@example.net"],
}
BLOCK = b"Subject: x\r\nTo: lee@example.net\r\n\r\n"


def original(sender: str = "kim@example.org", **header: str) -> Original:
    fields = HEADER | {name.replace("_", "-"): [value] for name, value in header.items()}
    return Original(fields, BLOCK, sender, "lee@example.net")


def read(data: bytes) -> EmailMessage:
    message = email.message_from_bytes(data, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert b"\n" not in data.replace(b"\r\n", b"")
    return message


def test_vacation_reply() -> None:
    data = compose.vacation(
        original(references="<0@example.org>"),
        reason="Bin weg, größer.\r\nBis bald",
        subject="",
        sender="",
        mime=False,
        message_id="<2@example.net>",
        now=NOW,
    )
    reply = read(data)
    assert reply["To"] == "kim@example.org"
    assert reply["From"] == "lee@example.net"
    assert reply["Subject"] == "Auto: Größe Bcc: evil@example.com"
    assert reply["Bcc"] is None
    assert reply["In-Reply-To"] == "<1@example.org>"
    assert reply["References"] == "<0@example.org> <1@example.org>"
    assert reply["Auto-Submitted"] == "auto-replied (vacation)"
    assert reply.get_content().splitlines() == ["Bin weg, größer.", "Bis bald"]


def test_vacation_reply_with_an_entity_of_the_script() -> None:
    entity = "Content-Type: text/html; charset=utf-8\r\nX-Other: no\r\n\r\n<b>größer</b>\r\n"
    data = compose.vacation(
        original(),
        reason=entity,
        subject="S",
        sender="Lee <lee@example.net>",
        mime=True,
        message_id="<2@example.net>",
        now=NOW,
    )
    reply = read(data)
    assert reply.get_content_type() == "text/html"
    assert reply["X-Other"] is None
    assert reply["From"] == "Lee <lee@example.net>"
    assert "<b>größer</b>" in reply.get_content()


@pytest.mark.parametrize(
    ("sender", "header", "why"),
    [
        ("", {}, "<>"),
        ("LEE@example.net", {}, "is the user"),
        ("owner-list@example.org", {}, "a program"),
        ("list-request@example.org", {}, "a program"),
        ("MAILER-DAEMON@example.org", {}, "a program"),
        ("kim@example.org", {"list_id": "<l.example.org>"}, "mailing list"),
        ("kim@example.org", {"auto_submitted": "auto-generated; x=y"}, "automatically"),
        ("kim@example.org", {"precedence": "bulk"}, "precedence"),
        ("kim@example.org", {"x_auto_response_suppress": "OOF, AutoReply"}, "no automatic reply"),
    ],
)
def test_no_vacation_reply(sender: str, header: dict[str, str], why: str) -> None:
    assert why in compose.no_reply_because(original(sender, **header), ["lee@example.net"], [["lee@example.net"]])


def test_vacation_reply_is_due_only_to_mail_addressed_to_the_user() -> None:
    assert not compose.no_reply_because(original(), ["lee@example.net"], [["other@example.net", "Lee@Example.net"]])
    assert not compose.no_reply_because(original(auto_submitted="no"), ["lee@example.net"], [["lee@example.net"]])
    assert "none of the user's addresses" in compose.no_reply_because(
        original(), ["lee@example.net"], [["team@example.net"]]
    )


def test_rejection_is_a_disposition_notification() -> None:
    data = compose.rejection(
        original(),
        reason="Nein, danke: größer.",
        hostname="mx.example.net",
        postmaster="postmaster@example.net",
        message_id="<3@example.net>",
        now=NOW,
    )
    message = read(data)
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "disposition-notification"
    text, facts, header = message.iter_parts()
    assert "größer" in text.get_content()
    assert facts.get_content_type() == "message/disposition-notification"
    assert header.get_content_type() == "text/rfc822-headers"
    assert b"Final-Recipient: rfc822; lee@example.net" in data


def test_notification() -> None:
    recipients, data = compose.notification(
        original(),
        method="mailto:a%40b@example.net,c@example.net?cc=d@example.net&body=Hi%0D%0ABcc:x",
        message="",
        sender="",
        importance=1,
        hostname="mx",
        message_id="<4@example.net>",
        now=NOW,
    )
    assert recipients == ["a@b@example.net", "c@example.net", "d@example.net"]
    note = read(data)
    assert note["Auto-Submitted"].startswith("auto-notified")
    assert note["X-Priority"] == "1 (High)"
    assert note["Bcc"] is None
