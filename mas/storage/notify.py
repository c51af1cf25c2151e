"""inotify for the event loop: one instance a process, one callback a path.

Watches say "look again", never what happened: whoever is called compares with what it knows. A watch of a directory fires once, and is set
anew when its callbacks are called, ``QUIET`` later: a burst of 20,000 renames costs a few looks, and a file that any process of ours has
put there is in the index by then, so that the look finds nothing to do. Linux only; elsewhere, and when the kernel's limit is reached,
``watch`` answers False and the caller falls back to looking now and then.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import struct
from collections.abc import Callable

import structlog

_IN_MODIFY, _IN_MOVED_FROM, _IN_MOVED_TO, _IN_CREATE, _IN_DELETE = 0x2, 0x40, 0x80, 0x100, 0x200
_IN_IGNORED, _IN_ONESHOT = 0x8000, 0x80000000
_DIRECTORY = _IN_MOVED_FROM | _IN_MOVED_TO | _IN_CREATE | _IN_DELETE | _IN_ONESHOT
_EVENT = struct.Struct("iIII")
QUIET = 0.03
"""Seconds between the first change of a directory and the look at it."""
_log = structlog.get_logger(area="storage")


class Notify:
    """Make it on the loop; ``close`` it there."""

    def __init__(self) -> None:
        self._fd = -1
        self._paths: dict[int, str] = {}
        self._watches: dict[str, tuple[int, bool, list[Callable[[], None]]]] = {}
        self._later: dict[str, asyncio.TimerHandle] = {}
        self._warned = False
        self._libc = ctypes.CDLL(None, use_errno=True)

    def _open(self) -> bool:
        if self._fd >= 0:
            return True
        try:
            self._fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        except AttributeError:
            return False
        if self._fd < 0:
            self._warn(ctypes.get_errno(), "fs.inotify.max_user_instances")
            return False
        asyncio.get_running_loop().add_reader(self._fd, self._read)
        return True

    def watch(self, path: str, callback: Callable[[], None], *, directory: bool) -> bool:
        """Call ``callback`` on the loop when ``path`` changes. False: it cannot be watched."""
        known = self._watches.get(path)
        if known is not None:
            known[2].append(callback)
            return True
        number = self._add(path, directory)
        if number < 0:
            return False
        self._watches[path] = (number, directory, [callback])
        return True

    def _add(self, path: str, directory: bool) -> int:
        if not self._open():
            return -1
        number = self._libc.inotify_add_watch(
            self._fd, os.fsencode(path), ctypes.c_uint32(_DIRECTORY if directory else _IN_MODIFY)
        )
        if number < 0:
            self._warn(ctypes.get_errno(), "fs.inotify.max_user_watches")
            return -1
        self._paths[number] = path
        return int(number)

    def _warn(self, code: int, sysctl: str) -> None:
        if not self._warned and code in (errno.ENOSPC, errno.EMFILE):
            self._warned = True
            _log.warning("cannot watch files, looking every second instead; raise the kernel's limit", sysctl=sysctl)

    def unwatch(self, path: str, callback: Callable[[], None]) -> None:
        known = self._watches.get(path)
        if known is None or callback not in known[2]:
            return
        known[2].remove(callback)
        if not known[2]:
            del self._watches[path]
            if path in self._later:
                self._later.pop(path).cancel()
            if self._paths.pop(known[0], None) is not None:
                self._libc.inotify_rm_watch(self._fd, known[0])

    def _read(self) -> None:
        try:
            data = os.read(self._fd, 1 << 16)
        except BlockingIOError:
            return
        fired: dict[str, None] = {}
        position = 0
        while position < len(data):
            number, mask, _, length = _EVENT.unpack_from(data, position)
            position += _EVENT.size + length
            path = self._paths.get(number)
            if path is None:
                continue
            if mask & _IN_IGNORED:
                del self._paths[number]
            if path in self._watches:
                fired[path] = None
        for path in fired:
            known = self._watches.get(path)
            if known is None:
                continue
            if not known[1]:
                self._call(path)
            elif path not in self._later:
                self._later[path] = asyncio.get_running_loop().call_later(QUIET, self._renew, path)

    def _renew(self, path: str) -> None:
        """The one shot was fired (or the path removed): watch again. The callbacks come after this, so their look misses nothing."""
        del self._later[path]
        _, _, callbacks = self._watches[path]
        number = self._add(path, True)
        if number < 0:
            del self._watches[path]
        else:
            self._watches[path] = (number, True, callbacks)
            self._call(path)

    def _call(self, path: str) -> None:
        for callback in list(self._watches[path][2]) if path in self._watches else ():
            callback()

    def close(self) -> None:
        for timer in self._later.values():
            timer.cancel()
        self._later.clear()
        if self._fd >= 0:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
        self._paths.clear()
        self._watches.clear()
