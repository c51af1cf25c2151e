"""Events on disk, from before the command's answer until they are dealt with.

Theory of operation. A process appends lines to a file of its own, which it holds locked (flock), and counts how many of them are not dealt
with. What is dealt with gets a line that says so; at none left the file is cut to nothing when it has grown (not each time: a write behind
a cut costs the disk three times as much). An append costs one fdatasync. What commands note at one time is written as one. A file that
grew long is left for a new one, and goes when its last event is dealt with. A file that nobody holds locked is the legacy of a process that
was killed: ``adopt`` takes it over. ::

    file = *( event LF / "done" [SP number] LF )     ; event: a JSON object; number: of the event in the file, from 0; without: all so far

Crash windows. Between the commit of the mailbox and the line: the event is lost, and the command was not answered. Between the end of the
work and the line that says so (in a power cut, the next fdatasync): the work is done again; listeners must bear that. So a kill repeats
what was at work, not what was noted with it. A file has its name only once it is locked, so that no process takes over what another one is
about to write.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import itertools
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mas import logs
from mas.events.model import MailEvent, parse_line

_log = logs.get_logger("events")
T = TypeVar("T")
_SUFFIX = ".events"
_LONG = 1 << 20
_CUT_AT = 1 << 16
_DONE = b"done"
_number = itertools.count()


class Segment:
    """One file, open and locked; ``events``: how many were written; ``waiting``: how many of them are not dealt with."""

    __slots__ = ("descriptor", "events", "path", "size", "waiting")

    def __init__(self, path: Path, descriptor: int, waiting: int = 0) -> None:
        self.path = path
        self.descriptor = descriptor
        self.size = 0
        self.events = 0
        self.waiting = waiting


@dataclass(frozen=True, slots=True)
class Place:
    """Where an event stands."""

    segment: Segment
    number: int


class _Batch:
    """What is written as one; ``first``: number of its first event in the file."""

    __slots__ = ("first", "lines", "task")

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.first = 0
        self.task: asyncio.Task[Segment | None] | None = None


class Journal:
    """The journal of one process in a folder that it shares with the others. On the event loop; ``adopt`` is called in a thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._current: Segment | None = None
        self._open: set[Segment] = set()
        self._lock = asyncio.Lock()
        self._batch: _Batch | None = None
        self._failed = False
        # A thread of its own: commands wait for it, and the others may all be busy with scripts.
        self._thread = ThreadPoolExecutor(1, "events")

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def write(self, events: Sequence[MailEvent]) -> list[Place] | None:
        """Keep events; durable on return. None when the disk does not take them: that is logged, and the caller has them in memory."""
        batch = self._batch
        if batch is None:
            batch = self._batch = _Batch()
            batch.task = asyncio.get_running_loop().create_task(self._write_batch(batch))
        offset = len(batch.lines)
        batch.lines.extend(event.line() for event in events)
        assert batch.task is not None
        # A session that is cut off must not take the lines of others with it.
        segment = await asyncio.shield(batch.task)
        if segment is None:
            return None
        return [Place(segment, batch.first + offset + at) for at in range(len(events))]

    async def _write_batch(self, batch: _Batch) -> Segment | None:
        async with self._lock:
            self._batch = None
            count = len(batch.lines)
            old = self._current
            if old is not None:
                old.waiting += count  # it must not be cut meanwhile
            try:
                segment = await self._in_thread(lambda: self._append(old, b"".join(batch.lines)))
            except OSError as error:
                if not self._failed:
                    _log.error("events cannot be kept on disk, a crash would lose them", error=str(error))
                self._failed = True
                self._current = None  # half a line may stand in the old file
                if old is not None:
                    self._leave(old, count)
                return None
            self._failed = False
            if segment is not old:
                segment.waiting = count
                self._current = segment
                self._open.add(segment)
                if old is not None:
                    self._leave(old, count)
            batch.first = segment.events
            segment.events += count
            return segment

    def _append(self, segment: Segment | None, data: bytes) -> Segment:
        if segment is None or segment.size > _LONG:
            segment = self._new()
        view = memoryview(data)
        while view:
            view = view[os.write(segment.descriptor, view) :]
        os.fdatasync(segment.descriptor)
        segment.size += len(data)
        return segment

    def _new(self) -> Segment:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{time.time_ns():020d}.{os.getpid()}.{next(_number)}{_SUFFIX}"
        aside, path = self.folder / f".{name}", self.folder / name
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.rename(aside, path)
            self._sync()
        except BaseException:
            os.close(descriptor)
            with contextlib.suppress(OSError):
                aside.unlink(missing_ok=True)
            raise
        return Segment(path, descriptor)

    def _sync(self) -> None:
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _leave(self, segment: Segment, not_written: int) -> None:
        """No more is written to it."""
        segment.waiting -= not_written
        if not segment.waiting:
            self._remove(segment)

    def done(self, place: Place) -> None:
        """An event is dealt with."""
        segment = place.segment
        segment.waiting -= 1
        if not segment.waiting and segment is not self._current:
            self._remove(segment)
            return
        with contextlib.suppress(OSError):
            if segment.waiting:
                segment.size += os.write(segment.descriptor, b"%s %d\n" % (_DONE, place.number))
            elif segment.size > _CUT_AT:
                os.ftruncate(segment.descriptor, 0)
                segment.size = segment.events = 0
            else:
                segment.size += os.write(segment.descriptor, _DONE + b"\n")

    def _remove(self, segment: Segment) -> None:
        self._open.discard(segment)
        with contextlib.suppress(OSError):
            segment.path.unlink(missing_ok=True)
        os.close(segment.descriptor)

    async def leave_for_later(self, events: Sequence[MailEvent]) -> bool:
        """Keep events in a file that nobody holds: some process will adopt it. Whether that worked."""

        def write() -> None:
            os.close(self._append(None, b"".join([event.line() for event in events])).descriptor)

        try:
            await self._in_thread(write)
        except OSError as error:
            _log.error("events cannot be kept on disk", folder=str(self.folder), error=str(error))
            return False
        return True

    def adopt(self) -> list[tuple[Place, MailEvent]] | None:
        """The events of the oldest file that nobody holds. Blocks. None when there is none. ``hold`` follows, on the loop."""
        try:
            names = sorted(name for name in os.listdir(self.folder) if name.endswith(_SUFFIX) and name[0] != ".")
        except FileNotFoundError:
            return None
        for name in names:
            path = self.folder / name
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                continue
            events: dict[int, MailEvent] = {}
            if os.fstat(descriptor).st_nlink:
                with os.fdopen(os.dup(descriptor), "rb") as file:
                    content = file.read()
                events = unfinished(content)
                if events:
                    if not content.endswith(b"\n"):
                        with contextlib.suppress(OSError):
                            os.write(descriptor, b"\n")  # a torn line must not take the next one along
                    segment = Segment(path, descriptor, len(events))
                    return [(Place(segment, number), event) for number, event in events.items()]
                path.unlink(missing_ok=True)
            os.close(descriptor)
        return None

    def hold(self, segment: Segment) -> None:
        """An adopted file is this process's now."""
        self._open.add(segment)

    def close(self) -> None:
        """Leave what is not dealt with to others; remove what is."""
        for segment in list(self._open):
            if segment.waiting:
                os.close(segment.descriptor)
            else:
                self._remove(segment)
        self._open.clear()
        self._current = None
        self._thread.shutdown(wait=False)


def unfinished(content: bytes) -> dict[int, MailEvent]:
    """The events of a file that are not dealt with, by number, as far as it tells."""
    waiting: dict[int, MailEvent] = {}
    number = 0
    for line in content.split(b"\n"):
        if line == _DONE:
            waiting.clear()
        elif line.startswith(_DONE):
            with contextlib.suppress(ValueError):
                waiting.pop(int(line.removeprefix(_DONE)), None)
        elif line:
            event = parse_line(line)
            if event is not None:
                waiting[number] = event
            number += 1
    return waiting
