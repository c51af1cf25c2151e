"""A message for scripts made from text, and a caller that answers questions from a dict."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Callable, Mapping, Sequence
from email.header import decode_header, make_header
from email.message import Message
from email.utils import getaddresses
from typing import Any

from mas.sieve.compiler import compile_script
from mas.sieve.definition import Registry
from mas.sieve.extensions import ASKING, OPTIONAL, default_registry
from mas.sieve.interpreter import Result, Run
from mas.sieve.limits import Limits
from mas.sieve.message import Transaction
from mas.sieve.program import Program
from mas.sieve.questions import Question

EVERYTHING = default_registry(add=(*OPTIONAL, *ASKING))


def _decoded(value: str) -> str:
    return str(make_header(decode_header(value.replace("\r\n", "").replace("\n", ""))))


class Part:
    """A PartView over the standard library's message."""

    def __init__(self, message: Message) -> None:
        self._message = message
        self.content_type = message.get_content_type()
        self.parameters: Sequence[tuple[str, str]] = message.get_params() or []
        self.disposition = message.get_content_disposition() or ""
        payload = message.get_payload()
        self.children: Sequence[Part] = (
            [Part(child) for child in payload if isinstance(child, Message)] if isinstance(payload, list) else []
        )

    def header(self, name: str) -> Sequence[str]:
        return [_decoded(str(value)) for key, value in self._message.items() if key.lower() == name]

    def encoded(self, name: str) -> Sequence[str]:
        return [str(value).replace("\n", "") for key, value in self._message.items() if key.lower() == name]

    def text(self) -> str:
        payload = self._message.get_payload(decode=True)
        if not isinstance(payload, bytes):
            return ""
        return payload.decode(self._message.get_content_charset("utf-8"), "replace")

    def raw(self) -> str:
        return self._message.as_string().partition("\n\n")[2]


class TextMessage:
    """A MessageView over a text with any line ends."""

    def __init__(self, text: str) -> None:
        self._message = email.message_from_string(text)
        self.size = len(text.encode())
        self.root = Part(self._message)

    def header(self, name: str) -> Sequence[str]:
        return self.root.header(name)

    def encoded(self, name: str) -> Sequence[str]:
        return self.root.encoded(name)

    def fields(self) -> Sequence[tuple[str, str]]:
        return [(name, _decoded(str(value))) for name, value in self._message.items()]

    def addresses(self, value: str) -> Sequence[str]:
        return [address for _, address in getaddresses([value]) if address]


MAIL = """\
From: Kim Example <kim@example.org>
To: lee+lists@example.net, Pat <pat@example.net>
Cc: undisclosed
Subject: [list] Quarterly report =?utf-8?q?f=C3=BCr_M=C3=A4rz?=
Date: Tue, 03 Mar 2026 09:30:00 +0100
Message-ID: <1@example.org>
X-Spam-Score: 7.5
X-Number: 12
Received: from a by b; Tue, 03 Mar 2026 09:31:00 +0100
Received: from c by a; Tue, 03 Mar 2026 09:30:30 +0100
Content-Type: multipart/mixed; boundary="b1"

--b1
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Hello Lee, the money is h=C3=A9re.
--b1
Content-Type: text/html

<b>Dear Lee</b>
--b1
Content-Type: application/pdf; name="report.pdf"
Content-Disposition: attachment; filename="report.pdf"

%PDF
--b1--
"""
TRANSACTION = Transaction("kim-bounces@example.org", "lee+lists@example.net", own_addresses=("lee@example.net",))


def compile_text(script: str, registry: Registry = EVERYTHING, limits: Limits | None = None) -> Program:
    """Compile a script given as text."""
    return compile_script(script.encode(), registry, limits, "test")


def run_script(
    *scripts: str | Program,
    mail: str = MAIL,
    answers: Mapping[type, Callable[[Any], Any]] | None = None,
    transaction: Transaction = TRANSACTION,
    registry: Registry = EVERYTHING,
    **options: Any,
) -> Result:
    """Run scripts over a mail. ``answers``: question type -> function of the question; ReadBody is answered from the mail."""
    message = TextMessage(mail)
    programs = [script if isinstance(script, Program) else compile_text(script, registry) for script in scripts]
    run = Run(registry, message, transaction, **options)
    generator = run.scripts(programs)
    answer: Any = None
    while True:
        try:
            question: Question = generator.send(answer)
        except StopIteration as stop:
            result: Result = stop.value
            return result
        if answers and type(question) in answers:
            answer = answers[type(question)](question)
        else:
            assert type(question).__name__ == "ReadBody", f"nobody answers {question}"
            answer = message.root
