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

import abc
import asyncio
import contextlib
import functools
import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from mas.errors import DiskFull, StorageUnavailable
from mas.storage import (
    contents,
    disk,
    reader,
    searcher,
    sync,
    tree,
)
from mas.storage.engine import Engine, Face, Published
from mas.storage.index import EventKind
from mas.storage.mailbox import OpenMailbox
from mas.storage.model import (
    MailboxName,
    Snapshot,
)
from mas.storage.query import Key
from mas.storage.quota import AccountQuota
from mas.storage.search import on_snapshot
from mas.storage.selection import MaildirSelection
from mas.user import User

if TYPE_CHECKING:
    from mas.storage.store import MaildirStore

T = TypeVar("T")
SETTLE_AFTER = 1.5
"""Seconds until an unchecked directory is scanned in the background."""
SEARCHED_HERE = 50_000
"""Messages whose flags are searched on the loop: some two milliseconds. More are searched in a thread."""
FILL = 32
"""Messages that are parsed and written to the index at a time."""


class _Behind(Exception):
    """The snapshots were behind the rows: apply, and do the work again."""


class LiveAccount(abc.ABC):
    """The part of an account that every other part stands on: see the module."""

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
        self._tree_mtime = 0
        self.selections: dict[int, list[MaildirSelection]] = {}
        self._order = asyncio.Lock()
        self._generation = -1
        self._subscribed: tuple[str, list[MailboxName]] = ("-", [])
        self._catching_up = False
        self._at_work = False
        self._watching = False
        self._timer: asyncio.TimerHandle | None = None
        self._looking: set[int] = set()
        self._settling: set[int] = set()
        self._filling: set[int] = set()

    # Writers

    @property
    def writing(self) -> bool:
        """Whether a writer of this process is at work: another one would wait."""
        return self._order.locked()

    async def write(
        self,
        work: Callable[[], T],
        *,
        on_snapshot: bool = False,
        removes: bool = False,
        before: Callable[[], None] | None = None,
    ) -> T:
        """Run ``work`` in a thread under the account's lock, and apply what happened. Finishes even when the caller is cancelled.

        on_snapshot: it reads snapshots, which must then be in step with the rows. removes: it may make room, so it may use the reserve of
        a full disk. before: run in the same thread, without the lock. Both may be run again when the snapshots were behind, the index was
        damaged or the disk was full.
        """
        return await self.blocking.settled(self._write(work, on_snapshot, removes, before))

    async def _write(
        self, work: Callable[[], T], on_snapshot: bool, removes: bool, before: Callable[[], None] | None
    ) -> T:
        async with self._order:
            repaired = False
            while True:
                self._at_work = True
                try:
                    return await self.blocking.run(self._locked, work, on_snapshot, before)
                except _Behind:
                    continue
                except DiskFull:
                    if not (removes and await self.blocking.run(self.engine.release_reserve)):
                        raise
                except disk.IndexDamaged as error:
                    await self.blocking.run(self.engine.discard_index)
                    if repaired:
                        raise StorageUnavailable(f"index was damaged: {error}") from error
                    repaired = True
                finally:
                    await self._apply(self.engine.take())
                    self._at_work = False
                    if self._watching:
                        self._stirred()

    def _locked(self, work: Callable[[], T], on_snapshot: bool, before: Callable[[], None] | None) -> T:
        if before is not None:
            before()
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
                box.snapshot.set_keywords(names)
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
        # Annotations are changes of the tree, and may interest whoever idles.
        everyone = any(event.kind is EventKind.TREE for event in published.events)
        for box in list((self.boxes if everyone else touched).values()):
            box.wake(everyone=everyone)

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

    async def replace_index(self) -> None:
        """Put the index aside; the next stay under the lock makes a new one, and open mailboxes go on with it."""
        async with self._order:
            await self.blocking.run(self.engine.discard_index, "replaced")
        await self.write(lambda: None)

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
        return self._unmoved(face) and (face.new_checked or time.time_ns() - face.new_mtime <= disk.TICK)

    def _unmoved(self, face: Face) -> bool:
        new, cur = self.engine.path(face.directory, "new"), self.engine.path(face.directory, "cur")
        try:
            return os.stat(new).st_mtime_ns == face.new_mtime and os.stat(cur).st_mtime_ns == face.cur_mtime
        except OSError:
            return False

    async def known(self, name: MailboxName) -> Face | None:
        """The mailbox, whatever may have happened to its messages; None when there is no such mailbox."""
        await self.catch_up()
        if name not in self.faces:
            await self._look_at_tree()
        return self.faces.get(name)

    async def face(self, name: MailboxName) -> Face | None:
        """The mailbox as it is now, in step with disk and other processes; None when there is no such mailbox. On a full disk as it was
        last: it can still be read, and room be made."""
        found = await self.known(name)
        if found is None:
            return None
        if not self.settled(found) and self.writing:
            # Most likely a file of our own on its way into the index (inotify tells of it before the commit): a look afterwards is free.
            async with self._order:
                found = self.faces.get(name)
        if found is not None and not self.settled(found):
            with contextlib.suppress(DiskFull):
                await self.synchronise(found)
            found = self.faces.get(name)
        if found is not None and not found.cur_checked:
            self._settle_later(found.id)
        return found

    async def refresh(self, box: OpenMailbox) -> None:
        """Bring an open mailbox in step with disk and other processes."""
        face = self.faces.get(box.name)
        if not self.current or face is None or not self.settled(face):
            await self.face(box.name)

    def look_later(self, box: OpenMailbox) -> None:
        """The directories have changed: as ``refresh``, with nobody waiting."""
        face = self.faces.get(box.name)
        if self.current and face is not None and self._unmoved(face):
            if not (face.new_checked and face.cur_checked):
                # What hides behind our own delivery, in the same tick of the clock, is looked for once it has become quiet.
                self._settle_later(box.id)
        elif box.id not in self._looking:
            self._looking.add(box.id)

            async def look() -> None:
                self._looking.discard(box.id)
                await self.refresh(box)

            self.blocking.background(look())

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
        """Unchecked directories of an open mailbox are scanned once they have been quiet for a while."""
        if mailbox_id in self._settling or mailbox_id not in self.boxes:
            return
        self._settling.add(mailbox_id)

        async def settle() -> None:
            self._settling.discard(mailbox_id)
            if mailbox_id not in self.boxes or self.store.closing:
                return
            await self.catch_up()
            face = next((face for face in self.faces.values() if face.id == mailbox_id), None)
            if face is None or (face.new_checked and face.cur_checked):
                return
            if time.time_ns() - max(face.new_mtime, face.cur_mtime) < SETTLE_AFTER * 500_000_000:
                self._settle_later(mailbox_id)
                return
            await self.synchronise(face, everything=not face.cur_checked)

        self.blocking.later(SETTLE_AFTER, settle)

    async def _look_at_tree(self) -> None:
        """Directories that came or went without us, and special mailboxes that are missing. The time of the Maildir tells of those that
        lie in it; nested ones are looked for."""
        with disk.meaning():
            mtime = os.stat(self.engine.location.root).st_mtime_ns
        if mtime != self._tree_mtime or self.engine.nested is not None:
            known = {face.directory for face in self.faces.values()}
            if await self.blocking.run(tree.directories, self.engine) != known:
                await self.write(lambda: tree.refresh(self.engine))
            # A second change within the clock's tick would not show: a young time is looked behind again.
            self._tree_mtime = mtime if time.time_ns() - mtime > disk.TICK else 0
        await self.make_special()

    @abc.abstractmethod
    async def make_special(self) -> None:
        """Make the special mailboxes that are missing."""

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

    def watch_directories(self, box: OpenMailbox, change: int) -> None:
        """One selection more (1) or less (-1) waits for what other programs do to the mailbox."""
        box.waiting += change
        face = self.faces.get(box.name)
        if box.waiting and not box.unwatch and face is not None:
            notify, look = self.store.notify, functools.partial(self.look_later, box)
            for part in ("new", "cur"):
                path = self.engine.path(face.directory, part)
                if notify.watch(path, look, directory=True):
                    box.unwatch.append(functools.partial(notify.unwatch, path, look))
            look()
        elif not box.waiting:
            for unwatch in box.unwatch:
                unwatch()
            box.unwatch.clear()

    def _tick(self) -> None:
        self._stirred()
        for box in list(self.boxes.values()):
            if box.waiting:
                self.look_later(box)
        self._timer = asyncio.get_running_loop().call_later(1.0, self._tick)

    def _stirred(self) -> None:
        """The generation has advanced: by our own writer, who looks when it is done, or by another process."""
        if not (self.current or self._catching_up or self._at_work):
            self._start_catching_up()

    def _start_catching_up(self) -> None:
        self._catching_up = True

        async def run() -> None:
            try:
                async with self._order:
                    pass
                if not self.current:
                    await self._write(lambda: None, False, False, None)
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

    async def search(self, box: OpenMailbox, directory: str, key: Key) -> Sequence[int]:
        """Uids that match in an open mailbox; ascending."""
        snapshot = box.snapshot
        if len(snapshot.uids) <= SEARCHED_HERE and (found := on_snapshot(snapshot, key)) is not None:
            return found
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
