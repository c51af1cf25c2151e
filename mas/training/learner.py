"""Copies, moves and appends to lessons for the spam filter, behind the client's back: a command never waits for it and never fails by it.

A listener of ``mas.events``, which keeps the event on disk until the lesson is in a queue on disk as well: neither a kill nor a controller
that is down loses it. What is lost: a message that is gone from its mailbox before it was read. One message is one lesson of a class,
whoever moves it how often, for as long as the memory goes: so an event that comes twice teaches nothing twice.

Into Junk is spam: by COPY, MOVE, or APPEND (how clients move from another account). Out of Junk is ham, unless into Trash.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable

from mas import logs
from mas.events.model import Cause, MailEvent
from mas.filtering.memory import Memory
from mas.outgoing.queue import Envelope, Queue
from mas.storage.interface import Account, Octets, Store
from mas.storage.mime.section import Section
from mas.user import User

_log = logs.get_logger("training")
_REMEMBERED_SECONDS = 30 * 86400.0
_JUNK, _TRASH = "\\junk", "\\trash"


class Learner:
    """The training of one process. count: told ``spam`` or ``ham`` for each new lesson."""

    flags_wanted = False

    def __init__(self, store: Store, queue: Queue, memory: Memory, count: Callable[[str], Awaitable[object]]) -> None:
        self._store = store
        self._queue = queue
        self._memory = memory
        self._count = count

    async def wants(self, account: Account, event: MailEvent) -> bool:
        """As Listener.wants."""
        return bool(await lesson(account, event))

    async def handle(self, user: User, event: MailEvent) -> None:
        """As Listener.handle. Raises StorageUnavailable, MailboxNotFound."""
        if event.cause is Cause.FLAG:
            return
        async with await self._store.open(user) as account:
            kind = await lesson(account, event)
            if not kind:
                return
            selection = await account.select(event.name, read_only=True)
            try:
                if selection.snapshot.uid_validity != event.uid_validity:
                    return
                async for batch in selection.octets(event.uids, Section()):
                    for _, octets in batch:
                        await self._add(user, kind, await _whole(octets))
            finally:
                await selection.close()

    async def _add(self, user: User, kind: str, message: bytes) -> None:
        digest = hashlib.sha256(message).hexdigest()
        # For all users as one: the filter's statistics are the host's.
        if not message or await asyncio.to_thread(self._memory.seen, "", f"learn\0{kind}\0{digest}"):
            return
        await self._queue.add(Envelope("", [], kind, user.name, digest), message)
        # What was spam may be ham again, and the other way.
        other = "ham" if kind == "spam" else "spam"
        await asyncio.to_thread(self._memory.record, "", f"learn\0{other}\0{digest}", 0.0)
        await asyncio.to_thread(self._memory.record, "", f"learn\0{kind}\0{digest}", _REMEMBERED_SECONDS)
        await self._count(kind)


async def lesson(account: Account, event: MailEvent) -> str:
    """``spam``, ``ham``, or nothing."""
    if event.cause is Cause.FLAG:
        return ""
    came: set[str] = set()
    went: set[str] = set()
    for info in await account.list():
        if info.special_use:
            if info.name == event.source:
                came = {use.lower() for use in info.special_use}
            if info.name == event.mailbox:
                went = {use.lower() for use in info.special_use}
    if _JUNK in went:
        return "" if _JUNK in came else "spam"
    return "ham" if _JUNK in came and _TRASH not in went else ""


async def _whole(octets: bytes | Octets) -> bytes:
    return octets if isinstance(octets, bytes) else b"".join([chunk async for chunk in octets.chunks()])
