"""A mailbox as one session has it open: see ``interface.Selection``. Event loop; disk work is sent to threads.

Only a cursor into the shared log is this session's own. Reading takes no account lock: rows that another session expunged meanwhile are
just missing. Changing goes through ``MaildirAccount.write``, on snapshots that are in step with the index.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING

from mas.errors import MailboxForbidden, MailboxNotFound, MessageGone
from mas.storage import bodies, flags, numbers, reader, save, sync, transfer
from mas.storage.bodies import LargeOctets
from mas.storage.index import MailboxRow, Transaction
from mas.storage.mailbox import OpenMailbox
from mas.storage.mime.header import is_dropped
from mas.storage.mime.section import Section, SectionText
from mas.storage.model import (
    DELETED,
    Change,
    Column,
    Copied,
    Flags,
    FlagsStored,
    MailboxName,
    MessageRow,
    Modseq,
    Resync,
    Snapshot,
    StoreOp,
    Uid,
    UidValidity,
)
from mas.storage.query import Key
from mas.storage.quota import Crossing

if TYPE_CHECKING:
    from mas.storage.account import MaildirAccount

ROWS = 1000
"""Rows a batch of FETCH: about two milliseconds in a thread."""
HEADERS = 1000
"""Header subsets a batch."""
BODY_FILES = 200
"""Message files that are read at a time, at most."""


class MaildirSelection:
    """See the module. Made by ``MaildirAccount.select``."""

    def __init__(self, account: MaildirAccount, box: OpenMailbox, read_only: bool, recent_from: Uid) -> None:
        self.read_only = read_only
        self.recent_from = recent_from
        self.snapshot: Snapshot = box.snapshot
        self._account = account
        self._engine = account.engine
        self._box = box
        self._cursor = box.join()
        self._closed = False

    @property
    def name(self) -> MailboxName:
        return self._box.name

    @property
    def mailbox_id(self) -> str:
        return self._box.guid

    @property
    def gone(self) -> bool:
        return self._box.gone

    # Changes

    def take_changes(self) -> Sequence[Change]:
        if self._box.has_changes(self._cursor):
            return self._box.take_changes(self._cursor)
        return ()

    def has_changes(self) -> bool:
        return self._box.has_changes(self._cursor)

    async def refresh(self) -> None:
        await self._account.refresh(self._box)

    def on_change(self, wake: Callable[[], None] | None) -> None:
        before, self._cursor.wake = self._cursor.wake, wake
        if (before is None) != (wake is None):
            self._account.watch_directories(self._box, 1 if wake is not None else -1)
        if wake is not None and (self.gone or self.has_changes()):
            wake()

    # Reading

    def _dense(self, uids: Sequence[int]) -> bool:
        """Whether the mailbox has exactly these uids between the first and the last of them."""
        known = self.snapshot.uids
        first, last = bisect_left(known, uids[0]), bisect_right(known, uids[-1])
        return last - first == len(uids) and known[first:last] == array("I", uids)

    async def fetch(
        self, uids: Sequence[int], columns: Sequence[Column]
    ) -> AsyncIterator[Sequence[tuple[object, ...]]]:
        run, engine = self._account.blocking.run, self._engine
        of_content = not reader.OF_MESSAGE.issuperset(columns)
        for start in range(0, len(uids), ROWS):
            piece = uids[start : start + ROWS]
            rows = await run(reader.rows, engine, self._box.id, piece, self._dense(piece), columns)
            if of_content and rows and any(row[-1] is None or None in row for row in rows):
                await self._account.fill(self._box.id, [int(str(row[0])) for row in rows if None in row])
                rows = await run(reader.rows, engine, self._box.id, piece, self._dense(piece), columns)
                rows = [row for row in rows if None not in row]
            if rows:
                yield rows

    async def header_fields(self, uids: Sequence[int], section: Section) -> AsyncIterator[Sequence[tuple[int, bytes]]]:
        if section.text is not SectionText.HEADER_FIELDS or any(is_dropped(name) for name in section.fields):
            async for batch in self._octets_by_file(uids, section):
                yield batch
            return
        run, engine = self._account.blocking.run, self._engine
        for start in range(0, len(uids), HEADERS):
            piece = uids[start : start + HEADERS]
            found, unknown = await run(
                reader.header_fields, engine, self._box.id, piece, self._dense(piece), section.fields
            )
            if unknown:
                async for batch in self._octets_by_file(unknown, section):
                    found += batch
                found.sort()
            if found:
                yield found

    async def _octets_by_file(self, uids: Sequence[int], section: Section) -> AsyncIterator[list[tuple[int, bytes]]]:
        async for batch in self.octets(uids, section):
            yield [(uid, octets if isinstance(octets, bytes) else await _joined(octets)) for uid, octets in batch]

    async def octets(
        self, uids: Sequence[int], section: Section
    ) -> AsyncIterator[Sequence[tuple[int, bytes | LargeOctets]]]:
        run, engine, wanted = self._account.blocking.run, self._engine, list(uids)
        filled = False
        while wanted:
            piece = wanted[:BODY_FILES]
            dense, directory = self._dense(piece), self._directory
            read = await run(reader.sections, engine, self._box.id, piece, dense, directory, section, filled)
            if read.unparsed:
                await self._account.fill(self._box.id, read.unparsed)
                filled = True
                continue
            filled, found = False, read.found
            if read.missing:
                found = await self._find_again(found, read.missing, section)
            del wanted[: read.looked_at]
            if found:
                yield [(uid, self._handed_out(octets)) for uid, octets in found]

    @property
    def _directory(self) -> str:
        face = self._account.faces.get(self._box.name)
        return face.directory if face is not None else "."

    async def _find_again(
        self, found: list[tuple[int, bytes | bodies.Stretch]], missing: list[int], section: Section
    ) -> list[tuple[int, bytes | bodies.Stretch]]:
        """Files were renamed or removed by somebody: after a scan the index knows where they are, or that they are gone."""
        face = self._account.faces.get(self._box.name)
        if face is None:
            return found
        await self._account.synchronise(face)
        read = await self._account.blocking.run(
            reader.sections, self._engine, self._box.id, missing, False, self._directory, section
        )
        more = read.found
        return sorted(found + more, key=lambda pair: pair[0])

    def _handed_out(self, octets: bytes | bodies.Stretch) -> bytes | LargeOctets:
        if isinstance(octets, bytes):
            return octets
        return LargeOctets(self._account.blocking, octets, lambda: MessageGone("the message's file vanished"))

    async def search(self, key: Key) -> Sequence[int]:
        await self.refresh()
        return await self._account.search(self._box, self._directory, key)

    # Changing

    def _positions(self, uids: Sequence[int]) -> Sequence[int]:
        """Places of ascending ``uids`` in the snapshot; those that are gone are left out."""
        known = self.snapshot.uids
        if not uids:
            return ()
        first, last = bisect_left(known, uids[0]), bisect_right(known, uids[-1])
        if last - first == len(uids) and known[first:last].tolist() == list(uids):
            return range(first, last)
        if len(uids) * 8 > last - first:
            wanted = set(uids)
            return [first + i for i, uid in enumerate(known[first:last]) if uid in wanted]
        found = []
        for uid in uids:
            at = bisect_left(known, uid, first, last)
            if at < last and known[at] == uid:
                found.append(at)
        return found

    def _row(self) -> MailboxRow:
        row = self._engine.rows.get(self._box.id)
        if row is None:
            raise MailboxNotFound(self._box.name, "deleted meanwhile")
        return row

    def _writable(self) -> None:
        if self.read_only:
            raise MailboxForbidden(self.name, "opened read-only")

    async def store(
        self, uids: Sequence[int], op: StoreOp, flags_: Flags, unchanged_since: Modseq | None = None
    ) -> FlagsStored:
        self._writable()
        uids = sorted(set(uids))

        def work() -> FlagsStored:
            row = self._row()
            numbered = save.keyword_numbers(self._engine, row, [flags_], grow=op is not StoreOp.REMOVE)
            bits = numbered.bits(flags_)
            change = flags.plan(self.snapshot, self._positions(uids), op, bits, unchanged_since)
            changed: list[MessageRow] = []
            if change.uids or numbered.new:
                with self._engine.transaction(durable=True) as transaction:
                    numbered.write(transaction)
                    if change.uids:
                        modseq = Modseq(flags.write(transaction, row, change, op, bits))
                        changed = [
                            MessageRow(Uid(u), f, modseq) for u, f in zip(change.uids, change.flags, strict=True)
                        ]
            return FlagsStored(changed, change.unchanged, change.failed)

        return await self._account.write(work, on_snapshot=True, removes=True)

    async def copy(self, uids: Sequence[int], target: MailboxName) -> Copied:
        return await self._transfer(uids, target, move=False)

    async def move(self, uids: Sequence[int], target: MailboxName) -> Copied:
        self._writable()
        return await self._transfer(uids, target, move=True)

    async def _transfer(self, uids: Sequence[int], target: MailboxName, *, move: bool) -> Copied:
        account, engine = self._account, self._engine
        target = account.engine.layout.check_name(target)
        uids = sorted(set(uids))
        await account.face(target)
        crossings: list[Crossing] = []

        def work() -> Copied:
            source, into = self._row(), engine.require(target)

            def admit(transaction: Transaction, row: MailboxRow, octets: int, count: int) -> None:
                crossing = account.quotas.admit(
                    account.sums(), row.name, octets, count, moved_from=source.name if move else None
                )
                if crossing is not None:
                    crossings.append(crossing)

            transferring = transfer.move if move else transfer.copy
            try:
                done = transferring(engine, source, into, uids, admit)
            except BaseException:
                account.quotas.settle(account.sums())
                raise
            if len(done.source) < len(uids):
                sync.synchronise(engine, source)
            return Copied(UidValidity(into.uid_validity), [Uid(u) for u in done.source], [Uid(u) for u in done.target])

        copied = await account.write(work)
        account.fire(crossings)
        return copied

    async def expunge(self, uids: Sequence[int] | None = None) -> Sequence[Uid]:
        self._writable()
        wanted = None if uids is None else sorted(set(uids))
        untold = self._box.untold(self._cursor)

        def work() -> Sequence[Uid]:
            row = self._row()
            snapshot = self.snapshot
            if wanted is None:
                going = [
                    u for u, f in zip(snapshot.uids, snapshot.flags, strict=True) if f & DELETED and u not in untold
                ]
            else:
                going = [snapshot.uids[i] for i in self._positions(wanted) if snapshot.flags[i] & DELETED]
            return [Uid(uid) for uid in self._account.expunge(row, going)]

        gone = await self._account.write(work, on_snapshot=True, removes=True)
        self._account.unlink_later()
        return gone

    async def resync(self, since: Modseq, known: Sequence[tuple[int, int]] | None) -> Resync:
        await self.refresh()
        snapshot = self.snapshot
        limits = [(1, max(0, snapshot.uid_next - 1))]
        if known is not None:
            limits = numbers.intersect(numbers.merge(known), limits)
        changed = [
            MessageRow(Uid(snapshot.uids[at]), snapshot.flags[at], Modseq(snapshot.modseqs[at]))
            for at in snapshot.newer(since)
        ]
        if known is not None:
            changed = [row for row in changed if numbers.holds(limits, row.uid)]
        vanished = await self._account.blocking.run(reader.vanished, self._engine, self._box.id, since)
        if vanished is None:
            # Too long ago to know: whatever the client may know of, and is not there.
            return Resync(numbers.without(limits, numbers.ranges_of(snapshot.uids)), changed)
        return Resync(numbers.intersect(vanished, limits), changed)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self.on_change(None)
        self._box.leave(self._cursor)
        await self._account.leave(self, self._box)


async def _joined(octets: LargeOctets) -> bytes:
    return b"".join([chunk async for chunk in octets.chunks()])
