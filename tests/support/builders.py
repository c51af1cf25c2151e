"""Mail for tests: small, complete, and the same on every run."""

from __future__ import annotations

TEMPLATE = """\
From: {sender}
To: {to}
Subject: {subject}
Date: {date}
Message-ID: <{number}@example.net>
MIME-Version: 1.0
Content-Type: text/plain; charset=us-ascii

{text}
"""


def message(
    number: int = 1,
    *,
    subject: str | None = None,
    sender: str = "Robin Example <robin@example.org>",
    to: str = "kim@example.net",
    date: str = "Mon, 2 Nov 2026 10:00:00 +0100",
    text: str | None = None,
) -> bytes:
    """A message with CRLF line ends."""
    made = TEMPLATE.format(
        number=number,
        subject=f"message {number}" if subject is None else subject,
        sender=sender,
        to=to,
        date=date,
        text=f"This is message {number}." if text is None else text,
    )
    return made.replace("\n", "\r\n").encode()


MULTIPART = (
    b"From: Robin <robin@example.org>\r\n"
    b"To: kim@example.net\r\n"
    b"Subject: two parts\r\n"
    b"Date: Mon, 2 Nov 2026 10:00:00 +0100\r\n"
    b"Message-ID: <multipart@example.net>\r\n"
    b"MIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="edge"\r\n'
    b"\r\n"
    b"A preamble.\r\n"
    b"--edge\r\n"
    b"Content-Type: text/plain; charset=us-ascii\r\n"
    b"\r\n"
    b"Hello.\r\n"
    b"--edge\r\n"
    b"Content-Type: application/octet-stream\r\n"
    b"Content-Transfer-Encoding: base64\r\n"
    b"Content-Disposition: attachment; filename=data.bin\r\n"
    b"\r\n"
    b"AAECAwQ=\r\n"
    b"--edge--\r\n"
)
"""A text and an attachment of five octets."""
