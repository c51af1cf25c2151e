"""Looking through octets that may be a memory map, without copying the whole.

``bytes`` are searched where they are. A map is searched in windows: a window is copied and searched at memory speed, where
mmap's own ``find`` walks octet by octet and it has no ``count``.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator

Data = bytes | mmap.mmap
"""Octets of a message, as stored."""

WINDOW = 262_144


def windows(data: Data, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """``(offset, octets)`` of at most WINDOW octets each."""
    for at in range(start, end, WINDOW):
        yield at, data[at : min(at + WINDOW, end)]


def find(data: Data, needle: bytes, start: int, end: int) -> int:
    """As ``bytes.find``: the first place of ``needle`` that lies in ``data[start:end]`` whole, or -1."""
    if isinstance(data, bytes):
        return data.find(needle, start, end)
    while start < end:
        piece = data[start : min(start + WINDOW, end)]
        found = piece.find(needle)
        if found >= 0:
            return start + found
        if start + len(piece) >= end:
            return -1
        start += len(piece) - len(needle) + 1
    return -1


def count(data: Data, needle: bytes, start: int, end: int) -> int:
    """How often ``needle``, one octet or two different ones, occurs in ``data[start:end]``."""
    if isinstance(data, bytes):
        return data.count(needle, start, end)
    total, last = 0, b""
    for _, piece in windows(data, start, end):
        total += piece.count(needle)
        if len(needle) == 2 and last == needle[:1] and piece.startswith(needle[1:]):
            total += 1
        last = piece[-1:]
    return total


_BLANK = re.compile(rb"\n\r?\n")


def header_end(data: Data, start: int, end: int) -> int:
    """Where the header block that begins at ``start`` ends: behind its blank line, or ``end`` when there is none."""
    first = data[start : min(start + 2, end)]
    if first[:1] == b"\n":
        return start + 1
    if first == b"\r\n":
        return start + 2
    if isinstance(data, bytes):
        match = _BLANK.search(data, start, end)
        return match.end() if match else end
    while start < end:
        piece = data[start : min(start + WINDOW, end)]
        match = _BLANK.search(piece)
        if match:
            return start + match.end()
        if start + len(piece) >= end:
            return end
        start += len(piece) - 2
    return end
