"""Scripts at IMAP events: what each action does to a message that lies in a mailbox [RFC6785 3], and what a script knows there."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, cast

import pytest

from mas.config.filters import ImapSieve
from mas.errors import StorageUnavailable
from mas.events.model import Cause, MailEvent
from mas.filtering.filter import Filter, flags_of
from mas.filtering.imap_events import ImapEvents
from mas.filtering.imap_rules import Rules
from mas.filtering.memory import Memory
from mas.outgoing.queue import Envelope as Outgoing
from mas.outgoing.queue import Queue
from mas.sieve.extensions import OPTIONAL, default_registry
from mas.storage.model import MailboxName, SaveOptions
from tests.protocols.lmtp.talk import config
from tests.support.memory_store import MemoryStore, user

MAIL = b"From: Robin <robin@example.org>\r\nTo: kim@example.net\r\nSubject: News\r\nMessage-ID: <1@example.org>\r\n\r\nHello\r\n"
ALL = (
    'require ["imapsieve", "environment", "imap4flags", "fileinto", "copy", "mailbox", "variables", "editheader", "enotify", "envelope",'
    ' "duplicate", "ihave", "include", "vnd.dovecot.pipe", "vnd.dovecot.imapsieve", "body"];'
)


class Host:
    """One user, one script before and one after, at events in Work."""

    def __init__(self, tmp_path: Path, **sieve: Any) -> None:
        self.tmp_path = tmp_path
        self.user = dataclasses.replace(user("kim@example.net"), home=tmp_path)
        self.store = MemoryStore()
        self.sent: list[tuple[Outgoing, bytes]] = []
        self.memory = Memory(tmp_path / "sieve.db")
        self.queue = Queue(tmp_path / "outgoing", self._send, self._given_up)
        settings = config(sieve={"default": "", "pipe_bin_dir": str(tmp_path), "program_timeout": "60s", **sieve})
        registry = default_registry(add=OPTIONAL)
        owner = Filter(cast(Any, self.store), settings, registry, self.queue, self.memory)
        rules = [ImapSieve(before=tmp_path / "before", after=tmp_path / "after", copy_source_after=tmp_path / "source")]
        self.events = ImapEvents(owner, Rules(rules))

    async def _send(self, envelope: Outgoing, message: bytes) -> None:
        self.sent.append((envelope, message))

    async def _given_up(self, envelope: Outgoing, message: bytes, why: str) -> None:
        raise AssertionError(why)

    async def run(
        self,
        before: str = "",
        after: str = "",
        *,
        source: str = "",
        flags: tuple[str, ...] = (),
        **event: Any,
    ) -> None:
        """Put a message into Work and into INBOX, and tell that it was copied."""
        for name, text in {"before": before, "after": after, "source": source}.items():
            (self.tmp_path / name).write_text(ALL + text)
        async with await self.store.open(self.user) as account:
            if not self.store.account(self.user).mailboxes.get(MailboxName("Work")):
                await account.create(MailboxName("Work"))
            saved = []
            for mailbox in ("INBOX", "Work"):
                async with self.store.incoming(self.user) as message:
                    await message.write(MAIL)
                    await message.finish()
                    options = SaveOptions(flags_of(flags), internal_date=7)
                    saved.append(await account.save(MailboxName(mailbox), [(message, options)]))
            values = {
                "source": "INBOX",
                "source_uids": tuple(saved[0].uids),
                "uid_validity": saved[1].uid_validity,
                "cause": Cause.COPY,
                **event,
            }
            told = MailEvent(self.user.name, uids=tuple(saved[1].uids), at=0.0, **{"mailbox": "Work", **values})
            wanted = await self.events.wants(account, told)
            assert wanted, "nobody wants it"
            await self.events.handle(self.user, told)
        await self.queue.close()

    def mail(self) -> dict[str, list[tuple[str, bytes]]]:
        """Mailbox -> flags and octets of its messages."""
        found = {}
        for name, box in self.store.account(self.user).mailboxes.items():
            flags = [box.names(bits) for bits in box.snapshot.flags]
            texts = [" ".join(sorted([*flag.keywords, *(["D"] if flag.system & 4 else [])])) for flag in flags]
            found[str(name)] = [
                (text, message.octets) for text, message in zip(texts, box.messages.values(), strict=True)
            ]
        return {name: messages for name, messages in found.items() if messages}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def flags(host: Host) -> dict[str, list[str]]:
    return {name: [text for text, _ in messages] for name, messages in host.mail().items()}


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("", {"Work": [""]}),
        ("keep;", {"Work": [""]}),
        ("stop;", {"Work": [""]}),
        ("discard;", {"Work": ["D"]}),
        ("discard; keep;", {"Work": [""]}),
        ('fileinto :create "A";', {"Work": ["D"], "A": [""]}),
        ('fileinto :copy :create "A";', {"Work": [""], "A": [""]}),
        ('fileinto :create "A"; keep;', {"Work": [""], "A": [""]}),
        ('fileinto :create :flags "x" "A";', {"Work": ["D"], "A": ["x"]}),
        ('fileinto :copy "Work";', {"Work": ["", ""]}),
        ('fileinto "Missing";', {"Work": [""]}),
        ('addflag "x";', {"Work": ["x"]}),
        ('addflag ["x", "\\\\Deleted"]; removeflag "x";', {"Work": ["D"]}),
        ('keep :flags "x";', {"Work": ["x"]}),
        ('addheader "X" "y";', {"Work": [""]}),
        ('if envelope "from" "x" { discard; }', {"Work": [""]}),
        ("vacation 1;", {"Work": [""]}),
        ('if ihave "reject" { reject "x"; } discard;', {"Work": [""]}),
        ('if body :contains "Hello" { addflag "x"; }', {"Work": ["x"]}),
        ('include :optional "nothing"; addflag "x";', {"Work": ["x"]}),
        ('error "stop";', {"Work": [""]}),
        ('pipe "none";', {"Work": [""]}),
        ('pipe "ok";', {"Work": ["D"]}),
        ('pipe :copy "ok";', {"Work": [""]}),
        ('pipe "bad";', {"Work": [""]}),
        ('pipe :try "bad";', {"Work": ["D"]}),
    ],
)
async def test_actions(host: Host, script: str, expected: dict[str, list[str]]) -> None:
    for name, text in {"ok": "exec cat >/dev/null", "bad": "exit 3"}.items():
        (host.tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (host.tmp_path / name).chmod(0o755)
    await host.run(script)
    assert flags(host) == {"INBOX": [""], **expected}


async def test_flags_of_the_message_are_those_the_script_begins_with(host: Host) -> None:
    await host.run('if hasflag "a" { addflag "b"; }', 'if hasflag "b" { removeflag "a"; }', flags=("a", "c"))
    assert flags(host) == {"INBOX": ["a c"], "Work": ["b c"]}


async def test_flags_of_a_flag_event_are_those_of_its_moment(host: Host) -> None:
    script = 'if allof (hasflag "a", environment :contains "imap.changedflags" "a") { addflag "b"; }'
    await host.run(script, cause=Cause.FLAG, source="", source_uids=(), flags=("c",), changed_flags=("a",))
    assert flags(host)["Work"] == ["c"]


async def test_a_copy_takes_the_flags_along_and_a_changed_message_its_date(host: Host) -> None:
    await host.run('fileinto :create "A"; addheader "X-Tag" "t"; fileinto :create "B";', flags=("a",))
    mail = host.mail()
    assert mail["A"] == [("a", MAIL)]
    assert mail["B"] == [("a", b"X-Tag: t\r\n" + MAIL)]
    assert mail["Work"] == [("D a", MAIL)]
    (message,) = host.store.account(host.user).mailboxes[MailboxName("B")].messages.values()
    assert message.internal_date == 7


async def test_redirect_is_from_the_user_and_once(host: Host) -> None:
    for _ in range(2):
        await host.run('redirect "lee@example.com";')
    ((envelope, message),) = host.sent
    assert (envelope.sender, envelope.recipients) == ("kim@example.net", ["lee@example.com"])
    assert message.endswith(MAIL)
    assert flags(host)["Work"] == ["D", ""]


async def test_notify_and_duplicate(host: Host) -> None:
    for _ in range(2):
        await host.run('if not duplicate { notify "mailto:lee@example.com"; }')
    assert len(host.sent) == 1


async def test_what_a_script_knows(host: Host) -> None:
    items = ("location", "phase", "imap.user", "imap.email", "imap.cause", "imap.mailbox", "imap.changedflags")
    dovecot = ("vnd.dovecot.mailbox-from", "vnd.dovecot.mailbox-to")
    script = "".join(
        f'if environment :matches "{item}" "*" {{ set "all" "${{all}}|${{1}}"; }}' for item in (*items, *dovecot)
    )
    await host.run(script + 'fileinto :create "${all}";')
    (name,) = set(flags(host)) - {"INBOX", "Work"}
    assert name == "|MS|post|kim@example.net|kim@example.net|COPY|Work||INBOX|Work"


async def test_the_source_of_a_copy_is_another_mailbox_by_now(host: Host) -> None:
    await host.run(source='addflag "copied";', source_uid_validity=1)
    assert flags(host) == {"INBOX": [""], "Work": [""]}


async def test_the_source_of_a_copy(host: Host) -> None:
    await host.run(source='addflag "copied";')
    assert flags(host) == {"INBOX": ["copied"], "Work": [""]}
    await host.run(source='addflag "moved";', source_uids=())
    assert flags(host)["INBOX"] == ["copied", ""]


async def test_the_second_script_runs_while_there_is_a_keep(host: Host) -> None:
    await host.run("discard;", 'addflag "x";')
    await host.run("keep;", 'addflag "x";')
    assert flags(host)["Work"] == ["D", "x"]


async def test_a_script_that_fails_does_not_undo_the_one_before(host: Host) -> None:
    await host.run('fileinto :copy :create "A";', 'addflag "x"; error "no";')
    assert flags(host) == {"INBOX": [""], "Work": [""], "A": [""]}


async def test_broken_and_missing_scripts_are_left_out(host: Host) -> None:
    await host.run("nonsense", 'addflag "x";')
    assert flags(host)["Work"] == ["x"]


async def test_messages_and_mailboxes_that_are_gone(host: Host) -> None:
    await host.run('addflag "x";', uid_validity=99)
    assert flags(host)["Work"] == [""]
    event = MailEvent(host.user.name, Cause.APPEND, "Nowhere", 1, (1,), 0.0)
    await host.events.handle(host.user, event)
    await host.events.handle(host.user, dataclasses.replace(event, mailbox="Work", uids=(77,)))


async def test_a_queue_that_cannot_be_written_is_tried_again(host: Host) -> None:
    (host.tmp_path / "outgoing").write_text("no folder")
    with pytest.raises(StorageUnavailable):
        await host.run('redirect "lee@example.com";')
    assert flags(host)["Work"] == [""]


async def test_what_is_discarded_may_be_expunged(tmp_path: Path) -> None:
    host = Host(tmp_path, imapsieve_expunge_discarded=True)
    await host.run("discard;")
    await host.run('fileinto :create "A";')
    assert flags(host) == {"INBOX": ["", ""], "Work": ["D"], "A": [""]}
