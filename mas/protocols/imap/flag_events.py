"""What changed of the flags of messages, for those who listen to flag changes. Nothing is worked out when nobody does."""

from __future__ import annotations

from collections.abc import Sequence

from mas.protocols.imap.state import Session
from mas.protocols.imap.view import View
from mas.storage.interface import Selection
from mas.storage.model import FlagChange, MessageRow, flag_names

Before = dict[int, int]
"""uid -> flags."""


def flags_before(session: Session, view: View, uids: Sequence[int]) -> Before | None:
    """The flags of messages before a change; None when nobody wants to know. As this process knows them: what another process has changed
    since is told along with the change."""
    events = session.services.events
    if events is None or not events.flags_wanted:
        return None
    flags = view.snapshot.flags
    return {uid: flags[at] for uid in uids if (at := view.position(uid)) is not None}


async def tell_flags_changed(
    session: Session, selection: Selection, before: Before | None, rows: Sequence[MessageRow]
) -> None:
    """After a change that was committed."""
    events = session.services.events
    if before is None or events is None or not rows:
        return
    snapshot = selection.snapshot
    names: dict[int, tuple[str, ...]] = {}

    def named(bits: int) -> tuple[str, ...]:
        if bits not in names:
            names[bits] = flag_names(bits, snapshot.keywords)
        return names[bits]

    changed = [
        FlagChange(row.uid, named(bits), named(row.flags))
        for row in rows
        if (bits := row.flags ^ before.get(row.uid, 0))
    ]
    await events.flags_changed(session.mail, selection.name, snapshot.uid_validity, changed)
