"""Disk to index: what other programs did to a mailbox becomes uids, flags and expunges.

Theory of operation. mutt, Dovecot, a delivery agent or a restored backup may add, rename and remove files at any time, without our lock.
``st_mtime_ns`` of ``new/`` and ``cur/`` says that something may have happened; a scan says what. The index keeps the times that it knows:

- Our own change compares before and records after (``Watch``): when the time before was not the known one, nothing is recorded, and the
  foreign change is found by the next scan.
- A time proves nothing while it is young: two changes within one tick of the file system's clock (4 ms on Linux before 6.13) have the same
  time. So a time is ``checked`` only when a scan began more than ``TICK`` after it. An unchecked ``new/`` is scanned again by the next
  session that asks; an unchecked ``cur/``, which may hold 100,000 names, by a background task (see ``account``).

A scan compares names. A name that the index has is unchanged. The same base name with other letters was renamed: what changed between the
letters that we knew and the letters now is applied to the flags, so that flag changes of ours whose rename is pending are kept. A new
base name gets a uid: the uid list's when Dovecot or a lost commit gave one, else the next, in the order of arrival. A name that is gone
is looked for a second time before its message is expunged: readdir can miss a file that is renamed while it runs.

A name comes back after it was expunged: when its removal was interrupted (``unlinked``) it is removed now, else (a restore) it is renamed,
since a uid belongs to a name for ever, and is a new message.

Must not know: sessions. Runs inside ``Engine.exclusive``.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import time
from dataclasses import dataclass

import structlog

from mas.storage import compressed, control_files, disk, keywords, numbers, uidlist
from mas.storage.disk import TICK
from mas.storage.engine import Engine
from mas.storage.index import MailboxRow, NewMessage, Transaction
from mas.storage.maildir_name import FILE_FLAGS, arrival_of, flags_of, renamed, sizes_of, split_name

_log = structlog.get_logger(area="storage")
_sequence = itertools.count(1)
_host = socket.gethostname().replace("/", "\\057").replace(":", "\\072") or "localhost"


def unique_name(size: int, crlf_size: int) -> str:
    """A base name that no message ever had, as Dovecot makes them."""
    now = time.time_ns()
    seconds, micro = now // 1_000_000_000, now // 1000 % 1_000_000
    return f"{seconds}.M{micro}P{os.getpid()}Q{next(_sequence)}.{_host},S={size},W={crlf_size}"


def mtime(path: str) -> int:
    """0 when there is no such directory."""
    try:
        return os.stat(path).st_mtime_ns
    except FileNotFoundError:
        return 0


class Watch:
    """Around our own changes of a mailbox's directories: what others did before is not hidden by them."""

    def __init__(self, engine: Engine, row: MailboxRow) -> None:
        self._row = row
        self._new = engine.path(row.directory, "new")
        self._cur = engine.path(row.directory, "cur")
        self._new_before = mtime(self._new)
        self._cur_before = mtime(self._cur)

    def record(self) -> None:
        """Our files are in place: the times are known again, if they were."""
        row = self._row
        if self._new_before == row.new_mtime:
            after = mtime(self._new)
            row.new_checked = int(bool(row.new_checked) and after == row.new_mtime)
            row.new_mtime = after
        if self._cur_before == row.cur_mtime:
            after = mtime(self._cur)
            row.cur_checked = int(bool(row.cur_checked) and after == row.cur_mtime)
            row.cur_mtime = after


def changed_outside(engine: Engine, row: MailboxRow) -> bool:
    """Whether a scan is due: a time is not the known one, or ``new/`` is unchecked and can be checked now."""
    new, cur = mtime(engine.path(row.directory, "new")), mtime(engine.path(row.directory, "cur"))
    if new != row.new_mtime or cur != row.cur_mtime:
        return True
    return not row.new_checked and time.time_ns() - new > TICK


def synchronise(engine: Engine, row: MailboxRow, *, everything: bool = False) -> None:
    """Bring the index in step with the directories, when their times say so (``everything``: in any case)."""
    began = time.time_ns()
    new_path, cur_path = engine.path(row.directory, "new"), engine.path(row.directory, "cur")
    new, cur = mtime(new_path), mtime(cur_path)
    scan_new = everything or new != row.new_mtime or not row.new_checked
    scan_cur = everything or cur != row.cur_mtime or (scan_new and new != row.new_mtime)
    listed = uidlist.identity(control_files.uidlist_path(engine, row))
    lettered = uidlist.identity(engine.control(row.directory, keywords.FILE_NAME))
    if not (scan_new or scan_cur or listed != row.uidlist or lettered != row.keywords):
        return
    scan = _Scan(engine, row)
    found = scan.differences(new=scan_new, cur=scan_cur)
    with engine.transaction(durable=found.any or listed != row.uidlist or lettered != row.keywords) as transaction:
        uid_next = row.uid_next
        engine_list = scan.adopt_uidlist(transaction, listed)
        if lettered != row.keywords:
            control_files.adopt_keywords(engine, transaction, row)
        scan.apply(transaction, found, engine_list)
        if engine_list is not None and (engine_list.torn or scan.lines_lost(engine_list, uid_next)):
            _log.warning("uid list lost lines, writing it anew", user=engine.user, mailbox=row.name)
            control_files.rewrite_uidlist(engine, row)
        transaction.touch(row)
        row.new_mtime, row.cur_mtime = new, cur
        if scan_new:
            row.new_checked = int(began - new > TICK)
        if scan_cur:
            row.cur_checked = int(began - cur > TICK)
        if found.renamed_here:
            row.new_checked = row.cur_checked = 0


@dataclass(slots=True)
class _Differences:
    """vanished: files that the index has and the disk has not; fresh: the other way round (with ``new/`` or ``cur/``)."""

    vanished: dict[str, tuple[int, int]]
    fresh: list[str]
    whole: bool = False
    renamed_here: bool = False

    @property
    def any(self) -> bool:
        return bool(self.fresh or self.vanished)


class _Scan:
    """One comparison of a mailbox's files with its rows."""

    def __init__(self, engine: Engine, row: MailboxRow) -> None:
        self._engine = engine
        self._row = row

    def _names(self, part: str) -> list[str]:
        path = self._engine.path(self._row.directory, part)
        try:
            return [
                f"{part}/{name}"
                for name in os.listdir(path)
                if name[0] not in ".:" and ((name.isascii() and "\n" not in name) or self._is_text(path, name))
            ]
        except FileNotFoundError:
            os.makedirs(path, mode=0o700, exist_ok=True)
            return []

    def _is_text(self, path: str, name: str) -> bool:
        """Whether index and uid list can hold a file's name. One that is not UTF-8, or of several lines, is left alone."""
        with contextlib.suppress(UnicodeEncodeError):
            name.encode()
            if "\n" not in name:
                return True
        if name not in self._engine.unnamed:
            self._engine.unnamed.add(name)
            _log.warning(
                "file's name is not one line of UTF-8, left out", user=self._engine.user, path=path, name=ascii(name)
            )
        return False

    def differences(self, *, new: bool, cur: bool) -> _Differences:
        where = "" if new and cur else " AND file LIKE 'new/%'" if new else " AND file LIKE 'cur/%'"
        with self._engine.reading() as database:
            known = {
                file: (uid, flags)
                for file, uid, flags in database.execute(
                    f"SELECT file, uid, flags FROM message WHERE mailbox_id = ?{where}", (self._row.id,)
                )
            }
        there = set((self._names("new") if new else []) + (self._names("cur") if cur else []))
        vanished = known.keys() - there
        if vanished:
            again = set(self._names("new") + self._names("cur"))
            if new and cur:
                there |= again
            vanished -= again
            if vanished and not (new and cur):
                return self.differences(new=True, cur=True)
        return _Differences({file: known[file] for file in vanished}, list(there - known.keys()), whole=new and cur)

    def adopt_uidlist(self, transaction: Transaction, identity: str) -> uidlist.Uidlist | None:
        """The list when it is not the one that the index wrote last. A new UIDVALIDITY voids all uids; a damaged list is written anew."""
        row, path = self._row, control_files.uidlist_path(self._engine, self._row)
        if identity == row.uidlist:
            return None
        try:
            listed = uidlist.read_uidlist(path)
        except uidlist.UidlistDamaged as error:
            _log.warning("uid list is damaged, writing it anew", user=self._engine.user, path=path, error=str(error))
            listed = None
        if listed is None:
            control_files.rewrite_uidlist(self._engine, row)
            return None
        if listed.uid_validity != row.uid_validity:
            _log.warning(
                "UIDVALIDITY was changed by another program",
                user=self._engine.user,
                mailbox=row.name,
                new=listed.uid_validity,
            )
            transaction.empty_mailbox(row)
            row.uid_validity, row.uid_next = listed.uid_validity, 1
        if listed.guid:
            row.guid = listed.guid
        row.uid_next = max(row.uid_next, listed.next_uid)
        row.uidlist = identity
        return listed

    def lines_lost(self, listed: uidlist.Uidlist, uid_next: int) -> bool:
        """Whether messages that had uids, below ``uid_next``, are not in the list: a power cut, or a program that wrote it wrongly."""
        with self._engine.mutex:
            for uid, file in self._engine.database.execute(
                "SELECT uid, file FROM message WHERE mailbox_id = ? AND uid < ?", (self._row.id, uid_next)
            ):
                if listed.uids.get(split_name(file[4:])[0]) != uid:
                    return True
        return False

    def apply(self, transaction: Transaction, found: _Differences, listed: uidlist.Uidlist | None) -> None:
        """Renames, expunges, new messages, in this order."""
        row = self._row
        if listed is not None and not row.messages:
            found = self.differences(new=True, cur=True)
        gone = {split_name(file[4:])[0]: (file, uid, flags) for file, (uid, flags) in found.vanished.items()}
        fresh: dict[str, str] = {}
        for file in sorted(found.fresh):
            base = split_name(file[4:])[0]
            if base in fresh:
                found.renamed_here |= self._resolve_twin(fresh, base, file)
            else:
                fresh[base] = file
        moved = [(*gone.pop(base), fresh.pop(base)) for base in list(fresh) if base in gone]
        _apply_renames(transaction, row, moved)
        if gone:
            transaction.delete_messages(row, sorted(uid for _, uid, _ in gone.values()))
        self._finish_expunges(transaction, found, fresh)
        if fresh:
            self._insert(transaction, found, fresh, listed)

    def _finish_expunges(self, transaction: Transaction, found: _Differences, fresh: dict[str, str]) -> None:
        """Remove what interrupted expunges left; once the directories are durable nothing of it can come back. An expunge that is still
        at it loses nothing by that."""
        row = self._row
        waiting = [file for (file,) in transaction.execute("SELECT file FROM unlinked WHERE mailbox_id = ?", (row.id,))]
        if not waiting:
            return
        for file in waiting:
            left = fresh.pop(split_name(file[4:])[0], None)
            if left is not None:
                disk.discard(self._engine.path(row.directory, left))
                found.renamed_here = True
        if not found.whole:
            return
        for part in ("new", "cur"):
            disk.fsync_directory(self._engine.path(row.directory, part))
        transaction.execute("DELETE FROM unlinked WHERE mailbox_id = ?", (row.id,))

    def _resolve_twin(self, fresh: dict[str, str], base: str, file: str) -> bool:
        """Two files with one base name: a hard link of the same message goes, another message gets a name of its own."""
        paths = [self._engine.path(self._row.directory, name) for name in (fresh[base], file)]
        with contextlib.suppress(FileNotFoundError):
            one, two = os.stat(paths[0]), os.stat(paths[1])
            if one.st_ino == two.st_ino:
                disk.unlink(paths[1])
            else:
                name = _another_name(file)
                disk.rename(paths[1], self._engine.path(self._row.directory, name))
                fresh[split_name(name[4:])[0]] = name
        return True

    def _insert(
        self, transaction: Transaction, found: _Differences, fresh: dict[str, str], listed: uidlist.Uidlist | None
    ) -> None:
        """Uids for new files. Those of the uid list are kept where they were not given to another message, or expunged before."""
        engine, row = self._engine, self._row
        if listed is None:
            # A name may have a line of its own in a list that we wrote: of a message that was expunged, or of one whose commit was lost.
            with contextlib.suppress(uidlist.UidlistDamaged):
                listed = uidlist.read_uidlist(control_files.uidlist_path(engine, row))
        known = listed.uids if listed is not None else {}
        expunged = _expunged_uids(transaction, row)
        keep: list[tuple[int, str]] = []
        later: list[str] = []
        taken = {uid for (uid,) in transaction.execute("SELECT uid FROM message WHERE mailbox_id = ?", (row.id,))}
        for base, file in fresh.items():
            uid = known.get(base, 0)
            if not uid:
                later.append(file)
            elif uid in taken and self._is_known(transaction, uid, file):
                found.renamed_here = True
            elif uid in taken or expunged(uid):
                name = _another_name(file)
                disk.rename(engine.path(row.directory, file), engine.path(row.directory, name))
                found.renamed_here = True
                later.append(name)
            else:
                keep.append((uid, file))
        keep.sort()
        later.sort(key=lambda file: arrival_of(file[4:]))
        rows = [(uid, new) for uid, file in keep if (new := describe(engine, row, file, listed)) is not None]
        if rows:
            transaction.insert_messages(row, [new for _, new in rows], [uid for uid, _ in rows])
        added = [message for file in later if (message := describe(engine, row, file, None)) is not None]
        if added:
            uids = transaction.insert_messages(row, added)
            control_files.record_uids(
                engine, row, zip(uids, [split_name(message.file[4:])[0] for message in added], strict=True)
            )

    def _is_known(self, transaction: Transaction, uid: int, file: str) -> bool:
        """Whether ``file`` is a second name of message ``uid``, left by an interrupted rename; it is removed then."""
        directory = self._row.directory
        for (known,) in transaction.execute(
            "SELECT file FROM message WHERE mailbox_id = ? AND uid = ?", (self._row.id, uid)
        ):
            with contextlib.suppress(FileNotFoundError):
                ours, other = self._engine.path(directory, known), self._engine.path(directory, file)
                if os.path.samefile(ours, other) and split_name(known[4:])[0] == split_name(file[4:])[0]:
                    disk.unlink(other)
                    return True
        return False


def _another_name(file: str) -> str:
    base, letters = split_name(file[4:])
    size, crlf_size = sizes_of(base)
    fresh = unique_name(size or 0, crlf_size or 0)
    if size is None or crlf_size is None:
        fresh = fresh.partition(",")[0]
    return f"{file[:4]}{fresh}" + (f":2,{letters}" if letters or ":" in file else "")


def _expunged_uids(transaction: Transaction, row: MailboxRow) -> _Ranges:
    return _Ranges(
        [text for (text,) in transaction.execute("SELECT uids FROM expunged WHERE mailbox_id = ?", (row.id,))]
    )


class _Ranges:
    """Whether a uid was expunged; the texts are only read when asked."""

    def __init__(self, texts: list[str]) -> None:
        self._texts = texts
        self._uids: set[int] | None = None

    def __call__(self, uid: int) -> bool:
        if self._uids is None:
            self._uids = {u for text in self._texts for u in numbers.expand(numbers.decode_ranges(text))}
        return uid in self._uids


def _apply_renames(transaction: Transaction, row: MailboxRow, moved: list[tuple[str, int, int, str]]) -> None:
    """``(old file, uid, flags, new file)``: take over what the letters say differently now."""
    if not moved:
        return
    changed: list[tuple[int, int]] = []
    updates = []
    for old, uid, flags, new in moved:
        before, after = flags_of(split_name(old[4:])[1]), flags_of(split_name(new[4:])[1])
        delta = (before ^ after) & FILE_FLAGS
        merged = (flags & ~delta) | (after & delta)
        if merged != flags:
            changed.append((uid, merged))
        updates.append((new, int(renamed(new, merged) != new), row.id, uid))
    transaction.database.executemany(
        "UPDATE message SET file = ?, pending = ? WHERE mailbox_id = ? AND uid = ?", updates
    )
    if changed:
        transaction.set_flags(row, sorted(changed))


def describe(engine: Engine, row: MailboxRow, file: str, listed: uidlist.Uidlist | None) -> NewMessage | None:
    """What the index keeps of a file that someone else put there; None when it is gone again. The content is parsed when asked for."""
    path = engine.path(row.directory, file)
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    base, letters = split_name(file[4:])
    size, crlf_size = sizes_of(base)
    if crlf_size is None and listed is not None:
        crlf_size = listed.sizes.get(base)
    if crlf_size is None or (size is not None and size != status.st_size):
        try:
            crlf_size = _measured(path, crlf_size)
        except FileNotFoundError:
            return None
        except OSError as error:
            _log.warning("message cannot be read", user=engine.user, path=path, error=str(error))
            crlf_size = crlf_size or size or status.st_size
    flags = flags_of(letters)
    return NewMessage(flags, crlf_size, int(status.st_mtime), int(status.st_ctime), None, file, 0)


def _measured(path: str, named: int | None) -> int:
    """Octets with CRLF line ends. A compressed file is smaller than its name says, and the name is right. Raises OSError."""
    if named is not None:
        with open(path, "rb") as file:
            if compressed.is_compressed(file.read(compressed.LONGEST_MAGIC)):
                return named
    return crlf_length(compressed.plain(disk.read_file(path)))


def crlf_length(octets: bytes) -> int:
    """Octets once every bare LF is CRLF."""
    return len(octets) + octets.count(b"\n") - octets.count(b"\r\n")
