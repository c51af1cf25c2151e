"""fdatasync of files while the index commits: two waits for the disk that take the time of one.

Lines of a uid list have to be durable before an answer, as Dovecot has them: after a power cut it may be the first to open the Maildir, and
would give their messages other uids. One after the other the two waits cost a delivery up to a quarter more where the disk is slow;
together, less than runs of the benchmark differ. A disk that refuses is a line in the log: the index has the uids, and the scan after a
power cut writes lists anew.

Threads of this module run nothing but fdatasync. Must not know: what the files are.
"""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor

import structlog

from mas.storage import disk

THREADS = 4
_log = structlog.get_logger(area="storage")
_pool: ThreadPoolExecutor | None = None


def _forget_pool() -> None:
    """A fork has none of its parent's threads."""
    global _pool
    _pool = None


os.register_at_fork(after_in_child=_forget_pool)


def _sync(fd: int) -> None:
    try:
        os.fdatasync(fd)
    finally:
        os.close(fd)


class Alongside:
    """What one writer has under way. ``start`` and ``wait`` in the same thread."""

    def __init__(self) -> None:
        self._started: list[tuple[Future[None], str]] = []

    def start(self, fd: int, path: str) -> None:
        """Have the octets of an open file made durable; ``fd`` may be closed at once."""
        global _pool
        disk.step("fdatasync", path)
        if _pool is None:
            _pool = ThreadPoolExecutor(THREADS, "fdatasync")
        self._started.append((_pool.submit(_sync, os.dup(fd)), path))

    def wait(self) -> None:
        """Until all of it is durable."""
        started, self._started = self._started, []
        for future, path in started:
            try:
                future.result()
            except OSError as error:
                _log.warning("file was not fsynced", path=path, error=str(error))
