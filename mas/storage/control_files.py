"""The uid list and the file of keywords of a mailbox, written from the index and taken into it. Runs in worker threads, inside
``Engine.exclusive``.

Both are Dovecot's files too, and change under its lock of each. The index keeps what they looked like when it wrote them (``MailboxRow``):
another identity means that somebody else wrote, and ``sync`` takes over what they say.
"""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from mas.storage import disk, index, keywords, uidlist
from mas.storage.engine import Engine
from mas.storage.index import MailboxRow, Transaction
from mas.storage.maildir_name import FILE_KEYWORDS, split_name
from mas.storage.model import KEYWORD_SHIFT, MAX_KEYWORDS

_log = structlog.get_logger(area="storage")


def uidlist_path(engine: Engine, row: MailboxRow) -> str:
    return engine.control(row.directory, uidlist.FILE_NAME)


def record_uids(engine: Engine, row: MailboxRow, entries: Iterable[tuple[int, str]]) -> None:
    """Append to the uid list; written anew when it is missing or damaged."""
    path = uidlist_path(engine, row)
    with engine.dotlock(path):
        try:
            uidlist.append_uidlist(path, entries, engine.alongside.start)
        except FileNotFoundError:
            _rewrite(engine, row, entries)
        row.uidlist = uidlist.identity(path)


def rewrite_uidlist(engine: Engine, row: MailboxRow) -> None:
    """The uid list from the index."""
    with engine.dotlock(uidlist_path(engine, row)):
        _rewrite(engine, row, ())
        row.uidlist = uidlist.identity(uidlist_path(engine, row))


def _rewrite(engine: Engine, row: MailboxRow, more: Iterable[tuple[int, str]]) -> None:
    with engine.mutex:
        entries = {
            uid: split_name(file[4:])[0]
            for uid, file in engine.database.execute(
                "SELECT uid, file FROM message WHERE mailbox_id = ? ORDER BY uid", (row.id,)
            )
        }
    entries.update(more)
    next_uid = max([row.uid_next, *[uid + 1 for uid in entries]])
    uidlist.replace_uidlist(uidlist_path(engine, row), row.uid_validity, next_uid, row.guid, sorted(entries.items()))


def write_keywords(engine: Engine, row: MailboxRow, names: list[str]) -> None:
    """``dovecot-keywords`` from the index's names, under its dotlock."""
    path = engine.control(row.directory, keywords.FILE_NAME)
    with engine.dotlock(path):
        content = keywords.encode_keywords({number: name for number, name in enumerate(names[:FILE_KEYWORDS]) if name})
        disk.replace_file(path, content, path + ".tmp")
        row.keywords = uidlist.identity(path)


def adopt_keywords(engine: Engine, transaction: Transaction, row: MailboxRow) -> None:
    """Take over names that another program gave to letters; ours that stood there move to free numbers."""
    path = engine.control(row.directory, keywords.FILE_NAME)
    try:
        listed = keywords.parse_keywords(disk.read_file(path))
    except FileNotFoundError:
        listed = {}
    row.keywords = uidlist.identity(path)
    ours = index.load_keywords(transaction.database, row.id)
    names = [listed.get(number, "") for number in range(max([*listed, -1]) + 1)]
    taken = {name.lower() for name in names if name}
    mapping: dict[int, int] = {}
    for number, name in enumerate(ours):
        if not name:
            continue
        if name.lower() in taken:
            mapping[number] = next(n for n, other in enumerate(names) if other.lower() == name.lower())
            continue
        names.extend([""] * (number + 1 - len(names)))
        place = number if not names[number] else names.index("") if "" in names else len(names)
        if place >= MAX_KEYWORDS:
            _log.warning(
                "no room for a keyword beside those of another program",
                user=engine.user,
                mailbox=row.name,
                keyword=name,
            )
            continue
        names[place:] = [name, *names[place + 1 :]]
        mapping[number] = place
    transaction.execute("DELETE FROM keyword WHERE mailbox_id = ?", (row.id,))
    transaction.database.executemany(
        "INSERT INTO keyword (mailbox_id, number, name) VALUES (?, ?, ?)",
        [(row.id, number, name) for number, name in enumerate(names) if name],
    )
    transaction.keywords[row.id] = names
    if any(old != new for old, new in mapping.items()) or len(mapping) < sum(map(bool, ours)):
        _renumber(transaction, row, mapping)


def _renumber(transaction: Transaction, row: MailboxRow, mapping: dict[int, int]) -> None:
    system = (1 << KEYWORD_SHIFT) - 1
    changed = []
    for uid, flags in list(
        transaction.execute(
            "SELECT uid, flags FROM message WHERE mailbox_id = ? AND flags > ? ORDER BY uid", (row.id, system)
        )
    ):
        moved = flags & system
        for old, new in mapping.items():
            if flags >> (KEYWORD_SHIFT + old) & 1:
                moved |= 1 << (KEYWORD_SHIFT + new)
        if moved != flags:
            changed.append((uid, moved))
    if changed:
        transaction.set_flags(row, changed)
