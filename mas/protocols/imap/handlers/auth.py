"""LOGIN, AUTHENTICATE, STARTTLS.  [RFC9051 6.2]

A wrong user and a wrong password get one answer at one cost (the authenticator's); before TLS no password is asked for or looked at.
"""

from __future__ import annotations

from mas.auth.interface import Attempt, LoggedIn
from mas.auth.sasl import MECHANISMS, SaslError
from mas.errors import AuthFailed
from mas.logs import get_logger
from mas.protocols.imap.commands import Authenticate, Login, StartTls
from mas.protocols.imap.events import BadCommand, SaslResponse, State
from mas.protocols.imap.responses import CANNOT, PRIVACYREQUIRED, capability
from mas.protocols.imap.state import Done, Refused, Session
from mas.user import User

log = get_logger("imap")


async def handle_starttls(session: Session, command: StartTls) -> Done:
    """The tagged OK goes out in clear and is the last thing that does [RFC9051 6.2.1]; what was pipelined behind it is discarded."""
    if session.channel.tls:
        raise Refused("TLS is already active.", bad=True)
    session.starting_tls = True
    return Done(b"Begin TLS negotiation now.")


async def handle_login(session: Session, command: Login) -> Done:
    """LOGIN [RFC9051 6.2.3]."""
    if not session.channel.tls:
        raise Refused("Cleartext authentication disallowed without TLS.", PRIVACYREQUIRED)
    if "PLAIN" not in session.services.auth.mechanisms(True):
        # It is the same password on the same way: who does not offer PLAIN does not want it.
        raise Refused("LOGIN is disabled, use AUTHENTICATE.", CANNOT)
    # Octets that are no UTF-8 are no user's name: the lookup fails as for any other wrong name, at the same cost.
    name = command.user.decode("utf-8", "replace")
    attempt = _attempt(session, "PLAIN")
    session.last_login = (name, "PLAIN")
    try:
        user = await session.services.auth.verify(name, command.password, attempt)
    except AuthFailed:
        _failed(session)
        raise
    return await _log_in(session, user, "PLAIN")


async def handle_authenticate(session: Session, command: Authenticate) -> Done:
    """AUTHENTICATE [RFC9051 6.2.2]. IMAP's OK carries no data of the mechanism: they are a last challenge."""
    mechanism, auth = command.mechanism, session.services.auth
    if mechanism not in auth.mechanisms(session.channel.tls, session.channel):
        if not session.channel.tls and mechanism in MECHANISMS:
            raise Refused("Cleartext authentication disallowed without TLS.", PRIVACYREQUIRED)
        raise Refused("Unsupported authentication mechanism.", CANNOT)
    exchange = auth.exchange(_attempt(session, mechanism))
    try:
        answer = await exchange.respond(command.initial)
        while not isinstance(answer, LoggedIn):
            session.channel.write(session.connection.challenge(answer))
            event = await session.next_event(session.config.imap.login_timeout)
            if isinstance(event, BadCommand):
                return session.bad_command(event)
            assert isinstance(event, SaslResponse)
            if event.data is None:
                raise Refused("Authentication aborted by client.", bad=True)
            answer = await exchange.respond(event.data)
    except SaslError as error:
        session.last_login = (exchange.authcid, mechanism)
        _failed(session)
        raise Refused(f"Invalid authentication data: {error}", bad=True) from None
    except AuthFailed:
        session.last_login = (exchange.authcid, mechanism)
        _failed(session)
        raise
    return await _log_in(session, answer.user, mechanism)


def _attempt(session: Session, mechanism: str) -> Attempt:
    channel = session.channel
    peer = channel.peer
    return Attempt(
        service="imap",
        remote=peer.address,
        local=peer.local_address,
        secured=channel.tls,
        session_id=peer.session_id,
        mechanism=mechanism,
        tls=channel,
    )


def _failed(session: Session) -> None:
    session.failed_logins += 1
    if session.failed_logins >= session.config.imap.max_login_attempts:
        session.farewell = b"Too many failed logins."


async def _log_in(session: Session, user: User, method: str) -> Done:
    """Register, open the mail. Nothing of it is kept when any step fails."""
    channel, services = session.channel, session.services
    await services.sessions.login(channel.peer, user.name, session.config.imap.max_user_ip_connections)
    session.account = await services.store.open(user)
    session.user = user
    session.connection.state = State.AUTHENTICATED
    log.info(
        "login",
        user=user.name,
        master=user.fields.get("master_user"),
        method=method,
        address=channel.peer.address,
        session=channel.peer.session_id,
        tls=channel.tls_description or None,
    )
    return Done(b"Logged in", capability(session.capabilities()))
