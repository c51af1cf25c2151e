"""Runs a user's scripts over a message and turns what they decided into a Decision for the delivery.

Order of what follows from a decision: the message's own copies first (durable), then, in ``Decision.then``, programs it is piped to and
mail that goes out (durable in the queue), then what is to be remembered. A failure in between makes the delivery fail for now and the
server try again: a copy twice rather than never. Nothing goes out twice for that: what is enqueued is remembered before anything can fail.

A script that fails keeps the message [RFC5228 2.10.6]; the user finds why in ``~/.dovecot.sieve.log``, the operator in one log line.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from mas import logs
from mas.config import Config
from mas.delivery import Decision, Envelope, Recipient, Save
from mas.errors import Rejected
from mas.filtering import programs
from mas.filtering.answers import Answers
from mas.filtering.edits import edited
from mas.filtering.memory import Memory
from mas.filtering.scripts import Broken, Scripts
from mas.filtering.view import HeaderView
from mas.outgoing import compose
from mas.outgoing.compose import Original
from mas.outgoing.queue import Envelope as OutgoingEnvelope
from mas.outgoing.queue import Queue
from mas.sieve.actions import FileCopy, FileInto, Keep, Notify, Pipe, Redirect, Reject, Report, Vacation
from mas.sieve.definition import Registry
from mas.sieve.interpreter import Result, Run
from mas.sieve.limits import Limits
from mas.sieve.message import Transaction
from mas.storage.interface import Account, Incoming, Store
from mas.storage.mime.limits import MimeLimits
from mas.storage.model import INBOX, SYSTEM_FLAGS, Flags, MailboxName, SaveOptions
from mas.user import User

_log = logs.get_logger("sieve")
_USER_LOG_SIZE = 10_000
_MAX_RECEIVED = 50
_REDIRECTED = "x-sieve-redirected-from"
_HOUR = 3600.0


class Filter:
    """Sieve for the deliveries of one process; ``decide`` is what ``mas.delivery`` asks."""

    def __init__(self, store: Store, config: Config, registry: Registry, queue: Queue, memory: Memory) -> None:
        self.store = store
        self.config = config
        self.settings = config.sieve
        self.registry = registry
        self.queue = queue
        self.memory = memory
        self.limits = Limits(
            max_script_size=config.sieve.max_script_size,
            max_actions=config.sieve.max_actions,
            max_redirects=config.sieve.max_redirects,
            cpu_seconds=config.sieve.max_cpu_time,
            vacation_min_seconds=int(config.sieve.vacation_min_period),
            vacation_max_seconds=int(config.sieve.vacation_max_period),
            vacation_default_seconds=int(config.sieve.vacation_default_period),
        )
        self.scripts = Scripts(config, registry, self.limits)
        self.mime_limits = MimeLimits()
        self._number = 0

    async def decide(
        self, message: Incoming, envelope: Envelope, recipient: Recipient, account: Account, default: Save
    ) -> Decision:
        """Run the user's scripts; ``default`` is where a keep goes."""
        found, broken = await asyncio.to_thread(self.scripts.of, account.user)
        for script in broken:
            await self._tell_broken(account.user, script, envelope)
        if not found:
            return Decision([default])
        view = HeaderView(message.header(), message.size)
        transaction = Transaction(
            envelope.sender,
            recipient.address,
            recipient.original,
            own_addresses=(account.user.name,),
            delimiter=self.config.lmtp.recipient_delimiter[:1] or "+",
        )
        answers = Answers(self, message, account, transaction)
        run = Run(
            self.registry,
            view,
            transaction,
            limits=self.limits,
            environment=self._environment(account.user),
            cpu_clock=time.thread_time,
            now=time.time(),
            zone_minutes=_zone_minutes(),
        )
        steps = run.scripts(found)
        answer: object = None
        while True:
            try:
                question = steps.send(answer)
            except StopIteration as end:
                result: Result = end.value
                break
            answer = await answers.answer(question)
        if result.error:
            await self._tell_failed(account.user, result, envelope)
        return await self._decision(result, view, answers, message, envelope, recipient, account, default, transaction)

    def _environment(self, user: User) -> dict[str, str]:
        return {
            "domain": self.config.hostname.partition(".")[2],
            "host": self.config.hostname,
            "location": "MDA",
            "name": self.config.managesieve.implementation,
            "phase": "during",
            "version": "1",
            "vnd.dovecot.username": user.name,
            "vnd.dovecot.default-mailbox": INBOX,
        }

    # What follows

    async def _decision(
        self,
        result: Result,
        view: HeaderView,
        answers: Answers,
        message: Incoming,
        envelope: Envelope,
        recipient: Recipient,
        account: Account,
        default: Save,
        transaction: Transaction,
    ) -> Decision:
        original = _original(view, transaction)
        saves: list[Save] = []
        later: list[Redirect | Vacation | Notify | Reject | Pipe | Report] = []
        refusal: Exception | None = None
        for action in result.actions:
            if isinstance(action, FileInto):
                saves.append(await self._save(action, answers))
            elif isinstance(action, Reject) and action.in_session:
                refusal = Rejected(action.reason)
            elif isinstance(action, Redirect) and (why := await self._loops(action, view, transaction, account.user)):
                _log.warning(
                    f"redirect not done: {why}", user=account.user.name, to=action.address, session=envelope.session
                )
                if not saves:
                    result.keep = True
            elif not isinstance(action, Keep):
                later.append(action)
        if result.keep:
            saves.insert(0, Save(default.mailbox, _flags(result.keep_flags), default.create, default.subscribe))
        changed = None
        if result.edits or answers.filtered is not None:
            changed = await self._changed(result, answers, view, account.user)

        async def then() -> None:
            for action in later:
                await self._carry_out(action, original, answers, account, transaction, envelope)
            for record in result.to_record:
                await asyncio.to_thread(self.memory.record, account.user.name, record.key, record.seconds)

        return Decision(saves, changed, then if later or result.to_record else None, refusal)

    async def _save(self, action: FileInto | FileCopy, answers: Answers) -> Save:
        name = action.mailbox
        if action.mailbox_id:
            name = await answers.find(mailbox_id=action.mailbox_id) or name
        if action.special_use:
            name = await answers.find(special_use=action.special_use) or name
        mailbox = INBOX if name.upper() == INBOX else MailboxName(name)
        lmtp = self.config.lmtp
        return Save(mailbox, _flags(action.flags), action.create or lmtp.mailbox_autocreate, lmtp.mailbox_autosubscribe)

    async def _loops(self, action: Redirect, view: HeaderView, transaction: Transaction, user: User) -> str:
        """Why a redirect must not be done again; empty when it may."""
        me = transaction.recipient.lower()
        if any(value.strip().lower() == me for value in view.header(_REDIRECTED)):
            return "the message was redirected from here before"
        if len(view.header("received")) > _MAX_RECEIVED:
            return f"the message has more than {_MAX_RECEIVED} Received fields"
        key = _redirect_key(action, view)
        if key and await self._seen(user, key):
            return "the message was redirected there already"
        return ""

    async def _seen(self, user: User, key: str) -> bool:
        return await asyncio.to_thread(self.memory.seen, user.name, key)

    async def _changed(self, result: Result, answers: Answers, view: HeaderView, user: User) -> Incoming:
        """The message as the script left it."""
        whole = await answers.whole()
        block = answers.filtered.block if answers.filtered is not None else view.block
        changed = self.store.incoming(user)
        await changed.__aenter__()
        try:
            await changed.write(edited(block, result.edits))
            await changed.write(whole[len(block) :])
            await changed.finish()
        except BaseException as error:
            await changed.__aexit__(type(error), error, error.__traceback__)
            raise
        return changed

    async def _carry_out(
        self,
        action: Redirect | Vacation | Notify | Reject | Pipe | Report,
        original: Original,
        answers: Answers,
        account: Account,
        transaction: Transaction,
        envelope: Envelope,
    ) -> None:
        user = account.user
        match action:
            case Redirect():
                head = f"X-Sieve: MAS\r\nX-Sieve-Redirected-From: {transaction.recipient}\r\n".encode()
                key = f"redirect\0{action.address.lower()}\0{original.first('message-id')}"
                sender = transaction.sender
                await self._send(
                    "redirect",
                    sender,
                    [action.address],
                    head + await answers.whole(),
                    user,
                    original.first("message-id"),
                )
                if original.first("message-id"):
                    await asyncio.to_thread(self.memory.record, user.name, key, self.settings.redirect_duplicate_period)
            case Vacation():
                await self._vacation(action, original, account, transaction)
            case Reject():
                message_id = self._message_id()
                if original.sender:
                    reply = compose.rejection(
                        original,
                        reason=action.reason,
                        hostname=self.config.hostname,
                        postmaster=self._postmaster(user),
                        message_id=message_id,
                        now=time.time(),
                    )
                    await self._send("reject", "", [original.sender], reply, user, message_id)
            case Notify():
                message_id = self._message_id()
                if original.first("auto-submitted").partition(";")[0].strip().lower() in ("", "no"):
                    recipients, note = compose.notification(
                        original,
                        method=action.method,
                        message=action.message,
                        sender=action.sender,
                        importance=action.importance,
                        hostname=self.config.hostname,
                        message_id=message_id,
                        now=time.time(),
                    )
                    await self._send("notify", "", recipients, note, user, message_id)
                    await self._file_copy(action.fcc, note, answers, account)
            case Report():
                message_id = self._message_id()
                note = compose.report(
                    original,
                    await answers.whole(),
                    feedback_type=action.feedback_type,
                    text=action.text,
                    address=action.address,
                    headers_only=action.headers_only,
                    sender=self._postmaster(user),
                    message_id=message_id,
                    now=time.time(),
                )
                await self._send("report", "", [action.address], note, user, message_id)
            case Pipe():
                outcome = await programs.run(
                    self.settings.pipe_bin_dir,
                    action.program,
                    action.arguments,
                    await answers.whole(),
                    user,
                    transaction,
                    seconds=self.settings.program_timeout,
                )
                if outcome.status and not action.try_only:
                    # The message is lost to the program: it stays with the user.
                    _log.error(
                        "pipe failed, message kept", user=user.name, program=action.program, session=envelope.session
                    )
                    await self._keep_copy(await answers.whole(), account)

    async def _vacation(self, action: Vacation, original: Original, account: Account, transaction: Transaction) -> None:
        user = account.user
        own = [*transaction.own_addresses, transaction.recipient, transaction.original_recipient, *action.addresses]
        own += [_without_detail(address, transaction.delimiter) for address in own]
        fields = [
            [address for value in original.header.get(name, ()) for address in HeaderView(b"", 0).addresses(value)]
            for name in compose.own_fields()
        ]
        why = compose.no_reply_because(original, own, fields)
        key = f"vacation\0{action.handle}\0{original.sender.lower()}"
        if not why and await self._seen(user, key):
            why = "this sender had a reply already"
        if why:
            _log.info(f"no vacation reply: {why}", user=user.name, to=f"<{original.sender}>")
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
        )
        # Remembered first: a power cut in between costs one reply rather than sending two.
        await asyncio.to_thread(self.memory.record, user.name, key, action.seconds)
        await self._send("vacation", "", [original.sender], reply, user, message_id)
        if action.fcc:
            await self._file_copy(action.fcc, reply, None, account)

    async def _send(
        self, kind: str, sender: str, recipients: Sequence[str], message: bytes, user: User, message_id: str
    ) -> None:
        await self.queue.add(OutgoingEnvelope(sender, list(recipients), kind, user.name, message_id), message)

    async def _file_copy(
        self, copy: FileCopy | None, message: bytes, answers: Answers | None, account: Account
    ) -> None:
        if copy is None:
            return
        answers = answers or Answers(self, _nothing(), account, Transaction("", ""))
        save = await self._save(copy, answers)
        await self._keep_copy(message, account, save)

    async def _keep_copy(self, message: bytes, account: Account, save: Save | None = None) -> None:
        save = save or Save()
        async with self.store.incoming(account.user) as incoming:
            await incoming.write(message)
            await incoming.finish()
            options = SaveOptions(flags=save.flags)
            await account.save(
                save.mailbox, [(incoming, options)], create=save.create, delivery=True, enforce_quota=False
            )

    async def refused(self, envelope: OutgoingEnvelope, message: bytes, why: str, user: User) -> None:
        """A message of the queue will never be sent: a redirected one goes to the user's INBOX, the others are only logged."""
        if envelope.kind == "redirect":
            async with await self.store.open(user) as account:
                await self._keep_copy(message, account)

    def _message_id(self) -> str:
        self._number += 1
        return f"<mas-{time.time_ns()}-{os.getpid()}-{self._number}@{self.config.hostname}>"

    def _postmaster(self, user: User) -> str:
        return self.config.postmaster or f"postmaster@{user.domain or self.config.hostname}"

    # Who is told

    async def _tell_broken(self, user: User, script: Broken, envelope: Envelope) -> None:
        _log.error(
            "script does not compile",
            user=user.name,
            script=script.name,
            problem=script.problems[0],
            session=envelope.session,
        )
        if script.personal:
            await asyncio.to_thread(_write_user_log, user.home, script.name, script.problems)

    async def _tell_failed(self, user: User, result: Result, envelope: Envelope) -> None:
        _log.error(
            "script failed, message kept",
            user=user.name,
            script=result.error_script,
            problem=str(result.error),
            session=envelope.session,
        )
        await asyncio.to_thread(_write_user_log, user.home, result.error_script, [str(result.error)])


def _nothing() -> Incoming:
    raise AssertionError("a copy of a reply asks for no message")


def _without_detail(address: str, delimiter: str) -> str:
    local, at, domain = address.rpartition("@")
    return f"{local.partition(delimiter)[0]}{at}{domain}"


def _redirect_key(action: Redirect, view: HeaderView) -> str:
    ids = view.header("message-id")
    return f"redirect\0{action.address.lower()}\0{ids[0].strip()}" if ids else ""


def _original(view: HeaderView, transaction: Transaction) -> Original:
    names = (
        "subject from to cc bcc resent-to resent-cc resent-bcc message-id references in-reply-to auto-submitted precedence "
        "x-auto-response-suppress list-id list-help list-subscribe list-unsubscribe list-post list-owner list-archive"
    )
    header = {name: [value.strip() for value in view.header(name)] for name in names.split()}
    return Original(header, view.block, transaction.sender, transaction.recipient)


def _flags(names: tuple[str, ...] | None) -> Flags:
    system, keywords = 0, set()
    for name in names or ():
        if name in SYSTEM_FLAGS:
            system |= SYSTEM_FLAGS[name]
        else:
            keywords.add(name)
    return Flags(system, frozenset(keywords))


def _zone_minutes() -> int:
    offset = datetime.now(UTC).astimezone().utcoffset()
    return int(offset.total_seconds() // 60) if offset else 0


def _write_user_log(home: Path, script: str, problems: Sequence[str]) -> None:
    path = home / ".dovecot.sieve.log"
    stamp = time.strftime("%Y-%m-%d %H:%M:%S %z")
    with contextlib.suppress(OSError):
        if path.exists() and path.stat().st_size > _USER_LOG_SIZE:
            path.rename(path.with_name(path.name + ".0"))
        with path.open("a", encoding="utf-8", errors="replace") as file:
            file.writelines(f"{stamp} {script}: {problem}\n" for problem in problems)
