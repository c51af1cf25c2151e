"""COPY and MOVE.  [RFC9051 6.4.7, 6.4.8] [RFC6851] [RFC4315 3]"""

from __future__ import annotations

from mas.protocols.imap.commands import Copy, Move
from mas.protocols.imap.responses import EXPUNGEISSUED, copyuid
from mas.protocols.imap.state import Done, Refused, Session
from mas.protocols.imap.view import Messages, View
from mas.storage.interface import Selection
from mas.storage.model import Copied


async def handle_copy(session: Session, command: Copy) -> Done:
    """COPY: all or nothing. Uids that are no message are nothing, so a UID COPY of none is OK whatever its target is."""
    selection, view = session.selected()
    messages = _messages(session, view, command)
    if not messages:
        return Done(b"No messages found.", uid=command.uid)
    copied = await selection.copy(messages.uids, command.mailbox)
    if not copied.source:
        return Done(b"No messages found.", uid=command.uid)
    await _tell(session, selection, command, copied)
    return Done(b"Copy completed.", copyuid(copied.uid_validity, copied.source, copied.target), uid=command.uid)


async def handle_move(session: Session, command: Move) -> Done:
    """MOVE: COPYUID in an untagged OK before the first EXPUNGE, so that a client never sees a message nowhere [RFC6851 4.3]."""
    selection, view = session.writable()
    messages = _messages(session, view, command)
    if not messages:
        return Done(b"No messages found.", uid=command.uid)
    moved = await selection.move(messages.uids, command.mailbox)
    if not moved.source:
        return Done(b"No messages found.", uid=command.uid)
    await _tell(session, selection, command, moved)
    session.ok(b"Moved UIDs.", copyuid(moved.uid_validity, moved.source, moved.target))
    return Done(b"Move completed.", session.modseq_code(), uid=command.uid)


async def _tell(session: Session, selection: Selection, command: Copy | Move, copied: Copied) -> None:
    events = session.services.events
    if events is not None:
        moved = isinstance(command, Move)
        await events.copied(session.mail, selection, command.mailbox, copied, moved=moved)


def _messages(session: Session, view: View, command: Copy | Move) -> Messages:
    messages = session.resolve(view, command.messages, command.uid)
    if not command.uid and view.some_gone(messages.uids):
        raise Refused("Some of the messages no longer exist.", EXPUNGEISSUED)  # nothing is copied [RFC2180 4.4.1]
    return messages
