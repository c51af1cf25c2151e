"""Where the IMAP handlers bring events, and from where the listeners get them. ``mas.services.MailEvents``.

A command that nobody listens to costs a look at the rules. Else it waits until the event is in the journal, not for what follows: that is
done by a few tasks, one event of a user at a time, in the user's order, once his clients are quiet for a moment: a script, a program or a
lesson would take processor, account lock and disk from his next command. Who is never quiet waits ``LONGEST`` such moments, and then all
that has gathered is dealt with. A listener that cannot work now (disk full, database down) gets the event again later, for
``Pace.lifetime``; any other failure is logged and the event is done. What is more than ``Pace.max_waiting`` goes to files that are adopted
when there is room.

A session that is cut off while it notes an event does not take it along: the mailbox is changed by then.

At the end of the process what is not dealt with stays in the journal: the next one takes it up.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mas import logs
from mas.errors import AuthUnavailable, MasError, StorageUnavailable, UserUnknown
from mas.events.journal import Journal, Place
from mas.events.model import Cause, MailEvent
from mas.storage.interface import Account, Selection
from mas.storage.model import Copied, FlagChange, MailboxName, Saved
from mas.user import User

_log = logs.get_logger("events")
GIVEN_UP = "event given up after events.lifetime"
PIECE = 20
"""Messages of an event as it is handed to listeners."""
LONGEST = 50
"""Moments of quiet that a user's events wait at most."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How much, how soon, for how long: the section ``[events]``. Seconds.

    max_waiting: events in memory of one process. at_once: users whose events are dealt with at one time. quiet: how long a user's clients
    have done nothing of interest before his are. lifetime: of an event that cannot be dealt with. close_timeout: for what is at work when
    the process ends.
    """

    max_waiting: int = 10_000
    at_once: int = 4
    quiet: float = 0.0
    lifetime: float = 86_400.0
    close_timeout: float = 5.0


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
    place: Place | None
    listeners: list[Listener]
    user: User | None = None


@dataclass(slots=True, eq=False)
class _Line:
    """A user's events in order. began, last: when the first and the last one came, on the loop's clock. timer: it waits for quiet."""

    began: float
    last: float
    entries: deque[_Entry] = field(default_factory=deque)
    timer: asyncio.TimerHandle | None = None


class Desk:
    """The events of one process. lookup: the user of a name, for events that another process left."""

    def __init__(
        self,
        folder: Path,
        listeners: Sequence[Listener],
        lookup: Callable[[str], Awaitable[User]],
        pace: Pace = Pace(),  # frozen
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.flags_wanted = any(listener.flags_wanted for listener in listeners)
        self._listeners = listeners
        self._lookup = lookup
        self._pace = pace
        self._clock = clock
        self._journal = Journal(folder)
        self._by_user: dict[str, _Line] = {}
        self._noting: set[asyncio.Future[None]] = set()
        self._full = False
        self._closing = False
        self._ready: asyncio.Queue[str] = asyncio.Queue()
        self._again: list[_Entry] = []
        self._waiting = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._tasks: list[asyncio.Task[None]] = []

    # What handlers call

    async def copied(
        self, account: Account, source: Selection, target: MailboxName, copied: Copied, *, moved: bool
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
                source.name,
                () if moved else tuple(copied.source),
                source_uid_validity=source.snapshot.uid_validity,
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
        if event.uids:
            noting = asyncio.ensure_future(self._keep(account, event))
            self._noting.add(noting)
            noting.add_done_callback(self._noting.discard)
            await asyncio.shield(noting)

    async def _keep(self, account: Account, event: MailEvent) -> None:
        try:
            if not await self._wanted(account, event):
                return
            pieces = list(event.pieces(PIECE))
            if self._has_no_room() and await self._journal.leave_for_later(pieces):
                return
            places = await self._journal.write(pieces)
            for at, piece in enumerate(pieces):
                self._queue(_Entry(piece, places[at] if places else None, list(self._listeners), account.user))
        except Exception:
            _log.exception("event not noted", user=event.user, mailbox=event.mailbox)

    async def _wanted(self, account: Account, event: MailEvent) -> bool:
        """Also when nobody can tell now: they look again when it is dealt with."""
        for listener in self._listeners:
            try:
                if await listener.wants(account, event):
                    return True
            except StorageUnavailable:
                return True
        return False

    def _has_no_room(self) -> bool:
        full = self._waiting >= self._pace.max_waiting
        if full and not self._full:
            _log.warning(
                "many events wait, further ones stay on disk for now",
                key="events.max_waiting",
                limit=self._pace.max_waiting,
            )
        self._full = full
        return full

    def _queue(self, entry: _Entry, *, late: bool = False) -> None:
        """``late``: it has waited already, and does not ask for quiet."""
        loop = asyncio.get_running_loop()
        if not self._tasks:
            self._tasks = [loop.create_task(self._work()) for _ in range(self._pace.at_once)]
        self._waiting += 1
        self._idle.clear()
        now, name = loop.time(), entry.event.user
        line = self._by_user.get(name)
        if line is None:
            long_ago = now - LONGEST * self._pace.quiet
            line = self._by_user[name] = _Line(*((long_ago, long_ago) if late else (now, now)))
            line.entries.append(entry)
            self._when_quiet(name)
            return
        line.entries.append(entry)
        if not late:
            line.last = now

    def _when_quiet(self, name: str) -> None:
        """The user's next event is due, or will be."""
        loop, line, quiet = asyncio.get_running_loop(), self._by_user[name], self._pace.quiet
        due = min(line.last + quiet, line.began + LONGEST * quiet)
        if self._closing or due <= loop.time():
            line.timer = None
            self._ready.put_nowait(name)
        else:
            line.timer = loop.call_at(due, self._when_quiet, name)

    # What follows

    async def _work(self) -> None:
        while True:
            name = await self._ready.get()
            line = self._by_user[name]
            entry = line.entries.popleft()
            try:
                done = await self._handle(entry)
            finally:
                if line.entries:
                    self._when_quiet(name)
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
        late = self._clock() - event.at > self._pace.lifetime
        try:
            if entry.user is None:
                entry.user = await self._lookup(event.user)
        except UserUnknown:
            return True
        except MasError as error:
            log.warning(GIVEN_UP if late else "event waits", why=str(error))
            return late
        for listener in list(entry.listeners):
            try:
                await listener.handle(entry.user, event)
            except (StorageUnavailable, AuthUnavailable) as error:
                log.warning(GIVEN_UP if late else "event waits", why=str(error))
                if not late:
                    continue
            except MasError as error:
                log.info("event left out", why=str(error))
            except Exception:
                log.exception("event left out")
            entry.listeners.remove(listener)
        return not entry.listeners

    def _end(self, entry: _Entry) -> None:
        if entry.place is not None:
            self._journal.done(entry.place)
        self._left()

    def _left(self) -> None:
        self._waiting -= 1
        if not self._waiting:
            self._idle.set()

    async def catch_up(self) -> None:
        """Take up what could not be done before, and what other processes left (a timer calls this, first at the start)."""
        again, self._again = self._again, []
        for entry in again:
            self._queue(entry, late=True)
        while self._waiting < self._pace.max_waiting:
            found = await asyncio.to_thread(self._journal.adopt)
            if found is None:
                return
            self._journal.hold(found[0][0].segment)
            for place, event in found:
                self._queue(_Entry(event, place, list(self._listeners)), late=True)

    async def idle(self) -> None:
        """Wait until everything noted is dealt with or waits for a better time."""
        await self._idle.wait()

    async def close(self) -> None:
        """Finish what can be finished soon; the rest stays in the journal."""
        self._closing = True
        for name, line in list(self._by_user.items()):
            if line.timer is not None:
                line.timer.cancel()
                self._when_quiet(name)
        try:
            async with asyncio.timeout(self._pace.close_timeout):
                await asyncio.gather(*self._noting)
                await self.idle()
        except TimeoutError:
            _log.info("events are left for the next start", events=self._waiting)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        self._journal.close()
