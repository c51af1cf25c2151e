"""Tokens of structured header fields.  [RFC5322 3.2] [RFC2045 5.1]

    atom          = [CFWS] 1*atext [CFWS]
    quoted-string = [CFWS] DQUOTE *([FWS] qcontent) [FWS] DQUOTE [CFWS]
    comment       = "(" *([FWS] ccontent) [FWS] ")"
    token         = 1*<any CHAR except SPACE, CTLs, tspecials>

8-bit octets count as atext and token characters. Values are unfolded. A ``Lexer`` walks forward over one value; every method leaves it
behind what it took and the white space and comments that follow. ``failed`` says that a quoted string, comment or literal has no end.
"""

from __future__ import annotations

import re

_ATOM = re.compile(rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\xff-]+")
_ATOM_OR_DOT = re.compile(rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\xff.-]*")
_TOKEN = re.compile(rb"[^\x00-\x20\x7f()<>@,;:\\\"/\[\]?=]*")
_SPACE = re.compile(rb"[ \t\r\n]*")
_QUOTED = re.compile(rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)"', re.DOTALL)
_DOMAIN_LITERAL = re.compile(rb"\[[^\[\]\\]*\]")
_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_COMMENT_STOP = re.compile(rb"[()\\]")


class Lexer:
    """A place in an unfolded value."""

    __slots__ = ("at", "comment", "data", "end", "failed")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.end = len(data)
        self.failed = False
        self.comment = b""
        """The last comment that was skipped, without its parentheses."""

    def peek(self) -> bytes:
        """The next octet; empty at the end."""
        return self.data[self.at : self.at + 1]

    def skip(self) -> None:
        """White space and comments. A comment without its end takes everything, and fails."""
        data = self.data
        while True:
            match = _SPACE.match(data, self.at)
            assert match is not None
            self.at = match.end()
            if data[self.at : self.at + 1] != b"(":
                return
            start, depth, at = self.at + 1, 1, self.at + 1
            while depth:
                stop = _COMMENT_STOP.search(data, at)
                if stop is None:
                    self.at = self.end
                    self.failed = True
                    return
                at = stop.end()
                char = stop[0]
                if char == b"\\":
                    at += 1
                else:
                    depth += 1 if char == b"(" else -1
            self.at = at
            self.comment = _PAIR.sub(rb"\1", data[start : at - 1])

    def atom(self) -> bytes | None:
        match = _ATOM.match(self.data, self.at)
        if match is None:
            return None
        self.at = match.end()
        self.skip()
        return match[0]

    def atom_or_dots(self) -> bytes:
        match = _ATOM_OR_DOT.match(self.data, self.at)
        assert match is not None
        self.at = match.end()
        self.skip()
        return match[0]

    def token(self) -> bytes:
        """A MIME token; may be empty."""
        match = _TOKEN.match(self.data, self.at)
        assert match is not None
        self.at = match.end()
        self.skip()
        return match[0]

    def quoted_string(self) -> bytes | None:
        """Its content without quoting; None, and failed, when it has no end."""
        match = _QUOTED.match(self.data, self.at)
        if match is None:
            self.failed = True
            self.at = self.end
            return None
        self.at = match.end()
        self.skip()
        return _PAIR.sub(rb"\1", match[1]) if b"\\" in match[1] else match[1]

    def phrase(self) -> bytes | None:
        """phrase = 1*word / obs-phrase, words joined by one space; empty when there is none, None when it cannot be one."""
        if self.peek() == b".":
            return None
        words: list[bytes] = []
        while self.at < self.end:
            if self.peek() == b'"':
                word = self.quoted_string()
                if word is None:
                    return None
            else:
                word = self.atom_or_dots()
            words.append(word)
            if self.failed:
                return None
            char = self.peek()
            if char not in (b'"', b".") and _ATOM.match(self.data, self.at) is None:
                break
        return b" ".join(words)

    def domain(self) -> bytes | None:
        """domain = dot-atom / domain-literal / obs-domain."""
        self.skip()
        if self.peek() == b"[":
            match = _DOMAIN_LITERAL.match(self.data, self.at)
            if match is None:
                self.failed = True
                self.at = self.end
                return None
            self.at = match.end()
            self.skip()
            return match[0]
        parts: list[bytes] = []
        while True:
            part = self.atom()
            if part is None or self.failed:
                return None
            parts.append(part)
            if self.peek() != b".":
                return b".".join(parts)
            self.at += 1
            self.skip()
