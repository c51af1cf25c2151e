"""STARTTLS, AUTHENTICATE, UNAUTHENTICATE: who speaks, and whether anybody else can hear it. [RFC5804 2.1, 2.2, 2.14.1]"""

from __future__ import annotations

import base64
import binascii
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mas import logs
from mas.auth.interface import Attempt, Exchange, LoggedIn
from mas.auth.sasl import SaslError
from mas.errors import AuthFailed, TooManyConnections, UserDisabled
from mas.protocols.managesieve import arguments, responses
from mas.protocols.managesieve.arguments import Quit, Refused
from mas.protocols.managesieve.connection import Closed, Command, SaslResponse
from mas.storage.scripts import ScriptFolder, folder_of
from mas.user import User

if TYPE_CHECKING:
    from mas.protocols.managesieve.session import Session

_log = logs.get_logger("managesieve")
_MAX_BAD_LOGINS = 3
_AFTER_LOGIN_LITERAL_SLACK = 4096


@dataclass(slots=True)
class Login:
    """Who is logged in, and the scripts of that user."""

    user: User
    scripts: ScriptFolder


async def starttls(session: Session, command: Command) -> None:
    """STARTTLS [RFC5804 2.2]: what was pipelined behind it is discarded by the channel."""
    arguments.count(command, 0)
    if session.channel.tls:
        raise Refused("TLS is already on.")
    session.write(responses.ok("Begin TLS negotiation now."))
    await session.channel.start_tls()
    session.write(session.greeting() + responses.ok("TLS negotiation successful."))


async def authenticate(session: Session, command: Command) -> None:
    """AUTHENTICATE [RFC5804 2.1]"""
    if session.login:
        raise Refused("Already authenticated.")
    if not session.channel.tls:
        raise Refused("Use STARTTLS first.", b"ENCRYPT-NEEDED")
    if not 1 <= len(command.arguments) <= 2:
        raise Refused("AUTHENTICATE takes a mechanism and at most one response.")
    mechanism = arguments.octets(command, 0).decode("ascii", "replace").upper()
    if mechanism not in session.auth.mechanisms(True, session.channel):
        raise Refused("Unsupported authentication mechanism.")
    initial = arguments.octets(command, 1) if len(command.arguments) == 2 else None
    peer = session.channel.peer
    attempt = Attempt(
        "sieve", peer.address, peer.local_address, session.channel.tls, peer.session_id, mechanism, tls=session.channel
    )
    exchange = session.auth.exchange(attempt, success_data=True)
    try:
        answer = await _exchange(session, exchange, initial)
        user = answer.user
        await session.services.sessions.login(peer, user.name, session.config.managesieve.max_user_ip_connections)
    except SaslError:
        session.failed_logins += 1
        raise Refused("Invalid authentication data.") from None
    except UserDisabled as error:
        session.failed_logins += 1
        raise Refused(error.reason or "This account may not log in.") from None
    except AuthFailed:
        session.failed_logins += 1
        if session.failed_logins >= _MAX_BAD_LOGINS:
            session.write(responses.bye("Authentication failed."))
            raise Quit("too many failed logins") from None
        raise Refused("Authentication failed.") from None
    except TooManyConnections:
        session.write(responses.bye("Maximum number of connections from your address exceeded.", b"TRYLATER"))
        raise Quit("too many connections of this user from this address") from None
    finally:
        session.last_failed = (exchange.authcid, mechanism)
    session.login = Login(user, folder_of(user, session.config))
    _logged_in(session, True)
    _log.info(
        "login",
        user=user.name,
        master=user.fields.get("master_user"),
        method=mechanism,
        address=peer.address,
        session=peer.session_id,
    )
    data = responses.string(base64.b64encode(answer.data))
    session.write(responses.ok("Logged in.", b"SASL " + data if answer.data else b""))


async def unauthenticate(session: Session, command: Command) -> None:
    """UNAUTHENTICATE [RFC5804 2.14.1]"""
    session.scripts()
    arguments.count(command, 0)
    await session.services.sessions.login(session.channel.peer, "", 0)
    session.login = None
    session.commands = 0
    session.started = time.monotonic()
    _logged_in(session, False)
    session.write(responses.ok("Logged out."))


def _logged_in(session: Session, now: bool) -> None:
    """Scripts may be sent, or no longer."""
    settings = session.config.managesieve
    after = session.config.sieve.max_script_size + _AFTER_LOGIN_LITERAL_SLACK
    session.connection.max_literal = after if now else settings.max_literal_before_login


async def _exchange(session: Session, exchange: Exchange, initial: bytes | None) -> LoggedIn:
    """Challenges and responses until the client is logged in. Raises as Exchange."""
    answer = await exchange.respond(None if initial is None else _decode(initial))
    while not isinstance(answer, LoggedIn):
        session.write(responses.string(base64.b64encode(answer)) + b"\r\n")
        session.connection.expect_sasl()
        event = await session.event()
        if isinstance(event, Closed):
            raise Quit("Connection closed")
        if not isinstance(event, SaslResponse) or event.text is None:
            raise SaslError("cancelled")
        answer = await exchange.respond(_decode(event.text))
    return answer


def _decode(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise SaslError("not base64") from None
