"""A message and its recipients to one DeliveryResult each. LMTP and ``mas deliver`` hand it their mail.

The message was received once (``Store.incoming``) and is saved for every recipient from there, so that the store can write it once and
link it. What happens to it is asked for each recipient of ``decide``: without one it is
the implicit keep (INBOX, or the detail's mailbox); ``mas.filtering`` has one that runs Sieve scripts, without anything here knowing.

Promises: a result without an error means that the message is durable for that recipient. One recipient's failure is no other's. A mailbox
that does not exist (and is not to be made), or cannot be used, means INBOX: a wrong filing never costs mail. Deliveries to one user start
in the order in which they came, ``lmtp.user_concurrency_limit`` at once. One log line for each delivery.
Must not know: LMTP, sockets, reply codes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import lru_cache

import structlog

from mas.config import Config
from mas.errors import LimitExceeded, MailboxError, MailboxExists, MasError, MessageTooBig, OverQuota, Rejected
from mas.metrics import table as metrics
from mas.storage.interface import Account, Incoming, Store
from mas.storage.model import INBOX, Flags, MailboxName, SaveOptions, Uid
from mas.user import User

_log = structlog.get_logger(area="delivery")

MAX_AT_ONCE = 8
"""Recipients of one message that are served at once."""
MAX_WAIT = 240.0
"""Seconds that a delivery waits for earlier ones to the same user; Postfix gives up after 600."""
EXPIRE_INTERVAL = 600.0
"""Seconds between two runs of autoexpunge that deliveries to one user start."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What all recipients of a transaction share. ``sender`` is the reverse path without brackets, empty for ``<>``.

    session: the id in every log line. service: ``lmtp`` or ``lda``.
    """

    sender: str
    session: str
    service: str = "lmtp"


@dataclass(frozen=True, slots=True)
class Recipient:
    """One recipient.

    address: as the MTA gave it, detail included. detail: the part after the recipient delimiter.
    original: what the sender had written (ORCPT), empty when unknown.
    mailbox: where to save by default (``mas deliver -m``); None: INBOX, or the detail's.
    """

    user: User
    address: str
    detail: str = ""
    original: str = ""
    mailbox: MailboxName | None = None


@dataclass(frozen=True, slots=True)
class Save:
    """One way of keeping the message. ``create``: make a missing mailbox, else it goes to INBOX. ``subscribe``: to what was made.

    message: what is saved in the message's place (one of ``Decision.changed``)."""

    mailbox: MailboxName = INBOX
    flags: Flags = field(default_factory=Flags)
    create: bool = False
    subscribe: bool = False
    message: Incoming | None = None


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """``error`` None: every save is durable. ``mailboxes``: where it was saved; empty when it was discarded."""

    recipient: Recipient
    mailboxes: Sequence[MailboxName] = ()
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a message for one recipient.

    saves: where it is kept; empty: nowhere. changed: other forms of the message, for its saves (entered; the delivery leaves them).
    then: what follows once the saves are durable; when it fails, the delivery fails for now. refusal: the error that the peer is told.
    """

    saves: Sequence[Save]
    changed: Sequence[Incoming] = ()
    then: Callable[[], Awaitable[None]] | None = None
    refusal: Exception | None = None


Decide = Callable[[Incoming, Envelope, Recipient, Account, Save], Awaitable[Decision]]
"""Asked for each recipient; the Save is the implicit keep. A MasError fails this delivery for now; a user's mistakes raise nothing."""


def split_address(local_part: str, domain: str, delimiters: str) -> tuple[str, str]:
    """``user+detail`` at the first of the delimiters: (user name, detail). A delimiter that is the first character is none."""
    cuts = [at for char in delimiters if (at := local_part.find(char, 1)) > 0]
    local, detail = (local_part[: min(cuts)], local_part[min(cuts) + 1 :]) if cuts else (local_part, "")
    return (f"{local}@{domain}" if domain else local), detail


def trace_header(
    envelope: Envelope,
    recipients: Sequence[Recipient],
    *,
    received_from: str,
    by: str,
    protocol: str,
    delivery_address: str = "final",
    add_received: bool = True,
    now: float | None = None,
) -> bytes:
    """Return-Path, Delivered-To and Received [RFC5321 4.4], CRLF line ends.

    What names a recipient is only there when there is one: the message is the same for all of them, and none is to see the others.
    received_from: ``name (address)`` or what else is known of the client; empty: no ``from`` clause.
    """
    one = recipients[0] if len(recipients) == 1 else None
    found = [f"Return-Path: <{envelope.sender}>"]
    if one is not None and delivery_address != "none":
        found.append(f"Delivered-To: {(one.original if delivery_address == 'original' else '') or one.address}")
    if add_received:
        source = f"from {received_from}\r\n\t" if received_from else ""
        wanted = f"\r\n\tfor <{one.address}>" if one is not None else ""
        date = _date(int(time.time() if now is None else now))
        found.append(f"Received: {source}by {by} with {protocol}\r\n\tid {envelope.session}{wanted}; {date}")
    return "\r\n".join([*found, ""]).encode()


@lru_cache(maxsize=4)
def _date(second: int) -> str:
    return formatdate(second, localtime=True)


class Delivery:
    """The deliveries of one process."""

    def __init__(self, store: Store, config: Config, decide: Decide | None = None) -> None:
        self._store = store
        self._config = config
        self._decide = decide or _keep
        self._turns: dict[str, _Turn] = {}
        self._expires = any(box.autoexpunge or box.autoexpunge_max_mails for box in config.mailbox)
        self._expired: dict[str, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def deliver(
        self, message: Incoming, envelope: Envelope, recipients: Sequence[Recipient]
    ) -> list[DeliveryResult]:
        """Deliver a finished message; the results are in the order of the recipients. Raises nothing for a recipient's sake."""
        message_id = header_field(message.header(), b"message-id")
        if len(recipients) == 1:
            return [await self._one(message, message_id, envelope, recipients[0])]
        at_once = asyncio.Semaphore(MAX_AT_ONCE)

        async def bounded(recipient: Recipient) -> DeliveryResult:
            async with at_once:
                return await self._one(message, message_id, envelope, recipient)

        return await asyncio.gather(*(bounded(recipient) for recipient in recipients))

    async def close(self) -> None:
        """Wait for what deliveries have started."""
        while waiting := [task for task in self._tasks if not task.done()]:  # as in mas.storage.blocking
            await asyncio.gather(*waiting, return_exceptions=True)

    async def _one(
        self, message: Incoming, message_id: str, envelope: Envelope, recipient: Recipient
    ) -> DeliveryResult:
        began = time.monotonic()
        result = await self._deliver(message, message_id, envelope, recipient)
        metrics.DELIVERY_SECONDS[()].observe(time.monotonic() - began)
        metrics.DELIVERIES[_outcome(result)].add()
        if result.mailboxes:
            metrics.DELIVERED_BYTES[()].add(message.size)
        return result

    async def _deliver(
        self, message: Incoming, message_id: str, envelope: Envelope, recipient: Recipient
    ) -> DeliveryResult:
        user = recipient.user
        what = f"msgid={message_id or '<>'}"
        fields = {
            "area": f"{envelope.service}({user.name})",
            "user": user.name,
            "session": envelope.session,
            "size": message.size,
            "sender": envelope.sender or "<>",
        }
        try:
            async with self._turn(user.name), await self._store.open(user) as account:
                decision = await self._decide(message, envelope, recipient, account, self._implicit_keep(recipient))
                saved = await self._carry_out(decision, message, account, envelope.session)
        except MasError as error:
            _log.warning(f"{what}: save failed: {error}", kind=type(error).__name__, **fields)
            return DeliveryResult(recipient, error=error)
        except Exception as error:
            _log.exception(f"{what}: save failed", **fields)
            return DeliveryResult(recipient, error=error)
        for mailbox, uid in saved:
            _log.info(f"{what}: saved mail to {mailbox}", mailbox=mailbox, uid=uid, **fields)
        if not saved and decision.refusal is None:
            _log.info(f"{what}: discarded", **fields)
        self._expire_soon(user)
        if decision.refusal is not None:
            _log.info(f"{what}: refused: {decision.refusal}", **fields)
        return DeliveryResult(recipient, [mailbox for mailbox, _ in saved], decision.refusal)

    async def _carry_out(
        self, decision: Decision, message: Incoming, account: Account, session: str
    ) -> list[tuple[MailboxName, Uid]]:
        """Save, then what follows. Returns where the message is."""
        saved: list[tuple[MailboxName, Uid]] = []
        in_inbox = [save.message for save in decision.saves if save.mailbox == INBOX]
        async with AsyncExitStack() as stack:
            for changed in decision.changed:
                stack.push_async_exit(changed.__aexit__)
            for save in decision.saves:
                uid = await self._save(account, save.message or message, save, session)
                if uid is not None:
                    saved.append((save.mailbox, uid))
                    continue
                # INBOX takes what has no other place, each form of the message once, as Pigeonhole does.
                if not any(form is save.message for form in in_inbox):
                    in_inbox.append(save.message)
                    inbox = Save(INBOX, save.flags)
                    uid = await self._save(account, save.message or message, inbox, session)
                    assert uid is not None
                    saved.append((INBOX, uid))
        if decision.then is not None:
            await decision.then()
        return saved

    async def _save(self, account: Account, message: Incoming, save: Save, session: str) -> Uid | None:
        """None when there can be no such mailbox; INBOX there is always."""
        batch = [(message, SaveOptions(flags=save.flags))]
        if save.mailbox == INBOX:
            return (await account.save(INBOX, batch, create=True, delivery=True)).uids[0]
        try:
            if save.create and save.subscribe:
                await self._make(account, save.mailbox)
            return (await account.save(save.mailbox, batch, create=save.create, delivery=True)).uids[0]
        except MailboxError as error:
            name, why = error.name, error.detail
            _log.info("delivery falls back to INBOX", user=account.user.name, session=session, mailbox=name, why=why)
            return None

    @staticmethod
    async def _make(account: Account, mailbox: MailboxName) -> None:
        try:
            await account.create(mailbox)
        except MailboxExists:
            return
        await account.subscribe(mailbox)

    def _implicit_keep(self, recipient: Recipient) -> Save:
        lmtp = self._config.lmtp
        mailbox = recipient.mailbox
        if mailbox is None and recipient.detail and lmtp.save_to_detail_mailbox:
            mailbox = MailboxName(recipient.detail)
        if mailbox is None or mailbox.upper() == INBOX:
            return Save()
        return Save(mailbox, create=lmtp.mailbox_autocreate, subscribe=lmtp.mailbox_autosubscribe)

    def _turn(self, name: str) -> _Turn:
        turn = self._turns.get(name)
        if turn is None:
            turn = self._turns[name] = _Turn(self._turns, name, self._config.lmtp.user_concurrency_limit)
        return turn

    def _expire_soon(self, user: User) -> None:
        """Autoexpunge after a delivery, in the background, and not for each one of a burst."""
        if not self._expires:
            return
        now = time.monotonic()
        if now - self._expired.get(user.name, -EXPIRE_INTERVAL) < EXPIRE_INTERVAL:
            return
        if len(self._expired) >= 10_000:
            self._expired = {name: at for name, at in self._expired.items() if now - at < EXPIRE_INTERVAL}
        self._expired[user.name] = now
        task = asyncio.get_running_loop().create_task(self._expire(user))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _expire(self, user: User) -> None:
        try:
            async with await self._store.open(user) as account:
                await account.expire()
        except Exception as error:
            _log.warning("autoexpunge failed", user=user.name, error=str(error), kind=type(error).__name__)


def _outcome(result: DeliveryResult) -> str:
    """The label of ``mas_deliveries_total``."""
    match result.error:
        case None:
            return "saved" if result.mailboxes else "discarded"
        case OverQuota() | MessageTooBig():
            return "quota"
        case Rejected():
            return "rejected"
    return "failed"


async def _keep(
    message: Incoming, envelope: Envelope, recipient: Recipient, account: Account, default: Save
) -> Decision:
    return Decision([default])


class _Turn:
    """At most ``limit`` deliveries of one user at once (0 = no limit), first come first served; forgotten when nobody is in it."""

    def __init__(self, turns: dict[str, _Turn], name: str, limit: int) -> None:
        self._turns = turns
        self._name = name
        self._limit = limit
        self._semaphore = asyncio.Semaphore(limit) if limit else None
        self._inside = 0

    async def __aenter__(self) -> None:
        self._inside += 1
        if self._semaphore is None or not self._semaphore.locked():
            if self._semaphore is not None:
                await self._semaphore.acquire()
            return
        try:
            async with asyncio.timeout(MAX_WAIT):
                await self._semaphore.acquire()
        except TimeoutError:
            self._leave()
            raise LimitExceeded("lmtp.user_concurrency_limit", self._limit) from None
        except BaseException:
            self._leave()
            raise

    async def __aexit__(self, *error: object) -> None:
        if self._semaphore is not None:
            self._semaphore.release()
        self._leave()

    def _leave(self) -> None:
        self._inside -= 1
        if not self._inside:
            self._turns.pop(self._name, None)


def header_field(header: bytes, name: bytes) -> str:
    """The first field of that name (lower case), unfolded, without control characters, at most 250 characters; for the log."""
    folded = header.lower()
    start = 0 if folded.startswith(name + b":") else folded.find(b"\n" + name + b":") + 1
    if not start and not folded.startswith(name + b":"):
        return ""
    start += len(name) + 1
    end = header.find(b"\n", start)
    while end >= 0 and header[end + 1 : end + 2] in (b" ", b"\t"):
        end = header.find(b"\n", end + 1)
    text = header[start : end if end >= 0 else len(header)].decode(errors="replace")
    if not text.isprintable():
        text = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(text.split())[:250]
