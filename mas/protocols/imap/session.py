"""The IMAP session: events of the connection to handlers, what they answer to the client.

One command at a time: handler, then what has happened to the mailbox meanwhile, then the tagged status response. A domain error is NO or
BAD by ``refusals``; anything else that escapes a handler is a bug: one log line with the session's id, ``NO [SERVERBUG]``, and the
session goes on, unless the bug left a literal half read or half written.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Awaitable, Callable
from typing import Any

from mas import logs
from mas.config import Config
from mas.errors import MasError, StorageUnavailable
from mas.metrics import table as metrics
from mas.protocols.imap.commands import Append, Authenticate, Command, Idle
from mas.protocols.imap.connection import ImapConnection
from mas.protocols.imap.events import BadCommand, Closed, Continuation, Event, ImapLimits
from mas.protocols.imap.handlers import HANDLERS
from mas.protocols.imap.handlers.metadata import tell_annotations
from mas.protocols.imap.refusals import SERVERBUG, refusal
from mas.protocols.imap.responses import highestmodseq
from mas.protocols.imap.state import BrokenStream, Done, Session
from mas.protocols.session import Channel, Peer, Woken
from mas.services import Services

log = logs.get_logger("imap")

_CONTINUED = (Append, Authenticate, Idle)
"""Commands with input of their own: after a bug in one of them nobody knows what the next octets are."""


_SECONDS = {kind: metrics.IMAP_COMMAND_SECONDS[kind.__name__.upper()] for kind in HANDLERS if kind is not Idle}
_REPLIES = {condition: metrics.IMAP_REPLIES[condition.decode()] for condition in (b"OK", b"NO", b"BAD")}


def limits(config: Config) -> ImapLimits:
    """The limits of the wire, from the configuration."""
    names = [field.name for field in dataclasses.fields(ImapLimits)]
    return ImapLimits(**{name: getattr(config.imap, name) for name in names})


def opener(
    services: Services,
) -> Callable[[Peer, bool], tuple[ImapConnection, Callable[[Channel[Event]], Awaitable[None]]]]:
    """What a listener needs: a function that makes the connection and the session for one peer."""
    wire_limits = limits(services.config)

    def open_session(peer: Peer, tls: bool) -> tuple[ImapConnection, Callable[[Channel[Event]], Awaitable[None]]]:
        connection = ImapConnection(wire_limits)

        async def run(channel: Channel[Event]) -> None:
            await serve(Session(channel, connection, services))

        return connection, run

    return open_session


async def serve(session: Session) -> None:
    """One connection from its greeting to its end."""
    started = time.monotonic()
    reason = "connection closed"
    try:
        session.greet()
        reason = await _converse(session)
    except TimeoutError:
        reason = "inactivity"
        session.bye(b"Disconnected for inactivity.")
    except ConnectionError as error:
        reason = str(error) or reason
    except BrokenStream as error:
        reason = str(error)
    except Exception:
        # No domain error and no handler's bug, so one of the wire code or of this module: the listener logs it with where it was.
        reason = "internal error"
        session.bye(b"Internal error occurred.")
        raise
    finally:
        _log_end(session, reason, time.monotonic() - started)
        await _leave(session)


async def _converse(session: Session) -> str:
    """Commands until one of the two sides ends it; returns why."""
    channel, connection = session.channel, session.connection
    limits = session.config.imap
    before_login = 0
    while True:
        timeout = limits.login_timeout if session.user is None else limits.idle_timeout
        event = await channel.next_event(timeout)
        if isinstance(event, Command):
            if session.user is None:
                before_login += 1
                if before_login > limits.max_commands_before_login:
                    session.bye(b"Too many commands before login (imap.max_commands_before_login).")
                    return "too many commands before login"
            began = time.monotonic()
            await _execute(session, event)
            if (seconds := _SECONDS.get(type(event))) is not None:
                seconds.observe(time.monotonic() - began)
            if session.farewell:
                session.bye(session.farewell)
            if session.ended:
                return "logged out" if not session.farewell else session.farewell.decode()
            if session.starting_tls:
                session.starting_tls = False
                await channel.start_tls()
            connection.command_done()
        elif isinstance(event, Continuation):
            channel.write(event.data)
        elif isinstance(event, BadCommand):
            done = session.bad_command(event)
            _tag(session, event.tag, done)
            if event.fatal:
                session.bye(session.farewell)
                return event.text
            connection.command_done()
        elif isinstance(event, Closed):
            return "connection closed"
        elif event is not Woken.WOKEN:
            raise AssertionError(f"{type(event).__name__} outside its command")
        if (channel.draining or session.selection is not None) and session.must_end():
            return "server stops" if channel.draining else "mailbox deleted"


async def _execute(session: Session, command: Command) -> None:
    """Run the handler of one command and answer it."""
    try:
        done = await HANDLERS[type(command)](session, command)
        if session.annotations is not None:
            await tell_annotations(session)
    except BrokenStream:
        raise
    except MasError as error:
        if isinstance(error, StorageUnavailable):
            log.error("mail store", error=str(error), **_who(session), command=type(command).__name__)
        done = refusal(error, command)
    except (OSError, TimeoutError) as error:
        if isinstance(error, (ConnectionError, TimeoutError)):
            raise
        done = _bug(session, command)
    except Exception:
        done = _bug(session, command)
    if done is None:
        return
    if session.selection is not None:
        view = session.view
        session.announce(expunge=done.expunge, uid=done.uid)
        if session.qresync and view is not None and view.held_modseq:
            # Expunges wait, and MODSEQs above theirs were told: the client must not think it has heard all [RFC7162 6].
            code = highestmodseq(view.held_modseq - 1)
            if done.code is None:
                done = dataclasses.replace(done, code=code)
            else:
                session.ok(b"Expunges wait.", code)
    _tag(session, command.tag, done)


def _tag(session: Session, tag: bytes, done: Done) -> None:
    _REPLIES[done.condition].add()
    if done.code is None:
        session.channel.write(b"%s %s %s\r\n" % (tag, done.condition, done.text))
    else:
        session.channel.write(b"%s %s [%s] %s\r\n" % (tag, done.condition, done.code, done.text))


def _bug(session: Session, command: Command) -> Done:
    """Called in an except clause: something that is no domain error escaped a handler."""
    log.error("internal error", exc_info=True, command=type(command).__name__, **_who(session))
    if session.in_literal:
        raise BrokenStream("internal error in a literal")
    if isinstance(command, _CONTINUED):
        session.farewell = b"Internal error occurred."
    return SERVERBUG


def _who(session: Session) -> dict[str, Any]:
    return {
        "user": session.user.name if session.user is not None else None,
        "session": session.channel.peer.session_id,
    }


def _log_end(session: Session, reason: str, seconds: float) -> None:
    peer = session.channel.peer
    if session.user is not None:
        channel, who = session.channel, _who(session)
        log.info(
            "disconnected", reason=reason, **who, client=session.client, received=channel.received, sent=channel.sent
        )
        return
    if not session.failed_logins:
        log.debug("disconnected", reason=reason, address=peer.address, session=peer.session_id)
        return
    name, method = session.last_login
    logs.login_failed(
        "imap",
        user=name,
        method=method,
        address=peer.address,
        local_address=peer.local_address,
        session=peer.session_id,
        tls=session.channel.tls,
        attempts=session.failed_logins,
        seconds=seconds,
    )


async def _leave(session: Session) -> None:
    """Give back the mailbox and the account; a store that fails now has been heard of before."""
    account, session.account = session.account, None
    try:
        if session.selection is not None:
            await session.leave_mailbox()
        if account is not None and any(box.autoexpunge or box.autoexpunge_max_mails for box in session.config.mailbox):
            await account.expire()
    except MasError as error:
        log.error("mail store", error=str(error), **_who(session))
    finally:
        if account is not None:
            await account.close()
