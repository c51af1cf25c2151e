"""Line ends, whatever the borders of the chunks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mas.storage.mime.crlf import CrlfLines


@given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b"\n\n", b"\r\r\n", b"abc\r\ndef\r\n"])))
def test_line_ends_become_crlf(chunks: list[bytes]) -> None:
    lines = CrlfLines()
    whole = b"".join(chunks)
    assert b"".join(lines.feed(chunk) for chunk in chunks) == whole.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
