"""Sets of message numbers: ``sequence-set`` as a client writes it, ``uid-set`` as a server writes it.  [RFC9051 9] [RFC4315 4]

Whoever parses a set does not know the mailbox: ``*`` and ``$`` stay symbolic until ``resolve``. A resolved set is a tuple of ranges,
inclusive, ascending, neither overlapping nor touching; it meets the sorted array of a mailbox's uids by bisection, so that ``1:*`` costs
two look-ups, whatever the size of the mailbox.

Must not know: whether the numbers are sequence numbers or uids.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mas.protocols.imap.cursor import ParseError

STAR = 1 << 32
"""``*``: above every nz-number, so that sorted ranges keep it last."""

Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class SequenceSet:
    """A set as written, ``low <= high`` in each range, in the client's order.

    ``saved`` is ``$`` [RFC9051 6.4.4.1]; ``ranges`` are empty then.
    """

    ranges: Ranges
    saved: bool = False

    @property
    def has_star(self) -> bool:
        """Whether ``*`` occurs: the highest number in use."""
        return any(high == STAR for _, high in self.ranges)

    @property
    def highest(self) -> int:
        """The highest number written (``*`` apart); 0 when there is none. Sequence numbers above EXISTS are an error."""
        numbers = [number for pair in self.ranges for number in pair if number != STAR]
        return max(numbers, default=0)


SAVED = SequenceSet((), saved=True)
"""``$``."""


def parse_sequence_set(text: bytes, max_items: int = 10_000) -> SequenceSet:
    """Parse message numbers or uids.  [RFC9051 9]

        sequence-set     = (seq-number / seq-range) ["," sequence-set]
        sequence-set     =/ seq-last-command
        seq-number       = nz-number / "*"
        seq-range        = seq-number ":" seq-number
        seq-last-command = "$"

    ``text`` holds nothing but digits and ``*:,$`` (the cursor's token). Raises ParseError; more than ``max_items`` items are refused.
    """
    if text == b"$":
        return SAVED
    items = text.split(b",")
    if len(items) > max_items:
        raise ParseError(f"More than {max_items} items in a sequence set (imap.max_set_items)")
    ranges: list[tuple[int, int]] = []
    for item in items:
        low_text, colon, high_text = item.partition(b":")
        low = _seq_number(low_text)
        high = _seq_number(high_text) if colon else low
        ranges.append((low, high) if low <= high else (high, low))
    return SequenceSet(tuple(ranges))


def _seq_number(text: bytes) -> int:
    """nz-number / "*"; an nz-number is 32 bits wide and has no leading zero (``digit-nz *DIGIT``)."""
    if text == b"*":
        return STAR
    if not text.isdigit() or text[0] == 0x30:
        raise ParseError("Invalid message set")
    if len(text) > 10 or (number := int(text)) >= STAR:
        raise ParseError("Message number is above 4294967295")
    return number


def resolve(sequence_set: SequenceSet, last: int) -> Ranges:
    """The set with ``*`` as ``last`` (EXISTS, or the last uid), as ascending ranges that neither overlap nor touch.

    ``$`` is not resolved here: only the session knows it (it gives empty ranges). ``last`` 0 is an empty mailbox: ``*`` means nothing then.
    """
    ranges = sequence_set.ranges
    if sequence_set.has_star:
        replaced = []
        for low, high in ranges:
            if high == STAR:
                if not last:
                    continue
                # 3291:* holds the last message even when its uid is below 3291  [RFC9051 9 seq-range]
                low, high = (last, last) if low == STAR else (min(low, last), max(low, last))
            replaced.append((low, high))
        ranges = tuple(replaced)
    return normalize(ranges)


def normalize(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Ascending ranges that neither overlap nor touch."""
    ordered = sorted(ranges)
    if len(ordered) < 2:
        return tuple(ordered)
    merged: list[tuple[int, int]] = []
    low, high = ordered[0]
    for next_low, next_high in ordered:
        if next_low <= high + 1:
            high = max(high, next_high)
        else:
            merged.append((low, high))
            low, high = next_low, next_high
    merged.append((low, high))
    return tuple(merged)


def uids_in(ranges: Ranges, uids: array[int]) -> array[int]:
    """Those of the ascending ``uids`` that lie in the (resolved) ranges, as a new array: slices, no look at each uid."""
    found: array[int] = array(uids.typecode)
    start = 0
    for low, high in ranges:
        start = bisect_left(uids, low, start)
        if low == high:
            if start < len(uids) and uids[start] == low:
                found.append(low)
            continue
        end = bisect_right(uids, high, start)
        found += uids[start:end]
        start = end
    return found


def positions_in(ranges: Ranges, uids: array[int]) -> list[tuple[int, int]]:
    """Slices ``(start, end)`` of the ascending ``uids`` that lie in the (resolved) ranges; empty slices are left out."""
    found = []
    start = 0
    for low, high in ranges:
        start = bisect_left(uids, low, start)
        end = bisect_right(uids, high, start)
        if start < end:
            found.append((start, end))
        start = end
    return found


def last_match(numbers: Ranges, values: Ranges, uids: Sequence[int]) -> int:
    """The highest uid that a client knows by the sequence number that it has in ``uids``; 0 when there is none.  [RFC7162 3.2.5.2]

    ``numbers`` and ``values`` are ascending and in step: the n-th number is the client's sequence number of the n-th uid. Below that
    uid nothing was expunged behind the client's back. Ranges may be enormous; they are never expanded.
    """
    best = at = done = 0
    for first, last in numbers:
        while first <= last and at < len(values):
            start, end = values[at][0] + done, values[at][1]
            length = min(last - first, end - start) + 1
            # Both sides ascend and uids ascend faster, so the places where they are equal are one run; it ends before ``behind``.
            base = first - 1
            behind = bisect_right(
                range(max(0, min(length, len(uids) - base))), 0, key=lambda k: uids[base + k] - start - k
            )
            if behind and uids[base + behind - 1] == start + behind - 1:
                best = max(best, start + behind - 1)
            first, done = first + length, done + length
            if values[at][0] + done > end:
                at, done = at + 1, 0
    return best


def to_ranges(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Ranges of numbers in the given order; runs of consecutive ascending numbers become one range. Linear."""
    count = len(numbers)
    if not count:
        return []
    first = numbers[0]
    if numbers[-1] - first == count - 1 and _ascends(numbers):
        return [(first, numbers[-1])]
    ranges: list[tuple[int, int]] = []
    low = previous = first
    for number in numbers[1:]:
        if number != previous + 1:
            ranges.append((low, previous))
            low = number
        previous = number
    ranges.append((low, previous))
    return ranges


def _ascends(numbers: Sequence[int]) -> bool:
    return all(map(int.__lt__, numbers, numbers[1:]))


def encode_ranges(ranges: Iterable[tuple[int, int]]) -> bytes:
    """``1:3,5`` of ranges (uid-set, sequence-set)."""
    return ",".join([str(low) if low == high else f"{low}:{high}" for low, high in ranges]).encode()


def encode_numbers(numbers: Sequence[int]) -> bytes:
    """A set of numbers in the given order, runs as ranges: ``1:3,5,4`` (COPYUID's two sets keep their order [RFC4315 3])."""
    return encode_ranges(to_ranges(numbers))


def encode_sequence_set(sequence_set: SequenceSet) -> bytes:
    """The inverse of ``parse_sequence_set``."""
    if sequence_set.saved:
        return b"$"

    def number(value: int) -> str:
        return "*" if value == STAR else str(value)

    return ",".join(
        [number(low) if low == high else f"{number(low)}:{number(high)}" for low, high in sequence_set.ranges]
    ).encode()
