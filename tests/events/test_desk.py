"""The desk: who hears of what, in which order, again when it could not be done, and after a crash."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mas.errors import AuthUnavailable, MailboxNotFound, StorageUnavailable, UserUnknown
from mas.events import desk as module
from mas.events.desk import Desk, Pace
from mas.events.journal import unfinished
from mas.events.model import MailEvent
from mas.storage.interface import Account
from mas.storage.model import Copied, FlagChange, MailboxName, Saved, Uid, UidValidity
from mas.user import User
from tests.support.memory_store import MemoryStore, user

INBOX, JUNK = MailboxName("INBOX"), MailboxName("Junk")


class Ear:
    """A listener that writes down what it hears; ``errors`` are raised first, one an event."""

    flags_wanted = True

    def __init__(self, errors: list[Exception] | None = None, gate: asyncio.Event | None = None) -> None:
        self.heard: list[tuple[str, MailEvent]] = []
        self.errors = errors or []
        self.gate = gate
        self.at_once = self.most = 0

    async def wants(self, account: Account, event: MailEvent) -> bool:
        return event.mailbox != "Dull"

    async def handle(self, user: User, event: MailEvent) -> None:
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            if self.gate is not None:
                await self.gate.wait()
            if self.errors:
                raise self.errors.pop(0)
            self.heard.append((user.name, event))
        finally:
            self.at_once -= 1

    def uids(self) -> list[int]:
        return [uid for _, event in self.heard for uid in event.uids]


class Office:
    """Desks over one folder, as the processes of a host have them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "events"
        self.store = MemoryStore()
        self.now = 1000.0
        self.lookups: list[Exception] = []

    async def lookup(self, name: str) -> User:
        if self.lookups:
            raise self.lookups.pop(0)
        return user(name)

    def desk(self, *ears: Ear, **pace: float) -> Desk:
        return Desk(self.folder, ears, self.lookup, Pace(**pace), clock=lambda: self.now)  # type: ignore[arg-type]  # fields of it

    async def append(self, desk: Desk, *uids: int, mailbox: str = "Junk", name: str = "kim@example.net") -> None:
        async with await self.store.open(user(name)) as account:
            await desk.appended(account, MailboxName(mailbox), Saved(UidValidity(1), [Uid(uid) for uid in uids]))

    def left(self) -> int:
        """Events in the journal that are not dealt with."""
        files = list(self.folder.iterdir()) if self.folder.exists() else []
        return sum(len(unfinished(path.read_bytes())) for path in files)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


async def test_what_is_told(office: Office) -> None:
    ear = Ear()
    desk = office.desk(ear)
    async with await office.store.open(user("kim@example.net")) as account:
        copied = Copied(UidValidity(1), [Uid(5)], [Uid(9)])
        source = await account.select(INBOX)
        await desk.copied(account, source, JUNK, copied, moved=False)
        await desk.copied(account, source, JUNK, copied, moved=True)
        await desk.copied(account, source, JUNK, Copied(UidValidity(1), [], []), moved=True)
        await desk.appended(account, MailboxName("Dull"), Saved(UidValidity(1), [Uid(1)]))
        flagged, seen = ("\\Flagged",), ("\\Seen", "\\Flagged")
        changes = [FlagChange(1, flagged, flagged), FlagChange(2, flagged, seen), FlagChange(3, flagged, flagged)]
        await desk.flags_changed(account, JUNK, 1, changes)
    await desk.idle()
    validity = source.snapshot.uid_validity
    assert [event.source_uid_validity for _, event in ear.heard] == [validity, validity, 0, 0]
    assert [
        (event.cause, event.source, event.source_uids, event.uids, event.changed_flags, event.flags)
        for _, event in ear.heard
    ] == [
        ("COPY", "INBOX", (5,), (9,), (), ()),
        ("COPY", "INBOX", (), (9,), (), ()),
        ("FLAG", "", (), (1, 3), flagged, flagged),
        ("FLAG", "", (), (2,), flagged, seen),
    ]
    await desk.close()
    assert office.left() == 0


async def test_nothing_touches_the_disk_when_nobody_listens(office: Office) -> None:
    desk = office.desk(Ear())
    await office.append(desk, 1, mailbox="Dull")
    assert not office.folder.exists()
    await desk.close()


async def test_a_users_events_in_order_many_users_at_once(office: Office) -> None:
    gate = asyncio.Event()
    ear = Ear(gate=gate)
    desk = office.desk(ear)
    for uid in range(1, 6):
        for name in ("kim@example.net", "lee@example.net"):
            await office.append(desk, uid, name=name)
    gate.set()
    await desk.idle()
    assert ear.most == 2
    for name in ("kim@example.net", "lee@example.net"):
        assert [event.uids for heard, event in ear.heard if heard == name] == [(1,), (2,), (3,), (4,), (5,)]
    await desk.close()


async def test_a_large_event_comes_in_pieces(office: Office) -> None:
    ear = Ear()
    desk = office.desk(ear)
    await office.append(desk, *range(1, 2 * module.PIECE + 2))
    await desk.idle()
    assert [len(event.uids) for _, event in ear.heard] == [module.PIECE, module.PIECE, 1]
    await desk.close()


async def test_nothing_is_done_while_a_user_is_busy(office: Office) -> None:
    """And all of it at once when the process ends; what was left by another one waits for nobody."""
    ear = Ear()
    desk = office.desk(ear, quiet=3600.0)
    for uid in (1, 2):
        await office.append(desk, uid)
    for _ in range(20):
        await asyncio.sleep(0)
    assert ear.uids() == []
    assert office.left() == 2
    other = Ear()
    killed = office.desk(Ear(gate=asyncio.Event()), close_timeout=0.0)
    await office.append(killed, 7, name="lee@example.net")
    await killed.close()
    heir = office.desk(other, quiet=3600.0)
    await heir.catch_up()
    await heir.idle()
    assert other.uids() == [7]
    await heir.close()
    await desk.close()
    assert ear.uids() == [1, 2]
    assert office.left() == 0


async def test_a_moment_of_quiet_and_its_longest(office: Office) -> None:
    ear = Ear()
    desk = office.desk(ear, quiet=0.01)
    for uid in range(1, 2000):
        await office.append(desk, uid)
        if ear.heard:
            break
        await asyncio.sleep(0.005)
    else:
        pytest.fail("never dealt with while new ones came")
    await desk.idle()
    assert ear.uids() == list(range(1, uid + 1))
    await desk.close()


async def test_a_session_that_is_cut_off_leaves_its_event(office: Office) -> None:
    ear = Ear()
    desk = office.desk(ear)
    noting = asyncio.ensure_future(office.append(desk, 1))
    await asyncio.sleep(0)
    noting.cancel()
    await asyncio.wait([noting])
    assert noting.cancelled()
    await desk.close()
    assert ear.uids() == [1]
    assert office.left() == 0


async def test_errors_that_pass_and_errors_that_do_not(office: Office) -> None:
    ear, other = Ear([StorageUnavailable("busy"), MailboxNotFound("Junk"), ZeroDivisionError()]), Ear()
    desk = office.desk(ear, other)
    for uid in (1, 2, 3, 4):
        await office.append(desk, uid)
    await desk.idle()
    assert (ear.uids(), other.uids()) == ([4], [1, 2, 3, 4])
    await desk.catch_up()
    await desk.idle()
    assert (ear.uids(), other.uids()) == ([4, 1], [1, 2, 3, 4])
    await desk.close()
    assert office.left() == 0


async def test_an_event_is_given_up_after_a_day(office: Office) -> None:
    ear = Ear([StorageUnavailable("busy")] * 5)
    desk = office.desk(ear)
    await office.append(desk, 1)
    await desk.idle()
    assert office.left()
    office.now += 2 * 86_400.0
    with capture_logs() as told:
        await desk.catch_up()
        await desk.idle()
    assert [line["event"] for line in told] == ["event given up after events.lifetime"]
    assert office.left() == 0
    await desk.close()


async def test_another_process_takes_up_what_was_left(office: Office) -> None:
    desk = office.desk(Ear(gate=asyncio.Event()), close_timeout=0.0)
    await office.append(desk, 1, 2)
    await office.append(desk, 3, name="gone@example.net")
    await office.append(desk, 4)
    await desk.close()
    assert office.left()
    ear = Ear()
    office.lookups = [AuthUnavailable("database down"), UserUnknown("gone@example.net")]
    heir = office.desk(ear)
    await heir.catch_up()
    await heir.idle()
    await heir.catch_up()
    await heir.idle()
    assert sorted(ear.uids()) == [1, 2, 4]
    await heir.close()
    assert office.left() == 0


async def test_more_than_fits_into_memory(office: Office) -> None:
    gate = asyncio.Event()
    ear = Ear(gate=gate)
    desk = office.desk(ear, max_waiting=2)
    with capture_logs() as told:
        for uid in range(1, 7):
            await office.append(desk, uid)
    assert len(list(office.folder.glob("*.events"))) == 5
    assert [line.get("key") for line in told] == ["events.max_waiting"]
    gate.set()
    for _ in range(6):
        await desk.idle()
        await desk.catch_up()
    await desk.idle()
    assert sorted(ear.uids()) == [1, 2, 3, 4, 5, 6]
    await desk.close()
    assert office.left() == 0


async def test_an_event_is_noted_when_nobody_can_tell_whether_it_is_wanted(office: Office) -> None:
    class Unsure(Ear):
        async def wants(self, account: Account, event: MailEvent) -> bool:
            raise StorageUnavailable("disk")

    ear = Unsure()
    desk = office.desk(ear)
    await office.append(desk, 1)
    await desk.idle()
    assert ear.uids() == [1]
    await desk.close()


async def test_a_command_never_fails_by_it(office: Office) -> None:
    class Broken(Ear):
        async def wants(self, account: Account, event: MailEvent) -> bool:
            raise ZeroDivisionError

    desk = office.desk(Broken())
    await office.append(desk, 1)
    office.folder.write_text("no folder")
    whole = office.desk(ear := Ear())
    await office.append(whole, 1)
    await whole.idle()
    assert ear.uids() == [1]
    await whole.close()
    office.folder.unlink()
    await desk.close()
