"""Where the IMAP handlers bring events, and from where the listeners get them. ``mas.services.MailEvents``.

A command that nobody listens to costs a look at the rules. Else it waits until the event is in the journal, not for what follows: that is
done by a few tasks, one event of a user at a time, in the user's order. A listener that cannot work now (disk full, database down) gets
the event again later, for a day; any other failure is logged and the event is done. What is more than ``MAX_WAITING`` goes to files that
are adopted when there is room.

At the end of the process what is not dealt with stays in the journal: the next one takes it up.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mas import logs
from mas.errors import AuthUnavailable, MasError, StorageUnavailable, UserUnknown
from mas.events.journal import Journal, Segment
from mas.events.model import Cause, MailEvent
from mas.storage.interface import Account
from mas.storage.model import Copied, FlagChange, MailboxName, Saved
from mas.user import User

_log = logs.get_logger("events")
MAX_WAITING = 10_000
"""Events in memory of one process, of at most ``PIECE`` messages each."""
PIECE = 20
AT_ONCE = 4
LIFETIME = 86_400.0
CLOSE_SECONDS = 5.0


class Listener(Protocol):
    """Somebody who acts on events."""

    flags_wanted: bool
    """Whether flag changes may be of interest."""

    async def wants(self, account: Account, event: MailEvent) -> bool:
        """Whether the event is of interest: a command waits for the answer, so from memory."""
        ...

    async def handle(self, user: User, event: MailEvent) -> None:
        """Act. May come twice for one event. Raises StorageUnavailable: not now."""
        ...


@dataclass(slots=True, eq=False)
class _Entry:
    event: MailEvent
    segment: Segment | None
    listeners: list[Listener]
    user: User | None = None


class Desk:
    """The events of one process. lookup: the user of a name, for events that another process left."""

    def __init__(
        self,
        folder: Path,
        listeners: Sequence[Listener],
        lookup: Callable[[str], Awaitable[User]],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.flags_wanted = any(listener.flags_wanted for listener in listeners)
        self._listeners = listeners
        self._lookup = lookup
        self._clock = clock
        self._journal = Journal(folder)
        self._by_user: dict[str, deque[_Entry]] = {}
        self._ready: asyncio.Queue[str] = asyncio.Queue()
        self._again: list[_Entry] = []
        self._waiting = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._tasks: list[asyncio.Task[None]] = []

    # What handlers call

    async def copied(
        self, account: Account, source: MailboxName, target: MailboxName, copied: Copied, *, moved: bool
    ) -> None:
        """As MailEvents.copied."""
        await self._note(
            account,
            MailEvent(
                account.user.name,
                Cause.COPY,
                target,
                copied.uid_validity,
                tuple(copied.target),
                self._clock(),
                source,
                () if moved else tuple(copied.source),
            ),
        )

    async def appended(self, account: Account, mailbox: MailboxName, saved: Saved) -> None:
        """As MailEvents.appended."""
        await self._note(
            account,
            MailEvent(account.user.name, Cause.APPEND, mailbox, saved.uid_validity, tuple(saved.uids), self._clock()),
        )

    async def flags_changed(
        self, account: Account, mailbox: MailboxName, uid_validity: int, changed: Sequence[FlagChange]
    ) -> None:
        """As MailEvents.flags_changed."""
        groups: dict[tuple[tuple[str, ...], tuple[str, ...]], list[int]] = {}
        for change in changed:
            groups.setdefault((change.changed, change.flags), []).append(change.uid)
        for (names, flags), uids in groups.items():
            await self._note(
                account,
                MailEvent(
                    account.user.name,
                    Cause.FLAG,
                    mailbox,
                    uid_validity,
                    tuple(uids),
                    self._clock(),
                    changed_flags=names,
                    flags=flags,
                ),
            )

    async def _note(self, account: Account, event: MailEvent) -> None:
        if not event.uids:
            return
        try:
            for listener in self._listeners:
                if await listener.wants(account, event):
                    break
            else:
                return
            pieces = list(event.pieces(PIECE))
            if self._waiting >= MAX_WAITING and await self._journal.leave_for_later(pieces):
                return
            segment = await self._journal.write(pieces)
            for piece in pieces:
                self._queue(_Entry(piece, segment, list(self._listeners), account.user))
        except Exception:
            _log.exception("event not noted", user=event.user, mailbox=event.mailbox)

    def _queue(self, entry: _Entry) -> None:
        if not self._tasks:
            loop = asyncio.get_running_loop()
            self._tasks = [loop.create_task(self._work()) for _ in range(AT_ONCE)]
        self._waiting += 1
        self._idle.clear()
        line = self._by_user.get(entry.event.user)
        if line is None:
            self._by_user[entry.event.user] = deque([entry])
            self._ready.put_nowait(entry.event.user)
        else:
            line.append(entry)

    # What follows

    async def _work(self) -> None:
        while True:
            name = await self._ready.get()
            line = self._by_user[name]
            entry = line.popleft()
            try:
                done = await self._handle(entry)
            finally:
                if line:
                    self._ready.put_nowait(name)
                else:
                    del self._by_user[name]
            if done:
                self._end(entry)
            else:
                self._again.append(entry)
                self._left()

    async def _handle(self, entry: _Entry) -> bool:
        """Whether the event is dealt with."""
        event = entry.event
        log = _log.bind(user=event.user, mailbox=event.mailbox, cause=event.cause.value)
        late = self._clock() - event.at > LIFETIME
        try:
            if entry.user is None:
                entry.user = await self._lookup(event.user)
        except UserUnknown:
            return True
        except MasError as error:
            log.warning("event given up" if late else "event waits", why=str(error))
            return late
        for listener in list(entry.listeners):
            try:
                await listener.handle(entry.user, event)
            except (StorageUnavailable, AuthUnavailable) as error:
                log.warning("event given up" if late else "event waits", why=str(error))
                if not late:
                    continue
            except MasError as error:
                log.info("event left out", why=str(error))
            except Exception:
                log.exception("event left out")
            entry.listeners.remove(listener)
        return not entry.listeners

    def _end(self, entry: _Entry) -> None:
        if entry.segment is not None:
            self._journal.done(entry.segment)
        self._left()

    def _left(self) -> None:
        self._waiting -= 1
        if not self._waiting:
            self._idle.set()

    async def catch_up(self) -> None:
        """Take up what could not be done before, and what other processes left (a timer calls this, first at the start)."""
        again, self._again = self._again, []
        for entry in again:
            self._queue(entry)
        while self._waiting < MAX_WAITING:
            found = await asyncio.to_thread(self._journal.adopt)
            if found is None:
                return
            segment, events = found
            self._journal.hold(segment)
            for event in events:
                self._queue(_Entry(event, segment, list(self._listeners)))

    async def idle(self) -> None:
        """Wait until everything noted is dealt with or waits for a better time."""
        await self._idle.wait()

    async def close(self) -> None:
        """Finish what can be finished soon; the rest stays in the journal."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.idle()
        except TimeoutError:
            _log.info("events are left for the next start", events=self._waiting)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        self._journal.close()
