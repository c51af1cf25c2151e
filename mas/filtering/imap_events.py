"""Scripts at IMAP events: runs what the ``[[imapsieve]]`` rules name over each message, and does what it decides. [RFC6785]

A listener of ``mas.events``: the client has its answer by then. The message lies in its mailbox and is immutable, so a keep means to leave
it there (with the flags that the script has set), and what cancels the keep sets ``\\Deleted`` on it; ``fileinto`` files a copy [RFC6785
3]. What scripts do to mail is no event. Order: copies, programs, mail that goes out, what is to be remembered, then the flags of the
message itself. An action that fails keeps the message.

The user's own script runs after those ``before`` and before those ``after``, where ``sieve.imapsieve_url`` announces such scripts: it is
the one that the annotation ``/shared/imapsieve/script`` of the mailbox names, or that of the account when the mailbox has none at all
[RFC6785 2.3.1]. Which script that is counts when it runs.

A script that fails leaves the message alone, and none runs after it; one that does not compile is passed over. The operator gets a log
line, and the user a line in ``sieve.user_log`` if the script is his.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from mas import logs
from mas.errors import MailboxError, MailboxNotFound, MasError, StorageUnavailable
from mas.events.model import Cause, MailEvent
from mas.filtering.answers import Answers
from mas.filtering.consequences import Consequences
from mas.filtering.filter import Filter, flags_of, zone_minutes
from mas.filtering.imap_rules import Rules
from mas.filtering.scripts import Broken
from mas.filtering.steps import Steps
from mas.filtering.view import HeaderView
from mas.sieve.actions import FileInto, Keep, Redirect
from mas.sieve.interpreter import Result, Run
from mas.sieve.message import Transaction
from mas.sieve.program import Program
from mas.storage.interface import Account, Incoming, Selection
from mas.storage.mime.section import Section, SectionText
from mas.storage.model import (
    DELETED,
    Column,
    Flags,
    MailboxName,
    SaveOptions,
    StoreOp,
    flag_names,
)
from mas.user import User

_log = logs.get_logger("sieve")
SCRIPT = "/shared/imapsieve/script"
_HEADER = Section(text=SectionText.HEADER)


class ImapEvents:
    """The scripts at IMAP events of one process."""

    def __init__(self, owner: Filter, rules: Rules) -> None:
        self._filter = owner
        self._rules = rules
        self._users = bool(owner.settings.imapsieve_url)
        self.flags_wanted = rules.flags_wanted or self._users

    async def wants(self, account: Account, event: MailEvent) -> bool:
        """As Listener.wants."""
        return bool(self._rules.wanted(event, account.separator)) or bool(await self._named(account, event.name))

    async def _named(self, account: Account, mailbox: MailboxName) -> str:
        """The name of the user's script for a mailbox; empty for none."""
        if not self._users:
            return ""
        try:
            value = (await account.metadata(mailbox)).get(SCRIPT)
            if value is None:
                value = (await account.metadata(MailboxName(""))).get(SCRIPT, b"")
            return value.decode()
        except (MailboxError, UnicodeDecodeError):
            return ""

    async def handle(self, user: User, event: MailEvent) -> None:
        """As Listener.handle. Raises StorageUnavailable."""
        async with await self._filter.store.open(user) as account:
            wanted = self._rules.wanted(event, account.separator)
            own = await self._own(account, event.name)
            programs = [
                *await self._programs(user, wanted.before),
                *([own] if own else []),
                *await self._programs(user, wanted.after),
            ]
            if programs:
                await self._over(account, event, event.name, event.uids, programs, own)
            programs = await self._programs(user, wanted.source_after)
            if programs:
                await self._over(account, event, MailboxName(event.source), event.source_uids, programs)

    async def _own(self, account: Account, mailbox: MailboxName) -> Program | None:
        """The user's script; None when the name is of no script of his."""
        name, owner = await self._named(account, mailbox), self._filter
        found = await asyncio.to_thread(owner.scripts.owned, name, account.user) if name else None
        if isinstance(found, Broken):
            _log.error("script does not compile", user=account.user.name, script=name, problem=found.problems[0])
            await owner.tell_user(account.user, name, found.problems)
        return found if isinstance(found, Program) else None

    async def _programs(self, user: User, paths: Sequence[str]) -> list[Program]:
        if not paths:
            return []
        programs, broken = await asyncio.to_thread(self._filter.scripts.named, paths, user)
        for script in broken:
            _log.error("script cannot be used", user=user.name, script=script.name, problem=script.problems[0])
        return programs

    async def _over(
        self,
        account: Account,
        event: MailEvent,
        name: MailboxName,
        uids: Sequence[int],
        programs: Sequence[Program],
        own: Program | None = None,
    ) -> None:
        """Run scripts over messages of a mailbox; ``own`` is the one of them that is the user's."""
        try:
            # Read-only, so that the messages stay recent for the client's own sessions.
            selection = await account.select(name, read_only=True)
        except MailboxNotFound:
            return
        try:
            known = event.uid_validity if uids is event.uids else event.source_uid_validity
            if known not in (0, selection.snapshot.uid_validity):
                return
            for uid in uids:
                message = await _message(selection, uid)
                if message is not None:
                    if event.cause is Cause.FLAG:
                        # As they were after the change [RFC6785 2.2.3], whatever has happened since.
                        message.flags = event.flags
                    await self._one(account, event, selection, message, programs, own)
        finally:
            await selection.close()

    async def _one(
        self,
        account: Account,
        event: MailEvent,
        selection: Selection,
        message: _Message,
        programs: Sequence[Program],
        own: Program | None,
    ) -> None:
        owner, user = self._filter, account.user
        email = owner.email(user)
        transaction = Transaction(
            email, email, own_addresses=(user.name,), delimiter=owner.config.lmtp.recipient_delimiter
        )
        answers = Answers(owner, message.content, account, transaction)
        environment = {
            **owner.environment(user),
            "location": "MS",
            "phase": "post",
            "imap.user": user.name,
            "imap.email": email,
            "imap.cause": event.cause.value,
            "imap.mailbox": selection.name,
            "imap.changedflags": " ".join(event.changed_flags),
            "vnd.dovecot.mailbox-from": event.source,
            "vnd.dovecot.mailbox-to": event.mailbox,
        }

        def start(clock: Callable[[], float] | None) -> Run:
            now = time.time()
            return Run(
                owner.registry,
                message.view,
                transaction,
                limits=owner.limits,
                environment=environment,
                cpu_clock=clock,
                now=now,
                zone_minutes=zone_minutes(now),
                message_flags=message.flags,
            )

        steps = Steps(lambda clock: start(clock).scripts(programs))
        step = await steps.go()
        while not isinstance(step, Result):
            step = await steps.go(await answers.answer(step))
        if step.error:
            _log.error(
                "script failed at an IMAP event, message left as it is",
                user=user.name,
                script=step.error_script,
                problem=str(step.error),
                cause=event.cause.value,
                mailbox=selection.name,
                uid=message.uid,
                exc_info=step.bug,
            )
            if own is not None and step.error_script == own.name:
                await owner.tell_user(user, own.name, [str(step.error)])
        after = Consequences(owner, message.view, answers, account, transaction, "", at_event=True)
        await self._carry_out(step, selection, message, after)

    async def _carry_out(self, result: Result, selection: Selection, message: _Message, after: Consequences) -> None:
        owner, user = self._filter, after.account.user
        keep = result.keep
        for action in result.actions:
            try:
                if isinstance(action, FileInto):
                    await self._file_copy(action, selection, message, after)
                elif isinstance(action, Redirect) and (
                    why := await owner.loops(action, message.view, after.transaction, user)
                ):
                    _log.warning(f"redirect not done: {why}", user=user.name, to=action.address)
                    keep = True
                elif not isinstance(action, Keep) and not await after.carry_out(action):
                    keep = True
            except StorageUnavailable:
                raise
            except MasError as error:
                _log.error("action failed, message left as it is", user=user.name, why=str(error))
                keep = True
        for record in result.to_record:
            await asyncio.to_thread(owner.memory.record, user.name, record.key, record.seconds)
        if not keep:
            expunge = not result.actions and owner.settings.imapsieve_expunge_discarded
            await _store(after.account, selection, message, StoreOp.ADD, Flags(DELETED), expunge=expunge)
        elif result.keep and result.keep_flags is not None:
            now, before = flags_of(result.keep_flags), flags_of(message.flags)
            for op, more, less in ((StoreOp.ADD, now, before), (StoreOp.REMOVE, before, now)):
                change = Flags(more.system & ~less.system, more.keywords - less.keywords)
                if change != Flags():
                    await _store(after.account, selection, message, op, change)

    async def _file_copy(self, action: FileInto, selection: Selection, message: _Message, after: Consequences) -> None:
        owner, account = self._filter, after.account
        save = await owner.save_of(action, after.answers)
        if not action.edits and action.flags is None:
            try:
                await selection.copy([message.uid], save.mailbox)
            except MailboxNotFound:
                if not save.create:
                    raise
                await account.create(save.mailbox)
                if save.subscribe:
                    await account.subscribe(save.mailbox)
                await selection.copy([message.uid], save.mailbox)
            return
        changed: Incoming = await owner.changed(action.edits, after.answers, account.user)
        try:
            flags = save.flags if action.flags is not None else flags_of(message.flags)
            options = SaveOptions(flags, message.internal_date)
            await account.save(save.mailbox, [(changed, options)], create=save.create)
        finally:
            await changed.__aexit__(None, None, None)


class _Message:
    """One message of a selection: its header at hand, its octets when asked for."""

    def __init__(
        self, selection: Selection, uid: int, view: HeaderView, flags: tuple[str, ...], internal_date: int
    ) -> None:
        self._selection = selection
        self.uid = uid
        self.view = view
        self.flags = flags
        self.internal_date = internal_date

    async def content(self) -> bytes:
        """All octets; none when the message is gone."""
        async for batch in self._selection.octets([self.uid], Section()):
            for _, octets in batch:
                return octets if isinstance(octets, bytes) else b"".join([chunk async for chunk in octets.chunks()])
        return b""


async def _message(selection: Selection, uid: int) -> _Message | None:
    """None when it is gone."""
    block: bytes | None = None
    async for batch in selection.octets([uid], _HEADER):
        for _, octets in batch:
            block = octets if isinstance(octets, bytes) else b"".join([chunk async for chunk in octets.chunks()])
    size = date = 0
    async for rows in selection.fetch([uid], [Column.SIZE, Column.INTERNAL_DATE]):
        for row in rows:
            size, date = int(str(row[1])), int(str(row[2]))
    if block is None or not size:
        return None
    snapshot = selection.snapshot
    flags = 0
    if uid in snapshot.uids:
        flags = snapshot.flags[snapshot.uids.index(uid)]
    return _Message(selection, uid, HeaderView(block, size), flag_names(flags, snapshot.keywords), date)


async def _store(
    account: Account, selection: Selection, message: _Message, op: StoreOp, flags: Flags, *, expunge: bool = False
) -> None:
    writable = await account.select(selection.name)
    try:
        await writable.store([message.uid], op, flags)
        if expunge:
            await writable.expunge([message.uid])
    finally:
        await writable.close()
