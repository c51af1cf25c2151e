"""What a worker is made of: store, accounts, and one listener service a protocol. The only place that knows them all by name."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any

from mas import logs
from mas.auth.service import open_authenticator
from mas.config import Config
from mas.delivery import Delivery
from mas.errors import ConfigError, MasError
from mas.events.desk import Desk, Listener, Pace
from mas.filtering.imap_events import ImapEvents
from mas.filtering.imap_rules import Rules
from mas.filtering.memory import Memory
from mas.metrics import table as metrics
from mas.outgoing.queue import Envelope, Queue
from mas.protocols.auth_socket import session as auth_socket
from mas.protocols.auth_socket.userdb import session as userdb_socket
from mas.protocols.http import session as http
from mas.protocols.imap import session as imap
from mas.protocols.listener import Service
from mas.protocols.lmtp.session import Lmtp
from mas.protocols.managesieve import session as managesieve
from mas.protocols.session import Channel, Peer
from mas.server.filtering import Filtering, sieve_language
from mas.server.monitoring import Monitoring
from mas.server.worker import Birth, Composition, Job
from mas.services import Services
from mas.sessions import Registry
from mas.sieve.definition import Registry as Language
from mas.storage.store import MaildirStore
from mas.training import rspamd
from mas.training.learner import Learner

log = logs.get_logger("server")

OUTGOING_INTERVAL = 30.0
"""Seconds between two looks for outgoing mail whose next try is due; a first try is made at once, and one look at the start."""
EVENTS_INTERVAL = 20.0
"""Seconds between two looks for events that could not be dealt with, or that a process has left when it was killed."""
AUTH_WRITE_TIMEOUT = 30.0
"""Seconds in which a client of the auth socket has to read an answer."""
EXPIRE_INTERVAL = 6 * 3600.0
"""Seconds between two runs of autoexpunge over all users; logouts and deliveries run it for one."""


async def compose(config: Config, registry: Registry, birth: Birth) -> Composition:
    """Everything that this worker serves. Raises MasError."""
    store = MaildirStore(config)
    auth = open_authenticator(config, registry)
    language = sieve_language(config)
    filtering = Filtering(config, store, auth, language)
    training = _training(config, store)
    listeners: list[Listener] = [training[0]] if training else []
    if config.imapsieve or config.sieve.imapsieve_url:
        listeners.append(ImapEvents(filtering.filter, Rules(config.imapsieve)))
    desk: Desk | None = None
    if listeners:
        pace = Pace(**config.events.model_dump())
        desk = Desk(config.state_dir / "events", listeners, lambda name: auth.lookup(name, "sieve"), pace)
    services = Services(config, store, auth, registry, desk)
    lmtp = Lmtp(services, Delivery(store, config, filtering.filter.decide))

    queues = {"outgoing": filtering.queue, **({"training": training[1]} if training else {})}
    monitoring = Monitoring(birth, registry, auth, queues)

    async def close() -> None:
        """Deliveries first: they use the rest."""
        await lmtp.close()
        if desk:
            await desk.close()
        await filtering.close()
        if training:
            await training[1].close()
            training[2].close()
        await store.close()
        await auth.close()

    async def expire() -> None:
        await expire_everyone(services)

    service = functools.partial(
        Service, handshake_timeout=config.tls.handshake_timeout, close_timeout=config.close_timeout
    )
    expires = any(box.autoexpunge or box.autoexpunge_max_mails for box in config.mailbox)
    return Composition(
        services={
            "imap": service(
                "imap",
                imap.opener(services),
                max_connections=config.imap.max_connections,
                max_login_connections=config.imap.max_login_connections,
                max_login_connections_per_ip=config.imap.max_login_connections_per_ip,
                write_timeout=config.imap.command_timeout,
            ),
            "lmtp": service(
                "lmtp", lmtp.open, max_connections=config.lmtp.max_connections, write_timeout=config.lmtp.idle_timeout
            ),
            "auth": service(
                "auth",
                lambda peer, _: auth_socket.open_session(services, peer),
                max_connections=config.auth.max_connections,
                write_timeout=AUTH_WRITE_TIMEOUT,
            ),
            "userdb": service(
                "userdb",
                lambda peer, _: userdb_socket.open_session(services, peer),
                max_connections=config.auth.max_connections,
                write_timeout=AUTH_WRITE_TIMEOUT,
            ),
            "metrics": service(
                "metrics",
                http.opener(monitoring.pages),
                max_connections=config.metrics.max_connections,
                write_timeout=http.TIMEOUT,
            ),
            "sieve": service(
                "sieve",
                _managesieve(services, language),
                max_connections=config.managesieve.max_connections,
                max_login_connections=config.managesieve.max_login_connections,
                max_login_connections_per_ip=config.managesieve.max_login_connections_per_ip,
                write_timeout=config.managesieve.command_timeout,
            ),
        },
        close=close,
        jobs=(
            Job("outgoing", OUTGOING_INTERVAL, filtering.queue.run_due, at_start=True),
            *((Job("events", EVENTS_INTERVAL, desk.catch_up, at_start=True),) if desk else ()),
            *((Job("training", OUTGOING_INTERVAL, training[1].run_due, at_start=True),) if training else ()),
            *((Job("autoexpunge", EXPIRE_INTERVAL, expire),) if expires else ()),
        ),
        flush=auth.flush,
    )


def _training(config: Config, store: MaildirStore) -> tuple[Learner, Queue, Memory] | None:
    """Spam training, with its queue and its memory; None when it is off."""
    if not config.rspamd.controller:
        return None
    post = rspamd.learner(config.rspamd.controller, config.rspamd.password.get_secret_value())

    async def count(what: str, kind: str) -> None:
        metrics.TRAINING[what, kind].add()

    async def send(envelope: Envelope, message: bytes) -> None:
        await post(envelope, message)
        await count("learnt", envelope.kind)

    async def given_up(envelope: Envelope, message: bytes, why: str) -> None:
        """The queue has logged it; there is nobody else to tell."""
        await count("refused", envelope.kind)

    queue = Queue(config.state_dir / "training", send, given_up)
    memory = Memory(config.state_dir / "training.db")
    return Learner(store, queue, memory, lambda kind: count("noted", kind)), queue, memory


def _managesieve(
    services: Services, language: Language
) -> Callable[[Peer, bool], tuple[Any, Callable[[Channel[Any]], Awaitable[None]]]]:
    def start(_: Peer, __: bool) -> tuple[Any, Callable[[Channel[Any]], Awaitable[None]]]:
        connection = managesieve.connection_for(services.config)
        return connection, lambda channel: managesieve.run(channel, connection, services, language)

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
