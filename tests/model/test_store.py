"""The Maildir store answers as the simple model does, whatever is done in whatever order, by two processes, over reopenings."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mas.errors import MasError
from mas.storage import numbers
from mas.storage import verify as verifying
from mas.storage.account import MaildirAccount
from mas.storage.interface import Account, Selection, Store
from mas.storage.mime.section import Section
from mas.storage.model import KEYWORD_SHIFT, Flags, MailboxName, Modseq, SaveOptions, StoreOp
from mas.storage.store import MaildirStore
from mas.user import User
from tests.storage.conftest import config
from tests.support.memory_store import MemoryStore

pytestmark = pytest.mark.slow

T = TypeVar("T")
NAMES = [MailboxName(name) for name in ("INBOX", "A", "A.B", "A.B.C", "D", "Ü")]
FLAGS = st.builds(
    Flags,
    st.integers(0, 31),
    st.frozensets(st.sampled_from(["Work", "$Junk", "later"]), max_size=2),
)
UIDS = st.lists(st.integers(1, 12), max_size=6, unique=True).map(sorted)
NAME = st.sampled_from(NAMES)


def named(bits: int, keywords: Sequence[str]) -> tuple[int, frozenset[str]]:
    """Flags by meaning: the two stores may number keywords differently."""
    system = bits & ((1 << KEYWORD_SHIFT) - 1)
    return system, frozenset(name for n, name in enumerate(keywords) if bits >> (KEYWORD_SHIFT + n) & 1)


async def save(store: Store, account: Account, name: MailboxName, octets: Sequence[bytes], flags: Flags) -> list[int]:
    messages = []
    for data in octets:
        incoming = store.incoming(account.user)
        await incoming.write(data)
        await incoming.finish()
        messages.append((incoming, SaveOptions(flags, 1_700_000_000, 1_700_000_000)))
    saved = await account.save(name, messages)
    for incoming, _ in messages:
        await incoming.__aexit__(None, None, None)
    return [int(uid) for uid in saved.uids]


async def state(account: Account) -> dict[str, Any]:
    """Everything that can be seen of an account."""
    found: dict[str, Any] = {}
    for info in await account.list():
        if not info.selectable:
            found[info.name] = None
            continue
        (status,) = await account.status([info.name])
        assert status is not None
        selection = await account.select(info.name, read_only=True)
        snapshot = selection.snapshot
        octets: dict[int, bytes] = {}
        async for batch in selection.octets(list(snapshot.uids), Section()):
            for uid, data in batch:
                assert isinstance(data, bytes)
                octets[uid] = data
        assert list(snapshot.modseqs) == [m for m in snapshot.modseqs if 0 < m <= status.highest_modseq]
        found[info.name] = (
            {
                uid: (*named(flags, snapshot.keywords), octets[uid])
                for uid, flags in zip(snapshot.uids, snapshot.flags, strict=True)
            },
            dict(await account.metadata(info.name)),
            (status.uid_next, status.messages, status.unseen, status.deleted, status.size, status.deleted_size),
        )
        await selection.close()
    return found


class StoreMachine(RuleBasedStateMachine):
    """Two Maildir stores (two processes) on one directory, against one model."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.directory = Path(tempfile.mkdtemp())
        self.user = User("kim", self.directory, f"maildir:{self.directory}/Maildir")
        self.model = MemoryStore()
        self.stores: list[MaildirStore] = []
        self.accounts: list[MaildirAccount] = []
        self.number = 0
        self.run(self.open())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    async def open(self) -> None:
        self.stores = [MaildirStore(config(self.directory)) for _ in range(2)]
        self.accounts = [await store.open(self.user) for store in self.stores]
        self.expected = await self.model.open(self.user)

    def both(self, process: int, work: Callable[[Store, Account], Awaitable[Any]], *, answers: bool = True) -> None:
        """Do the same on both; the answers, or the kinds of errors, are the same."""

        async def one(store: Store, account: Account) -> Any:
            try:
                return await work(store, account)
            except MasError as error:
                return type(error)

        async def run() -> None:
            real = await one(self.stores[process], self.accounts[process])
            model = await one(self.model, self.expected)
            if isinstance(real, type) or isinstance(model, type) or answers:
                assert real == model

        self.run(run())

    @rule(process=st.integers(0, 1), name=NAME, count=st.integers(1, 3), flags=FLAGS)
    def save(self, process: int, name: MailboxName, count: int, flags: Flags) -> None:
        octets = [b"Subject: %d\r\n\r\nText %d\r\n" % (self.number + n, self.number + n) for n in range(count)]
        self.number += count
        self.both(process, lambda store, account: save(store, account, name, octets, flags))

    @rule(process=st.integers(0, 1), name=NAME)
    def create(self, process: int, name: MailboxName) -> None:
        self.both(process, lambda _, account: account.create(name), answers=False)

    @rule(process=st.integers(0, 1), name=st.sampled_from(NAMES[1:]))
    def delete(self, process: int, name: MailboxName) -> None:
        self.both(process, lambda _, account: account.delete(name))

    @rule(process=st.integers(0, 1), old=st.sampled_from(NAMES[1:]), new=st.sampled_from(NAMES[1:]))
    def rename(self, process: int, old: MailboxName, new: MailboxName) -> None:
        if old != new and not new.startswith(old + "."):
            self.both(process, lambda _, account: account.rename(old, new))

    @rule(
        process=st.integers(0, 1),
        name=st.sampled_from([MailboxName(""), *NAMES]),
        changes=st.dictionaries(
            st.sampled_from(["/private/a", "/shared/b"]), st.none() | st.binary(max_size=3), min_size=1
        ),
    )
    def annotate(self, process: int, name: MailboxName, changes: dict[str, bytes | None]) -> None:
        self.both(process, lambda _, account: account.set_metadata(name, changes))

    def selected(self, process: int, name: MailboxName, work: Callable[[Selection], Awaitable[Any]]) -> None:
        async def run(_: Store, account: Account) -> Any:
            selection = await account.select(name)
            await selection.refresh()
            selection.take_changes()
            try:
                return await work(selection)
            finally:
                await selection.close()

        self.both(process, run)

    @rule(process=st.integers(0, 1), name=NAME, uids=UIDS, op=st.sampled_from(StoreOp), flags=FLAGS)
    def flag(self, process: int, name: MailboxName, uids: list[int], op: StoreOp, flags: Flags) -> None:
        async def work(selection: Selection) -> Any:
            done = await selection.store(uids, op, flags)
            keywords = selection.snapshot.keywords
            return (
                [(row.uid, named(row.flags, keywords)) for row in done.changed],
                [(row.uid, named(row.flags, keywords)) for row in done.unchanged],
                list(done.failed),
            )

        self.selected(process, name, work)

    @rule(process=st.integers(0, 1), name=NAME, to=NAME, uids=UIDS)
    def copy(self, process: int, name: MailboxName, to: MailboxName, uids: list[int]) -> None:
        async def work(selection: Selection) -> Any:
            copied = await selection.copy(uids, to)
            return list(copied.source), list(copied.target)

        self.selected(process, name, work)

    @rule(process=st.integers(0, 1), name=NAME, to=NAME, uids=UIDS)
    def move(self, process: int, name: MailboxName, to: MailboxName, uids: list[int]) -> None:
        async def work(selection: Selection) -> Any:
            copied = await selection.move(uids, to)
            return list(copied.source), list(copied.target)

        self.selected(process, name, work)

    @rule(process=st.integers(0, 1), name=NAME, uids=st.none() | UIDS)
    def expunge(self, process: int, name: MailboxName, uids: list[int] | None) -> None:
        async def work(selection: Selection) -> Any:
            before = selection.snapshot.highest_modseq
            gone = list(await selection.expunge(uids))
            resync = await selection.resync(Modseq(before), [(1, 100)])
            assert numbers.expand(resync.vanished) == gone
            return gone

        self.selected(process, name, work)

    @precondition(lambda self: self.number > 0)
    @rule()
    def reopen(self) -> None:
        async def run() -> None:
            for store in self.stores:
                await store.close()
            await self.open()

        self.run(run())

    @precondition(lambda self: self.number > 0)
    @rule(process=st.integers(0, 1))
    def lose_index(self, process: int) -> None:
        """Nothing of what this model knows lives in the index alone, once the names are in step with the flags."""

        async def run() -> None:
            for store in self.stores:
                await store.close()
            for path in (self.directory / "Maildir").glob("mas-index.sqlite*"):
                path.unlink()
            await self.open()

        self.run(run())

    @invariant()
    def the_same(self) -> None:
        async def run() -> None:
            expected = await state(self.expected)
            for account in self.accounts:
                assert await state(account) == expected
            problems = await self.accounts[0].write(lambda: verifying.verify(self.accounts[0].engine))
            assert problems == []

        self.run(run())

    def teardown(self) -> None:
        async def run() -> None:
            for store in self.stores:
                await store.close()

        self.run(run())
        self.runner.close()
        shutil.rmtree(self.directory)


TestStore = StoreMachine.TestCase
TestStore.settings = settings(
    max_examples=10, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)
