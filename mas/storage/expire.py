"""Autoexpunge: messages that were saved to a mailbox longer ago than its ``autoexpunge``, or that are more than its
``autoexpunge_max_mails``, are removed.

By save date (when the message came into this mailbox), not by its own date: a message moved to Junk stays there for the whole time.
Runs at logout, after a delivery, on a timer and by ``mas expire``. Promises: one run an account at a time over all processes (a second one
returns at once: the work is being done), a bounded number of messages a run and a batch, the oldest first, and nothing that another
session was promised is taken back: it is an expunge like any other, announced and remembered.

The lock is Dovecot's own file name, held with flock, so that it does not outlive its holder.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from mas.storage.model import MailboxName, Uid

LOCK_NAME = "dovecot.autoexpunge.lock"
BATCH = 1000
"""Messages an expunge: one index transaction, a few dozen milliseconds under the account's lock."""
MAX_PER_RUN = 20_000
"""Messages a run; the rest goes in the next ones, so that a logout never waits for a decade of junk."""


class Expiring(Protocol):
    """What expiry needs of an account's storage."""

    async def oldest(self, name: MailboxName, saved_before: int | None, beyond: int, limit: int) -> Sequence[Uid]:
        """At most ``limit`` uids, oldest save date first: those saved before ``saved_before`` (seconds since the epoch), or when that
        is None those that are more than the newest ``beyond``. Empty when there is no such mailbox."""
        ...

    async def expunge_uids(self, name: MailboxName, uids: Sequence[Uid]) -> int:
        """Remove these messages, whatever their flags; returns how many were still there."""
        ...


@contextmanager
def expire_lock(directory: Path) -> Iterator[bool]:
    """Hold the account's expiry lock; False when somebody else has it. Never waits. Raises OSError when it cannot be made."""
    descriptor = os.open(directory / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


async def expire(
    store: Expiring,
    rules: Mapping[MailboxName, tuple[float, int]],
    directory: Path,
    *,
    now: float | None = None,
    max_messages: int = MAX_PER_RUN,
) -> int:
    """Run ``rules`` (``SpecialMailboxes.expiring``) over one account; returns how many messages went.

    directory: the account's control directory, for the lock.
    """
    if not rules:
        return 0
    moment = time.time() if now is None else now
    removed = 0
    with expire_lock(directory) as ours:
        if not ours:
            return 0
        for name, (age, max_mails) in rules.items():
            if age:
                removed += await _remove(store, name, int(moment - age), 0, max_messages - removed)
            if max_mails:
                removed += await _remove(store, name, None, max_mails, max_messages - removed)
    return removed


async def _remove(store: Expiring, name: MailboxName, saved_before: int | None, beyond: int, left: int) -> int:
    removed = 0
    while removed < left:
        limit = min(BATCH, left - removed)
        uids = await store.oldest(name, saved_before, beyond, limit)
        if not uids:
            break
        gone = await store.expunge_uids(name, uids)
        removed += gone
        if not gone or len(uids) < limit:
            break
    return removed
