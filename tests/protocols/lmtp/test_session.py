"""LMTP conversations, in memory."""

from __future__ import annotations

import asyncio
import re

import pytest
import structlog.testing

from mas.delivery import Decision, Envelope, Recipient, Save
from mas.errors import (
    AuthUnavailable,
    ConfigError,
    DiskFull,
    MasError,
    OverQuota,
    StorageUnavailable,
    UserDisabled,
)
from mas.protocols.lmtp.connection import LmtpConnection
from mas.storage.interface import Account, Incoming
from tests.protocols.lmtp.talk import talking, without_trace

KIM, LEE = "kim@example.net", "lee@example.net"
TEXT = "Subject: x\nMessage-ID: <1@example.org>\n\nhello\n"
WIRE = TEXT.replace("\n", "\r\n").encode()
MAIL = "MAIL FROM:<robin@example.org>\n"
BOTH = f"{MAIL}RCPT TO:<{KIM}>\nRCPT TO:<{LEE}>\n"


async def test_lhlo() -> None:
    async with talking(lhlo=False) as talk:
        assert await talk.say("MAIL FROM:<>\n") == ["503 5.5.1 LHLO first"]
        assert await talk.codes("EHLO x\nHELO x\n") == ["500 5.5.1"] * 2
        assert await talk.say("LHLO client.example.org\n") == [
            "250-mail.example.net",
            "250-PIPELINING",
            "250-ENHANCEDSTATUSCODES",
            "250-8BITMIME",
            "250-SMTPUTF8",
            "250-CHUNKING",
            "250 SIZE 1048576",
        ]


async def test_one_message_in_one_packet() -> None:
    async with talking() as talk:
        assert await talk.codes(f"{MAIL}RCPT TO:<{KIM}>\nDATA\n") == ["250 2.1.0", "250 2.1.5", "354 End"]
        assert await talk.say(f"{TEXT}.\nQUIT\n") == [f"250 2.0.0 <{KIM}> s1.1 Saved", "221 2.0.0 Bye"]
        (message,) = talk.mail()
        assert without_trace([message]) == [WIRE]
        assert re.fullmatch(
            rb"Return-Path: <robin@example.org>\r\nDelivered-To: kim@example.net\r\n"
            rb"Received: from client.example.org\r\n\tby mail.example.net with LMTP\r\n"
            rb"\tid s1.1\r\n\tfor <kim@example.net>; \w{3}, \d\d? \w{3} \d{4} [\d:]{8} [+-]\d{4}\r\n",
            message.removesuffix(WIRE),
        )


async def test_one_reply_for_each_recipient_in_order() -> None:
    async with talking() as talk:
        replies = await talk.say(f"{MAIL}RCPT TO:<{LEE}>\nRCPT TO:<nobody@example.net>\nRCPT TO:<{KIM}>\nDATA\n")
        assert replies[2] == "550 5.1.1 <nobody@example.net> User doesn't exist"
        assert await talk.say(f"{TEXT}.\n") == [f"250 2.0.0 <{LEE}> s1.1 Saved", f"250 2.0.0 <{KIM}> s1.1 Saved"]
        for name in (KIM, LEE):
            (message,) = talk.mail(name)
            assert b"Delivered-To" not in message  # none of several recipients sees another
            assert b"for <" not in message


async def test_same_user_twice_gets_it_twice() -> None:
    async with talking() as talk:
        await talk.say(f"{MAIL}RCPT TO:<kim+a@example.net>\nRCPT TO:<kim+b@example.net>\nDATA\n")
        assert await talk.codes(f"{TEXT}.\n") == ["250 2.0.0"] * 2
        assert len(talk.mail()) == 2


async def test_dots_and_line_ends() -> None:
    async with talking() as talk:
        await talk.say(f"{MAIL}RCPT TO:<{KIM}>\nDATA\n")
        assert await talk.codes(b"A: b\r\n\r\n..x\r\nbare\nlf\r\n.\r\n") == ["250 2.0.0"]
        assert without_trace(talk.mail()) == [b"A: b\r\n\r\n.x\r\nbare\r\nlf\r\n"]


async def test_two_messages_in_one_session() -> None:
    async with talking() as talk:
        for number in (1, 2):
            assert (await talk.codes(f"{MAIL}RCPT TO:<{KIM}>\nDATA\n"))[-1] == "354 End"
            assert await talk.say(f"{TEXT}.\n") == [f"250 2.0.0 <{KIM}> s1.{number} Saved"]
        assert len(talk.mail()) == 2


async def test_bdat() -> None:
    async with talking() as talk:
        assert await talk.codes(f"{MAIL}RCPT TO:<{KIM}>\nRCPT TO:<{LEE}>\n") == ["250 2.1.0", "250 2.1.5", "250 2.1.5"]
        assert await talk.say(b"BDAT 5\r\nA: b\r") == ["250 2.0.0 5 octets received"]
        assert await talk.codes("RCPT TO:<x@example.net>\nDATA\nMAIL FROM:<>\n") == ["503 5.5.1"] * 3
        assert await talk.codes(b"BDAT 7 LAST\r\n\n\r\n.\r\n\n") == ["250 2.0.0"] * 2
        assert without_trace(talk.mail()) == without_trace(talk.mail(LEE)) == [b"A: b\r\n\r\n.\r\n\r\n"]


async def test_bdat_without_recipients_is_swallowed() -> None:
    async with talking() as talk:
        assert await talk.codes(b"BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n") == ["503 5.5.1", "250 2.0.0"]
        await talk.say(MAIL)
        assert await talk.say(b"BDAT 6\r\nQUIT\r\n") == ["503 5.5.1 No valid recipients"]


async def test_sequence() -> None:
    async with talking() as talk:
        assert await talk.codes(f"RCPT TO:<{KIM}>\nDATA\n") == ["503 5.5.1"] * 2
        assert await talk.codes(f"{MAIL}{MAIL}") == ["250 2.1.0", "503 5.5.1"]
        assert await talk.say("DATA\n") == ["503 5.5.1 No valid recipients"]
        assert await talk.codes(f"RSET\nRCPT TO:<{KIM}>\n") == ["250 2.0.0", "503 5.5.1"]
        assert await talk.codes(f"{MAIL}RCPT TO:<{KIM}>\n") == ["250 2.1.0", "250 2.1.5"]
        assert (await talk.say("LHLO again\n"))[-1].startswith("250 ")
        assert await talk.codes("DATA\n") == ["503 5.5.1"]


async def test_small_commands() -> None:
    async with talking() as talk:
        assert await talk.codes("NOOP\nVRFY kim\n") == ["250 2.0.0", "252 2.5.0"]
        assert (await talk.say("HELP\n"))[0].startswith("214 ")
        assert await talk.codes("STARTTLS\n") == ["502 5.5.1"]
        assert await talk.say("QUIT\n") == ["221 2.0.0 Bye"]
        assert talk.task.done()


async def test_detail_and_quoted_local_parts() -> None:
    async with talking("kim@example.net", "a b@example.net", "lee") as talk:
        asked = [
            "RCPT TO:<kim+lists+x@example.net>",
            'RCPT TO:<"a b"@example.net>',
            "RCPT TO:<lee>",
            "RCPT TO:<+x@example.net>",
        ]
        codes = await talk.codes(MAIL + "".join(f"{line}\n" for line in asked))
        assert codes[1:] == ["250 2.1.5"] * 3 + ["550 5.1.1"]
        assert talk.accounts.asked == ["kim@example.net", "a b@example.net", "lee", "+x@example.net"]


async def test_no_delimiter_no_detail() -> None:
    async with talking(lmtp={"recipient_delimiter": ""}) as talk:
        assert (await talk.codes(f"{MAIL}RCPT TO:<kim+x@example.net>\n"))[-1] == "550 5.1.1"


async def test_null_reverse_path_and_original_recipient() -> None:
    async with talking(lmtp={"delivery_address_header": "original", "add_received_header": False}) as talk:
        await talk.say(f"MAIL FROM:<>\nRCPT TO:<{KIM}> ORCPT=rfc822;info@example.org\nDATA\n")
        await talk.say(f"{TEXT}.\n")
        assert talk.mail() == [b"Return-Path: <>\r\nDelivered-To: info@example.org\r\n" + WIRE]


async def test_utf8_addresses_need_smtputf8() -> None:
    async with talking("zoë@example.net") as talk:
        assert await talk.codes("MAIL FROM:<zoë@example.net>\n") == ["553 5.6.7"]
        assert await talk.codes("MAIL FROM:<>\nRCPT TO:<zoë@example.net>\nRSET\n") == [
            "250 2.1.0",
            "553 5.6.7",
            "250 2.0.0",
        ]
        await talk.say("MAIL FROM:<zoë@example.net> SMTPUTF8\nRCPT TO:<zoë@example.net>\nDATA\n")
        assert await talk.codes(f"{TEXT}.\n") == ["250 2.0.0"]
        (message,) = talk.mail("zoë@example.net")
        assert "Return-Path: <zoë@example.net>\r\n".encode() in message
        assert b"with UTF8LMTP" in message


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (AuthUnavailable("down"), "451 4.3.0"),
        (UserDisabled("no"), "550 5.2.1"),
        (ConfigError(["x"]), "451 4.3.5"),
        (RuntimeError("bug"), "451 4.3.0"),
    ],
)
async def test_errors_at_rcpt(error: Exception, code: str) -> None:
    async with talking() as talk:
        talk.accounts.fail[KIM] = error
        assert await talk.codes(BOTH) == ["250 2.1.0", code, "250 2.1.5"]
        await talk.say("DATA\n")
        assert await talk.say(f"{TEXT}.\n") == [f"250 2.0.0 <{LEE}> s1.1 Saved"]


async def test_quota_at_rcpt() -> None:
    async with talking() as talk:
        talk.store.storage_limit = 100
        codes = await talk.codes(f"MAIL FROM:<> SIZE=200\nRCPT TO:<{KIM}>\nRSET\nMAIL FROM:<> SIZE=2000000\n")
        assert codes == ["250 2.1.0", "552 5.2.2", "250 2.0.0", "552 5.3.4"]


@pytest.mark.parametrize(("tempfail", "code"), [(False, "552 5.2.2"), (True, "452 4.2.2")])
async def test_quota_after_data(tempfail: bool, code: str) -> None:
    async with talking(lmtp={"rcpt_check_quota": False, "quota_full_tempfail": tempfail}) as talk:
        talk.store.storage_limit = 100
        assert await talk.codes(f"MAIL FROM:<> SIZE=200\nRCPT TO:<{KIM}>\nDATA\n") == [
            "250 2.1.0",
            "250 2.1.5",
            "354 End",
        ]
        assert await talk.say(f"{TEXT}.\n") == [f"{code} <{KIM}> Quota exceeded (mailbox for user is full)"]
        assert talk.mail() == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DiskFull("full"), "452 4.3.1"),
        (StorageUnavailable("broken"), "451 4.3.0"),
        (OverQuota("User quota", "full"), "552 5.2.2"),
        (MasError("?"), "451 4.3.0"),
        (ValueError("bug"), "451 4.3.0"),
    ],
)
async def test_errors_at_delivery(error: Exception, code: str) -> None:
    async def decide(
        message: Incoming, envelope: Envelope, recipient: Recipient, account: Account, default: Save
    ) -> Decision:
        if recipient.user.name == KIM:
            raise error
        return Decision([Save()])

    async with talking(decide=decide) as talk:
        await talk.say(f"{BOTH}DATA\n")
        assert await talk.codes(f"{TEXT}.\nNOOP\n") == [code, "250 2.0.0", "250 2.0.0"]
        assert (len(talk.mail(KIM)), len(talk.mail(LEE))) == (0, 1)


async def test_too_big_is_read_to_its_end() -> None:
    async with talking() as talk:
        await talk.say(f"{BOTH}DATA\n")
        for _ in range(20):
            assert await talk.say(b"x" * 99_998 + b"\r\n") == []
        assert await talk.codes(".\nNOOP\n") == ["552 5.3.4", "552 5.3.4", "250 2.0.0"]
        assert talk.mail() == []


async def test_disk_full_while_it_comes() -> None:
    async with talking() as talk:
        real = talk.store.incoming

        def incoming(*args: object, **keys: object) -> object:
            message = real(*args, **keys)  # type: ignore[arg-type]
            write = message.write

            async def failing(chunk: bytes) -> None:
                if b"boom" in chunk:
                    raise DiskFull("no space")
                await write(chunk)

            message.write = failing  # type: ignore[method-assign]
            return message

        talk.store.incoming = incoming  # type: ignore[method-assign,assignment]
        await talk.say(f"{BOTH}DATA\n")
        await talk.say("A: b\n\n")
        await talk.say("boom\n")
        assert await talk.codes("more\n.\n") == ["452 4.3.1"] * 2
        assert talk.mail() == []
        assert await talk.codes(f"{MAIL}RCPT TO:<{KIM}>\nDATA\n") == ["250 2.1.0", "250 2.1.5", "354 End"]
        assert await talk.codes(f"{TEXT}.\n") == ["250 2.0.0"]


async def test_too_many_recipients() -> None:
    async with talking(lmtp={"max_recipients": 1}) as talk:
        assert await talk.codes(BOTH) == ["250 2.1.0", "250 2.1.5", "452 4.5.3"]


async def test_too_many_bad_commands() -> None:
    async with talking(lmtp={"max_bad_commands": 3}) as talk:
        assert await talk.codes("x\nx\nx\nNOOP\n") == ["500 5.5.1"] * 3 + ["421 4.7.0"]
        assert talk.task.done()


async def test_long_lines() -> None:
    async with talking(lmtp={"max_line": 100}) as talk:
        assert await talk.say(b"NOOP " + b"x" * 200 + b"\r\nNOOP\r\n") == [
            "500 5.5.2 Line is longer than 100 octets",
            "250 2.0.0 OK",
        ]


@pytest.mark.parametrize("cut", [1, 20, len(WIRE), len(WIRE) + 1, len(WIRE) + 2])
async def test_a_client_that_goes_in_the_middle_leaves_nothing(cut: int) -> None:
    async with talking() as talk:
        await talk.say(f"{BOTH}DATA\n")
        await talk.say((WIRE + b".\r\n")[:cut])
        await talk.say(b"")
        assert talk.task.done()
        assert talk.mail() == talk.mail(LEE) == []


async def test_a_client_that_goes_after_the_end_has_delivered() -> None:
    async with talking() as talk:
        await talk.say(f"{BOTH}DATA\n")
        talk.channel.connection.receive_data(WIRE + b".\r\n")
        await talk.say(b"")
        assert len(talk.mail()) == len(talk.mail(LEE)) == 1


async def test_idle_for_too_long() -> None:
    async with talking() as talk:
        talk.channel.timeouts = 1
        assert await talk.codes("NOOP\n") == ["250 2.0.0", "421 4.4.2"]
    async with talking() as talk:
        await talk.say(f"{BOTH}DATA\n")
        talk.channel.timeouts = 1
        assert await talk.codes("A: b\n") == ["421 4.4.2"]
        assert talk.mail() == []


async def test_draining_waits_for_the_message() -> None:
    async with talking() as talk:
        await talk.say(f"{MAIL}RCPT TO:<{KIM}>\nDATA\n")
        talk.channel.draining = True
        talk.channel.wake()
        await talk.settle()
        assert await talk.codes(f"{TEXT}.\n") == ["250 2.0.0"]
        talk.channel.wake()
        assert await talk.replies() == ["421 4.3.2 Shutting down, try again later"]


async def test_waking_without_draining_is_nothing() -> None:
    async with talking() as talk:
        talk.channel.wake()
        assert await talk.codes("NOOP\n") == ["250 2.0.0"]


async def test_starttls_on_tcp_forgets_what_was_before() -> None:
    tls = {"cert": "/c.pem", "key": "/k.pem"}
    async with talking(address="192.0.2.1", tls=tls) as talk:
        assert (await talk.say("LHLO x\n"))[-1] == "250 STARTTLS"
        assert await talk.codes(f"{MAIL}STARTTLS\nRCPT TO:<{KIM}>\n") == ["250 2.1.0", "220 2.0.0"]
        assert talk.channel.tls_started == 1
        assert await talk.say("MAIL FROM:<>\n") == ["503 5.5.1 LHLO first"]
        assert "250-STARTTLS" not in await talk.say("LHLO x\n")
        await talk.say(f"{MAIL}RCPT TO:<{KIM}>\nDATA\n")
        await talk.say(f"{TEXT}.\n")
        assert b"from x ([192.0.2.1])\r\n\tby mail.example.net with LMTPS\r\n" in talk.mail()[0]


async def test_a_unix_socket_has_no_starttls() -> None:
    async with talking(tls={"cert": "/c.pem", "key": "/k.pem"}) as talk:
        assert "STARTTLS" not in " ".join(await talk.say("LHLO x\n"))


async def test_no_250_before_it_is_saved() -> None:
    release = asyncio.Event()
    asked = asyncio.Event()

    async def decide(
        message: Incoming, envelope: Envelope, recipient: Recipient, account: Account, default: Save
    ) -> Decision:
        asked.set()
        await release.wait()
        return Decision([Save()])

    async with talking(decide=decide) as talk:
        await talk.say(f"{MAIL}RCPT TO:<{KIM}>\nDATA\n")
        talk.channel.feed(f"{TEXT}.\n".replace("\n", "\r\n").encode())
        async with asyncio.timeout(20):
            await asked.wait()
        assert talk.channel.out == []
        release.set()
        assert await talk.replies() == [f"250 2.0.0 <{KIM}> s1.1 Saved"]


async def test_a_bug_is_told_and_the_end_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise LookupError("a bug")

    async def talk_to_it() -> None:
        async with talking() as talk:
            monkeypatch.setattr(LmtpConnection, "next_event", broken)
            assert await talk.codes("NOOP\n") == ["421 4.3.0"]

    with structlog.testing.capture_logs() as lines, pytest.raises(LookupError, match="a bug"):
        await talk_to_it()
    (end,) = [line for line in lines if line["event"] == "disconnected"]
    assert (end["reason"], end["session"], end["messages"]) == ("internal error", "s1", 0)
