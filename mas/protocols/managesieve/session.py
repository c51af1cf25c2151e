"""One ManageSieve client: commands to answers. [RFC5804 2]

TLS is required: before STARTTLS nothing can be done but asking for it. Errors of the domain become NO with a response code in
``Session.refusal``. The handlers of commands are in ``authentication`` and ``scripts``; those that any state takes are here.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from mas import logs
from mas.auth.interface import Authenticator
from mas.config import Config
from mas.errors import (
    AuthUnavailable,
    MasError,
    OverQuota,
    StorageUnavailable,
)
from mas.filtering.limits import limits_of
from mas.metrics import table as metrics
from mas.protocols.managesieve import arguments, authentication, responses, scripts
from mas.protocols.managesieve.arguments import Quit, Refused
from mas.protocols.managesieve.authentication import Login
from mas.protocols.managesieve.connection import (
    BadCommand,
    Closed,
    Command,
    Event,
    ManageSieveConnection,
    SaslResponse,
)
from mas.protocols.session import Channel, Woken
from mas.services import Services
from mas.sieve.definition import Registry
from mas.storage.scripts import (
    InvalidScriptName,
    ScriptActive,
    ScriptExists,
    ScriptFolder,
    ScriptNotFound,
    ScriptsTooBig,
    TooManyScripts,
)

_log = logs.get_logger("managesieve")


def connection_for(config: Config) -> ManageSieveConnection:
    """The pure side of a new connection, with the limits of before login."""
    settings = config.managesieve
    return ManageSieveConnection(max_line=settings.max_line_length, max_literal=settings.max_literal_before_login)


async def run(
    channel: Channel[Event], connection: ManageSieveConnection, services: Services, registry: Registry
) -> None:
    """Serve one connection until it ends."""
    await Session(channel, connection, services, registry).run()


class Session:
    """What the handlers of its commands see of a connection."""

    def __init__(
        self, channel: Channel[Event], connection: ManageSieveConnection, services: Services, registry: Registry
    ) -> None:
        self.channel = channel
        self.connection = connection
        self.services = services
        self.config: Config = services.config
        self.auth: Authenticator = services.auth
        self.registry = registry
        self.limits = limits_of(self.config)
        self.login: Login | None = None
        self.sent = 0
        self.commands = 0
        self.bad_commands = 0
        self.failed_logins = 0
        self.last_failed = ("", "PLAIN")
        self.started = time.monotonic()

    # The loop

    async def run(self) -> None:
        reason = "Connection closed"
        try:
            self.write(self.greeting() + responses.ok(f"{self.config.managesieve.implementation} ready."))
            while True:
                await self.one(await self.event())
        except Quit as quit_:
            reason = str(quit_) or "Logged out"
        except TimeoutError:
            reason = "Disconnected for inactivity"
            self.write(responses.bye("Disconnected for inactivity."))
        except ConnectionError as error:
            reason = f"Connection lost: {error}" if str(error) else "Connection lost"
        except Exception:
            # No domain error, so a bug: the listener logs it with where it was.
            reason = "Internal error"
            self.write(responses.bye("Internal error."))
            raise
        finally:
            self.channel.flush()
            self.ended(reason)

    async def event(self) -> Event:
        settings = self.config.managesieve
        timeout = (
            settings.idle_timeout
            if self.login
            else max(0.1, settings.login_timeout - (time.monotonic() - self.started))
        )
        event = await self.channel.next_event(timeout)
        if isinstance(event, Woken):
            self.write(responses.bye("Server is shutting down.", b"TRYLATER"))
            raise Quit("Server is shutting down")
        return event

    async def one(self, event: Event) -> None:
        match event:
            case Closed():
                raise Quit("Connection closed")
            case Command():
                await self.command(event)
            case BadCommand(fatal=True, text=text):
                self.write(responses.bye(text))
                raise Quit(text)
            case BadCommand(too_big=True, text=text):
                self.write(responses.no(text, b"QUOTA/MAXSIZE" if self.login else b""))
                self.bad()
            case BadCommand(text=text):
                self.write(responses.no(text))
                self.bad()
            case SaslResponse():
                self.write(responses.no("Nothing was asked."))
                self.bad()

    async def command(self, command: Command) -> None:
        handler = _HANDLERS.get(command.name)
        settings = self.config.managesieve
        if self.login is None:
            self.commands += 1
            if self.commands > settings.max_commands_before_login:
                self.write(responses.bye("Too many commands before login."))
                raise Quit("too many commands before login")
        if handler is None:
            self.write(responses.no(f"Unknown command {command.name[:32]}."))
            self.bad()
            return
        began = time.monotonic()
        try:
            await handler(self, command)
        except Refused as refused:
            self.write(responses.no(refused.text, refused.code))
        except MasError as error:
            self.write(self.refusal(error))
        finally:
            metrics.SIEVE_COMMAND_SECONDS[command.name].observe(time.monotonic() - began)

    def bad(self) -> None:
        self.bad_commands += 1
        if self.bad_commands >= self.config.managesieve.max_bad_commands:
            self.write(responses.bye("Too many bad commands."))
            raise Quit("too many bad commands")

    def write(self, data: bytes) -> None:
        self.sent += len(data)
        self.channel.write(data)

    def refusal(self, error: MasError) -> bytes:
        """What a client is told of an error: the one place where the domain's words become ManageSieve's."""
        match error:
            case ScriptNotFound():
                return responses.no("There is no script of that name.", b"NONEXISTENT")
            case ScriptExists():
                return responses.no("A script of that name exists.", b"ALREADYEXISTS")
            case ScriptActive():
                return responses.no("The active script cannot be deleted.", b"ACTIVE")
            case InvalidScriptName():
                return responses.no("That cannot be the name of a script.")
            case TooManyScripts(message=text):
                return responses.no(text, b"QUOTA/MAXSCRIPTS")
            case ScriptsTooBig(message=text):
                return responses.no(text, b"QUOTA/MAXSIZE")
            case OverQuota(message=text):
                return responses.no(text, b"QUOTA")
            case StorageUnavailable() | AuthUnavailable():
                _log.error("command failed", session=self.channel.peer.session_id, error=str(error))
                return responses.no("Temporary failure, try again later.", b"TRYLATER")
        _log.error("command failed", session=self.channel.peer.session_id, error=repr(error))
        return responses.no("Internal error.", b"TRYLATER")

    def ended(self, reason: str) -> None:
        peer = self.channel.peer
        if self.login:
            totals = self.config.managesieve.logout_format.replace("%i", str(self.connection.received)).replace(
                "%o", str(self.sent)
            )
            _log.info(f"{reason}: {totals}", user=self.login.user.name, address=peer.address, session=peer.session_id)
        elif self.failed_logins:
            user, method = self.last_failed
            logs.login_failed(
                "managesieve",
                user=user,
                method=method,
                address=peer.address,
                local_address=peer.local_address,
                attempts=self.failed_logins,
                seconds=time.monotonic() - self.started,
                tls=self.channel.tls,
                session=peer.session_id,
            )

    def scripts(self) -> ScriptFolder:
        """Of who is logged in. Raises Refused when nobody is."""
        if self.login is None:
            raise Refused("Authenticate first.")
        return self.login.scripts

    # Any state

    def greeting(self) -> bytes:
        """The capabilities as they are now [RFC5804 1.7]."""
        settings = self.config.managesieve
        extensions = settings.sieve_capability or " ".join(self.registry.capabilities())
        items: list[tuple[str, str | None]] = [("IMPLEMENTATION", settings.implementation), ("SIEVE", extensions)]
        if settings.notify_capability and "enotify" in self.registry.extensions:
            items.append(("NOTIFY", settings.notify_capability))
        if self.config.sieve.list and "extlists" in self.registry.extensions:
            schemes = {one.name.partition(":")[0] for one in self.config.sieve.list if ":" in one.name}
            items.append(("EXTLISTS", " ".join(sorted(schemes))))  # [RFC6134 2.8]
        if self.login:
            items += [
                ("SASL", ""),
                ("OWNER", self.login.user.name),
                ("MAXREDIRECTS", str(self.config.sieve.max_redirects)),
            ]
        else:
            items.append(("SASL", " ".join(self.auth.mechanisms(True, self.channel)) if self.channel.tls else ""))
        if not self.channel.tls:
            items.append(("STARTTLS", None))
        if self.login:
            items.append(("UNAUTHENTICATE", None))
        items.append(("VERSION", "1.0"))
        return responses.capabilities(items)

    async def capability(self, command: Command) -> None:
        """CAPABILITY [RFC5804 2.4]"""
        arguments.count(command, 0)
        self.write(self.greeting() + responses.ok("Capability completed."))

    async def noop(self, command: Command) -> None:
        """NOOP [RFC5804 2.13]"""
        if len(command.arguments) > 1:
            raise Refused("NOOP takes at most one string.")
        code = b"TAG " + responses.string(arguments.octets(command, 0)) if command.arguments else b""
        self.write(responses.ok("NOOP completed.", code))

    async def logout(self, command: Command) -> None:
        """LOGOUT [RFC5804 2.3]"""
        arguments.count(command, 0)
        self.write(responses.ok("Logout completed."))
        raise Quit


_HANDLERS: dict[str, Callable[[Session, Command], Awaitable[None]]] = {
    "CAPABILITY": Session.capability,
    "NOOP": Session.noop,
    "LOGOUT": Session.logout,
    "STARTTLS": authentication.starttls,
    "AUTHENTICATE": authentication.authenticate,
    "UNAUTHENTICATE": authentication.unauthenticate,
    "HAVESPACE": scripts.havespace,
    "PUTSCRIPT": scripts.putscript,
    "CHECKSCRIPT": scripts.checkscript,
    "LISTSCRIPTS": scripts.listscripts,
    "SETACTIVE": scripts.setactive,
    "GETSCRIPT": scripts.getscript,
    "DELETESCRIPT": scripts.deletescript,
    "RENAMESCRIPT": scripts.renamescript,
}
