"""A store on a temporary directory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from mas.config import Config
from mas.config.load import loads
from mas.storage.store import MaildirStore
from mas.user import User

CONFIG = """
hostname = "mail.example.net"
state_dir = "{state}"
protocols = ["lmtp"]
{more}
[[passdb]]
url = "sqlite+aiosqlite:///x.db"
[[userdb]]
driver = "static"
home = "/nonexistent"
"""


def config(directory: Path, more: str = "") -> Config:
    """The defaults, without the five special mailboxes unless ``more`` asks for some."""
    text = CONFIG.format(state=directory / "state", more=more or "mailbox = []")
    return loads(text, directory / "mas.toml")


@pytest.fixture
def user(tmp_path: Path) -> User:
    return User("kim@example.net", tmp_path / "kim", f"maildir:{tmp_path}/kim/Maildir")


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[Callable[..., MaildirStore]]:
    """Makes stores; each stands for a process of its own."""
    made: list[MaildirStore] = []

    def make(more: str = "") -> MaildirStore:
        made.append(MaildirStore(config(tmp_path, more)))
        return made[-1]

    yield make
    for store in made:
        if not store.closing:
            await store.close()


@pytest.fixture
def store(stores: Callable[..., MaildirStore]) -> MaildirStore:
    return stores()
