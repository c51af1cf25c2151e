"""A log that is made shorter says the same to every session."""

from __future__ import annotations

import random
from array import array

import pytest

from mas.protocols.imap.view import View
from mas.storage import mailbox
from mas.storage.index import Event, EventKind
from mas.storage.mailbox import Loaded, OpenMailbox
from mas.storage.model import ChangeKind, MailboxName


def opened(messages: int) -> OpenMailbox:
    loaded = Loaded(1, 1, messages + 1, 1, array("I", range(1, messages + 1)), [0] * messages, [1] * messages, [])
    return OpenMailbox(1, "guid", MailboxName("INBOX"), loaded)


class Sessions:
    """The same sessions on the same mailbox, with a limit for its log."""

    def __init__(self, crowded: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.crowded = crowded
        self.monkeypatch = monkeypatch
        self.set_limit()
        self.box = opened(8)
        self.cursors = [self.box.join() for _ in range(3)]
        self.views = [View(self.box.snapshot) for _ in range(3)]

    def set_limit(self) -> None:
        self.monkeypatch.setattr(mailbox, "CROWDED", self.crowded)

    def apply(self, event: Event) -> None:
        self.set_limit()
        self.box.apply(Event(event.kind, 1, event.modseq, list(event.uids), list(event.flags)))

    def take(self, session: int) -> None:
        self.views[session].absorb(self.box.take_changes(self.cursors[session]))

    def told(self, session: int) -> object:
        self.take(session)
        updates = self.views[session].announce(expunge=True)
        return list(updates.vanished), list(updates.expunged), updates.exists, list(updates.flags)


@pytest.mark.parametrize("seed", range(40))
def test_every_session_is_told_the_same(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    choose = random.Random(seed)
    short, long = Sessions(3, monkeypatch), Sessions(1 << 40, monkeypatch)
    here, next_uid = list(range(1, 9)), 9
    for modseq in range(2, 150):
        some = sorted(choose.sample(here, min(len(here), choose.randint(1, 5))))
        match choose.choice("nfffx"):
            case "n":
                some = list(range(next_uid, next_uid + choose.randint(1, 4)))
                next_uid += len(some)
                here += some
                event = Event(EventKind.NEW, 1, modseq, some, [0] * len(some))
            case "f":
                event = Event(EventKind.FLAGS, 1, modseq, some, [choose.randrange(32) for _ in some])
            case _:
                here = [uid for uid in here if uid not in some]
                event = Event(EventKind.EXPUNGED, 1, modseq, some)
        for sessions in (short, long):
            sessions.apply(event)
        session = choose.randrange(12)
        if session < 3:
            assert short.told(session) == long.told(session)
        elif session < 6:
            short.take(session - 3)
            long.take(session - 3)
    for session in range(3):
        assert short.told(session) == long.told(session)
    assert not short.box._entries
    assert not short.box._weight


def test_what_waits_for_a_silent_session_is_bounded() -> None:
    box = opened(20_000)
    silent = box.join()
    everything = list(range(1, 20_001))
    for modseq in range(2, 60):
        box.apply(Event(EventKind.FLAGS, 1, modseq, list(everything), [modseq % 2] * len(everything)))
        new = list(range(20_000 * modseq, 20_000 * modseq + 500))
        box.apply(Event(EventKind.NEW, 1, modseq * 1000, new, [0] * len(new)))
        box.apply(Event(EventKind.EXPUNGED, 1, modseq * 1000 + 1, new))
        box.seen = modseq
    assert len(box.take_changes(silent)) <= 4 * len(everything)


def test_a_session_hears_of_what_others_did_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own change is the later one, and it is told nothing of that one as long as nobody else changed the message."""
    monkeypatch.setattr(mailbox, "CROWDED", 3)
    box = opened(3)
    cursor, view = box.join(), View(box.snapshot)
    box.apply(Event(EventKind.FLAGS, 1, 2, [1, 2], [8, 8]))
    box.apply(Event(EventKind.FLAGS, 1, 3, [1, 2, 3], [9, 9, 1]))
    changes = box.take_changes(cursor)
    assert {change.uid for change in changes if change.kind is ChangeKind.FLAGS} == {1, 2, 3}
    view.absorb(changes, {1: 3, 2: 3, 3: 3})
    assert {box.snapshot.uids[at] for _, at in view.announce(expunge=True).flags} >= {1, 2}
