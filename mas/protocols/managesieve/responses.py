"""Answers to octets, pure. [RFC5804 1.2, 1.3]"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_MAX_QUOTED = 1024


def string(text: bytes | str) -> bytes:
    """A quoted string where it fits, a literal otherwise."""
    data = text.encode("utf-8", "replace") if isinstance(text, str) else text
    if len(data) > _MAX_QUOTED or b"\r" in data or b"\n" in data or b"\0" in data:
        return b"{%d}\r\n%s" % (len(data), data)
    return b'"%s"' % data.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def _status(word: bytes, text: str, code: bytes) -> bytes:
    return word + (b" (%s)" % code if code else b"") + (b" " + string(text) if text else b"") + b"\r\n"


def ok(text: str = "", code: bytes = b"") -> bytes:
    """OK"""
    return _status(b"OK", text, code)


def no(text: str, code: bytes = b"") -> bytes:
    """NO"""
    return _status(b"NO", text, code)


def bye(text: str, code: bytes = b"") -> bytes:
    """BYE: the server closes."""
    return _status(b"BYE", text, code)


def capabilities(items: Iterable[tuple[str, str | None]]) -> bytes:
    """Lines of capabilities; the OK after them is the caller's. [RFC5804 1.7]"""
    lines = []
    for name, value in items:
        lines.append(string(name) + (b"" if value is None else b" " + string(value)) + b"\r\n")
    return b"".join(lines)


def scripts(entries: Sequence[tuple[str, bool]]) -> bytes:
    """LISTSCRIPTS [RFC5804 2.7]: (name, active)."""
    return b"".join(string(name) + (b" ACTIVE" if active else b"") + b"\r\n" for name, active in entries)


def script(content: bytes) -> bytes:
    """GETSCRIPT [RFC5804 2.9]: always a literal, octet by octet what was put."""
    return b"{%d}\r\n%s\r\n" % (len(content), content)
