"""COPY, MOVE and EXPUNGE: links, renames and unlinks of many files, one commit. Runs in worker threads, inside ``Engine.exclusive``.

A copy is a hard link under a new name, a move is a rename to a new name (a name has one uid for ever). Crash windows: a copy before its
commit is found by the scan of the target, a moved file as well, while the source's scan finds it gone: nothing is lost, and nothing was
promised. An expunge is committed first and lists its files in ``unlinked``, so that what a crash leaves is removed by the next scan and
never comes back as new mail. That commit is the promise, so the removal of many files, by far the longest part, follows the answer
(``account``), in pieces. Only when the disk is too full for that commit are the files removed first: it makes the room.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mas.errors import DiskFull
from mas.storage import control_files, disk, index, numbers, sync, uidlist
from mas.storage.engine import Engine
from mas.storage.index import MailboxRow, NewMessage, Transaction
from mas.storage.maildir_name import letters_of, sizes_of, split_name
from mas.storage.model import KEYWORD_SHIFT, Flags
from mas.storage.save import KeywordNumbers, keyword_numbers

AT_ONCE = 250
"""Files that an expunge removes before it is answered, and in one stay under the lock afterwards."""
_NO_LINK = (errno.EXDEV, errno.EMLINK, errno.EPERM)
Admit = Callable[[Transaction, MailboxRow, int, int], None]


@dataclass(slots=True)
class Transferred:
    """``source[i]`` became ``target[i]``."""

    source: list[int] = field(default_factory=list)
    target: Sequence[int] = ()


def copy(engine: Engine, source: MailboxRow, target: MailboxRow, uids: Sequence[int], admit: Admit) -> Transferred:
    """All or nothing; messages that are gone are left out."""
    return _Transfer(engine, source, target, move=False).run(uids, admit)


def move(engine: Engine, source: MailboxRow, target: MailboxRow, uids: Sequence[int], admit: Admit) -> Transferred:
    """As copy; the source's messages are expunged in the same commit."""
    return _Transfer(engine, source, target, move=True).run(uids, admit)


class _Transfer:
    def __init__(self, engine: Engine, source: MailboxRow, target: MailboxRow, *, move: bool) -> None:
        self._engine = engine
        self._source = source
        self._target = target
        self._move = move
        self._undo: list[tuple[str, str]] = []

    def run(self, uids: Sequence[int], admit: Admit) -> Transferred:
        engine, source, target = self._engine, self._source, self._target
        if uidlist.identity(control_files.uidlist_path(engine, target)) != target.uidlist:
            sync.synchronise(engine, target, everything=True)
        watches = [sync.Watch(engine, target)]
        if self._move and source is not target:
            watches.append(sync.Watch(engine, source))
        rows = self._read(uids)
        numbered, mapped = self._keywords(rows)
        try:
            kept, messages = self._files(rows, mapped)
            if not messages:
                return Transferred()
            disk.fsync_directory(engine.path(target.directory, "cur"))
            if self._move:
                for part in {file[:3] for _, _, file, *_ in kept}:
                    disk.fsync_directory(engine.path(source.directory, part))
            with engine.transaction(durable=True) as transaction:
                admit(transaction, target, sum([message.size for message in messages]), len(messages))
                numbered.write(transaction)
                given = transaction.insert_messages(target, messages)
                moved = [uid for uid, *_ in kept]
                if self._move:
                    transaction.delete_messages(source, moved)
                names = [split_name(message.file[4:])[0] for message in messages]
                control_files.record_uids(engine, target, zip(given, names, strict=True))
                for watch in watches:
                    watch.record()
        except BaseException:
            self._take_back()
            raise
        return Transferred(moved, given)

    def _read(self, uids: Sequence[int]) -> list[tuple[int, int, str, int, int, int | None]]:
        sql = "SELECT uid, flags, file, size, internal_date, content_id FROM message WHERE mailbox_id = ? AND "
        ranges = numbers.ranges_of(uids)
        with self._engine.mutex:
            database = self._engine.database
            if len(ranges) > 64:
                return list(
                    database.execute(
                        sql + "uid IN (SELECT value FROM json_each(?)) ORDER BY uid",
                        (self._source.id, json.dumps(list(uids))),
                    )
                )
            return [
                row for a, b in ranges for row in database.execute(sql + "uid BETWEEN ? AND ?", (self._source.id, a, b))
            ]

    def _keywords(
        self, rows: Sequence[tuple[int, int, str, int, int, int | None]]
    ) -> tuple[KeywordNumbers, dict[int, int]]:
        """Numbers of the target for the flags that occur: old flags to new ones."""
        engine, system = self._engine, (1 << KEYWORD_SHIFT) - 1
        distinct = {row[1] for row in rows}
        if self._source is self._target or not any(flags > system for flags in distinct):
            return keyword_numbers(engine, self._target, []), {flags: flags for flags in distinct}
        with engine.mutex:
            names = index.load_keywords(engine.database, self._source.id)
        meanings = {
            flags: Flags(
                flags & system, frozenset(n for i, n in enumerate(names) if n and flags >> (KEYWORD_SHIFT + i) & 1)
            )
            for flags in distinct
        }
        numbered = keyword_numbers(engine, self._target, list(meanings.values()))
        return numbered, {flags: numbered.bits(meaning) for flags, meaning in meanings.items()}

    def _files(
        self, rows: Sequence[tuple[int, int, str, int, int, int | None]], mapped: dict[int, int]
    ) -> tuple[list[tuple[int, int, str, int, int, int | None]], list[NewMessage]]:
        """Link or rename the files. Those that are gone are left out."""
        engine = self._engine
        source, target = engine.path(self._source.directory) + "/", engine.path(self._target.directory) + "/"
        now = int(time.time())
        kept, messages = [], []
        for row in rows:
            _, flags, file, size, date, content_id = row
            flags = mapped[flags]
            octets, _ = sizes_of(file)
            name = f"cur/{sync.unique_name(size if octets is None else octets, size)}:2,{letters_of(flags)}"
            try:
                self._place(source + file, target + name)
            except FileNotFoundError:
                continue
            kept.append(row)
            messages.append(NewMessage(flags, size, date, now, content_id, name))
        return kept, messages

    def _place(self, old: str, new: str) -> None:
        if self._move:
            disk.rename(old, new)
        else:
            try:
                disk.link(old, new)
            except OSError as error:
                if error.errno not in _NO_LINK:
                    raise
                _copy_file(old, new)
        self._undo.append((old, new))

    def _take_back(self) -> None:
        for old, new in self._undo:
            if self._move:
                with contextlib.suppress(OSError):
                    os.rename(new, old)
            else:
                disk.discard(new)


def _copy_file(old: str, new: str) -> None:
    """A copy where a link cannot be: another file system, or too many links."""
    status = os.stat(old)
    temporary = os.path.join(os.path.dirname(os.path.dirname(new)), "tmp", os.path.basename(new))
    try:
        with open(old, "rb") as source, open(temporary, "xb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
            target.flush()
            disk.fsync(target.fileno(), temporary)
        os.utime(temporary, ns=(status.st_atime_ns, status.st_mtime_ns))
        disk.rename(temporary, new)
    except BaseException:
        disk.discard(temporary)
        raise


def expunge(engine: Engine, row: MailboxRow, uids: Sequence[int]) -> tuple[list[int], list[str]]:
    """Remove these messages. Returns the uids that were there, and the files that are still to be removed, by ``unlink``."""
    if not uids:
        return [], []
    try:
        with engine.transaction(durable=True) as transaction:
            transaction.database.executemany(
                "INSERT OR IGNORE INTO unlinked (mailbox_id, file)"
                " SELECT mailbox_id, file FROM message WHERE mailbox_id = ? AND uid BETWEEN ? AND ?",
                [(row.id, first, last) for first, last in numbers.ranges_of(uids)],
            )
            gone = transaction.delete_messages(row, uids)
            row.cur_checked = 0
        files = [file for _, file in gone]
        if len(files) <= AT_ONCE:
            unlink(engine, row, files)
            files = []
    except DiskFull:
        return _expunge_without_room(engine, row, uids), []
    return [uid for uid, _ in gone], files


def unlink(engine: Engine, row: MailboxRow, files: Sequence[str]) -> None:
    """Remove files of expunged messages; a change of ours, not of another program."""
    watch = sync.Watch(engine, row)
    _unlink(engine.path(row.directory) + "/", files)
    with engine.transaction(durable=False) as transaction:
        watch.record()
        transaction.touch(row)


def _expunge_without_room(engine: Engine, row: MailboxRow, uids: Sequence[int]) -> list[int]:
    """The index could not grow: removing the files first makes room for it."""
    wanted = set(uids)
    with engine.mutex:
        files = [
            file
            for uid, file in engine.database.execute("SELECT uid, file FROM message WHERE mailbox_id = ?", (row.id,))
            if uid in wanted
        ]
    watch = sync.Watch(engine, row)
    _unlink(engine.path(row.directory) + "/", files)
    for part in sorted({file[:3] for file in files}):
        disk.fsync_directory(engine.path(row.directory, part))
    with engine.transaction(durable=True) as transaction:
        gone = transaction.delete_messages(row, uids)
        watch.record()
    return [uid for uid, _ in gone]


def _unlink(directory: str, files: Sequence[str]) -> None:
    for file in files:
        try:
            disk.unlink(directory + file)
        except FileNotFoundError:
            continue
