"""One account on disk: the lock, the index, the directories. Every method runs in a worker thread.

Theory of operation. The Maildir is the mail; ``dovecot-uidlist``, ``dovecot-keywords`` and the file names say what clients were promised;
the index repeats all of it and is what is asked. A writer takes the account's lock (``exclusive``), learns what other processes did since
it last looked, changes files, then the index in one ``transaction``, then advances the generation; the event loop takes the events
(``take``) and applies them to the snapshots. Readers take ``mutex`` only: one connection serves the account, a statement at a time.

What only the index knows, and what its loss costs: modseqs (a new index starts above, so clients ask for all flags once), vanished uids
(answered from what exists), keywords from number 26 up and flag changes whose renames are pending (lost), save dates (ctime instead).

Durability. Every commit that gives a uid or a modseq is fsynced (``durable``, synchronous=FULL) before anybody is told: deliveries, APPEND,
flags, expunges, and what a scan found. The others (who has seen what is recent, file names that follow flags, parsed contents, the
directories' times) may be lost in a power cut, and are worked out again. Lines of the uid list are fsynced while the index commits
(``alongside``), since Dovecot, which fsyncs them too, may be the first to look after a power cut. The first writer after an unclean stop
(another boot id than the last writer's, and not marked clean) takes nothing that the index knows of files for granted: every mailbox is
scanned before it is served, a list that lost lines is written anew, and modseqs go on above any that can have been given. With a disk
that keeps what it says it keeps, none is lost; with one that lies, clients still learn of every change from then on.
A killed process loses nothing: the WAL is in the page cache. An account at rest is closed with its WAL as it is (``schema``), and marked
clean.

Invariants:
1. fsync(message), link or rename, fsync(directory), uidlist, index commit, generation, then the answer.
2. uids are given under the lock, from ``MailboxRow.uid_next``, after the uid list was found to be the one that the index knows.
3. An exception in a transaction leaves the index as it was; what was done to files is undone, or found by the next scan.

Must not know: sessions, sequence numbers, wire.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import apsw
import structlog

from mas.config import Config
from mas.errors import DiskFull, MailboxNotFound, MailboxNotSelectable
from mas.metrics import table as metrics
from mas.storage import disk, index, schema, uidlist
from mas.storage.alongside import Alongside
from mas.storage.index import Event, MailboxRow, Transaction
from mas.storage.layout import Nested, layout_of
from mas.storage.location import Location
from mas.storage.lock import AccountLock, dotlock
from mas.storage.mime.header import header_holds
from mas.storage.model import MailboxName, MailboxStatus, Modseq, Uid, UidValidity
from mas.storage.nested import NestedDirectories

GAP = 1000
"""How far modseqs begin above the last known one, in a new index and after an unclean stop."""

RESERVE = 96 << 10
"""Octets that are kept allocated beside the index, so that flags can be set and messages removed when the disk is full."""

_log = structlog.get_logger(area="storage")


def _boot_id() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return "unknown"


BOOT_ID = _boot_id()


def _header_holds(*values: apsw.SQLiteValue) -> int:
    text, name, wanted = values
    return int(header_holds(str(text), str(name), str(wanted)))


@dataclass(frozen=True, slots=True)
class Face:
    """What the event loop knows of a mailbox: its counters, and the directory times that they belong to."""

    id: int
    directory: str
    status: MailboxStatus
    new_mtime: int
    cur_mtime: int
    new_checked: bool
    cur_checked: bool
    special_use: str
    first_recent: int
    pending: bool


@dataclass(slots=True)
class Published:
    """What a stay under the lock brought: for the event loop to apply, in order."""

    generation: int
    modseq: int
    events: list[Event] = field(default_factory=list)
    faces: dict[str, Face] = field(default_factory=dict)
    keywords: dict[int, list[str]] = field(default_factory=dict)
    """Names by number, of mailboxes where they may have changed."""
    unparsed: set[int] = field(default_factory=set)
    """Mailboxes that may have messages without content now."""
    whole: bool = False
    """``faces`` is every mailbox, not only the changed ones."""
    behind: bool = False
    """Events were missed: snapshots have to be read again."""


class Engine:
    """See the module. Made closed; ``open`` it in a thread."""

    def __init__(self, location: Location, config: Config, user: str) -> None:
        self.location = location
        self.config = config
        self.user = user
        self.separator = config.mail.separator
        self.layout = layout_of(location, self.separator)
        self.nested = NestedDirectories(location, self.layout) if isinstance(self.layout, Nested) else None
        self.rows: dict[int, MailboxRow] = {}
        self.mutex = threading.RLock()
        self._writer = threading.Lock()
        self._database: apsw.Connection | None = None
        self._identity: tuple[int, int] = (0, 0)
        self._lock: AccountLock | None = None
        self._generation = -1
        self._modseq = 0
        self._seen_modseq = 0
        self._boot = ""
        self.uid_validity = 0
        self._stale = True
        self._rests = 0
        self._synchronous = False
        self._for_readers = False
        self._dotlocks = 0
        self._published = Published(0, 0)
        self.alongside = Alongside()
        self.begun_anew = False
        """The index is new and empty: whoever holds the lock fills it from the Maildir first."""
        self.unnamed: set[str] = set()
        """Directories whose names are no mailbox names, and files whose names are no text: warned of once."""

    # Paths

    def path(self, directory: str, *parts: str) -> str:
        """A path in the mailbox whose directory is ``directory`` (``""``: INBOX)."""
        return "/".join([self.location.root, directory, *parts] if directory else [self.location.inbox, *parts])

    def control(self, directory: str, *parts: str) -> str:
        """As ``path``, of the files that describe the mailbox: uid list, keywords, special use."""
        if not self.location.control:
            return self.path(directory, *parts)
        return "/".join([self.location.control, self.layout.control_of(directory), *parts])

    def account_file(self, name: str) -> str:
        """A file that describes all mailboxes together."""
        return f"{self.location.control or self.location.root}/{name}"

    # Opening and closing

    def open(self) -> None:
        """Make what is missing, open the lock; once. Raises StorageUnavailable, DiskFull."""
        if self._lock is not None:
            return
        with disk.meaning():
            for part in ("cur", "new", "tmp"):
                disk.make_directories(os.path.join(self.location.inbox, part))
            disk.make_directories(self.location.root)
            if self.location.control:
                disk.make_directories(self.control(""))
            disk.make_directories(self.location.index)
            self._lock = AccountLock(self.location.lock_file, self.config.mail.lock_timeout)

    def close(self) -> None:
        """Mark the index clean, and let go of everything."""
        with disk.meaning():
            try:
                if self._lock is not None and self._database is not None and not self._stale:
                    with self.exclusive():
                        self.rest()
            finally:
                self._drop()
                if self._dotlocks > 1:
                    disk.discard(self._dotlock_source)
                if self._lock is not None:
                    self._lock.close()
                    self._lock = None

    def rest(self) -> None:
        """Inside ``exclusive``: mark the index clean and close it until it is asked again. An idle account costs no connection.

        The mark is not fsynced: it lies in the WAL behind all that it speaks of, and is lost with any of it.
        """
        with self.mutex:
            try:
                if self._boot == BOOT_ID:
                    self._set_synchronous(durable=False)
                    disk.step("rest", self.location.index_file)
                    self.database.execute("UPDATE account SET boot = ''")
                    self._boot = ""
                    self._rests = self.lock.rest()
            except apsw.FullError:
                pass  # without the mark the Maildir is looked through after the next start of the system
            finally:
                self._drop()

    def _drop(self) -> None:
        with self.mutex:
            if self._database is not None:
                schema.close_database(self._database, self.location.index_file)
                self._database = None

    @property
    def parked(self) -> bool:
        return self._database is None

    @property
    def generation(self) -> int:
        """Commits by all processes, from shared memory."""
        return self._lock.generation if self._lock is not None else 0

    @property
    def lock(self) -> AccountLock:
        assert self._lock is not None, "the engine is open"
        return self._lock

    @property
    def database(self) -> apsw.Connection:
        """The connection, opened when parked. The caller holds ``mutex``."""
        if self._database is None:
            self._database, new = schema.open_database(self.location.index_file)
            self._synchronous = not new
            self._for_readers = False
            self._database.create_scalar_function("header_holds", _header_holds, 3, deterministic=True)
            status = os.stat(self.location.index_file)
            self._identity = (status.st_dev, status.st_ino)
            if new:
                self._begin_anew(self._database)
        return self._database

    def discard_index(self, why: str = "damaged") -> None:
        """Put the index aside as ``….damaged``. The next stay under the lock makes a new one."""
        metrics.INDEX_REBUILDS[()].add()
        with self._writer:
            self._drop()
            self._stale = True
            before = len(self.location.index_file)
            for path in self._index_files():
                with contextlib.suppress(FileNotFoundError):
                    os.replace(path, f"{path[:before]}.damaged{path[before:]}")
            _log.warning(f"index is {why}, making a new one", user=self.user, path=self.location.index_file)

    def _begin_anew(self, database: apsw.Connection) -> None:
        modseq = max(index.first_modseq(), self._modseq + GAP)
        database.execute(
            "INSERT INTO account (id, modseq, boot, uid_validity) VALUES (1, ?, ?, ?)",
            (modseq, BOOT_ID, max(self.uid_validity, self._uid_validity_on_disk())),
        )
        self._stale = True
        self._generation = -1
        self.begun_anew = True

    @contextlib.contextmanager
    def reading(self) -> Iterator[apsw.Connection]:
        """The connection for one or a few SELECTs. Opening it may make the index, so that is done under the account's lock."""
        with disk.meaning():
            if self._database is None:
                with self.exclusive():
                    pass
            with self.mutex:
                database = self.database
                if not self._for_readers:
                    schema.for_readers(database)
                    self._for_readers = True
                yield database

    # Writing

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the account's lock, with ``rows`` as they are now. Whatever happens, ``take`` has something to apply afterwards."""
        with disk.meaning(), self._writer:
            self.lock.acquire()
            try:
                self._catch_up()
                if self._boot not in ("", BOOT_ID):
                    with self.transaction(durable=True):
                        pass
                yield
            finally:
                self.lock.release()

    def _catch_up(self) -> None:
        """Read again what another process, or a transaction that failed, has changed."""
        with self.mutex:
            if self._database is not None and not self._same_file():
                _log.warning("index was replaced, opening it again", user=self.user, path=self.location.index_file)
                self._drop()
                self._stale = True
            database = self.database
            if not self._stale and self._generation == self.lock.generation:
                if self._rests != self.lock.rests:
                    self._boot, self._rests = "", self.lock.rests
                return
            with database:  # one look at the file, not one a statement
                self.rows = index.load_rows(database)
                ((self._modseq, self._boot, self.uid_validity),) = database.execute(
                    "SELECT modseq, boot, uid_validity FROM account"
                )
                self._read_events(database)
            self._generation, self._rests = self.lock.generation, self.lock.rests
            self._stale = False
            published = self._published
            published.whole = True
            published.faces = {row.name: self._face(row) for row in self.rows.values()}

    def _read_events(self, database: apsw.Connection) -> None:
        events = index.read_changes(database, self._seen_modseq, self._modseq) if self._seen_modseq else []
        if events is None:
            self._published.behind = True
        else:
            self._published.events += events
            for mailbox_id in {event.mailbox_id for event in events}:
                self._published.keywords[mailbox_id] = index.load_keywords(database, mailbox_id)
            for event in events:
                if event.kind is index.EventKind.NEW and index.any_unparsed(database, event):
                    self._published.unparsed.add(event.mailbox_id)
        self._seen_modseq = self._modseq

    def _same_file(self) -> bool:
        try:
            status = os.stat(self.location.index_file)
        except FileNotFoundError:
            return False
        return (status.st_dev, status.st_ino) == self._identity

    @contextlib.contextmanager
    def transaction(self, *, durable: bool) -> Iterator[Transaction]:
        """One commit, inside ``exclusive``. An exception rolls back and is passed on. durable: fsynced; needed for what gives uids or
        modseqs."""
        with self.mutex:
            database = self.database
            unclean = self._boot not in ("", BOOT_ID)
            durable = durable or self._boot != BOOT_ID
            self._set_synchronous(durable=durable)
            transaction = Transaction(database, self.rows, self._modseq)
            try:
                database.execute("BEGIN IMMEDIATE")
                if self._boot != BOOT_ID:
                    self._begin_boot(transaction, unclean=unclean)
                yield transaction
                assert durable or not transaction.assigned, "a uid or a modseq that a power cut could take back"
                transaction.finish()
                disk.step("commit", self.location.index_file)
                database.execute("COMMIT")
            except BaseException:
                self._stale = True
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise
            finally:
                self.alongside.wait()
            disk.step("committed", self.location.index_file)
            self._boot = BOOT_ID
            self._modseq = self._seen_modseq = transaction.modseq
            self._generation = self.lock.advance()
            published = self._published
            published.events += transaction.events
            published.keywords.update(transaction.keywords)
            published.unparsed |= transaction.unparsed
            for event in transaction.events:
                if event.kind is index.EventKind.TREE:
                    published.whole = True
            if published.whole:
                published.faces = {row.name: self._face(row) for row in self.rows.values()}
            else:
                for mailbox_id in transaction.touched:
                    if (row := self.rows.get(mailbox_id)) is not None:
                        published.faces[row.name] = self._face(row)

    def _begin_boot(self, transaction: Transaction, *, unclean: bool) -> None:
        """First commit after a stop; after an unclean one files may not be as the index has them."""
        transaction.execute("UPDATE account SET boot = ?", (BOOT_ID,))
        if unclean:
            _log.warning("the system stopped without warning: the Maildir is looked through again", user=self.user)
            transaction.skip_modseqs(max(index.first_modseq(), self._modseq + GAP))
            for row in self.rows.values():
                row.uidlist = row.keywords = ""
                row.new_mtime = row.cur_mtime = 0
                row.new_checked = row.cur_checked = 0
                transaction.touch(row)

    def _set_synchronous(self, *, durable: bool) -> None:
        database = self.database
        if durable is not self._synchronous:
            database.execute("PRAGMA synchronous = FULL" if durable else "PRAGMA synchronous = NORMAL")
            self._synchronous = durable

    @property
    def news(self) -> bool:
        """Whether ``take`` has events to give: the snapshots are behind the rows."""
        return bool(self._published.events) or self._published.behind

    def take(self) -> Published:
        """What happened since the last take. Called once after each stay under the lock, also after one that failed."""
        published = self._published
        published.generation = self._generation
        published.modseq = self._seen_modseq
        self._published = Published(0, 0)
        return published

    def _face(self, row: MailboxRow) -> Face:
        status = MailboxStatus(
            UidValidity(row.uid_validity),
            Uid(row.uid_next),
            Modseq(row.highest_modseq),
            row.messages,
            row.unseen,
            row.deleted,
            row.recent,
            row.size,
            row.deleted_size,
            row.guid,
        )
        return Face(
            row.id,
            row.directory,
            status,
            row.new_mtime,
            row.cur_mtime,
            bool(row.new_checked),
            bool(row.cur_checked),
            row.special_use,
            row.first_recent,
            bool(row.pending),
        )

    # Room to delete in

    def keep_reserve(self) -> None:
        """Allocate the reserve when it is not there; a full disk leaves it for later."""
        path = self.location.reserve_file
        if os.path.exists(path):
            return
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(fd, 0, RESERVE)
            finally:
                os.close(fd)
        except OSError:
            disk.discard(path)

    def require_room(self) -> None:
        """Raises DiskFull where another index would not fit beside this one."""
        with disk.meaning():
            size = sum(os.stat(path).st_size for path in self._index_files() if os.path.exists(path))
            room = os.statvfs(self.location.index)
        if room.f_bavail * room.f_frsize < size + RESERVE:
            raise DiskFull(f"{self.location.index}: a new index needs {size + RESERVE} octets beside the old one")

    def _index_files(self) -> list[str]:
        return [self.location.index_file + suffix for suffix in ("", "-wal", "-shm")]

    def release_reserve(self) -> bool:
        """The disk is full and something is to be removed: give the index the reserve to grow into. False when it is used up."""
        try:
            os.unlink(self.location.reserve_file)
        except OSError:
            return False
        return True

    def dotlock(self, path: str) -> contextlib.AbstractContextManager[str]:
        """Hold Dovecot's lock of a file, inside ``exclusive``. The second time is the first that a file to link pays for itself."""
        self._dotlocks += 1
        return dotlock(path, self.config.mail.lock_timeout, self._dotlock_source if self._dotlocks > 1 else "")

    @property
    def _dotlock_source(self) -> str:
        return f"{self.location.inbox}/tmp/mas-dotlock.{os.getpid()}"

    # Names

    def row_named(self, name: MailboxName) -> MailboxRow | None:
        """Inside ``exclusive``."""
        for row in self.rows.values():
            if row.name == name:
                return row
        return None

    def require(self, name: MailboxName) -> MailboxRow:
        """Raises MailboxNotFound, MailboxNotSelectable (only a level), InvalidMailboxName."""
        row = self.row_named(name)
        if row is not None:
            return row
        self.layout.directory_of(name)
        prefix = name + self.separator
        if any(other.name.startswith(prefix) for other in self.rows.values()):
            raise MailboxNotSelectable(name)
        raise MailboxNotFound(name)

    # UIDVALIDITY

    def next_uid_validity(self, transaction: Transaction) -> int:
        """A value that no mailbox of this account ever had; Dovecot's files follow."""
        # None is 0 [RFC9051 2.3.1.1], also where a file has the highest there can be.
        value = max(int(time.time()), self.uid_validity + 1, self._uid_validity_on_disk() + 1) & uidlist.MAX_UID or 1
        self.uid_validity = value
        transaction.execute("UPDATE account SET uid_validity = ?", (value,))
        old = self.account_file(f"dovecot-uidvalidity.{self._uid_validity_on_disk():08x}")
        with open(self.account_file("dovecot-uidvalidity"), "w", encoding="ascii") as file:
            file.write(f"{value:08x}")
        disk.discard(old)
        marker = os.open(
            self.account_file(f"dovecot-uidvalidity.{value:08x}"), os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o444
        )
        os.close(marker)
        return value

    def _uid_validity_on_disk(self) -> int:
        try:
            with open(self.account_file("dovecot-uidvalidity"), encoding="ascii") as file:
                text = file.read(8)
        except (OSError, UnicodeDecodeError):
            return 0
        try:
            return int(text, 16)
        except ValueError:
            return 0
