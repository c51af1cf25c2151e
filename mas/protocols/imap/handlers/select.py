"""SELECT and EXAMINE, with CONDSTORE and QRESYNC.  [RFC9051 6.3.2, 6.3.3] [RFC7162 3.1.8, 3.2.5]"""

from __future__ import annotations

from dataclasses import replace
from operator import indexOf

from mas.protocols.imap.commands import Qresync, Select
from mas.protocols.imap.encode import encode_exists, encode_recent, encode_vanished_earlier
from mas.protocols.imap.events import State
from mas.protocols.imap.handlers.list import mailbox_line
from mas.protocols.imap.numset import last_match, resolve
from mas.protocols.imap.responses import READ_ONLY, READ_WRITE, highestmodseq, mailboxid, uidnext, uidvalidity, unseen
from mas.protocols.imap.state import Done, FlagTexts, Refused, Session
from mas.protocols.imap.view import View
from mas.storage.model import SEEN, Modseq, Resync, Snapshot


async def handle_select(session: Session, command: Select) -> Done:
    """The mailbox selected before is left, whether or not this one can be opened [RFC9051 6.3.2]."""
    if command.qresync is not None and not session.qresync:
        raise Refused("QRESYNC was not enabled.", bad=True)
    await session.leave_mailbox(tell=True)
    selection = await session.mail.select(command.mailbox, read_only=command.read_only)
    selection.take_changes()
    snapshot = selection.snapshot
    session.selection = selection
    view = session.view = View(snapshot)
    session.flag_texts = _flag_texts(snapshot)
    session.connection.state = State.SELECTED
    session.condstore = session.condstore or command.condstore
    session.tell_state()
    _tell(session)
    if session.rev2:
        await mailbox_line(session, selection.name)
    if command.qresync is not None:
        await _resynchronize(session, view, command.qresync)
    if command.read_only:
        return Done(b"Examine completed.", READ_ONLY)
    return Done(b"Select completed.", READ_WRITE)


def _tell(session: Session) -> None:
    selection, view = session.selection, session.view
    assert selection is not None
    assert view is not None
    snapshot = selection.snapshot
    session.tell_flags()
    session.channel.write(encode_exists(view.exists))
    if not session.rev2:
        session.channel.write(encode_recent(session.recent_count()))
        first = _first_unseen(snapshot)
        if first:
            session.ok(b"First unseen.", unseen(first))
    session.ok(b"UIDs valid", uidvalidity(snapshot.uid_validity))
    session.ok(b"Predicted next UID", uidnext(snapshot.uid_next))
    # Told every time, also to clients that never heard of CONDSTORE [RFC7162 3.1.2.1].
    session.ok(b"Mailbox id", mailboxid(selection.mailbox_id))
    session.ok(b"Highest", highestmodseq(snapshot.highest_modseq))


def _flag_texts(snapshot: Snapshot) -> FlagTexts:
    """One cache of flag texts for all sessions that have this mailbox selected."""
    texts = snapshot.memo.get("flag_texts")
    if not isinstance(texts, FlagTexts) or texts.keywords is not snapshot.keywords:
        texts = snapshot.memo["flag_texts"] = FlagTexts(snapshot.keywords)
    return texts


def _first_unseen(snapshot: Snapshot) -> int:
    """Sequence number of the first message without \\Seen, 0 when there is none. Looked for once for each state of the mailbox."""
    known = snapshot.memo.get("first_unseen")
    if isinstance(known, tuple) and known[0] == snapshot.generation:
        return int(known[1])
    try:
        first = indexOf(map(SEEN.__and__, snapshot.flags), 0) + 1
    except ValueError:
        first = 0
    snapshot.memo["first_unseen"] = (snapshot.generation, first)
    return first


async def _resynchronize(session: Session, view: View, known: Qresync) -> None:
    """What happened while the client was away [RFC7162 3.2.5.1]. What it knows by its sequence numbers bounds VANISHED from below
    [RFC7162 3.2.5.2]. With another UIDVALIDITY its cache is void and it is told nothing.

    Told by the view that the client just got: a message that goes while this is looked up is still in that view, and its VANISHED comes
    with the other pending changes.
    """
    selection = session.selection
    assert selection is not None
    if known.uid_validity != selection.snapshot.uid_validity:
        return
    uids = None
    if known.known_uids is not None:
        uids = resolve(known.known_uids, max(selection.snapshot.uid_next - 1, 1))
    resync = await selection.resync(Modseq(known.modseq), uids)
    view.absorb(selection.take_changes())
    if known.known_sequence is not None:
        numbers, values = [resolve(one, 0xFFFFFFFF) for one in known.known_sequence]
        matched = last_match(numbers, values, view.uids)
        resync = replace(
            resync, vanished=[(max(low, matched + 1), high) for low, high in resync.vanished if high > matched]
        )
    tell_resync(session, view, resync)


def tell_resync(session: Session, view: View, resync: Resync) -> None:
    """VANISHED (EARLIER), then FETCH of what changed."""
    if vanished := view.without_waiting(resync.vanished):
        session.channel.write(encode_vanished_earlier(vanished))
    here = set(view.uids) if resync.changed else set()
    rows = [row for row in resync.changed if row.uid in here]
    numbers = view.seqnums_of([row.uid for row in rows])
    session.channel.write(
        b"".join(
            [
                session.flags_response(number, row.uid, row.flags, row.modseq, True)
                for number, row in zip(numbers, rows, strict=True)
            ]
        )
    )
