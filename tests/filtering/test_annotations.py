"""Scripts that ask for annotations [RFC5490]. The answers are those of Pigeonhole 0.5.19 on the same values, but for a mailbox that is not
there: a test of it is false here, and an error of the script there."""

from __future__ import annotations

from pathlib import Path

import pytest

from mas.config.mailstore import Metadata
from mas.errors import StorageUnavailable
from mas.storage.model import INBOX, MailboxName
from tests.filtering.test_filter import Host

COMMENT = '"INBOX" "/private/comment"'


@pytest.fixture
async def host(tmp_path: Path) -> Host:
    host = Host(tmp_path)
    host.store.metadata = Metadata(server_comment="Hello there")
    account = await host.store.open(host.user)
    await account.set_metadata(INBOX, {"/private/comment": b"MiNe", "/private/octets": b"\xff"})
    await account.set_metadata(MailboxName(""), {"/private/x": b"srv", "/shared/y": b""})
    await account.create(MailboxName("Sent"), ["\\Sent"])
    return host


@pytest.mark.parametrize(
    ("test", "true"),
    [
        (f'metadata {COMMENT} "mine"', True),
        (f'metadata :comparator "i;octet" {COMMENT} "mine"', False),
        ('metadata "INBOX" "/PRIVATE/Comment" ["x", "mine"]', True),
        (f'metadata :matches {COMMENT} "m?n*"', True),
        ('metadata "inbox" "/private/comment" "mine"', True),
        ('metadata :contains "INBOX" "/private/none" ""', False),
        ('metadata :contains "INBOX" "/private/octets" ""', True),
        ('metadata "INBOX" "/bad//name" "x"', False),
        ('metadata "nosuch" "/private/comment" "mine"', False),
        ('metadata "" "/private/x" "srv"', False),
        ('metadata "Sent" "/private/specialuse" "\\\\Sent"', True),
        (f"metadataexists {COMMENT}", True),
        ('metadataexists "INBOX" ["/private/comment", "/private/none"]', False),
        ('metadataexists "nosuch" "/private/comment"', False),
        ('servermetadata "/private/x" "srv"', True),
        ('servermetadata "/shared/y" ""', True),
        ('servermetadata :contains "/shared/comment" "Hello"', True),
        ('servermetadataexists ["/private/x", "/shared/y"]', True),
        ('servermetadataexists ["/private/x", "/shared/z"]', False),
    ],
)
async def test_answers(host: Host, test: str, true: bool) -> None:
    host.script(f'require ["mboxmetadata", "servermetadata"]; if {test} {{ discard; }}')
    await host.deliver()
    assert host.counts() == ({} if true else {"INBOX": 1})


async def test_a_store_that_fails_is_no_answer(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The delivery is tried again [RFC5490 5]."""

    async def fail(name: MailboxName) -> None:
        raise StorageUnavailable("disk")

    monkeypatch.setattr(host.store.account(host.user), "metadata", fail)
    host.script(f'require "mboxmetadata"; if metadata {COMMENT} "mine" {{ discard; }}')
    assert isinstance((await host.deliver()).error, StorageUnavailable)
    assert host.counts() == {}
