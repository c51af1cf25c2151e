"""The mailboxes of an account: directories to rows, and the operations on names. Runs in worker threads, inside ``Engine.exclusive``.

Maildir++: a mailbox is one directory beside the others, so a superior need not exist for its inferiors to; it is then only a level, and
not stored anywhere. With ``LAYOUT=fs`` (``nested``) a level is a directory, which is no mailbox to anybody here either. A directory is
known by the guid of its uid list: one that was moved by hand stays the same mailbox.

Crash windows. create: the directory before the row; found by the next look. delete: the directory is renamed to ``..mas-deleted.<hex>``
(Dovecot and we skip names that begin with two dots), then the rows go, then the files; an interrupted removal is finished at the next
opening. rename of a tree: the pairs are committed first, so an interrupted one is finished at the next opening. So is the deletion of a
nested mailbox, which takes several steps: a pair without a name.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Sequence

import structlog

from mas.errors import InvalidMailboxName, MailboxExists, MailboxForbidden, MailboxHasChildren, MailboxNotFound
from mas.storage import disk, metadata, nested, special, uidlist
from mas.storage.engine import Engine
from mas.storage.index import MailboxRow, Transaction
from mas.storage.layout import DELETED_PREFIX, PARTS, Nested
from mas.storage.model import INBOX, MailboxName
from mas.storage.nested import NestedDirectories

_log = structlog.get_logger(area="storage")


def refresh(engine: Engine) -> None:
    """Rows for directories that have none, and the other way round."""
    try:
        finish_renames(engine)
    except OSError as error:
        # Whoever asked for it is long gone; nobody else has to do without his mail for it.
        _log.warning("interrupted rename or removal was given up", user=engine.user, error=str(error))
    there = directories(engine)
    rows = {row.directory: row for row in engine.rows.values()}
    if there == rows.keys():
        return
    lost = {rows[directory].guid: rows[directory] for directory in rows.keys() - there}
    with engine.transaction(durable=True) as transaction:
        for directory in sorted(there - rows.keys()):
            try:
                name = engine.layout.name_of(directory)
            except InvalidMailboxName as error:
                engine.unnamed.add(directory)
                _log.warning(
                    "directory is no mailbox name, left out", user=engine.user, directory=directory, error=error.detail
                )
                continue
            adopt(engine, transaction, name, directory, lost)
        for row in lost.values():
            if row.directory == "":
                continue
            transaction.remove_mailbox(row)


def adopt(
    engine: Engine, transaction: Transaction, name: MailboxName, directory: str, lost: dict[str, MailboxRow]
) -> MailboxRow:
    """A row for a directory that is there: from its uid list, which is made when there is none."""
    disk.make_directories(engine.control(directory))
    path = engine.control(directory, uidlist.FILE_NAME)
    try:
        listed = uidlist.read_uidlist(path)
    except uidlist.UidlistDamaged as error:
        _log.warning(
            "uid list is damaged, its mailbox gets another UIDVALIDITY", user=engine.user, path=path, error=str(error)
        )
        listed = None
    if listed is not None and listed.guid in lost:
        row = lost.pop(listed.guid)
        row.name, row.directory = name, directory
        transaction.tree_changed(row)
        return row
    guids = {row.guid for row in engine.rows.values()}
    guid = listed.guid if listed is not None and listed.guid and listed.guid not in guids else uidlist.new_guid()
    if listed is None:
        row = MailboxRow(0, name, directory, guid, engine.next_uid_validity(transaction), 1, 0)
    else:
        engine.uid_validity = max(engine.uid_validity, listed.uid_validity)
        row = MailboxRow(0, name, directory, guid, listed.uid_validity, listed.next_uid, 0)
    row.special_use = _special_use(engine, directory)
    transaction.insert_mailbox(row)
    if listed is None or listed.guid != guid:
        entries = sorted((uid, base) for base, uid in listed.uids.items()) if listed is not None else []
        with engine.dotlock(path):
            uidlist.replace_uidlist(path, row.uid_validity, row.uid_next, guid, entries)
    return row


def _special_use(engine: Engine, directory: str) -> str:
    """What the user gave to the mailbox with CREATE."""
    if not directory:
        return ""
    with contextlib.suppress(FileNotFoundError):
        return special.parse_uses(disk.read_file(engine.control(directory, special.FILE_NAME)))
    return ""


Place = tuple[MailboxName, str]
"""A name, and the directory that it asks for."""


def create(engine: Engine, name: MailboxName, special_use: str = "") -> MailboxRow:
    """Raises MailboxExists, InvalidMailboxName. Levels above need nothing."""
    return _create(engine, [_free(engine, name)], special_use)[0]


def create_all(engine: Engine, names: Iterable[MailboxName], before: Callable[[Sequence[MailboxName]], None]) -> None:
    """Make those of these that are not there: in one commit, all or none. before: called with them. Raises InvalidMailboxName."""
    places = []
    for name in names:
        with contextlib.suppress(MailboxExists):
            places.append(_free(engine, name))
    if places:
        before([name for name, _ in places])
        _create(engine, places, "")


def _free(engine: Engine, name: MailboxName) -> Place:
    """Raises MailboxExists, InvalidMailboxName."""
    directory = engine.layout.directory_of(name)
    name = engine.layout.check_name(name)
    if engine.row_named(name) is None and directory and os.path.isdir(engine.path(directory)):
        refresh(engine)
    if engine.row_named(name) is not None:
        raise MailboxExists(name)
    return name, directory


def _create(engine: Engine, places: Sequence[Place], special_use: str) -> list[MailboxRow]:
    try:
        for _, directory in places:
            _make_directories(engine, directory, special_use)
        with engine.transaction(durable=True) as transaction:
            rows = [adopt(engine, transaction, name, directory, {}) for name, directory in places]
            paths = [engine.path(directory) for _, directory in places]
            for path in sorted({*paths, *map(os.path.dirname, paths)}):
                disk.fsync_directory(path)
    except BaseException:
        for _, directory in reversed(places):
            _take_back(engine, directory)
        raise
    return rows


def _take_back(engine: Engine, directory: str) -> None:
    """Nothing can have come into it: rmdir leaves what has."""
    path = engine.path(directory)
    disk.discard(os.path.join(path, "maildirfolder"))
    disk.discard(engine.control(directory, uidlist.FILE_NAME))
    disk.discard(engine.control(directory, special.FILE_NAME))
    disk.discard(engine.control(directory, metadata.FILE_NAME))
    if engine.location.control:
        nested.prune(engine.location.control, engine.control(directory))
    for part in PARTS:
        with contextlib.suppress(OSError):
            os.rmdir(os.path.join(path, part))
    nested.prune(engine.location.root, path)


def _make_directories(engine: Engine, directory: str, special_use: str) -> None:
    path = engine.path(directory)
    if engine.nested is not None:
        disk.make_directories(os.path.dirname(path))
    disk.step("mkdir", path)
    os.makedirs(path, mode=0o700, exist_ok=True)
    for part in PARTS:
        os.makedirs(os.path.join(path, part), mode=0o700, exist_ok=True)
    if engine.nested is None:
        marker = os.open(os.path.join(path, "maildirfolder"), os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        os.close(marker)
    if special_use:
        disk.make_directories(engine.control(directory))
        kept = engine.control(directory, special.FILE_NAME)
        disk.replace_file(kept, special.encode_uses(special_use), kept + ".tmp")


def set_special_use(engine: Engine, name: MailboxName, uses: frozenset[str]) -> None:
    """Give a mailbox these uses and no others, and take them from those that the user gave them to before [RFC6154 4]."""
    row = engine.require(name)
    if not row.directory:
        raise MailboxForbidden(name, "INBOX has no special use")
    changed = []
    for other in engine.rows.values():
        now = frozenset(other.special_use.split())
        then = uses if other is row else now - uses
        if then != now:
            changed.append((other, " ".join(sorted(then))))
    # First taken, then given: after a crash in between nobody has it, and never two.
    for other, text in sorted(changed, key=lambda pair: pair[0] is row):
        metadata.write(engine.control(other.directory, special.FILE_NAME), special.encode_uses(text) if text else b"")
    with engine.transaction(durable=True) as transaction:
        for other, text in changed:
            other.special_use = text
            transaction.tree_changed(other)


def delete(engine: Engine, name: MailboxName) -> str:
    """Returns the name of the directory that is left to be removed (outside of the lock)."""
    name = engine.layout.check_name(name)
    if name == INBOX:
        raise MailboxForbidden(name, "INBOX cannot be deleted")
    row = engine.row_named(name)
    if row is None:
        if has_children(engine, name):
            raise MailboxHasChildren(name)
        engine.layout.directory_of(name)
        raise MailboxNotFound(name)
    rubbish = DELETED_PREFIX + secrets.token_hex(8)
    if engine.nested is not None:
        with engine.transaction(durable=True) as transaction:
            transaction.execute("INSERT INTO renaming (old, new, name) VALUES (?, ?, '')", (row.directory, rubbish))
        finish_renames(engine)
        return rubbish
    with contextlib.suppress(FileNotFoundError):
        disk.rename(engine.path(row.directory), engine.path(rubbish))
        disk.fsync_directory(engine.location.root)
    if engine.location.control:
        # First by name, as the mailbox: one made again with this name begins without it.
        with contextlib.suppress(FileNotFoundError):
            disk.rename(engine.control(row.directory), f"{engine.location.control}/{rubbish}")
            disk.fsync_directory(engine.location.control)
    with engine.transaction(durable=True) as transaction:
        transaction.remove_mailbox(row)
    return rubbish


def has_children(engine: Engine, name: MailboxName) -> bool:
    prefix = name + engine.separator
    return any(row.name.startswith(prefix) for row in engine.rows.values())


def remove_rubbish(engine: Engine, name: str = "") -> None:
    """Remove deleted mailboxes' files: those of ``name``, or all that an interrupted removal left."""
    if engine.nested is not None:
        roots = engine.nested.rubbish()
    else:
        roots = [engine.location.root, *([engine.location.control] if engine.location.control else [])]
    paths = [f"{root}/{name}" for root in roots] if name else []
    if not name:
        for root in roots:
            with contextlib.suppress(FileNotFoundError), os.scandir(root) as entries:
                paths += [entry.path for entry in entries if entry.name.startswith(DELETED_PREFIX)]
    for rubbish in paths:
        shutil.rmtree(rubbish, ignore_errors=True)


def rename(engine: Engine, old: MailboxName, new: MailboxName) -> None:
    """Rename a mailbox (not INBOX) or a level, with its inferiors."""
    layout = engine.layout
    old, new = layout.check_name(old), layout.check_name(new)
    layout.directory_of(new)
    prefix = old + engine.separator
    moving = [row for row in engine.rows.values() if row.name == old or row.name.startswith(prefix)]
    if new == INBOX or engine.row_named(new) is not None:
        raise MailboxExists(new)
    if not moving:
        raise MailboxNotFound(old)
    if new.startswith(prefix):
        raise InvalidMailboxName(new, "a mailbox cannot become its own inferior")
    pairs = []
    for row in moving:
        name = MailboxName(new + row.name[len(old) :])
        if engine.row_named(name) is not None:
            raise MailboxExists(name)
        pairs.append((row.directory, layout.directory_of(name), name))
        if engine.nested is None and os.path.lexists(engine.path(pairs[-1][1])):
            raise MailboxExists(name, "something that is no mailbox")
    if isinstance(layout, Nested):
        pairs = [(layout.level_of(layout.directory_of(old)), layout.level_of(layout.directory_of(new)), new)]
        _require_free(engine, pairs[0][1], new)
    with engine.transaction(durable=True) as transaction:
        transaction.database.executemany("INSERT INTO renaming (old, new, name) VALUES (?, ?, ?)", pairs)
    finish_renames(engine)


def _require_free(engine: Engine, directory: str, name: MailboxName) -> None:
    """A level cannot take in another: as Dovecot, which has one directory for both. An empty directory is in nobody's way."""
    for root in {engine.location.root, engine.location.control or engine.location.root}:
        with contextlib.suppress(FileNotFoundError), os.scandir(f"{root}/{directory}") as entries:
            if any(entries):
                raise MailboxExists(name)


def finish_renames(engine: Engine) -> None:
    """Do what ``rename`` and ``delete`` have committed to. Raises OSError when the disk refuses; then it is given up, and the mailboxes are
    where they were: what is in the way of one (made by another program after a crash) must not be in the way of all."""
    with engine.mutex:
        pairs = list(engine.database.execute("SELECT old, new, name FROM renaming"))
    if not pairs:
        return
    if engine.nested is not None:
        for old, new, name in pairs:
            _finish_nested(engine, engine.nested, old, new, name)
        return
    moved: list[tuple[str, str, str]] = []
    refused: OSError | None = None
    for pair in pairs:
        try:
            _move(engine, *pair[:2])
        except OSError as error:
            refused = error
            while moved:
                old, new, _ = moved[-1]
                try:
                    _move(engine, new, old)
                except OSError:
                    break
                moved.pop()
            break
        moved.append(pair)
    disk.fsync_directory(engine.location.root)
    if engine.location.control:
        disk.fsync_directory(engine.location.control)
    rows = {row.directory: row for row in engine.rows.values()}
    with engine.transaction(durable=True) as transaction:
        for old, new, name in moved:
            if (row := rows.get(old)) is not None:
                row.name, row.directory = MailboxName(name), new
                transaction.tree_changed(row)
        transaction.execute("DELETE FROM renaming")
    if refused is not None:
        raise refused


def _move(engine: Engine, old: str, new: str) -> None:
    """The directory of a mailbox, and its other below ``CONTROL=``: both or none. Those that are not there were moved before."""
    with contextlib.suppress(FileNotFoundError):
        disk.rename(engine.path(old), engine.path(new))
    if engine.location.control:
        try:
            with contextlib.suppress(FileNotFoundError):
                disk.rename(engine.control(old), engine.control(new))
        except OSError:
            with contextlib.suppress(OSError):
                os.rename(engine.path(new), engine.path(old))
            raise


def _finish_nested(engine: Engine, directories: NestedDirectories, old: str, new: str, name: str) -> None:
    """One pair: levels that move, or (no name) a mailbox and what its rubbish is called. A disk that refuses ends it: the next look at the
    tree says what there is."""
    try:
        if name:
            directories.rename(old, new)
        else:
            directories.set_aside(old, new)
    except OSError:
        with engine.transaction(durable=True) as transaction:
            transaction.execute("DELETE FROM renaming WHERE old = ?", (old,))
        raise
    with engine.transaction(durable=True) as transaction:
        for row in list(engine.rows.values()):
            if not name and row.directory == old:
                transaction.remove_mailbox(row)
            elif name and f"{row.directory}/".startswith(f"{old}/"):
                levels = engine.separator.join(row.name.split(engine.separator)[old.count("/") + 1 :])
                row.name = engine.separator.join([name, levels] if levels else [name])
                row.directory = new + row.directory[len(old) :]
                transaction.tree_changed(row)
        transaction.execute("DELETE FROM renaming WHERE old = ?", (old,))


def superiors(names: Iterable[str], separator: str) -> set[str]:
    """Every name above one of these: those that are no mailboxes themselves are only levels."""
    found: set[str] = set()
    for name in names:
        while separator in name:
            name = name.rpartition(separator)[0]
            if name in found:
                break
            found.add(name)
    return found


def directories(engine: Engine) -> set[str]:
    """The directories that are mailboxes, or would be if their names allowed it."""
    found = {""}
    if engine.nested is not None:
        with disk.meaning():
            return (found | engine.nested.mailboxes()) - engine.unnamed
    with disk.meaning(), os.scandir(engine.location.root) as entries:
        for entry in entries:
            if entry.path == engine.location.inbox:
                continue
            if entry.name[0] == "." and entry.name[1:2] not in ("", ".") and entry.is_dir():
                found.add(entry.name)
    return found - engine.unnamed
