"""A message on its way in: memory first, a file when it is large; written and fsynced once, however many mailboxes it goes to.

The file lives in ``tmp/`` of the Maildir that the message was announced for (``near``), without a name (O_TMPFILE) where that can be. Every
save hard-links it into the mailbox, so the octets of a mail to a hundred recipients are on disk once; another file system gets a copy.
Leaving the block closes it, or removes its name. What a crash leaves there is removed by a later opening of the account, after
``ABANDONED_AFTER``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import threading
import time
from collections.abc import AsyncIterator, Callable
from types import TracebackType

from mas.config import Mail
from mas.errors import MessageTooBig, Rejected
from mas.storage import disk
from mas.storage.blocking import Blocking
from mas.storage.compressed import LONGEST_MAGIC, is_compressed
from mas.storage.contents import Content, content_of, content_of_file, mime_limits

IN_MEMORY = 256 << 10
"""Octets that are kept in memory before a file is begun."""
PIECE = 64 << 10
ABANDONED_AFTER = 36 * 3600
"""Seconds after which a file in ``tmp/`` belongs to nobody, by the rules of Maildir."""


class FileOctets:
    """A stretch of a file, read in pieces by worker threads. ``missing`` is called (and raises) when the file is gone."""

    def __init__(self, blocking: Blocking, path: str, size: int, missing: Callable[[], Exception]) -> None:
        self.size = size
        self._blocking = blocking
        self._path = path
        self._missing = missing

    async def chunks(self, start: int = 0) -> AsyncIterator[bytes]:
        try:
            fd = await self._blocking.run(os.open, self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise self._missing() from None
        except OSError as error:
            raise disk.translated(error) from error
        try:
            position, end = start, self.size
            while position < end:
                piece = await self._blocking.run(os.pread, fd, min(PIECE, end - position), position)
                if not piece:
                    raise self._missing()
                position += len(piece)
                yield piece
        finally:
            os.close(fd)


class MemoryOctets:
    """A stretch of a message that is in memory anyway."""

    def __init__(self, octets: bytes) -> None:
        self.size = len(octets)
        self._octets = octets

    async def chunks(self, start: int = 0) -> AsyncIterator[bytes]:
        for position in range(start, self.size, PIECE):
            yield self._octets[position : position + PIECE]


def _header(octets: bytes) -> bytes:
    """The header block at the beginning of a message, with its blank line; all of the octets when there is none in them."""
    if octets.startswith(b"\r\n"):
        return b"\r\n"
    end = octets.find(b"\r\n\r\n")
    return octets if end < 0 else octets[: end + 4]


class MaildirIncoming:
    """See ``interface.Incoming``. Not for two tasks at once."""

    def __init__(self, blocking: Blocking, root: str, max_size: int, limits: Mail) -> None:
        self._blocking = blocking
        self._root = root
        self._max_size = max_size
        self._max_header = limits.max_header
        self._limits = limits
        self._pieces: list[bytes] = []
        self._held = 0
        self._size = 0
        self._fd = -1
        self._mtime = 0
        self._path = ""
        self._name = ""
        self._durable = False
        self._guard = threading.Lock()
        self._header: bytes | None = None
        self.content: Content | None = None

    @property
    def size(self) -> int:
        return self._size

    async def write(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._max_size and self._size > self._max_size:
            raise MessageTooBig(self._max_size)
        self._pieces.append(chunk)
        self._held += len(chunk)
        if self._held > IN_MEMORY:
            pieces, self._pieces, self._held = self._pieces, [], 0
            await self._blocking.run(self._spill, pieces)

    def _spill(self, pieces: list[bytes]) -> None:
        with disk.meaning():
            if self._fd < 0:
                self._create(self._root)
            for piece in pieces:
                disk.write_all(self._fd, piece)

    def _create(self, root: str) -> None:
        """An open file in ``tmp/``, without a name where the file system can do that: then nothing is left to remove, ever."""
        directory = os.path.join(root, "tmp")
        with contextlib.suppress(OSError):
            self._fd = os.open(directory, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
            self._path = f"/proc/self/fd/{self._fd}"
            return
        os.makedirs(directory, mode=0o700, exist_ok=True)
        self._name = os.path.join(directory, f"{int(time.time())}.mas-{os.getpid()}-{secrets.token_hex(6)}")
        self._fd = os.open(self._name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._path = self._name

    async def finish(self) -> None:
        if self._fd < 0:
            # The header is what everybody asks for; the save parses the rest, in the thread that it needs anyway.
            self._close()
        else:
            await self._blocking.run(self.complete)

    def _close(self) -> None:
        """No more octets come. Raises Rejected."""
        if self._header is not None:
            return
        if self._fd >= 0:
            pieces, self._pieces = self._pieces, []
            self._spill(pieces)
            begin = os.pread(self._fd, max(LONGEST_MAGIC, self._max_header), 0)
        else:
            self._pieces = [b"".join(self._pieces)]
            begin = self._pieces[0]
        if is_compressed(begin[:LONGEST_MAGIC]):
            raise Rejected("a compressed file is no message")
        self._header = _header(begin[: self._max_header])

    def complete(self) -> None:
        """In a thread: all that is to be known of the octets; nothing when that was done."""
        with self._guard:
            if self.content is not None:
                return
            limits = mime_limits(self._limits)
            with disk.meaning():
                self._close()
                self.content = (
                    content_of(self._pieces[0], limits) if self._fd < 0 else content_of_file(self._path, limits)
                )

    def header(self) -> bytes:
        return self._header or b""

    def whole(self) -> FileOctets | MemoryOctets:
        if self._fd < 0:
            return MemoryOctets(self._pieces[0])
        return FileOctets(self._blocking, self._path, self._size, lambda: OSError("a message on its way in vanished"))

    def prepare(self, root: str, date: int | None) -> None:
        """In a thread, before the account is locked: make the octets durable, in the Maildir ``root`` when they are not in a file yet, and
        set their mtime (seconds; None: now)."""
        with disk.meaning(), self._guard:
            if self._durable:
                return
            if self._fd < 0:
                self._create(root)
                try:
                    disk.write_all(self._fd, self._pieces[0])
                except BaseException:
                    self._forget()
                    raise
                # The octets stay in memory: Sieve and other accounts may still ask for them.
            if date is not None:
                os.utime(self._fd, (date, date))
            disk.fsync(self._fd, self._path)
            self._mtime = int(os.fstat(self._fd).st_mtime)
            self._durable = True

    @property
    def mtime(self) -> int:
        """Of the prepared message, in seconds: when it was received, to whoever looks at the file."""
        return self._mtime

    def place(self, path: str, root: str, date: int) -> None:
        """In a thread: the prepared message as ``path`` in the Maildir ``root``. Syncing the directory is the caller's."""
        try:
            disk.link_open(self._fd, self._name, path)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EMLINK, errno.EPERM, errno.ENOENT) or not os.path.isdir(
                os.path.dirname(path)
            ):
                raise
            self._copy_to(path, root, date)

    def _copy_to(self, path: str, root: str, date: int) -> None:
        temporary = os.path.join(root, "tmp", os.path.basename(path))
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            try:
                offset = 0
                while piece := os.pread(self._fd, 1 << 20, offset):
                    disk.write_all(fd, piece)
                    offset += len(piece)
                disk.fsync(fd, temporary)
            finally:
                os.close(fd)
            os.utime(temporary, (date, date))
            disk.rename(temporary, path)
        except BaseException:
            disk.discard(temporary)
            raise

    def _forget(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            if self._name:
                disk.discard(self._name)

    async def __aenter__(self) -> MaildirIncoming:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pieces = []
        if self._fd < 0:
            return
        if self._name or self._size > PIECE:
            await self._blocking.run(self._forget)
        else:
            # Closing a small file costs less than a thread.
            self._forget()


def remove_abandoned(directory: str) -> None:
    """Remove what crashes left in a ``tmp/``."""
    limit = time.time() - ABANDONED_AFTER
    with contextlib.suppress(FileNotFoundError), os.scandir(directory) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if entry.stat(follow_symlinks=False).st_mtime < limit and entry.is_file(follow_symlinks=False):
                    disk.discard(entry.path)
