"""The messages that a script's actions send, as octets; and whether a vacation reply is due. Pure.

[RFC5230 5] vacation replies, [RFC3834] automatic responses, [RFC5429 2.1.2, 2.2] rejections, [RFC5436 2.7] notifications.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import format_datetime
from hashlib import blake2b
from urllib.parse import unquote

from mas.outgoing.fields import address_field, ids_field, line, text_field

_CRLF = policy.SMTP.clone(max_line_length=78)
_LIST_FIELDS = ("list-id", "list-help", "list-subscribe", "list-unsubscribe", "list-post", "list-owner", "list-archive")
_OWN_FIELDS = ("to", "cc", "bcc", "resent-to", "resent-cc", "resent-bcc")
_ROBOTS = frozenset({"mailer-daemon", "listserv", "majordomo", "mailman", "noreply", "no-reply", "bounce", "bounces"})
MAX_SUBJECT = 256
MAX_REFERENCES = 2000


@dataclass(frozen=True, slots=True)
class Original:
    """What a reply must know of the message it answers: decoded header values by lower-case name, and its header block as octets."""

    header: Mapping[str, Sequence[str]]
    block: bytes
    sender: str
    recipient: str

    def first(self, name: str) -> str:
        """The first value of a field, empty without one."""
        values = self.header.get(name, ())
        return values[0] if values else ""


def no_reply_because(original: Original, own: Collection[str], addresses: Sequence[Sequence[str]]) -> str:
    """Why no vacation reply may go out; empty when it may. [RFC5230 4.5, 4.6] [RFC3834 2]

    own: the user's addresses. addresses: those of each own-address field (To, Cc, Bcc and their Resent- kin) of the message.
    """
    sender = original.sender.lower()
    mine = {address.lower() for address in own if address}
    local = sender.rpartition("@")[0]
    if not sender:
        return "the sender is <>"
    if sender in mine:
        return "the sender is the user"
    if local in _ROBOTS or local.startswith("owner-") or local.endswith(("-request", "-owner", "-bounces")):
        return f"the sender {original.sender} is a program"
    for name in _LIST_FIELDS:
        if original.header.get(name):
            return f"it came from a mailing list ({name})"
    submitted = original.first("auto-submitted").partition(";")[0].strip().lower()
    if submitted and submitted != "no":
        return f"it was sent automatically (auto-submitted: {submitted})"
    if original.first("precedence").strip().lower() in ("bulk", "junk", "list"):
        return "its precedence is bulk, junk or list"
    if any(word in original.first("x-auto-response-suppress").lower() for word in ("all", "oof")):
        return "it asks for no automatic reply"
    if not any(address.lower() in mine for field in addresses for address in field):
        return "none of the user's addresses is in To, Cc or Bcc"
    return ""


def own_fields() -> Sequence[str]:
    """The fields in which a user's own address must stand for a vacation reply."""
    return _OWN_FIELDS


def vacation(
    original: Original,
    *,
    reason: str,
    subject: str,
    sender: str,
    mime: bool,
    message_id: str,
    now: float,
    template: str = "Auto: %$",
    default_subject: str = "Automated reply",
    max_subject: int = MAX_SUBJECT,
    to: str = "",
) -> bytes:
    """A vacation reply. [RFC5230 5] ``sender``: the ``:from``, or the recipient. ``to``: for the To field, instead of the
    envelope sender.

    subject: that of the script; without one it is the template, with the mail's own subject for ``%$`` in it, and where the mail has none,
    ``default_subject``. Cut after ``max_subject`` characters.
    """
    asked = original.first("subject")
    head = [
        *_new(message_id, now),
        address_field("From", [sender or original.recipient]),
        address_field("To", [to or original.sender]),
        text_field(
            "Subject", line(subject or (template.replace("%$", asked) if asked else default_subject))[:max_subject]
        ),
        *_thread(original),
        b"Auto-Submitted: auto-replied (vacation)\r\n",
        b"Precedence: bulk\r\n",
        b"X-Auto-Response-Suppress: All\r\n",
    ]
    return b"".join(head) + (_entity(reason) if mime else _text(reason))


def rejection(original: Original, *, reason: str, hostname: str, postmaster: str, message_id: str, now: float) -> bytes:
    """A rejection as a disposition notification. [RFC5429 2.2] [RFC8098 3]"""
    head = [
        *_new(message_id, now),
        address_field("From", [f"Mail Delivery Subsystem <{postmaster}>"]),
        address_field("To", [original.sender]),
        text_field("Subject", line(f"Rejected: {original.first('subject')}")[:MAX_SUBJECT]),
        *_thread(original),
        b"Auto-Submitted: auto-replied (rejected)\r\n",
        b"Precedence: bulk\r\n",
    ]
    facts = [
        f"Reporting-UA: {hostname}; MAS",
        f"Final-Recipient: rfc822; {line(original.recipient)}",
        "Disposition: automatic-action/MDN-sent-automatically; deleted",
    ]
    if original.first("message-id"):
        facts.insert(2, f"Original-Message-ID: {line(original.first('message-id'))[:MAX_SUBJECT]}")
    parts = [
        _text(f"Your message to <{original.recipient}> was automatically rejected:\n\n{reason}\n"),
        _part("message/disposition-notification", "\r\n".join([*facts, ""]).encode()),
        _part("text/rfc822-headers; charset=utf-8", original.block),
    ]
    return b"".join(head) + _report("disposition-notification", parts)


def notification(
    original: Original,
    *,
    method: str,
    message: str,
    sender: str,
    importance: int,
    hostname: str,
    message_id: str,
    now: float,
) -> tuple[list[str], bytes]:
    """A mailto notification: its recipients and the message. [RFC5436 2.7]"""
    path, _, query = method.partition(":")[2].partition("?")
    to = [address.strip() for address in unquote(path).split(",") if address]
    more: dict[str, list[str]] = {}
    for pair in query.split("&") if query else []:
        name, _, value = pair.partition("=")
        more.setdefault(name.lower(), []).append(line(unquote(value)))
    cc = [address.strip() for value in more.get("cc", ()) for address in value.split(",") if address.strip()]
    to += [address.strip() for value in more.get("to", ()) for address in value.split(",") if address.strip()]
    subject = message or (more["subject"][0] if more.get("subject") else "")
    head = [
        *_new(message_id, now),
        address_field("From", [sender or original.recipient]),
        address_field("To", to),
        *([address_field("Cc", cc)] if cc else []),
        text_field("Subject", line(subject or f"[SIEVE] New mail: {original.first('subject')}")[:MAX_SUBJECT]),
        *([ids_field("References", asked[:MAX_REFERENCES])] if (asked := original.first("message-id")) else []),
        text_field("Auto-Submitted", f'auto-notified; owner-email="{line(original.recipient)}"'),
        text_field("X-Priority", {1: "1 (High)", 3: "5 (Low)"}.get(importance, "3 (Normal)")),
    ]
    body = (
        "\n".join(more.get("body", ()))
        or f"From: {line(original.first('from'))}\nSubject: {line(original.first('subject'))}\n"
    )
    return [*to, *cc], b"".join(head) + _text(body)


def report(
    original: Original,
    whole: bytes,
    *,
    feedback_type: str,
    text: str,
    address: str,
    headers_only: bool,
    sender: str,
    message_id: str,
    now: float,
) -> bytes:
    """An abuse report. [RFC5965 2]"""
    head = [
        *_new(message_id, now),
        address_field("From", [sender]),
        address_field("To", [address]),
        text_field("Subject", line(f"Report: {original.first('subject')}")[:MAX_SUBJECT]),
        b"Auto-Submitted: auto-generated\r\n",
    ]
    facts = [
        f"Feedback-Type: {line(feedback_type)}",
        "User-Agent: MAS",
        "Version: 1",
        f"Original-Rcpt-To: {line(original.recipient)}",
        "",
    ]
    parts = [
        _text(text),
        _part("message/feedback-report", "\r\n".join(facts).encode()),
        _part("text/rfc822-headers; charset=utf-8", original.block) if headers_only else _part("message/rfc822", whole),
    ]
    return b"".join(head) + _report("feedback-report", parts)


def _new(message_id: str, now: float) -> list[bytes]:
    date = format_datetime(datetime.fromtimestamp(int(now), UTC).astimezone())
    return [ids_field("Message-ID", message_id), text_field("Date", date)]


def _thread(original: Original) -> list[bytes]:
    asked = line(original.first("message-id"))
    if not asked:
        return []
    earlier = line(original.first("references") or original.first("in-reply-to"))
    if len(earlier) > MAX_REFERENCES:
        earlier = earlier[-MAX_REFERENCES:].partition(" ")[2]
    return [ids_field("In-Reply-To", asked[:MAX_REFERENCES]), ids_field("References", f"{earlier} {asked}")]


# Bodies, with their MIME fields and the blank line before them


def _text(text: str) -> bytes:
    body = EmailMessage(_CRLF)
    sound = text.encode("utf-8", "replace").decode()
    body.set_content(sound.replace("\r\n", "\n").replace("\r", "\n"), cte="quoted-printable")
    return body.as_bytes()


def _lines(octets: bytes) -> bytes:
    return octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")


def _part(kind: str, octets: bytes) -> bytes:
    encoding = "7bit" if octets.isascii() else "8bit"
    return f"Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode() + _lines(octets)


def _report(kind: str, parts: Sequence[bytes]) -> bytes:
    """[RFC6522 3]"""
    boundary = b"=_" + blake2b(b"".join(parts), digest_size=16).hexdigest().encode()
    encoding = b"7bit" if all(part.isascii() for part in parts) else b"8bit"
    head = b'MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=%s;\r\n boundary="%s"\r\n' % (
        kind.encode(),
        boundary,
    )
    body = b"".join([b"--%s\r\n%s\r\n" % (boundary, part) for part in parts])
    return head + b"Content-Transfer-Encoding: %s\r\n\r\n%s--%s--\r\n" % (encoding, body, boundary)


def _entity(entity: str) -> bytes:
    """A MIME entity that the script wrote, as the body of a reply: its header fields join the reply's. [RFC5230 4.4]"""
    data = _lines(entity.encode("utf-8", "replace"))
    parsed = BytesParser(policy=policy.compat32).parsebytes(data, headersonly=True)
    fields = [
        f"{line(name)}: {line(' '.join(str(value).split()))}\r\n".encode()
        for name, value in parsed.items()
        if name.lower().startswith("content-")
    ]
    return b"MIME-Version: 1.0\r\n" + b"".join(fields) + b"\r\n" + data.partition(b"\r\n\r\n")[2]
