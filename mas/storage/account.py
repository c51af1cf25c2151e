"""One account in this process: what its sessions share. Event loop; disk work is sent to threads.

Theory of operation. ``_order`` is the queue of this process's writers, so that threads never pile up on the account's file lock. Inside
it a worker thread stays under the lock (``engine.exclusive``), and what the stay brought is applied here, on the loop, before the next
writer starts: snapshots, counters (``faces``) and change logs go from one consistent state to the next.

The fast path. ``engine.generation`` is shared memory: while it is the generation that was applied last, no process has committed
anything, and counters and snapshots are true as far as MAS is concerned. What other programs did shows in the times of ``new/`` and
``cur/``: two stat calls on directories that are in the kernel's cache (some microseconds, so they are made on the loop). When both say
nothing, STATUS, SELECT and NOOP are answered without a thread and without SQL.

A change by another process wakes us by inotify on the lock file; a change by another program, by inotify on ``new/`` and ``cur/`` of the
mailboxes that are open. Without inotify a timer looks every second.

Must not know: protocols.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

import structlog

from mas.errors import MailboxExists, MailboxForbidden, MailboxNotFound, StorageUnavailable
from mas.storage import (
    contents,
    disk,
    expire,
    flags,
    reader,
    save,
    searcher,
    subscriptions,
    sync,
    transfer,
    tree,
    uidlist,
)
from mas.storage.engine import Engine, Face, Published
from mas.storage.incoming import MaildirIncoming, remove_abandoned
from mas.storage.index import MailboxRow, Transaction
from mas.storage.lock import dotlock
from mas.storage.mailbox import OpenMailbox
from mas.storage.maildir_name import check_name, directory_of
from mas.storage.model import (
    INBOX,
    MailboxInfo,
    MailboxName,
    MailboxStatus,
    QuotaUsage,
    Saved,
    SaveOptions,
    Snapshot,
    Uid,
    UidValidity,
)
from mas.storage.query import Found, Key
from mas.storage.quota import AccountQuota, Crossing
from mas.storage.save import Saving
from mas.storage.selection import MaildirSelection
from mas.user import User

if TYPE_CHECKING:
    from mas.storage.interface import Incoming
    from mas.storage.store import MaildirStore

T = TypeVar("T")
Names = list[MailboxName]
LANES = 6
"""Messages of one save that are fsynced at a time."""
SETTLE_AFTER = 1.5
"""Seconds until an unchecked ``cur/`` is scanned in the background."""
FILL = 32
"""Messages that are parsed and written to the index at a time."""
KEPT_MAILBOXES = 8
"""Snapshots that stay in memory when nobody has the mailbox open."""
_log = structlog.get_logger("mas.storage")


class _Behind(Exception):
    """The snapshots were behind the rows: apply, and do the work again."""


class MaildirAccount:
    """See ``interface.Account``. Shared; ``MaildirStore.open`` counts its users, ``close`` gives one back."""

    def __init__(self, store: MaildirStore, user: User, engine: Engine, quota: AccountQuota) -> None:
        self.user = user
        self.separator = engine.separator
        self.store = store
        self.engine = engine
        self.blocking = store.blocking
        self.quotas = quota
        self.users = 0
        self.last_used = time.monotonic()
        self.boxes: dict[int, OpenMailbox] = {}
        self.faces: dict[str, Face] = {}
        self.selections: dict[int, list[MaildirSelection]] = {}
        self._order = asyncio.Lock()
        self._generation = -1
        self._subscribed: tuple[str, Names] = ("-", [])
        self._catching_up = False
        self._watching = False
        self._timer: asyncio.TimerHandle | None = None
        self._settling: set[int] = set()
        self._filling: set[int] = set()

    # Writers

    async def write(self, work: Callable[[], T], *, on_snapshot: bool = False) -> T:
        """Run ``work`` in a thread under the account's lock, and apply what happened. ``on_snapshot``: it reads snapshots, which must then
        be in step with the rows. Finishes even when the caller is cancelled."""
        return await self.blocking.settled(self._write(work, on_snapshot))

    async def _write(self, work: Callable[[], T], on_snapshot: bool) -> T:
        async with self._order:
            repaired = False
            while True:
                try:
                    return await self.blocking.run(self._locked, work, on_snapshot)
                except _Behind:
                    continue
                except disk.IndexDamaged as error:
                    await self.blocking.run(self.engine.discard_index)
                    if repaired:
                        raise StorageUnavailable(f"index was damaged: {error}") from error
                    repaired = True
                finally:
                    await self._apply(self.engine.take())

    def _locked(self, work: Callable[[], T], on_snapshot: bool) -> T:
        with self.engine.exclusive():
            if self.engine.begun_anew:
                tree.refresh(self.engine)
                guids = {box.guid for box in self.boxes.values()}
                for row in list(self.engine.rows.values()):
                    if row.guid in guids:
                        sync.synchronise(self.engine, row, everything=True)
                self.engine.begun_anew = False
            if on_snapshot and self.engine.news:
                raise _Behind
            return work()

    async def _apply(self, published: Published) -> None:
        """Bring what sessions see up to what the thread brought."""
        if published.whole:
            self.faces = published.faces
        else:
            self.faces.update(published.faces)
        self._generation = published.generation
        touched: dict[int, OpenMailbox] = {}
        for mailbox_id, names in published.keywords.items():
            if (box := self.boxes.get(mailbox_id)) is not None:
                box.snapshot.keywords[:] = names
        for mailbox_id in published.unparsed:
            if (box := self.boxes.get(mailbox_id)) is not None:
                box.unparsed = 1
                if box.cursors:
                    self.fill_later(mailbox_id)
        for event in published.events:
            if (box := self.boxes.get(event.mailbox_id)) is not None:
                box.apply(event)
                touched[event.mailbox_id] = box
        if published.whole:
            self._match_names()
        if published.behind:
            await self._reload()
        for face in published.faces.values():
            if (box := self.boxes.get(face.id)) is not None:
                box.snapshot.uid_next = face.status.uid_next
                box.snapshot.highest_modseq = face.status.highest_modseq
        for box in touched.values():
            box.wake()

    def _match_names(self) -> None:
        """Mailboxes came, went or were renamed."""
        by_id = {face.id: MailboxName(name) for name, face in self.faces.items()}
        for box in list(self.boxes.values()):
            name = by_id.get(box.id)
            if name is None or box.gone:
                box.close()
                if not box.cursors:
                    self.boxes.pop(box.id, None)
            else:
                box.name = name

    async def _reload(self) -> None:
        """Events were missed, or the index is another one: every open mailbox is read again, known by its guid."""
        by_guid = {face.status.mailbox_id: face for face in self.faces.values()}
        boxes, self.boxes = list(self.boxes.values()), {}
        for box in boxes:
            face = by_guid.get(box.guid)
            loaded = await self.blocking.run(reader.load, self.engine, face.id) if face is not None else None
            if face is None or loaded is None:
                box.close()
                continue
            box.id = face.id
            self.boxes[face.id] = box
            box.replace(loaded)

    # Being current

    @property
    def current(self) -> bool:
        """No process has committed anything that is not applied here."""
        return self.engine.generation == self._generation

    async def catch_up(self) -> None:
        """Apply what other processes committed."""
        if not self.current:
            await self.write(lambda: None)

    def settled(self, face: Face) -> bool:
        """Whether the directories are as the index knows them. On the loop: two stat calls."""
        new, cur = self.engine.path(face.directory, "new"), self.engine.path(face.directory, "cur")
        try:
            new_mtime, cur_mtime = os.stat(new).st_mtime_ns, os.stat(cur).st_mtime_ns
        except OSError:
            return False
        if new_mtime != face.new_mtime or cur_mtime != face.cur_mtime:
            return False
        return face.new_checked or time.time_ns() - new_mtime <= sync.TICK

    async def face(self, name: MailboxName) -> Face | None:
        """The mailbox as it is now, in step with disk and other processes; None when there is no such mailbox."""
        await self.catch_up()
        found = self.faces.get(name)
        if found is None:
            await self._look_at_tree()
            found = self.faces.get(name)
            if found is None:
                return None
        if not self.settled(found):
            await self.synchronise(found)
            found = self.faces.get(name)
        if found is not None and not found.cur_checked:
            self._settle_later(found.id)
        return found

    async def synchronise(self, face: Face, *, everything: bool = False) -> None:
        """Scan the mailbox's directories as far as their times ask for it."""

        def work() -> None:
            row = self.engine.rows.get(face.id)
            if row is None:
                return
            if not os.path.isdir(self.engine.path(row.directory, "cur")) and row.directory:
                tree.refresh(self.engine)
                return
            sync.synchronise(self.engine, row, everything=everything)

        await self.write(work)

    def _settle_later(self, mailbox_id: int) -> None:
        """An unchecked ``cur/`` of an open mailbox is scanned once it has been quiet for a while."""
        if mailbox_id in self._settling or mailbox_id not in self.boxes:
            return
        self._settling.add(mailbox_id)

        async def settle() -> None:
            self._settling.discard(mailbox_id)
            face = next((face for face in self.faces.values() if face.id == mailbox_id), None)
            if face is None or face.cur_checked or mailbox_id not in self.boxes or self.store.closing:
                return
            if time.time_ns() - face.cur_mtime < SETTLE_AFTER * 500_000_000:
                self._settle_later(mailbox_id)
                return
            await self.synchronise(face, everything=True)

        self.blocking.later(SETTLE_AFTER, settle)

    async def _look_at_tree(self) -> None:
        """Directories that came or went without us, and special mailboxes that are missing."""
        known = {face.directory for face in self.faces.values()}
        if await self.blocking.run(tree.directories, self.engine) != known:
            await self.write(lambda: tree.refresh(self.engine))
        await self._make_special()

    async def _make_special(self) -> None:
        missing = self.store.special.missing(self.faces)
        if not missing:
            return
        for name, subscribe in missing:
            try:
                await self.write(lambda name=name: tree.create(self.engine, name))  # type: ignore[misc]
            except MailboxExists:
                continue
            if subscribe:
                await self.subscribe(name)

    async def first_touch(self) -> None:
        """After opening: the tree as it is on disk, leftovers of crashes removed, special mailboxes made."""

        def work() -> None:
            tree.refresh(self.engine)
            tree.remove_rubbish(self.engine)
            remove_abandoned(self.engine.path("", "tmp"))
            self.quotas.settle(self.sums())

        await self.write(work)
        await self._make_special()

    # Watching

    def watch(self) -> None:
        """Sessions wait for changes: have the kernel tell of those by other processes."""
        if self._watching:
            return
        self._watching = True
        if not self.store.notify.watch(self.engine.location.lock_file, self._stirred, directory=False):
            self._tick()

    def unwatch(self) -> None:
        self._watching = False
        self.store.notify.unwatch(self.engine.location.lock_file, self._stirred)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._stirred()
        for selections in self.selections.values():
            for selection in selections[:1]:
                selection.stirred()
        self._timer = asyncio.get_running_loop().call_later(1.0, self._tick)

    def _stirred(self) -> None:
        """The generation has advanced: ours (applied soon anyway), or another process's."""
        if self.current or self._catching_up or self._order.locked():
            if self._order.locked() and not self._catching_up and not self.current:
                self._start_catching_up()
            return
        self._start_catching_up()

    def _start_catching_up(self) -> None:
        self._catching_up = True

        async def run() -> None:
            try:
                async with self._order:
                    pass
                await self.catch_up()
            finally:
                self._catching_up = False
            if not self.current:
                self._stirred()

        self.blocking.background(run())

    # Contents

    async def fill(self, mailbox_id: int, uids: Sequence[int]) -> None:
        """Parse messages that were not parsed yet, now: somebody asks for them."""
        directory = next((face.directory for face in self.faces.values() if face.id == mailbox_id), None)
        if directory is None:
            return
        waiting = await self.blocking.run(reader.file_names, self.engine, mailbox_id, uids)
        for start in range(0, len(waiting), FILL):
            await self._fill(mailbox_id, directory, waiting[start : start + FILL])

    async def _fill(self, mailbox_id: int, directory: str, waiting: contents.Unparsed) -> None:
        parsed = await self.blocking.run(contents.parse_files, self.engine, directory, waiting)
        if parsed:
            await self.write(lambda: contents.fill(self.engine, mailbox_id, parsed))

    def fill_later(self, mailbox_id: int) -> None:
        """Parse what is unparsed in the background, as long as the mailbox is open."""
        if mailbox_id in self._filling:
            return
        self._filling.add(mailbox_id)

        async def run() -> None:
            try:
                last = 0
                while mailbox_id in self.boxes and not self.store.closing:
                    directory = next((f.directory for f in self.faces.values() if f.id == mailbox_id), None)
                    waiting = await self.blocking.run(contents.unparsed, self.engine, mailbox_id, FILL, last)
                    if directory is None or not waiting:
                        return
                    last = waiting[-1][0]
                    await self._fill(mailbox_id, directory, waiting)
            finally:
                self._filling.discard(mailbox_id)

        self.blocking.background(run())

    async def search(self, box: OpenMailbox, directory: str, key: Key) -> Found:
        """Uids that match in an open mailbox."""
        snapshot = box.snapshot
        copy = Snapshot(
            snapshot.uid_validity,
            snapshot.uid_next,
            snapshot.highest_modseq,
            snapshot.uids[:],
            snapshot.flags[:],
            snapshot.modseqs[:],
            list(snapshot.keywords),
        )
        if box.unparsed:
            waiting = await self.blocking.run(contents.unparsed, self.engine, box.id, len(copy.uids) + 1)
            await self.fill(box.id, [uid for uid, _ in waiting])
            box.unparsed = 0
        searching = searcher.Searching(self.engine, box.id, directory, copy)
        return await self.blocking.run(searching.run, key)

    # Mailboxes

    async def list(self) -> Sequence[MailboxInfo]:
        await self.catch_up()
        await self._look_at_tree()
        subscribed = set(await self.subscriptions())
        faces = self.faces
        chosen = {
            MailboxName(name): frozenset(face.special_use.split()) for name, face in faces.items() if face.special_use
        }
        uses = self.store.special.special_use(faces, chosen)
        superiors = tree.superiors(faces, self.separator)
        names = sorted({*faces, *superiors}, key=lambda name: (name != INBOX, name))
        return [
            MailboxInfo(
                MailboxName(name),
                name in faces,
                name in subscribed,
                name in superiors,
                uses.get(MailboxName(name), frozenset()),
                faces[name].status.mailbox_id if name in faces else "",
            )
            for name in names
        ]

    async def status(self, names: Sequence[MailboxName]) -> Sequence[MailboxStatus | None]:
        found: list[MailboxStatus | None] = []
        for name in names:
            face = self.faces.get(name)
            if face is None or not self.current or not self.settled(face):
                face = await self.face(name)
            found.append(face.status if face is not None else None)
        return found

    async def create(self, name: MailboxName, special_use: Iterable[str] = ()) -> str:
        name = check_name(name, self.separator)
        uses = frozenset(special_use)
        if name == INBOX:
            raise MailboxExists(name)

        def work() -> str:
            for row in self.engine.rows.values():
                if uses & set(row.special_use.split()):
                    raise MailboxForbidden(row.name, "has this special use already")
            return tree.create(self.engine, name, " ".join(sorted(uses))).guid

        return await self.write(work)

    async def delete(self, name: MailboxName) -> None:
        await self.catch_up()
        if name not in self.faces:
            await self._look_at_tree()

        def work() -> str:
            before = {row.name: (row.size, row.messages) for row in self.engine.rows.values()}
            rubbish = tree.delete(self.engine, name)
            self.quotas.released(self.sums(), name, *before.get(name, (0, 0)))
            return rubbish

        rubbish = await self.write(work)
        await self.blocking.run(tree.remove_rubbish, self.engine, rubbish)

    async def rename(self, old: MailboxName, new: MailboxName) -> None:
        old, new = check_name(old, self.separator), check_name(new, self.separator)
        await self.catch_up()
        await self._look_at_tree()
        if old != INBOX:
            await self.write(lambda: tree.rename(self.engine, old, new))
            return
        face = await self.face(INBOX)
        assert face is not None, "INBOX is always there"

        def work() -> None:
            inbox = self.engine.require(INBOX)
            target = tree.create(self.engine, new)
            with self.engine.mutex:
                uids = [
                    u
                    for (u,) in self.engine.database.execute(
                        "SELECT uid FROM message WHERE mailbox_id = ?", (inbox.id,)
                    )
                ]
            if uids:
                transfer.move(self.engine, inbox, target, uids, lambda *_: None)

        await self.write(work)

    # Subscriptions

    async def subscriptions(self) -> Sequence[MailboxName]:
        path = self.engine.path("", subscriptions.FILE_NAME)
        identity = uidlist.identity(path)
        if identity != self._subscribed[0]:
            names = await self.blocking.run(self._read_subscriptions, path)
            self._subscribed = (identity, names)
        return list(self._subscribed[1])

    def _read_subscriptions(self, path: str) -> Names:
        with disk.meaning():
            try:
                data = disk.read_file(path)
            except FileNotFoundError:
                return []
            return subscriptions.parse_subscriptions(data, self.separator)

    async def subscribe(self, name: MailboxName) -> None:
        name = check_name(name, self.separator)
        directory_of(name, self.separator)
        await self._change_subscriptions(lambda names: names if name in names else [*names, name])

    async def unsubscribe(self, name: MailboxName) -> None:
        await self._change_subscriptions(lambda names: [other for other in names if other != name])

    async def _change_subscriptions(self, change: Callable[[Names], Names]) -> None:
        def work() -> None:
            path = self.engine.path("", subscriptions.FILE_NAME)
            with dotlock(path, self.engine.config.mail.lock_timeout):
                before = self._read_subscriptions(path)
                after = change(before)
                if after != before:
                    disk.replace_file(path, subscriptions.encode_subscriptions(after, self.separator), path + ".tmp")

        await self.write(work)

    # Sessions

    async def select(self, name: MailboxName, *, read_only: bool = False) -> MaildirSelection:
        self.last_used = time.monotonic()
        face = self.faces.get(name)
        if face is None or not self.current or not self.settled(face):
            face = await self.face(check_name(name, self.separator))
        if face is None:
            await self.write(lambda: self.engine.require(name))
            raise MailboxNotFound(name)
        box = self.boxes.get(face.id) or await self._load(face)
        recent_from = face.first_recent
        if not read_only and face.first_recent < face.status.uid_next:
            recent_from = await self.claim_recent(face.id)
        selection = MaildirSelection(self, box, read_only, Uid(recent_from))
        self.selections.setdefault(box.id, []).append(selection)
        self.watch()
        if box.unparsed:
            self.fill_later(box.id)
        if not face.cur_checked:
            self._settle_later(face.id)
        return selection

    async def _load(self, face: Face) -> OpenMailbox:
        async with self._order:
            box = self.boxes.get(face.id)
            if box is not None:
                return box
            loaded = await self.blocking.run(reader.load, self.engine, face.id)
            if loaded is None:
                raise MailboxNotFound("", "deleted while it was opened")
            name = next((name for name, other in self.faces.items() if other.id == face.id), "")
            box = OpenMailbox(face.id, face.status.mailbox_id, MailboxName(name), loaded)
            for other in [b for b in self.boxes.values() if b.id not in self.selections][: -KEPT_MAILBOXES or None]:
                del self.boxes[other.id]
            self.boxes[face.id] = box
            return box

    async def claim_recent(self, mailbox_id: int) -> int:
        """This session is the first to see what is recent. Returns the first uid of it."""

        def work() -> int:
            row = self.engine.rows.get(mailbox_id)
            if row is None:
                return 1
            first = row.first_recent
            if first < row.uid_next:
                with self.engine.transaction(durable=False) as transaction:
                    row.first_recent, row.recent = row.uid_next, 0
                    transaction.touch(row)
            return first

        return await self.write(work)

    async def leave(self, selection: MaildirSelection, box: OpenMailbox) -> None:
        """A session closes a mailbox; with the last one the file names follow the flags."""
        others = self.selections.get(box.id, [])
        if selection in others:
            others.remove(selection)
        if not others:
            self.selections.pop(box.id, None)
        if not self.selections:
            self.unwatch()
        face = self.faces.get(box.name)
        if box.gone or face is None or face.id != box.id or selection.read_only:
            return
        if face.first_recent < face.status.uid_next:
            await self.claim_recent(box.id)
        if not others and face.pending and await self._flush_some(box.id):
            self.blocking.background(self._flush(box.id))

    async def _flush_some(self, mailbox_id: int) -> bool:
        def work() -> bool:
            row = self.engine.rows.get(mailbox_id)
            return row is not None and flags.flush_names(self.engine, row, row.first_recent)

        return await self.write(work)

    async def _flush(self, mailbox_id: int) -> None:
        while mailbox_id not in self.selections and await self._flush_some(mailbox_id):
            pass

    async def flush_all(self) -> None:
        """Every file has the name that its flags ask for."""
        await self.catch_up()
        for face in list(self.faces.values()):
            if face.pending:
                while await self._flush_some(face.id):
                    pass

    # Saving and quota

    def sums(self) -> Sequence[tuple[str, int, int]]:
        return [(row.name, row.size, row.messages) for row in self.engine.rows.values()]

    async def save(
        self,
        name: MailboxName,
        messages: Sequence[tuple[Incoming, SaveOptions]],
        *,
        create: bool = False,
        delivery: bool = False,
        enforce_quota: bool = True,
    ) -> Saved:
        name = check_name(name, self.separator)
        self.last_used = time.monotonic()
        savings = []
        for incoming, options in messages:
            if not isinstance(incoming, MaildirIncoming):
                raise TypeError("a message of another store")
            self.quotas.check_size(incoming.size)
            savings.append(Saving(incoming, options))
        crossings: list[Crossing] = []

        def admit(transaction: Transaction, row: MailboxRow, octets: int, count: int) -> None:
            crossing = self.quotas.admit(self.sums(), row.name, octets, count, delivery=delivery, enforce=enforce_quota)
            if crossing is not None:
                crossings.append(crossing)

        def work() -> Saved:
            row = self.engine.row_named(name)
            if row is None:
                tree.refresh(self.engine)
                row = self.engine.row_named(name)
            if row is None and create:
                row = tree.create(self.engine, name)
            if row is None:
                row = self.engine.require(name)
            try:
                uids = save.save(self.engine, row, savings, admit, durable=not delivery)
            except BaseException:
                self.quotas.settle(self.sums())
                raise
            return Saved(UidValidity(row.uid_validity), [Uid(uid) for uid in uids])

        await self._prepare(savings)
        saved = await self.write(work)
        self.fire(crossings)
        return saved

    async def _prepare(self, savings: Sequence[Saving]) -> None:
        """Octets durable before the account is locked; of many messages several at a time, so that the disk can take them together."""
        root = self.engine.location.root

        def work(some: Sequence[Saving]) -> None:
            for saving in some:
                saving.incoming.prepare(root, saving.options.internal_date)

        lanes = min(LANES, len(savings))
        if lanes == 1:
            await self.blocking.run(work, savings)
        else:
            await asyncio.gather(*[self.blocking.run(work, savings[lane::lanes]) for lane in range(lanes)])

    def fire(self, crossings: Iterable[Crossing]) -> None:
        """Warn the user, after the commit."""
        for crossing in crossings:
            self.store.warnings.fire(self.user, crossing)

    async def quota(self, name: MailboxName | None = None) -> Sequence[QuotaUsage]:
        await self.catch_up()
        if name is not None and name not in self.faces and not self._is_level(name):
            await self._look_at_tree()
            if name not in self.faces and not self._is_level(name):
                raise MailboxNotFound(name)
        sums = [(name, face.status.size, face.status.messages) for name, face in self.faces.items()]
        return await self.blocking.run(self.quotas.usage, sums)

    def _is_level(self, name: str) -> bool:
        prefix = name + self.separator
        return any(other.startswith(prefix) for other in self.faces)

    async def check_quota(self, size: int) -> None:
        await self.catch_up()
        sums = [(name, face.status.size, face.status.messages) for name, face in self.faces.items()]
        await self.blocking.run(self.quotas.check_delivery, sums, size)

    # Expiry

    async def expire(self) -> int:
        rules = self.store.special.expiring
        if not rules:
            return 0
        return await expire.expire(self, rules, Path(self.engine.location.root))

    async def oldest(self, name: MailboxName, saved_before: int | None, beyond: int, limit: int) -> Sequence[Uid]:
        """For ``expire``."""
        face = await self.face(name)
        if face is None:
            return []
        return await self.blocking.run(reader.oldest, self.engine, face.id, saved_before, beyond, limit)

    async def expunge_uids(self, name: MailboxName, uids: Sequence[Uid]) -> int:
        """For ``expire``: remove these messages, whatever their flags."""

        def work() -> int:
            row = self.engine.row_named(name)
            return len(self.expunge(row, sorted(uids))) if row is not None else 0

        return await self.write(work)

    def expunge(self, row: MailboxRow, uids: Sequence[int]) -> Sequence[int]:
        """In a thread, under the lock: expunge, and give the quota back."""
        size = row.size
        gone = transfer.expunge(self.engine, row, uids)
        if gone:
            self.quotas.released(self.sums(), row.name, size - row.size, len(gone))
        return gone

    # The end

    async def close(self) -> None:
        await self.store.leave(self)

    async def __aenter__(self) -> MaildirAccount:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
