"""Sieve as this host has it: the language, and the filter with its outgoing mail and memory. For the workers, and for commands that
deliver or compile without a server: so nothing of a protocol is imported here.
"""

from __future__ import annotations

from collections.abc import Sequence

from mas.auth.interface import Authenticator
from mas.config import Config
from mas.errors import ConfigError
from mas.filtering.filter import Filter
from mas.filtering.memory import Memory
from mas.outgoing import transport
from mas.outgoing.queue import Envelope, Queue
from mas.sieve.definition import Registry as Language
from mas.sieve.extensions import DEFAULT, OPTIONAL, extlists, imapsieve, registry_of, spamtest
from mas.storage.interface import Store

_AT_EVENTS = (imapsieve.IMAPSIEVE.name, imapsieve.DOVECOT_IMAPSIEVE.name)


class Filtering:
    """Sieve at delivery, with the mail that it sends."""

    def __init__(self, config: Config, store: Store, auth: Authenticator, language: Language) -> None:
        self._auth = auth
        send = (
            transport.sendmail(config.sieve.sendmail)
            if config.sieve.sendmail
            else transport.smtp(config.sieve.submission, config.hostname)
        )
        self.queue = Queue(config.state_dir / "outgoing", send, self._given_up)
        self.memory = Memory(config.state_dir / "sieve.db")
        self.filter = Filter(store, config, language, self.queue, self.memory, administrators_language(config))

    async def _given_up(self, envelope: Envelope, message: bytes, why: str) -> None:
        user = await self._auth.lookup(envelope.user, "sieve")
        await self.filter.refused(envelope, message, why, user)

    async def close(self) -> None:
        """Wait for what is being sent."""
        await self.queue.close()
        self.memory.close()


def sieve_language(config: Config) -> Language:
    """The Sieve extensions that this host offers its users: those with programs only where there is a folder of programs, lists only where
    there are lists."""
    return _language(config, _AT_EVENTS if config.sieve.imapsieve_url else ())


def administrators_language(config: Config) -> Language:
    """What the administrator's scripts may use: all that users may, the global extensions, and whatever is configured for them."""
    settings = config.sieve
    folders = {"pipe": settings.pipe_bin_dir, "filter": settings.filter_bin_dir, "execute": settings.execute_bin_dir}
    also = [f"vnd.dovecot.{name}" for name, folder in folders.items() if folder]
    if config.imapsieve or config.sieve.imapsieve_url:
        also += _AT_EVENTS
    return _language(config, also, settings.global_extensions)


def _language(config: Config, also: Sequence[str], more: str = "") -> Language:
    settings = config.sieve
    folders = {"pipe": settings.pipe_bin_dir, "filter": settings.filter_bin_dir, "execute": settings.execute_bin_dir}
    missing = {f"vnd.dovecot.{name}" for name, folder in folders.items() if not folder}
    tested = {
        extension.name: extension
        for extension in spamtest.extensions(_verdict(config, "spamtest"), _verdict(config, "virustest"))
    }
    default = (*DEFAULT, extlists.EXTLISTS) if settings.list else DEFAULT
    known = [
        tested.get(extension.name, extension) for extension in (*default, *OPTIONAL) if extension.name not in missing
    ]
    key = "extensions"
    try:
        registry_of(settings.extensions, default=default, known=known)
        key = "global_extensions"
        # Dovecot's recipes name the programs' extensions whether or not there are programs.
        also = [*also, *(word for word in more.replace("+", " ").split() if word not in missing)]
        offered = registry_of(settings.extensions, default=default, known=known, also=also).extensions
        key = "implicit_extensions"
        # What is for the administrator's scripts alone needs no require in those alone.
        others = set(settings.global_extensions.replace("+", " ").split())
        implicit = [
            word
            for word in settings.implicit_extensions.replace("+", " ").split()
            if word in offered or word not in others
        ]
        return registry_of(settings.extensions, default=default, known=known, also=also, implicit=implicit)
    except ValueError as error:
        raise ConfigError([f"sieve.{key}: {error}"]) from None


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
