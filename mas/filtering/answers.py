"""The questions of a running script, answered from the account and the host."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from mas.errors import MailboxError
from mas.filtering import programs
from mas.filtering.edits import NewMessage, applied
from mas.filtering.rewrite import enclose, replace_part
from mas.filtering.view import body
from mas.sieve.actions import Edit, Rewritten
from mas.sieve.questions import (
    EncloseMessage,
    FilterMessage,
    IncludeScript,
    ListHolds,
    ListKnown,
    MailboxExists,
    MailboxIdExists,
    MetadataValue,
    Question,
    ReadBody,
    ReplacePart,
    RunProgram,
    SeenBefore,
    SpecialUseExists,
)
from mas.storage.interface import Account
from mas.storage.mime.limits import MimeLimits
from mas.storage.model import INBOX, MailboxInfo, MailboxName

if TYPE_CHECKING:
    from mas.filtering.filter import Filter
    from mas.sieve.message import Transaction


Content = Callable[[], Awaitable[bytes]]
"""Gives all octets of the message as it came."""


class Answers:
    """Answers for one run: one message, one user."""

    def __init__(self, owner: Filter, content: Content, account: Account, transaction: Transaction) -> None:
        self._filter = owner
        self._content = content
        self._account = account
        self._transaction = transaction
        self._mailboxes: Sequence[MailboxInfo] | None = None

    async def whole(self, edits: Sequence[Edit] = ()) -> bytes:
        """All octets of the message after these edits."""
        rewritten = any(isinstance(edit, Rewritten) for edit in edits)
        return applied(b"" if rewritten else await self._content(), edits)

    async def mailboxes(self) -> Sequence[MailboxInfo]:
        """The user's mailboxes; listed once a run."""
        if self._mailboxes is None:
            self._mailboxes = [info for info in await self._account.list() if info.selectable]
        return self._mailboxes

    async def find(self, *, special_use: str = "", mailbox_id: str = "") -> str:
        """The name of the mailbox with that special use or id; empty when there is none."""
        for info in await self.mailboxes():
            uses = {use.lower() for use in info.special_use}
            if (special_use and special_use.lower() in uses) or (mailbox_id and info.mailbox_id == mailbox_id):
                return info.name
        return ""

    async def answer(self, question: Question) -> Any:
        """What ``mas.sieve.questions`` says is to be answered."""
        match question:
            case ReadBody(edits=edits):
                data = await self.whole(edits)
                return await asyncio.to_thread(body, data, self._filter.mime_limits)
            case MailboxExists(names=names):
                known = {info.name for info in await self.mailboxes()}
                return all(name in known or name.upper() == "INBOX" for name in names)
            case MailboxIdExists(ids=ids):
                present = {info.mailbox_id for info in await self.mailboxes()}
                return all(one in present for one in ids)
            case SpecialUseExists(mailbox=mailbox, attributes=attributes):
                uses = {
                    use.lower()
                    for info in await self.mailboxes()
                    if not mailbox or info.name == mailbox
                    for use in info.special_use
                }
                return all(attribute.lower() in uses for attribute in attributes)
            case SeenBefore(key=key):
                return await asyncio.to_thread(self._filter.memory.seen, self._account.user.name, key)
            case IncludeScript(name=name, personal=personal):
                return await asyncio.to_thread(self._filter.scripts.included, self._account.user, name, personal)
            case ListHolds(list_name=name, values=values):
                return await asyncio.to_thread(self._filter.lists.holds, name, values, self._account.user)
            case ListKnown(names=names):
                lists, user = self._filter.lists, self._account.user
                return all([await asyncio.to_thread(lists.known, name, user) for name in names])
            case MetadataValue(mailbox=mailbox, annotation=annotation):
                return await self._annotation(mailbox, annotation.lower())
            case RunProgram():
                return await self._run_program(question)
            case FilterMessage():
                return await self._filter_message(question)
            case ReplacePart() | EncloseMessage():
                data = await self.whole(question.edits)
                sender = self._filter.email(self._account.user)
                return await asyncio.to_thread(rewritten, data, question, sender, self._filter.mime_limits)

    async def _annotation(self, mailbox: str | None, entry: str) -> str | None:
        """A store that fails now is no answer: the delivery is tried again [RFC5490 5]."""
        if mailbox == "":
            return None
        name = INBOX if mailbox is not None and mailbox.upper() == INBOX else MailboxName(mailbox or "")
        try:
            value = (await self._account.metadata(name)).get(entry)
        except MailboxError:
            return None
        return None if value is None else value.decode("utf-8", "replace")

    async def _run_program(self, question: RunProgram) -> tuple[bool, str]:
        data = (
            await self.whole(question.edits) if question.message else (question.input or "").encode("utf-8", "replace")
        )
        folder = self._filter.settings.execute_bin_dir
        outcome = await self._program(folder, question.program, question.arguments, data)
        return outcome.status == 0, outcome.output.decode("utf-8", "replace")

    async def _filter_message(self, question: FilterMessage) -> NewMessage | None:
        folder = self._filter.settings.filter_bin_dir
        data = await self.whole(question.edits)
        outcome = await self._program(folder, question.program, question.arguments, data)
        if outcome.status or not outcome.output:
            return None
        return NewMessage(outcome.output.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))

    async def _program(self, folder: str, program: str, arguments: tuple[str, ...], data: bytes) -> programs.Outcome:
        return await programs.run(
            folder,
            program,
            arguments,
            data,
            self._account.user,
            self._transaction,
            seconds=self._filter.settings.program_timeout,
        )


def rewritten(
    content: bytes, question: ReplacePart | EncloseMessage, sender: str, limits: MimeLimits
) -> NewMessage | None:
    """The answer to a question of replace and enclose. sender: the address of the user, for a message that has no other author."""
    if isinstance(question, EncloseMessage):
        return NewMessage(
            enclose(
                content,
                question.text,
                subject=question.subject,
                headers=question.headers,
                sender=sender,
                now=time.time(),
            )
        )
    changed = replace_part(
        content,
        question.path,
        question.text,
        mime=question.mime,
        subject=question.subject,
        sender=question.sender,
        limits=limits,
    )
    return None if changed is None else NewMessage(changed)
