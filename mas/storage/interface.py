"""The one interface of the mail store. Protocols, delivery and the command line see this and ``model``/``query``, nothing else.

Async methods may touch the disk and do so off the event loop; plain methods and properties never do. Names are resolved, checked and
answered as ``mas.errors``. Nothing here says Maildir: another implementation can lie behind it.

Order of every change: durable (fsync), committed to the index, published to the other sessions, then the method returns.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Protocol

from mas.storage.mime.section import Section
from mas.storage.model import (
    Change,
    Column,
    Copied,
    Flags,
    FlagsStored,
    MailboxInfo,
    MailboxName,
    MailboxStatus,
    Modseq,
    QuotaUsage,
    Resync,
    Saved,
    SaveOptions,
    Snapshot,
    StoreOp,
    Uid,
)
from mas.storage.query import Key
from mas.user import User


class Octets(Protocol):
    """A stretch of a message that may be too big for memory. ``size`` is exact and known before the first chunk is read."""

    size: int

    def chunks(self, start: int = 0) -> AsyncIterator[bytes]:
        """Pieces of at most 64 KB, from octet ``start`` on. Raises MessageGone when the file has vanished before the first one."""
        ...


class Incoming(Protocol):
    """A message on its way in. Small ones stay in memory until they are saved, large ones go to a file as they come.

    ``async with store.incoming() as message: await message.write(...); await message.finish()`` and then save it, once or for many
    accounts: the content is written, fsynced and parsed once. Leaving the block without saving removes every trace.
    """

    async def write(self, chunk: bytes) -> None:
        """Append octets as they came from the wire, CRLF line ends. Raises MessageTooBig, DiskFull, StorageUnavailable."""
        ...

    async def finish(self) -> None:
        """No more octets. Raises Rejected for what begins like a compressed file: some programs on the Maildir would take it for one. A
        save does this for messages that were not finished, and parses (headers, structure) with the rest of its work."""
        ...

    @property
    def size(self) -> int:
        """Octets so far."""
        ...

    def header(self) -> bytes:
        """After finish(): the header block, with its blank line, at most the configured header limit."""
        ...

    def whole(self) -> Octets:
        """After finish(): all octets, for Sieve's body tests and for forwarding."""
        ...

    async def __aenter__(self) -> Incoming: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Selection(Protocol):
    """A mailbox that a session has open.

    The session's own list of uids (its sequence numbers) is the protocol's; this gives it the shared ``snapshot`` and, by
    ``take_changes()``, what happened since it last asked, in order. Uids that another session expunged may still be asked for:
    their rows are just missing from the answers.
    """

    read_only: bool
    snapshot: Snapshot
    recent_from: Uid
    """Messages with this uid or above are recent in this session (it claimed them, or is read-only)."""

    @property
    def name(self) -> MailboxName:
        """The mailbox's name; another after a RENAME."""
        ...

    @property
    def mailbox_id(self) -> str: ...

    def take_changes(self) -> Sequence[Change]:
        """Changes since the last call (or since select), oldest first; the session's own included. Never blocks."""
        ...

    def has_changes(self) -> bool:
        """Whether take_changes() would return something."""
        ...

    async def refresh(self) -> None:
        """Bring ``snapshot`` in step with disk and other processes (NOOP, CHECK, before SEARCH …). Cheap when nothing changed."""
        ...

    def on_change(self, wake: Callable[[], None] | None) -> None:
        """Call ``wake`` on the event loop, within 100 ms, whenever has_changes() has become true (IDLE). None: no more.

        Raises nothing. Also called, once, when the mailbox itself is gone (``gone`` is true then)."""
        ...

    @property
    def gone(self) -> bool:
        """The mailbox was deleted, or its UIDVALIDITY changed: the session cannot go on with it."""
        ...

    def fetch(self, uids: Sequence[int], columns: Sequence[Column]) -> AsyncIterator[Sequence[tuple[object, ...]]]:
        """Rows ``(uid, column, …)`` in ascending uid order, in batches; ``uids`` ascend. Uids that are gone are left out."""
        ...

    def header_fields(self, uids: Sequence[int], section: Section) -> AsyncIterator[Sequence[tuple[int, bytes]]]:
        """``(uid, octets)`` in batches, for a Section of HEADER, HEADER.FIELDS or HEADER.FIELDS.NOT of the whole message: answered without
        opening the message files wherever the index has kept what is asked."""
        ...

    def octets(self, uids: Sequence[int], section: Section) -> AsyncIterator[Sequence[tuple[int, bytes | Octets]]]:
        """The octets of a section, in batches of about a megabyte; bytes when small, Octets when large. A section that does not exist
        is ``b""``. Raises UnknownEncoding (decode only). A message whose file vanished is left out."""
        ...

    async def search(self, key: Key) -> Sequence[int]:
        """Uids of the messages that match, as the index stands now; ascending."""
        ...

    async def store(
        self, uids: Sequence[int], op: StoreOp, flags: Flags, unchanged_since: Modseq | None = None
    ) -> FlagsStored:
        """Change flags in one commit. Raises MailboxForbidden when read-only, KeywordLimit."""
        ...

    async def copy(self, uids: Sequence[int], target: MailboxName) -> Copied:
        """All or nothing. Raises MailboxNotFound, OverQuota, DiskFull … with nothing copied."""
        ...

    async def move(self, uids: Sequence[int], target: MailboxName) -> Copied:
        """As copy, and the source messages are expunged in the same commit."""
        ...

    async def expunge(self, uids: Sequence[int] | None = None) -> Sequence[Uid]:
        """Remove those messages that have \\Deleted (of ``uids``, or of all that this session was told of). Returns what was removed."""
        ...

    async def resync(self, since: Modseq, known: Sequence[tuple[int, int]] | None) -> Resync:
        """QRESYNC: what vanished (of the ``known`` uid ranges, or all) and what changed above ``since``."""
        ...

    async def close(self) -> None:
        """The session leaves the mailbox; nothing is expunged."""
        ...


class Account(Protocol):
    """One user's mail, open in this process. Shared by its sessions; leave it with close() (or ``async with``)."""

    user: User
    separator: str

    async def list(self) -> Sequence[MailboxInfo]:
        """All mailboxes, INBOX first, then by name; special folders with auto=create/subscribe exist by now."""
        ...

    async def subscriptions(self) -> Sequence[MailboxName]:
        """Subscribed names, whether or not they exist."""
        ...

    async def status(self, names: Sequence[MailboxName]) -> Sequence[MailboxStatus | None]:
        """Counters in the order of the names; None where there is no such mailbox (or it is not selectable)."""
        ...

    async def create(self, name: MailboxName, special_use: Iterable[str] = ()) -> str:
        """Makes missing superiors as well. Returns the mailbox id. Raises MailboxExists, InvalidMailboxName, MailboxForbidden."""
        ...

    async def delete(self, name: MailboxName) -> None:
        """Raises MailboxNotFound, MailboxHasChildren (for a level only), MailboxForbidden (INBOX)."""
        ...

    async def rename(self, old: MailboxName, new: MailboxName) -> None:
        """Inferiors too; INBOX is emptied into ``new`` [RFC9051 6.3.6]."""
        ...

    async def set_special_use(self, name: MailboxName, uses: Iterable[str]) -> None:
        """The mailbox has these special uses and no others; who had them by the user's choice has them no more [RFC6154 4]. Raises
        MailboxForbidden where the server's configuration says otherwise."""
        ...

    async def metadata(self, name: MailboxName) -> Mapping[str, bytes]:
        """The annotations of a mailbox, of the account as a whole when ``name`` is empty: entry names in lower case to values
        [RFC5464 3]. With those that are told here and set elsewhere: ``/private/specialuse`` of a mailbox, ``/shared/comment`` and
        ``/shared/admin`` of the account. From memory when nobody has changed them. Raises MailboxNotFound, MailboxNotSelectable."""
        ...

    async def set_metadata(self, name: MailboxName, changes: Mapping[str, bytes | None]) -> None:
        """Change annotations, all or none; None removes one. Raises AnnotationTooBig, TooManyAnnotations, and as ``metadata``."""
        ...

    async def subscribe(self, name: MailboxName) -> None: ...

    async def unsubscribe(self, name: MailboxName) -> None: ...

    async def select(self, name: MailboxName, *, read_only: bool = False) -> Selection:
        """Raises MailboxNotFound, MailboxNotSelectable."""
        ...

    async def save(
        self,
        name: MailboxName,
        messages: Sequence[tuple[Incoming, SaveOptions]],
        *,
        create: bool = False,
        delivery: bool = False,
        enforce_quota: bool = True,
    ) -> Saved:
        """Store messages, all or none (MULTIAPPEND); ``delivery`` grants quota's grace; without ``enforce_quota`` they are counted, never
        refused, and cause no warning (the server's own mail to the user). Raises OverQuota, MessageTooBig,
        MailboxNotFound, DiskFull, StorageUnavailable."""
        ...

    async def quota(self, name: MailboxName | None = None) -> Sequence[QuotaUsage]:
        """The roots that hold for a mailbox (or the account)."""
        ...

    async def check_quota(self, size: int) -> None:
        """Whether a delivery of ``size`` octets to INBOX would fit now (RCPT). Raises OverQuota, MessageTooBig."""
        ...

    async def expire(self) -> int:
        """Run autoexpunge; returns how many messages went."""
        ...

    async def close(self) -> None: ...

    async def __aenter__(self) -> Account: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Store(Protocol):
    """The mail of every user of this host."""

    async def open(self, user: User) -> Account:
        """Open (or make) the user's mail. Raises StorageUnavailable."""
        ...

    def incoming(self, near: User, *, max_size: int = 0) -> Incoming:
        """A message on its way in; ``near`` says on whose file system it is written first. ``max_size`` 0 = no limit."""
        ...

    async def close(self) -> None:
        """Finish what is in flight, bring file names in step with flags, close every index."""
        ...
