"""The mail of every user of this host, as Maildirs: see ``interface.Store``.

Accounts are opened once a process and shared by sessions and deliveries. One that nobody uses stays open for a while (Roundcube logs in for
every click), first with, then without its database connection; the longest unused are closed when there are too many. On a host of many
users nearly every delivery opens an account, and nobody else uses it until it is closed: all three are kept cheap.
"""

from __future__ import annotations

import asyncio
import time

import structlog

from mas.config import Config
from mas.errors import StorageUnavailable
from mas.storage import maintenance
from mas.storage.account import MaildirAccount
from mas.storage.blocking import Blocking
from mas.storage.engine import Engine
from mas.storage.incoming import MaildirIncoming
from mas.storage.location import parse_location
from mas.storage.model import INBOX, SaveOptions
from mas.storage.notify import Notify
from mas.storage.quota import Quota
from mas.storage.quota_warnings import QuotaWarnings
from mas.storage.special import SpecialMailboxes
from mas.user import User

PARK_AFTER = 20.0
"""Seconds without use until an account's database connection is closed."""
CLOSE_AFTER = 300.0
"""Seconds until an account that nobody has open is closed."""
SWEEP = 5.0
_log = structlog.get_logger(area="storage")


class MaildirStore:
    """One a process, made after the fork, on the event loop."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.closing = False
        self.blocking = Blocking(config.mail.threads)
        self.notify = Notify()
        self.special = SpecialMailboxes.from_config(config.mailbox, config.mail.separator)
        self.quota = Quota(config.quota, config.state_dir)
        self.warnings = QuotaWarnings(self._deliver, hostname=config.hostname, postmaster=config.postmaster)
        self._accounts: dict[tuple[str, str], MaildirAccount] = {}
        self._opening: dict[tuple[str, str], asyncio.Task[MaildirAccount]] = {}
        self._sweeper: asyncio.TimerHandle | None = None

    async def open(self, user: User) -> MaildirAccount:
        if self.closing:
            raise StorageUnavailable("the server is stopping")
        key = (user.name, user.location)
        account = self._accounts.get(key)
        if account is None:
            opening = self._opening.get(key)
            if opening is None:
                opening = self._opening[key] = asyncio.ensure_future(self._open(key, user))
                opening.add_done_callback(lambda _: self._opening.pop(key, None))
            account = await asyncio.shield(opening)
        account.users += 1
        account.last_used = time.monotonic()
        if user != account.user:
            account.user, account.quotas = user, self.quota.account(user)
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(SWEEP, self._sweep)
        return account

    async def _open(self, key: tuple[str, str], user: User) -> MaildirAccount:
        engine = Engine(parse_location(user.location, user.home), self.config, user.name)
        account = MaildirAccount(self, user, engine, self.quota.account(user))
        try:
            await account.first_touch()
        except BaseException:
            await self.blocking.run(engine.close)
            raise
        self._accounts[key] = account
        return account

    def incoming(self, near: User, *, max_size: int = 0) -> MaildirIncoming:
        root = parse_location(near.location, near.home).inbox
        return MaildirIncoming(self.blocking, root, max_size, self.config.mail)

    async def leave(self, account: MaildirAccount) -> None:
        """A user of the account is done with it."""
        account.users = max(0, account.users - 1)
        account.last_used = time.monotonic()

    async def _deliver(self, user: User, message: bytes) -> None:
        """The server's own mail to a user (quota warnings): not refused for quota."""
        async with await self.open(user) as account, self.incoming(user) as incoming:
            await incoming.write(message)
            await incoming.finish()
            await account.save(INBOX, [(incoming, SaveOptions())], delivery=True, enforce_quota=False)

    # Idle accounts

    def _sweep(self) -> None:
        self._sweeper = None
        if self._accounts and not self.closing:
            self._sweeper = asyncio.get_running_loop().call_later(SWEEP, self._sweep)
            self.blocking.background(self._sweep_now())

    async def _sweep_now(self) -> None:
        now = time.monotonic()
        idle = sorted((a for a in self._accounts.values() if not a.users), key=lambda a: a.last_used)
        surplus = len(self._accounts) - self.config.mail.open_accounts
        for number, account in enumerate(idle):
            if number < surplus or now - account.last_used > CLOSE_AFTER:
                await self._close_account(account)
        for account in list(self._accounts.values()):
            if not account.engine.parked and now - account.last_used > PARK_AFTER:
                await maintenance.tidy(account)

    async def _close_account(self, account: MaildirAccount) -> None:
        if account.users:
            return
        for key, other in list(self._accounts.items()):
            if other is account:
                del self._accounts[key]
        account.unwatch()
        try:
            if account.unfinished:
                await account.flush_all()
        finally:
            await self.blocking.run(account.engine.close)

    async def close(self) -> None:
        self.closing = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        await self.warnings.close()
        for opening in list(self._opening.values()):
            await asyncio.wait([opening])
        await self.blocking.settle()
        for account in list(self._accounts.values()):
            account.users = 0
            try:
                await self._close_account(account)
            except StorageUnavailable as error:
                _log.error("account was not closed cleanly", user=account.user.name, error=str(error))
        await self.blocking.close()
        self.notify.close()
        self.quota.close()
