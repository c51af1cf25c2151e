"""What happened in an open mailbox and was not taken by every selection yet, made shorter. Pure.

A client that says nothing takes nothing, for as long as ``imap.idle_timeout``. Another one of the same user may meanwhile set and take away
the flags of 100,000 messages every second, or have as many come and go: what waits is bounded by the messages that there are, not by what
was done to them. Places in the log stay what they are: events lose uids, none goes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from mas.storage.index import Event, EventKind


def compact(events: list[Event], taken: Sequence[int]) -> None:
    """Leave out what nobody will miss. taken: ascending, for each selection how many of the events it has taken."""
    _forget_what_passed(events, taken)
    _forget_what_is_told_again(events)


def _forget_what_passed(events: list[Event], taken: Sequence[int]) -> None:
    """Messages that came and went between two looks of everybody: they never existed."""
    born: dict[int, int] = {}
    passed: set[int] = set()
    for at, event in enumerate(events):
        look = bisect_right(taken, at)
        if event.kind is EventKind.NEW:
            born |= dict.fromkeys(event.uids, look)
        elif event.kind is EventKind.EXPUNGED and born:
            passed.update([uid for uid in event.uids if born.get(uid) == look])
    if passed:
        for at, event in enumerate(events):
            events[at] = _without(event, passed)


def _forget_what_is_told_again(events: list[Event]) -> None:
    """Flags that change again, or whose message goes, later. Who made the later change must still hear of the earlier one: those that
    are left are nobody's own, which their modseq says."""
    later: set[int] = set()
    covering: Sequence[int] = ()
    shorter = False
    for at in range(len(events) - 1, -1, -1):
        event = events[at]
        if event.kind not in (EventKind.FLAGS, EventKind.EXPUNGED):
            continue
        if event.kind is EventKind.FLAGS and event.uids:
            left = (
                _without(event, later) if event.uids != covering else Event(event.kind, event.mailbox_id, event.modseq)
            )
            shorter = shorter or len(left.uids) < len(event.uids)
            events[at] = left
        if event.uids != covering:
            later.update(event.uids)
            covering = event.uids
    if shorter:
        for at, event in enumerate(events):
            if event.kind is EventKind.FLAGS:
                events[at] = Event(event.kind, event.mailbox_id, 0, event.uids, event.flags)


def _without(event: Event, uids: set[int]) -> Event:
    if uids.isdisjoint(event.uids):
        return event
    places = [at for at, uid in enumerate(event.uids) if uid not in uids]
    left = [event.uids[at] for at in places]
    flags = [event.flags[at] for at in places] if event.flags else ()
    return Event(event.kind, event.mailbox_id, event.modseq, left, flags)
