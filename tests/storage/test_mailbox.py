"""An open mailbox whose events were missed."""

from __future__ import annotations

from array import array

from mas.storage.index import Event, EventKind
from mas.storage.mailbox import Loaded, OpenMailbox
from mas.storage.model import ChangeKind, MailboxName


def loaded(modseq: int, messages: dict[int, tuple[int, int]]) -> Loaded:
    """uid -> flags, modseq."""
    flags, modseqs = [f for f, _ in messages.values()], [m for _, m in messages.values()]
    return Loaded(modseq, 1, 10, modseq, array("I", messages), flags, modseqs, [])


def test_an_expunge_that_was_missed_is_as_old_as_it_can_be() -> None:
    """A session that may not tell of it yet says that it knows nothing from there on [RFC7162 6]: too early costs time, too late a
    message that stays in the client for ever."""
    box = OpenMailbox(1, "guid", MailboxName("INBOX"), loaded(100, {1: (0, 50), 2: (0, 100), 3: (0, 60)}))
    cursor = box.join()
    box.replace(loaded(500, {1: (8, 499), 3: (0, 60), 4: (0, 500)}))
    changes = box.take_changes(cursor)
    assert [(change.kind, change.uid) for change in changes] == [
        (ChangeKind.EXPUNGED, 2),
        (ChangeKind.FLAGS, 1),
        (ChangeKind.NEW, 4),
    ]
    assert changes[0].modseq == 101
    assert list(box.snapshot.modseqs) == [499, 60, 500]
    box.apply(Event(EventKind.FLAGS, 1, 501, [3], [8]))
    assert [change.uid for change in box.take_changes(cursor)] == [3]
