"""System calls of the store, one door for all of them.

Two reasons. Errors get their meaning here: ENOSPC and EDQUOT are DiskFull, everything else that a disk can do is StorageUnavailable, and
neither ever looks like "no such mailbox". And every step that a crash can fall between goes through ``step``, so that the crash tests can
stop a process exactly there.

``FileNotFoundError`` and ``FileExistsError`` are left as they are: callers expect them.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator

import apsw

from mas.errors import DiskFull, StorageUnavailable

TICK = 20_000_000
"""Nanoseconds after which a directory's time can no longer hide a second change: several ticks of the file system's clock."""

failpoint: Callable[[str, str], None] | None = None
"""Called with (step, path) before each durable step; only tests set it."""


def step(name: str, path: str) -> None:
    """Tell the failpoint that ``name`` is about to happen to ``path``."""
    if failpoint is not None:
        failpoint(name, path)


class IndexDamaged(Exception):
    """The index cannot be read: it is made anew from the Maildir. Never leaves the store."""


@contextlib.contextmanager
def meaning() -> Iterator[None]:
    """Turn what the disk and SQLite raise into domain errors."""
    try:
        yield
    except (FileNotFoundError, FileExistsError) as error:
        raise StorageUnavailable(str(error)) from error
    except OSError as error:
        raise translated(error) from error
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise IndexDamaged(str(error)) from error
    except apsw.FullError as error:
        raise DiskFull(f"index: {error}") from error
    except apsw.Error as error:
        raise StorageUnavailable(f"index: {type(error).__name__}: {error}") from error


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """As ``meaning``, for one message file: that it is not there is left to the caller."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise translated(error) from error


def translated(error: OSError) -> StorageUnavailable:
    """The domain error for an OSError."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(str(error))
    return StorageUnavailable(str(error))


def fsync(fd: int, path: str) -> None:
    """Make a file's octets durable."""
    step("fsync", path)
    os.fsync(fd)


def fsync_directory(path: str) -> None:
    """Make a directory's entries durable."""
    step("fsync-directory", path)
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_directories(path: str) -> None:
    """``path`` and what is missing above it, durable."""
    if os.path.isdir(path):
        return
    above = os.path.dirname(path)
    make_directories(above)
    step("mkdir", path)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    fsync_directory(above)


def rename(old: str, new: str) -> None:
    step("rename", new)
    os.rename(old, new)


def link(old: str, new: str) -> None:
    step("link", new)
    os.link(old, new, follow_symlinks=False)


_ROOT = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def link_open(fd: int, name: str, new: str) -> None:
    """Link an open file, which may have no name (O_TMPFILE)."""
    if name:
        link(name, new)
        return
    step("link", new)
    # With a directory descriptor Python calls linkat(2), the only one that follows /proc's link to the file; the path is absolute.
    os.link(f"/proc/self/fd/{fd}", new, src_dir_fd=_ROOT, follow_symlinks=True)


def unlink(path: str) -> None:
    step("unlink", path)
    os.unlink(path)


def discard(path: str) -> None:
    """Remove a file if it is there; a file that cannot be removed is left to a later clean-up."""
    with contextlib.suppress(OSError):
        os.unlink(path)


def replace_file(path: str, content: bytes, temporary: str) -> None:
    """Write ``content`` as ``path`` so that a crash leaves the old file or the new one."""
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        try:
            write_all(fd, content)
            fsync(fd, temporary)
        finally:
            os.close(fd)
        rename(temporary, path)
    except BaseException:
        discard(temporary)
        raise
    fsync_directory(os.path.dirname(path))


def write_all(fd: int, data: bytes | memoryview) -> None:
    """write(2) until everything is written."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def read_file(path: str) -> bytes:
    """The whole file: open, read, close."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(fd).st_size
        data = os.read(fd, size + 1)
        while True:
            if len(data) == size:
                return data
            more = os.read(fd, 1 << 20)
            if not more:
                return data
            data += more
    finally:
        os.close(fd)
