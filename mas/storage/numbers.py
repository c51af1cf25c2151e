"""Sets of uids as ascending ranges, and as the text that the index keeps (``1:4,9``). Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence


def ranges_of(uids: Iterable[int]) -> list[tuple[int, int]]:
    """Inclusive ranges of ascending uids."""
    found: list[tuple[int, int]] = []
    first = last = -1
    for uid in uids:
        if uid == last + 1 and first >= 0:
            last = uid
            continue
        if first >= 0:
            found.append((first, last))
        first = last = uid
    if first >= 0:
        found.append((first, last))
    return found


def encode_ranges(ranges: Iterable[tuple[int, int]]) -> str:
    return ",".join([str(first) if first == last else f"{first}:{last}" for first, last in ranges])


def decode_ranges(text: str) -> list[tuple[int, int]]:
    found = []
    for word in text.split(",") if text else ():
        first, _, last = word.partition(":")
        found.append((int(first), int(last or first)))
    return found


def expand(ranges: Iterable[tuple[int, int]]) -> list[int]:
    return [uid for first, last in ranges for uid in range(first, last + 1)]


def merge(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Sorted, joined ranges of any."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            if last > merged[-1][1]:
                merged[-1] = (merged[-1][0], last)
        else:
            merged.append((first, last))
    return merged


def intersect(one: Sequence[tuple[int, int]], two: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """What two sorted, joined lists of ranges have in common."""
    found = []
    i = j = 0
    while i < len(one) and j < len(two):
        first, last = max(one[i][0], two[j][0]), min(one[i][1], two[j][1])
        if first <= last:
            found.append((first, last))
        if one[i][1] < two[j][1]:
            i += 1
        else:
            j += 1
    return found


def without(one: Sequence[tuple[int, int]], two: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """What is in the first of two sorted, joined lists of ranges and not in the second."""
    found = []
    at = 0
    for first, last in one:
        while at < len(two) and two[at][1] < first:
            at += 1
        low, other = first, at
        while other < len(two) and two[other][0] <= last:
            if two[other][0] > low:
                found.append((low, two[other][0] - 1))
            low = two[other][1] + 1
            other += 1
        if low <= last:
            found.append((low, last))
    return found


def holds(ranges: Sequence[tuple[int, int]], uid: int) -> bool:
    """Whether sorted, joined ranges hold ``uid``."""
    at = bisect_right(ranges, (uid, 1 << 62)) - 1
    return at >= 0 and ranges[at][0] <= uid <= ranges[at][1]
