"""What a protocol session may use of the server: one frozen set of services, made once a worker by the composition root.

A session is ``async def run(channel, services) -> None``; whatever it needs beside its channel is here, so that a test can give it
others. Types only: nothing here starts, opens or knows a concrete implementation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mas.auth.interface import Authenticator
from mas.config import Config
from mas.protocols.session import Peer
from mas.storage.interface import Account, Selection, Store
from mas.storage.model import Copied, FlagChange, MailboxName, Saved


class Sessions(Protocol):
    """The live sessions of this host, over all workers: ``mas who``, ``mas kick``, ``max_user_ip_connections``.

    A session is known from login to the end of its connection; the listener takes it out, the protocol need not.
    """

    async def login(self, peer: Peer, user: str, limit: int) -> None:
        """The session of ``peer`` is now ``user``'s. Raises TooManyConnections when ``limit`` sessions of this user, service and
        address are there already (in any worker); ``limit`` 0 = no limit. Costs some tens of microseconds."""
        ...

    def state(self, peer: Peer, text: str) -> None:
        """What the session is doing, for ``mas who`` (``INBOX``, ``INBOX IDLE``). Costs nothing now; written in batches, later."""
        ...


class MailEvents(Protocol):
    """Told what clients did, once it is durable. Returns when that is noted for good (at once when it interests nobody), raises nothing:
    no command waits for what follows, or fails by it."""

    @property
    def flags_wanted(self) -> bool:
        """Whether flag changes interest anybody: only then a handler finds out what they are."""
        ...

    async def copied(
        self, account: Account, source: Selection, target: MailboxName, copied: Copied, *, moved: bool
    ) -> None:
        """COPY or MOVE put messages of ``source`` into ``target``."""
        ...

    async def appended(self, account: Account, mailbox: MailboxName, saved: Saved) -> None:
        """APPEND put messages into a mailbox."""
        ...

    async def flags_changed(
        self, account: Account, mailbox: MailboxName, uid_validity: int, changed: Sequence[FlagChange]
    ) -> None:
        """Messages have other flags than before."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """Given to every session of a worker.

    config: the one that this worker was started with; a reload starts other workers. events: None when nobody wants to know.
    """

    config: Config
    store: Store
    auth: Authenticator
    sessions: Sessions
    events: MailEvents | None = None
