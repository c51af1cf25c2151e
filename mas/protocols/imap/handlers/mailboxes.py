"""CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE.  [RFC9051 6.3.4 to 6.3.8]"""

from __future__ import annotations

from mas.config.mailstore import SPECIAL_USES
from mas.protocols.imap.commands import Create, Delete, Rename, Subscribe, Unsubscribe
from mas.protocols.imap.responses import USEATTR, mailboxid
from mas.protocols.imap.state import Done, Refused, Session
from mas.storage.model import MailboxName


async def handle_create(session: Session, command: Create) -> Done:
    """CREATE [RFC9051 6.3.4], with (USE (...)) [RFC6154 3], answering MAILBOXID [RFC8474 4.1]."""
    for use in command.special_use:
        if use not in SPECIAL_USES:
            raise Refused(f"Special use {use} is not known.", USEATTR)
    # A separator at the end announces inferiors, which needs no announcing here: it is not part of the name.
    name = MailboxName(command.mailbox.removesuffix(session.mail.separator))
    mailbox_id = await session.mail.create(name, command.special_use)
    return Done(b"Create completed.", mailboxid(mailbox_id) if mailbox_id else None)


async def handle_delete(session: Session, command: Delete) -> Done:
    """DELETE [RFC9051 6.3.5]. The mailbox that this session has selected is left first."""
    selection = session.selection
    await session.mail.delete(command.mailbox)
    if selection is not None and selection.gone:
        await session.leave_mailbox(tell=True)
    return Done(b"Delete completed.")


async def handle_rename(session: Session, command: Rename) -> Done:
    """RENAME [RFC9051 6.3.6]."""
    await session.mail.rename(command.mailbox, command.to)
    return Done(b"Rename completed.")


async def handle_subscribe(session: Session, command: Subscribe) -> Done:
    """SUBSCRIBE [RFC9051 6.3.7]. The mailbox need not exist: clients bring back subscriptions before folders."""
    await session.mail.subscribe(command.mailbox)
    return Done(b"Subscribe completed.")


async def handle_unsubscribe(session: Session, command: Unsubscribe) -> Done:
    """UNSUBSCRIBE [RFC9051 6.3.8]."""
    await session.mail.unsubscribe(command.mailbox)
    return Done(b"Unsubscribe completed.")
