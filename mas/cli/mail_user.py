"""A user's mail, opened by a command: looked up in the databases, and never touched as root."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

import mas
from mas.cli import Settings
from mas.config import Config

if TYPE_CHECKING:
    from mas.auth.service import Accounts
    from mas.storage.account import MaildirAccount
    from mas.storage.store import MaildirStore

T = TypeVar("T")


def with_account(
    context: typer.Context, name: str, work: Callable[[MaildirAccount], Awaitable[T]], *, make_mailboxes: bool = True
) -> T:
    """``work`` on the mail of user ``name``. make_mailboxes: whether those with ``auto`` are made where they are missing, as for a client.
    Raises UserUnknown, AuthUnavailable, StorageUnavailable."""

    async def run(accounts: Accounts, store: MaildirStore) -> T:
        user = await accounts.lookup(name, "mas")
        async with await store.open(user) as account:
            return await work(account)

    return with_store(context, run, make_mailboxes=make_mailboxes)


def with_store(
    context: typer.Context, work: Callable[[Accounts, MaildirStore], Awaitable[T]], *, make_mailboxes: bool = True
) -> T:
    """``work`` with the account databases and the store, on a loop of its own. Gives up root first. make_mailboxes: as in with_account."""
    settings: Settings = context.obj
    config = settings.load()
    if not make_mailboxes:
        plain = tuple(mailbox.model_copy(update={"auto": "no"}) for mailbox in config.mailbox)
        config = config.model_copy(update={"mailbox": plain})
    from mas.auth.service import open_authenticator
    from mas.storage.store import MaildirStore

    give_up_root(config)

    async def run() -> T:
        accounts = open_authenticator(config, penalty=False)
        store = MaildirStore(config)
        try:
            return await work(accounts, store)
        finally:
            await store.close()
            await accounts.close()

    return asyncio.run(run())


def give_up_root(config: Config) -> None:
    """Become ``mail.uid`` and ``mail.gid``, as the workers do, when started as root. Raises ConfigError when they are nobody."""
    if os.geteuid() == 0:
        from mas.server.preload import preload
        from mas.server.privileges import drop, reachable, workers_account

        uid, gid = workers_account(config)
        if not all(reachable(Path(code), uid, gid) for code in (os.__file__, mas.__file__)):
            preload(config)
        drop(uid, gid)
        os.umask(0o077)
