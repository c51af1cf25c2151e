"""The first messages of a demo host: one of each kind that shows something in a mail client."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

_RECIPIENT = Address("Demo", "demo", "localhost")
_ROBIN = Address("Robin Example", "robin", "example.org")
_KAETHE = Address("Käthe Beispiel", "kaethe", "example.net")
_NEWS = Address("Example News", "news", "example.com")

# A PNG of one red pixel.
_PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108020000009077"
    "53de0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)


def messages() -> Iterator[tuple[str, bytes]]:
    """(sender, message) in the order of delivery; the dates are of the last days."""
    now = datetime.datetime.now().astimezone().replace(microsecond=0)

    def message(number: int, sender: Address, subject: str, text: str, hours: float) -> EmailMessage:
        made = EmailMessage(policy=SMTP)
        made["From"] = sender
        made["To"] = _RECIPIENT
        made["Subject"] = subject
        made["Date"] = format_datetime(now - datetime.timedelta(hours=hours))
        made["Message-ID"] = f"<demo-{number}@{sender.domain}>"
        made.set_content(text)
        return made

    plain = message(1, _ROBIN, "Welcome to MAS", "This message came in by LMTP, as Postfix would deliver it.\n", 50)
    yield _sent(plain, _ROBIN)

    html = message(2, _NEWS, "A message in two forms", "The plain form.\n", 30)
    html.add_alternative("<html><body><p>The <b>HTML</b> form.</p></body></html>\n", subtype="html")
    yield _sent(html, _NEWS)

    attached = message(3, _ROBIN, "With an attachment", "A picture of one pixel, and a list.\n", 20)
    attached.add_attachment(_PIXEL, maintype="image", subtype="png", filename="pixel.png")
    attached.add_attachment("apples\npears\n", subtype="plain", filename="Einkauf für Käthe.txt")
    yield _sent(attached, _ROBIN)

    asked = message(4, _KAETHE, "Grüße aus Köln – 你好", "Schöne Grüße! Wann sehen wir uns?\n", 10)
    yield _sent(asked, _KAETHE)

    answer = message(5, _ROBIN, "Re: Grüße aus Köln – 你好", "On Friday?\n\n> Wann sehen wir uns?\n", 6)
    answer["In-Reply-To"] = asked["Message-ID"]
    answer["References"] = asked["Message-ID"]
    answer["Cc"] = _KAETHE
    yield _sent(answer, _ROBIN)

    agreed = message(6, _KAETHE, "Re: Grüße aus Köln – 你好", "Freitag passt.\n\n> On Friday?\n", 1)
    agreed["In-Reply-To"] = answer["Message-ID"]
    agreed["References"] = f"{asked['Message-ID']} {answer['Message-ID']}"
    yield _sent(agreed, _KAETHE)


def _sent(message: EmailMessage, sender: Address) -> tuple[str, bytes]:
    return sender.addr_spec, message.as_bytes()
