"""Search programs over a mailbox: SQL, snapshot and files give what the keys say."""

from __future__ import annotations

import datetime
import random
from array import array
from collections.abc import Callable

import pytest

from mas.storage import query as q
from mas.storage.account import MaildirAccount
from mas.storage.model import (
    ANSWERED,
    DELETED,
    INBOX,
    KEYWORD_SHIFT,
    SEEN,
    Flags,
    Modseq,
    Snapshot,
    StoreOp,
    Uid,
    UidValidity,
)
from mas.storage.search import on_snapshot
from mas.storage.store import MaildirStore
from mas.user import User
from tests.storage.test_account import put

DAY = datetime.date


def message(number: int, subject: str, body: str, header: str = "") -> bytes:
    return (
        f"From: Ada <ada{number}@example.net>\r\nTo: kim@example.net\r\nSubject: {subject}\r\n{header}"
        f"Date: Sun, {number} Nov 2026 23:30:00 -0800\r\nMessage-ID: <m{number}@example.net>\r\n"
        f"Received: from relay{number}.example.org\r\n"
        f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{body}\r\n"
    ).encode()


MESSAGES = [
    message(1, "=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Plain text about apples"),
    message(2, "Re: plans", "Something about PEARS" * 40),
    message(3, "Plans", "Äpfel und Birnen", header="X-Tag: one\r\n"),
]
DATES = [1_700_000_000, 1_750_000_000, 1_790_000_000]

PROGRAMS: list[tuple[q.Key, list[int]]] = [
    (q.All(), [1, 2, 3]),
    (q.Uids(((2, 9),)), [2, 3]),
    (q.SystemFlag(SEEN), [1]),
    (q.Not(q.SystemFlag(SEEN)), [2, 3]),
    (q.SystemFlag(SEEN | ANSWERED), []),
    (q.Keyword("WORK"), [2]),
    (q.Keyword("none"), []),
    (q.Not(q.Keyword("none")), [1, 2, 3]),
    (q.Header("subject", "PLANS"), [2, 3]),
    (q.Header("subject", "grüße"), [1]),
    (q.Header("from", "<ada2@"), [2]),
    (q.Header("x-tag", ""), [3]),
    (q.Header("x-tag", "ONE"), [3]),
    (q.Header("message-id", "m2@example"), [2]),
    (q.Header("received", "relay3"), [3]),
    (q.Body("apples"), [1]),
    (q.Body("pears"), [2]),
    (q.Body("äpfel"), [3]),
    (q.Body("relay"), []),
    (q.Text("relay"), [1, 2, 3]),
    (q.Text(""), [1, 2, 3]),
    (q.Size(larger=600), [2]),
    (q.Not(q.Size(larger=600)), [1, 3]),
    (q.InternalDate(since=DAY(2025, 6, 15), before=DAY(2025, 6, 16)), [2]),
    (q.SentDate(since=DAY(2026, 11, 2), before=DAY(2026, 11, 3)), [2]),
    (q.Or((q.Body("apples"), q.Header("x-tag", ""))), [1, 3]),
    (q.And((q.Header("subject", "plans"), q.Body("pears"), q.Not(q.SystemFlag(SEEN)))), [2]),
    (q.Not(q.Or((q.Body("apples"), q.Body("pears")))), [3]),
    (q.And(()), [1, 2, 3]),
    (q.Or(()), []),
    (q.And((q.Not(q.All()), q.Text("x"))), []),
    (q.SaveDate(since=DAY(2020, 1, 1)), [1, 2, 3]),
    (q.Age(max_seconds=1), []),
    (q.ModseqAtLeast(1 << 60), []),
]


async def prepared(store: MaildirStore, user: User) -> MaildirAccount:
    account = await store.open(user)
    for data, date in zip(MESSAGES, DATES, strict=True):
        await put(store, account, octets=[data], date=date)
    selection = await account.select(INBOX)
    await selection.store([1], StoreOp.ADD, Flags(SEEN))
    await selection.store([2], StoreOp.ADD, Flags(0, frozenset({"Work"})))
    await selection.close()
    return account


@pytest.mark.parametrize("foreign", [False, True], ids=["indexed", "index-lost"])
async def test_programs(store: MaildirStore, user: User, foreign: bool) -> None:
    account = await prepared(store, user)
    if foreign:
        # The index is gone, with everything that was parsed; the Maildir has it all.
        (user.home / "Maildir/mas-index.sqlite").unlink()
        await account.write(lambda: None)
    selection = await account.select(INBOX)
    for key, expected in PROGRAMS:
        assert list(await selection.search(key)) == expected, key
    latest = max(selection.snapshot.modseqs)
    expected = [
        uid for uid, modseq in zip(selection.snapshot.uids, selection.snapshot.modseqs, strict=True) if modseq == latest
    ]
    assert list(await selection.search(q.ModseqAtLeast(latest))) == expected


def test_what_the_snapshot_answers_alone() -> None:
    """Flags and modseqs of a mailbox of several blocks, beside the plain way of saying the same."""
    draw = random.Random(7)
    uids = sorted(draw.sample(range(1, 5000), 1000))
    flags = [draw.choice([0, SEEN, SEEN | ANSWERED, DELETED, 1 << KEYWORD_SHIFT]) for _ in uids]
    modseqs = [draw.randrange(1, 100) if uid > 4000 else 7 for uid in uids]
    snapshot = Snapshot(UidValidity(1), Uid(5000), Modseq(100), array("I", uids), flags, modseqs, ["$Work"])
    for since, start, end in [
        (0, 0, None),
        (6, 3, 900),
        (7, 0, None),
        (50, 100, 999),
        (98, 0, None),
        (100, 0, None),
        (7, 5, 5),
    ]:
        places = range(len(uids))[start:end]
        assert snapshot.newer(since, start, end) == [at for at in places if modseqs[at] > since]
    unseen, work = q.Not(q.SystemFlag(SEEN)), q.Keyword("$WORK")
    table: list[tuple[q.Key, Callable[[int], bool]]] = [
        (unseen, lambda f: not f & SEEN),
        (q.And((unseen, q.Not(q.SystemFlag(DELETED)))), lambda f: not f & (SEEN | DELETED)),
        (work, lambda f: f >> KEYWORD_SHIFT > 0),
        (q.Not(work), lambda f: not f >> KEYWORD_SHIFT),
        (q.Keyword("none"), lambda f: False),
    ]
    for key, holds in table:
        assert on_snapshot(snapshot, key) == [uid for uid, f in zip(uids, flags, strict=True) if holds(f)], key
    some = q.And((q.Uids(((1, 900), (950, 950))), unseen))
    assert on_snapshot(snapshot, some) == [
        uid for uid, f in zip(uids, flags, strict=True) if (uid <= 900 or uid == 950) and not f & SEEN
    ]
    assert on_snapshot(snapshot, q.And((unseen, q.Header("subject", "x")))) is None
