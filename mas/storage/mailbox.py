"""A mailbox that sessions of this process have open: one snapshot and one log of changes for all of them. Event loop only.

The snapshot is changed in place by ``apply``, in the order of modseqs, and nowhere else. The log keeps what happened until the slowest
selection has taken it; bulk events stay one entry and become ``Change`` objects only when a selection takes them.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from mas.storage.change_log import compact
from mas.storage.index import Event, EventKind
from mas.storage.model import Change, ChangeKind, MailboxName, Modseq, Snapshot, Uid, UidValidity

_log = structlog.get_logger(area="storage")
CROWDED = 20_000
"""Uids in the log from which on it is made shorter."""
_KINDS = {EventKind.NEW: ChangeKind.NEW, EventKind.FLAGS: ChangeKind.FLAGS, EventKind.EXPUNGED: ChangeKind.EXPUNGED}


@dataclass(slots=True)
class Loaded:
    """A mailbox as one read transaction saw it."""

    modseq: int
    uid_validity: int
    uid_next: int
    highest_modseq: int
    uids: array[int]
    flags: list[int]
    modseqs: list[int]
    keywords: list[str]
    unparsed: int = 0
    """Messages without content: not 0 means that there may be some."""


class Cursor:
    """Where one selection is in the log; ``wake`` is called when there is more."""

    __slots__ = ("position", "wake")

    def __init__(self, position: int) -> None:
        self.position = position
        self.wake: Callable[[], None] | None = None


class OpenMailbox:
    """See the module. ``seen`` is the account's modseq up to which events are in the snapshot."""

    def __init__(self, mailbox_id: int, guid: str, name: MailboxName, loaded: Loaded) -> None:
        self.id = mailbox_id
        self.guid = guid
        self.name = name
        self.gone = False
        self.seen = loaded.modseq
        self.unparsed = loaded.unparsed
        self.snapshot = Snapshot(
            UidValidity(loaded.uid_validity),
            Uid(loaded.uid_next),
            Modseq(loaded.highest_modseq),
            loaded.uids,
            loaded.flags,
            loaded.modseqs,
            loaded.keywords,
        )
        self._entries: list[Event] = []
        self._first = 0
        self._weight = 0
        self._crowded = CROWDED
        self.cursors: set[Cursor] = set()
        self.waiting = 0
        """Selections that want to be woken; the directories are watched for them."""
        self.unwatch: list[Callable[[], None]] = []

    # Changes in

    def apply(self, event: Event) -> None:
        """Bring the snapshot up to ``event``; events that it has already are ignored."""
        if event.modseq <= self.seen:
            return
        self.seen = event.modseq
        if event.kind is EventKind.RESET:
            self.close()
            return
        snapshot = self.snapshot
        if event.kind is EventKind.NEW:
            event = self._add(event)
        elif event.kind is EventKind.FLAGS:
            event = self._flag(event)
        elif event.kind is EventKind.EXPUNGED:
            event = self._remove(event)
        if not event.uids:
            return
        snapshot.highest_modseq = Modseq(max(snapshot.highest_modseq, event.modseq))
        snapshot.generation += 1
        if self.cursors:
            self._entries.append(event)
            self._weight += len(event.uids)
            if self._weight > self._crowded:
                self._compact()

    def _compact(self) -> None:
        """Somebody takes nothing, and much waits for him."""
        taken = sorted(cursor.position - self._first for cursor in self.cursors)
        compact(self._entries, taken)
        self._weight = sum([len(event.uids) for event in self._entries])
        self._crowded = max(CROWDED, self._weight + 2 * len(self.snapshot.uids))

    def _add(self, event: Event) -> Event:
        snapshot, uids = self.snapshot, event.uids
        last = snapshot.uids[-1] if snapshot.uids else 0
        if uids and uids[0] > last:
            snapshot.uids.extend(uids)
            snapshot.flags.extend(event.flags)
            snapshot.modseqs.extend([event.modseq] * len(uids))
        else:
            # Uids that another program gave may lie between ours.
            for uid, flags in zip(uids, event.flags, strict=True):
                at = bisect_left(snapshot.uids, uid)
                if at < len(snapshot.uids) and snapshot.uids[at] == uid:
                    continue
                snapshot.uids.insert(at, uid)
                snapshot.flags.insert(at, flags)
                snapshot.modseqs.insert(at, event.modseq)
                if at < len(snapshot.uids) - 1:
                    snapshot.expunges += 1
        if uids:
            snapshot.uid_next = Uid(max(snapshot.uid_next, uids[-1] + 1))
        return event

    def _flag(self, event: Event) -> Event:
        snapshot, modseq = self.snapshot, event.modseq
        uids = snapshot.uids
        if len(event.uids) > 32 and event.uids[0] in uids:
            first = bisect_left(uids, event.uids[0])
            last = first + len(event.uids)
            if last <= len(uids) and uids[last - 1] == event.uids[-1]:
                # As many positions as uids between the same ends: the same uids.
                snapshot.flags[first:last] = event.flags
                snapshot.modseqs[first:last] = [modseq] * len(event.uids)
                return event
        kept, flags = [], []
        for uid, new in zip(event.uids, event.flags, strict=True):
            at = bisect_left(uids, uid)
            if at < len(uids) and uids[at] == uid:
                snapshot.flags[at] = new
                snapshot.modseqs[at] = modseq
                kept.append(uid)
                flags.append(new)
        return Event(event.kind, event.mailbox_id, modseq, kept, flags)

    def _remove(self, event: Event) -> Event:
        snapshot = self.snapshot
        positions = []
        for uid in event.uids:
            at = bisect_left(snapshot.uids, uid)
            if at < len(snapshot.uids) and snapshot.uids[at] == uid:
                positions.append(at)
        if not positions:
            return Event(event.kind, event.mailbox_id, event.modseq)
        removed = [snapshot.uids[at] for at in positions]
        if len(positions) <= 8:
            for at in reversed(positions):
                del snapshot.uids[at], snapshot.flags[at], snapshot.modseqs[at]
        else:
            gone = set(positions)
            keep = [at for at in range(len(snapshot.uids)) if at not in gone]
            uids, flags, modseqs = snapshot.uids, snapshot.flags, snapshot.modseqs
            snapshot.uids[:] = array("I", [uids[at] for at in keep])
            snapshot.flags[:] = [flags[at] for at in keep]
            snapshot.modseqs[:] = [modseqs[at] for at in keep]
        snapshot.expunges += 1
        return Event(event.kind, event.mailbox_id, event.modseq, removed)

    def replace(self, loaded: Loaded) -> None:
        """Events were missed: compare with the mailbox as it is now, and log the differences."""
        if loaded.uid_validity != self.snapshot.uid_validity:
            self.close()
            return
        self.seen, self.unparsed = 0, loaded.unparsed
        old = dict(zip(self.snapshot.uids, self.snapshot.flags, strict=True))
        now = dict(zip(loaded.uids, loaded.flags, strict=True))
        modseq = loaded.highest_modseq
        # As old as it can be: a session that may not tell of it yet says that it knows nothing from there on.
        first = min(modseq - 2, self.snapshot.highest_modseq + 1)
        self.apply(Event(EventKind.EXPUNGED, self.id, first, [uid for uid in old if uid not in now]))
        different = [uid for uid, flags in now.items() if old.get(uid, flags) != flags]
        self.apply(Event(EventKind.FLAGS, self.id, modseq - 1, different, [now[uid] for uid in different]))
        new = [uid for uid in now if uid not in old]
        self.apply(Event(EventKind.NEW, self.id, modseq, new, [now[uid] for uid in new]))
        snapshot = self.snapshot
        snapshot.modseqs[:] = loaded.modseqs
        snapshot.set_keywords(loaded.keywords)
        snapshot.uid_next, snapshot.highest_modseq = Uid(loaded.uid_next), Modseq(loaded.highest_modseq)
        snapshot.generation += 1
        self.seen = loaded.modseq
        self.wake()

    def close(self) -> None:
        """The mailbox is no more, or its uids are void."""
        self.gone = True
        for cursor in list(self.cursors):
            if cursor.wake is not None:
                cursor.wake()

    def wake(self, *, everyone: bool = False) -> None:
        """Tell the selections that have something to take, or all."""
        end = self._first + len(self._entries)
        for cursor in list(self.cursors):
            if cursor.wake is not None and (everyone or cursor.position < end):
                cursor.wake()

    # Changes out

    def join(self) -> Cursor:
        cursor = Cursor(self._first + len(self._entries))
        self.cursors.add(cursor)
        return cursor

    def leave(self, cursor: Cursor) -> None:
        self.cursors.discard(cursor)
        self._trim()

    def has_changes(self, cursor: Cursor) -> bool:
        return cursor.position < self._first + len(self._entries)

    def untold(self, cursor: Cursor) -> set[int]:
        """Uids of new messages that this selection has not taken yet."""
        events = self._entries[cursor.position - self._first :]
        return {uid for event in events if event.kind is EventKind.NEW for uid in event.uids}

    def take_changes(self, cursor: Cursor) -> Sequence[Change]:
        events = self._entries[cursor.position - self._first :]
        cursor.position = self._first + len(self._entries)
        self._trim()
        changes: list[Change] = []
        for event in events:
            kind, modseq = _KINDS[event.kind], Modseq(event.modseq)
            if event.flags:
                changes += [Change(kind, Uid(u), modseq, f) for u, f in zip(event.uids, event.flags, strict=True)]
            else:
                changes += [Change(kind, Uid(u), modseq) for u in event.uids]
        return changes

    def _trim(self) -> None:
        if not self.cursors:
            self._first += len(self._entries)
            self._entries.clear()
            self._weight = 0
            return
        done = min([cursor.position for cursor in self.cursors]) - self._first
        if done > 0:
            self._weight -= sum([len(event.uids) for event in self._entries[:done]])
            del self._entries[:done]
            self._first += done
