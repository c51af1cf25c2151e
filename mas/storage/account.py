"""The account as protocols and delivery see it: mailboxes, subscriptions, sessions, saving, quota, expiry.

Everything here is checked and answered on the event loop, from what ``live`` keeps in step with disk and other processes; what changes
files goes through ``write``. Must not know: protocols.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from mas.errors import DiskFull, MailboxExists, MailboxForbidden, MailboxNotFound
from mas.storage import (
    disk,
    expire,
    flags,
    metadata,
    reader,
    save,
    subscriptions,
    transfer,
    tree,
    uidlist,
)
from mas.storage.engine import Engine, Face
from mas.storage.incoming import MaildirIncoming, remove_abandoned
from mas.storage.index import MailboxRow, Transaction
from mas.storage.live import LiveAccount
from mas.storage.mailbox import OpenMailbox
from mas.storage.model import (
    INBOX,
    MailboxInfo,
    MailboxName,
    MailboxStatus,
    QuotaUsage,
    Saved,
    SaveOptions,
    Uid,
    UidValidity,
)
from mas.storage.quota import AccountQuota, Crossing
from mas.storage.save import Saving
from mas.storage.selection import MaildirSelection

if TYPE_CHECKING:
    from mas.storage.interface import Incoming
    from mas.storage.store import MaildirStore
    from mas.user import User

Names = list[MailboxName]
LANES = 6
"""Messages of one save that are fsynced at a time."""
KEPT_MAILBOXES = 8
"""Snapshots that stay in memory when nobody has the mailbox open."""


class MaildirAccount(LiveAccount):
    """See ``interface.Account``. Shared; ``MaildirStore.open`` counts its users, ``close`` gives one back."""

    _listed: tuple[object, object, Sequence[MailboxInfo]] | None = None
    """The last listing, with the tree and the subscriptions that it was made of."""

    def __init__(self, store: MaildirStore, user: User, engine: Engine, quota: AccountQuota) -> None:
        super().__init__(store, user, engine, quota)
        self.annotations = metadata.AccountMetadata(self)
        self._expunged: list[tuple[int, list[str]]] = []
        """Files that large expunges have still to remove, by mailbox. Changed under the lock."""

    # Mailboxes

    async def make_special(self) -> None:
        missing = self.store.special.missing(self.faces)
        if not missing:
            return
        shown = {name for name, subscribe in missing if subscribe}

        def subscribe(names: Sequence[MailboxName]) -> None:
            # First: a mailbox that a crash leaves without it would never be.
            added = [name for name in names if name in shown]
            self._resubscribe(lambda before: [*before, *[name for name in added if name not in before]])

        await self.write(lambda: tree.create_all(self.engine, [name for name, _ in missing], subscribe))

    async def first_touch(self) -> None:
        """After opening: the tree as it is on disk, leftovers of crashes removed, special mailboxes made."""

        def work() -> None:
            tree.refresh(self.engine)
            tree.remove_rubbish(self.engine)
            remove_abandoned(self.engine.path("", "tmp"))
            self.quotas.settle(self.sums())
            self.engine.keep_reserve()

        await self.write(work, removes=True, before=self.engine.open)
        await self.make_special()

    async def list(self) -> Sequence[MailboxInfo]:
        await self.catch_up()
        await self._look_at_tree()
        subscribed = set(await self.subscriptions())
        faces = self.faces
        # Names, ids and special uses change with the tree alone, and then ``faces`` is another dictionary.
        if self._listed is not None and self._listed[0] is faces and self._listed[1] is self._subscribed:
            return self._listed[2]
        chosen = {
            MailboxName(name): frozenset(face.special_use.split()) for name, face in faces.items() if face.special_use
        }
        uses = self.store.special.special_use(faces, chosen)
        superiors = tree.superiors(faces, self.separator)
        names = sorted({*faces, *superiors}, key=lambda name: (name != INBOX, name))
        infos = [
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
        self._listed = (faces, self._subscribed, infos)
        return infos

    async def status(self, names: Sequence[MailboxName]) -> Sequence[MailboxStatus | None]:
        found: list[MailboxStatus | None] = []
        for name in names:
            face = self.faces.get(name)
            if face is None or not self.current or not self.settled(face):
                face = await self.face(name)
            found.append(face.status if face is not None else None)
        return found

    async def create(self, name: MailboxName, special_use: Iterable[str] = ()) -> str:
        name = self.engine.layout.check_name(name)
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

        rubbish = await self.write(work, removes=True)
        await self.blocking.run(tree.remove_rubbish, self.engine, rubbish)

    async def rename(self, old: MailboxName, new: MailboxName) -> None:
        layout = self.engine.layout
        old, new = layout.check_name(old), layout.check_name(new)
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
            metadata.copy(self.engine, inbox.directory, target.directory)
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

    async def set_special_use(self, name: MailboxName, uses: Iterable[str]) -> None:
        face, wanted = await self.known(name), frozenset(uses)
        if face is not None:
            chosen = {
                MailboxName(other): frozenset(face.special_use.split()) - wanted for other, face in self.faces.items()
            }
            if self.store.special.special_use(self.faces, {**chosen, name: wanted}).get(name, frozenset()) != wanted:
                raise MailboxForbidden(name, "has a special use by the server's configuration")
        await self.write(lambda: tree.set_special_use(self.engine, name, wanted))

    # Annotations

    async def metadata(self, name: MailboxName) -> Mapping[str, bytes]:
        return await self.annotations.of(name)

    async def set_metadata(self, name: MailboxName, changes: Mapping[str, bytes | None]) -> None:
        await self.annotations.change(name, changes)

    # Subscriptions

    async def subscriptions(self) -> Sequence[MailboxName]:
        path = self.engine.account_file(subscriptions.FILE_NAME)
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
            return subscriptions.parse_subscriptions(data, self.engine.layout)

    async def subscribe(self, name: MailboxName) -> None:
        name = self.engine.layout.check_name(name)
        self.engine.layout.directory_of(name)
        await self._change_subscriptions(lambda names: names if name in names else [*names, name])

    async def unsubscribe(self, name: MailboxName) -> None:
        await self._change_subscriptions(lambda names: [other for other in names if other != name])

    async def _change_subscriptions(self, change: Callable[[Names], Names]) -> None:
        await self.write(lambda: self._resubscribe(change))

    def _resubscribe(self, change: Callable[[Names], Names]) -> None:
        """In a thread, under the lock."""
        path = self.engine.account_file(subscriptions.FILE_NAME)
        with self.engine.dotlock(path):
            before = self._read_subscriptions(path)
            after = change(before)
            if after != before:
                disk.replace_file(path, subscriptions.encode_subscriptions(after, self.engine.layout), path + ".tmp")

    # Sessions

    async def select(self, name: MailboxName, *, read_only: bool = False) -> MaildirSelection:
        self.last_used = time.monotonic()
        face = self.faces.get(name)
        if face is None or not self.current or not self.settled(face):
            face = await self.face(self.engine.layout.check_name(name))
        if face is None:
            await self.write(lambda: self.engine.require(name))
            raise MailboxNotFound(name)
        box = self.boxes.get(face.id) or await self._load(face)
        recent_from = face.first_recent
        if not read_only and face.first_recent < face.status.uid_next:
            with contextlib.suppress(DiskFull):
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
                    row.pending = 1  # they may leave new/
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
        with contextlib.suppress(DiskFull):  # what is left of it is done by whoever leaves next
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

    @property
    def unfinished(self) -> bool:
        """Whether ``flush_all`` may have something to do."""
        return bool(self._expunged) or any(face.pending for face in self.faces.values())

    async def flush_all(self) -> None:
        """Every file has the name that its flags ask for, and those of expunged messages are gone."""
        await self._unlink()
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
        name = self.engine.layout.check_name(name)
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
                uids = save.save(self.engine, row, savings, admit)
            except BaseException:
                self.quotas.settle(self.sums())
                raise
            return Saved(UidValidity(row.uid_validity), [Uid(uid) for uid in uids])

        try:
            if len(savings) == 1 and not self.writing:
                # Nobody else of this process would wait for its fsync: one change of thread for both.
                saved = await self.write(work, before=lambda: self._make_durable(savings))
            else:
                await self._prepare(savings)
                saved = await self.write(work)
        except asyncio.CancelledError:
            # The save goes on behind our back, and its files must not be closed before it is done: wait for its turn to be over.
            async with self._order:
                pass
            raise
        self.fire(crossings)
        return saved

    async def _prepare(self, savings: Sequence[Saving]) -> None:
        """Octets durable before the account is locked; of many messages several at a time, so that the disk can take them together."""
        lanes = min(LANES, len(savings))
        work = [self.blocking.run(self._make_durable, savings[lane::lanes]) for lane in range(lanes)]
        preparing = asyncio.gather(*work, return_exceptions=True)
        try:
            done = await asyncio.shield(preparing)
        except asyncio.CancelledError:
            # Nobody closes the files of a thread that still writes them.
            await asyncio.wait([preparing])
            raise
        for error in done:
            if error is not None:
                raise error

    def _make_durable(self, savings: Sequence[Saving]) -> None:
        for saving in savings:
            saving.incoming.complete()
            saving.incoming.prepare(self.engine.location.inbox, saving.options.internal_date)

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
        return await self.blocking.run(self.quotas.usage, sums) if self.quotas.shared else self.quotas.usage(sums)

    def _is_level(self, name: str) -> bool:
        prefix = name + self.separator
        return any(other.startswith(prefix) for other in self.faces)

    async def check_quota(self, size: int) -> None:
        await self.catch_up()
        sums = [(name, face.status.size, face.status.messages) for name, face in self.faces.items()]
        if self.quotas.shared:
            await self.blocking.run(self.quotas.check_delivery, sums, size)
        else:
            self.quotas.check_delivery(sums, size)

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

        removed = await self.write(work)
        self.unlink_later()
        return removed

    def expunge(self, row: MailboxRow, uids: Sequence[int]) -> Sequence[int]:
        """In a thread, under the lock: expunge, and give the quota back. ``unlink_later`` follows."""
        size = row.size
        gone, files = transfer.expunge(self.engine, row, uids)
        if files:
            self._expunged.append((row.id, files))
        if gone:
            self.quotas.released(self.sums(), row.name, size - row.size, len(gone))
        return gone

    def unlink_later(self) -> None:
        """Remove the files of a large expunge, when it has been answered."""
        if self._expunged:
            self.blocking.background(self._unlink())

    async def _unlink(self) -> None:
        def work() -> None:
            if not self._expunged:
                return
            mailbox_id, files = self._expunged[0]
            row = self.engine.rows.get(mailbox_id)
            if row is not None:
                transfer.unlink(self.engine, row, files[: transfer.AT_ONCE])
            del files[: transfer.AT_ONCE]
            if row is None or not files:
                del self._expunged[0]

        while self._expunged:
            await self.write(work, removes=True)

    # The end

    async def close(self) -> None:
        await self.store.leave(self)

    async def __aenter__(self) -> MaildirAccount:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
