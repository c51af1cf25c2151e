"""What a worker is made of: store, accounts, and one listener service a protocol. The only place that knows them all by name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from mas import logs
from mas.auth.service import open_authenticator
from mas.config import Config
from mas.errors import ConfigError, MasError
from mas.protocols.listener import Service
from mas.protocols.lmtp.session import Lmtp
from mas.protocols.managesieve import session as managesieve
from mas.protocols.session import Channel, Peer
from mas.server.worker import Composition, Job
from mas.services import Services
from mas.sessions import Registry
from mas.sieve.extensions import registry_of
from mas.storage.store import MaildirStore

log = logs.get_logger("server")

EXPIRE_INTERVAL = 6 * 3600.0
"""Seconds between two runs of autoexpunge over all users; logouts and deliveries run it for one."""


async def compose(config: Config, registry: Registry) -> Composition:
    """Everything that this worker serves. Raises MasError."""
    store = MaildirStore(config)
    auth = open_authenticator(config, registry)
    services = Services(config, store, auth, registry)
    lmtp = Lmtp(services)

    async def close() -> None:
        """Deliveries first: they use the rest."""
        await lmtp.close()
        await store.close()
        await auth.close()

    async def expire() -> None:
        await expire_everyone(services)

    expires = any(box.autoexpunge or box.autoexpunge_max_mails for box in config.mailbox)
    return Composition(
        services={
            "lmtp": Service(
                "lmtp", lmtp.open, max_connections=config.lmtp.max_connections, write_timeout=config.lmtp.idle_timeout
            ),
            "sieve": Service(
                "sieve",
                _managesieve(services),
                max_connections=config.managesieve.max_connections,
                max_login_connections=config.managesieve.max_login_connections,
                max_login_connections_per_ip=config.managesieve.max_login_connections_per_ip,
                write_timeout=config.managesieve.command_timeout,
            ),
        },
        close=close,
        jobs=(Job("autoexpunge", EXPIRE_INTERVAL, expire),) if expires else (),
    )


def _managesieve(services: Services) -> Callable[[Peer, bool], tuple[Any, Callable[[Channel[Any]], Awaitable[None]]]]:
    extensions = registry_of(services.config.sieve.extensions)

    def start(_: Peer, __: bool) -> tuple[Any, Callable[[Channel[Any]], Awaitable[None]]]:
        connection = managesieve.connection_for(services.config)
        return connection, lambda channel: managesieve.run(channel, connection, services, extensions)

    return start


async def expire_everyone(services: Services) -> None:
    """Autoexpunge for every user that the databases can list, one after the other: nobody waits for it."""
    removed = users = 0
    try:
        async for name in services.auth.users():
            try:
                user = await services.auth.lookup(name, "expire")
                async with await services.store.open(user) as account:
                    removed += await account.expire()
                users += 1
            except MasError as error:
                log.warning("autoexpunge failed", user=name, why=str(error))
    except ConfigError as error:
        log.info("autoexpunge runs at logout and delivery only", why=str(error))
        return
    log.info("autoexpunge", users=users, removed=removed)
