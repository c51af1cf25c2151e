"""What a worker is made of: store, accounts, and one listener service a protocol. The only place that knows them all by name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from mas import logs
from mas.auth.service import open_authenticator
from mas.config import Config
from mas.delivery import Delivery
from mas.errors import ConfigError, MasError
from mas.filtering.filter import Filter
from mas.filtering.memory import Memory
from mas.outgoing import transport
from mas.outgoing.queue import Envelope, Queue
from mas.protocols.auth_socket import session as auth_socket
from mas.protocols.imap import session as imap
from mas.protocols.listener import Service
from mas.protocols.lmtp.session import Lmtp
from mas.protocols.managesieve import session as managesieve
from mas.protocols.session import Channel, Peer
from mas.server.worker import Composition, Job
from mas.services import Services
from mas.sessions import Registry
from mas.sieve.definition import Registry as Language
from mas.sieve.extensions import DEFAULT, OPTIONAL, registry_of, spamtest
from mas.storage.store import MaildirStore
from mas.training import rspamd
from mas.training.learner import Learner

log = logs.get_logger("server")

OUTGOING_INTERVAL = 30.0
"""Seconds between two looks for outgoing mail whose next try is due; a first try is made at once, and one look at the start."""
AUTH_WRITE_TIMEOUT = 30.0
"""Seconds in which a client of the auth socket has to read an answer."""
EXPIRE_INTERVAL = 6 * 3600.0
"""Seconds between two runs of autoexpunge over all users; logouts and deliveries run it for one."""


async def compose(config: Config, registry: Registry) -> Composition:
    """Everything that this worker serves. Raises MasError."""
    if config.imapsieve:
        log.warning("imapsieve: this version runs no scripts at IMAP events; [rspamd] trains without them")
    if config.metrics.listen:
        log.warning("metrics: this version has no metrics", listen=config.metrics.listen)
    store = MaildirStore(config)
    auth = open_authenticator(config, registry)
    training = _training(config, store)
    services = Services(config, store, auth, registry, training[0] if training else None)
    language = sieve_language(config)
    filtering = Filtering(services, language)
    lmtp = Lmtp(services, Delivery(store, config, filtering.filter.decide))

    async def close() -> None:
        """Deliveries first: they use the rest."""
        await lmtp.close()
        await filtering.close()
        if training:
            await training[0].finish()
            training[2].close()
        await store.close()
        await auth.close()

    async def expire() -> None:
        await expire_everyone(services)

    expires = any(box.autoexpunge or box.autoexpunge_max_mails for box in config.mailbox)
    return Composition(
        services={
            "imap": Service(
                "imap",
                imap.opener(services),
                max_connections=config.imap.max_connections,
                max_login_connections=config.imap.max_login_connections,
                max_login_connections_per_ip=config.imap.max_login_connections_per_ip,
                write_timeout=config.imap.command_timeout,
            ),
            "lmtp": Service(
                "lmtp", lmtp.open, max_connections=config.lmtp.max_connections, write_timeout=config.lmtp.idle_timeout
            ),
            "auth": Service(
                "auth",
                lambda peer, _: auth_socket.open_session(services, peer),
                max_connections=config.auth.max_connections,
                write_timeout=AUTH_WRITE_TIMEOUT,
            ),
            "sieve": Service(
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
            *((Job("training", OUTGOING_INTERVAL, training[1].run_due, at_start=True),) if training else ()),
            *((Job("autoexpunge", EXPIRE_INTERVAL, expire),) if expires else ()),
        ),
    )


def sieve_language(config: Config) -> Language:
    """The Sieve extensions that this host offers: those with programs only where there is a folder of programs."""
    settings = config.sieve
    folders = {"pipe": settings.pipe_bin_dir, "filter": settings.filter_bin_dir, "execute": settings.execute_bin_dir}
    missing = {f"vnd.dovecot.{name}" for name, folder in folders.items() if not folder}
    tested = {
        extension.name: extension
        for extension in spamtest.extensions(_verdict(config, "spamtest"), _verdict(config, "virustest"))
    }
    known = [
        tested.get(extension.name, extension) for extension in (*DEFAULT, *OPTIONAL) if extension.name not in missing
    ]
    try:
        return registry_of(settings.extensions, known=known)
    except ValueError as error:
        raise ConfigError([f"sieve.extensions: {error}"]) from None


def _training(config: Config, store: MaildirStore) -> tuple[Learner, Queue, Memory] | None:
    """Spam training, with its queue and its memory; None when it is off."""
    if not config.rspamd.controller:
        return None
    send = rspamd.learner(config.rspamd.controller, config.rspamd.password.get_secret_value())

    async def given_up(envelope: Envelope, message: bytes, why: str) -> None:
        """The queue has logged it; there is nobody else to tell."""

    queue = Queue(config.state_dir / "training", send, given_up)
    memory = Memory(config.state_dir / "training.db")
    return Learner(store, queue, memory), queue, memory


def _verdict(config: Config, name: str) -> spamtest.Verdict | None:
    settings = {key.removeprefix(f"{name}_"): value for key, value in config.sieve if key.startswith(f"{name}_")}
    if not settings["status_header"]:
        return None
    texts = dict(text.rsplit("=", 1) for text in settings["texts"])
    return spamtest.Verdict(
        settings["status_header"],
        settings["status_type"],
        settings["max_value"],
        settings["max_header"],
        {text.lower(): int(number) for text, number in texts.items()},
    )


class Filtering:
    """Sieve at delivery, with the mail that it sends."""

    def __init__(self, services: Services, language: Language) -> None:
        config = services.config
        self._services = services
        send = (
            transport.sendmail(config.sieve.sendmail)
            if config.sieve.sendmail
            else transport.smtp(config.sieve.submission, config.hostname)
        )
        self.queue = Queue(config.state_dir / "outgoing", send, self._given_up)
        self.memory = Memory(config.state_dir / "sieve.db")
        self.filter = Filter(services.store, config, language, self.queue, self.memory)

    async def _given_up(self, envelope: Envelope, message: bytes, why: str) -> None:
        user = await self._services.auth.lookup(envelope.user, "sieve")
        await self.filter.refused(envelope, message, why, user)

    async def close(self) -> None:
        """Wait for what is being sent."""
        await self.queue.close()
        self.memory.close()


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
