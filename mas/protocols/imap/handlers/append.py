"""APPEND and MULTIAPPEND.  [RFC9051 6.3.12] [RFC3502] [RFC4315] [RFC7889]

Messages go straight into the store's ``Incoming``, chunk by chunk; nothing is in the mailbox before all of them are whole, and then all
at once. What can be known before a literal is asked for (no such mailbox, too big, over quota) is answered before it; whenever this gives
up, the connection drops what the client still sends of the command.
"""

from __future__ import annotations

from contextlib import AsyncExitStack

from mas.errors import MailboxNotFound, MessageTooBig, OverQuota
from mas.protocols.imap.commands import Append
from mas.protocols.imap.events import AppendDone, BadCommand, LiteralChunk, LiteralOffered
from mas.protocols.imap.responses import appenduid
from mas.protocols.imap.state import Done, Refused, Session
from mas.storage.interface import Incoming
from mas.storage.mime.crlf import CrlfLines
from mas.storage.model import SaveOptions


async def handle_append(session: Session, command: Append) -> Done:
    """All messages or none."""
    account = session.mail
    messages: list[tuple[Incoming, SaveOptions]] = []
    coming = 0
    async with AsyncExitStack() as stack:
        while True:
            event = await session.next_event(session.config.imap.command_timeout)
            if isinstance(event, BadCommand):
                return session.bad_command(event)
            if isinstance(event, AppendDone):
                break
            assert isinstance(event, LiteralOffered)
            await _check(session, command, event, coming)
            message = await stack.enter_async_context(session.incoming())
            coming += event.size
            session.channel.write(session.connection.accept_literal())
            await _receive(session, message, as_they_are=event.literal8 and not event.utf8)
            messages.append((message, SaveOptions(event.flags, event.internal_date)))
        saved = await account.save(command.mailbox, messages)
    events = session.services.events
    if events is not None:
        await events.appended(account, command.mailbox, saved)
    return Done(b"Append completed.", appenduid(saved.uid_validity, saved.uids))


async def _check(session: Session, command: Append, offered: LiteralOffered, coming: int) -> None:
    """Whether a message of this size can be taken at all; the save itself checks again."""
    limit = session.config.quota.max_mail_size
    if not offered.size:
        raise Refused("A message cannot be empty.")
    if limit and offered.size > limit:
        raise MessageTooBig(limit)
    if not coming and (await session.mail.status([command.mailbox]))[0] is None:
        raise MailboxNotFound(command.mailbox)
    for root in await session.mail.quota(command.mailbox):
        if root.storage_limit and root.storage + coming + offered.size > root.storage_limit:
            raise OverQuota(root.name, session.config.quota.exceeded_message)


async def _receive(session: Session, message: Incoming, *, as_they_are: bool) -> None:
    """Take one literal. Scripts send bare LFs, which no client may be sent [RFC5322 2.3]; in a literal8 they may be a binary part."""
    lines = CrlfLines()
    while True:
        event = await session.next_event(session.config.imap.command_timeout)
        assert isinstance(event, LiteralChunk)
        await message.write(event.data if as_they_are else lines.feed(event.data))
        if event.last:
            return  # the save finishes it
