"""What one session believes of its mailbox: message sequence numbers, and the changes that it has not been told of yet.

Sequence numbers are a promise between one session and one client: number n means the same message until an EXPUNGE has been sent, and
EXPUNGE may be sent only at certain times [RFC9051 7.5.1]. The mailbox itself (``Snapshot``) is shared by all sessions of the process and
moves on under them. This module keeps the difference, and nothing else: how many messages the client was told of (``exists``), which of
them are gone (``_gone``), which changed flags (``_changed``). No list of uids is kept beside the shared one while nothing is pending, so
a session that has heard everything costs no memory for its 20,000 messages, and its positions are positions of the snapshot
(``in_step``), which is what makes ``FETCH 1:* (FLAGS)`` one comprehension.

Rules:

1. ``absorb()`` everything that ``Selection.take_changes()`` gives before positions are used, and again after every await. What a command
   has resolved (``Messages``) is its own copy and stays true.
2. The uids told to the client are those of the snapshot up to ``last_uid``, together with ``_gone``.
3. A message that came and went before it was told never existed.

Must not know: wire bytes, sockets, commands.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress

from mas.storage.model import Change, ChangeKind, Snapshot

Ranges = Sequence[tuple[int, int]]
"""Inclusive, ascending, not overlapping."""

_NOTHING: Mapping[int, int] = {}


@dataclass(frozen=True, slots=True)
class Messages:
    """Messages that a command named, resolved once: ``uids[i]`` has sequence number ``seqnums[i]``; both ascend."""

    uids: Sequence[int]
    seqnums: Sequence[int]

    def __len__(self) -> int:
        return len(self.uids)

    def numbers(self, uids: Sequence[int], start: int = 0) -> tuple[Sequence[int], int]:
        """Sequence numbers of ``uids`` (ascending, all of them among these messages, from place ``start`` on), and the place after them.

        Two ascending lists of one length, one part of the other, with the same ends are the same list: so a batch without gaps costs
        nothing a message.
        """
        if not uids:
            return (), start
        mine, count = self.uids, len(uids)
        end = start + count
        if end <= len(mine) and mine[start] == uids[0] and mine[end - 1] == uids[-1]:
            return self.seqnums[start:end], end
        found = []
        for uid in uids:
            start = bisect_left(mine, uid, start)
            found.append(self.seqnums[start])
        return found, start + 1


@dataclass(frozen=True, slots=True)
class Updates:
    """What a session is told between two commands, in this order.

    vanished: uids that were expunged, ascending (VANISHED).
    expunged: the same messages as sequence numbers, descending, so that each one is right when it is read (EXPUNGE).
    exists: the new number of messages, or None when no message came.
    flags: ``(sequence number, position in the snapshot)`` of messages whose flags changed, numbered after the expunges.
    """

    vanished: Sequence[int] = ()
    expunged: Sequence[int] = ()
    exists: int | None = None
    flags: Sequence[tuple[int, int]] = ()


NO_UPDATES = Updates()


class View:
    """One session's view of the mailbox it has selected.

    saved: uids, the result of the last SEARCH RETURN (SAVE) [RFC5182 2.1].
    torn: a message appeared between those that the client knows: another program broke the rules of uids, and there is no way to tell it.
        The session has to end.
    held_modseq: the lowest modseq of an expunge that waits to be told, 0 when none does [RFC7162 6].
    """

    __slots__ = ("_changed", "_gone", "_merged", "exists", "held_modseq", "last_uid", "saved", "snapshot", "torn")

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.exists = len(snapshot.uids)
        self.last_uid = snapshot.uids[-1] if snapshot.uids else 0
        self.saved: Sequence[int] = ()
        self.held_modseq = 0
        self.torn = False
        self._gone: list[int] = []
        self._changed: set[int] = set()
        self._merged: array[int] | None = None

    # What the store says

    def absorb(self, changes: Iterable[Change], own: Mapping[int, int] = _NOTHING) -> None:
        """Take note of changes; nothing is told yet. ``own`` maps uids to the modseq of a flag change that this session made itself and
        has answered already: it is not told again, unless another session changed the message too."""
        gone = False
        for change in changes:
            uid = change.uid
            if uid > self.last_uid:
                continue  # rule 3, and news of new messages is their number alone
            if change.kind is ChangeKind.FLAGS:
                if own.get(uid) != change.modseq:
                    self._changed.add(uid)
            elif change.kind is ChangeKind.EXPUNGED:
                self._gone.append(uid)
                self.held_modseq = min(self.held_modseq or change.modseq, change.modseq)
                self._changed.discard(uid)
                gone = True
            else:
                self.torn = True
        if gone:
            self._gone.sort()
            self._merged = None
            if self.saved:
                lost = set(self._gone)
                self.saved = [uid for uid in self.saved if uid not in lost]

    def forget_changes(self, uids: Iterable[int]) -> None:
        """The client has just been told the flags of these messages."""
        if self._changed:
            self._changed.difference_update(uids)

    # What the client may ask

    @property
    def in_step(self) -> bool:
        """No expunge is pending: sequence number n is position n - 1 of the snapshot."""
        return not self._gone

    @property
    def uids(self) -> Sequence[int]:
        """The uids told to the client, in the order of their sequence numbers. May be the shared array: not to be kept over an await."""
        shared = self.snapshot.uids
        if not self._gone:
            return shared if len(shared) == self.exists else shared[: self.exists]
        if self._merged is None:
            self._merged = array("I", sorted([*shared[: self.exists - len(self._gone)], *self._gone]))
        return self._merged

    def by_seqnum(self, ranges: Ranges) -> Messages:
        """The messages of sequence numbers, all of which exist (``1 <= n <= exists``): the caller has checked the last one."""
        uids = self.uids
        if len(ranges) == 1:
            low, high = ranges[0]
            return Messages(uids[low - 1 : high], range(low, high + 1))
        seqnums = [n for low, high in ranges for n in range(low, high + 1)]
        return Messages(array("I", [uids[n - 1] for n in seqnums]), seqnums)

    def by_uid(self, ranges: Ranges) -> Messages:
        """The messages of uids; uids that are no message, or no more, are left out [RFC9051 6.4.9]."""
        uids = self.uids
        spans = []
        for low, high in ranges:
            start = bisect_left(uids, low)
            end = bisect_right(uids, high, start)
            if start < end:
                spans.append((start, end))
        if self._gone:
            lost = set(self._gone)
            places = [at for start, end in spans for at in range(start, end) if uids[at] not in lost]
            return Messages(array("I", [uids[at] for at in places]), [at + 1 for at in places])
        if not spans:
            return Messages(array("I"), ())
        if len(spans) == 1:
            start, end = spans[0]
            return Messages(uids[start:end], range(start + 1, end + 1))
        chosen = array("I")
        numbers: list[int] = []
        for start, end in spans:
            chosen.extend(uids[start:end])
            numbers.extend(range(start + 1, end + 1))
        return Messages(chosen, numbers)

    def saved_messages(self) -> Messages:
        """The messages of ``$`` [RFC5182 2.1]: the saved result without what was expunged since."""
        uids = self.uids
        places = [bisect_left(uids, uid) for uid in self.saved]
        return Messages(array("I", self.saved), [at + 1 for at in places])

    def seqnums_of(self, uids: Sequence[int]) -> list[int]:
        """Sequence numbers of uids that the client was told of (others are left out), in order."""
        if not uids:
            return []
        mine = self.uids
        first = bisect_left(mine, uids[0])
        last = bisect_right(mine, uids[-1], first)
        if last - first == uids[-1] - uids[0] + 1:  # no gaps between them: a number is the uid less an offset
            offset = first + 1 - uids[0]
            return [uid + offset for uid in uids]
        if len(uids) * 16 > last - first:  # one pass over all is cheaper than so many searches
            return list(compress(range(first + 1, last + 1), map(set(uids).__contains__, mine[first:last])))
        found = []
        at = first
        for uid in uids:
            at = bisect_left(mine, uid, at, last)
            if at < last and mine[at] == uid:
                found.append(at + 1)
        return found

    def told(self, uids: Sequence[int]) -> Sequence[int]:
        """Those of ``uids`` (ascending) that the client was told of."""
        return uids if not uids or uids[-1] <= self.last_uid else uids[: bisect_right(uids, self.last_uid)]

    def without_waiting(self, ranges: Ranges) -> Ranges:
        """Ranges of uids without those whose expunge waits to be told: the client counts them still."""
        found = list(ranges)
        for uid in self._gone:
            at = bisect_right(found, (uid, 1 << 32)) - 1
            if at >= 0 and found[at][1] >= uid:
                low, high = found[at]
                found[at : at + 1] = [(a, b) for a, b in ((low, uid - 1), (uid + 1, high)) if a <= b]
        return found

    def with_flag(self, bits: int) -> list[int]:
        """Uids of the messages, told and still here, that have all of ``bits`` set."""
        snapshot = self.snapshot
        count = self.exists - len(self._gone)
        if count == len(snapshot.uids):
            return [uid for uid, flags in zip(snapshot.uids, snapshot.flags, strict=True) if flags & bits == bits]
        return [
            uid
            for uid, flags in zip(snapshot.uids[:count], snapshot.flags[:count], strict=True)
            if flags & bits == bits
        ]

    def some_gone(self, uids: Sequence[int]) -> bool:
        """Whether an expunge is pending of one of ``uids``."""
        return bool(self._gone) and not set(self._gone).isdisjoint(uids)

    def highest_modseq(self, uids: Sequence[int]) -> int:
        """The highest modseq of ``uids`` that are still here; 0 when none is."""
        snapshot = self.snapshot
        return max(compress(snapshot.modseqs, map(set(uids).__contains__, snapshot.uids)), default=0)

    def position(self, uid: int) -> int | None:
        """Where the snapshot has this uid now, or None."""
        uids = self.snapshot.uids
        at = bisect_left(uids, uid)
        return at if at < len(uids) and uids[at] == uid else None

    # What the client is told

    def pending(self, *, expunge: bool) -> bool:
        """Whether ``announce`` would say anything."""
        return bool(
            self._changed or (expunge and self._gone) or len(self.snapshot.uids) + len(self._gone) != self.exists
        )

    def announce(self, *, expunge: bool) -> Updates:
        """Everything pending, and from now on the client knows it. Without ``expunge`` the expunges wait [RFC9051 7.5.1]."""
        if not self.pending(expunge=expunge):
            return NO_UPDATES
        vanished: Sequence[int] = ()
        expunged: Sequence[int] = ()
        if expunge and self._gone:
            vanished = self._gone
            expunged = self.seqnums_of(vanished)
            expunged.reverse()
            self.exists -= len(vanished)
            self._gone = []
            self._merged = None
            self.held_modseq = 0
        snapshot = self.snapshot
        flags: list[tuple[int, int]] = []
        if self._changed:
            changed = sorted(self._changed)
            numbers = self.seqnums_of(changed)
            for uid, number in zip(changed, numbers, strict=True):
                at = self.position(uid)
                if at is not None:
                    flags.append((number, at))
            self._changed = set()
        exists: int | None = None
        now = len(snapshot.uids) + len(self._gone)
        if now != self.exists:
            exists = self.exists = now
            self.last_uid = snapshot.uids[-1]
            self._merged = None
        return Updates(vanished, expunged, exists, flags)
