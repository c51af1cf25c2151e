"""Mail to be sent, as files that outlive the process. One file a message: a line of JSON with its envelope, then the message.

Crash windows. add() returns after fsync of file and folder: from then on the message will be sent. Between the server's 250 and the
unlink a power cut sends it again: that instant cannot be closed by anyone, so it is kept to one system call. Two processes never send
one file at once: the sender holds a lock on it (flock), and looks after locking whether the file still has its name.

The time of the next try is the file's mtime; how long to wait grows with the message's age, which its name tells. A message that is
older than ``lifetime`` or was refused for good goes to the caller's ``given_up``, and is gone when that has returned.

A server that nothing can be sent to (Unreachable) is no message's fault: their times stay. One of them finds out whether it is back, at
``run_due`` or, in a process without that timer, at the first ``add`` after half a minute; then all are sent. The log has one line when
it goes and one when it is back, not one a message.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import itertools
import json
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mas import logs
from mas.errors import DiskFull, MasError, StorageUnavailable

_log = logs.get_logger("outgoing")
_SUFFIX = ".mail"
_DAMAGED = ".damaged."
_HALF_WRITTEN = 3600.0
"""Seconds after which a file that is still being written belongs to nobody."""
_FIRST_WAIT, _LONGEST_WAIT = 60.0, 3600.0
_ASK_AGAIN = 30.0
_CLOSE_GRACE = 5.0
_MAX_ENVELOPE_LINE = 65536
_number = itertools.count()


class Refused(MasError):
    """The submission server refused the message for good (5xx)."""


class NotNow(MasError):
    """The submission server said 4xx, or was lost on the way: try this message again later."""


class Unreachable(NotNow):
    """Nothing can be sent now: no connection, or the server does not let this host in."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """Where a message goes. kind: ``redirect``, ``vacation`` …, for the log; user: whose script sent it; sender empty: ``<>``."""

    sender: str
    recipients: Sequence[str]
    kind: str
    user: str
    message_id: str = ""


Send = Callable[[Envelope, bytes], Awaitable[None]]
"""Sends one message or raises Refused, NotNow, Unreachable."""
GivenUp = Callable[[Envelope, bytes, str], Awaitable[None]]
"""Told of a message that will not be sent, and why."""


class Queue:
    """The queue of one host; any number of processes may use the folder at once.

    tries_at_once: messages being sent at one time by this process.
    """

    def __init__(
        self, folder: Path, send: Send, given_up: GivenUp, *, lifetime: float = 5 * 86400, tries_at_once: int = 4
    ) -> None:
        self.folder = folder
        self._send = send
        self._given_up = given_up
        self._lifetime = lifetime
        self._places = asyncio.Semaphore(tries_at_once)
        self._tasks: set[asyncio.Task[None]] = set()
        self._unreachable = False
        self._ask_again = 0.0

    async def add(self, envelope: Envelope, message: bytes) -> None:
        """Keep a message and begin to send it. On return it is durable. Raises DiskFull, StorageUnavailable."""
        name = await asyncio.to_thread(self._write, envelope, message)
        task = asyncio.get_running_loop().create_task(self._try(name))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _write(self, envelope: Envelope, message: bytes) -> str:
        name = f"{time.time_ns():020d}.{os.getpid()}.{next(_number)}{_SUFFIX}"
        path, aside = self.folder / name, self.folder / f".{name}"
        line = json.dumps(asdict(envelope)).encode() + b"\n"
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                view = memoryview(line + message)
                while view:
                    view = view[os.write(descriptor, view) :]
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.rename(aside, path)
            self._sync()
        except OSError as error:
            with contextlib.suppress(OSError):
                aside.unlink(missing_ok=True)
            kind = DiskFull if error.errno in (28, 122) else StorageUnavailable
            raise kind(f"{path}: {error.strerror}") from error
        return name

    def _sync(self) -> None:
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    async def run_due(self) -> None:
        """Try everything whose time has come, and return when all tries have ended (a timer calls this)."""
        names = await asyncio.to_thread(self._due)
        if self._unreachable and names:
            await self._try(names.pop(0), probe=True)
        await asyncio.gather(*(self._try(name) for name in names))

    def _due(self) -> list[str]:
        now = time.time()
        found = []
        with contextlib.suppress(FileNotFoundError), os.scandir(self.folder) as entries:
            for entry in entries:
                if not entry.name.endswith(_SUFFIX) or entry.name.startswith(_DAMAGED):
                    continue
                with contextlib.suppress(FileNotFoundError):
                    changed = entry.stat().st_mtime
                    if entry.name.startswith("."):
                        # A process that was killed has left it; nobody was told that it will be sent.
                        if changed < now - _HALF_WRITTEN:
                            os.unlink(entry.path)
                    elif changed <= now:
                        found.append(entry.name)
        return sorted(found)

    def __len__(self) -> int:
        """Messages waiting (a metric; looks at the folder)."""
        with contextlib.suppress(FileNotFoundError):
            return sum(name.endswith(_SUFFIX) and not name.startswith(".") for name in os.listdir(self.folder))
        return 0

    async def close(self) -> None:
        """Wait for the tries that this process has begun, and break off those that hang: their messages are tried again later."""
        if self._tasks:
            _, hanging = await asyncio.wait(self._tasks, timeout=_CLOSE_GRACE)
            for task in hanging:
                task.cancel()
            if hanging:
                _log.warning("tries to send broken off", tries=len(hanging), queue=str(self.folder))
                await asyncio.wait(hanging)

    async def _try(self, name: str, *, probe: bool = False) -> None:
        async with self._places:
            if self._unreachable and not probe and time.monotonic() < self._ask_again:
                return
            path = self.folder / name
            opening = asyncio.ensure_future(asyncio.to_thread(_open_locked, path))
            try:
                descriptor = await asyncio.shield(opening)
            except asyncio.CancelledError:
                # The thread goes on, and its lock would keep the message from everybody else.
                if (late := await opening) is not None:
                    os.close(late)
                raise
            if descriptor is None:
                return
            try:
                await self._send_file(name, path, descriptor)
            except Exception as error:
                # Whatever it was, the message is still there, and its turn comes again.
                _log.error("queue file cannot be dealt with, will be tried again", file=str(path), error=repr(error))
                with contextlib.suppress(OSError):
                    await asyncio.to_thread(os.utime, descriptor, (time.time() + _FIRST_WAIT,) * 2)
            finally:
                os.close(descriptor)

    async def _send_file(self, name: str, path: Path, descriptor: int) -> None:
        read = await asyncio.to_thread(_read, descriptor)
        if read is None:
            _log.error("queue file is damaged, set aside", file=str(path))
            await asyncio.to_thread(os.rename, path, path.with_name(f"{_DAMAGED}{name}"))
            return
        envelope, message = read
        age = time.time() - int(name.partition(".")[0]) / 1e9
        fields = {
            "kind": envelope.kind,
            "user": envelope.user,
            "to": ", ".join(envelope.recipients),
            "msgid": envelope.message_id,
        }
        try:
            await self._send(envelope, message)
        except Unreachable as error:
            if age < self._lifetime:
                self._ask_again = time.monotonic() + _ASK_AGAIN
                if not self._unreachable:
                    self._unreachable = True
                    _log.warning("nothing can be sent now", kind=envelope.kind, error=str(error), waiting=len(self))
                return
            await self._give_up(envelope, message, f"gave up after {age / 86400:.1f} days: {error}", fields)
        except NotNow as error:
            self._reached()
            if age < self._lifetime:
                wait = min(max(age, _FIRST_WAIT), _LONGEST_WAIT)
                _log.warning("not sent yet", **fields, error=str(error), next_try_in=f"{wait:.0f}s")
                await asyncio.to_thread(os.utime, descriptor, (time.time() + wait,) * 2)
                return
            await self._give_up(envelope, message, f"gave up after {age / 86400:.1f} days: {error}", fields)
        except Refused as error:
            self._reached()
            await self._give_up(envelope, message, str(error), fields)
        else:
            self._reached()
            _log.info("sent", **fields)
        await asyncio.to_thread(self._remove, path)

    def _reached(self) -> None:
        if self._unreachable:
            self._unreachable = False
            _log.info("can be sent again", queue=str(self.folder))

    async def _give_up(self, envelope: Envelope, message: bytes, why: str, fields: dict[str, str]) -> None:
        _log.error("will not be sent", **fields, error=why)
        await self._given_up(envelope, message, why)

    def _remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._sync()


def _open_locked(path: Path) -> int | None:
    """The file, locked for this process; None when another has it or has just finished with it."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    if os.fstat(descriptor).st_nlink == 0:
        os.close(descriptor)
        return None
    return descriptor


def _read(descriptor: int) -> tuple[Envelope, bytes] | None:
    with os.fdopen(os.dup(descriptor), "rb") as file:
        file.seek(0)
        line = file.readline(_MAX_ENVELOPE_LINE)
        try:
            return Envelope(**json.loads(line)), file.read()
        except (ValueError, TypeError):
            return None
