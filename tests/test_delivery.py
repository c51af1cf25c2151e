"""Delivery on the model of the store."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
import structlog.testing
from hypothesis import given
from hypothesis import strategies as st

from mas import delivery as module
from mas.delivery import (
    Decision,
    Delivery,
    DeliveryResult,
    Envelope,
    Recipient,
    Save,
    header_field,
    split_address,
    trace_header,
)
from mas.errors import LimitExceeded, StorageUnavailable
from mas.storage.interface import Account, Incoming
from mas.storage.model import SEEN, Flags, MailboxName
from tests.protocols.lmtp.talk import config
from tests.support.memory_store import MemoryStore, user

KIM, LEE = user("kim@example.net"), user("lee@example.net")
MESSAGE = b"Subject: x\r\nMessage-ID: <1@example.org>\r\n\r\nhello\r\n"
ENVELOPE = Envelope("robin@example.org", "s1.1")


def recipient(who: Any = KIM, detail: str = "", mailbox: str | None = None) -> Recipient:
    return Recipient(who, who.name, detail, mailbox=None if mailbox is None else MailboxName(mailbox))


class Host:
    def __init__(self, decide: Any = None, **lmtp: Any) -> None:
        self.store = MemoryStore()
        self.delivery = Delivery(cast(Any, self.store), config(lmtp=lmtp), decide)

    async def deliver(self, *recipients: Recipient) -> list[DeliveryResult]:
        async with self.store.incoming(KIM) as message:
            await message.write(MESSAGE)
            await message.finish()
            results = await self.delivery.deliver(cast(Any, message), ENVELOPE, recipients)
            assert [result.recipient for result in results] == list(recipients)
            return results

    def counts(self, who: Any = KIM) -> dict[str, int]:
        boxes = self.store.account(who).mailboxes
        return {name: len(box.messages) for name, box in boxes.items() if box.messages}


async def test_inbox() -> None:
    host = Host()
    (result,) = await host.deliver(recipient())
    assert (result.error, result.mailboxes) == (None, ["INBOX"])
    assert host.counts() == {"INBOX": 1}


# detail, -m, settings, mailboxes there -> where it goes
DETAILS = [
    ("lists", None, {}, ["lists"], "INBOX"),
    ("lists", None, {"save_to_detail_mailbox": True}, ["lists"], "lists"),
    ("lists", None, {"save_to_detail_mailbox": True}, [], "INBOX"),
    ("lists", None, {"save_to_detail_mailbox": True, "mailbox_autocreate": True}, [], "lists"),
    ("inbox", None, {"save_to_detail_mailbox": True}, [], "INBOX"),
    ("", None, {"save_to_detail_mailbox": True}, [], "INBOX"),
    ("lists", "Work", {}, ["Work", "lists"], "Work"),
    ("", "Work", {}, [], "INBOX"),
    ("../../etc", None, {"save_to_detail_mailbox": True}, [], "INBOX"),
]


@pytest.mark.parametrize(("detail", "mailbox", "settings", "there", "where"), DETAILS)
async def test_where(detail: str, mailbox: str | None, settings: dict[str, bool], there: list[str], where: str) -> None:
    host = Host(**settings)
    for name in there:
        await host.store.account(KIM).create(MailboxName(name))
    (result,) = await host.deliver(recipient(KIM, detail, mailbox))
    assert (result.error, result.mailboxes) == (None, [where])
    assert host.counts() == {where: 1}


async def test_what_was_made_is_subscribed_once() -> None:
    host = Host(save_to_detail_mailbox=True, mailbox_autocreate=True, mailbox_autosubscribe=True)
    await host.deliver(recipient(KIM, "lists"))
    account = host.store.account(KIM)
    assert "lists" in account.subscribed
    await account.unsubscribe(MailboxName("lists"))
    await host.deliver(recipient(KIM, "lists"))
    assert "lists" not in account.subscribed
    assert host.counts() == {"lists": 2}


async def test_decide_may_save_several_times_or_not_at_all() -> None:
    async def decide(
        message: Incoming, envelope: Envelope, one: Recipient, account: Account, default: Save
    ) -> Decision:
        if one.user is LEE:
            return Decision([])
        return Decision([Save(), Save(MailboxName("Work"), Flags(SEEN, frozenset(["$x"])), create=True)])

    host = Host(decide)
    results = await host.deliver(recipient(KIM), recipient(LEE))
    assert [result.mailboxes for result in results] == [["INBOX", "Work"], []]
    assert [result.error for result in results] == [None, None]
    assert (host.counts(KIM), host.counts(LEE)) == ({"INBOX": 1, "Work": 1}, {})


async def test_one_failure_is_no_others() -> None:
    async def decide(
        message: Incoming, envelope: Envelope, one: Recipient, account: Account, default: Save
    ) -> Decision:
        if one.user is KIM:
            raise StorageUnavailable("disk")
        if one.detail:
            raise ValueError("bug")
        return Decision([Save()])

    host = Host(decide)
    results = await host.deliver(recipient(KIM), recipient(LEE), recipient(LEE, "x"))
    assert [type(result.error) for result in results] == [StorageUnavailable, type(None), ValueError]
    assert host.counts(LEE) == {"INBOX": 1}


async def test_one_line_for_each_delivery() -> None:
    host = Host()
    with structlog.testing.capture_logs() as lines:
        await host.deliver(recipient())
        host.store.fail = StorageUnavailable("disk")
        await host.deliver(recipient())
    assert [(line["area"], line["event"], line["log_level"]) for line in lines] == [
        ("lmtp(kim@example.net)", "msgid=<1@example.org>: saved mail to INBOX", "info"),
        ("lmtp(kim@example.net)", "msgid=<1@example.org>: save failed: disk", "warning"),
    ]
    assert (lines[0]["session"], lines[0]["size"], lines[0]["sender"]) == ("s1.1", len(MESSAGE), "robin@example.org")


async def test_deliveries_of_one_user_start_in_order_and_no_more_than_the_limit_at_once() -> None:
    release = [asyncio.Event() for _ in range(5)]
    begun = [asyncio.Event() for _ in range(5)]
    started: list[str] = []

    async def decide(
        message: Incoming, envelope: Envelope, one: Recipient, account: Account, default: Save
    ) -> Decision:
        if one.user is LEE:
            return Decision([Save()])
        started.append(one.detail)
        begun[int(one.detail)].set()
        await release[int(one.detail)].wait()
        return Decision([Save()])

    host = Host(decide, user_concurrency_limit=2)
    task = asyncio.ensure_future(host.deliver(*(recipient(KIM, str(number)) for number in range(5))))
    (other,) = await host.deliver(recipient(LEE))
    assert other.error is None
    for number in range(5):
        release[number].set()
        async with asyncio.timeout(20):
            await asyncio.gather(*(begun[name].wait() for name in range(min(number + 3, 5))))
        assert not any(event.is_set() for event in begun[number + 3 :])
    await task
    assert started == ["0", "1", "2", "3", "4"]
    assert host.counts() == {"INBOX": 5}
    assert host.delivery._turns == {}


async def test_waiting_too_long_is_an_error_of_that_delivery(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAIT", 0.01)
    release = asyncio.Event()

    async def decide(
        message: Incoming, envelope: Envelope, one: Recipient, account: Account, default: Save
    ) -> Decision:
        await release.wait()
        return Decision([Save()])

    host = Host(decide, user_concurrency_limit=1)
    first = asyncio.ensure_future(host.deliver(recipient()))
    await asyncio.sleep(0)
    (second,) = await host.deliver(recipient())
    assert isinstance(second.error, LimitExceeded)
    assert second.error.key == "lmtp.user_concurrency_limit"
    release.set()
    assert (await first)[0].error is None
    assert host.delivery._turns == {}


async def test_autoexpunge_runs_once_for_a_burst() -> None:
    runs: list[str] = []
    store = MemoryStore()
    settings = config(mailbox=({"name": "Junk", "autoexpunge": "90d"},))
    delivery = Delivery(cast(Any, store), settings)
    for who in (KIM, LEE):
        account = store.account(who)

        async def expire(name: str = who.name) -> int:
            runs.append(name)
            return 0

        account.expire = expire  # type: ignore[method-assign]
    host = Host()
    host.store, host.delivery = store, delivery
    for _ in range(3):
        await host.deliver(recipient(KIM), recipient(LEE))
    await delivery.close()
    assert sorted(runs) == [KIM.name, LEE.name]


ADDRESSES = [
    ("kim", "+", "kim@d", ""),
    ("kim+x", "+", "kim@d", "x"),
    ("kim+x+y", "+", "kim@d", "x+y"),
    ("kim+", "+", "kim@d", ""),
    ("+x", "+", "+x@d", ""),
    ("++x", "+", "+@d", "x"),
    ("kim-x+y", "+-", "kim@d", "x+y"),
    ("kim+x-y", "+-", "kim@d", "x-y"),
    ("kim+x", "", "kim+x@d", ""),
]


@pytest.mark.parametrize(("local", "delimiters", "name", "detail"), ADDRESSES)
def test_split_address(local: str, delimiters: str, name: str, detail: str) -> None:
    assert split_address(local, "d", delimiters) == (name, detail)
    assert split_address(local, "", delimiters) == (name.removesuffix("@d"), detail)


def test_trace_header_has_no_room_for_injection() -> None:
    header = trace_header(ENVELOPE, [recipient()], received_from="", by="h", protocol="local", now=0)
    assert header.startswith(
        b"Return-Path: <robin@example.org>\r\nDelivered-To: kim@example.net\r\nReceived: by h with local\r\n"
    )
    assert header.endswith(b"\r\n")
    assert b"Thu, 01 Jan 1970" in header


FIELDS = [
    (b"Message-ID: <1@x>\r\n\r\n", "<1@x>"),
    (b"A: b\r\nMESSAGE-id:<1@x>\r\n\r\n", "<1@x>"),
    (b"A: b\r\nMessage-ID:\r\n <1@x>\r\nB: c\r\n\r\n", "<1@x>"),
    (b"Message-ID:\r\n\t<1@x>\r\n y", "<1@x> y"),
    (b"X-Message-ID: <1@x>\r\n\r\n", ""),
    (b"Message-ID: a\x07\x1b[1mb\xff\r\n", "a [1mb\ufffd"),
    (b"Message-ID: " + b"a" * 500 + b"\r\n", "a" * 250),
    (b"", ""),
    (b"Message-ID:", ""),
]


@pytest.mark.parametrize(("header", "value"), FIELDS)
def test_header_field(header: bytes, value: str) -> None:
    assert header_field(header, b"message-id") == value


@given(st.binary(max_size=200))
def test_header_field_of_anything(header: bytes) -> None:
    assert header_field(b"message-id:" + header, b"message-id").isprintable()
