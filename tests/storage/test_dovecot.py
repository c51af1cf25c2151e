"""A Maildir goes from Dovecot to MAS and back: the same uids, flags, keywords, subscriptions, dates. Needs Debian's doveadm, as root."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mas.storage import verify as verifying
from mas.storage.model import DELETED, FLAGGED, INBOX, SEEN, Column, Flags, MailboxName, StoreOp
from mas.storage.store import MaildirStore
from mas.user import User
from tests.storage.conftest import config
from tests.storage.test_account import contents, put
from tests.support.dovecot_version import configuration, dovecot_version, is_24
from tests.support.servers import need

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(os.getuid() != 0, reason="needs root"),
]
NOBODY = 65534
CONFIG = """
base_dir = {home}/run
state_dir = {home}/run
log_path = /dev/stderr
ssl = no
mail_uid = nobody
mail_gid = nogroup
first_valid_uid = 1
first_valid_gid = 1
stats_writer_socket_path =
namespace inbox {{
  inbox = yes
}}
"""
SETTINGS = {
    "INBOX": "mail_inbox_path",
    "CONTROL": "mail_control_path",
    "INDEX": "mail_index_path",
    "VOLATILEDIR": "mail_volatile_path",
    "LAYOUT": "mailbox_list_layout",
    "DIRNAME": "mailbox_directory_name",
}
"""What 2.4 calls the options of a mail location."""
MESSAGE = "Subject: {n}\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n\r\nMessage {n}\r\n"


class Dovecot:
    """doveadm on one Maildir, without any server."""

    def __init__(self, home: Path, options: str = "") -> None:
        need("doveadm")
        self.home = home
        self.location = f"maildir:{home}/Maildir" + options.format(home=home)
        self.separator = "/" if "LAYOUT=fs" in options else "."
        self.config = home / "dovecot.conf"
        if is_24() and options.endswith(":CONTROL={home}/Maildir"):
            pytest.skip("Dovecot 2.4 has INBOX's uid list in .INBOX then; mas import-dovecot leaves such a place out")
        if "DIRNAME=" in options and "CONTROL=" in options and dovecot_version() > (2, 4, 1):
            pytest.skip("Dovecot 2.4.5 has the lists elsewhere than 2.4.1; mas import-dovecot leaves such a place out")
        common = CONFIG.format(home=home)
        self.config.write_text(
            configuration(f"{common}mail_location = {self.location}\n", common + self._location_of_24())
        )

    def _location_of_24(self) -> str:
        lines = ["mail_driver = maildir"]
        for option in self.location.removeprefix("maildir:").split(":"):
            name, given, value = option.partition("=")
            lines.append(f"{SETTINGS[name]} = {value}" if given else f"mail_path = {option}")
        if ":DIRNAME=" in self.location and ":INBOX=" not in self.location:
            # By itself it delivers to the Maildir's own new/ and then finds no INBOX: who comes from 2.3 has to say where it is.
            lines.append(f"mail_inbox_path = {self.home}/Maildir/INBOX/mAildir")
        return "".join(f"{line}\n" for line in lines)

    def compress(self, method: str) -> None:
        """What is saved from now on is compressed."""
        with self.config.open("a") as config:
            if is_24():
                config.write(f"mail_plugins {{\n  mail_compress = yes\n}}\nmail_compress_write_method = {method}\n")
            else:
                config.write(f"mail_plugins = zlib\nplugin {{\n  zlib_save = {method}\n}}\n")

    def __call__(self, *words: str, given: str = "") -> list[str]:
        for path in [self.home, *self.home.rglob("*")]:
            os.chown(path, NOBODY, NOBODY)
        command = 2 if words[0] in ("mailbox", "flags") else 1
        alone = ["--no-userdb-lookup"] if is_24() else []
        done = subprocess.run(
            ["doveadm", "-f", "tab", "-c", str(self.config), *words[:command], *alone, *words[command:]],
            input=given.encode(),
            capture_output=True,
            timeout=30,
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            env={"USER": "kim", "HOME": str(self.home), "PATH": os.environ["PATH"]},
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().splitlines()

    def messages(self, mailbox: str) -> dict[int, tuple[set[str], str, str]]:
        """uid to flags, received date, subject."""
        found = {}
        for line in self("fetch", "uid flags date.received.unixtime hdr.subject", "mailbox", mailbox, "all")[1:]:
            uid, flags, date, subject = line.split("\t")
            found[int(uid)] = (set(flags.split()) - {"\\Recent"}, date, subject)
        return found

    def status(self) -> dict[str, tuple[str, ...]]:
        lines = self("mailbox", "status", "messages uidnext uidvalidity guid", "*")[1:]
        return {line.split("\t")[0]: tuple(line.split("\t")[1:]) for line in lines}


@pytest.fixture
def dovecot(request: pytest.FixtureRequest) -> Iterator[Dovecot]:
    home = Path(tempfile.mkdtemp())
    home.chmod(0o755)
    yield Dovecot(home, getattr(request, "param", ""))
    shutil.rmtree(home)


def user(dovecot: Dovecot) -> User:
    return User("kim", dovecot.home, dovecot.location)


def store_of(dovecot: Dovecot) -> MaildirStore:
    return MaildirStore(config(dovecot.home, f'mailbox = []\n[mail]\nseparator = "{dovecot.separator}"'))


@pytest.mark.parametrize(
    "dovecot",
    [
        "",
        ":INBOX={home}/inbox",
        ":INBOX={home}/Maildir/.INBOX",
        ":CONTROL={home}/control:INDEX={home}/index",
        ":INBOX={home}/inbox:CONTROL={home}/control:VOLATILEDIR={home}/volatile",
        ":LAYOUT=fs",
        ":LAYOUT=fs:DIRNAME=mAildir",
        ":LAYOUT=fs:INBOX={home}/Maildir/INBOX:CONTROL={home}/control:INDEX={home}/index",
        ":LAYOUT=fs:DIRNAME=mAildir:CONTROL={home}/control",
        ":INBOX={home}/inbox:CONTROL={home}/Maildir",
    ],
    indirect=True,
)
def test_dovecot_to_mas_and_back(dovecot: Dovecot) -> None:
    archive, largest = MailboxName(f"Archive{dovecot.separator}2024"), MailboxName(f"New{dovecot.separator}Größe")
    for number in range(1, 6):
        dovecot("save", "-m", "INBOX", given=MESSAGE.format(n=number))
    dovecot("mailbox", "create", "-s", archive)
    dovecot("mailbox", "create", "Entwürfe")
    for number in range(6, 9):
        dovecot("save", "-m", archive, given=MESSAGE.format(n=number))
    dovecot("flags", "add", "\\Seen $Junk", "mailbox", "INBOX", "1:3")
    dovecot("flags", "add", "\\Flagged Work", "mailbox", "INBOX", "3")
    dovecot("expunge", "mailbox", "INBOX", "2")
    before, status = dovecot.messages("INBOX"), dovecot.status()

    async def visit() -> None:
        store = store_of(dovecot)
        account = await store.open(user(dovecot))
        assert {info.name: info.subscribed for info in await account.list()} == {
            "INBOX": False,
            "Archive": False,
            archive: True,
            "Entwürfe": False,
        }
        for name, (messages, uid_next, validity, guid) in status.items():
            (seen,) = await account.status([MailboxName(name)])
            assert seen is not None
            assert (str(seen.uid_validity), str(seen.uid_next), str(seen.messages), seen.mailbox_id) == (
                validity,
                uid_next,
                messages,
                guid,
            )
        selection = await account.select(INBOX)
        assert list(selection.snapshot.uids) == [1, 3, 4, 5] == list(before)
        names = selection.snapshot.keywords
        junk, work = (1 << (5 + names.index(name)) for name in ("$Junk", "Work"))
        assert list(selection.snapshot.flags) == [SEEN | junk, SEEN | junk | FLAGGED | work, 0, 0]
        rows = [row async for batch in selection.fetch([1, 3, 4, 5], [Column.INTERNAL_DATE]) for row in batch]
        assert {row[0]: str(row[1]) for row in rows} == {uid: date for uid, (_, date, _) in before.items()}
        assert (await contents(selection))[5] == MESSAGE.format(n=5).encode()
        # Now ours: flags, a keyword of our own, a copy, a move, an expunge, new mail, a new mailbox, subscriptions.
        await selection.store([4], StoreOp.ADD, Flags(SEEN, frozenset({"Mine"})))
        await selection.store([1], StoreOp.REMOVE, Flags(0, frozenset({"$Junk"})))
        await selection.copy([3], archive)
        await account.create(largest)
        await selection.move([5], largest)
        assert await put(store, account, octets=[MESSAGE.format(n=9).encode()], delivery=True) == [6]
        await account.subscribe(largest)
        await account.unsubscribe(archive)
        await account.rename(MailboxName("Entwürfe"), MailboxName("Drafts"))
        await selection.close()
        assert await account.write(lambda: verifying.verify(account.engine)) == []
        await store.close()

    asyncio.run(visit())
    after = dovecot.messages("INBOX")
    assert {uid: flags for uid, (flags, _, _) in after.items()} == {
        1: {"\\Seen"},
        3: {"\\Seen", "\\Flagged", "$Junk", "Work"},
        4: {"\\Seen", "Mine"},
        6: set(),
    }
    for uid in (1, 3, 4):
        assert after[uid][1:] == before[uid][1:]
    assert {uid: flags for uid, (flags, _, _) in dovecot.messages(archive).items()} == {
        1: set(),
        2: set(),
        3: set(),
        4: {"\\Seen", "\\Flagged", "$Junk", "Work"},
    }
    again = dovecot.status()
    assert again["Drafts"] == status["Entwürfe"]
    assert again["INBOX"][2:] == status["INBOX"][2:]
    assert again["INBOX"][1] == "7"
    assert again[largest][:2] == ("1", "2")
    assert dovecot("mailbox", "list", "-s")[1:] == [largest]

    # And Dovecot works on, then we again.
    dovecot("flags", "remove", "\\Seen", "mailbox", "INBOX", "uid", "4")
    dovecot("flags", "add", "Fresh", "mailbox", "INBOX", "uid", "6")
    dovecot("save", "-m", "INBOX", given=MESSAGE.format(n=10))
    dovecot("expunge", "mailbox", "INBOX", "uid", "1")
    last = dovecot.messages("INBOX")

    async def revisit() -> None:
        store = store_of(dovecot)
        account = await store.open(user(dovecot))
        selection = await account.select(INBOX)
        names = selection.snapshot.keywords
        found = {
            uid: {
                name for name, bit in (("\\Seen", SEEN), ("\\Flagged", FLAGGED), ("\\Deleted", DELETED)) if flags & bit
            }
            | {name for number, name in enumerate(names) if flags >> (5 + number) & 1}
            for uid, flags in zip(selection.snapshot.uids, selection.snapshot.flags, strict=True)
        }
        assert found == {uid: flags for uid, (flags, _, _) in last.items()}
        assert sorted(found) == [3, 4, 6, 7]
        assert await account.write(lambda: verifying.verify(account.engine)) == []
        await store.close()

    asyncio.run(revisit())


@pytest.mark.parametrize("method", ["gz", "bz2", "lz4", "zstd"])
def test_compressed_by_dovecot(dovecot: Dovecot, method: str) -> None:
    """What the zlib plugin compressed is served as it was; what MAS does with it Dovecot understands."""
    dovecot.compress(method)
    texts = {1: MESSAGE.format(n=1) + "words\r\n" * 500, 2: MESSAGE.format(n=2) + "more words\r\n" * 40_000}
    for text in texts.values():
        dovecot("save", "-m", "INBOX", given=text)
    stored = [path.stat().st_size for path in sorted((dovecot.home / "Maildir/new").iterdir())]
    assert sum(stored) < 100_000, "compressed"

    async def visit() -> None:
        store = MaildirStore(config(dovecot.home))
        account = await store.open(user(dovecot))
        selection = await account.select(INBOX)
        assert {uid: octets.decode() for uid, octets in (await contents(selection)).items()} == texts
        rows = [row async for batch in selection.fetch([1, 2], [Column.SIZE]) for row in batch]
        assert {row[0]: row[1] for row in rows} == {uid: len(text) for uid, text in texts.items()}
        await account.create(MailboxName("Copies"))
        await selection.store([1], StoreOp.ADD, Flags(SEEN))
        await selection.copy([1, 2], MailboxName("Copies"))
        await selection.close()
        assert await account.write(lambda: verifying.verify(account.engine)) == []
        await store.close()

    asyncio.run(visit())
    for name in ("INBOX", "Copies"):
        assert {uid: flags for uid, (flags, _, _) in dovecot.messages(name).items()} == {1: {"\\Seen"}, 2: set()}
        lines = dovecot("fetch", "size.virtual size.physical", "mailbox", name, "all")[1:]
        plain = [len(text.replace("\r\n", "\n")) for text in texts.values()]
        assert [line.split("\t")[0] for line in lines] == [str(len(text)) for text in texts.values()]
        assert [int(line.split("\t")[1]) for line in lines] in (plain, [len(text) for text in texts.values()])
