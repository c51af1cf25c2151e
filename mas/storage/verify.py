"""Whether index and Maildir agree, and making the index anew. For ``mas index``; runs in worker threads, inside ``Engine.exclusive``.

``verify`` changes nothing. It says in words what is wrong; a change by another program that was not looked at yet is not wrong.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from mas.storage import control_files, index, sync, tree, uidlist
from mas.storage.engine import Engine
from mas.storage.index import MailboxRow
from mas.storage.maildir_name import split_name
from mas.storage.model import DELETED, SEEN

Progress = Callable[[str, int, int], None]
"""Called with a mailbox's name, how many are done, and how many there are."""


def verify(engine: Engine) -> list[str]:
    """Problems, one a line: ``mailbox: what``. Empty when index and Maildir agree."""
    problems = []
    with engine.mutex:
        (check,) = index.fetch_all(engine.database, "PRAGMA quick_check(1)")[0]
    if check != "ok":
        problems.append(f"index: {check}")
    known = {row.directory for row in engine.rows.values()}
    there = tree.directories(engine)
    problems += [f"{directory or 'INBOX'}: directory is not in the index" for directory in sorted(there - known)]
    for row in engine.rows.values():
        if row.directory not in there:
            problems.append(f"{row.name}: its directory is missing")
            continue
        problems += [f"{row.name}: {problem}" for problem in _mailbox(engine, row)]
    return problems


def _mailbox(engine: Engine, row: MailboxRow) -> Iterator[str]:
    with engine.mutex:
        messages = index.fetch_all(
            engine.database,
            "SELECT uid, flags, modseq, size, file FROM message WHERE mailbox_id = ? ORDER BY uid",
            (row.id,),
        )
        unlinked = {
            file
            for (file,) in index.fetch_all(engine.database, "SELECT file FROM unlinked WHERE mailbox_id = ?", (row.id,))
        }
    yield from _counters(row, messages)
    files = {file: uid for uid, _, _, _, file in messages}
    if len(files) != len(messages):
        yield "two messages have one file"
    if not sync.changed_outside(engine, row):
        there = {
            f"{part}/{name}"
            for part in ("new", "cur")
            for name in os.listdir(engine.path(row.directory, part))
            if name[0] != "."
        }
        for file in sorted(files.keys() - there):
            yield f"uid {files[file]}: no file {file}"
        for file in sorted(there - files.keys() - unlinked):
            yield f"{file} is not in the index"
    path = control_files.uidlist_path(engine, row)
    if uidlist.identity(path) != row.uidlist:
        return
    try:
        listed = uidlist.read_uidlist(path)
    except uidlist.UidlistDamaged as error:
        yield f"uid list is damaged: {error}"
        return
    if listed is None:
        yield "uid list is missing"
        return
    if (listed.uid_validity, listed.guid) != (row.uid_validity, row.guid):
        yield "uid list has another UIDVALIDITY or guid"
    for file, uid in files.items():
        if listed.uids.get(split_name(file[4:])[0]) != uid:
            yield f"uid {uid}: the uid list has {listed.uids.get(split_name(file[4:])[0])}"


def _counters(row: MailboxRow, messages: list[tuple[int, int, int, int, str]]) -> Iterator[str]:
    counted = {
        "messages": len(messages),
        "unseen": sum(1 for m in messages if not m[1] & SEEN),
        "deleted": sum(1 for m in messages if m[1] & DELETED),
        "size": sum(m[3] for m in messages),
        "deleted_size": sum(m[3] for m in messages if m[1] & DELETED),
        "recent": sum(1 for m in messages if m[0] >= row.first_recent),
    }
    for name, number in counted.items():
        if getattr(row, name) != number:
            yield f"{name} is {getattr(row, name)}, counted {number}"
    if messages and messages[-1][0] >= row.uid_next:
        yield f"uid {messages[-1][0]} is not below UIDNEXT {row.uid_next}"
    if any(m[2] > row.highest_modseq for m in messages):
        yield "a modseq is above HIGHESTMODSEQ"
