"""A file system that is really full: refused as DiskFull with nothing left behind, and deleting still works."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mas.errors import DiskFull
from mas.storage import maintenance
from mas.storage.model import DELETED, INBOX, Flags, MailboxName, StoreOp
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
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(path)], check=False)
    if mounted.returncode:
        pytest.skip("tmpfs cannot be mounted here")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


async def test_full_disk(small: Path, tmp_path: Path) -> None:
    store = MaildirStore(config(tmp_path))
    user = User("kim", small, f"maildir:{small}/Maildir")
    account = await store.open(user)
    await put(store, account, octets=[MESSAGE] * 5)
    selection = await account.select(INBOX)
    ballast = small / "ballast"
    descriptor = os.open(ballast, os.O_WRONLY | os.O_CREAT)
    with contextlib.suppress(OSError):
        while os.write(descriptor, b"\0" * 4096):
            pass
    os.close(descriptor)
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
