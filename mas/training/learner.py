"""Copies and moves to lessons for the spam filter, behind the client's back: a command never waits for it and never fails by it.

``copied`` only notes what happened, in a bounded list. A task reads the message and puts it into a queue on disk; from then on the lesson
outlives the process and a controller that is down. What is lost: what was noted and not yet read when the process is killed, and what
does not fit the list (logged). One message is one lesson of a class, whoever moves it how often, for as long as the memory goes.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from mas import logs
from mas.errors import MasError
from mas.filtering.memory import Memory
from mas.outgoing.queue import Envelope, Queue
from mas.storage.interface import Account, Octets, Store
from mas.storage.mime.section import Section
from mas.storage.model import MailboxName
from mas.user import User

_log = logs.get_logger("training")
MAX_NOTED = 1000
_REMEMBERED_SECONDS = 30 * 86400.0
_JUNK, _TRASH = "\\junk", "\\trash"


@dataclass(frozen=True, slots=True)
class _Copied:
    user: User
    source: MailboxName
    target: MailboxName
    uids: Sequence[int]


class Learner:
    """The training of one process."""

    def __init__(self, store: Store, queue: Queue, memory: Memory) -> None:
        self._store = store
        self._queue = queue
        self._memory = memory
        self._noted: asyncio.Queue[_Copied] = asyncio.Queue(MAX_NOTED)
        self._task: asyncio.Task[None] | None = None
        self.learnt = {"spam": 0, "ham": 0}

    def copied(self, user: User, source: MailboxName, target: MailboxName, uids: Sequence[int]) -> None:
        """Messages of ``source`` are now also, or only, in ``target`` under ``uids``. Returns at once."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work())
        try:
            self._noted.put_nowait(_Copied(user, source, target, uids))
        except asyncio.QueueFull:
            _log.warning("too much to learn at once, left out", user=user.name, messages=len(uids))

    async def finish(self) -> None:
        """Wait until everything noted is on disk and everything on disk was tried."""
        if self._task is not None:
            await self._noted.join()
            self._task.cancel()
            self._task = None
        await self._queue.close()

    async def _work(self) -> None:
        while True:
            event = await self._noted.get()
            try:
                await self._learn(event)
            except MasError as error:
                _log.warning("nothing learnt", user=event.user.name, why=str(error))
            except Exception:
                _log.exception("nothing learnt", user=event.user.name)
            finally:
                self._noted.task_done()

    async def _learn(self, event: _Copied) -> None:
        async with await self._store.open(event.user) as account:
            lesson = await _lesson(account, event.source, event.target)
            if not lesson:
                return
            selection = await account.select(event.target, read_only=True)
            try:
                async for batch in selection.octets(event.uids, Section()):
                    for _, octets in batch:
                        await self._add(event.user, lesson, await _whole(octets))
            finally:
                await selection.close()

    async def _add(self, user: User, lesson: str, message: bytes) -> None:
        digest = hashlib.sha256(message).hexdigest()
        # For all users as one: the filter's statistics are the host's.
        if not message or await asyncio.to_thread(self._memory.seen, "", f"learn\0{lesson}\0{digest}"):
            return
        await self._queue.add(Envelope("", [], lesson, user.name, digest), message)
        # What was spam may be ham again, and the other way.
        other = "ham" if lesson == "spam" else "spam"
        await asyncio.to_thread(self._memory.record, "", f"learn\0{other}\0{digest}", 0.0)
        await asyncio.to_thread(self._memory.record, "", f"learn\0{lesson}\0{digest}", _REMEMBERED_SECONDS)
        self.learnt[lesson] += 1


async def _lesson(account: Account, source: MailboxName, target: MailboxName) -> str:
    """``spam``, ``ham``, or nothing."""
    uses = {info.name: {use.lower() for use in info.special_use} for info in await account.list()}
    came, went = uses.get(source, set()), uses.get(target, set())
    if _JUNK in went:
        return "" if _JUNK in came else "spam"
    return "ham" if _JUNK in came and _TRASH not in went else ""


async def _whole(octets: bytes | Octets) -> bytes:
    return octets if isinstance(octets, bytes) else b"".join([chunk async for chunk in octets.chunks()])
