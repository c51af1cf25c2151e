"""Line ends as mail has them on the wire.  [RFC5322 2.3]"""

from __future__ import annotations


class CrlfLines:
    """Makes every line end CRLF, whatever the chunks' borders: a bare LF becomes CRLF, a bare CR stays."""

    def __init__(self) -> None:
        self._after_cr = False

    def feed(self, chunk: bytes) -> bytes:
        """The next piece; free of copies when it is in order already."""
        if not chunk:
            return chunk
        after_cr, self._after_cr = self._after_cr, chunk.endswith(b"\r")
        split_pair = after_cr and chunk.startswith(b"\n")
        if chunk.count(b"\n") == chunk.count(b"\r\n") + split_pair:
            return chunk
        if split_pair:
            return b"\n" + _crlf(chunk[1:])
        return _crlf(chunk)


def _crlf(chunk: bytes) -> bytes:
    return chunk.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
