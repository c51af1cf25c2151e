"""EXPUNGE, UID EXPUNGE, CLOSE, UNSELECT.  [RFC9051 6.4.1 to 6.4.3, 6.4.9]

Only messages that this session was told of are removed: one that came with \\Deleted a moment ago stays until the client has seen it.
"""

from __future__ import annotations

from mas.protocols.imap.commands import Close, Expunge, Unselect
from mas.protocols.imap.state import Done, Session
from mas.storage.model import DELETED


async def handle_expunge(session: Session, command: Expunge) -> Done:
    """EXPUNGE and UID EXPUNGE; what is gone is told by the loop, as EXPUNGE or VANISHED, before the tagged OK."""
    selection, view = session.writable()
    uids = view.with_flag(DELETED)
    if command.uids is not None and uids:
        named = set(session.resolve(view, command.uids, True).uids)
        uids = [uid for uid in uids if uid in named]
    removed = await selection.expunge(uids) if uids else ()
    code = session.modseq_code() if removed else None
    return Done(b"Expunge completed.", code, uid=command.uids is not None)


async def handle_close(session: Session, command: Close) -> Done:
    """CLOSE: as EXPUNGE without telling it, then no mailbox is selected; after EXAMINE nothing is removed."""
    selection, view = session.selected()
    if not selection.read_only:
        uids = view.with_flag(DELETED)
        if uids:
            await selection.expunge(uids)
    await session.leave_mailbox()
    return Done(b"Close completed.")


async def handle_unselect(session: Session, command: Unselect) -> Done:
    """UNSELECT [RFC9051 6.4.2]."""
    await session.leave_mailbox()
    return Done(b"Unselect completed.")
