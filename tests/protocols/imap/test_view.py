"""The sequence-number view: tables, and a client that applies what it is told and must agree with the mailbox in the end."""

from __future__ import annotations

import random
from array import array
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mas.protocols.imap.view import NO_UPDATES, Messages, Updates, View
from mas.storage.model import DELETED, SEEN, Change, ChangeKind, Modseq, Snapshot, Uid, UidValidity


class Mailbox:
    """A snapshot and the changes of it, as a store would make them."""

    def __init__(self, uids: Sequence[int] = ()) -> None:
        self.snapshot = Snapshot(UidValidity(1), Uid(1), Modseq(1))
        self.changes: list[Change] = []
        for uid in uids:
            self.new(uid)
        self.changes.clear()

    def take(self) -> list[Change]:
        taken, self.changes = self.changes, []
        return taken

    def _note(self, kind: ChangeKind, uid: int) -> int:
        self.snapshot.highest_modseq = Modseq(self.snapshot.highest_modseq + 1)
        self.changes.append(Change(kind, Uid(uid), self.snapshot.highest_modseq))
        return self.snapshot.highest_modseq

    def new(self, uid: int | None = None) -> None:
        uid = self.snapshot.uid_next if uid is None else uid
        self.snapshot.uid_next = Uid(uid + 1)
        self.snapshot.uids.append(uid)
        self.snapshot.flags.append(0)
        self.snapshot.modseqs.append(self._note(ChangeKind.NEW, uid))

    def flag(self, uid: int, flags: int) -> int:
        at = self.snapshot.uids.index(uid)
        self.snapshot.flags[at] = flags
        modseq = self.snapshot.modseqs[at] = self._note(ChangeKind.FLAGS, uid)
        return modseq

    def expunge(self, *uids: int) -> None:
        for uid in uids:
            at = self.snapshot.uids.index(uid)
            del self.snapshot.uids[at], self.snapshot.flags[at], self.snapshot.modseqs[at]
            self._note(ChangeKind.EXPUNGED, uid)
        self.snapshot.expunges += 1


def in_words(updates: Updates) -> tuple[list[int], list[int], int | None, list[tuple[int, int]]]:
    return list(updates.vanished), list(updates.expunged), updates.exists, list(updates.flags)


def pairs(messages: Messages) -> list[tuple[int, int]]:
    return list(zip(messages.seqnums, messages.uids, strict=True))


@pytest.mark.parametrize(
    ("act", "expunge", "expected"),
    [
        ("", True, ([], [], None, [])),
        ("new", False, ([], [], 5, [])),
        ("flag 20", False, ([], [], None, [(2, 1)])),
        ("expunge 20", False, ([], [], None, [])),
        ("expunge 20", True, ([20], [2], None, [])),
        ("expunge 10 40", True, ([10, 40], [4, 1], None, [])),
        ("expunge 40 10", True, ([10, 40], [4, 1], None, [])),
        ("flag 30;expunge 10", False, ([], [], None, [(3, 1)])),
        ("flag 30;expunge 10", True, ([10], [1], None, [(2, 1)])),
        ("flag 10;expunge 10", False, ([], [], None, [])),
        ("new;expunge 41", True, ([], [], None, [])),
        ("new;flag 41", False, ([], [], 5, [])),
        ("expunge 10;new", False, ([], [], 5, [])),
        ("expunge 10;new", True, ([10], [1], 4, [])),
        ("expunge 10 20 30 40", True, ([10, 20, 30, 40], [4, 3, 2, 1], None, [])),
        ("expunge 10 20 30 40;new", True, ([10, 20, 30, 40], [4, 3, 2, 1], 1, [])),
    ],
)
def test_announce(act: str, expunge: bool, expected: tuple[object, ...]) -> None:
    box = Mailbox([10, 20, 30, 40])
    view = View(box.snapshot)
    for step in filter(None, act.split(";")):
        verb, *uids = step.split()
        if verb == "new":
            box.new()
        elif verb == "flag":
            box.flag(int(uids[0]), SEEN)
        else:
            box.expunge(*map(int, uids))
    view.absorb(box.take())
    assert view.pending(expunge=expunge) == (expected != ([], [], None, []))
    assert in_words(view.announce(expunge=expunge)) == expected
    assert view.announce(expunge=expunge) is NO_UPDATES


def test_held_expunges_keep_the_numbers() -> None:
    box = Mailbox([10, 20, 30])
    view = View(box.snapshot)
    box.expunge(10)
    box.new()
    view.absorb(box.take())
    assert not view.in_step
    assert in_words(view.announce(expunge=False)) == ([], [], 4, [])
    assert list(view.uids) == [10, 20, 30, 31]
    assert pairs(view.by_seqnum([(1, 4)])) == [(1, 10), (2, 20), (3, 30), (4, 31)]
    assert pairs(view.by_uid([(1, 99)])) == [(2, 20), (3, 30), (4, 31)]
    box.expunge(31)
    view.absorb(box.take())
    assert in_words(view.announce(expunge=True)) == ([10, 31], [4, 1], None, [])
    assert list(view.uids) == [20, 30]


def test_messages_not_told_of_are_not_there() -> None:
    box = Mailbox([1, 2])
    view = View(box.snapshot)
    box.new()
    box.flag(3, DELETED)
    box.flag(1, DELETED)
    view.absorb(box.take())
    assert list(view.uids) == [1, 2]
    assert pairs(view.by_uid([(1, 9)])) == [(1, 1), (2, 2)]
    assert view.with_flag(DELETED) == [1]
    assert view.told([1, 2, 3]) == [1, 2]
    view.announce(expunge=True)
    assert view.with_flag(DELETED) == [1, 3]
    assert view.told([1, 2, 3]) == [1, 2, 3]


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ([], []),
        ([(1, 9)], []),
        ([(10, 10)], [(1, 10)]),
        ([(11, 19)], []),
        ([(5, 25)], [(1, 10), (2, 20)]),
        ([(10, 10), (30, 99)], [(1, 10), (3, 30), (4, 40)]),
        ([(1, 4294967295)], [(1, 10), (2, 20), (3, 30), (4, 40)]),
    ],
)
def test_by_uid(ranges: list[tuple[int, int]], expected: list[tuple[int, int]]) -> None:
    view = View(Mailbox([10, 20, 30, 40]).snapshot)
    assert pairs(view.by_uid(ranges)) == expected


def test_by_seqnum() -> None:
    view = View(Mailbox([10, 20, 30, 40]).snapshot)
    assert pairs(view.by_seqnum([(2, 3)])) == [(2, 20), (3, 30)]
    assert pairs(view.by_seqnum([(1, 1), (4, 4)])) == [(1, 10), (4, 40)]


def test_what_a_command_resolved_stays() -> None:
    box = Mailbox([10, 20, 30])
    view = View(box.snapshot)
    messages = view.by_seqnum([(1, 3)])
    box.expunge(20)
    view.absorb(box.take())
    assert pairs(messages) == [(1, 10), (2, 20), (3, 30)]


@pytest.mark.parametrize(
    ("uids", "start", "expected"),
    [
        ([], 0, ([], 0)),
        ([10, 20], 0, ([1, 2], 2)),
        ([30, 40], 2, ([3, 4], 4)),
        ([10, 30], 0, ([1, 3], 3)),
        ([40], 0, ([4], 4)),
        ([20, 40], 1, ([2, 4], 4)),
    ],
)
def test_numbers_of_a_batch(uids: list[int], start: int, expected: tuple[list[int], int]) -> None:
    found, end = Messages(array("I", [10, 20, 30, 40]), range(1, 5)).numbers(uids, start)
    assert (list(found), end) == expected


def test_own_flag_changes_are_not_told_again() -> None:
    box = Mailbox([1, 2, 3])
    view = View(box.snapshot)
    mine = box.flag(1, SEEN)
    both = box.flag(2, SEEN)
    box.flag(2, DELETED)
    box.flag(3, SEEN)
    view.absorb(box.take(), own={1: mine, 2: both})
    assert in_words(view.announce(expunge=True)) == ([], [], None, [(2, 1), (3, 2)])


def test_flags_told_otherwise_are_silent() -> None:
    box = Mailbox([1, 2])
    view = View(box.snapshot)
    box.flag(1, SEEN)
    box.flag(2, SEEN)
    view.absorb(box.take())
    view.forget_changes([1])
    assert in_words(view.announce(expunge=True)) == ([], [], None, [(2, 1)])


def test_saved_result_shrinks() -> None:
    box = Mailbox([1, 2, 3])
    view = View(box.snapshot)
    view.saved = [1, 3]
    assert pairs(view.saved_messages()) == [(1, 1), (3, 3)]
    box.expunge(1)
    view.absorb(box.take())
    assert pairs(view.saved_messages()) == [(3, 3)]
    view.announce(expunge=True)
    assert pairs(view.saved_messages()) == [(2, 3)]


def test_a_message_between_known_ones_tears_the_view() -> None:
    box = Mailbox([10, 20])
    view = View(box.snapshot)
    view.absorb([Change(ChangeKind.NEW, Uid(30), Modseq(9))])
    assert not view.torn
    view.absorb([Change(ChangeKind.NEW, Uid(15), Modseq(9))])
    assert view.torn


def test_lowest_modseq_of_held_expunges() -> None:
    box = Mailbox([1, 2, 3])
    view = View(box.snapshot)
    box.expunge(3)
    first = box.snapshot.highest_modseq
    box.expunge(1)
    view.absorb(box.take())
    assert view.held_modseq == first
    view.announce(expunge=False)
    assert view.held_modseq == first
    view.announce(expunge=True)
    assert view.held_modseq == 0


def test_a_view_in_step_holds_no_list() -> None:
    snapshot = Mailbox(range(1, 100)).snapshot
    assert View(snapshot).uids is snapshot.uids


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 20), st.lists(st.sampled_from("nffeea"), max_size=60), st.integers())
def test_client_and_mailbox_agree(size: int, acts: list[str], seed: int) -> None:
    """Whatever happens and whenever it is told: the client's list, made only of what it was told, is the view's, and in the end the
    mailbox's; and no flag change of a message that stays is lost."""
    rng = random.Random(seed)
    box = Mailbox(range(1, size + 1))
    view = View(box.snapshot)
    client = [0] * size  # flags as the client knows them, by sequence number
    told = list(box.snapshot.uids)

    def tell(expunge: bool) -> None:
        view.absorb(box.take())
        updates = view.announce(expunge=expunge)
        for number in updates.expunged:
            del told[number - 1], client[number - 1]
        if updates.exists is not None:
            new = updates.exists - len(told)
            assert new > 0
            fresh = list(box.snapshot.uids)[-new:]
            told.extend(fresh)
            client.extend(box.snapshot.flags[-new:])
        for number, at in updates.flags:
            assert told[number - 1] == box.snapshot.uids[at]
            client[number - 1] = box.snapshot.flags[at]
        assert list(view.uids) == told
        assert view.exists == len(told)

    for act in acts:
        uids = list(box.snapshot.uids)
        if act == "n":
            box.new()
        elif act == "f" and uids:
            box.flag(rng.choice(uids), rng.randrange(32))
        elif act == "e" and uids:
            box.expunge(*rng.sample(uids, min(len(uids), rng.randint(1, 3))))
        elif act == "a":
            tell(rng.random() < 0.5)
    tell(True)
    assert told == list(box.snapshot.uids)
    assert client == list(box.snapshot.flags)
    assert view.uids is box.snapshot.uids


@given(
    st.sets(st.integers(1, 300), max_size=150),
    st.sets(st.integers(1, 300), max_size=200),
    st.booleans(),
)
def test_sequence_numbers_of_uids(mine: set[int], asked: set[int], dense: bool) -> None:
    """Those that the client knows, by their place; however many are asked for, and whether the mailbox has gaps or not."""
    known = list(range(min(mine), max(mine) + 1)) if dense and mine else sorted(mine)
    box = Mailbox(known)
    view = View(box.snapshot)
    wanted = sorted(asked)
    assert view.seqnums_of(wanted) == [known.index(uid) + 1 for uid in wanted if uid in known]
    modseqs = dict(zip(known, box.snapshot.modseqs, strict=True))
    assert view.highest_modseq(wanted) == max((modseqs[uid] for uid in wanted if uid in modseqs), default=0)
