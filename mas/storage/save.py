"""Messages into a mailbox: deliveries and APPEND. Runs in a worker thread.

Order: octets durable in ``tmp/``, linked into the mailbox, directories durable, uid list, index, generation. A message without flags goes
to ``new/``, where Maildir has mail that nobody has seen; one with flags goes to ``cur/``. Names move from ``new/`` to ``cur/`` when the
mailbox is left (``flags.flush_names``).

Crash windows. Before the commit: the file is found by the next scan and is a message; a delivery that was not acknowledged may so come
twice, and never gets lost. An error takes every file back.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mas.config import Config
from mas.errors import KeywordLimit, LimitExceeded
from mas.storage import control_files, disk, index, sync, uidlist
from mas.storage.contents import insert_content
from mas.storage.engine import Engine
from mas.storage.incoming import MaildirIncoming
from mas.storage.index import MailboxRow, NewMessage, Transaction
from mas.storage.maildir_name import FILE_KEYWORDS, letters_of, split_name
from mas.storage.model import KEYWORD_SHIFT, Flags, SaveOptions


@dataclass(slots=True)
class Saving:
    """One message for one mailbox."""

    incoming: MaildirIncoming
    options: SaveOptions


Admit = Callable[[Transaction, MailboxRow, int, int], None]
"""Quota: called in the transaction with octets and messages that come. Raises OverQuota."""


def save(engine: Engine, row: MailboxRow, messages: Sequence[Saving], admit: Admit) -> Sequence[int]:
    """Inside ``exclusive``. Returns the uids. All or nothing."""
    for saving in messages:
        if saving.incoming.content is None:
            raise ValueError("finish() comes before save()")
    if uidlist.identity(control_files.uidlist_path(engine, row)) != row.uidlist:
        sync.synchronise(engine, row, everything=True)
    now = int(time.time())
    watch = sync.Watch(engine, row)
    placed: list[str] = []
    try:
        numbered = keyword_numbers(engine, row, [saving.options.flags for saving in messages])
        rows = [_place(engine, row, saving, now, numbered, placed) for saving in messages]
        for directory in sorted({os.path.dirname(path) for path in placed}):
            disk.fsync_directory(directory)
        with engine.transaction(durable=True) as transaction:
            admit(transaction, row, sum([message.size for message in rows]), len(rows))
            numbered.write(transaction)
            for message, saving in zip(rows, messages, strict=True):
                if saving.incoming.content is not None:
                    message.content_id = insert_content(transaction, saving.incoming.content)
            uids = transaction.insert_messages(row, rows)
            control_files.record_uids(engine, row, zip(uids, [split_name(m.file[4:])[0] for m in rows], strict=True))
            watch.record()
    except BaseException:
        for path in placed:
            disk.discard(path)
        raise
    return uids


def _place(
    engine: Engine, row: MailboxRow, saving: Saving, now: int, numbered: KeywordNumbers, placed: list[str]
) -> NewMessage:
    """Link one message into the mailbox."""
    incoming, options = saving.incoming, saving.options
    flags = numbered.bits(options.flags)
    base = sync.unique_name(incoming.size, incoming.size)
    file = f"cur/{base}:2,{letters_of(flags)}" if flags else f"new/{base}"
    path = engine.path(row.directory, file)
    # The file's time: what Dovecot and a new index would say, though the account was waited for meanwhile.
    date = incoming.mtime if options.internal_date is None else options.internal_date
    incoming.place(path, engine.location.inbox, date)
    placed.append(path)
    return NewMessage(flags, incoming.size, date, now if options.save_date is None else options.save_date, None, file)


class KeywordNumbers:
    """Keywords of a command, by their numbers in one mailbox; new ones are written to file and index before a message has them.

    Where there are ``mail.max_keywords``, a new one takes the number of one that no message has, of those without a letter. Letters are
    for life, as Dovecot has them: its index keeps a keyword on a message whose file lost the letter after the letter lost its name.
    """

    def __init__(self, engine: Engine, row: MailboxRow, names: Sequence[str], grow: bool = True) -> None:
        self._row = row
        with engine.mutex:
            self.known = index.load_keywords(engine.database, row.id) if names else []
        self._before = list(self.known)
        self._numbers: dict[str, int] = {}
        folded = {name.lower(): number for number, name in enumerate(self.known) if name}
        free = [number for number, name in enumerate(self.known) if not name]
        wanted = {name.lower() for name in names}
        looked = False
        most = engine.config.mail.max_keywords
        for name in names:
            check_keyword(engine.config, name)
            number = folded.get(name.lower())
            if number is None:
                if not grow:
                    continue
                if not looked and len(folded) >= most:
                    looked = True
                    for unused in unused_keywords(engine, row, self.known):
                        if self.known[unused].lower() not in wanted:
                            del folded[self.known[unused].lower()]
                            self.known[unused] = ""
                            free.append(unused)
                    free.sort()
                number = free.pop(0) if free else len(self.known)
                if len(folded) >= most:
                    raise KeywordLimit(
                        row.name, f"mail.max_keywords: {most} keywords are the most that a mailbox can hold"
                    )
                self.known[number:] = [name, *self.known[number + 1 :]]
                folded[name.lower()] = number
            self._numbers[name] = number
        if self.known[:FILE_KEYWORDS] != self._before[:FILE_KEYWORDS]:
            control_files.write_keywords(engine, row, self.known)

    def bits(self, flags: Flags) -> int:
        bits = flags.system
        for name in flags.keywords:
            if name in self._numbers:
                bits |= 1 << (KEYWORD_SHIFT + self._numbers[name])
        return bits

    @property
    def new(self) -> list[tuple[int, int, str]]:
        """Rows for the keywords that the mailbox did not have."""
        return [
            (self._row.id, number, name)
            for number, name in enumerate(self.known)
            if name and (number >= len(self._before) or self._before[number] != name)
        ]

    def write(self, transaction: Transaction) -> None:
        """The new ones into the index."""
        if self.new:
            write_keywords(transaction, self._row, self.known)


def write_keywords(transaction: Transaction, row: MailboxRow, names: list[str]) -> None:
    """These are the mailbox's keywords now, by number."""
    transaction.execute("DELETE FROM keyword WHERE mailbox_id = ?", (row.id,))
    transaction.database.executemany(
        "INSERT INTO keyword (mailbox_id, number, name) VALUES (?, ?, ?)",
        [(row.id, number, name) for number, name in enumerate(names) if name],
    )
    transaction.keywords[row.id] = list(names)
    transaction.touch(row)


def unused_keywords(engine: Engine, row: MailboxRow, names: Sequence[str]) -> list[int]:
    """Numbers without a letter of keywords that no message has."""
    used = 0
    with engine.mutex:
        for (flags,) in engine.database.execute("SELECT DISTINCT flags FROM message WHERE mailbox_id = ?", (row.id,)):
            used |= flags
    return [
        number
        for number, name in enumerate(names)
        if number >= FILE_KEYWORDS and name and not used >> (KEYWORD_SHIFT + number) & 1
    ]


def forget_unused_keywords(engine: Engine) -> None:
    """In an idle moment: mailboxes that may have no more keywords forget what they can, and say again that new ones are welcome."""
    for mailbox_id in index.crowded(engine.database, engine.config.mail.max_keywords):
        row = engine.rows[mailbox_id]
        names = index.load_keywords(engine.database, row.id)
        if unused := unused_keywords(engine, row, names):
            kept = [name if number not in unused else "" for number, name in enumerate(names)]
            while kept and not kept[-1]:
                kept.pop()
            with engine.transaction(durable=True) as transaction:
                write_keywords(transaction, row, kept)


def keyword_numbers(engine: Engine, row: MailboxRow, flags: Sequence[Flags], *, grow: bool = True) -> KeywordNumbers:
    """Numbers for the keywords of these flags; with ``grow`` also for those that the mailbox does not have yet. Raises KeywordLimit,
    LimitExceeded."""
    return KeywordNumbers(engine, row, sorted({name for one in flags for name in one.keywords}), grow)


def check_keyword(config: Config, name: str) -> None:
    """Raises LimitExceeded. The grammar of keywords is the protocol's; here only what would break a file."""
    limit = config.mail.max_keyword_length
    if len(name) > limit:
        raise LimitExceeded("mail.max_keyword_length", limit)
    if not name.isascii() or not name.isprintable() or " " in name:
        raise ValueError(f"{name!r} is no keyword")
