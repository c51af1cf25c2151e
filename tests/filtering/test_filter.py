"""Scripts at delivery: where mail ends up, what goes out, what is remembered. On the model of the store, with real files and queue."""

from __future__ import annotations

import asyncio
import dataclasses
import email
import email.policy
import os
import re
import stat
from pathlib import Path
from typing import Any, cast

import pytest

from mas.config import Config, Mail
from mas.delivery import Delivery, DeliveryResult, Envelope, Recipient
from mas.errors import Rejected
from mas.filtering.filter import Filter
from mas.filtering.memory import Memory
from mas.outgoing.queue import Envelope as Outgoing
from mas.outgoing.queue import NotNow, Queue
from mas.sieve.extensions import OPTIONAL, default_registry, registry_of
from mas.storage.model import FLAGGED, MailboxName
from tests.protocols.lmtp.talk import config
from tests.support.memory_store import MemoryStore, user

MAIL = b"""From: Robin <robin@example.org>
To: kim@example.net
Subject: [list] News
Message-ID: <1@example.org>

Hello
""".replace(b"\n", b"\r\n")


class Host:
    """One user with scripts; mail that goes out is caught."""

    def __init__(self, tmp_path: Path, **sieve: Any) -> None:
        self.home = tmp_path / "home"
        self.home.mkdir(parents=True)
        self.user = dataclasses.replace(user("kim@example.net"), home=self.home)
        self.store = MemoryStore()
        self.sent: list[tuple[Outgoing, bytes]] = []
        self.down = False
        self.memory = Memory(tmp_path / "state" / "sieve.db")
        self.queue = Queue(tmp_path / "state" / "outgoing", self._send, self._given_up)
        settings = config(sieve={"default": "", **sieve})
        registry = default_registry(add=OPTIONAL)
        self.filter = Filter(cast(Any, self.store), settings, registry, self.queue, self.memory)
        self.delivery = Delivery(cast(Any, self.store), settings, self.filter.decide)

    async def _send(self, envelope: Outgoing, message: bytes) -> None:
        if self.down:
            raise NotNow("down")
        self.sent.append((envelope, message))

    async def _given_up(self, envelope: Outgoing, message: bytes, why: str) -> None:
        raise AssertionError(why)

    def script(self, text: str) -> None:
        (self.home / ".dovecot.sieve").write_text(text)

    async def deliver(
        self,
        mail: bytes = MAIL,
        sender: str = "robin@example.org",
        address: str = "kim@example.net",
        original: str = "",
    ) -> DeliveryResult:
        async with self.store.incoming(self.user) as message:
            await message.write(mail)
            await message.finish()
            envelope = Envelope(sender, "s1")
            (result,) = await self.delivery.deliver(
                cast(Any, message), envelope, [Recipient(self.user, address, original=original)]
            )
        await self.queue.close()
        return result

    def counts(self) -> dict[str, int]:
        boxes = self.store.account(self.user).mailboxes
        return {name: len(box.messages) for name, box in boxes.items() if box.messages}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


async def test_fileinto_with_flags(host: Host) -> None:
    host.script('require ["fileinto", "imap4flags", "mailbox"]; fileinto :create :flags ["\\\\Seen", "$work"] "Lists";')
    result = await host.deliver()
    assert (result.error, result.mailboxes) == (None, ["Lists"])
    box = host.store.account(host.user).mailboxes[MailboxName("Lists")]
    flags = box.names(box.snapshot.flags[0])
    assert (flags.system, flags.keywords) == (8, frozenset({"$work"}))


async def test_a_missing_mailbox_means_inbox(host: Host) -> None:
    host.script('require "fileinto"; fileinto "Nowhere";')
    assert (await host.deliver()).mailboxes == ["INBOX"]


@pytest.mark.parametrize(
    ("script", "mailboxes"),
    [
        ('fileinto "a//b"; keep;', ["INBOX"]),
        ('fileinto :copy "a//b";', ["INBOX"]),
        ('fileinto "a//b"; fileinto "b//c";', ["INBOX"]),
        ('fileinto "Nowhere"; fileinto :create "There";', ["INBOX", "There"]),
        ('fileinto "INBOX"; fileinto "inbox";', ["INBOX"]),
        ('addheader "X-A" "1"; fileinto "a//b"; deleteheader "X-A"; fileinto "b//c"; keep;', ["INBOX", "INBOX"]),
    ],
)
async def test_inbox_takes_what_has_no_place_once(host: Host, script: str, mailboxes: list[str]) -> None:
    """Of each form of the message; dovecot-lda leaves one copy as well."""
    host.script(f'require ["fileinto", "copy", "mailbox", "editheader"]; {script}')
    result = await host.deliver()
    assert (result.error, result.mailboxes) == (None, mailboxes)


async def test_two_names_of_inbox_are_one_copy_with_the_flags_said_last(host: Host) -> None:
    host.script(
        'require ["fileinto", "imap4flags"]; fileinto :flags "\\\\Seen" "inbox"; fileinto :flags "\\\\Flagged" "INBOX";'
    )
    assert (await host.deliver()).mailboxes == ["INBOX"]
    box = host.store.account(host.user).mailboxes[MailboxName("INBOX")]
    assert box.names(box.snapshot.flags[0]).system == FLAGGED


async def test_discard(host: Host) -> None:
    host.script("discard;")
    assert (await host.deliver()).mailboxes == []
    assert host.counts() == {}


async def test_redirect_keeps_the_sender_and_stops_loops(host: Host) -> None:
    host.script('redirect "lee@example.com";')
    assert (await host.deliver()).mailboxes == []
    ((envelope, message),) = host.sent
    assert (envelope.sender, envelope.recipients, envelope.kind) == (
        "robin@example.org",
        ["lee@example.com"],
        "redirect",
    )
    assert message.endswith(MAIL)
    assert (await host.deliver(message)).mailboxes == ["INBOX"]
    assert (await host.deliver()).mailboxes == ["INBOX"]
    assert len(host.sent) == 1


async def test_redirect_survives_a_server_that_is_down(host: Host) -> None:
    host.script('redirect "lee@example.com";')
    host.down = True
    assert (await host.deliver()).error is None
    assert (len(host.queue), host.sent) == (1, [])
    host.down = False
    (path,) = host.queue.folder.glob("*.mail")
    os.utime(path, (0, 0))
    await host.queue.run_due()
    assert (len(host.queue), len(host.sent)) == (0, 1)


async def test_one_vacation_reply_not_two(host: Host) -> None:
    host.script('require "vacation"; vacation :days 7 "I am away.";')
    for _ in range(3):
        assert (await host.deliver()).mailboxes == ["INBOX"]
    ((envelope, message),) = host.sent
    assert (envelope.sender, envelope.recipients, envelope.kind) == ("", ["robin@example.org"], "vacation")
    assert b"Auto-Submitted: auto-replied (vacation)" in message
    await host.deliver(sender="someone@example.org")
    assert len(host.sent) == 2


async def test_no_vacation_reply_to_the_null_sender_nor_to_lists(host: Host) -> None:
    host.script('require "vacation"; vacation "I am away.";')
    await host.deliver(sender="")
    await host.deliver(b"List-Id: <l.example.org>\r\n" + MAIL)
    await host.deliver(MAIL.replace(b"To: kim", b"To: team"))
    assert host.sent == []


async def test_reject_and_ereject(host: Host) -> None:
    host.script('require "reject"; reject "Not wanted.";')
    assert (await host.deliver()).error is None
    ((envelope, message),) = host.sent
    assert (envelope.sender, envelope.recipients) == ("", ["robin@example.org"])
    assert b"disposition-notification" in message
    host.script('require "ereject"; ereject "Not wanted.";')
    os.utime(host.home / ".dovecot.sieve", (1, 1))
    error = (await host.deliver()).error
    assert isinstance(error, Rejected)
    assert host.counts() == {}


async def test_duplicate_is_remembered_after_the_delivery(host: Host) -> None:
    host.script('require "duplicate"; if duplicate { discard; }')
    assert [(await host.deliver()).mailboxes for _ in range(2)] == [["INBOX"], []]


async def test_a_script_that_fails_keeps_the_message_and_tells_the_user(host: Host) -> None:
    host.script('require ["reject", "fileinto"]; reject "no";\nkeep;')
    assert (await host.deliver()).mailboxes == ["INBOX"]
    assert "line 2: keep cannot be used with reject" in (host.home / ".dovecot.sieve.log").read_text()


async def test_a_script_that_does_not_compile_keeps_the_message(host: Host) -> None:
    host.script("keep\n")
    assert (await host.deliver()).mailboxes == ["INBOX"]
    assert "line 2, column 1" in (host.home / ".dovecot.sieve.log").read_text()


async def test_edited_header_is_what_is_saved(host: Host) -> None:
    host.script('require "editheader"; addheader "X-Tag" "größer"; deleteheader "Subject";')
    await host.deliver()
    ((_, message),) = host.store.account(host.user).mailboxes[MailboxName("INBOX")].messages.items()
    assert message.octets.startswith(b"X-Tag: =?utf-8?")
    assert b"Subject" not in message.octets
    assert message.octets.endswith(b"\r\n\r\nHello\r\n")


async def test_order_of_before_personal_after(tmp_path: Path) -> None:
    before, after = tmp_path / "before.sieve", tmp_path / "after"
    after.mkdir()
    before.write_text('require ["fileinto", "copy", "mailbox"]; fileinto :create :copy "Before";')
    (after / "1.sieve").write_text('require ["fileinto", "mailbox"]; fileinto :create "After";')
    (after / "2.sieve").write_text('require ["fileinto", "mailbox"]; fileinto :create "Never";')
    host = Host(tmp_path, before=(str(before),), after=(str(after),))
    assert (await host.deliver()).mailboxes == ["Before", "After"]
    host.script("stop;")
    assert (await host.deliver()).mailboxes == ["Before", "After"]
    host.script("discard;")
    os.utime(host.home / ".dovecot.sieve", (1, 1))
    assert (await host.deliver()).mailboxes == ["Before"]


async def test_includes(host: Host) -> None:
    (host.home / "sieve").mkdir()
    (host.home / "sieve" / "inner.sieve").write_text(
        'require ["fileinto", "include", "variables", "mailbox"]; global "x"; fileinto :create "${x}"; return; discard;'
    )
    host.script('require ["include", "variables"]; global "x"; set "x" "Inner"; include "inner";')
    assert (await host.deliver()).mailboxes == ["Inner"]
    (host.home / "sieve" / "inner.sieve").write_text('require "include"; include "inner";')
    assert (await host.deliver()).mailboxes == ["INBOX"]
    assert "includes itself" in (host.home / ".dovecot.sieve.log").read_text()


async def test_programs(tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in {
        "learn": f'#!/bin/sh\necho "$USER $SENDER $1" >{tmp_path}/learnt\ncat >>{tmp_path}/learnt\n',
        "upper": "#!/bin/sh\nsed 's/Hello/HELLO/'\n",
        "say": "#!/bin/sh\necho -n Spoken\n",
    }.items():
        (folder / name).write_text(text)
        (folder / name).chmod(stat.S_IRWXU)
    bins = {f"{kind}_bin_dir": str(folder) for kind in ("pipe", "filter", "execute")}
    host = Host(tmp_path, program_timeout="60s", **bins)
    host.script(
        'require ["vnd.dovecot.pipe", "vnd.dovecot.filter", "vnd.dovecot.execute", "copy", "variables", "fileinto", "mailbox"];'
        'filter "upper"; pipe :copy "learn" ["spam"]; execute :output "x" "say"; fileinto :create "${x}";'
    )
    assert (await host.deliver()).mailboxes == ["Spoken"]
    learnt = (tmp_path / "learnt").read_bytes()
    assert learnt.startswith(b"kim@example.net robin@example.org spam\n")
    assert b"HELLO" in learnt


async def test_a_program_that_does_not_end_is_killed_and_the_message_kept(tmp_path: Path) -> None:
    (tmp_path / "slow").write_text("#!/bin/sh\nexec sleep 600\n")
    (tmp_path / "slow").chmod(stat.S_IRWXU)
    host = Host(tmp_path, program_timeout="100ms", pipe_bin_dir=str(tmp_path))
    host.script('require "vnd.dovecot.pipe"; pipe "slow";')
    async with asyncio.timeout(60):
        await host.deliver()
    assert host.counts() == {"INBOX": 1}


@pytest.mark.parametrize(
    ("chosen", "sender", "expected"),
    [
        ("sender", "robin@example.org", "robin@example.org"),
        ("recipient", "robin@example.org", "kim+x@example.net"),
        ("orig_recipient", "robin@example.org", "alias@example.net"),
        ("user_email", "robin@example.org", "kim@example.com"),
        ("postmaster", "robin@example.org", "postmaster@example.net"),
        ("<robot@example.net>", "robin@example.org", "robot@example.net"),
        ("<robot@example.net>", "", ""),
        ("recipient", "", ""),
    ],
)
async def test_envelope_from_of_redirects(tmp_path: Path, chosen: str, sender: str, expected: str) -> None:
    host = Host(tmp_path, redirect_envelope_from=chosen, user_email="%n@example.com")
    host.script('redirect "lee@example.com";')
    await host.deliver(sender=sender, address="kim+x@example.net", original="alias@example.net")
    assert [envelope.sender for envelope, _ in host.sent] == [expected]


async def test_each_action_takes_the_header_of_its_moment(host: Host) -> None:
    host.script(
        'require ["editheader", "fileinto", "copy", "mailbox"]; fileinto :create "Before"; addheader "X-A" "1";'
        'redirect "lee@example.com"; addheader "X-B" "2"; fileinto :create "After";'
    )
    assert (await host.deliver()).mailboxes == ["Before", "After"]
    boxes = host.store.account(host.user).mailboxes
    ((_, before),) = boxes[MailboxName("Before")].messages.items()
    ((_, after),) = boxes[MailboxName("After")].messages.items()
    assert before.octets == MAIL
    assert after.octets == b"X-B: 2\r\nX-A: 1\r\n" + MAIL
    ((_, redirected),) = host.sent
    assert redirected.endswith(b"\r\nX-A: 1\r\n" + MAIL)


async def test_keep_and_fileinto_inbox_are_one_copy(host: Host) -> None:
    host.script('require "fileinto"; fileinto "INBOX"; keep;')
    assert (await host.deliver()).mailboxes == ["INBOX"]


async def test_a_reply_though_no_address_of_the_user_is_in_it(tmp_path: Path) -> None:
    host = Host(tmp_path, vacation_check_recipient=False, vacation_send_from_recipient=True)
    host.script('require "vacation"; vacation "I am away.";')
    await host.deliver(MAIL.replace(b"To: kim", b"To: team"))
    assert [(envelope.sender, list(envelope.recipients)) for envelope, _ in host.sent] == [
        ("kim@example.net", ["robin@example.org"])
    ]


@pytest.mark.parametrize(
    ("settings", "field", "to"),
    [
        ({}, b"From: Robin <robin@home.example>", b"robin@example.org"),
        ({"vacation_to_header_ignore_envelope": True}, b"From: Robin <robin@home.example>", b"robin@home.example"),
        ({"vacation_to_header_ignore_envelope": True}, b"Sender: robin@\r\nFrom: x@b.example", b"x@b.example"),
        ({"vacation_to_header_ignore_envelope": True}, b"From: nobody", b"robin@example.org"),
    ],
)
async def test_whom_a_reply_names(tmp_path: Path, settings: dict[str, bool], field: bytes, to: bytes) -> None:
    host = Host(tmp_path, **settings)
    host.script('require "vacation"; vacation "I am away.";')
    await host.deliver(field + b"\r\nTo: kim@example.net\r\nSubject: x\r\n\r\nHello\r\n")
    ((envelope, reply),) = host.sent
    assert list(envelope.recipients) == ["robin@example.org"]
    assert re.findall(rb"^To: <?([^>\r\n]*)>?\r$", reply, re.MULTILINE) == [to]


async def test_a_program_that_reads_nothing(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "say"
    program.write_text("#!/bin/sh\nexec <&-\necho -n Spoken\n")
    program.chmod(stat.S_IRWXU)
    host = Host(tmp_path, execute_bin_dir=str(tmp_path / "bin"))
    host.script(
        'require ["vnd.dovecot.execute", "variables", "fileinto", "mailbox"];'
        'execute :pipe :output "x" "say"; fileinto :create "${x}";'
    )
    large = MAIL + b"x" * 300_000
    assert (await host.deliver(large)).mailboxes == ["Spoken"]


@pytest.mark.parametrize(
    ("field", "mailbox"),
    [
        (b"X-Spam: Yes", "Junk"),
        (b"X-Spam: no", "INBOX"),
        (b"X-Spam-Flag: YES", "Junk"),
        (b"X-Spamd-Result: default: False [17.20 / 15.00];\r\n\tBAYES_SPAM(5.00)[99%]", "Junk"),
        (b"X-Spamd-Result: default: False [-1.20 / 15.00];\r\n\tBAYES_HAM(-3.00)[99%]", "INBOX"),
        (b"X-Spamd-Result: default: False [6.10 / 15.00]; X(15.00)", "INBOX"),
        (b"X-Other: Yes", "INBOX"),
    ],
)
async def test_the_shipped_script_for_marked_mail(tmp_path: Path, field: bytes, mailbox: str) -> None:
    shipped = Path(__file__).parent.parent.parent / "conf" / "sieve" / "spam-to-junk.sieve"
    host = Host(tmp_path, before=(str(shipped),))
    host.script('require ["fileinto", "mailbox"]; if header :is "X-Spam" "Yes" { fileinto :create "Never"; }')
    assert (await host.deliver(field + b"\r\n" + MAIL)).mailboxes == [mailbox]


@pytest.mark.parametrize(
    ("script", "instead", "expected"),
    [
        ("discard;", 'require ["fileinto", "mailbox"]; fileinto :create "Spam";', ["Spam"]),
        ("discard;", "", []),
        ("discard;", "keep;", ["INBOX"]),
        ("discard;", 'require "ihave"; error "x";', ["INBOX"]),
        ("discard;", "nonsense", []),
        ("discard; keep;", 'require ["fileinto", "mailbox"]; fileinto :create "Spam";', ["INBOX"]),
        ('redirect "lee@example.com";', "keep;", []),
        ('require "vacation"; vacation "away"; discard;', "keep;", ["INBOX"]),
    ],
)
async def test_the_discard_script(tmp_path: Path, script: str, instead: str, expected: list[str]) -> None:
    (tmp_path / "discard.sieve").write_text(instead)
    host = Host(tmp_path, discard=str(tmp_path / "discard.sieve"))
    host.script(script)
    assert (await host.deliver()).mailboxes == expected
    assert len(host.sent) == ("redirect" in script or "vacation" in script)


async def test_fields_that_scripts_may_not_touch(tmp_path: Path) -> None:
    host = Host(
        tmp_path,
        editheader_protected=("X-Both", "Subject"),
        editheader_forbid_add=("X-Add",),
        editheader_forbid_delete=("X-Delete",),
    )
    host.script(
        'require "editheader"; addheader "x-both" "1"; addheader "X-Add" "2"; addheader "X-Delete" "3"; deleteheader "X-Delete";'
        'deleteheader "to"; deleteheader "Subject"; deleteheader "X-Both";'
    )
    await host.deliver(b"X-Both: was\r\n" + MAIL)
    ((_, message),) = host.store.account(host.user).mailboxes[MailboxName("INBOX")].messages.items()
    names = [line.partition(b":")[0] for line in message.octets.partition(b"\r\n\r\n")[0].splitlines()]
    assert names == [b"X-Delete", b"X-Both", b"From", b"Message-ID"]


@pytest.mark.parametrize(
    ("chosen", "sender"), [("", ""), ("recipient", "kim@example.net"), ("<r@example.net>", "r@example.net")]
)
async def test_sender_of_notifications(tmp_path: Path, chosen: str, sender: str) -> None:
    host = Host(tmp_path, notify_mailto_envelope_from=chosen)
    host.script('require "enotify"; notify "mailto:lee@example.com";')
    await host.deliver()
    assert [envelope.sender for envelope, _ in host.sent] == [sender]


@pytest.mark.parametrize(
    ("chosen", "sender"), [("postmaster", "postmaster@example.net"), ("recipient", "kim@example.net")]
)
async def test_sender_of_reports(tmp_path: Path, chosen: str, sender: str) -> None:
    host = Host(tmp_path, report_from=chosen)
    host.script('require "vnd.dovecot.report"; report "abuse" "spam" "abuse@example.org";')
    await host.deliver()
    ((_, message),) = host.sent
    assert f"From: {sender}".encode() in message


async def test_where_users_are_told(tmp_path: Path) -> None:
    host = Host(tmp_path, user_log="~/log")
    host.script("keep")
    await host.deliver()
    assert "line 1" in (host.home / "log").read_text()
    host = Host(tmp_path / "second", user_log="")
    host.script("keep")
    await host.deliver()
    assert [path.name for path in host.home.iterdir()] == [".dovecot.sieve"]


async def test_administrators_have_a_language_of_their_own(tmp_path: Path) -> None:
    host = Host(tmp_path, before=(str(tmp_path / "before.sieve"),))
    users, all_of_it = registry_of("", implicit=("fileinto",)), registry_of("", also=("editheader",))
    owner = Filter(cast(Any, host.store), host.filter.config, users, host.queue, host.memory, all_of_it)
    host.delivery = Delivery(cast(Any, host.store), host.filter.config, owner.decide)
    (tmp_path / "before.sieve").write_text('require "editheader"; addheader "X-Before" "1";')
    host.script('require ["ihave", "mailbox"]; if ihave "editheader" { discard; } fileinto :create "Implicit";')
    assert (await host.deliver()).mailboxes == ["Implicit"]
    ((_, message),) = host.store.account(host.user).mailboxes[MailboxName("Implicit")].messages.items()
    assert message.octets.startswith(b"X-Before: 1\r\n")
    host.script('require "editheader"; discard;')
    os.utime(host.home / ".dovecot.sieve", (1, 1))
    assert (await host.deliver()).mailboxes == ["INBOX"]


def test_looks_at_messages_within_the_configured_limits(tmp_path: Path) -> None:
    settings = Config(mail=Mail(mime_max_depth=3, mime_max_parts=4, mime_max_parameters=5, mime_max_addresses=6))
    registry = default_registry()
    found = Filter(cast(Any, None), settings, registry, cast(Any, None), cast(Any, None)).mime_limits
    assert (found.max_depth, found.max_parts, found.max_parameters, found.max_addresses) == (3, 4, 5, 6)
    assert found.max_header_size == settings.mail.max_header


SUBJECTS: list[tuple[dict[str, Any], str, str, str]] = [
    # Settings, the mail's subject, the script's, the reply's.
    ({}, "Lunch?", "", "Auto: Lunch?"),
    ({}, "", "", "Automated reply"),
    ({}, "Lunch?", "Away", "Away"),
    ({"vacation_default_subject_template": "Re: %$ (away)"}, "Lunch?", "", "Re: Lunch? (away)"),
    ({"vacation_default_subject_template": "Away"}, "Lunch?", "", "Away"),
    ({"vacation_default_subject": "Gone fishing"}, "", "", "Gone fishing"),
    ({"vacation_default_subject": "Gone fishing"}, "Lunch?", "", "Auto: Lunch?"),
    ({"vacation_max_subject_codepoints": 9}, "Grüße aus Köln", "", "Auto: Grü"),
    ({"vacation_max_subject_codepoints": 9}, "Lunch?", "Away until Monday", "Away unti"),
]


@pytest.mark.parametrize(("settings", "asked", "given", "subject"), SUBJECTS)
async def test_subjects_of_replies(
    tmp_path: Path, settings: dict[str, Any], asked: str, given: str, subject: str
) -> None:
    host = Host(tmp_path, **settings)
    tag = f':subject "{given}" ' if given else ""
    host.script(f'require "vacation"; vacation {tag}"x";')
    mail = f"From: robin@example.org\r\nTo: kim@example.net\r\nSubject: {asked}\r\n\r\n".encode()
    await host.deliver(mail)
    ((_, reply),) = host.sent
    assert email.message_from_bytes(reply, policy=email.policy.default)["Subject"] == subject


@pytest.mark.parametrize(
    ("setting", "field", "runs"),
    [(True, None, True), (False, None, False), (True, "no", False), (True, "0", False), (False, "yes", True)],
)
async def test_scripts_can_be_off(tmp_path: Path, setting: bool, field: str | None, runs: bool) -> None:
    before = tmp_path / "before.sieve"
    before.write_text("keep;")
    host = Host(tmp_path, enabled=setting, before=(str(before),))
    host.script("discard;")
    if field is not None:
        host.user = dataclasses.replace(host.user, fields={"sieve_enabled": field})
    assert (await host.deliver()).mailboxes == ([] if runs else ["INBOX"])
    assert host.filter.scripts.owned("none", host.user) is None
