"""The tree of a message's parts: found in one pass, written as BODY and BODYSTRUCTURE.  [RFC2046 5.1] [RFC9051 7.5.2]

    multipart-body = [preamble CRLF] dash-boundary *LWSP CRLF body-part *(CRLF dash-boundary *LWSP CRLF body-part)
                     CRLF dash-boundary "--" *LWSP [CRLF epilogue]

How it is found. Every open multipart knows where its boundary occurs next; the nearest of them ends the part at hand, and everything
that lies in it. So each octet is searched once for each multipart around it (``max_depth`` bounds that), at the speed of ``find``.
Boundaries match at the beginning of a line and whatever follows them there, since senders write all sorts of things behind; of two that
match the longer one counts, then the inner one. The line end before a boundary belongs to it, also when it would end a header.

A multipart without parts is written with one empty text part, as the grammar wants at least one. message/global is read like
message/rfc822 [RFC9051 7.5.2 body-type-msg]; where that is too deep to look into, it is written as application/octet-stream.
"""

from __future__ import annotations

from mas.storage.mime import content, parts
from mas.storage.mime.content import Parameters
from mas.storage.mime.envelope import Envelope
from mas.storage.mime.header import Field, fields, unfold
from mas.storage.mime.limits import MimeLimits
from mas.storage.mime.window import Data, count, find, header_end, octets
from mas.storage.mime.wire import nstring, string

MAX_BOUNDARY = 200
"""Octets of a boundary that are compared; RFC 2046 allows 70."""

_NAMES = frozenset(
    (
        b"content-type",
        b"content-transfer-encoding",
        b"content-id",
        b"content-description",
        b"content-md5",
        b"content-disposition",
        b"content-language",
        b"content-location",
    )
)
_DECODERS = {
    b"": parts.IDENTITY,
    b"7bit": parts.IDENTITY,
    b"8bit": parts.IDENTITY,
    b"binary": parts.IDENTITY,
    b"base64": parts.BASE64,
    b"quoted-printable": parts.QUOTED_PRINTABLE,
    b"x-uuencode": parts.UUENCODE,
    b"x-uue": parts.UUENCODE,
    b"uuencode": parts.UUENCODE,
}


class Node:
    """A part while the tree is made. ``body`` and ``end`` are offsets in the file: header = start..body, body = body..end."""

    __slots__ = (
        "body",
        "children",
        "depth",
        "end",
        "fields",
        "flags",
        "mime",
        "needle",
        "next",
        "parent",
        "start",
        "type",
    )

    def __init__(self, start: int, parent: Node | None) -> None:
        self.start = start
        self.body = start
        self.end = start
        self.parent = parent
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.children: list[Node] = []
        self.flags = 0
        self.fields: list[Field] = []
        self.mime: dict[bytes, bytes] = {}
        self.type: tuple[bytes, bytes, Parameters] | None = None
        self.needle = b""
        """Of an open multipart: a line end, two dashes and the boundary."""
        self.next = -1
        """Of an open multipart: the line where its boundary occurs next; before the place at hand = not known."""


class Tree:
    """The parts of one message. ``size`` is of the file, ``served`` with CRLF line ends."""

    def __init__(self, data: Data, limits: MimeLimits) -> None:
        self.data = data
        self.limits = limits
        self.size = len(data)
        self.newlines = count(data, b"\n", 0, self.size)
        pairs = count(data, b"\r\n", 0, self.size) if self.newlines else 0
        self.bare = self.newlines - pairs
        self.served = self.size + self.bare
        self.total = 1
        self.header = b""
        """The root's header block, as far as it is read."""
        self.root = Node(0, None)
        self._scan()

    # Finding

    def _scan(self) -> None:
        data, size = self.data, self.size
        open_: list[Node] = []
        node = self.root
        while True:
            level, at = self._nearest(open_, node.start)
            self._read_header(node, size if level < 0 else max(self._before(at), node.start))
            if node.flags & parts.MESSAGE:
                node = self._add(node.body, node)
                continue
            if node.needle:
                if level >= 0 and len(node.needle) >= len(open_[level].needle) and self._is_at(node.needle[1:], at):
                    node.body = at  # the line that ended the header is the first boundary of this very part
                open_.append(node)
            place = node.body
            while True:
                level, at = self._nearest(open_, place)
                if level < 0:
                    self._close(node, None, size)
                    return
                outer = open_[level]
                behind = at + len(outer.needle) - 1
                closing = octets(data, behind, min(behind + 2, size)) == b"--"
                if not closing and self.total >= self.limits.max_parts:
                    self._close(node, None, size)
                    return
                self._close(node, outer, self._before(at))
                line_end = find(data, b"\n", behind, size)
                place = size if line_end < 0 else line_end + 1
                if not closing:
                    del open_[level + 1 :]
                    node = self._add(place, outer)
                    break
                del open_[level:]
                node = outer

    def _is_at(self, line: bytes, at: int) -> bool:
        return octets(self.data, at, min(at + len(line), self.size)) == line

    def _add(self, start: int, parent: Node) -> Node:
        node = Node(start, parent)
        parent.children.append(node)
        self.total += 1
        return node

    def _nearest(self, open_: list[Node], place: int) -> tuple[int, int]:
        """The nearest boundary line at or behind ``place``: (index in ``open_``, offset); -1 when there is none."""
        best, nearest, length = -1, self.size, 0
        for level, node in enumerate(open_):
            needle = node.needle
            if node.next < place:
                if place == 0 and self._is_at(needle[1:], 0):
                    node.next = 0
                else:
                    # Behind the nearest boundary of an outer part nothing of an inner one counts any more.
                    bound = min(nearest + len(needle), self.size)
                    found = find(self.data, needle, max(place - 1, 0), bound)
                    node.next = self.size if found < 0 else found + 1
            if node.next < nearest or (node.next == nearest < self.size and len(needle) >= length):
                best, nearest, length = level, node.next, len(needle)
        return best, nearest

    def _before(self, at: int) -> int:
        """Where the line end before the boundary line at ``at`` begins."""
        before = octets(self.data, max(at - 2, 0), at)
        return at - 2 if before == b"\r\n" else at - 1 if before.endswith(b"\n") else at

    def _close(self, node: Node | None, outer: Node | None, end: int) -> None:
        """``node`` and what it lies in, up to but without ``outer``, end here."""
        while node is not outer and node is not None:
            node.end = max(end, node.body)
            above = node.parent
            node.parent = None  # no cycles: a tree is gone at once when it is done, not at the next garbage collection
            node = above

    def _read_header(self, node: Node, end: int) -> None:
        limits = self.limits
        node.body = header_end(self.data, node.start, end)
        block = octets(self.data, node.start, min(node.body, node.start + limits.max_header_size))
        parent = node.parent
        if parent is None:
            self.header = block
        if b"\0" in block:
            block = block.replace(b"\0", b"\xef\xbf\xbd")
        found = fields(block)
        mime = node.mime
        for name, value in found:
            if name in _NAMES and (name not in mime or name == b"content-disposition"):
                mime[name] = unfold(value)
        if parent is None or parent.flags & parts.MESSAGE:
            node.fields = found
        value = mime.get(b"content-type", b"") if mime else b""
        room = node.depth < limits.max_depth and self.total < limits.max_parts
        if b"content-type" not in mime:
            digest = parent is not None and parent.type is not None and parent.flags & parts.MULTIPART
            if digest and parent is not None and parent.type is not None and parent.type[1].lower() == b"digest":
                node.type = (b"message", b"rfc822", ()) if room else _OPAQUE
                node.flags = parts.MESSAGE if room else 0
            else:
                node.flags = parts.TEXT
        else:
            node.type = content.parse_content_type(value, limits.max_parameters)
            kind, subtype = node.type[0].lower(), node.type[1].lower()
            if kind == b"text":
                node.flags = parts.TEXT | parts.HTML if subtype == b"html" else parts.TEXT
            elif kind == b"multipart" and not subtype:
                node.type = _OPAQUE
            elif kind == b"multipart":
                node.flags = parts.MULTIPART
                boundary = content.parameter(node.type[2], b"boundary")
                if boundary is not None and room:
                    node.needle = b"\n--" + boundary[:MAX_BOUNDARY]
            elif kind == b"message" and subtype in (b"rfc822", b"global"):
                node.type = (kind, subtype, node.type[2]) if room else _OPAQUE
                node.flags = parts.MESSAGE if room else 0
            elif kind == b"message":
                node.flags = parts.MESSAGE_TEXT
        if b"content-transfer-encoding" in mime:
            decoder = _DECODERS.get(content.parse_encoding(mime[b"content-transfer-encoding"])[1], parts.UNKNOWN)
            node.flags |= decoder << parts.ENCODING_SHIFT

    # Writing

    def encode(self) -> tuple[bytes, bytes, bytes]:
        """BODY, BODYSTRUCTURE and the packed table of parts."""
        body: list[bytes] = []
        full: list[bytes] = []
        rows: list[tuple[int, int, int, int, int, int, int]] = []
        self._encode(self.root, 0, body, full, rows)
        return b"".join(body), b"".join(full), parts.pack(rows, self.served)

    def _bare(self, start: int, end: int) -> int:
        """Line ends that get a CR when they are served."""
        if not self.bare:
            return 0
        newlines = count(self.data, b"\n", start, end)
        return newlines if self.bare == self.newlines else newlines - count(self.data, b"\r\n", start, end)

    def served_header(self) -> int:
        """Octets of the root's whole header as served."""
        return self.root.body + self._bare(0, self.root.body)

    def _encode(
        self,
        node: Node,
        parent: int,
        body: list[bytes],
        full: list[bytes],
        rows: list[tuple[int, int, int, int, int, int, int]],
    ) -> None:
        start, middle, end = node.start, node.body, node.end
        served = end - middle + self._bare(middle, end)
        row = len(rows)
        rows.append(
            (
                parent,
                node.flags,
                start,
                middle - start,
                end - middle,
                middle - start + self._bare(start, middle),
                served,
            )
        )
        mime = node.mime
        body.append(b"(")
        full.append(b"(")
        if node.flags & parts.MULTIPART and node.type is not None:
            for child in node.children:
                self._encode(child, row, body, full, rows)
            if not node.children:
                body.append(_EMPTY_BODY)
                full.append(_EMPTY_FULL)
            subtype = string(node.type[1])
            body.append(b" %b)" % subtype)
            full.append(b" %b %b%b)" % (subtype, encode_parameters(node.type[2], False), self._extension(mime)))
            return
        encoding = mime.get(b"content-transfer-encoding")
        basic = b"%b %b %b %b %d" % (
            encode_type(node.type),
            nstring(mime.get(b"content-id")),
            nstring(mime.get(b"content-description")),
            b'"7bit"' if encoding is None else string(content.parse_encoding(encoding)[0] or b"7bit"),
            served,
        )
        body.append(basic)
        full.append(basic)
        if node.flags & parts.MESSAGE and node.children:
            child = node.children[0]
            envelope = b" %b " % Envelope(child.fields, self.limits.max_addresses).encode()
            body.append(envelope)
            full.append(envelope)
            self._encode(child, row, body, full, rows)
        lines = b" %d" % count(self.data, b"\n", middle, end) if node.flags & (parts.TEXT | parts.MESSAGE) else b""
        body.append(lines + b")")
        full.append(b"%b %b%b)" % (lines, nstring(mime.get(b"content-md5")), self._extension(mime)))

    def _extension(self, mime: dict[bytes, bytes]) -> bytes:
        """SP body-fld-dsp SP body-fld-lang SP body-fld-loc."""
        if not mime:
            return b" NIL NIL NIL"
        disposition = b"NIL"
        value = mime.get(b"content-disposition")
        if value is not None:
            kind, parameters = content.parse_disposition(value, self.limits.max_parameters)
            disposition = b"(%b %b)" % (string(kind), encode_parameters(parameters, False))
        languages = b"NIL"
        value = mime.get(b"content-language")
        if value is not None and (tags := content.parse_languages(value)):
            languages = b"(%b)" % b" ".join(map(string, tags))
        return b" %b %b %b" % (disposition, languages, nstring(mime.get(b"content-location")))


_OPAQUE: tuple[bytes, bytes, Parameters] = (b"application", b"octet-stream", ())
_PLAIN = b'"text" "plain" ("charset" "us-ascii")'
_EMPTY_BODY = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0)'
_EMPTY_FULL = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)'


def encode_type(kind: tuple[bytes, bytes, Parameters] | None) -> bytes:
    """media-type SP media-subtype SP body-fld-param; text that names no charset is us-ascii [RFC2045 5.2]."""
    if kind is None:
        return _PLAIN
    return b"%b %b %b" % (string(kind[0]), string(kind[1]), encode_parameters(kind[2], kind[0].lower() == b"text"))


def encode_parameters(parameters: Parameters, text: bool) -> bytes:
    """body-fld-param = "(" string SP string *(SP string SP string) ")" / nil."""
    if text and content.parameter(parameters, b"charset") is None:
        parameters = (*parameters, (b"charset", b"us-ascii"))
    if not parameters:
        return b"NIL"
    return b"(%b)" % b" ".join([b"%b %b" % (string(name), string(value)) for name, value in parameters])
