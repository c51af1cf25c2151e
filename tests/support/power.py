"""A disk that loses what was not fsynced: POSIX's promise and nothing more.

``Disk`` is told of every fsync of this process (Python's and SQLite's) and remembers what was durable then: the octets of a file, the
entries of a directory. ``cut`` writes the tree that a power cut would leave. What was not fsynced is lost; or, with a source of chance,
each directory entry and each file is the old or the new one, and the end of a file that grew may be zeros. One thing is taken from real
file systems: a rename is one step, so a file that was moved has its old name or its new one, never both and never none.
"""

from __future__ import annotations

import os
import random
import shutil
import stat
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

Entries = dict[str, int]
TRIES = 100


@dataclass
class _Node:
    """An inode as it was last fsynced. ``fd`` keeps its number from being given to another file."""

    fd: int
    entries: Entries | None = None
    octets: bytes = b""
    mtime: int = 0


def _entries(path: str) -> Entries:
    with os.scandir(path) as found:
        return {entry.name: entry.inode() for entry in found}


def _names(directories: dict[int, Entries]) -> dict[int, set[tuple[int, str]]]:
    found: dict[int, set[tuple[int, str]]] = {}
    for directory, entries in directories.items():
        for name, inode in entries.items():
            found.setdefault(inode, set()).add((directory, name))
    return found


@dataclass
class Disk:
    """See the module. Everything under ``root`` is durable when it is made."""

    root: Path
    _nodes: dict[int, _Node] = field(default_factory=dict)
    _mutex: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        for directory, _, files in os.walk(self.root):
            self.sync(directory)
            for name in files:
                self.sync(os.path.join(directory, name))

    def sync(self, path: str) -> None:
        """``path`` (or ``/proc/self/fd/N``) is fsynced."""
        with self._mutex:
            self._sync(path)

    def _sync(self, path: str) -> None:
        status = os.stat(path)
        node = self._nodes.get(status.st_ino)
        if node is None:
            node = self._nodes[status.st_ino] = _Node(os.open(path, os.O_RDONLY))
        node.mtime = status.st_mtime_ns
        if stat.S_ISDIR(status.st_mode):
            node.entries = _entries(path)
            self._forget_old_names(status.st_ino, node.entries)
        else:
            node.octets = Path(path).read_bytes()

    def _forget_old_names(self, directory: int, entries: Entries) -> None:
        """What was moved here is durably gone from where it was."""
        here = set(entries.values())
        for number, node in self._nodes.items():
            if number == directory or node.entries is None or here.isdisjoint(node.entries.values()):
                continue
            now = _entries(f"/proc/self/fd/{node.fd}")
            node.entries = {n: i for n, i in node.entries.items() if i not in here or now.get(n) == i}

    def watch(self) -> None:
        """From now on hear of every fsync of this process. There is no way back: for a process that ends."""
        fsync = os.fsync

        def heard(fd: int) -> None:
            fsync(fd)
            self.sync(f"/proc/self/fd/{fd}")

        os.fsync = os.fdatasync = heard  # type: ignore[assignment]
        self._vfs = _Vfs(self)

    def cut(self, into: Path, chance: random.Random | None = None) -> None:
        """Write what is left, as ``into``.

        Other threads of this process go on (files of expunged messages are removed behind the answer): what they take away in the middle
        of it means that the power was cut a little later.
        """
        with self._mutex:
            for again in reversed(range(TRIES)):
                try:
                    self._cut(into, chance)
                    return
                except FileNotFoundError:
                    if not again:
                        raise
                    shutil.rmtree(into, ignore_errors=True)

    def _cut(self, into: Path, chance: random.Random | None) -> None:
        current = self._current()
        keep: dict[int, Entries] = {}
        for directory, (entries, _) in current.items():
            if entries is None:
                continue
            node = self._nodes.get(directory)
            durable = (node.entries if node is not None else None) or {}
            keep[directory] = dict(durable)
            if chance is not None:
                for name in sorted({*durable, *entries}):
                    side = entries if chance.random() < 0.5 else durable
                    keep[directory].pop(name, None)
                    if name in side:
                        keep[directory][name] = side[name]
        for number, node in self._nodes.items():
            if node.entries is not None:
                keep.setdefault(number, dict(node.entries))
        if chance is not None:
            self._keep_moved(keep, current)
        self._write(os.stat(self.root).st_ino, into, keep, current, chance)

    def _current(self) -> dict[int, tuple[Entries | None, str]]:
        found: dict[int, tuple[Entries | None, str]] = {}
        for directory, _, files in os.walk(self.root):
            found[os.stat(directory).st_ino] = (_entries(directory), directory)
            for name in files:
                path = os.path.join(directory, name)
                found[os.lstat(path).st_ino] = (None, path)
        return found

    def _keep_moved(self, keep: dict[int, Entries], current: dict[int, tuple[Entries | None, str]]) -> None:
        before = _names({number: node.entries or {} for number, node in self._nodes.items()})
        now = _names({number: entries for number, (entries, _) in current.items() if entries is not None})
        for inode, names in _names(keep).items():
            old, new = before.get(inode, set()), now.get(inode, set())
            if names & (new - old):
                for directory, name in names & (old - new):
                    del keep[directory][name]
        left = _names(keep)
        for inode, old in before.items():
            new, names = now.get(inode, set()), left.get(inode, set())
            for directory, name in sorted(old - names):
                if len(names) < min(len(old), len(new)) and keep[directory].setdefault(name, inode) == inode:
                    names.add((directory, name))

    def _write(
        self,
        inode: int,
        into: Path,
        keep: dict[int, Entries],
        current: dict[int, tuple[Entries | None, str]],
        chance: random.Random | None,
    ) -> None:
        node = self._nodes.get(inode)
        if inode in keep:
            into.mkdir()
            for name, child in keep[inode].items():
                self._write(child, into / name, keep, current, chance)
            return
        octets = node.octets if node is not None else b""
        if chance is not None and inode in current and chance.random() < 0.67:
            octets = self._torn(octets, Path(current[inode][1]).read_bytes(), chance)
        into.write_bytes(octets)
        if node is not None:
            os.utime(into, ns=(node.mtime, node.mtime))

    @staticmethod
    def _torn(durable: bytes, now: bytes, chance: random.Random) -> bytes:
        """The new octets, or what of them came to the disk: the size, but not the octets."""
        if chance.random() < 0.5 or not now.startswith(durable) or now == durable:
            return now
        return durable + bytes(len(now) - len(durable))


class _Vfs(apsw.VFS):
    def __init__(self, disk: Disk) -> None:
        super().__init__("power", "unix", makedefault=True)
        self._disk = disk

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        return _File(self._disk, name, flags)


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        super().__init__("unix", name, flags)
        self._disk = disk
        self._path: str = name if isinstance(name, str) else name.filename() if name is not None else ""
        # SQLite makes the entry of a new journal durable with its first sync.
        self._journal = self._path.endswith(("-wal", "-journal"))

    def xSync(self, flags: int) -> None:  # noqa: N802
        super().xSync(flags)
        if self._path:
            self._disk.sync(self._path)
            if self._journal:
                self._journal = False
                self._disk.sync(os.path.dirname(self._path))
