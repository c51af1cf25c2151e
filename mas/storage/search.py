"""A search program to uids: SQL for everything that the index knows, message files for the rest. Runs in worker threads.

A key is answered by the first of three ways that can: from the snapshot (flags, uids, modseqs: no SQL at all), by one SELECT (the parts of
the program that ask for sizes, dates and header texts become one condition), by reading files (BODY, TEXT, and header fields that the
index does not keep) for those messages only that the rest of the program leaves. AND asks the cheap keys first; OR and NOT are set algebra.

Texts are compared in the form of ``mime.casemap``: i;unicode-casemap [RFC5051].
"""

from __future__ import annotations

import datetime
import functools
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import compress

from mas.storage import numbers, query
from mas.storage.mime.casemap import casemap
from mas.storage.mime.header import is_dropped
from mas.storage.model import KEYWORD_SHIFT, Snapshot

_EPOCH = datetime.date(1970, 1, 1)
_COLUMN = {"subject": "t.subject", "from": "t.sender", "to": "t.recipient", "cc": "t.cc", "bcc": "t.bcc"}


@dataclass(frozen=True, slots=True)
class Condition:
    """SQL over ``message m``, ``content_text t``, ``content_header h``, ``content c``; the flags say which of the last three it needs."""

    sql: str
    values: tuple[object, ...] = ()
    text: bool = False
    header: bool = False
    content: bool = False


Rows = Callable[[Condition, Sequence[int]], Sequence[int]]
"""Uids (of those given) that meet a condition; ascending."""
Holds = Callable[[query.Key, Sequence[int]], Iterable[int]]
"""Uids (of those given) whose files match a Body, Text or Header key."""


class Search:
    """One search. ``snapshot`` stands for the whole mailbox; it is not changed meanwhile, or a copy."""

    def __init__(self, snapshot: Snapshot, rows: Rows, files: Holds, now: float | None = None) -> None:
        self._snapshot = snapshot
        self._rows = rows
        self._files = files
        self._now = int(time.time() if now is None else now)

    def run(self, key: query.Key) -> list[int]:
        """Ascending uids."""
        return sorted(self._find(key, self._snapshot.uids))

    def _find(self, key: query.Key, uids: Sequence[int]) -> Sequence[int]:
        """Those of ascending ``uids`` that match."""
        if not uids:
            return uids
        test = _snapshot_test(self._snapshot, key)
        if test is not None:
            return test(uids)
        condition = self.condition(key)
        if condition is not None:
            return self._rows(condition, uids)
        if isinstance(key, query.And):
            return self._all(key.keys, uids)
        if isinstance(key, query.Or):
            found: set[int] = set()
            for part in sorted(key.keys, key=self._cost):
                found.update(self._find(part, [uid for uid in uids if uid not in found] if found else uids))
            return sorted(found)
        if isinstance(key, query.Not):
            without = set(self._find(key.key, uids))
            return [uid for uid in uids if uid not in without]
        return sorted(self._files(key, uids))

    def _all(self, keys: Sequence[query.Key], uids: Sequence[int]) -> Sequence[int]:
        """Narrow by every key: snapshot first, then one SELECT for all that SQL can say, then the rest."""
        rest: list[query.Key] = []
        conditions: list[Condition] = []
        for key in keys:
            test = _snapshot_test(self._snapshot, key)
            if test is not None:
                uids = test(uids)
                continue
            condition = self.condition(key)
            if condition is None:
                rest.append(key)
            else:
                conditions.append(condition)
        if conditions and uids:
            uids = self._rows(_joined(conditions, " AND "), uids)
        for key in sorted(rest, key=self._cost):
            uids = self._find(key, uids)
        return uids

    def _cost(self, key: query.Key) -> int:
        if _snapshot_test(self._snapshot, key) is not None:
            return 0
        return 1 if self.condition(key) is not None else 2

    # SQL

    def condition(self, key: query.Key) -> Condition | None:
        """The key as SQL, or None when the index alone cannot say."""
        if isinstance(key, query.And | query.Or):
            parts = [self.condition(part) for part in key.keys]
            known = [part for part in parts if part is not None]
            if len(known) != len(parts) or len(known) > 200:
                return None
            if not known:
                return Condition("1" if isinstance(key, query.And) else "0")
            return _joined(known, " AND " if isinstance(key, query.And) else " OR ")
        if isinstance(key, query.Not):
            inner = self.condition(key.key)
            return (
                None
                if inner is None
                else Condition(f"NOT ({inner.sql})", inner.values, inner.text, inner.header, inner.content)
            )
        return self._leaf(key)

    def _leaf(self, key: query.Key) -> Condition | None:
        match key:
            case query.All():
                return Condition("1")
            case query.Uids(ranges):
                if len(ranges) > 50:
                    return None
                sql = " OR ".join(["m.uid BETWEEN ? AND ?"] * len(ranges)) or "0"
                return Condition(f"({sql})", tuple(number for pair in ranges for number in pair))
            case query.SystemFlag(bits):
                return Condition("m.flags & ? = ?", (bits, bits))
            case query.Keyword(name):
                return Condition("m.flags & ? != 0", (_keyword_bit(self._snapshot, name),))
            case query.ModseqAtLeast(modseq):
                return Condition("m.modseq >= ?", (modseq,))
            case query.Size(larger, smaller):
                return _between("m.size", larger, smaller, ">", "<")
            case query.InternalDate(since, before):
                return _between("m.internal_date", _seconds(since), _seconds(before), ">=", "<")
            case query.SaveDate(since, before):
                return _between("m.save_date", _seconds(since), _seconds(before), ">=", "<")
            case query.SentDate(since, before):
                found = _between("t.sent_day", _days(since), _days(before), ">=", "<")
                return Condition(found.sql, found.values, text=True)
            case query.Age(min_seconds, max_seconds):
                low = None if max_seconds is None else self._now - max_seconds
                high = None if min_seconds is None else self._now - min_seconds
                return _between("m.internal_date", low, high, ">=", "<=")
            case query.Header(name, text) if name in _COLUMN and text:
                return Condition(f"instr({_COLUMN[name]}, ?) > 0", (casemap(text),), text=True)
            case query.Header(name, text) if not is_dropped(name.encode("ascii", "replace")):
                wanted = casemap(text)
                sql = "instr(h.folded, ?) > 0 AND header_holds(h.folded, ?, ?)"
                return Condition(sql, (wanted or f"{name.upper()}:", name, wanted), header=True)
            case query.EmailId(email_id):
                return Condition("lower(hex(c.digest)) = ?", (email_id,), content=True)
        return None


# The snapshot

Test = Callable[[Sequence[int]], Sequence[int]]
"""Those of ascending uids that match."""


def on_snapshot(snapshot: Snapshot, key: query.Key) -> list[int] | None:
    """The ascending uids that match, or None when the snapshot alone cannot say."""
    test = _snapshot_test(snapshot, key)
    return None if test is None else list(test(snapshot.uids))


def _snapshot_test(snapshot: Snapshot, key: query.Key) -> Test | None:
    """The key as a test of flags, uids or modseqs; None when it asks for something else."""
    if isinstance(key, query.All):
        return lambda uids: uids
    if isinstance(key, query.Uids):
        ranges = key.ranges
        return lambda uids: _within(uids, ranges)
    if isinstance(key, query.ModseqAtLeast):
        least = key.modseq
        return lambda uids: _among(snapshot, uids, [snapshot.uids[at] for at in snapshot.newer(least - 1)])
    if isinstance(key, query.And):
        tests = [_snapshot_test(snapshot, part) for part in key.keys]
        known = [test for test in tests if test is not None]
        return (
            None
            if len(known) < len(tests)
            else lambda uids: functools.reduce(lambda left, test: test(left), known, uids)
        )
    bits = _bit_test(snapshot, key)
    return None if bits is None else lambda uids: _among(snapshot, uids, _flagged(snapshot, *bits))


def _flagged(snapshot: Snapshot, bits: int, wanted: int) -> list[int]:
    """Uids whose ``bits`` are as ``wanted``. The few different values that flags have are judged, not each message."""
    matching = {flags for flags in set(snapshot.flags) if flags & bits == wanted}
    return list(compress(snapshot.uids, map(matching.__contains__, snapshot.flags)))


def _among(snapshot: Snapshot, uids: Sequence[int], found: list[int]) -> list[int]:
    if uids is snapshot.uids:
        return found
    return list(compress(found, map(set(uids).__contains__, found)))


def _bit_test(snapshot: Snapshot, key: query.Key) -> tuple[int, int] | None:
    """``(bits, their value)``."""
    if isinstance(key, query.SystemFlag):
        return key.bits, key.bits
    if isinstance(key, query.Keyword):
        bit = _keyword_bit(snapshot, key.name)
        return (bit, bit) if bit else (0, 1)
    if isinstance(key, query.Not):
        inner = _bit_test(snapshot, key.key)
        if inner is not None and inner[0] and inner[0] & (inner[0] - 1) == 0:
            return inner[0], inner[0] ^ inner[1]
    return None


def _keyword_bit(snapshot: Snapshot, name: str) -> int:
    """0: no message of this mailbox has it."""
    wanted = name.lower()
    for number, known in enumerate(snapshot.keywords):
        if known.lower() == wanted and known:
            return 1 << (KEYWORD_SHIFT + number)
    return 0


# Conditions


def _joined(conditions: Sequence[Condition], word: str) -> Condition:
    if len(conditions) == 1:
        return conditions[0]
    return Condition(
        "(" + word.join([f"({condition.sql})" for condition in conditions]) + ")",
        tuple(value for condition in conditions for value in condition.values),
        any(condition.text for condition in conditions),
        any(condition.header for condition in conditions),
        any(condition.content for condition in conditions),
    )


def _between(column: str, low: int | None, high: int | None, above: str, below: str) -> Condition:
    parts, values = [], []
    if low is not None:
        parts.append(f"{column} {above} ?")
        values.append(low)
    if high is not None:
        parts.append(f"{column} {below} ?")
        values.append(high)
    return Condition(" AND ".join(parts) or "1", tuple(values))


def _days(day: datetime.date | None) -> int | None:
    return None if day is None else (day - _EPOCH).days


def _seconds(day: datetime.date | None) -> int | None:
    """Midnight UTC: internal dates are shown in UTC."""
    return None if day is None else (day - _EPOCH).days * 86400


def _within(uids: Sequence[int], ranges: Sequence[tuple[int, int]]) -> Sequence[int]:
    if len(ranges) == 1:
        first, last = ranges[0]
        return [uid for uid in uids if first <= uid <= last]
    return [uid for uid in uids if numbers.holds(ranges, uid)]
