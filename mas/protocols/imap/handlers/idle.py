"""IDLE.  [RFC9051 6.3.13] [RFC2177]

No task waits beside the session's own: the store's ``on_change`` wakes the channel, and what happened goes out at once as one write. (One
line in two TLS records breaks IMAPClient's reader.)
"""

from __future__ import annotations

import time

from mas.protocols.imap.commands import Idle
from mas.protocols.imap.events import BadCommand, Closed, IdleDone
from mas.protocols.imap.handlers.metadata import tell_annotations
from mas.protocols.imap.state import Done, Session
from mas.protocols.session import Woken


async def handle_idle(session: Session, command: Idle) -> Done | None:
    """Push until DONE, the end of the server or of the mailbox, or ``imap.idle_timeout`` without a word from the client."""
    channel, selection = session.channel, session.selection
    limits = session.config.imap
    interval = limits.idle_notify_interval or limits.idle_timeout
    end = time.monotonic() + limits.idle_timeout
    channel.write(session.connection.start_idle())
    if selection is not None:
        selection.on_change(channel.wake)
        await selection.refresh()
        session.announce(expunge=True)
    session.tell_state(idle=True)
    try:
        while True:
            try:
                event = await channel.next_event(min(interval, max(end - time.monotonic(), 0.0)))
            except TimeoutError:
                if time.monotonic() >= end:
                    session.bye(b"Disconnected for inactivity.")
                    return None
                channel.write(b"* OK Still here\r\n")
                continue
            if event is Woken.WOKEN:
                if session.must_end():
                    return None
                session.announce(expunge=True)
                if session.annotations is not None:
                    await tell_annotations(session)
            elif isinstance(event, BadCommand):
                return session.bad_command(event)
            elif isinstance(event, IdleDone):
                return Done(b"Idle completed.")
            else:
                assert isinstance(event, Closed)
                raise ConnectionResetError("closed by the client")
    finally:
        if selection is not None:
            selection.on_change(None)
        session.tell_state()
