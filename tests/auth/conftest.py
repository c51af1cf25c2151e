"""Configurations and databases for the tests of accounts."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from mas.auth.service import Accounts, open_authenticator
from mas.config import loads
from tests.support import mariadb, postgres

BASE = """
protocols = ["lmtp"]
%s
[auth]
%s
[[passdb]]
url = %s
%s
[[userdb]]
%s
"""
STATIC = 'home = "/var/vmail/%d/%n"\nuid = "vmail"\n'


class Clock:
    """Time that passes in ``sleep`` only, which notes how long it was asked to be."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)


Opener = Callable[..., Accounts]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def accounts(clock: Clock) -> AsyncIterator[Opener]:
    """``accounts(url, auth="key = value", passdb=…, userdb=…, more=…, top=…)``: an authenticator that is closed at the end."""
    opened: list[Accounts] = []

    def make(
        url: str,
        *,
        auth: str = "",
        passdb: str = "",
        userdb: str = STATIC,
        more: str = "",
        top: str = "",
        tls: bool = False,
    ) -> Accounts:
        text = BASE % (top, auth, json.dumps(url), passdb, userdb) + more
        if tls:
            text += f'[tls]\nclient_ca = "{__file__}"\n'
        opened.append(open_authenticator(loads(text, Path("/test/mas.toml")), sleep=clock.sleep, clock=clock))
        return opened[-1]

    yield make
    for each in opened:
        await each.close()


@pytest.fixture
def sqlite(tmp_path: Path) -> Sqlite:
    return Sqlite(tmp_path / "accounts.db")


class Sqlite:
    """A database file with the interface of the servers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"sqlite+aiosqlite:///{path}"
        sqlite3.connect(path).close()

    def execute(self, *statements: str) -> list[tuple[object, ...]]:
        connection = sqlite3.connect(self.path)
        try:
            rows: list[tuple[object, ...]] = []
            for statement in statements:
                rows = connection.execute(statement).fetchall()
            connection.commit()
            return rows
        finally:
            connection.close()


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[mariadb.MariaDb]:
    with mariadb.MariaDb() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Postgres]:
    with postgres.Postgres() as server:
        yield server
