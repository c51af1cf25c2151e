"""One LMTP conversation: events in, replies out, mail to ``mas.delivery``.  [RFC2033] [RFC5321 4.1]

The order that makes a 250 true: the message is received to its end, delivered for every recipient (durable, or an error), and only then
the replies are written, one for each accepted recipient in the order of RCPT [RFC2033 4.2]. A client that goes away before the end
of its message leaves nothing; one that goes away after it gets its mail delivered all the same, and sends it again: twice is allowed,
never is not.

A message that cannot be kept (too big, disk full) is read to its end and forgotten, so that the replies can be said where they belong.
Must not know: sockets, TLS, Maildir.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import structlog

from mas.config import Config
from mas.delivery import Delivery, DeliveryResult, Envelope, Recipient, header_field, split_address, trace_header
from mas.errors import MasError
from mas.protocols.lmtp import replies
from mas.protocols.lmtp.connection import Closed, Event, LmtpConnection, MessageEnd, MessageOctets
from mas.protocols.lmtp.grammar import (
    BadCommand,
    Bdat,
    Data,
    Help,
    Lhlo,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTls,
    Vrfy,
)
from mas.protocols.session import Channel, Peer, Woken
from mas.services import Services
from mas.storage.interface import Account, Incoming
from mas.storage.mime.crlf import CrlfLines

_log = structlog.get_logger(area="lmtp")

Session = Callable[[Channel[Event]], Awaitable[None]]


class Lmtp:
    """The LMTP service of one worker: makes the connection and the session of each client."""

    def __init__(self, services: Services, delivery: Delivery | None = None) -> None:
        self.services = services
        self.config: Config = services.config
        self.delivery = delivery or Delivery(services.store, self.config)

    def open(self, peer: Peer, secured: bool = False) -> tuple[LmtpConnection, Session]:
        """For one client."""
        connection = LmtpConnection(self.config.lmtp.max_line)

        async def run(channel: Channel[Event]) -> None:
            await LmtpSession(self, connection, channel).run()

        return connection, run

    async def close(self) -> None:
        """Wait for what deliveries have started."""
        await self.delivery.close()


@dataclass(slots=True)
class _Transaction:
    """From MAIL to the replies. ``stack`` holds the accounts of the recipients and the message, and leaves them."""

    mail: Mail
    recipients: list[Recipient] = field(default_factory=list)
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    message: Incoming | None = None
    lines: CrlfLines = field(default_factory=CrlfLines)
    failure: Exception | None = None
    chunks: int = 0


class LmtpSession:
    """The state of one conversation."""

    def __init__(self, service: Lmtp, connection: LmtpConnection, channel: Channel[Event]) -> None:
        self._service = service
        self._config = service.config
        self._connection = connection
        self._channel = channel
        self._client = ""
        self._transaction: _Transaction | None = None
        self._messages = 0
        self._bad_left = self._config.lmtp.max_bad_commands

    async def run(self) -> None:
        """The conversation, from greeting to the end of the connection."""
        channel = self._channel
        channel.write(replies.reply(220, "2.0.0", f"{self._config.hostname} LMTP ready"))
        reason = "connection closed"
        try:
            reason = await self._converse()
        except TimeoutError:
            # Perhaps in the middle of a message: what is there of it goes.
            reason = "inactivity"
            channel.write(replies.TIMED_OUT)
        except ConnectionError as error:
            reason = str(error) or reason
            raise
        except Exception:
            # No error of a recipient or a message, so a bug: the listener logs it with where it was.
            reason = "internal error"
            channel.write(replies.BUG)
            raise
        finally:
            await self._reset()
            _log.info(
                "disconnected",
                reason=reason,
                session=channel.peer.session_id,
                address=channel.peer.address or None,
                messages=self._messages,
                received=channel.received,
                sent=channel.sent,
            )

    async def _converse(self) -> str:
        """Commands until one of the two sides ends it; returns why."""
        channel = self._channel
        while True:
            event = await channel.next_event(self._config.lmtp.idle_timeout)
            if isinstance(event, Closed):
                return "connection closed"
            if isinstance(event, Woken):
                if channel.draining:
                    channel.write(replies.CLOSING)
                    return "server stops"
                continue
            if isinstance(event, Quit):
                channel.write(replies.GOODBYE)
                return "logged out"
            if not await self._handle(event):
                return "connection closed" if self._bad_left > 0 else "too many bad commands"

    async def _handle(self, event: Event) -> bool:
        """One command. False ends the conversation."""
        write = self._channel.write
        match event:
            case Rcpt():
                await self._rcpt(event)
            case Mail():
                self._mail(event)
            case Data():
                return await self._data()
            case Bdat():
                return await self._bdat(event)
            case Lhlo():
                await self._reset()
                self._client = event.domain
                write(self._lhlo_reply())
            case Rset():
                await self._reset()
                write(replies.FLUSHED)
            case Noop():
                write(replies.FLUSHED)
            case Vrfy():
                write(replies.VRFY_UNSURE)
            case Help():
                write(replies.HELP_TEXT)
            case StartTls():
                await self._start_tls()
            case BadCommand():
                write(replies.reply(event.code, event.status, event.text))
                self._bad_left -= 1
                if self._bad_left <= 0:
                    write(replies.TOO_MANY_BAD)
                    return False
            case _:
                raise AssertionError(event)
        return True

    def _lhlo_reply(self) -> bytes:
        limit = self._config.quota.max_mail_size
        offered = ["PIPELINING", "ENHANCEDSTATUSCODES", "8BITMIME", "SMTPUTF8", "CHUNKING"]
        offered.append(f"SIZE {limit}" if limit else "SIZE")
        if self._tls_offered():
            offered.append("STARTTLS")
        return replies.lines(250, [self._config.hostname, *offered])

    def _tls_offered(self) -> bool:
        channel = self._channel
        return bool(channel.peer.address) and not channel.tls and self._config.tls.cert is not None

    async def _start_tls(self) -> None:
        if not self._tls_offered():
            self._channel.write(replies.TLS_NOT_OFFERED)
            return
        self._channel.write(replies.READY_FOR_TLS)
        await self._channel.start_tls()
        await self._reset()
        self._client = ""  # [RFC3207 4.2]: what was learned before is forgotten

    def _mail(self, mail: Mail) -> None:
        write = self._channel.write
        limit = self._config.quota.max_mail_size
        if not self._client:
            write(replies.LHLO_FIRST)
        elif self._transaction is not None:
            write(replies.NESTED_MAIL)
        elif mail.reverse_path is not None and not mail.smtputf8 and not mail.reverse_path.is_ascii:
            write(replies.NEEDS_SMTPUTF8)  # [RFC6531 3.5]
        elif limit and mail.size > limit:
            write(replies.reply(552, "5.3.4", f"Message is larger than {limit} octets"))  # [RFC1870 6.1]
        else:
            self._transaction = _Transaction(mail)
            write(replies.SENDER_OK)

    async def _rcpt(self, rcpt: Rcpt) -> None:
        transaction = self._transaction
        if transaction is None or transaction.chunks:
            self._channel.write(replies.BAD_SEQUENCE)
            return
        if len(transaction.recipients) >= self._config.lmtp.max_recipients:
            self._channel.write(replies.TOO_MANY_RECIPIENTS)
            return
        path = rcpt.forward_path
        address = str(path)
        if not path.is_ascii and not transaction.mail.smtputf8:
            self._channel.write(replies.NEEDS_SMTPUTF8)
            return
        try:
            recipient = await self._recipient(transaction, rcpt, address)
        except Exception as error:
            if isinstance(error, MasError):
                _log.info("rcpt refused", session=self._channel.peer.session_id, address=address, why=str(error))
            else:
                _log.exception("rcpt failed", session=self._channel.peer.session_id, address=address)
            self._channel.write(self._error_reply(error, address))
            return
        transaction.recipients.append(recipient)
        self._channel.write(replies.reply(250, "2.1.5", f"<{address}> OK"))

    async def _recipient(self, transaction: _Transaction, rcpt: Rcpt, address: str) -> Recipient:
        """Who that is. Raises UserUnknown, AuthUnavailable, OverQuota, MessageTooBig, StorageUnavailable …"""
        lmtp = self._config.lmtp
        path = rcpt.forward_path
        name, detail = split_address(path.local_part, path.domain, lmtp.recipient_delimiter)
        user = await self._service.services.auth.lookup(name, "lmtp")
        if lmtp.rcpt_check_quota:
            account: Account = await transaction.stack.enter_async_context(
                await self._service.services.store.open(user)
            )
            await account.check_quota(transaction.mail.size)
        return Recipient(user, address, detail, rcpt.original)

    async def _data(self) -> bool:
        transaction = self._transaction
        if transaction is None or transaction.chunks:
            self._channel.write(replies.BAD_SEQUENCE)
            return True
        if not transaction.recipients:
            self._channel.write(replies.NO_RECIPIENTS)  # [RFC2033 4.2]
            return True
        self._channel.write(replies.DATA_GO_AHEAD)
        self._connection.begin_data()
        if not await self._receive(transaction):
            return False
        await self._finish(transaction)
        return True

    async def _bdat(self, bdat: Bdat) -> bool:
        """A chunk. Its octets are read whatever the reply will be [RFC3030 2]."""
        transaction = self._transaction
        if transaction is None or not transaction.recipients:
            if not await self._receive(None):
                return False
            self._channel.write(replies.BAD_SEQUENCE if transaction is None else replies.NO_RECIPIENTS)
            return True
        transaction.chunks += 1
        if not await self._receive(transaction):
            return False
        if bdat.last:
            await self._finish(transaction)
        else:
            self._channel.write(replies.reply(250, "2.0.0", f"{bdat.size} octets received"))
        return True

    async def _receive(self, transaction: _Transaction | None) -> bool:
        """Octets up to the end of the data or chunk, into the transaction's message. False: the client is gone."""
        channel = self._channel
        timeout = self._config.lmtp.idle_timeout
        if transaction is not None and transaction.message is None and transaction.failure is None:
            await self._guarded(transaction, self._begin(transaction))
        while True:
            event = await channel.next_event(timeout)
            if isinstance(event, MessageOctets):
                if transaction is not None and transaction.message is not None and transaction.failure is None:
                    octets = transaction.lines.feed(event.octets)
                    await self._guarded(transaction, transaction.message.write(octets))
            elif isinstance(event, MessageEnd):
                return True
            elif isinstance(event, Closed):
                return False

    async def _begin(self, transaction: _Transaction) -> None:
        config = self._config
        store = self._service.services.store
        incoming = store.incoming(transaction.recipients[0].user, max_size=config.quota.max_mail_size)
        message = await transaction.stack.enter_async_context(incoming)
        protocol = ("UTF8" if transaction.mail.smtputf8 else "") + "LMTP" + ("S" if self._channel.tls else "")
        self._messages += 1
        peer = self._channel.peer
        await message.write(
            trace_header(
                self._envelope(transaction),
                transaction.recipients,
                received_from=f"{self._client} ([{peer.address}])" if peer.address else self._client,
                by=config.hostname,
                protocol=protocol,
                delivery_address=config.lmtp.delivery_address_header,
                add_received=config.lmtp.add_received_header,
            )
        )
        transaction.message = message

    async def _guarded(self, transaction: _Transaction, work: Awaitable[None]) -> None:
        """What fails here fails the message, not the conversation."""
        try:
            await work
        except MasError as error:
            transaction.failure = error
        except Exception as error:
            _log.exception("message failed", session=self._delivery_id)
            transaction.failure = error

    async def _finish(self, transaction: _Transaction) -> None:
        """The message is complete: deliver, then reply for each recipient."""
        message = transaction.message
        if transaction.failure is None and message is not None:
            await self._guarded(transaction, message.finish())
        if transaction.failure is not None or message is None:
            results = [DeliveryResult(one, error=transaction.failure) for one in transaction.recipients]
            _log.warning(
                "message refused",
                session=self._delivery_id,
                recipients=len(results),
                why=str(transaction.failure),
            )
        else:
            path = transaction.mail.reverse_path
            _log.info(
                "message received",
                message_id=header_field(message.header(), b"message-id") or None,
                session=self._delivery_id,
                sender="<>" if path is None else str(path),
                recipients=len(transaction.recipients),
                size=message.size,
                client=self._client,
            )
            results = await self._service.delivery.deliver(message, self._envelope(transaction), transaction.recipients)
        for result in results:
            self._channel.write(self._result_reply(result))
        self._channel.flush()
        await self._reset()

    def _envelope(self, transaction: _Transaction) -> Envelope:
        path = transaction.mail.reverse_path
        sender = "" if path is None else str(path)
        return Envelope(sender, self._delivery_id)

    @property
    def _delivery_id(self) -> str:
        """In every log line of this message, in its Received field and in the replies: the session's id and the number in it."""
        return f"{self._channel.peer.session_id}.{self._messages}"

    def _result_reply(self, result: DeliveryResult) -> bytes:
        address = result.recipient.address
        if result.error is None:
            return replies.reply(250, "2.0.0", f"<{address}> {self._delivery_id} Saved")
        return self._error_reply(result.error, address)

    def _error_reply(self, error: Exception, address: str) -> bytes:
        return replies.error_reply(error, address, quota_full_tempfail=self._config.lmtp.quota_full_tempfail)

    async def _reset(self) -> None:
        """No transaction; what it held is left."""
        transaction, self._transaction = self._transaction, None
        if transaction is not None:
            try:
                await transaction.stack.aclose()
            except Exception:
                # Whatever was promised is durable by now; what is left here is a file in tmp at worst.
                _log.exception("transaction not cleaned up", session=self._channel.peer.session_id)
