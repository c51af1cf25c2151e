"""STATUS, and its line for LIST-STATUS.  [RFC9051 6.3.11] [RFC5819] [RFC8438] [RFC7889 4]"""

from __future__ import annotations

from collections.abc import Sequence

from mas.errors import MailboxNotFound
from mas.protocols.imap.commands import Status, StatusItem
from mas.protocols.imap.encode import encode_status
from mas.protocols.imap.state import Done, Session
from mas.storage.model import MailboxName, MailboxStatus


async def handle_status(session: Session, command: Status) -> Done:
    """STATUS, also of the selected mailbox: cheap, and clients do it."""
    status = (await session.mail.status([command.mailbox]))[0]
    if status is None:
        raise MailboxNotFound(command.mailbox)
    if StatusItem.HIGHESTMODSEQ in command.items:
        session.enable_condstore()
    session.channel.write(status_line(session, command.mailbox, command.items, status))
    return Done(b"Status completed.")


def status_line(session: Session, name: MailboxName, items: Sequence[StatusItem], status: MailboxStatus) -> bytes:
    """``* STATUS name (...)`` [RFC9051 7.3.4]."""
    values: dict[StatusItem, int | str | None] = {
        StatusItem.MESSAGES: status.messages,
        StatusItem.RECENT: status.recent,
        StatusItem.UIDNEXT: status.uid_next,
        StatusItem.UIDVALIDITY: status.uid_validity,
        StatusItem.UNSEEN: status.unseen,
        StatusItem.DELETED: status.deleted,
        StatusItem.SIZE: status.size,
        StatusItem.HIGHESTMODSEQ: status.highest_modseq,
        StatusItem.DELETED_STORAGE: status.deleted_size,
        StatusItem.MAILBOXID: status.mailbox_id,
        StatusItem.APPENDLIMIT: session.config.quota.max_mail_size or None,
    }
    return encode_status(session.mailbox_text(name), [(item, values[item]) for item in items])
