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

from mas.storage.mime import parts
from mas.storage.mime.envelope import Envelope
from mas.storage.mime.header import Field, fields, kept_header, served
from mas.storage.mime.limits import MimeLimits
from mas.storage.mime.media import Media, media_of, read_media
from mas.storage.mime.window import Data, count, find, header_end

_EMPTY_BODY = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0)'
_EMPTY_FULL = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)'


class Node:
    """A part while the tree is made. ``body`` and ``end`` are offsets in the file: header = start..body, body = body..end."""

    __slots__ = ("body", "children", "depth", "end", "fields", "media", "next", "parent", "start")

    media: Media

    def __init__(self, start: int, parent: Node | None) -> None:
        self.start = start
        self.body = start
        self.end = start
        self.parent = parent
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.children: list[Node] = []
        self.fields: list[Field] = []
        """Of a message (the root, or one in a message/rfc822): its header fields."""
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
        self.kept = b""
        """The root's header as served, without dropped fields."""
        self.whole_header = True
        """False: the header is longer than is read, and ``kept`` is not all of it."""
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
            media = node.media
            if media.flags & parts.MESSAGE:
                node = self._add(node.body, node)
                continue
            needle = media.needle
            if needle:
                if level >= 0 and len(needle) >= len(open_[level].media.needle) and self._is_at(needle[1:], at):
                    node.body = at  # the line that ended the header is the first boundary of this very part
                open_.append(node)
            place = node.body
            while True:
                level, at = self._nearest(open_, place)
                if level < 0:
                    self._close(node, None, size)
                    return
                outer = open_[level]
                behind = at + len(outer.media.needle) - 1
                closing = data[behind : behind + 2] == b"--"
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
        return self.data[at : at + len(line)] == line

    def _add(self, start: int, parent: Node) -> Node:
        node = Node(start, parent)
        parent.children.append(node)
        self.total += 1
        return node

    def _nearest(self, open_: list[Node], place: int) -> tuple[int, int]:
        """The nearest boundary line at or behind ``place``: (index in ``open_``, offset); -1 when there is none."""
        best, nearest, length = -1, self.size, 0
        for level, node in enumerate(open_):
            needle = node.media.needle
            following = node.next
            if following < place:
                if place == 0 and self._is_at(needle[1:], 0):
                    following = 0
                else:
                    # Behind the nearest boundary of an outer part nothing of an inner one counts any more.
                    found = find(self.data, needle, max(place - 1, 0), min(nearest + len(needle), self.size))
                    following = self.size if found < 0 else found + 1
                node.next = following
            if following < nearest or (following == nearest < self.size and len(needle) >= length):
                best, nearest, length = level, following, len(needle)
        return best, nearest

    def _before(self, at: int) -> int:
        """Where the line end before the boundary line at ``at`` begins."""
        before = self.data[max(at - 2, 0) : at]
        return at - 2 if before == b"\r\n" else at - 1 if before[-1:] == b"\n" else at

    def _close(self, node: Node | None, outer: Node | None, end: int) -> None:
        """``node`` and what it lies in, up to but without ``outer``, end here."""
        while node is not outer and node is not None:
            # An empty part may begin behind the line end that belongs to the boundary of an outer one; what it lies in holds it.
            node.end = end = max(end, node.body)
            above = node.parent
            node.parent = None  # no cycles: a tree is gone at once when it is done, not at the next garbage collection
            node = above

    def _read_header(self, node: Node, end: int) -> None:
        limits = self.limits
        start = node.start
        node.body = header_end(self.data, start, end)
        block = self.data[start : min(node.body, start + limits.max_header_size)]
        parent = node.parent
        if parent is None:
            self.kept = kept_header(served(block))
            self.whole_header = node.body <= limits.max_header_size
            if b"\0" not in block:
                block = self.kept
        if b"\0" in block:
            block = block.replace(b"\0", b"\xef\xbf\xbd")
        if parent is None or parent.media.flags & parts.MESSAGE:
            node.fields = fields(block)
            media = media_of(node.fields, False, limits)
        else:
            media = read_media(block, parent.media.digest, limits)
        if (media.needle or media.flags & parts.MESSAGE) and not (
            node.depth < limits.max_depth and self.total < limits.max_parts
        ):
            media = media.closed()
        node.media = media

    # Writing

    def encode(self) -> tuple[bytes, bytes, bytes]:
        """BODY, BODYSTRUCTURE and the packed table of parts."""
        body: list[bytes] = []
        full: list[bytes] = []
        rows: list[parts.Row] = []
        self._encode(self.root, 0, body, full, rows)
        return b"".join(body), b"".join(full), parts.pack(rows, self.served)

    def served_header(self) -> int:
        """Octets of the root's whole header as served."""
        return self.root.body + self._bare(0, self.root.body)

    def _bare(self, start: int, end: int) -> int:
        """Line ends that get a CR when they are served."""
        if not self.bare:
            return 0
        newlines = count(self.data, b"\n", start, end)
        return newlines if self.bare == self.newlines else newlines - count(self.data, b"\r\n", start, end)

    def _encode(self, node: Node, parent: int, body: list[bytes], full: list[bytes], rows: list[parts.Row]) -> None:
        start, middle, end, media = node.start, node.body, node.end, node.media
        flags = media.flags
        header, size = middle - start, end - middle
        if self.bare:
            header_served, served = header + self._bare(start, middle), size + self._bare(middle, end)
        else:
            header_served, served = header, size
        row = len(rows)
        rows.append((parent, flags, start, header, size, header_served, served))
        if flags & parts.MULTIPART:
            body.append(b"(")
            full.append(b"(")
            for child in node.children:
                self._encode(child, row, body, full, rows)
            if not node.children:
                body.append(_EMPTY_BODY)
                full.append(_EMPTY_FULL)
            body.append(b" %b)" % media.head)
            full.append(b" %b%b)" % (media.head, media.extension))
            return
        basic = b"(%b%b %d" % (media.head, media.fields, served)
        if flags & parts.MESSAGE:
            child = node.children[0]
            basic = b"%b %b " % (basic, Envelope(child.fields, self.limits.max_addresses).encode())
            body.append(basic)
            full.append(basic)
            self._encode(child, row, body, full, rows)
            basic = b""
        if flags & (parts.TEXT | parts.MESSAGE):
            basic = b"%b %d" % (basic, count(self.data, b"\n", middle, end))
        body.append(basic + b")")
        full.append(b"%b%b)" % (basic, media.extension))
