"""Numbers that every process of the server adds to and any of them can sum up.

Theory of operation. The supervisor maps a block of anonymous shared memory before its first fork: ROWS rows of 64-bit integers, one row
for each worker that lives, the first one for itself. A worker writes its own row and nobody else's, so that no lock is needed; a sum over
the rows is what the host has done. When a worker dies its row keeps what was counted, and the next worker counts on in it: a counter never
goes backwards while the server runs. Only gauges (what is the case now) of the dead are set to zero. A process without a block (a
command, a test) counts for itself in a row of its own.

Files in ``run_dir`` would do the same with more that can go wrong; asking each worker over its control socket would wait for the one
that hangs, and forget the dead.

One thing is given up: an addition made in a thread at the same instant as another in its process may be lost. What threads count is rare.
"""

from __future__ import annotations

import itertools
import mmap
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar

ROWS = 256
"""Processes alive at a time that have a row each: workers, and those of earlier generations that still have sessions. More share the
last row, and may lose an addition then."""
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of histograms, in seconds."""
_NANO = 1_000_000_000


class Counter:
    """One number that only grows."""

    __slots__ = ("at",)

    def __init__(self, at: int) -> None:
        self.at = at

    def add(self, count: int = 1) -> None:
        """Count ``count`` more."""
        _row[self.at] += count


class Gauge:
    """One number that is the case now; the host's is the sum over its workers."""

    __slots__ = ("at",)

    def __init__(self, at: int) -> None:
        self.at = at

    def add(self, count: int) -> None:
        """``count`` more, or fewer."""
        _row[self.at] += count

    def set(self, value: int) -> None:
        """It is ``value``."""
        _row[self.at] = value


class Mark:
    """One number of a worker that stays after its death, until the next one writes it; not for the page."""

    __slots__ = ("at",)

    def __init__(self, at: int) -> None:
        self.at = at

    def set(self, value: int) -> None:
        """It is ``value``."""
        _row[self.at] = value


class Histogram:
    """How long something took: a count for each of BUCKETS, one for what is longer, and the sum in nanoseconds."""

    __slots__ = ("at",)
    CELLS = len(BUCKETS) + 2

    def __init__(self, at: int) -> None:
        self.at = at

    def observe(self, seconds: float) -> None:
        """One more that took ``seconds``."""
        row, at = _row, self.at
        row[at + bisect_left(BUCKETS, seconds)] += 1
        row[at + len(BUCKETS) + 1] += int(seconds * _NANO)


ChildT = TypeVar("ChildT", Counter, Gauge, Mark, Histogram)


class Metric(Generic[ChildT]):
    """One name with its labels; each label has a fixed list of values, so that no peer can make the page grow."""

    def __init__(self, kind: type[ChildT], name: str, help_: str, /, **labels: Sequence[str]) -> None:
        """``labels``: every value that each label can have, ``other`` among them when there may be unknown ones."""
        global _size
        self.kind: type[ChildT] = kind
        self.name = name
        self.help = help_
        self.labels = tuple(labels)
        width = Histogram.CELLS if issubclass(kind, Histogram) else 1
        self.children: dict[tuple[str, ...], ChildT] = {}
        for values in itertools.product(*labels.values()):
            self.children[values] = kind(_size)
            _size += width
        METRICS.append(self)

    def __getitem__(self, values: str | tuple[str, ...]) -> ChildT:
        """The child for a label's value, or for the values of all labels in their order; one that is not listed is ``other``."""
        wanted = (values,) if isinstance(values, str) else values
        found = self.children.get(wanted)
        if found is None:
            known = [{key[place] for key in self.children} for place in range(len(self.labels))]
            found = self.children[
                tuple(value if value in names else "other" for value, names in zip(wanted, known, strict=True))
            ]
        return found


METRICS: list[Metric[Any]] = []
"""All of them, in the order of ``mas.metrics.table``."""
_size = 0
_alone = array("q", bytes(8 * 65536))
_row: memoryview | array[int] = _alone
"""This process's own."""
_block: list[memoryview] = []
_taken: dict[int, int] = {}
"""Worker number to row, in the supervisor."""


def share() -> None:
    """Map the block. In the supervisor, before the first fork and after every metric is known."""
    global _row
    memory = memoryview(mmap.mmap(-1, ROWS * _size * 8)).cast("q")
    _block[:] = [memory[row * _size : (row + 1) * _size] for row in range(ROWS)]
    _taken.clear()
    _row = _block[0]


def claim(number: int) -> None:
    """A row for worker ``number``. In the supervisor, before the fork."""
    used = set(_taken.values())
    _taken[number] = next((row for row in range(1, ROWS) if row not in used), ROWS - 1)


def use(number: int) -> None:
    """Count in the row of worker ``number`` from now on. In the worker, after the fork."""
    global _row
    _row = _block[_taken[number]]


def release(number: int) -> None:
    """Worker ``number`` is dead: what it counted stays. In the supervisor."""
    row = _taken.pop(number, None)
    if row is None or row in _taken.values():
        return
    for metric in METRICS:
        if metric.kind is Gauge:
            for child in metric.children.values():
                _block[row][child.at] = 0


def rows() -> Iterator[memoryview | array[int]]:
    """Every row of the host; the supervisor's first."""
    if _block:
        yield from _block
    else:
        yield _row


def totals() -> list[int]:
    """The sums over all rows, by cell."""
    used = [row for row in rows() if any(row)]
    return [sum(column) for column in zip(*used, strict=True)] if used else [0] * _size
