"""Runs a user's scripts over a message and turns what they decided into a Decision for the delivery.

Order of what follows from a decision: the message's own copies first (durable), then, in ``Decision.then``, programs it is piped to and
mail that goes out (durable in the queue), then what is to be remembered. A failure in between makes the delivery fail for now and the
server try again: a copy twice rather than never. Nothing goes out twice for that: what is enqueued is remembered before anything can fail.

A script that fails keeps the message [RFC5228 2.10.6]; the user finds why in ``~/.dovecot.sieve.log``, the operator in one log line.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from mas import logs
from mas.config import Config
from mas.delivery import Decision, Envelope, Recipient, Save
from mas.errors import Rejected
from mas.filtering import user_log
from mas.filtering.answers import Answers
from mas.filtering.consequences import Consequence, Consequences
from mas.filtering.decided import in_words
from mas.filtering.limits import limits_of
from mas.filtering.lists import Lists
from mas.filtering.memory import Memory
from mas.filtering.scripts import Broken, Scripts
from mas.filtering.steps import Steps, may_run_on_loop
from mas.filtering.view import HeaderView
from mas.outgoing.queue import Envelope as OutgoingEnvelope
from mas.outgoing.queue import Queue
from mas.sieve.actions import Edit, FileCopy, FileInto, Keep, Pipe, Redirect, Reject
from mas.sieve.definition import Registry
from mas.sieve.interpreter import Result, Run
from mas.sieve.message import Transaction
from mas.storage.contents import mime_limits
from mas.storage.interface import Account, Incoming, Store
from mas.storage.model import INBOX, SYSTEM_FLAGS, Flags, MailboxName, SaveOptions
from mas.user import User

_log = logs.get_logger("sieve")
_MAX_RECEIVED = 50
_REDIRECTED = "x-sieve-redirected-from"
_HOUR = 3600.0


class Filter:
    """Sieve for the deliveries of one process; ``decide`` is what ``mas.delivery`` asks."""

    def __init__(
        self,
        store: Store,
        config: Config,
        registry: Registry,
        queue: Queue,
        memory: Memory,
        administrators: Registry | None = None,
    ) -> None:
        """registry: the language of users' scripts; administrators: that of the others, all of it and more."""
        self.store = store
        self.config = config
        self.settings = config.sieve
        self.registry = administrators or registry
        self.queue = queue
        self.memory = memory
        self.limits = limits_of(config)
        self.scripts = Scripts(config, registry, self.registry, self.limits)
        self.lists = Lists(self.settings.list, self.scripts.path, self.settings.list_max_size)
        self.mime_limits = mime_limits(config.mail)

    async def decide(
        self, message: Incoming, envelope: Envelope, recipient: Recipient, account: Account, default: Save
    ) -> Decision:
        """Run the user's scripts; ``default`` is where a keep goes."""
        user = account.user
        ready = self.scripts.ready(user)
        found, broken = await asyncio.to_thread(self.scripts.of, user) if ready is None else ready
        for script in broken:
            await self._tell_broken(user, script, envelope)
        if not found:
            return Decision([default])
        transaction = Transaction(
            envelope.sender,
            recipient.address,
            recipient.original,
            own_addresses=(user.name,),
            delimiter=self.config.lmtp.recipient_delimiter,
        )
        view = HeaderView(message.header(), message.size)

        async def content() -> bytes:
            return b"".join([chunk async for chunk in message.whole().chunks()])

        answers = Answers(self, content, account, transaction)
        steps = Steps(
            lambda clock: self._run(view, transaction, user, clock).scripts(found),
            on_loop=may_run_on_loop(found, view.block),
        )
        step = await steps.go()
        while not isinstance(step, Result):
            step = await steps.go(await answers.answer(step))
        if step.error:
            await self._tell_failed(user, step, envelope)
        if self.settings.discard and _discards(step):
            step = await self._instead(step, view, answers, transaction, user, envelope)
        _log.info("decided", actions=in_words(step), user=user.name, session=envelope.session)
        after = Consequences(self, view, answers, account, transaction, envelope.session)
        return await self.decision(step, view, after, default)

    async def _instead(
        self,
        first: Result,
        view: HeaderView,
        answers: Answers,
        transaction: Transaction,
        user: User,
        envelope: Envelope,
    ) -> Result:
        """What the discard script decides; what else the others decided (vacation, notify) stays."""

        found, broken = await asyncio.to_thread(self.scripts.named, [self.settings.discard], user)
        for script in broken:
            await self._tell_broken(user, script, envelope)
        if not found:
            return first
        steps = Steps(lambda clock: self._run(view, transaction, user, clock, implicit_keep=False).scripts(found))
        step = await steps.go()
        while not isinstance(step, Result):
            step = await steps.go(await answers.answer(step))
        if step.error:
            await self._tell_failed(user, step, envelope)
        step.actions[:0] = first.actions
        step.to_record[:0] = first.to_record
        return step

    def _run(
        self,
        view: HeaderView,
        transaction: Transaction,
        user: User,
        clock: Callable[[], float] | None,
        *,
        implicit_keep: bool = True,
    ) -> Run:
        now = time.time()
        return Run(
            self.registry,
            view,
            transaction,
            limits=self.limits,
            environment=self.environment(user),
            cpu_clock=clock,
            now=now,
            zone_minutes=zone_minutes(now),
            implicit_keep=implicit_keep,
        )

    def email(self, user: User) -> str:
        """The user's own address."""
        return user.fields.get("sieve_user_email") or self.scripts.text(self.settings.user_email, user) or user.name

    def environment(self, user: User) -> dict[str, str]:
        """What the test ``environment`` knows, at a delivery."""
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

    async def decision(self, result: Result, view: HeaderView, after: Consequences, default: Save) -> Decision:
        """What scripts decided, for the delivery; ``default`` is where a keep goes."""
        answers, user = after.answers, after.account.user
        wanted: list[tuple[Save, tuple[Edit, ...]]] = []
        later: list[Consequence] = []
        refusal: Exception | None = None
        stopped = False
        for action in result.actions:
            if isinstance(action, FileInto):
                save = await self.save_of(action, answers)
                # One mailbox by two names (INBOX, inbox; a special use): one copy, with the flags said last.
                twice = [
                    at
                    for at, (other, edits) in enumerate(wanted)
                    if (other.mailbox, edits) == (save.mailbox, action.edits)
                ]
                if not twice:
                    wanted.append((save, action.edits))
                elif action.flags is not None:
                    wanted[twice[0]] = (save, action.edits)
            elif isinstance(action, Reject) and action.in_session:
                refusal = Rejected(action.reason)
            elif isinstance(action, Redirect) and (why := await self.loops(action, view, after.transaction, user)):
                _log.warning(f"redirect not done: {why}", user=user.name, to=action.address, session=after.session)
                stopped = True
            elif not isinstance(action, Keep):
                later.append(action)
        if result.keep or (stopped and not wanted):
            edits = () if result.error else tuple(result.edits)
            keep = Save(default.mailbox, flags_of(result.keep_flags), default.create, default.subscribe)
            wanted = [(keep, edits), *(pair for pair in wanted if pair[0].mailbox != keep.mailbox or pair[1] != edits)]
        saves, changed = await self._forms(wanted, answers, user)

        async def then() -> None:
            for action in later:
                await after.carry_out(action)
            for record in result.to_record:
                await asyncio.to_thread(self.memory.record, user.name, record.key, record.seconds)

        return Decision(saves, changed, then if later or result.to_record else None, refusal)

    async def _forms(
        self, wanted: Sequence[tuple[Save, tuple[Edit, ...]]], answers: Answers, user: User
    ) -> tuple[list[Save], list[Incoming]]:
        """The saves, each with the message as the script had changed it by then; and those messages."""
        forms: dict[tuple[Edit, ...], Incoming] = {}
        saves: list[Save] = []
        try:
            for save, edits in wanted:
                if not edits:
                    saves.append(save)
                    continue
                if edits not in forms:
                    forms[edits] = await self.changed(edits, answers, user)
                saves.append(replace(save, message=forms[edits]))
        except BaseException as error:
            for form in forms.values():
                await form.__aexit__(type(error), error, error.__traceback__)
            raise
        return saves, list(forms.values())

    async def save_of(self, action: FileInto | FileCopy, answers: Answers) -> Save:
        """Where a fileinto or a copy goes."""
        name = action.mailbox
        if action.mailbox_id:
            name = await answers.find(mailbox_id=action.mailbox_id) or name
        if action.special_use:
            name = await answers.find(special_use=action.special_use) or name
        mailbox = INBOX if name.upper() == INBOX else MailboxName(name)
        lmtp = self.config.lmtp
        return Save(
            mailbox, flags_of(action.flags), action.create or lmtp.mailbox_autocreate, lmtp.mailbox_autosubscribe
        )

    async def loops(self, action: Redirect, view: HeaderView, transaction: Transaction, user: User) -> str:
        """Why a redirect must not be done again; empty when it may."""
        me = transaction.recipient.lower()
        if any(value.strip().lower() == me for value in view.header(_REDIRECTED)):
            return "the message was redirected from here before"
        if len(view.header("received")) > _MAX_RECEIVED:
            return f"the message has more than {_MAX_RECEIVED} Received fields"
        key = _redirect_key(action, view)
        if key and await self.seen(user, key):
            return "the message was redirected there already"
        return ""

    async def seen(self, user: User, key: str) -> bool:
        """Whether an id is remembered."""
        return await asyncio.to_thread(self.memory.seen, user.name, key)

    async def changed(self, edits: Sequence[Edit], answers: Answers, user: User) -> Incoming:
        """The message as it is now with its header edited: entered, for the caller to leave."""
        content = await answers.whole(edits)
        changed = self.store.incoming(user)
        await changed.__aenter__()
        try:
            await changed.write(content)
            await changed.finish()
        except BaseException as error:
            await changed.__aexit__(type(error), error, error.__traceback__)
            raise
        return changed

    async def keep_copy(self, message: bytes, account: Account, save: Save | None = None) -> None:
        """Another message into one of the user's mailboxes; over quota or not."""
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
                await self.keep_copy(message, account)

    def postmaster(self, user: User) -> str:
        """The address that rejections and reports come from."""
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
            await self.tell_user(user, script.name, script.problems)

    async def _tell_failed(self, user: User, result: Result, envelope: Envelope) -> None:
        if result.bug is not None:
            _log.error("a script met a mistake of the interpreter", user=user.name, exc_info=result.bug)
        _log.error(
            "script failed, message kept",
            user=user.name,
            script=result.error_script,
            problem=str(result.error),
            session=envelope.session,
        )
        await self.tell_user(user, result.error_script, [str(result.error)])

    async def tell_user(self, user: User, script: str, problems: Sequence[str]) -> None:
        """A line in the user's own log of his scripts."""
        if self.settings.user_log:
            path = self.scripts.path(self.settings.user_log, user)
            await asyncio.to_thread(user_log.write, path, script, problems)


def _discards(result: Result) -> bool:
    """Whether the message would be nowhere."""
    return not result.keep and not any(
        isinstance(action, FileInto | Redirect | Reject | Pipe) for action in result.actions
    )


def _redirect_key(action: Redirect, view: HeaderView) -> str:
    ids = view.header("message-id")
    return f"redirect\0{action.address.lower()}\0{ids[0].strip()}" if ids else ""


def flags_of(names: Sequence[str] | None) -> Flags:
    """Names of flags, as the store takes them."""
    system, keywords = 0, set()
    for name in names or ():
        if name in SYSTEM_FLAGS:
            system |= SYSTEM_FLAGS[name]
        else:
            keywords.add(name)
    return Flags(system, frozenset(keywords))


def zone_minutes(now: float) -> int:
    """The host's offset from UTC."""
    return time.localtime(now).tm_gmtoff // 60
