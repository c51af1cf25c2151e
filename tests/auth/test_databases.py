"""Accounts on real MariaDB and PostgreSQL servers (and SQLite): every scheme, hostile names, servers that die, hang and come back."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Protocol

import pytest

from mas.auth.database import Database
from mas.auth.interface import Attempt
from mas.auth.schema import AccountTable
from mas.auth.schemes import SCHEMES, generate
from mas.errors import AuthFailed, AuthUnavailable
from tests.auth.conftest import Opener, Sqlite
from tests.auth.test_schema import exercise
from tests.auth.test_schemes import PASSWORD, VECTORS
from tests.support.mariadb import MariaDb
from tests.support.postgres import Postgres

pytestmark = pytest.mark.e2e

IMAP = Attempt("imap", "192.0.2.7", secured=True)
SECRET = b"s3cret"


class Server(Protocol):
    url: str

    def execute(self, *statements: str) -> object: ...


@pytest.fixture(params=["sqlite", "mariadb", "postgres"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    """Each database with MAS's own table, empty."""
    name: str = request.param
    found: Server = request.getfixturevalue("sqlite" if name == "sqlite" else f"{name}_server")
    await make_table(found)
    yield found
    found.execute("DROP TABLE IF EXISTS users")


async def make_table(server: Server) -> AccountTable:
    server.execute("DROP TABLE IF EXISTS users")
    database = Database(server.url)
    table = AccountTable(database)
    await table.create()
    await database.close()
    return table


async def add(server: Server, *names: str, password: str = "") -> None:
    database = Database(server.url)
    for name in names:
        await AccountTable(database).add(name, password or generate(SECRET, "SSHA512"))
    await database.close()


async def test_the_own_table(server: Server, accounts: Opener) -> None:
    database = Database(server.url)
    await exercise(AccountTable(database), accounts, server.url)
    await database.close()


async def test_every_scheme(server: Server, accounts: Opener) -> None:
    # A DIGEST-MD5 hash holds its user's name.
    names = ["kim@example.net" if "DIGEST-MD5" in stored else f"kim{n}@example.net" for n, stored in enumerate(VECTORS)]
    for name, stored in zip(names, VECTORS, strict=True):
        await add(server, name, password=stored)
    auth = accounts(server.url, auth="penalty = false")
    assert {stored[1:].partition("}")[0].partition(".")[0].upper() for stored in VECTORS if stored[0] == "{"} == set(
        SCHEMES
    )
    for name in names:
        assert (await auth.verify(name, PASSWORD, IMAP)).name == name
        with pytest.raises(AuthFailed):
            await auth.verify(name, b"wrong", IMAP)


HOSTILE = [
    "' OR '1'='1", "kim'--", "kim@example.net'; DROP TABLE users; --", "\\' OR 1=1 -- ", "%%u", ":v0", "%(v0)s", "$1", "kim\\",
    "k'||'im@example.net", "kim@example.net\x00", "\ud800", "ki\u0131m@example.net", '" OR ""="', "kim@example.net#",
]  # fmt: skip


@pytest.mark.parametrize(
    "query",
    [
        "SELECT username, domain, password FROM users WHERE username = '%n' AND domain = '%d'",
        "SELECT password, '%Lu' AS \\\"user\\\" FROM users WHERE CONCAT(username, '@', domain) = '%u'",
        "SELECT password FROM users WHERE username = %n AND domain = %d",
        "SELECT password FROM users WHERE CONCAT(username, '@', domain) = CONCAT('%n', '@', '%d')",
    ],
)
async def test_hostile_names_find_nobody(server: Server, accounts: Opener, query: str) -> None:
    if isinstance(server, Sqlite):
        query = "SELECT password FROM users WHERE username = '%n' AND domain = '%d'"
    if isinstance(server, MariaDb):
        query = query.replace('\\"user\\"', "user")
    await add(server, "kim@example.net")
    auth = accounts(server.url, auth='username_chars = ""\npenalty = false', passdb=f'query = "{query}"')
    assert await auth.verify("kim@example.net", SECRET, IMAP)
    for name in HOSTILE:
        with pytest.raises(AuthFailed):
            await auth.verify(name, SECRET, IMAP)
    assert await auth.verify("kim@example.net", SECRET, IMAP)
    database = Database(server.url)
    assert [account.name for account in await AccountTable(database).list()] == ["kim@example.net"]
    await database.close()


@pytest.mark.parametrize("name", ["mariadb", "postgres"])
async def test_what_a_driver_says_while_it_connects_is_temporary(
    name: str, request: pytest.FixtureRequest, accounts: Opener, capsys: pytest.CaptureFixture[str]
) -> None:
    server: MariaDb | Postgres = request.getfixturevalue(f"{name}_server")
    wrong = [server.url.rpartition("/")[0] + "/nosuch", server.url.replace("mail:secret", "nobody:hidden")]
    for url in wrong:
        with pytest.raises(AuthUnavailable) as caught:
            await accounts(url).verify("kim@example.net", SECRET, IMAP)
        assert "secret" not in str(caught.value)
        assert "hidden" not in str(caught.value)
    logged = capsys.readouterr().out
    assert "database unavailable" in logged
    assert "secret" not in logged
    assert "hidden" not in logged


async def test_numbers_and_case_insensitive_columns(postgres_server: Postgres, accounts: Opener) -> None:
    postgres_server.execute(
        "DROP TABLE IF EXISTS people",
        "CREATE EXTENSION IF NOT EXISTS citext",
        "CREATE TABLE people (id int, name citext, password text, off boolean)",
        "INSERT INTO people VALUES (42, 'Kim@Example.NET', '{PLAIN}s3cret', NULL)",
    )
    where = {"name = '%u'": "kim@example.net", "id = %n": "42@example.net"}
    for condition, name in where.items():
        query = f"SELECT password, id, off AS nologin FROM people WHERE {condition} AND name::text <> ':x'"
        auth = accounts(postgres_server.url, passdb=f"query = {json.dumps(query)}")
        assert await auth.verify(name, SECRET, IMAP)


async def until_ok(action: Callable[[], object], deadline: float = 30.0) -> None:
    """Until logins work again."""
    end = time.monotonic() + deadline
    while True:
        try:
            await action()  # type: ignore[misc]
        except AuthUnavailable:
            assert time.monotonic() < end, "it does not recover"
            await asyncio.sleep(0.1)
        else:
            return


@pytest.mark.parametrize("name", ["mariadb", "postgres"])
async def test_a_server_that_is_killed_and_comes_back(
    name: str, request: pytest.FixtureRequest, accounts: Opener
) -> None:
    server: MariaDb | Postgres = request.getfixturevalue(f"{name}_server")
    await make_table(server)
    await add(server, "kim@example.net", "ann@example.net", "joe@example.net")
    auth = accounts(server.url, auth='cache_ttl = "0s"\ntimeout = "30s"')
    await asyncio.gather(*(auth.verify("kim@example.net", SECRET, IMAP) for _ in range(20)))
    server.kill()
    try:
        for _ in range(3):
            assert await auth.verify("kim@example.net", SECRET, IMAP)  # the cache knows it, expired as it is
            with pytest.raises(AuthUnavailable):
                await auth.verify("ann@example.net", SECRET, IMAP)
            with pytest.raises(AuthUnavailable):
                await auth.lookup("joe@example.net", "lmtp")
    finally:
        server.start()
    await until_ok(lambda: auth.verify("ann@example.net", SECRET, IMAP))
    results = await asyncio.gather(
        *(auth.verify("joe@example.net", SECRET, IMAP) for _ in range(20)), return_exceptions=True
    )
    assert not [
        result for result in results if isinstance(result, BaseException)
    ]  # not even the first query after the restart fails


async def test_a_server_restarted_between_two_logins_fails_none(mariadb_server: MariaDb, accounts: Opener) -> None:
    await make_table(mariadb_server)
    await add(mariadb_server, *(f"kim{n}@example.net" for n in range(10)))
    auth = accounts(mariadb_server.url)
    await asyncio.gather(*(auth.verify(f"kim{n}@example.net", SECRET, IMAP) for n in range(5)))
    mariadb_server.kill()
    mariadb_server.start()
    for n in range(5, 10):
        assert await auth.verify(f"kim{n}@example.net", SECRET, IMAP)


async def test_a_server_that_hangs_holds_no_login_beyond_the_time_limit(
    mariadb_server: MariaDb, accounts: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mas.auth.database.HOLD", 4.0)
    await make_table(mariadb_server)
    await add(mariadb_server, "kim@example.net", "ann@example.net")
    limit = 1.0
    auth = accounts(mariadb_server.url, auth=f'cache_ttl = "0s"\ntimeout = "{limit}s"')
    assert await auth.verify("kim@example.net", SECRET, IMAP)
    mariadb_server.pause()
    try:
        # The whole flood is over after one time limit; 40 s are for the machine, the drivers' own limits are minutes or none.
        async with asyncio.timeout(40):
            results = await asyncio.gather(
                *(auth.verify("ann@example.net", SECRET, IMAP) for _ in range(50)), return_exceptions=True
            )
            assert {type(result) for result in results} == {AuthUnavailable}
            assert await auth.verify("kim@example.net", SECRET, IMAP)
            # Held: nobody waits while it is known to hang.
            with pytest.raises(AuthUnavailable, match="moment ago"):
                await auth.lookup("ann@example.net", "lmtp")
            # And then somebody asks again.
            why = "moment ago"
            while "moment ago" in why:
                with pytest.raises(AuthUnavailable) as caught:
                    await auth.lookup("ann@example.net", "lmtp")
                why = str(caught.value)
                await asyncio.sleep(0.02)
            await auth.close()
    finally:
        mariadb_server.resume()
    again = accounts(mariadb_server.url)
    assert await again.verify("ann@example.net", SECRET, IMAP)


async def test_recovery_after_a_hang(mariadb_server: MariaDb, accounts: Opener) -> None:
    await make_table(mariadb_server)
    await add(mariadb_server, "kim@example.net")
    auth = accounts(mariadb_server.url, auth='timeout = "1s"')
    mariadb_server.pause()
    try:
        with pytest.raises(AuthUnavailable):
            await auth.verify("kim@example.net", SECRET, IMAP)
    finally:
        mariadb_server.resume()
    await until_ok(lambda: auth.verify("kim@example.net", SECRET, IMAP))
