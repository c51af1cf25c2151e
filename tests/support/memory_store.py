"""The model of the mail store: ``mas/storage/interface.py`` over dicts, as simple as it can be and still be right.

Protocol tests run on it in milliseconds; the model tests hold the real store against it. One process, no files, no index: what the real
store keeps for speed is worked out here from the octets whenever it is asked.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from mas.config.mailstore import Metadata
from mas.errors import (
    AnnotationTooBig,
    InvalidMailboxName,
    KeywordLimit,
    MailboxExists,
    MailboxForbidden,
    MailboxHasChildren,
    MailboxNotFound,
    MailboxNotSelectable,
    MessageTooBig,
    OverQuota,
    TooManyAnnotations,
    UnknownEncoding,
)
from mas.storage import numbers
from mas.storage.interface import Incoming
from mas.storage.mime.section import Section
from mas.storage.model import (
    DELETED,
    INBOX,
    KEYWORD_SHIFT,
    MAX_KEYWORDS,
    SEEN,
    Change,
    ChangeKind,
    Column,
    Copied,
    Flags,
    FlagsStored,
    MailboxInfo,
    MailboxName,
    MailboxStatus,
    MessageRow,
    Modseq,
    QuotaUsage,
    Resync,
    Saved,
    SaveOptions,
    Snapshot,
    StoreOp,
    Uid,
    UidValidity,
)
from mas.storage.query import Key
from mas.user import User
from tests.support.memory_message import column_of, matches
from tests.support.memory_mime import section_of

FIRST_UID_VALIDITY = 1700000001
NOW = 1700000000


def user(name: str = "kim@example.net") -> User:
    """An account for tests; nothing is at its home."""
    return User(name=name, home=Path("/nonexistent") / name, location="maildir:~/Maildir")


class MemoryOctets:
    """Octets of a large section."""

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self.size = len(octets)

    async def chunks(self, start: int = 0) -> AsyncIterator[bytes]:
        for place in range(start, len(self.octets), 65536):
            yield self.octets[place : place + 65536]


class MemoryIncoming(Incoming):
    """A message on its way in."""

    def __init__(self, max_size: int) -> None:
        self._chunks: list[bytes] = []
        self._max_size = max_size
        self._size = 0
        self.finished = False

    @property
    def size(self) -> int:
        return self._size

    async def write(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._max_size and self._size > self._max_size:
            raise MessageTooBig(self._max_size)
        self._chunks.append(chunk)

    async def finish(self) -> None:
        self._chunks = [b"".join(self._chunks)]
        self.finished = True

    def header(self) -> bytes:
        octets = self._chunks[0]
        end = octets.find(b"\r\n\r\n")
        return octets if end < 0 else octets[: end + 4]

    def whole(self) -> MemoryOctets:
        return MemoryOctets(self._chunks[0])

    async def __aenter__(self) -> MemoryIncoming:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._chunks = []


@dataclass(slots=True)
class MemoryMessage:
    octets: bytes
    internal_date: int
    save_date: int
    email_id: str


@dataclass(slots=True)
class MemoryMailbox:
    """One mailbox. ``vanished`` remembers (uid, modseq) of what was expunged."""

    name: MailboxName
    mailbox_id: str
    snapshot: Snapshot
    special_use: frozenset[str] = frozenset()
    messages: dict[int, MemoryMessage] = field(default_factory=dict)
    annotations: dict[str, bytes] = field(default_factory=dict)
    vanished: list[tuple[int, int]] = field(default_factory=list)
    recent_from: int = 1
    gone: bool = False
    selections: list[MemorySelection] = field(default_factory=list)

    def next_modseq(self) -> Modseq:
        self.snapshot.highest_modseq = Modseq(self.snapshot.highest_modseq + 1)
        return self.snapshot.highest_modseq

    def publish(self, changes: Sequence[Change]) -> None:
        if changes:
            self.snapshot.generation += 1
            for selection in self.selections:
                selection.tell(changes)

    def bits(self, flags: Flags, *, grow: bool = True) -> int:
        """Flags as this mailbox numbers them; a keyword gets a number when it is first met."""
        bits = flags.system
        known = {name.lower(): number for number, name in enumerate(self.snapshot.keywords)}
        for keyword in sorted(flags.keywords):
            number = known.get(keyword.lower())
            if number is None:
                if not grow:
                    continue
                if len(self.snapshot.keywords) >= MAX_KEYWORDS:
                    raise KeywordLimit(self.name, f"mail.max_keywords: {MAX_KEYWORDS}")
                number = known[keyword.lower()] = len(self.snapshot.keywords)
                self.snapshot.keywords.append(keyword)
            bits |= 1 << (KEYWORD_SHIFT + number)
        return bits

    def names(self, bits: int) -> Flags:
        keywords = {name for n, name in enumerate(self.snapshot.keywords) if bits >> (KEYWORD_SHIFT + n) & 1}
        return Flags(bits & ((1 << KEYWORD_SHIFT) - 1), frozenset(keywords))

    def add(self, messages: Sequence[tuple[MemoryMessage, Flags]]) -> list[Uid]:
        modseq = self.next_modseq()
        snapshot = self.snapshot
        changes = []
        for message, flags in messages:
            uid = snapshot.uid_next
            snapshot.uid_next = Uid(uid + 1)
            bits = self.bits(flags)
            snapshot.uids.append(uid)
            snapshot.flags.append(bits)
            snapshot.modseqs.append(modseq)
            self.messages[uid] = message
            changes.append(Change(ChangeKind.NEW, uid, modseq, bits))
        self.publish(changes)
        return [change.uid for change in changes]

    def remove(self, uids: Iterable[int]) -> list[Uid]:
        going = [uid for uid in uids if uid in self.messages]
        if not going:
            return []
        modseq = self.next_modseq()
        snapshot = self.snapshot
        for uid in going:
            at = snapshot.uids.index(uid)
            del snapshot.uids[at], snapshot.flags[at], snapshot.modseqs[at], self.messages[uid]
            self.vanished.append((uid, modseq))
        snapshot.expunges += 1
        self.publish([Change(ChangeKind.EXPUNGED, Uid(uid), modseq) for uid in going])
        return [Uid(uid) for uid in going]

    def close(self) -> None:
        """The mailbox is no more."""
        self.gone = True
        for selection in self.selections:
            selection.tell(())


class MemorySelection:
    """A mailbox that a session has open."""

    def __init__(self, account: MemoryAccount, mailbox: MemoryMailbox, read_only: bool) -> None:
        self.account = account
        self.mailbox = mailbox
        self.name = mailbox.name
        self.mailbox_id = mailbox.mailbox_id
        self.read_only = read_only
        self.snapshot = mailbox.snapshot
        self.recent_from = Uid(mailbox.recent_from)
        if not read_only:
            mailbox.recent_from = mailbox.snapshot.uid_next
        self._changes: list[Change] = []
        self._wake: Callable[[], None] | None = None

    @property
    def gone(self) -> bool:
        return self.mailbox.gone

    def tell(self, changes: Sequence[Change]) -> None:
        self._changes.extend(changes)
        if not self.read_only:
            self.mailbox.recent_from = self.snapshot.uid_next
        if self._wake is not None:
            self._wake()

    def take_changes(self) -> Sequence[Change]:
        changes, self._changes = self._changes, []
        return changes

    def has_changes(self) -> bool:
        return bool(self._changes)

    def on_change(self, wake: Callable[[], None] | None) -> None:
        self._wake = wake

    async def refresh(self) -> None:
        return

    async def fetch(
        self, uids: Sequence[int], columns: Sequence[Column]
    ) -> AsyncIterator[Sequence[tuple[object, ...]]]:
        for start in range(0, len(uids), 100):
            yield [
                (uid, *(column_of(self.mailbox.messages[uid], column) for column in columns))
                for uid in uids[start : start + 100]
                if uid in self.mailbox.messages
            ]

    async def header_fields(self, uids: Sequence[int], section: Section) -> AsyncIterator[Sequence[tuple[int, bytes]]]:
        messages = self.mailbox.messages
        yield [(uid, section_of(messages[uid].octets, section) or b"") for uid in uids if uid in messages]

    async def octets(
        self, uids: Sequence[int], section: Section
    ) -> AsyncIterator[Sequence[tuple[int, bytes | MemoryOctets]]]:
        for uid in uids:
            message = self.mailbox.messages.get(uid)
            if message is None or uid in self.account.store.vanished_files:
                continue
            octets = section_of(message.octets, section)
            if octets is None:
                raise UnknownEncoding
            yield [(uid, MemoryOctets(octets) if len(octets) > 65536 else octets)]

    async def search(self, key: Key) -> list[int]:
        found = []
        snapshot = self.snapshot
        for uid, bits, modseq in zip(snapshot.uids, snapshot.flags, snapshot.modseqs, strict=True):
            flags = self.mailbox.names(bits)
            if matches(key, self.mailbox.messages[uid], uid, flags, modseq, self.account.store.now()):
                found.append(uid)
        return found

    async def store(
        self, uids: Sequence[int], op: StoreOp, flags: Flags, unchanged_since: Modseq | None = None
    ) -> FlagsStored:
        if self.read_only:
            raise MailboxForbidden(self.name, "read-only")
        self.account.store.check()
        mailbox, snapshot = self.mailbox, self.snapshot
        named = mailbox.bits(flags, grow=op is not StoreOp.REMOVE)
        changed: list[MessageRow] = []
        unchanged: list[MessageRow] = []
        failed: list[Uid] = []
        modseq: Modseq | None = None
        for uid in sorted(set(uids) & set(mailbox.messages)):
            at = snapshot.uids.index(uid)
            before = snapshot.flags[at]
            if unchanged_since is not None and snapshot.modseqs[at] > unchanged_since:
                failed.append(Uid(uid))
                continue
            after = named if op is StoreOp.REPLACE else before | named if op is StoreOp.ADD else before & ~named
            if after == before:
                unchanged.append(MessageRow(Uid(uid), before, Modseq(snapshot.modseqs[at])))
                continue
            modseq = mailbox.next_modseq() if modseq is None else modseq
            snapshot.flags[at], snapshot.modseqs[at] = after, modseq
            changed.append(MessageRow(Uid(uid), after, modseq))
        mailbox.publish([Change(ChangeKind.FLAGS, row.uid, row.modseq, row.flags) for row in changed])
        return FlagsStored(changed, unchanged, failed)

    async def copy(self, uids: Sequence[int], target: MailboxName) -> Copied:
        return self._copy(uids, target, grows=True)

    def _copy(self, uids: Sequence[int], target: MailboxName, *, grows: bool) -> Copied:
        self.account.store.check()
        to = self.account.mailbox(target)
        source = [uid for uid in sorted(set(uids)) if uid in self.mailbox.messages]
        batch = []
        for uid in source:
            message = self.mailbox.messages[uid]
            flags = self.mailbox.names(self.snapshot.flags[self.snapshot.uids.index(uid)])
            batch.append((MemoryMessage(message.octets, message.internal_date, NOW, message.email_id), flags))
        if grows:
            self.account.check_room(sum(len(message.octets) for message, _ in batch), len(batch))
        return Copied(to.snapshot.uid_validity, [Uid(uid) for uid in source], to.add(batch) if batch else [])

    async def move(self, uids: Sequence[int], target: MailboxName) -> Copied:
        if self.read_only:
            raise MailboxForbidden(self.name, "read-only")
        copied = self._copy(uids, target, grows=False)
        self.mailbox.remove(copied.source)
        return copied

    async def expunge(self, uids: Sequence[int] | None = None) -> Sequence[Uid]:
        if self.read_only:
            raise MailboxForbidden(self.name, "read-only")
        snapshot = self.snapshot
        deleted = [uid for uid, flags in zip(snapshot.uids, snapshot.flags, strict=True) if flags & DELETED]
        return self.mailbox.remove(uid for uid in deleted if uids is None or uid in uids)

    async def resync(self, since: Modseq, known: Sequence[tuple[int, int]] | None) -> Resync:
        vanished = {uid for uid, modseq in self.mailbox.vanished if modseq > since}
        if known is not None:
            vanished = {uid for uid in vanished if any(low <= uid <= high for low, high in known)}
        snapshot = self.snapshot
        rows = zip(snapshot.uids, snapshot.flags, snapshot.modseqs, strict=True)
        changed = [MessageRow(Uid(u), f, Modseq(m)) for u, f, m in rows if m > since]
        if known is not None:
            changed = [row for row in changed if any(low <= row.uid <= high for low, high in known)]
        return Resync(numbers.ranges_of(sorted(vanished)), changed)

    async def close(self) -> None:
        self._wake = None
        self._changes = []
        if self in self.mailbox.selections:
            self.mailbox.selections.remove(self)


class MemoryAccount:
    """One user's mail."""

    separator = "."

    def __init__(self, store: MemoryStore, user: User) -> None:
        self.store = store
        self.user = user
        self.mailboxes: dict[MailboxName, MemoryMailbox] = {}
        self.subscribed: set[MailboxName] = set()
        self.levels: set[MailboxName] = set()
        self.annotations: dict[str, bytes] = {}
        self._made = 0
        self._make(INBOX, frozenset())

    def _make(self, name: MailboxName, special_use: frozenset[str]) -> MemoryMailbox:
        snapshot = Snapshot(UidValidity(FIRST_UID_VALIDITY + self._made), Uid(1), Modseq(1))
        self._made += 1
        box = self.mailboxes[name] = MemoryMailbox(name, f"mailbox-{self._made}", snapshot, special_use)
        return box

    def mailbox(self, name: MailboxName) -> MemoryMailbox:
        found = self.mailboxes.get(name)
        if found is None:
            raise MailboxNotSelectable(name) if self._exists(name) else MailboxNotFound(name)
        return found

    def _exists(self, name: MailboxName) -> bool:
        return name in self.mailboxes or name in self.levels or bool(self._inferiors(name))

    def _inferiors(self, name: MailboxName) -> list[MailboxName]:
        return [box for box in [*self.mailboxes, *self.levels] if box.startswith(name + self.separator)]

    def check_room(self, size: int, count: int) -> None:
        used = sum(len(message.octets) for box in self.mailboxes.values() for message in box.messages.values())
        if self.store.storage_limit and used + size > self.store.storage_limit:
            raise OverQuota("User quota", "Quota exceeded (mailbox for user is full)")

    async def list(self) -> Sequence[MailboxInfo]:
        names = set(self.mailboxes) | self.levels
        for name in list(names):
            parts = name.split(self.separator)
            names.update(MailboxName(self.separator.join(parts[:n])) for n in range(1, len(parts)))
        return [
            MailboxInfo(
                name,
                name in self.mailboxes,
                name in self.subscribed,
                bool(self._inferiors(name)),
                self.mailboxes[name].special_use if name in self.mailboxes else frozenset(),
                self.mailboxes[name].mailbox_id if name in self.mailboxes else "",
            )
            for name in sorted(names, key=lambda name: (name != INBOX, name))
        ]

    async def set_special_use(self, name: MailboxName, uses: Iterable[str]) -> None:
        wanted = frozenset(uses)
        box = self.mailbox(name)
        for other in self.mailboxes.values():
            other.special_use -= wanted
        box.special_use = wanted

    def _annotations(self, name: MailboxName) -> dict[str, bytes]:
        return self.mailbox(name).annotations if name else self.annotations

    async def metadata(self, name: MailboxName) -> Mapping[str, bytes]:
        if not name:
            limits = self.store.metadata
            texts = {"/shared/comment": limits.server_comment, "/shared/admin": limits.server_admin}
            return {**self.annotations, **{entry: text.encode() for entry, text in texts.items() if text}}
        uses = " ".join(sorted(self.mailbox(name).special_use)).encode()
        return {**self._annotations(name), **({"/private/specialuse": uses} if uses else {})}

    async def set_metadata(self, name: MailboxName, changes: Mapping[str, bytes | None]) -> None:
        self.store.check()
        limits = self.store.metadata
        kept = self._annotations(name)
        after = {entry: value for entry, value in {**kept, **changes}.items() if value is not None}
        if any(len(value) > limits.max_value for value in changes.values() if value is not None):
            raise AnnotationTooBig("metadata.max_value", limits.max_value)
        if len(after) > max(limits.max_entries, len(kept)):
            raise TooManyAnnotations("metadata.max_entries", limits.max_entries)
        kept.clear()
        kept.update(after)

    async def subscriptions(self) -> Sequence[MailboxName]:
        return sorted(self.subscribed)

    async def status(self, names: Sequence[MailboxName]) -> Sequence[MailboxStatus | None]:
        return [self._status(self.mailboxes[name]) if name in self.mailboxes else None for name in names]

    def _status(self, box: MemoryMailbox) -> MailboxStatus:
        rows = [
            (flags, len(box.messages[uid].octets))
            for uid, flags in zip(box.snapshot.uids, box.snapshot.flags, strict=True)
        ]
        return MailboxStatus(
            uid_validity=box.snapshot.uid_validity,
            uid_next=box.snapshot.uid_next,
            highest_modseq=box.snapshot.highest_modseq,
            messages=len(rows),
            unseen=sum(not flags & SEEN for flags, _ in rows),
            deleted=sum(bool(flags & DELETED) for flags, _ in rows),
            recent=sum(uid >= box.recent_from for uid in box.snapshot.uids),
            size=sum(size for _, size in rows),
            deleted_size=sum(size for flags, size in rows if flags & DELETED),
            mailbox_id=box.mailbox_id,
        )

    async def create(self, name: MailboxName, special_use: Iterable[str] = ()) -> str:
        self.store.check()
        if name in self.mailboxes:
            raise MailboxExists(name)
        if not name or any(not part for part in name.split(self.separator)) or "/" in name:
            raise InvalidMailboxName(name, "empty level or slash")
        uses = frozenset(special_use)
        if any(uses & box.special_use for box in self.mailboxes.values()):
            raise MailboxForbidden(name, "special use is taken")
        self.levels.discard(name)
        return self._make(name, uses).mailbox_id

    async def delete(self, name: MailboxName) -> None:
        self.store.check()
        if name == INBOX:
            raise MailboxForbidden(name, "INBOX cannot be deleted")
        if name not in self.mailboxes:
            if not self._exists(name):
                raise MailboxNotFound(name)
            if self._inferiors(name):
                raise MailboxHasChildren(name)
            self.levels.discard(name)
            return
        self.mailboxes.pop(name).close()

    async def rename(self, old: MailboxName, new: MailboxName) -> None:
        self.store.check()
        if new in self.mailboxes:
            raise MailboxExists(new)
        if not self._exists(old):
            raise MailboxNotFound(old)
        if old == INBOX:
            target = self._make(new, frozenset())
            box = self.mailboxes[INBOX]
            target.annotations.update(box.annotations)
            batch = [
                (box.messages[uid], box.names(flags))
                for uid, flags in zip(box.snapshot.uids, box.snapshot.flags, strict=True)
            ]
            if batch:
                target.add(batch)
            box.remove(list(box.snapshot.uids))
            return
        if new.startswith(old + self.separator):
            raise InvalidMailboxName(new, "inferior of itself")
        for name in [old, *self._inferiors(old)]:
            moved = MailboxName(new + name[len(old) :])
            if name in self.mailboxes:
                box = self.mailboxes.pop(name)
                box.name = moved
                self.mailboxes[moved] = box
                for selection in box.selections:
                    selection.name = moved
            if name in self.levels:
                self.levels.remove(name)
                self.levels.add(moved)

    async def subscribe(self, name: MailboxName) -> None:
        self.subscribed.add(name)

    async def unsubscribe(self, name: MailboxName) -> None:
        self.subscribed.discard(name)

    async def select(self, name: MailboxName, *, read_only: bool = False) -> MemorySelection:
        self.store.check()
        box = self.mailbox(name)
        selection = MemorySelection(self, box, read_only)
        box.selections.append(selection)
        return selection

    async def save(
        self,
        name: MailboxName,
        messages: Sequence[tuple[Incoming, SaveOptions]],
        *,
        create: bool = False,
        delivery: bool = False,
        enforce_quota: bool = True,
    ) -> Saved:
        self.store.check()
        if create and name not in self.mailboxes:
            await self.create(name)
        box = self.mailbox(name)
        batch = []
        for incoming, options in messages:
            assert isinstance(incoming, MemoryIncoming)
            if not incoming.finished:
                await incoming.finish()
            octets = incoming.whole().octets
            if self.store.max_mail_size and len(octets) > self.store.max_mail_size:
                raise MessageTooBig(self.store.max_mail_size)
            now = self.store.now()
            date = now if options.internal_date is None else options.internal_date
            saved = now if options.save_date is None else options.save_date
            self.store.stored += 1
            batch.append((MemoryMessage(octets, date, saved, f"email-{self.store.stored}"), options.flags))
        if enforce_quota:
            self.check_room(sum(len(message.octets) for message, _ in batch), len(batch))
        return Saved(box.snapshot.uid_validity, box.add(batch))

    async def quota(self, name: MailboxName | None = None) -> Sequence[QuotaUsage]:
        if name is not None and not self._exists(name):
            raise MailboxNotFound(name)
        boxes = self.mailboxes.values()
        storage = sum(len(message.octets) for box in boxes for message in box.messages.values())
        count = sum(len(box.messages) for box in boxes)
        return [QuotaUsage("User quota", storage, self.store.storage_limit, count, self.store.messages_limit)]

    async def check_quota(self, size: int) -> None:
        if self.store.max_mail_size and size > self.store.max_mail_size:
            raise MessageTooBig(self.store.max_mail_size)
        self.check_room(size, 1)

    async def expire(self) -> int:
        return 0

    async def close(self) -> None:
        return

    async def __aenter__(self) -> MemoryAccount:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class MemoryStore:
    """The mail of every user of a test.

    fail: raised by the next operations that would touch the disk (DiskFull, StorageUnavailable), until set to None.
    vanished_files: uids whose octets can no longer be read.
    """

    def __init__(self, *, storage_limit: int = 0, messages_limit: int = 0, max_mail_size: int = 0) -> None:
        self.storage_limit = storage_limit
        self.messages_limit = messages_limit
        self.max_mail_size = max_mail_size
        self.metadata = Metadata()
        self.accounts: dict[str, MemoryAccount] = {}
        self.fail: Exception | None = None
        self.vanished_files: set[int] = set()
        self.stored = 0
        self.clock = NOW

    def now(self) -> int:
        return self.clock

    def check(self) -> None:
        if self.fail is not None:
            raise self.fail

    async def open(self, user: User) -> MemoryAccount:
        self.check()
        return self.account(user)

    def account(self, user: User) -> MemoryAccount:
        if user.name not in self.accounts:
            self.accounts[user.name] = MemoryAccount(self, user)
        return self.accounts[user.name]

    def incoming(self, near: User, *, max_size: int = 0) -> MemoryIncoming:
        return MemoryIncoming(max_size)

    async def close(self) -> None:
        return
