"""MAS's own table, and the story that ``mas auth test`` tells, on SQLite."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mas.auth.database import Database
from mas.auth.explain import explain
from mas.auth.interface import Attempt
from mas.auth.schema import QUERY, AccountExists, AccountTable, BadAccountName, split_name
from mas.auth.schemes import generate
from mas.errors import AuthFailed, AuthUnavailable, ConfigError, UserDisabled, UserUnknown
from tests.auth.conftest import Opener

IMAP = Attempt("imap", "192.0.2.7", secured=True)


async def exercise(table: AccountTable, accounts: Opener, url: str) -> None:
    """Everything that ``mas user`` does, and that logins see it; on any database."""
    await table.create()
    await table.create()
    await table.add("kim@example.net", generate(b"one", "SSHA512"), quota_rule="*:storage=1G")
    await table.add("ann@example.org", generate(b"ann", "SSHA512"))
    with pytest.raises(AccountExists):
        await table.add("kim@example.net", "{PLAIN}x")
    for default in ("", f"query = {json.dumps(QUERY)}"):
        auth = accounts(url, passdb=default)
        user = await auth.verify("kim@example.net", b"one", IMAP)
        assert user.quota_rules == ({"quota_rule": "*:storage=1G"} if default else {})
        assert sorted([name async for name in auth.users()]) == ["ann@example.org", "kim@example.net"]
        with pytest.raises(AuthFailed):
            await auth.verify("kim@example.net", b"two", IMAP)
    assert [account.name for account in await table.list()] == ["kim@example.net", "ann@example.org"]
    assert [account.name for account in await table.list("example.org")] == ["ann@example.org"]
    await table.passwd("kim@example.net", generate(b"two", "SSHA512"))
    await table.passwd("ann@example.org", "{PLAIN}same")
    await table.passwd("ann@example.org", "{PLAIN}same")  # an unchanged row is none that is missing
    await auth.verify("kim@example.net", b"two", IMAP)
    await table.set_quota_rule("kim@example.net", "")
    await table.set_nologin("kim@example.net", True, "moved away")
    info = await table.info("kim@example.net")
    assert (info.scheme, info.quota_rule, info.nologin, info.reason) == ("SSHA512", "", True, "moved away")
    assert info.created.startswith("20")
    auth.cache.flush()
    with pytest.raises(UserDisabled, match="moved away"):
        await auth.verify("kim@example.net", b"two", IMAP)
    await table.set_nologin("kim@example.net", False)
    auth.cache.flush()
    await auth.verify("kim@example.net", b"two", IMAP)
    await table.delete("kim@example.net")
    for action in (
        table.delete("kim@example.net"),
        table.passwd("kim@example.net", "x"),
        table.info("kim@example.net"),
    ):
        with pytest.raises(UserUnknown):
            await action
    await table.delete("ann@example.org")
    assert await table.list() == []


async def test_the_table_on_sqlite(tmp_path: Path, accounts: Opener) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/new.db"
    database = Database(url, create=True)
    await exercise(AccountTable(database), accounts, url)
    await database.close()


async def test_no_table(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/new.db", create=True)
    with pytest.raises(AuthUnavailable):
        await AccountTable(database).list()
    await database.close()


@pytest.mark.parametrize(
    "name", ["", "kim", "@x", "kim@", "a@b@c", "../x@y", "..@y", "kim@..", "a\nb@x", "x" * 65 + "@y", "x@" + "y" * 256]
)
def test_bad_names(name: str) -> None:
    with pytest.raises(BadAccountName):
        split_name(name)


def test_a_url_that_is_none_shows_no_password() -> None:
    with pytest.raises(ConfigError) as caught:
        Database("secret nonsense")
    assert "secret" not in str(caught.value)
    assert "pass" not in str(Database("mysql+aiomysql://kim:pass@127.0.0.1/x"))


async def test_explain(tmp_path: Path, accounts: Opener) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/new.db"
    database = Database(url, create=True)
    table = AccountTable(database)
    await table.create()
    await table.add("kim@example.net", "{PLAIN}hunter2", quota_rule="*:storage=1G")
    await table.add("odd@example.net", "{NOSUCH}hunter2")
    auth = accounts(url, passdb=f"query = {json.dumps(QUERY)}")

    async def told(name: str, password: bytes) -> list[str]:
        return [line async for line in explain(auth, name, password, IMAP)]

    good = await told("Kim@example.net", b"hunter2")
    assert good[-1] == "OK: kim@example.net"
    assert any("scheme is PLAIN" in line for line in good)
    assert "home /var/vmail/example.net/kim" in good
    assert "quota_rule *:storage=1G" in good
    assert (await told("kim@example.net", b""))[-1].startswith("OK")
    for name, password, word in (
        ("kim@example.net", b"wrong", "wrong password"),
        ("nobody@example.net", b"x", "unknown user"),
        ("odd@example.net", b"x", "temporary failure"),
        ("k m", b"x", "username_chars"),
    ):
        lines = await told(name, password)
        assert any(word in line for line in lines)
        assert lines[-1].startswith("FAILED")
        assert "hunter2" not in "\n".join(lines)
    nets = accounts(
        url, passdb="query = \"SELECT password, '10.0.0.0/8' AS allow_nets FROM users WHERE username = '%n'\""
    )
    lines = [line async for line in explain(nets, "kim@example.net", b"hunter2", IMAP)]
    assert any("not in allow_nets" in line for line in lines)
    assert lines[-1].startswith("FAILED")
    old = accounts(url, passdb="query = \"SELECT password, 1 AS pass_expired FROM users WHERE username = '%n'\"")
    lines = [line async for line in explain(old, "kim@example.net", b"hunter2", IMAP)]
    assert lines[-1] == "FAILED: pass_expired is set"
    homeless = accounts(url, userdb='driver = "sql"\nquery = "SELECT 1 AS uid"')
    lines = [line async for line in explain(homeless, "kim@example.net", b"hunter2", IMAP)]
    assert lines[-1].startswith("FAILED: userdb")
    await table.set_nologin("kim@example.net", True, "moved away")
    auth.cache.flush()
    assert (await told("kim@example.net", b"hunter2"))[-1] == "FAILED: nologin is set: moved away"
    await database.close()
