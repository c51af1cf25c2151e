"""What follows once a message is saved: redirects, replies, notifications, reports, programs. In the order of the script's actions.

Mail goes to the queue, which is durable before this returns; what must not happen twice is remembered in between. A failure makes the
delivery fail for now, and the server try again.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from mas import logs
from mas.filtering import programs
from mas.filtering.answers import Answers
from mas.filtering.view import HeaderView
from mas.outgoing import compose
from mas.outgoing.compose import Original
from mas.outgoing.queue import Envelope as OutgoingEnvelope
from mas.sieve.actions import FileCopy, Notify, Pipe, Redirect, Reject, Report, Vacation
from mas.sieve.extensions.base import is_address
from mas.sieve.matching import is_address_syntax
from mas.sieve.message import Transaction
from mas.storage.interface import Account

if TYPE_CHECKING:
    from mas.filtering.filter import Filter

_log = logs.get_logger("sieve")
_number = count(1)
Consequence = Redirect | Vacation | Notify | Reject | Pipe | Report


@dataclass(frozen=True, slots=True)
class Consequences:
    """Of one message for one user. at_event: the message lies in a mailbox already."""

    owner: Filter
    view: HeaderView
    answers: Answers
    account: Account
    transaction: Transaction
    session: str
    at_event: bool = False

    @property
    def user_email(self) -> str:
        """The user's own address."""
        return self.owner.email(self.account.user)

    @property
    def original(self) -> Original:
        """What composing an answer to the message needs of it."""
        names = (
            "subject from to cc bcc resent-to resent-cc resent-bcc message-id references in-reply-to auto-submitted precedence "
            "x-auto-response-suppress list-id list-help list-subscribe list-unsubscribe list-post list-owner list-archive"
        )
        header = {name: [value.strip() for value in self.view.header(name)] for name in names.split()}
        return Original(header, self.view.block, self.transaction.sender, self.transaction.recipient)

    async def carry_out(self, action: Consequence) -> bool:
        """Do one of them. False: it failed, and the message must stay with the user. Raises StorageUnavailable, DiskFull."""
        match action:
            case Redirect():
                return await self._redirect(action)
            case Vacation():
                await self._vacation(action)
            case Reject():
                await self._reject(action)
            case Notify():
                await self._notify(action)
            case Report():
                await self._report(action)
            case Pipe():
                return await self._pipe(action)
        return True

    async def _redirect(self, action: Redirect) -> bool:
        recipients = [action.address]
        if action.is_list:
            members = await asyncio.to_thread(self.owner.lists.members, action.address, self.account.user)
            recipients = [member for member in members or () if is_address(member)]
            most = self.owner.settings.list_max_redirects
            if not recipients or len(recipients) > most:
                why = f"more than sieve.list_max_redirects = {most} addresses" if recipients else "no address in it"
                _log.error("redirect to a list not done", user=self.account.user.name, list=action.address, why=why)
                if not self.at_event:
                    await self.owner.keep_copy(await self.answers.whole(), self.account)
                return False
        head = f"X-Sieve: MAS\r\nX-Sieve-Redirected-From: {self.transaction.recipient}\r\n".encode()
        whole = await self.answers.whole(action.edits)
        message_id = self.original.first("message-id")
        await self._send(
            "redirect",
            self.envelope_from(self.owner.settings.redirect_envelope_from),
            recipients,
            head + whole,
            message_id,
        )
        if message_id:
            key = f"redirect\0{action.address.lower()}\0{message_id}"
            await self._remember(key, self.owner.settings.redirect_duplicate_period)
        return True

    def envelope_from(self, chosen: str) -> str:
        """MAIL FROM of mail that a message causes. A null sender stays null, or bounces would bounce [RFC5321 6.1]."""
        return self._address_of(chosen) if self.transaction.sender else ""

    def _address_of(self, chosen: str) -> str:
        """The address that a setting has chosen; empty for an empty one."""
        transaction = self.transaction
        match chosen:
            case "sender":
                return transaction.sender
            case "recipient":
                return transaction.recipient
            case "orig_recipient":
                return transaction.original_recipient or transaction.recipient
            case "user_email":
                return self.user_email
            case "postmaster":
                return self.owner.postmaster(self.account.user)
        return chosen.strip("<>")

    async def _reject(self, action: Reject) -> None:
        original = self.original
        if not original.sender:
            return
        message_id = self._message_id()
        reply = compose.rejection(
            original,
            reason=action.reason,
            hostname=self.owner.config.hostname,
            postmaster=self.owner.postmaster(self.account.user),
            message_id=message_id,
            now=time.time(),
        )
        await self._send("reject", "", [original.sender], reply, message_id)

    async def _notify(self, action: Notify) -> None:
        original = self.original
        if original.first("auto-submitted").partition(";")[0].strip().lower() not in ("", "no"):
            return
        message_id = self._message_id()
        recipients, note = compose.notification(
            original,
            method=action.method,
            message=action.message,
            sender=action.sender,
            importance=action.importance,
            hostname=self.owner.config.hostname,
            message_id=message_id,
            now=time.time(),
        )
        sender = self.envelope_from(self.owner.settings.notify_mailto_envelope_from)
        await self._send("notify", sender, recipients, note, message_id)
        await self._file_copy(action.fcc, note)

    async def _report(self, action: Report) -> None:
        message_id = self._message_id()
        note = compose.report(
            self.original,
            await self.answers.whole(),
            feedback_type=action.feedback_type,
            text=action.text,
            address=action.address,
            headers_only=action.headers_only,
            sender=self._address_of(self.owner.settings.report_from) or self.owner.postmaster(self.account.user),
            message_id=message_id,
            now=time.time(),
        )
        await self._send("report", "", [action.address], note, message_id)

    async def _pipe(self, action: Pipe) -> bool:
        user, settings = self.account.user, self.owner.settings
        outcome = await programs.run(
            settings.pipe_bin_dir,
            action.program,
            action.arguments,
            await self.answers.whole(action.edits),
            user,
            self.transaction,
            seconds=settings.program_timeout,
        )
        if not outcome.status or action.try_only:
            return True
        # The message is lost to the program: it stays with the user.
        _log.error("pipe failed, message kept", user=user.name, program=action.program, session=self.session)
        if not self.at_event:
            await self.owner.keep_copy(await self.answers.whole(action.edits), self.account)
        return False

    async def _vacation(self, action: Vacation) -> None:
        user, settings, original, transaction = self.account.user, self.owner.settings, self.original, self.transaction
        own = [self.user_email, *transaction.own_addresses, transaction.recipient, *action.addresses]
        if settings.vacation_use_original_recipient:
            own.append(transaction.original_recipient)
        own += [_without_detail(address, transaction.delimiter) for address in own]
        fields: list[list[str]] = [own]
        if settings.vacation_check_recipient:
            fields = [
                [address for value in original.header.get(name, ()) for address in HeaderView(b"", 0).addresses(value)]
                for name in compose.own_fields()
            ]
        why = compose.no_reply_because(original, own, fields)
        key = f"vacation\0{action.handle}\0{original.sender.lower()}"
        if not why and await self.owner.seen(user, key):
            why = "this sender had a reply already"
        if why:
            _log.info(f"no vacation reply: {why}", user=user.name, to=f"<{original.sender}>", session=self.session)
            return
        message_id = self._message_id()
        reply = compose.vacation(
            original,
            reason=action.reason,
            subject=action.subject,
            sender=action.sender,
            mime=action.mime,
            message_id=message_id,
            now=time.time(),
            template=settings.vacation_default_subject_template,
            default_subject=settings.vacation_default_subject,
            max_subject=settings.vacation_max_subject_codepoints,
            to=_author(original) if settings.vacation_to_header_ignore_envelope else "",
        )
        # Remembered first: a power cut in between costs one reply rather than sending two.
        await self._remember(key, action.seconds)
        sender = transaction.recipient if settings.vacation_send_from_recipient else ""
        await self._send("vacation", sender, [original.sender], reply, message_id)
        await self._file_copy(action.fcc, reply)

    async def _send(self, kind: str, sender: str, recipients: Sequence[str], message: bytes, message_id: str) -> None:
        # Each by itself: one that is refused for now is tried again, without the others getting it twice.
        for recipient in recipients:
            envelope = OutgoingEnvelope(sender, [recipient], kind, self.account.user.name, message_id)
            await self.owner.queue.add(envelope, message)

    async def _remember(self, key: str, seconds: float) -> None:
        await asyncio.to_thread(self.owner.memory.record, self.account.user.name, key, seconds)

    async def _file_copy(self, copy: FileCopy | None, message: bytes) -> None:
        if copy is not None:
            await self.owner.keep_copy(message, self.account, await self.owner.save_of(copy, self.answers))

    def _message_id(self) -> str:
        return f"<mas-{time.time_ns()}-{os.getpid()}-{next(_number)}@{self.owner.config.hostname}>"


def _author(original: Original) -> str:
    """The first address in the fields of whom a message is from; empty when they have none."""
    written = [value for name in ("sender", "resent-from", "from") for value in original.header.get(name, ())]
    found = (address for value in written for address in HeaderView(b"", 0).addresses(value))
    return next(filter(is_address_syntax, found), "")


def _without_detail(address: str, delimiters: str) -> str:
    local, at, domain = address.rpartition("@")
    cuts = [cut for char in delimiters if (cut := local.find(char)) > 0]
    return f"{local[: min(cuts)] if cuts else local}{at}{domain}"
