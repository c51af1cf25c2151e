"""Lines and counted octets, under limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mas.protocols.framing import Announced, LineBuffer, LineTooLong, announced_literal

ANNOUNCED = [
    (b"a {12}", Announced(12, True, False)),
    (b"a {12+}", Announced(12, False, False)),
    (b"a ~{12}", Announced(12, True, True)),
    (b"a ~{0+}", Announced(0, False, True)),
    (b"{99999999999999999999}", Announced(99999999999999999999, True, False)),
    (b"{999999999999999999999}", None),
    (b"a {12} ", None),
    (b"a {}", None),
    (b"a {-1}", None),
    (b"a {1++}", None),
    (b"}", None),
    (b"", None),
]


@pytest.mark.parametrize(("line", "expected"), ANNOUNCED)
def test_announced_literal(line: bytes, expected: Announced | None) -> None:
    assert announced_literal(line) == expected


def buffer(data: bytes) -> LineBuffer:
    made = LineBuffer()
    made.feed(data)
    return made


def test_lines() -> None:
    lines = buffer(b"one\r\ntwo\n\r\n\n\rthree\r\r\nrest")
    assert [lines.line(10) for _ in range(6)] == [b"one", b"two", b"", b"", b"\rthree\r", None]
    assert len(lines) == 4
    lines.feed(b"\r\n")
    assert lines.line(10) == b"rest"


def test_limit_is_exact() -> None:
    assert buffer(b"12345\r\n").line(5) == b"12345"
    assert buffer(b"12345\r").line(5) is None
    for data in (b"123456\r\n", b"1234567"):
        with pytest.raises(LineTooLong) as raised:
            buffer(data).line(5)
        assert raised.value.start == data[:64]


def test_skipped_line_keeps_its_tail() -> None:
    lines = buffer(b"x" * 1000)
    with pytest.raises(LineTooLong):
        lines.line(10)
    assert lines.skip_line() is None
    assert len(lines) <= 64  # the rest of the line costs no memory
    lines.feed(b"y" * 1000 + b" {3+")
    assert lines.skip_line() is None
    lines.feed(b"}\r\nabc")
    tail = lines.skip_line()
    assert tail is not None
    assert tail.endswith(b"y {3+}")
    assert lines.take(10) == b"abc"


def test_counted_octets() -> None:
    lines = buffer(b"0123456789\r\n")
    assert lines.take(2) == b"01"
    assert lines.exactly(3) == b"234"
    assert lines.exactly(30) is None
    assert lines.drop(3) == 3
    assert lines.line(10) == b"89"
    assert (lines.drop(1), lines.take(1), len(lines)) == (0, b"", 0)


def test_search_goes_on_where_it_stopped() -> None:
    lines = LineBuffer()
    for _ in range(1000):
        lines.feed(b"x")
        assert lines.line(2000) is None
        assert lines._scanned == len(lines)
    lines.feed(b"\n")
    assert lines.line(2000) == b"x" * 1000


@pytest.mark.slow
@given(st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line and not line.endswith(b"\r"))), st.data())
def test_any_cut_gives_the_same_lines(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(line + b"\r\n" for line in lines)
    reader = LineBuffer()
    found = []
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        reader.feed(stream[:cut])
        stream = stream[cut:]
        while (line := reader.line(100)) is not None:
            found.append(line)
    assert found == lines
