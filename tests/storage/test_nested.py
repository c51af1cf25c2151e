"""``LAYOUT=fs``: mailboxes in each other's directories, with other programs at work on them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mas.errors import (
    DiskFull,
    InvalidMailboxName,
    MailboxExists,
    MailboxHasChildren,
    MailboxNotFound,
    MailboxNotSelectable,
)
from mas.storage import disk, maintenance
from mas.storage.account import MaildirAccount
from mas.storage.layout import Nested
from mas.storage.location import Location
from mas.storage.model import INBOX, MailboxName
from mas.storage.nested import NestedDirectories
from mas.storage.store import MaildirStore
from mas.user import User
from tests.storage.test_account import MESSAGE, contents, put

SETTINGS = 'mailbox = []\n[mail]\nseparator = "/"'
OPTIONS = [
    ":LAYOUT=fs",
    ":LAYOUT=fs:DIRNAME=mAildir",
    ":LAYOUT=fs:CONTROL={home}/control:INBOX={home}/Maildir/INBOX",
    ":LAYOUT=fs:DIRNAME=mAildir:CONTROL={home}/control:INDEX={home}/Maildir/index",
]


@pytest.fixture(params=OPTIONS)
def kim(request: pytest.FixtureRequest, tmp_path: Path) -> User:
    options = request.param.format(home=tmp_path)
    return User("kim@example.net", tmp_path / "kim", f"maildir:{tmp_path}/kim/Maildir{options}")


@pytest.fixture
def account_of(stores: Callable[..., MaildirStore]) -> Callable[[], MaildirStore]:
    return lambda: stores(SETTINGS)


def box(name: str) -> MailboxName:
    return MailboxName(name)


async def listing(account: MaildirAccount) -> dict[str, tuple[bool, bool]]:
    """Name to (selectable, has children)."""
    return {info.name: (info.selectable, info.has_children) for info in await account.list()}


def maildir(user: User, name: str = "") -> Path:
    """Where another program would put the mailbox's messages."""
    root = user.home / "Maildir"
    named = [part[8:] for part in user.location.split(":") if part.startswith("DIRNAME=")]
    return root.joinpath(name, *named)


async def test_levels_appear_and_go_with_their_mailboxes(account_of: Callable[[], MaildirStore], kim: User) -> None:
    store = account_of()
    account = await store.open(kim)
    await account.create(box("a/b/c"))
    assert await listing(account) == {
        "INBOX": (True, False),
        "a": (False, True),
        "a/b": (False, True),
        "a/b/c": (True, False),
    }
    with pytest.raises(MailboxNotSelectable):
        await account.select(box("a"))
    with pytest.raises(MailboxHasChildren):
        await account.delete(box("a"))
    with pytest.raises(InvalidMailboxName):
        await account.create(box("~a"))
    await account.create(box("a"))
    with pytest.raises(MailboxExists):
        await account.create(box("a"))
    assert await put(store, account, "a", [MESSAGE]) == [1]
    assert await put(store, account, "a/b/c", [MESSAGE, MESSAGE]) == [1, 2]
    await account.delete(box("a"))
    assert await listing(account) == {
        "INBOX": (True, False),
        "a": (False, True),
        "a/b": (False, True),
        "a/b/c": (True, False),
    }
    assert sorted(await contents(await account.select(box("a/b/c")))) == [1, 2]
    await account.delete(box("a/b/c"))
    assert await listing(account) == {"INBOX": (True, False)}
    assert not (kim.home / "Maildir/a").exists()
    assert not list(kim.home.parent.rglob("..mas-deleted*"))
    # What is made again with the name is another mailbox, without a message.
    await account.create(box("a"))
    (status,) = await account.status([box("a")])
    assert status is not None
    assert (status.messages, status.uid_next) == (0, 1)
    assert await maintenance.check(account) == []


async def test_a_tree_is_renamed_at_once(account_of: Callable[[], MaildirStore], kim: User) -> None:
    store = account_of()
    account = await store.open(kim)
    for name in ("a", "a/b", "other/x"):
        await account.create(box(name))
    await put(store, account, "a", [MESSAGE])
    await put(store, account, "a/b", [MESSAGE, MESSAGE])
    selection = await account.select(box("a/b"))
    before = list(await account.status([box("a"), box("a/b")]))
    with pytest.raises(MailboxExists):
        await account.rename(box("a"), box("other"))
    with pytest.raises(InvalidMailboxName):
        await account.rename(box("a"), box("a/b/c"))
    with pytest.raises(MailboxNotFound):
        await account.rename(box("nothing"), box("x"))
    await account.rename(box("a"), box("z/y"))
    assert await listing(account) == {
        "INBOX": (True, False),
        "other": (False, True),
        "other/x": (True, False),
        "z": (False, True),
        "z/y": (True, True),
        "z/y/b": (True, False),
    }
    assert list(await account.status([box("z/y"), box("z/y/b")])) == before
    # An open mailbox goes on, with what comes into its new place.
    assert sorted(await contents(selection)) == [1, 2]
    assert await put(store, account, "z/y/b", [MESSAGE]) == [3]
    # A level alone, and back to where the old one lay.
    await account.rename(box("z"), box("a"))
    await account.rename(box("other"), box("a/other"))
    assert {name for name, (there, _) in (await listing(account)).items() if there} == {
        "INBOX",
        "a/y",
        "a/y/b",
        "a/other/x",
    }
    assert not (kim.home / "Maildir/z").exists()
    assert not (kim.home / "Maildir/other").exists()
    await account.rename(INBOX, box("old/inbox"))
    assert await maintenance.check(account) == []
    await store.close()
    again = await account_of().open(kim)
    assert sorted(await contents(await again.select(box("a/y/b")))) == [1, 2, 3]


async def test_what_other_programs_make_and_move(account_of: Callable[[], MaildirStore], kim: User) -> None:
    store = account_of()
    account = await store.open(kim)
    for part in ("cur", "new", "tmp"):
        (maildir(kim, "late/er") / part).mkdir(parents=True)
    (maildir(kim, "late/er") / "new/1.a.host").write_bytes(MESSAGE)
    (kim.home / "Maildir/late/nothing").mkdir()
    (kim.home / "Maildir/late/loop").symlink_to(kim.home / "Maildir")
    (kim.home / "Maildir/caf\udce9").mkdir()
    assert await listing(account) == {"INBOX": (True, False), "late": (False, True), "late/er": (True, False)}
    (first,) = await account.status([box("late/er")])
    assert first is not None
    assert first.messages == 1
    # Moved by hand: known by its uid list, which lies with the mail unless CONTROL= says otherwise.
    os.rename(kim.home / "Maildir/late", kim.home / "Maildir/later")
    control = kim.home.parent / "control"
    if control.exists():
        os.rename(control / "late", control / "later")
    assert "later/er" in await listing(account)
    assert [*await account.status([box("later/er")])] == [first]
    assert await account.status([box("late/er")]) == [None]
    # A level becomes a mailbox, and is one no more.
    for part in ("new", "tmp", "cur"):
        (maildir(kim, "later") / part).mkdir(parents=True)
    assert (await listing(account))["later"] == (True, True)
    for part in ("cur", "new", "tmp"):
        (maildir(kim, "later") / part).rmdir()
    if maildir(kim, "later") != kim.home / "Maildir/later":
        maildir(kim, "later").rename(maildir(kim, "later").with_name("aside"))
    assert (await listing(account))["later"] == (False, True)
    await maintenance.rebuild(account)
    assert await maintenance.check(account) == []
    (again,) = await account.status([box("later/er")])
    assert again is not None
    assert (again.mailbox_id, again.uid_validity, again.uid_next) == (
        first.mailbox_id,
        first.uid_validity,
        first.uid_next,
    )


async def test_subscriptions_and_quota(account_of: Callable[[], MaildirStore], kim: User) -> None:
    account = await account_of().open(kim)
    for name in ("d.ot/e.f", "INBOX/sub", "gone/x"):
        await account.subscribe(box(name))
    await account.create(box("d.ot/e.f"))
    await account.create(box("inbox/sub"))
    assert await account.subscriptions() == ["d.ot/e.f", "INBOX/sub", "gone/x"]
    found = {info.name: info.subscribed for info in await account.list()}
    assert found == {"INBOX": False, "INBOX/sub": True, "d.ot": False, "d.ot/e.f": True}
    assert (await listing(account))["INBOX"] == (True, True)
    await put(account.store, account, "d.ot/e.f", [MESSAGE])
    for quota in await account.quota(box("d.ot/e.f")):
        assert (quota.storage, quota.messages) == (len(MESSAGE), 1)
    await account.delete(box("d.ot/e.f"))
    for quota in await account.quota():
        assert (quota.storage, quota.messages) == (0, 0)


async def test_a_disk_that_refuses_a_rename_leaves_the_account_usable(
    account_of: Callable[[], MaildirStore], kim: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = account_of()
    account = await store.open(kim)
    await account.create(box("a/b"))
    await put(store, account, "a/b", [MESSAGE])
    real = disk.rename

    def refuse(old: str, new: str) -> None:
        if new.endswith("/x"):
            raise OSError(28, "No space left on device", new)
        real(old, new)

    monkeypatch.setattr(disk, "rename", refuse)
    with pytest.raises(DiskFull):
        await account.rename(box("a"), box("x"))
    assert sorted(await contents(await account.select(box("a/b")))) == [1]
    monkeypatch.setattr(disk, "rename", real)
    await account.rename(box("a"), box("x"))
    assert sorted(await contents(await account.select(box("x/b")))) == [1]
    assert await maintenance.check(account) == []


# The directories alone


def nested_in(root: Path, dirname: str = "") -> NestedDirectories:
    return NestedDirectories(Location(str(root), str(root), nested=True, dirname=dirname), Nested("/", dirname))


def test_only_changed_directories_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a/cur", "a/b/cur", "c/d/cur", "c/new"):
        (tmp_path / name).mkdir(parents=True)
    for path in [tmp_path, *tmp_path.rglob("*")]:
        os.utime(path, (1, 1))
    there = nested_in(tmp_path)
    assert there.mailboxes() == {"a", "a/b", "c/d"}
    read: list[str] = []
    real = os.scandir

    def noted(path: str) -> object:
        read.append(os.path.relpath(path, tmp_path))
        return real(path)

    monkeypatch.setattr("mas.storage.nested.os.scandir", noted)
    assert there.mailboxes() == {"a", "a/b", "c/d"}
    assert read == []
    (tmp_path / "c/cur").mkdir()
    assert there.mailboxes() == {"a", "a/b", "c", "c/d"}
    assert read == ["c"]
    # Young: a change that the time might not show is looked for.
    assert there.mailboxes() == {"a", "a/b", "c", "c/d"}
    assert read[:2] == ["c", "c"]


def test_links_and_strangers(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name in ("a/cur", "tmp/..mas-deleted.1/cur", "tmp/x/cur"):
        (root / name).mkdir(parents=True)
    (tmp_path / "outside/cur").mkdir(parents=True)
    (root / "linked").symlink_to(tmp_path / "outside")
    (root / "a/up").symlink_to(root)
    (root / "a/again").symlink_to(root / "a")
    (root / "file").write_text("")
    (root / "f").mkdir()
    (root / "f/cur").write_text("")
    assert nested_in(root).mailboxes() == {"a", "linked"}
    assert nested_in(root, "x").mailboxes() == {"tmp/x"}
