"""``mas deliver``: one message on standard input, one user; what Postfix's pipe(8), getmail or a shell alias calls.

The pipeline is LMTP's (``mas.delivery`` with the user's Sieve scripts), in this process, on the store itself: it works whether or not the
server runs, and a running server notices the mail at once. Exit codes as dovecot-lda's, after sysexits:

    0   delivered
    64  wrong arguments
    67  no such user
    75  try again later (database, disk, a bug)
    77  refused for good (over quota, too big, disabled): the reason is on standard error, and the MTA makes the bounce

Difference to dovecot-lda: without ``-e`` that sends its own rejection and exits 0. Here the MTA's bounce is used with and without ``-e``:
it is a proper delivery status notification, and the MTA knows whether the sender deserves one. The flag is taken.

The message is stored as it comes: line ends become CRLF, an mbox ``From `` line at the start is dropped. No header is added, since the
MTA that pipes (``flags=DR``) or the one before it has done so.
"""

from __future__ import annotations

import asyncio
import grp
import os
import pwd
import secrets
import sys
from dataclasses import dataclass
from typing import BinaryIO

import structlog

from mas import logs
from mas.auth.service import open_authenticator
from mas.config import Config
from mas.delivery import Delivery, DeliveryResult, Envelope, Recipient, split_address
from mas.errors import ConfigError, MasError, MessageTooBig, OverQuota, UserDisabled, UserUnknown
from mas.protocols.lmtp.grammar import Address, Rcpt, parse_command
from mas.server.filtering import Filtering, sieve_language
from mas.storage.mime.crlf import CrlfLines
from mas.storage.model import MailboxName
from mas.storage.store import MaildirStore

EX_OK, EX_USAGE, EX_NOUSER, EX_TEMPFAIL, EX_NOPERM = 0, 64, 67, 75, 77
_CHUNK = 65536
_log = structlog.get_logger(area="lda")


@dataclass(frozen=True, slots=True)
class Order:
    """The arguments. ``user`` empty: who calls (never root).

    address (``-a``): the recipient as the MTA had it, for the detail and for Sieve; else the user. sender (``-f``): the reverse path, empty
    for ``<>``. mailbox (``-m``): instead of INBOX; one that is missing means INBOX, unless ``lmtp.mailbox_autocreate``.
    """

    user: str = ""
    address: str = ""
    sender: str = ""
    mailbox: str = ""


def run(config: Config, order: Order, message: BinaryIO | None = None) -> int:
    """Deliver standard input (or ``message``) and return the exit code; says on standard error why not. Gives up root first."""
    try:
        user = order.user or _caller()
        envelope, address = _envelope(order, user)
    except ValueError as error:
        sys.stderr.write(f"mas deliver: {error}\n")
        return EX_USAGE
    try:
        logs.setup(config.log)  # standard error: what an MTA shows of a delivery that failed
        if os.geteuid() == 0:
            _drop_root(config.mail.uid, config.mail.gid)
        return asyncio.run(_deliver(config, order, user, envelope, address, message or sys.stdin.buffer))
    except Exception as error:
        return _failed(error, user)


async def _deliver(
    config: Config, order: Order, name: str, envelope: Envelope, address: Address, message: BinaryIO
) -> int:
    accounts = open_authenticator(config, penalty=False)
    store = MaildirStore(config)
    filtering = Filtering(config, store, accounts, sieve_language(config))
    delivery = Delivery(store, config, filtering.filter.decide)
    try:
        user = await accounts.lookup(name, "lda")
        detail = split_address(address.local_part, address.domain, config.lmtp.recipient_delimiter)[1]
        mailbox = MailboxName(order.mailbox) if order.mailbox else None
        recipient = Recipient(user, str(address), detail, mailbox=mailbox)
        async with store.incoming(user, max_size=config.quota.max_mail_size) as incoming:
            lines = CrlfLines()
            chunk = await asyncio.to_thread(_first, message)
            while chunk:
                await incoming.write(lines.feed(chunk))
                chunk = await asyncio.to_thread(message.read, _CHUNK)
            if not incoming.size:
                raise ValueError("no message on standard input")
            await incoming.finish()
            (result,) = await delivery.deliver(incoming, envelope, [recipient])
        return _result(result, name)
    finally:
        await delivery.close()
        await filtering.close()
        await store.close()
        await accounts.close()


def _first(message: BinaryIO) -> bytes:
    """The beginning of the message, without an mbox ``From `` line."""
    chunk = message.read(_CHUNK)
    if chunk.startswith(b"From "):
        end = chunk.find(b"\n")
        return chunk[end + 1 :] or message.read(_CHUNK) if end >= 0 else chunk
    return chunk


def _result(result: DeliveryResult, name: str) -> int:
    return EX_OK if result.error is None else _failed(result.error, name)


def _failed(error: Exception, name: str) -> int:
    match error:
        case UserUnknown():
            code, text = EX_NOUSER, f"{name}: no such user"
        case UserDisabled():
            code, text = EX_NOPERM, f"{name}: mailbox is disabled"
        case OverQuota():
            code, text = EX_NOPERM, f"{name}: {error.message}"
        case MessageTooBig():
            code, text = EX_NOPERM, f"{name}: {error}"
        case ConfigError():
            code, text = EX_TEMPFAIL, str(error)
        case MasError() | OSError():
            code, text = EX_TEMPFAIL, f"{name}: {error}"
        case ValueError():
            code, text = EX_USAGE, str(error)
        case _:
            _log.exception("delivery failed", user=name)
            code, text = EX_TEMPFAIL, f"{name}: internal error"
    sys.stderr.write(f"mas deliver: {text}\n")
    return code


def _caller() -> str:
    """The name of the user who calls, as dovecot-lda without ``-d``. Raises ValueError for root: its mail is somebody's."""
    if os.getuid() == 0:
        raise ValueError("-d USER is needed when called by root")
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        raise ValueError("-d USER is needed: the caller has no name") from None


def _envelope(order: Order, user: str) -> tuple[Envelope, Address]:
    """Raises ValueError."""
    sender = order.sender.strip()
    sender = "" if sender in ("<>", "MAILER-DAEMON") else sender.removeprefix("<").removesuffix(">")
    if sender and not sender.isprintable():
        raise ValueError("-f: a sender has no control characters")
    # The address is read by the same rules as RCPT's, since Sieve will see it.
    parsed = parse_command(f"RCPT TO:<{(order.address or user).strip('<>')}>".encode(errors="replace"))
    if not isinstance(parsed, Rcpt):
        local, _, domain = user.rpartition("@") if "@" in user else (user, "", "")
        if order.address:
            raise ValueError(f"-a: {order.address!r} is no address")
        return Envelope(sender, secrets.token_hex(6), "lda"), Address(local, domain)
    return Envelope(sender, secrets.token_hex(6), "lda"), parsed.forward_path


def _drop_root(uid: str, gid: str) -> None:
    """Become the mail user for good. Raises OSError, ConfigError when there is no such account."""
    try:
        entry = pwd.getpwuid(int(uid)) if uid.isdigit() else pwd.getpwnam(uid)
        number, name = entry.pw_uid, entry.pw_name
    except KeyError:
        if not uid.isdigit():
            raise ConfigError([f'mail.uid: there is no user "{uid}" on this system']) from None
        number, name = int(uid), ""
    try:
        group = int(gid) if gid.isdigit() else grp.getgrnam(gid).gr_gid
    except KeyError:
        raise ConfigError([f'mail.gid: there is no group "{gid}" on this system']) from None
    os.setgroups(os.getgrouplist(name, group) if name else [group])
    os.setresgid(group, group, group)
    os.setresuid(number, number, number)
