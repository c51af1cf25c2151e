"""Whether the workers live, seen from any one of them.

Each worker writes the time of its heartbeat into its row. One that has not beaten for STALE seconds hangs, or died and could not be
replaced: both are worth a 503, while the moment between a death and the next worker is not.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from mas.metrics import table

STALE = 10.0
"""Seconds without a heartbeat."""


def beat(place: int, generation: int, now: float | None = None) -> None:
    """This worker, ``place`` (from 0) of its generation, lives."""
    table.PLACE[()].set(place + 1)
    table.GENERATION[()].set(generation)
    table.BEAT[()].set(int((time.monotonic() if now is None else now) * 1000))


def silent(
    rows: Iterable[Sequence[int] | memoryview], generation: int, places: int, born: float, now: float
) -> list[int]:
    """Places (from 0) of ``generation`` whose worker has not been heard of for STALE seconds. ``born``: when the asking worker began; the
    others have as long as that to begin."""
    heard = dict.fromkeys(range(places), born)
    for row in rows:
        place = row[table.PLACE[()].at] - 1
        if place in heard and row[table.GENERATION[()].at] == generation:
            heard[place] = max(heard[place], row[table.BEAT[()].at] / 1000)
    return [place for place, when in heard.items() if now - when > STALE]
