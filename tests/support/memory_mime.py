"""Sections, ENVELOPE and BODYSTRUCTURE of well-formed mail, the short way: the model that the store's own MIME code is compared with."""

from __future__ import annotations

import base64
import binascii
import email.utils
import quopri
from dataclasses import dataclass, field
from email.message import Message
from email.parser import HeaderParser

from mas.storage.mime.section import Section, SectionText


@dataclass(slots=True)
class Part:
    """A message or a part: ``header`` with its blank line, ``body``, and what is inside."""

    header: bytes
    body: bytes
    default_type: str = "text/plain"
    children: list[Part] = field(default_factory=list)

    @property
    def fields(self) -> Message:
        return HeaderParser().parsestr(self.header.decode("utf-8", "replace"))

    @property
    def type(self) -> str:
        return self.fields.get_content_type() if "content-type" in self.fields else self.default_type

    @property
    def octets(self) -> bytes:
        return self.header + self.body


def parse(octets: bytes, default_type: str = "text/plain") -> Part:
    """A message or part and everything inside."""
    if octets.startswith(b"\r\n"):
        header, body = octets[:2], octets[2:]
    else:
        end = octets.find(b"\r\n\r\n")
        header, body = (octets, b"") if end < 0 else (octets[: end + 4], octets[end + 4 :])
    part = Part(header, body, default_type)
    if part.type.startswith("multipart/"):
        boundary = b"--" + str(part.fields.get_boundary()).encode()
        pieces = (b"\r\n" + body).split(b"\r\n" + boundary)
        inner = "message/rfc822" if part.type == "multipart/digest" else "text/plain"
        for piece in pieces[1:]:
            if piece.startswith(b"--"):
                break
            part.children.append(parse(piece.partition(b"\r\n")[2], inner))
    elif part.type == "message/rfc822":
        part.children.append(parse(body))
    return part


def find(root: Part, numbers: tuple[int, ...]) -> Part | None:
    """The part of a section's part numbers [RFC9051 6.4.5]."""
    part = root
    for place, number in enumerate(numbers):
        if place and part.type == "message/rfc822":
            part = part.children[0]
        if part.type.startswith("multipart/"):
            if number > len(part.children):
                return None
            part = part.children[number - 1]
        elif number != 1:
            return None
        elif place == 0:
            part = Part(b"", part.body, part.type, part.children) if part.type != "message/rfc822" else part
    return part


def section_of(octets: bytes, section: Section) -> bytes | None:
    """The octets of a section; ``b""`` when it does not exist, None when its transfer encoding is unknown or broken."""
    part = find(parse(octets), section.part)
    if part is None:
        return b""
    text = section.text
    if text is SectionText.MIME:
        return part.header
    if section.part and text is not SectionText.WHOLE:
        if part.type != "message/rfc822":
            return b""
        part = part.children[0]
    if text is SectionText.HEADER:
        return part.header
    if text is SectionText.TEXT:
        return part.body
    if text in (SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT):
        return chosen(part.header, section.fields, text is SectionText.HEADER_FIELDS)
    if not section.part:
        return part.octets
    return decoded(part) if section.decode else part.body


def chosen(header: bytes, names: tuple[bytes, ...], wanted: bool) -> bytes:
    """Header fields by name, with a blank line after them."""
    fields: list[bytes] = []
    for line in header.removesuffix(b"\r\n").splitlines(keepends=True):
        if line[:1] in b" \t" and fields:
            fields[-1] += line
        else:
            fields.append(line)
    kept = [text for text in fields if (text.partition(b":")[0].strip().lower() in names) is wanted]
    return b"".join(kept) + b"\r\n"


def decoded(part: Part) -> bytes | None:
    """A part's body without its transfer encoding."""
    encoding = str(part.fields.get("content-transfer-encoding", "7bit")).strip().lower()
    if encoding in ("7bit", "8bit", "binary"):
        return part.body
    try:
        if encoding == "base64":
            return base64.b64decode(b"".join(part.body.split()), validate=True)
    except binascii.Error:
        return None
    return quopri.decodestring(part.body) if encoding == "quoted-printable" else None


def nstring(value: str | None) -> bytes:
    """A quoted string, or NIL."""
    if value is None:
        return b"NIL"
    return b'"' + value.replace("\\", "\\\\").replace('"', '\\"').encode() + b'"'


def envelope(part: Part) -> bytes:
    """ENVELOPE [RFC9051 7.5.2]."""
    fields = part.fields

    def text(name: str) -> bytes:
        value = fields.get(name)
        return nstring(None if value is None else " ".join(str(value).split()))

    def addresses(name: str) -> bytes:
        pairs = email.utils.getaddresses([str(value) for value in fields.get_all(name, [])])
        made = []
        for shown, address in pairs:
            local, _, domain = address.partition("@")
            made.append(b"(" + b" ".join([nstring(shown or None), b"NIL", nstring(local), nstring(domain)]) + b")")
        return b"(" + b"".join(made) + b")" if made else b"NIL"

    sender = addresses("from")
    parts = [text("date"), text("subject"), sender]
    parts += [addresses(name) if name in fields else sender for name in ("sender", "reply-to")]
    parts += [addresses(name) for name in ("to", "cc", "bcc")]
    return b"(" + b" ".join([*parts, text("in-reply-to"), text("message-id")]) + b")"


def structure(part: Part, extended: bool) -> bytes:
    """BODYSTRUCTURE, or BODY without extension data [RFC9051 7.5.2]."""
    fields = part.fields
    main, _, sub = part.type.upper().partition("/")
    if main == "MULTIPART":
        inner = b"".join(structure(child, extended) for child in part.children)
        made = inner + b" " + nstring(sub.lower())
        if extended:
            made += b" " + b" ".join([parameters(fields, "content-type"), disposition(fields), b"NIL NIL"])
        return b"(" + made + b")"
    given = parameters(fields, "content-type")
    if main == "TEXT" and b"charset" not in given.lower():
        given = b'("charset" "us-ascii")' if given == b"NIL" else given[:-1] + b' "charset" "us-ascii")'
    encoding = str(fields.get("content-transfer-encoding", "7bit")).strip()
    made = b" ".join(
        [
            nstring(main.lower()),
            nstring(sub.lower()),
            given,
            nstring(fields.get("content-id")),
            nstring(fields.get("content-description")),
            nstring(encoding),
            b"%d" % len(part.body),
        ]
    )
    if part.type == "message/rfc822":
        child = part.children[0]
        made += b" " + envelope(child) + b" " + structure(child, extended)
    if main == "TEXT" or part.type == "message/rfc822":
        made += b" %d" % part.body.count(b"\r\n")
    if extended:
        made += b" NIL " + disposition(fields) + b" NIL NIL"
    return b"(" + made + b")"


def parameters(fields: Message, name: str) -> bytes:
    """The parameters of a field as a list, or NIL."""
    pairs = (fields.get_params(header=name) or [("", "")])[1:]
    made = b" ".join(nstring(key) + b" " + nstring(str(value)) for key, value in pairs)
    return b"(" + made + b")" if made else b"NIL"


def disposition(fields: Message) -> bytes:
    """body-fld-dsp."""
    value = fields.get_content_disposition()
    return b"NIL" if value is None else b"(" + nstring(value) + b" " + parameters(fields, "content-disposition") + b")"
