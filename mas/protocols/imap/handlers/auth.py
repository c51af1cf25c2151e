"""LOGIN, AUTHENTICATE, STARTTLS.  [RFC9051 6.2]

A wrong user and a wrong password get one answer at one cost (the authenticator's); before TLS no password is asked for or looked at.
"""

from __future__ import annotations

from mas.auth.interface import Attempt, Credentials
from mas.auth.sasl import CLEARTEXT, Exchange, SaslError
from mas.errors import AuthFailed, MasError
from mas.logs import get_logger
from mas.protocols.imap.commands import Authenticate, Login, StartTls
from mas.protocols.imap.events import BadCommand, SaslResponse, State
from mas.protocols.imap.responses import CANNOT, PRIVACYREQUIRED, capability
from mas.protocols.imap.state import Done, Refused, Session

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
    # Octets that are no UTF-8 are no user's name: the lookup fails as for any other wrong name, at the same cost.
    credentials = Credentials(command.user.decode("utf-8", "replace"), command.password)
    return await _log_in(session, credentials, "PLAIN")


async def handle_authenticate(session: Session, command: Authenticate) -> Done:
    """AUTHENTICATE [RFC9051 6.2.2]."""
    mechanism = command.mechanism
    if mechanism not in session.services.auth.mechanisms(session.channel.tls):
        if not session.channel.tls and mechanism in CLEARTEXT:
            raise Refused("Cleartext authentication disallowed without TLS.", PRIVACYREQUIRED)
        raise Refused("Unsupported authentication mechanism.", CANNOT)
    try:
        exchange = Exchange(mechanism)
        credentials = None if command.initial is None else exchange.initial(command.initial)
        while credentials is None:
            session.channel.write(session.connection.challenge(exchange.challenge))
            event = await session.next_event(session.config.imap.login_timeout)
            if isinstance(event, BadCommand):
                return session.bad_command(event)
            assert isinstance(event, SaslResponse)
            if event.data is None:
                raise Refused("Authentication aborted by client.", bad=True)
            credentials = exchange.respond(event.data)
    except SaslError as error:
        raise Refused(f"Invalid authentication data: {error}", bad=True) from None
    return await _log_in(session, credentials, mechanism)


async def _log_in(session: Session, credentials: Credentials, method: str) -> Done:
    """Verify, register, open the mail. Nothing of it is kept when any step fails."""
    channel, services = session.channel, session.services
    peer = channel.peer
    session.last_login = (credentials.authcid, method)
    attempt = Attempt(
        service="imap",
        remote=peer.address,
        local=peer.local_address,
        secured=channel.tls,
        session_id=peer.session_id,
        mechanism=method,
    )
    try:
        user = await services.auth.verify(credentials.authcid, credentials.password, attempt, credentials.authzid)
        await services.sessions.login(peer, user.name, session.config.imap.max_user_ip_connections)
        session.account = await services.store.open(user)
    except MasError as error:
        if isinstance(error, AuthFailed):
            session.failed_logins += 1
            if session.failed_logins >= session.config.imap.max_login_attempts:
                session.farewell = b"Too many failed logins."
        raise
    session.user = user
    session.connection.state = State.AUTHENTICATED
    log.info(
        "login",
        user=user.name,
        method=method,
        address=peer.address,
        session=peer.session_id,
        tls=channel.tls_description or None,
    )
    return Done(b"Logged in", capability(session.capabilities()))
