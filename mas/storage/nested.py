"""``LAYOUT=fs`` on disk: mailboxes that lie in each other. Runs in worker threads; knows directories, no rows of the index.

A directory is a mailbox when it holds ``cur`` (or the location's dirname), as for Dovecot. One that is none, with mailboxes below, is a
level; one without any is nobody's, and removed when we emptied it. All of the tree is walked for each look, but only directories whose
time or inode changed are read: the others cost one stat call.

A mailbox with others below it is taken apart to be deleted: ``cur`` goes first, and with it the mailbox. A rename moves the directory with
all below by one rename(2). Both can be done again after they were interrupted (``tree`` writes down that they began).
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass

from mas.storage import disk
from mas.storage.layout import DELETED_PREFIX, MAX_PATH, PARTS, Nested
from mas.storage.location import Location


@dataclass(frozen=True, slots=True)
class _Level:
    """A directory as it was read: whether it is a mailbox, and the directories in it that may be some."""

    identity: tuple[int, int, int]
    mailbox: bool
    below: tuple[str, ...]


class NestedDirectories:
    """Of one account; used by several threads."""

    def __init__(self, location: Location, layout: Nested) -> None:
        self._location = location
        self._layout = layout
        self._known: dict[str, _Level] = {}

    # Finding

    def mailboxes(self) -> set[str]:
        """The directories that are mailboxes, or would be if their names allowed it; INBOX is not among them."""
        inbox, root = self._location.inbox, self._location.root
        found: set[str] = set()
        known: dict[str, _Level] = {}
        inodes: set[tuple[int, int]] = set()
        waiting = [""]
        while waiting:
            name = waiting.pop()
            level = self._look(name)
            # A directory that was met under another name is a symbolic link, maybe to one above it.
            if level is None or level.identity[:2] in inodes:
                continue
            inodes.add(level.identity[:2])
            known[name] = level
            directory = f"{name}/{self._layout.dirname}" if self._layout.dirname else name
            if level.mailbox and name and f"{root}/{directory}" != inbox:
                found.add(directory)
            waiting += [f"{name}/{below}" if name else below for below in reversed(level.below)]
        self._known = known
        return found

    def _look(self, name: str) -> _Level | None:
        """None for what is gone or not ours to read."""
        path = f"{self._location.root}/{name}" if name else self._location.root
        try:
            status = os.stat(path)
            identity = (status.st_dev, status.st_ino, status.st_mtime_ns)
            known = self._known.get(name)
            if known is not None and known.identity == identity:
                return known
            level = self._read(path, len(name), identity)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            if not name:
                raise
            return None
        if time.time_ns() - status.st_mtime_ns <= disk.TICK:
            # A second change would not show in the time: not to be trusted again.
            return _Level((*identity[:2], 0), level.mailbox, level.below)
        return level

    def _read(self, path: str, length: int, identity: tuple[int, int, int]) -> _Level:
        dirname = self._layout.dirname
        mailbox, below = False, []
        with os.scandir(path) as entries:
            for entry in entries:
                name = entry.name
                if name == (dirname or "cur"):
                    mailbox = entry.is_dir()
                elif (
                    not (not dirname and name in PARTS)
                    and not name.startswith(DELETED_PREFIX)
                    and length + len(name) < MAX_PATH
                    and entry.is_dir()
                ):
                    below.append(name)
        return _Level(identity, mailbox, tuple(sorted(below)))

    # Changing

    def rename(self, old: str, new: str) -> None:
        """Move the directory of a level with all that lies in it, here and below ``CONTROL=``. Again: only what was not done.

        Both or none, unless the process ends between them. Raises OSError.
        """
        location = self._location
        self._rename(location.root, old, new)
        if location.control:
            try:
                self._rename(location.control, old, new)
            except OSError:
                self._rename(location.root, new, old)
                raise

    @staticmethod
    def _rename(root: str, old: str, new: str) -> None:
        before, after = f"{root}/{old}", f"{root}/{new}"
        if os.path.isdir(before):
            disk.make_directories(os.path.dirname(after))
            disk.rename(before, after)
        # The new entry first: a power cut must not leave none of the two.
        for path in (after, before):
            with contextlib.suppress(FileNotFoundError):
                disk.fsync_directory(os.path.dirname(path))
        prune(root, os.path.dirname(before))

    def rubbish(self) -> list[str]:
        """The directories that hold deleted mailboxes: Dovecot shows nothing of them."""
        location = self._location
        mail = f"{location.root}/{self._layout.dirname or 'tmp'}"
        return [mail, *([location.control] if location.control else [])]

    def set_aside(self, directory: str, name: str) -> None:
        """Move a mailbox, but not what lies below it, to the directories called ``name`` among the rubbish. Raises OSError."""
        location = self._location
        control = f"{location.control}/{self._layout.control_of(directory)}" if location.control else ""
        sources = [(location.root, f"{location.root}/{directory}"), *([(location.control, control)] if control else [])]
        for (root, source), rubbish in zip(sources, self.rubbish(), strict=True):
            target = f"{rubbish}/{name}"
            disk.make_directories(target)
            whole = bool(self._layout.dirname) and root == location.root
            for entry in _entries(source, whole):
                with contextlib.suppress(FileNotFoundError):
                    disk.rename(f"{source}/{entry}", f"{target}/{entry}")
            disk.fsync_directory(target)
            with contextlib.suppress(FileNotFoundError):
                disk.fsync_directory(source)
            prune(root, source)


def _entries(path: str, whole: bool) -> list[str]:
    """What belongs to the mailbox at ``path``, ``cur`` first. whole: everything does; else directories may be mailboxes below."""
    with contextlib.suppress(FileNotFoundError), os.scandir(path) as entries:
        names = [e.name for e in entries if whole or e.name in PARTS or not e.is_dir()]
        return sorted(names, key=lambda name: (name != "cur", name))
    return []


def prune(root: str, path: str) -> None:
    """Remove empty directories from ``path`` up to ``root``, which stays."""
    while path.startswith(root + "/"):
        try:
            os.rmdir(path)
        except OSError:
            return
        path = os.path.dirname(path)
