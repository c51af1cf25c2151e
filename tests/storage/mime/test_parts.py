"""The packed table of parts."""

from __future__ import annotations

import pytest

from mas.storage.mime.parts import Part, pack, unpack


@pytest.mark.parametrize("size", [1000, 1 << 33])
def test_round_trip(size: int) -> None:
    rows = [(0, 1, 0, 10, size - 10, 10, size - 10), (0, 4, 10, 2, 3, 2, 3)]
    table = unpack(pack(rows, size))
    assert [tuple(part) for part in table] == rows
    assert (table[1].body_start, table[1].end) == (12, 15)
    assert isinstance(table[0], Part)


@pytest.mark.parametrize("packed", [b"", b"\1", b"\1" + bytes(27), b"\3" + bytes(28)])
def test_what_is_no_table(packed: bytes) -> None:
    with pytest.raises(ValueError, match="table of parts"):
        unpack(packed)
