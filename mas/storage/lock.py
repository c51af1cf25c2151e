"""The account's write lock, and the counter that tells other processes of a commit.

``mas-index.lock`` is one small file with two uses. ``flock`` on it: one writer an account, in whichever process (SQLite's own waiting is
a sleep loop; four writers wait seconds in it, and milliseconds here). Its first 8 bytes: the generation, one higher after every commit,
written with ``pwrite`` so that inotify watchers of the file wake up, and mapped by everyone, so that "has anything changed?" is a read of
memory. The next 8 count how often a process at rest marked the index clean, which changes nothing else.

The dotlock is the other lock, Dovecot's: held while ``dovecot-uidlist`` or ``dovecot-keywords`` change.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import socket
import struct
import time
from collections.abc import Iterator

from mas.errors import StorageUnavailable
from mas.storage import disk

_COUNTER = struct.Struct("=Q")


class AccountLock:
    """Open for as long as the account is: one descriptor, one page."""

    def __init__(self, path: str, timeout: float = 30.0) -> None:
        self.path = path
        self._timeout = timeout
        self._fd = -1
        self._open()

    def _open(self) -> None:
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if os.fstat(self._fd).st_size < 2 * _COUNTER.size:
            os.ftruncate(self._fd, 2 * _COUNTER.size)
        self._map = mmap.mmap(self._fd, 2 * _COUNTER.size, prot=mmap.PROT_READ)
        self._counter = memoryview(self._map).cast("Q")

    @property
    def generation(self) -> int:
        """Commits so far, of all processes."""
        return self._counter[0]

    @property
    def rests(self) -> int:
        """How often a process has marked the index clean."""
        return self._counter[1]

    def acquire(self) -> None:
        """Wait for the lock. Raises StorageUnavailable when another process holds it for longer than the timeout."""
        pause, deadline = 0.0002, time.monotonic() + self._timeout
        while True:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise StorageUnavailable(
                        f"{self.path}: locked by another process for {self._timeout:g} s"
                    ) from None
                time.sleep(pause)
                pause = min(pause * 2, 0.01)
                continue
            if os.fstat(self._fd).st_nlink:
                return
            generation = self.generation
            self.close()
            self._open()
            os.pwrite(self._fd, _COUNTER.pack(max(generation, self.generation) + 1), 0)

    def release(self) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_UN)

    def advance(self) -> int:
        """Count a commit; the lock is held. Returns the new generation."""
        generation = self.generation + 1
        os.pwrite(self._fd, _COUNTER.pack(generation), 0)
        return generation

    def rest(self) -> int:
        """Count that the index was marked clean; the lock is held. Returns the new number."""
        rests = self.rests + 1
        os.pwrite(self._fd, _COUNTER.pack(rests), _COUNTER.size)
        return rests

    def close(self) -> None:
        self._counter.release()
        self._map.close()
        os.close(self._fd)


_HOST = socket.gethostname()


def _booted() -> float:
    with contextlib.suppress(OSError), open("/proc/stat", encoding="ascii") as file:
        for line in file:
            if line.startswith("btime "):
                return float(line.split()[1])
    return 0.0


BOOTED = _booted()
"""When the system was started, seconds since the epoch."""
STALE_AFTER = 120.0
"""Seconds after which a dotlock that nobody touched belongs to a dead process (Dovecot's own figure)."""


@contextlib.contextmanager
def dotlock(path: str, timeout: float = 30.0, source: str = "") -> Iterator[str]:
    """Hold ``path.lock``. Yields its name. Raises StorageUnavailable after ``timeout`` seconds.

    source: a file of this process in the same file system. The lock is a hard link to it: making a file costs several times as much, and
    every delivery needs the lock once. It is made when it is not there.
    """
    lock = path + ".lock"
    pause, deadline = 0.001, time.monotonic() + timeout
    while True:
        try:
            _take(lock, source)
            break
        except FileExistsError:
            with contextlib.suppress(FileNotFoundError):
                if _abandoned(lock):
                    os.unlink(lock)
                    continue
            if time.monotonic() > deadline:
                raise StorageUnavailable(f"{lock}: held by another program for {timeout:g} s") from None
            time.sleep(pause)
            pause = min(pause * 2, 0.05)
    try:
        yield lock
    finally:
        disk.discard(lock)


def _take(lock: str, source: str) -> None:
    """Raises FileExistsError when somebody has the lock."""
    if source:
        try:
            os.link(source, lock)
        except FileNotFoundError:
            # Either of the two: a source that is there leaves the lock's own directory, and that is the caller's error.
            with contextlib.suppress(FileExistsError):
                _mark(source)
            return _take(lock, "")
        except FileExistsError:
            raise
        except OSError:
            return _take(lock, "")
        return None
    return _mark(lock)


def _mark(path: str) -> None:
    """Make a file that says whose it is, as Dovecot writes it into its locks."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, f"{os.getpid()}:{_HOST}".encode())
    finally:
        os.close(fd)


def _abandoned(lock: str) -> bool:
    """Whether the maker of a dotlock is dead: too old, or its process (``pid:host``, as Dovecot writes it) is gone, is ourselves (who hold
    the account's lock, so it is a leftover), or began after the lock was made. A lock from before the system's start is dead too: of one
    that a power cut left, the text may be lost. Raises FileNotFoundError."""
    status = os.stat(lock)
    made = max(status.st_mtime, status.st_ctime)
    if time.time() - made > STALE_AFTER:
        return True
    with open(lock, encoding="ascii", errors="replace") as file:
        pid, _, host = file.read(300).strip("\0").partition(":")
    if made < BOOTED and host in ("", _HOST):
        return True
    if host != _HOST or not pid.isdigit():
        return False
    if int(pid) == os.getpid():
        return True
    try:
        # A process's directory in /proc is as old as the process.
        return os.stat(f"/proc/{pid}").st_ctime > made + 1
    except FileNotFoundError:
        return os.path.exists("/proc/self")
