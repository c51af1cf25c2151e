"""One ManageSieve client: commands to answers. [RFC5804 2]

TLS is required: before STARTTLS nothing can be done but asking for it. Errors of the domain become NO with a response code in ``_refusal``.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from mas import logs
from mas.auth.interface import Attempt, Authenticator, Exchange, LoggedIn
from mas.auth.sasl import SaslError
from mas.config import Config
from mas.errors import (
    AuthFailed,
    AuthUnavailable,
    MasError,
    OverQuota,
    StorageUnavailable,
    TooManyConnections,
    UserDisabled,
)
from mas.filtering.compiled import COMPILED, LARGE
from mas.filtering.limits import limits_of
from mas.metrics import table as metrics
from mas.protocols.managesieve import responses
from mas.protocols.managesieve.connection import (
    Atom,
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
from mas.sieve.program import Program
from mas.sieve.source import Problem
from mas.sieve.source import ScriptError as CompileError
from mas.storage.scripts import (
    InvalidScriptName,
    ScriptActive,
    ScriptExists,
    ScriptFolder,
    ScriptNotFound,
    ScriptsTooBig,
    TooManyScripts,
    folder_of,
)
from mas.user import User

_log = logs.get_logger("managesieve")
_MAX_BAD_LOGINS = 3
_AFTER_LOGIN_LITERAL_SLACK = 4096
T = TypeVar("T")


class _Quit(Exception):
    """The session is over."""


class _Refused(Exception):
    """The command is refused: NO with a code and a text."""

    def __init__(self, text: str, code: bytes = b"") -> None:
        super().__init__(text)
        self.text = text
        self.code = code


@dataclass(slots=True)
class _Login:
    """Who is logged in, and the scripts of that user."""

    user: User
    scripts: ScriptFolder


def connection_for(config: Config) -> ManageSieveConnection:
    """The pure side of a new connection, with the limits of before login."""
    settings = config.managesieve
    return ManageSieveConnection(max_line=settings.max_line_length, max_literal=settings.max_literal_before_login)


async def run(
    channel: Channel[Event], connection: ManageSieveConnection, services: Services, registry: Registry
) -> None:
    """Serve one connection until it ends."""
    await _Session(channel, connection, services, registry).run()


class _Session:
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
        self.login: _Login | None = None
        self.sent = 0
        self.commands = 0
        self.bad_commands = 0
        self.failed_logins = 0
        self.last_failed = ("", "PLAIN")
        self.started = time.monotonic()
        self.handlers: dict[str, Callable[[Command], Awaitable[None]]] = {
            "CAPABILITY": self.capability,
            "NOOP": self.noop,
            "LOGOUT": self.logout,
            "STARTTLS": self.starttls,
            "AUTHENTICATE": self.authenticate,
            "UNAUTHENTICATE": self.unauthenticate,
            "HAVESPACE": self.havespace,
            "PUTSCRIPT": self.putscript,
            "CHECKSCRIPT": self.checkscript,
            "LISTSCRIPTS": self.listscripts,
            "SETACTIVE": self.setactive,
            "GETSCRIPT": self.getscript,
            "DELETESCRIPT": self.deletescript,
            "RENAMESCRIPT": self.renamescript,
        }

    # The loop

    async def run(self) -> None:
        reason = "Connection closed"
        try:
            self.write(self.greeting() + responses.ok(f"{self.config.managesieve.implementation} ready."))
            while True:
                await self.one(await self.event())
        except _Quit as quit_:
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
            raise _Quit("Server is shutting down")
        return event

    async def one(self, event: Event) -> None:
        match event:
            case Closed():
                raise _Quit("Connection closed")
            case Command():
                await self.command(event)
            case BadCommand(fatal=True, text=text):
                self.write(responses.bye(text))
                raise _Quit(text)
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
        handler = self.handlers.get(command.name)
        settings = self.config.managesieve
        if self.login is None:
            self.commands += 1
            if self.commands > settings.max_commands_before_login:
                self.write(responses.bye("Too many commands before login."))
                raise _Quit("too many commands before login")
        if handler is None:
            self.write(responses.no(f"Unknown command {command.name[:32]}."))
            self.bad()
            return
        began = time.monotonic()
        try:
            await handler(command)
        except _Refused as refused:
            self.write(responses.no(refused.text, refused.code))
        except MasError as error:
            self.write(self.refusal(error))
        finally:
            metrics.SIEVE_COMMAND_SECONDS[command.name].observe(time.monotonic() - began)

    def bad(self) -> None:
        self.bad_commands += 1
        if self.bad_commands >= self.config.managesieve.max_bad_commands:
            self.write(responses.bye("Too many bad commands."))
            raise _Quit("too many bad commands")

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
        _arguments(command, 0)
        self.write(self.greeting() + responses.ok("Capability completed."))

    async def noop(self, command: Command) -> None:
        """NOOP [RFC5804 2.13]"""
        if len(command.arguments) > 1:
            raise _Refused("NOOP takes at most one string.")
        code = b"TAG " + responses.string(_octets(command, 0)) if command.arguments else b""
        self.write(responses.ok("NOOP completed.", code))

    async def logout(self, command: Command) -> None:
        """LOGOUT [RFC5804 2.3]"""
        _arguments(command, 0)
        self.write(responses.ok("Logout completed."))
        raise _Quit

    # Before login

    async def starttls(self, command: Command) -> None:
        """STARTTLS [RFC5804 2.2]: what was pipelined behind it is discarded by the channel."""
        _arguments(command, 0)
        if self.channel.tls:
            raise _Refused("TLS is already on.")
        self.write(responses.ok("Begin TLS negotiation now."))
        await self.channel.start_tls()
        self.write(self.greeting() + responses.ok("TLS negotiation successful."))

    async def authenticate(self, command: Command) -> None:
        """AUTHENTICATE [RFC5804 2.1]"""
        if self.login:
            raise _Refused("Already authenticated.")
        if not self.channel.tls:
            raise _Refused("Use STARTTLS first.", b"ENCRYPT-NEEDED")
        if not 1 <= len(command.arguments) <= 2:
            raise _Refused("AUTHENTICATE takes a mechanism and at most one response.")
        mechanism = _octets(command, 0).decode("ascii", "replace").upper()
        if mechanism not in self.auth.mechanisms(True, self.channel):
            raise _Refused("Unsupported authentication mechanism.")
        initial = _octets(command, 1) if len(command.arguments) == 2 else None
        peer = self.channel.peer
        attempt = Attempt(
            "sieve", peer.address, peer.local_address, self.channel.tls, peer.session_id, mechanism, tls=self.channel
        )
        exchange = self.auth.exchange(attempt, success_data=True)
        try:
            answer = await self.exchange(exchange, initial)
            user = answer.user
            await self.services.sessions.login(peer, user.name, self.config.managesieve.max_user_ip_connections)
        except SaslError:
            self.failed_logins += 1
            raise _Refused("Invalid authentication data.") from None
        except UserDisabled as error:
            self.failed_logins += 1
            raise _Refused(error.reason or "This account may not log in.") from None
        except AuthFailed:
            self.failed_logins += 1
            if self.failed_logins >= _MAX_BAD_LOGINS:
                self.write(responses.bye("Authentication failed."))
                raise _Quit("too many failed logins") from None
            raise _Refused("Authentication failed.") from None
        except TooManyConnections:
            self.write(responses.bye("Maximum number of connections from your address exceeded.", b"TRYLATER"))
            raise _Quit("too many connections of this user from this address") from None
        finally:
            self.last_failed = (exchange.authcid, mechanism)
        self.login = _Login(user, folder_of(user, self.config))
        self.logged_in(True)
        _log.info(
            "login",
            user=user.name,
            master=user.fields.get("master_user"),
            method=mechanism,
            address=peer.address,
            session=peer.session_id,
        )
        data = responses.string(base64.b64encode(answer.data))
        self.write(responses.ok("Logged in.", b"SASL " + data if answer.data else b""))

    def logged_in(self, now: bool) -> None:
        """Scripts may be sent, or no longer."""
        settings = self.config.managesieve
        after = self.config.sieve.max_script_size + _AFTER_LOGIN_LITERAL_SLACK
        self.connection.max_literal = after if now else settings.max_literal_before_login

    async def exchange(self, exchange: Exchange, initial: bytes | None) -> LoggedIn:
        """Challenges and responses until the client is logged in. Raises as Exchange."""
        answer = await exchange.respond(None if initial is None else _decode(initial))
        while not isinstance(answer, LoggedIn):
            self.write(responses.string(base64.b64encode(answer)) + b"\r\n")
            self.connection.expect_sasl()
            event = await self.event()
            if isinstance(event, Closed):
                raise _Quit("Connection closed")
            if not isinstance(event, SaslResponse) or event.text is None:
                raise SaslError("cancelled")
            answer = await exchange.respond(_decode(event.text))
        return answer

    # After login

    def scripts(self) -> ScriptFolder:
        if self.login is None:
            raise _Refused("Authenticate first.")
        return self.login.scripts

    async def unauthenticate(self, command: Command) -> None:
        """UNAUTHENTICATE [RFC5804 2.14.1]"""
        self.scripts()
        _arguments(command, 0)
        await self.services.sessions.login(self.channel.peer, "", 0)
        self.login = None
        self.commands = 0
        self.started = time.monotonic()
        self.logged_in(False)
        self.write(responses.ok("Logged out."))

    async def havespace(self, command: Command) -> None:
        """HAVESPACE [RFC5804 2.5]"""
        scripts = self.scripts()
        _arguments(command, 2)
        size = command.arguments[1]
        if not isinstance(size, int):
            raise _Refused("HAVESPACE takes a name and a number.")
        await _in_thread(scripts.check_space, _text(command, 0), size)
        self.write(responses.ok("Putscript would succeed."))

    async def putscript(self, command: Command) -> None:
        """PUTSCRIPT [RFC5804 2.6]: stored only when it compiles; the old one stays until the new one is whole."""
        scripts = self.scripts()
        _arguments(command, 2)
        name, content = _text(command, 0), _octets(command, 1)
        scripts.check(name, len(content))
        warnings = await self.compile(content, name)
        await _in_thread(scripts.put, name, content)
        self.write(responses.ok(warnings or "PUTSCRIPT completed.", b"WARNINGS" if warnings else b""))

    async def checkscript(self, command: Command) -> None:
        """CHECKSCRIPT [RFC5804 2.12]"""
        self.scripts()
        _arguments(command, 1)
        warnings = await self.compile(_octets(command, 0), "")
        self.write(responses.ok(warnings or "Script checked successfully.", b"WARNINGS" if warnings else b""))

    async def compile(self, content: bytes, name: str) -> str:
        """Compile a script; returns its warnings as text. Raises _Refused with all mistakes."""
        if len(content) <= LARGE:
            program = self.program(content, name)
        else:
            program = await asyncio.to_thread(self.program, content, name)
        return "\r\n".join(program.warnings)

    def program(self, content: bytes, name: str) -> Program:
        """What a script compiles to. Raises as compile."""
        try:
            return COMPILED.program(content, self.registry, self.limits, name)
        except CompileError as error:
            raise _Refused("\r\n".join(_mistake(name, problem) for problem in error.problems)) from None

    async def listscripts(self, command: Command) -> None:
        """LISTSCRIPTS [RFC5804 2.7]"""
        scripts = self.scripts()
        _arguments(command, 0)

        def listed() -> list[tuple[str, bool]]:
            active = scripts.active_name()
            return [(name, name == active) for name in scripts.names()]

        self.write(responses.scripts(await _in_thread(listed)) + responses.ok("Listscripts completed."))

    async def setactive(self, command: Command) -> None:
        """SETACTIVE [RFC5804 2.8]: a script that no longer compiles is not made active."""
        scripts = self.scripts()
        _arguments(command, 1)
        name = _text(command, 0)

        def activate() -> None:
            if name:
                self.program(scripts.read(name), name)
            scripts.activate(name)

        await _in_thread(activate)
        self.write(responses.ok("Setactive completed."))

    async def getscript(self, command: Command) -> None:
        """GETSCRIPT [RFC5804 2.9]"""
        scripts = self.scripts()
        _arguments(command, 1)
        content = await _in_thread(scripts.read, _text(command, 0))
        self.write(responses.script(content) + responses.ok("Getscript completed."))

    async def deletescript(self, command: Command) -> None:
        """DELETESCRIPT [RFC5804 2.10]"""
        scripts = self.scripts()
        _arguments(command, 1)
        await _in_thread(scripts.delete, _text(command, 0))
        self.write(responses.ok("Deletescript completed."))

    async def renamescript(self, command: Command) -> None:
        """RENAMESCRIPT [RFC5804 2.11]"""
        scripts = self.scripts()
        _arguments(command, 2)
        await _in_thread(scripts.rename, _text(command, 0), _text(command, 1))
        self.write(responses.ok("Renamescript completed."))


def _mistake(name: str, problem: Problem) -> str:
    """``name: line 2: column 4: …``: Roundcube marks the lines that it finds as ``line 2:`` behind the name, which is Pigeonhole's form."""
    return f"{name}{': ' if name else ''}line {problem.line}: column {problem.column}: {problem.text}"


async def _in_thread(function: Callable[..., T], *arguments: object) -> T:
    return await asyncio.to_thread(function, *arguments)


def _arguments(command: Command, count: int) -> None:
    if len(command.arguments) != count:
        raise _Refused(f"{command.name} takes {count or 'no'} argument{'s' if count != 1 else ''}.")


def _octets(command: Command, at: int) -> bytes:
    value = command.arguments[at]
    if isinstance(value, Atom | int):
        raise _Refused(f"{command.name} takes strings.")
    return value


def _text(command: Command, at: int) -> str:
    try:
        return _octets(command, at).decode("utf-8")
    except UnicodeDecodeError:
        raise _Refused("The name of a script must be UTF-8.") from None


def _decode(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise SaslError("not base64") from None
