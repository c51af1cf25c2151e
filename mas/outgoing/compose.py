"""The messages that a script's actions send, as octets; and whether a vacation reply is due. Pure.

[RFC5230 5] vacation replies, [RFC3834] automatic responses, [RFC5429 2.1.2, 2.2] rejections, [RFC5436 2.7] notifications.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.header import Header
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import format_datetime, formataddr, parseaddr
from urllib.parse import unquote

_CRLF = policy.SMTP.clone(max_line_length=78)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
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
) -> bytes:
    """A vacation reply. [RFC5230 5] ``sender``: the ``:from``, or the recipient.

    subject: that of the script; without one it is the template, with the mail's own subject for ``%$`` in it, and where the mail has none,
    ``default_subject``. Cut after ``max_subject`` characters.
    """
    asked = original.first("subject")
    reply = _new(message_id, now)
    reply["From"] = _address(sender or original.recipient)
    reply["To"] = _address(original.sender)
    reply["Subject"] = _line(subject or (template.replace("%$", asked) if asked else default_subject))[:max_subject]
    _thread(reply, original)
    reply["Auto-Submitted"] = "auto-replied (vacation)"
    reply["Precedence"] = "bulk"
    reply["X-Auto-Response-Suppress"] = "All"
    if mime:
        return _with_entity(reply, reason)
    reply.set_content(reason.replace("\r\n", "\n"), cte="quoted-printable")
    return reply.as_bytes()


def rejection(original: Original, *, reason: str, hostname: str, postmaster: str, message_id: str, now: float) -> bytes:
    """A rejection as a disposition notification. [RFC5429 2.2] [RFC8098 3]"""
    reply = _new(message_id, now)
    reply["From"] = formataddr(("Mail Delivery Subsystem", postmaster))
    reply["To"] = _address(original.sender)
    reply["Subject"] = _line(f"Rejected: {original.first('subject')}")[:MAX_SUBJECT]
    _thread(reply, original)
    reply["Auto-Submitted"] = "auto-replied (rejected)"
    reply["Precedence"] = "bulk"
    reply.make_mixed()
    reply.set_type("multipart/report")
    reply.set_param("report-type", "disposition-notification")
    text = EmailMessage(_CRLF)
    text.set_content(
        f"Your message to <{original.recipient}> was automatically rejected:\n\n{reason.replace(chr(13) + chr(10), chr(10))}\n",
        cte="quoted-printable",
    )
    reply.attach(text)
    facts = [
        f"Reporting-UA: {hostname}; MAS",
        f"Final-Recipient: rfc822; {_line(original.recipient)}",
        "Disposition: automatic-action/MDN-sent-automatically; deleted",
    ]
    if original.first("message-id"):
        facts.insert(2, f"Original-Message-ID: {_line(original.first('message-id'))}")
    reply.attach(_part("message/disposition-notification", "\r\n".join(facts) + "\r\n"))
    reply.attach(_part("text/rfc822-headers", original.block.decode("utf-8", "surrogateescape")))
    return reply.as_bytes()


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
        more.setdefault(name.lower(), []).append(_line(unquote(value)))
    cc = [address.strip() for value in more.get("cc", ()) for address in value.split(",") if address.strip()]
    to += [address.strip() for value in more.get("to", ()) for address in value.split(",") if address.strip()]
    note = _new(message_id, now)
    note["From"] = _address(sender or original.recipient)
    note["To"] = ", ".join(to)
    if cc:
        note["Cc"] = ", ".join(cc)
    subject = message or (more["subject"][0] if more.get("subject") else "")
    note["Subject"] = _line(subject or f"[SIEVE] New mail: {original.first('subject')}")[:MAX_SUBJECT]
    if original.first("message-id"):
        note["References"] = _line(original.first("message-id"))[:MAX_REFERENCES]
    note["Auto-Submitted"] = f'auto-notified; owner-email="{_line(original.recipient)}"'
    note["X-Priority"] = {1: "1 (High)", 3: "5 (Low)"}.get(importance, "3 (Normal)")
    body = (
        "\n".join(more.get("body", ()))
        or f"From: {_line(original.first('from'))}\nSubject: {_line(original.first('subject'))}\n"
    )
    note.set_content(body, cte="quoted-printable")
    return [*to, *cc], note.as_bytes()


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
    note = _new(message_id, now)
    note["From"] = _address(sender)
    note["To"] = _address(address)
    note["Subject"] = _line(f"Report: {original.first('subject')}")[:MAX_SUBJECT]
    note["Auto-Submitted"] = "auto-generated"
    note.make_mixed()
    note.set_type("multipart/report")
    note.set_param("report-type", "feedback-report")
    words = EmailMessage(_CRLF)
    words.set_content(text.replace("\r\n", "\n"), cte="quoted-printable")
    note.attach(words)
    facts = [
        f"Feedback-Type: {feedback_type}",
        "User-Agent: MAS",
        "Version: 1",
        f"Original-Rcpt-To: {_line(original.recipient)}",
    ]
    note.attach(_part("message/feedback-report", "\r\n".join(facts) + "\r\n"))
    kind = "text/rfc822-headers" if headers_only else "message/rfc822"
    note.attach(_part(kind, (original.block if headers_only else whole).decode("utf-8", "surrogateescape")))
    return note.as_bytes()


def _new(message_id: str, now: float) -> EmailMessage:
    message = EmailMessage(_CRLF)
    message["Message-ID"] = message_id
    message["Date"] = format_datetime(datetime.fromtimestamp(int(now), UTC).astimezone())
    return message


def _thread(reply: EmailMessage, original: Original) -> None:
    asked = _line(original.first("message-id"))
    if not asked:
        return
    reply["In-Reply-To"] = asked[:MAX_REFERENCES]
    earlier = _line(original.first("references") or original.first("in-reply-to"))
    reply["References"] = (
        f"{earlier[-MAX_REFERENCES:].partition(' ')[2] if len(earlier) > MAX_REFERENCES else earlier} {asked}".strip()
    )


def _line(text: str) -> str:
    """One line: no control characters, so that nothing a sender wrote becomes a header field."""
    return _CONTROL.sub(" ", text).strip()


def _address(text: str) -> str:
    name, address = parseaddr(_line(text))
    return formataddr((str(Header(name, "utf-8")) if not name.isascii() else name, address or _line(text)), "utf-8")


def _part(kind: str, text: str) -> EmailMessage:
    part = EmailMessage(_CRLF)
    part["Content-Type"] = kind if kind != "text/rfc822-headers" else f"{kind}; charset=utf-8"
    part.set_payload(text)
    return part


def _with_entity(reply: EmailMessage, entity: str) -> bytes:
    """A reply whose body is a MIME entity that the script wrote: its header fields join the reply's. [RFC5230 4.4]"""
    data = entity.encode("utf-8")
    parsed = BytesParser(policy=policy.compat32).parsebytes(data, headersonly=True)
    lines = [f"{name}: {value}" for name, value in reply.items()]
    head = reply.as_bytes().partition(b"\r\n\r\n")[0] if lines else b""
    fields = [
        f"{name}: {' '.join(str(value).split())}".encode("utf-8", "replace")
        for name, value in parsed.items()
        if name.lower().startswith("content-")
    ]
    body = data.partition(b"\r\n\r\n")[2]
    return b"\r\n".join([head, b"MIME-Version: 1.0", *fields]) + b"\r\n\r\n" + body
