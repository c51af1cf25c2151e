"""A user's mail as MAS's sessions would show it, asked of the store itself: no server, no password."""

from __future__ import annotations

from mas.migrate.imap_view import digest_of
from mas.migrate.view import Mailbox, Message, View
from mas.storage.interface import Account
from mas.storage.mime.section import Section, SectionText
from mas.storage.model import INBOX, KEYWORD_SHIFT, SYSTEM_FLAGS, Column, MailboxInfo

LETTERS = 26
"""Keywords of a mailbox that a file's name in a Maildir can say: a to z."""


async def of_store(account: Account, *, digest: str = "") -> View:
    """The view of an account. ``digest`` as in ``over_imap``."""
    mailboxes = {}
    for info in await account.list():
        if info.selectable:
            mailboxes[str(info.name)] = await _mailbox(account, info, digest)
    quota = {
        usage.name: {
            resource: (used, limit)
            for resource, used, limit in (
                ("STORAGE", -(-usage.storage // 1024), usage.storage_limit // 1024),
                ("MESSAGE", usage.messages, usage.messages_limit),
            )
            if limit
        }
        for usage in await account.quota(INBOX)
    }
    return View(mailboxes, frozenset(map(str, await account.subscriptions())), quota)


async def _mailbox(account: Account, info: MailboxInfo, digest: str) -> Mailbox:
    selection = await account.select(info.name, read_only=True)
    try:
        snapshot = selection.snapshot
        uids = list(snapshot.uids)
        flags = dict(zip(uids, snapshot.flags, strict=True))
        messages = {}
        columns = (Column.SIZE, Column.INTERNAL_DATE, Column.SAVE_DATE)
        async for batch in selection.fetch(uids, columns):
            for uid, size, internal, saved in batch:
                assert isinstance(uid, int)
                assert isinstance(size, int)
                assert isinstance(internal, int)
                assert isinstance(saved, int)
                messages[uid] = Message(_names(flags[uid], snapshot.keywords), size, internal, saved)
        if digest:
            section = Section(text=SectionText.HEADER if digest == "header" else SectionText.WHOLE)
            async for pieces in selection.octets(uids, section):
                for uid, octets in pieces:
                    if not isinstance(octets, bytes):
                        octets = b"".join([chunk async for chunk in octets.chunks()])
                    old = messages[uid]
                    messages[uid] = Message(old.flags, old.size, old.internal_date, old.save_date, digest_of(octets))
        uses = frozenset(use.lower() for use in info.special_use)
        letterless = frozenset(snapshot.keywords[LETTERS:])
        return Mailbox(snapshot.uid_validity, snapshot.uid_next, uses, messages, letterless)
    finally:
        await selection.close()


def _names(bits: int, keywords: list[str]) -> frozenset[str]:
    system = {name for name, bit in SYSTEM_FLAGS.items() if bits & bit}
    return frozenset(system | {name for number, name in enumerate(keywords) if bits & 1 << (KEYWORD_SHIFT + number)})
