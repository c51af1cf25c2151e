"""A file system that is really full: refused as DiskFull with nothing left behind, and deleting still works."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from mas.errors import DiskFull
from mas.storage import maintenance
from mas.storage.model import DELETED, INBOX, SEEN, Flags, MailboxName, StoreOp
from mas.storage.selection import MaildirSelection
from mas.storage.store import MaildirStore
from mas.user import User
from tests.storage.conftest import config
from tests.storage.test_account import contents, put

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(os.getuid() != 0, reason="mounts a tmpfs: needs root")]
MESSAGE = b"Subject: big\r\n\r\n" + b"x" * 70 + b"\r\n"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "small"
    path.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(path)], check=False)
    if mounted.returncode:
        pytest.skip("tmpfs cannot be mounted here")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


def fill(directory: Path) -> Path:
    """A file that takes all room that is left."""
    ballast = directory / "ballast"
    descriptor = os.open(ballast, os.O_WRONLY | os.O_CREAT)
    with contextlib.suppress(OSError):
        while os.write(descriptor, b"\0" * 4096):
            pass
    os.close(descriptor)
    return ballast


Operation = Callable[[MaildirStore, MaildirSelection], Awaitable[object]]
OPERATIONS: dict[str, Operation] = {
    "append": lambda store, selection: put(
        store, selection._account, octets=[MESSAGE + b"y" * 50_000], flags=Flags(DELETED)
    ),
    "copy": lambda store, selection: selection.copy(list(selection.snapshot.uids), MailboxName("More")),
    "move": lambda store, selection: selection.move(list(selection.snapshot.uids), MailboxName("More")),
    "rebuild": lambda store, selection: maintenance.rebuild(selection._account),
}


@pytest.mark.parametrize("name", OPERATIONS)
async def test_what_finds_no_room_leaves_all_as_it_was(small: Path, tmp_path: Path, name: str) -> None:
    user = User("kim", small, f"maildir:{small}/Maildir")
    store = MaildirStore(config(tmp_path))
    account = await store.open(user)
    await put(store, account, octets=[MESSAGE] * 600)
    await account.create(MailboxName("More"))
    await store.close()
    # Opened anew: the write-ahead log is short, and has to grow.
    store = MaildirStore(config(tmp_path))
    account = await store.open(user)
    selection = await account.select(INBOX)
    await selection.store([2], StoreOp.ADD, Flags(SEEN, frozenset({"Work"})))
    before = list(selection.snapshot.uids), list(selection.snapshot.flags)
    ballast = fill(small)
    for _ in range(2):
        with pytest.raises(DiskFull):
            await OPERATIONS[name](store, selection)
    # The session goes on, and so does another one.
    assert (list(selection.snapshot.uids), list(selection.snapshot.flags)) == before
    assert (await contents(selection))[2] == MESSAGE
    other = await account.select(MailboxName("More"))
    assert list(other.snapshot.uids) == []
    await other.close()
    ballast.unlink()
    await OPERATIONS[name](store, selection)
    (inbox, more) = await account.status([INBOX, MailboxName("More")])
    assert inbox is not None
    assert more is not None
    assert (inbox.messages, more.messages) == {
        "append": (601, 0),
        "copy": (600, 600),
        "move": (0, 600),
        "rebuild": (600, 0),
    }[name]
    kept = await account.select(MailboxName("More" if name == "move" else "INBOX"))
    assert kept.snapshot.flags[1] == SEEN | 1 << (5 + kept.snapshot.keywords.index("Work"))
    await kept.close()
    assert await maintenance.check(account) == []
    await store.close()


async def test_full_disk(small: Path, tmp_path: Path) -> None:
    store = MaildirStore(config(tmp_path))
    user = User("kim", small, f"maildir:{small}/Maildir")
    account = await store.open(user)
    await put(store, account, octets=[MESSAGE] * 5)
    selection = await account.select(INBOX)
    ballast = fill(small)
    with pytest.raises(DiskFull):
        await put(store, account, octets=[MESSAGE + b"y" * 50_000])
    uids = list(selection.snapshot.uids)
    assert uids[:5] == [1, 2, 3, 4, 5]
    assert not [path for path in (small / "Maildir/tmp").iterdir() if not path.name.startswith("mas-dotlock")]
    with pytest.raises(DiskFull):
        await account.create(MailboxName("More"))
    # Reading and deleting work on.
    assert (await contents(selection))[1] == MESSAGE
    selection.take_changes()
    await selection.store(uids, StoreOp.ADD, Flags(DELETED))
    selection.take_changes()
    assert await selection.expunge() == uids
    ballast.unlink()
    await account.create(MailboxName("More"))
    await put(store, account)
    assert await maintenance.check(account) == []
    await store.close()
