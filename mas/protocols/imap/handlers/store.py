"""STORE and UID STORE.  [RFC9051 6.4.6] [RFC7162 3.1.3]"""

from __future__ import annotations

from mas.protocols.imap.commands import Store
from mas.protocols.imap.flag_events import flags_before, tell_flags_changed
from mas.protocols.imap.responses import EXPUNGEISSUED, modified
from mas.protocols.imap.state import Done, Refused, Session
from mas.protocols.imap.view import Messages
from mas.storage.model import FlagsStored, Modseq


async def handle_store(session: Session, command: Store) -> Done:
    """Change flags; tell those that are different now, and nothing of a message that had them already.

    UNCHANGEDSINCE is told MODSEQ of every message it did not refuse, even with .SILENT, and with it a client may go on.
    """
    selection, view = session.writable()
    messages = session.resolve(view, command.messages, command.uid)
    if command.unchanged_since is not None:
        session.enable_condstore()
    if not messages:
        return Done(b"Store completed.", expunge=command.uid, uid=command.uid)
    since = None if command.unchanged_since is None else Modseq(command.unchanged_since)
    before = flags_before(session, view, messages.uids)
    stored = await selection.store(messages.uids, command.op, command.flags, since)
    view.absorb(selection.take_changes(), {row.uid: row.modseq for row in stored.changed})
    session.tell_new_keywords()
    _tell(session, command, messages, stored)
    await tell_flags_changed(session, selection, before, stored.changed)
    if stored.failed:
        failed = list(stored.failed) if command.uid else list(messages.numbers(stored.failed)[0])
        return Done(b"Conditional store failed.", modified(failed), expunge=command.uid, uid=command.uid)
    if not command.uid and not command.silent and len(stored.changed) + len(stored.unchanged) < len(messages):
        raise Refused("Some of the messages no longer exist.", EXPUNGEISSUED)  # [RFC2180 4.2]
    return Done(b"Store completed.", expunge=command.uid, uid=command.uid)


def _tell(session: Session, command: Store, messages: Messages, stored: FlagsStored) -> None:
    rows = stored.changed
    if command.silent:
        if not session.condstore:
            return
        if command.unchanged_since is not None and stored.unchanged:
            rows = sorted([*stored.changed, *stored.unchanged], key=lambda row: row.uid)
    if not rows:
        return
    numbers, _ = messages.numbers([row.uid for row in rows])
    with_uid = command.uid or session.qresync
    if command.silent:
        lines = [
            b"* %d FETCH (UID %d MODSEQ (%d))\r\n" % (number, row.uid, row.modseq)
            if with_uid
            else b"* %d FETCH (MODSEQ (%d))\r\n" % (number, row.modseq)
            for number, row in zip(numbers, rows, strict=True)
        ]
    else:
        lines = [
            session.flags_response(number, row.uid, row.flags, row.modseq, with_uid)
            for number, row in zip(numbers, rows, strict=True)
        ]
    session.channel.write(b"".join(lines))
