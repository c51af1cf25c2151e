"""replace and enclose, carried out on the octets of a message. Pure. [RFC5703 5, 6]

A text that is put into a message is quoted-printable unless it can stand as it is; none of its lines can end a part of the message that
it is put into.
"""

from __future__ import annotations

import hashlib
import quopri
import re
from collections.abc import Sequence
from email.utils import formatdate

from mas.filtering.view import body
from mas.outgoing.fields import address_field, split_addresses, text_field
from mas.storage.mime.limits import MimeLimits
from mas.storage.mime.window import header_end

_FIELD = re.compile(rb"[^\n]*\n(?:[ \t][^\n]*\n)*")
_LONG_LINE = 900
_NOT_PLAIN = re.compile(rb"[\x00\r\x80-\xff]")


def replace_part(
    content: bytes, path: Sequence[int], text: str, *, mime: bool, subject: str, sender: str, limits: MimeLimits
) -> bytes | None:
    """The message with the part at ``path`` (child by child from the root) replaced; None when there is none.

    A part that is a message keeps its header but for what is about MIME. subject, sender: for the whole message alone, and not with
    ``mime``; what they take the place of is kept as Original-Subject and Original-From.
    """
    part, of_message = body(content, limits), True
    for number in path:
        if number >= len(part.children):
            return None
        of_message = part.content_type == "message/rfc822"
        part = part.children[number]
    start, end = part.extent
    old = content[start:end]
    fields = _fields(old) if of_message else []
    kept = [field for field in fields if not _is_mime(field)]
    if not path and not mime:
        if subject:
            kept = [*_renamed(kept, b"subject", b"Original-Subject"), text_field("Subject", subject)]
        if sender:
            kept = [*_renamed(kept, b"from", b"Original-From"), address_field("From", split_addresses(sender))]
    if mime:
        entity = _with_crlf(text)
        block = entity[: header_end(entity, 0, len(entity))]
        own = [field for field in _fields(entity) if _name(field).startswith(b"content-")]
        new = b"".join(own) + b"\r\n" + entity[len(block) :]
    else:
        new = _text_part(text)
    if of_message:
        kept.append(b"MIME-Version: 1.0\r\n")
    if not path and not new.endswith(b"\n"):
        new += b"\r\n"
    return content[:start] + b"".join(kept) + new + content[end:]


def enclose(content: bytes, text: str, *, subject: str, headers: Sequence[str], sender: str, now: float) -> bytes:
    """A new message: the text, and the old message as an attachment.

    headers: fields copied from the old one. Without ``subject`` its subject is the old one's. From is ``sender`` and Date is ``now``
    (seconds since the epoch), unless they are copied.
    """
    fields = _fields(content)
    wanted = {name.lower().encode("ascii", "replace") for name in headers}
    copied = [field for field in fields if _name(field) in wanted and not _is_mime(field)]
    if subject:
        copied = [field for field in copied if _name(field) != b"subject"]
        copied.append(text_field("Subject", subject))
    else:
        copied += [field for field in fields if _name(field) == b"subject" and b"subject" not in wanted]
    there = {_name(field) for field in copied}
    if b"from" not in there:
        copied.append(address_field("From", [sender]))
    if b"date" not in there:
        copied.append(text_field("Date", formatdate(now, localtime=True)))
    # Nobody who does not know the whole message can write this line into it.
    boundary = b"=_" + hashlib.sha256(b"%f" % now + content).hexdigest()[:40].encode()
    first = _text_part(text)
    return b"".join(
        [
            *copied,
            b"MIME-Version: 1.0\r\n",
            b'Content-Type: multipart/mixed; boundary="' + boundary + b'"\r\n\r\n',
            b"--" + boundary + b"\r\n" + first + (b"" if first.endswith(b"\r\n") else b"\r\n"),
            b"--" + boundary + b"\r\nContent-Type: message/rfc822\r\n\r\n",
            content + (b"" if content.endswith(b"\n") else b"\r\n"),
            b"--" + boundary + b"--\r\n",
        ]
    )


def _fields(content: bytes) -> list[bytes]:
    """The header fields, each with its line end."""
    block = content[: header_end(content, 0, len(content))]
    found = [field for field in _FIELD.findall(block) if field.strip()]
    rest = block[sum(map(len, _FIELD.findall(block))) :].strip()
    return [*found, rest + b"\r\n"] if rest else found


def _name(field: bytes) -> bytes:
    return field.partition(b":")[0].strip().lower()


def _is_mime(field: bytes) -> bool:
    return _name(field).startswith(b"content-") or _name(field) == b"mime-version"


def _renamed(fields: Sequence[bytes], name: bytes, new: bytes) -> list[bytes]:
    return [new + b":" + field.partition(b":")[2] if _name(field) == name else field for field in fields]


def _with_crlf(text: str) -> bytes:
    return text.replace("\r\n", "\n").replace("\n", "\r\n").encode("utf-8", "replace")


def _text_part(text: str) -> bytes:
    """A text/plain entity, header and all."""
    octets = _with_crlf(text)
    lines = octets.split(b"\r\n")
    head = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: "
    if not any(line.startswith(b"--") or len(line) > _LONG_LINE or _NOT_PLAIN.search(line) for line in lines):
        return head + b"7bit\r\n\r\n" + octets
    quoted = [re.sub(rb"^--", b"=2D-", quopri.encodestring(line)).replace(b"\n--", b"\n=2D-") for line in lines]
    return head + b"quoted-printable\r\n\r\n" + b"\r\n".join(quoted).replace(b"=\n", b"=\r\n")
