"""The authenticator on SQLite: columns, order of databases, cache, prices, look-ups."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mas.auth import hashing, schemes
from mas.auth.hashing import HashPool
from mas.auth.interface import Attempt, Authenticator
from mas.auth.passdb import is_allowed
from mas.auth.penalty import LocalCounters
from mas.auth.schemes import Stored, generate
from mas.auth.service import Accounts, _characters, open_authenticator
from mas.auth.userdb import make_user
from mas.config import loads
from mas.errors import AddressNotAllowed, AuthFailed, AuthUnavailable, ConfigError, UserDisabled, UserUnknown
from tests.auth.conftest import Clock, Opener, Sqlite

IMAP = Attempt("imap", "192.0.2.7", "192.0.2.1", secured=True, session_id="s1")
TABLE = "CREATE TABLE users (username TEXT, domain TEXT, password TEXT, nologin TEXT, reason TEXT, nets TEXT, rule TEXT, odd TEXT)"
ALL = (
    'query = "SELECT username, domain, password, nologin, reason, nets AS allow_nets, rule AS userdb_quota_rule, odd '
    "FROM users WHERE username = '%n' AND domain = '%d'\""
)
SECRET = b"s3cret"
SHA512 = generate(SECRET, "SSHA512")


def add(db: Sqlite, name: str = "kim", password: str | None = SHA512, **columns: str) -> None:
    row = {"username": name, "domain": "example.net", "password": password, **columns}
    marks = ", ".join("NULL" if value is None else "'" + value.replace("'", "''") + "'" for value in row.values())
    db.execute(f"INSERT INTO users ({', '.join(row)}) VALUES ({marks})")


@pytest.fixture
def db(sqlite: Sqlite) -> Sqlite:
    sqlite.execute(TABLE)
    return sqlite


async def test_a_login(db: Sqlite, accounts: Opener, clock: Clock) -> None:
    add(db, rule="*:storage=1G", odd="x")
    auth: Authenticator = accounts(db.url, passdb=ALL)
    user = await auth.verify("KIM@Example.NET", SECRET, IMAP)
    assert user.name == "kim@example.net"
    assert user.home == Path("/var/vmail/example.net/kim")
    assert user.location == "maildir:/var/vmail/example.net/kim/Maildir"
    assert user.quota_rules == {"quota_rule": "*:storage=1G"}
    assert user.fields == {"uid": "vmail"}
    assert clock.slept == []
    assert await auth.verify("kim@example.net", SECRET, IMAP, "Kim@example.net") == user


@pytest.mark.parametrize(
    "name", ["kim@example.net", "nobody@example.net", "kim", "kim'--@example.net", "", "k/m@example.net", "k\0m"]
)
async def test_wrong_user_and_wrong_password_look_and_cost_alike(
    db: Sqlite, accounts: Opener, clock: Clock, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(db, password=generate(SECRET, "SHA256-CRYPT"))
    hashed: list[str] = []
    real = schemes.verify_stored

    def counted(password: bytes, stored: Stored, user: str) -> bool:
        hashed.append(stored.scheme)
        return real(password, stored, user)

    monkeypatch.setattr(hashing, "verify_stored", counted)
    auth = accounts(db.url, passdb='default_scheme = "SHA256-CRYPT"')
    with pytest.raises(AuthFailed) as caught:
        await auth.verify(name, b"wrong", IMAP)
    assert type(caught.value) is AuthFailed
    assert hashed == ["SHA256-CRYPT"]
    assert clock.slept == [2.0]


async def test_another_identity_is_refused(db: Sqlite, accounts: Opener) -> None:
    add(db)
    auth = accounts(db.url)
    with pytest.raises(AuthFailed):
        await auth.verify("kim@example.net", SECRET, IMAP, "ann@example.net")


async def test_failures_make_the_address_wait_but_not_who_is_known(db: Sqlite, accounts: Opener, clock: Clock) -> None:
    add(db)
    add(db, "ann")
    auth = accounts(db.url)
    await auth.verify("kim@example.net", SECRET, IMAP)
    for number, seconds in enumerate((2, 4, 8)):
        before = clock.now
        with pytest.raises(AuthFailed):
            await auth.verify("ann@example.net", b"wrong%d" % number, IMAP)
        assert clock.now - before == seconds
    clock.slept.clear()
    await auth.verify(
        "kim@example.net", SECRET, IMAP
    )  # the web mailer's next page: the cache knows the pair, and the price is wiped
    assert clock.slept == []
    for number in range(3):
        with pytest.raises(AuthFailed):
            await auth.verify("ann@example.net", b"again%d" % number, IMAP)
    clock.slept.clear()
    await auth.verify("ann@example.net", SECRET, IMAP)
    assert clock.slept == [13.0]


async def test_counters_are_shared_between_workers(db: Sqlite, clock: Clock) -> None:
    add(db)
    text = f'protocols = ["lmtp"]\n[[passdb]]\nurl = "{db.url}"\n[[userdb]]\nhome = "/var/vmail/%d/%n"\n'
    config = loads(text, Path("/test/mas.toml"))
    counters = LocalCounters()
    workers = [open_authenticator(config, counters, sleep=clock.sleep, clock=clock) for _ in range(2)]
    with pytest.raises(AuthFailed):
        await workers[0].verify("kim@example.net", b"wrong", IMAP)
    clock.slept.clear()
    await workers[1].verify("kim@example.net", SECRET, IMAP)
    assert clock.slept == [2.0]
    for worker in workers:
        await worker.close()


async def test_empty_null_and_nul_passwords(db: Sqlite, accounts: Opener) -> None:
    add(db, "null", None)
    add(db, "empty", "")
    add(db, "plainempty", "{PLAIN}")
    auth = accounts(db.url)
    for name in ("null", "empty", "plainempty"):
        for password in (b"x", b"\0", b""):
            if (name, password) == ("plainempty", b""):
                assert (await auth.verify("plainempty@example.net", b"", IMAP)).local_part == "plainempty"
                continue
            with pytest.raises(AuthFailed):
                await auth.verify(f"{name}@example.net", password, IMAP)


async def test_nopassword(db: Sqlite, accounts: Opener) -> None:
    add(db, "any", None)
    add(db, "some")
    auth = accounts(db.url, passdb="query = \"SELECT password, 'y' AS nopassword FROM users WHERE username = '%n'\"")
    assert await auth.verify("any@example.net", b"whatever", IMAP)
    with pytest.raises(AuthFailed):
        await auth.verify("some@example.net", b"whatever", IMAP)


@pytest.mark.parametrize("nologin", ["Y", "0", ""])
async def test_nologin_after_the_right_password_only(db: Sqlite, accounts: Opener, clock: Clock, nologin: str) -> None:
    add(db, nologin=nologin, reason="moved away")
    auth = accounts(db.url, passdb=ALL)
    with pytest.raises(UserDisabled, match="moved away"):
        await auth.verify("kim@example.net", SECRET, IMAP)
    assert clock.slept == []
    with pytest.raises(AuthFailed):
        await auth.verify("kim@example.net", b"wrong", IMAP)
    assert (await auth.lookup("kim@example.net", "lmtp")).name == "kim@example.net"  # mail still comes in


async def test_allow_nets(db: Sqlite, accounts: Opener, clock: Clock) -> None:
    add(db, nets="198.51.100.0/24, 192.0.2.7")
    auth = accounts(db.url, passdb=ALL)
    await auth.verify("kim@example.net", SECRET, IMAP)
    with pytest.raises(AddressNotAllowed):
        await auth.verify("kim@example.net", SECRET, Attempt("imap", "192.0.2.8"))
    assert len(clock.slept) == 1


async def test_a_right_password_from_an_address_that_is_not_allowed_waits_as_well(
    db: Sqlite, accounts: Opener, clock: Clock
) -> None:
    """Else the time would tell a guesser that it is the right one."""
    add(db, nets="192.0.2.7")
    auth = accounts(db.url, passdb=ALL)
    await auth.verify("kim@example.net", SECRET, IMAP)
    elsewhere, spent = Attempt("imap", "192.0.2.8"), []
    for password in (b"wrong", SECRET, SECRET, b"wrong again"):
        before = clock.now
        with pytest.raises(AuthFailed):
            await auth.verify("kim@example.net", password, elsewhere)
        spent.append(clock.now - before)
    assert spent == [2, 4, 8, 8]


async def test_postfix_is_answered_in_time_whatever_a_database_does(
    db: Sqlite, accounts: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A penalty and then two databases that take all their time: longer than Postfix waits."""
    auth = accounts(db.url)

    async def hang(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("mas.auth.database.Database.fetch", hang)
    monkeypatch.setattr("mas.auth.login.PATIENCE", 0.01)
    with pytest.raises(AuthUnavailable):
        await auth.verify("kim@example.net", SECRET, Attempt("smtp", "192.0.2.7", secured=True))
    exchange = auth.exchange(Attempt("submission", "192.0.2.7", secured=True, mechanism="SCRAM-SHA-256"))
    with pytest.raises(AuthUnavailable):
        await exchange.respond(b"n,,n=kim@example.net,r=abcdefgh")


@pytest.mark.parametrize(
    ("nets", "remote", "allowed"),
    [
        ("192.0.2.0/24", "192.0.2.9", True),
        ("192.0.2.0/24", "::ffff:192.0.2.9", True),
        ("192.0.2.1/24", "192.0.2.9", True),
        ("2001:db8::/32", "2001:db8::9", True),
        ("2001:db8::/32", "192.0.2.9", False),
        ("192.0.2.1", "192.0.2.9", False),
        ("local", "", True),
        ("192.0.2.0/24", "", False),
        ("local", "192.0.2.9", False),
        ("garbage,192.0.2.9", "192.0.2.9", True),
        ("garbage", "192.0.2.9", False),
        ("0.0.0.0/0", "garbage", False),
    ],
)
def test_is_allowed(nets: str, remote: str, allowed: bool) -> None:
    assert is_allowed(nets, remote) is allowed


@pytest.mark.parametrize(
    ("columns", "name"),
    [
        ("'k@x.org' AS user", "k@x.org"),
        ("'k' AS user", "k"),
        ("'k' AS username", "k@example.net"),
        ("'k' AS username, 'x.org' AS domain", "k@x.org"),
        ("'x.org' AS domain", "kim@x.org"),
        ("'k@y.org' AS username", "k@y.org"),
        ("NULL AS user", "kim@example.net"),
    ],
)
async def test_the_database_names_the_user(db: Sqlite, accounts: Opener, columns: str, name: str) -> None:
    add(db)
    auth = accounts(
        db.url,
        passdb=f"query = \"SELECT password, {columns} FROM users WHERE username = '%n'\"",
        userdb='home = "/var/vmail/%u"',
    )
    assert (await auth.verify("kim@example.net", SECRET, IMAP)).name == name


@pytest.mark.parametrize(
    "query",
    [
        "SELECT username FROM users",
        "SELECT password FROM users WHERE domain = '%d'",
        "SELECT password FROM nosuch",
        "SELEKT",
    ],
)
async def test_an_operators_mistake_is_temporary(db: Sqlite, accounts: Opener, clock: Clock, query: str) -> None:
    add(db)
    add(db, "ann")
    auth = accounts(db.url, passdb=f'query = "{query}"')
    with pytest.raises((AuthUnavailable, AuthFailed)) as caught:
        await auth.verify("kim@example.net", SECRET, IMAP)
    assert caught.type is AuthUnavailable
    assert clock.slept == []


async def test_an_unknown_scheme_is_temporary(db: Sqlite, accounts: Opener) -> None:
    add(db, password="{NOSUCH}x")
    add(db, "ann", password="{SHA.ROT13}x")
    auth = accounts(db.url)
    for name in ("kim", "ann"):
        with pytest.raises(AuthUnavailable):
            await auth.verify(f"{name}@example.net", b"x", IMAP)


async def test_a_missing_sqlite_file_is_not_made(tmp_path: Path, accounts: Opener) -> None:
    auth = accounts(f"sqlite+aiosqlite:///{tmp_path}/nosuch.db")
    with pytest.raises(AuthUnavailable):
        await auth.verify("kim@example.net", SECRET, IMAP)
    assert os.listdir(tmp_path) == []


async def test_an_sqlite_file_that_is_deleted_damaged_or_replaced_by_a_restore(
    db: Sqlite, accounts: Opener, tmp_path: Path
) -> None:
    """Open connections know nothing of it."""
    add(db)
    auth = accounts(db.url, auth="cache_size = 0")
    await auth.verify("kim@example.net", SECRET, IMAP)
    assert await auth.unreachable(-1) == []
    old, copy = tmp_path / "old", tmp_path / "copy"
    shutil.copy(db.path, copy)
    db.path.rename(old)
    with pytest.raises(AuthUnavailable, match="No such file"):
        await auth.verify("kim@example.net", SECRET, IMAP)
    assert len(await auth.unreachable(-1)) == 1
    db.path.write_bytes(b"no database at all")
    assert len(await auth.unreachable(-1)) == 1
    copy.rename(db.path)
    db.execute("UPDATE users SET username = 'ann'")
    await auth.verify("ann@example.net", SECRET, IMAP)
    assert await auth.unreachable(-1) == []
    with pytest.raises(AuthFailed):
        await auth.verify("kim@example.net", SECRET, IMAP)


def second(url: str) -> str:
    return f'\n[[passdb]]\nurl = "{url}"\n'


async def test_passdbs_in_order(db: Sqlite, tmp_path: Path, accounts: Opener) -> None:
    other = Sqlite(tmp_path / "other.db")
    other.execute(TABLE)
    add(db)
    add(other, password="{PLAIN}app-password")
    add(other, "ann", password="{PLAIN}other")
    auth = accounts(db.url, more=second(other.url))
    for name, password in (("kim", SECRET), ("kim", b"app-password"), ("ann", b"other")):
        assert await auth.verify(f"{name}@example.net", password, IMAP)
    with pytest.raises(AuthFailed):
        await auth.verify("ann@example.net", SECRET, IMAP)
    broken = accounts(f"sqlite+aiosqlite:///{tmp_path}/nosuch.db", more=second(other.url))
    assert await broken.verify("ann@example.net", b"other", IMAP)
    for name in ("ann", "nobody"):
        with pytest.raises(AuthUnavailable):
            await broken.verify(f"{name}@example.net", b"wrong", IMAP)


async def test_a_repeated_login_asks_nobody(db: Sqlite, accounts: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    add(db, password=generate(SECRET, "BLF-CRYPT"))
    auth = accounts(db.url)
    await auth.verify("kim@example.net", SECRET, IMAP)

    async def never(*_: object) -> bool:
        raise AssertionError("hashed again")

    monkeypatch.setattr(auth.pool, "verify", never)
    db.execute("DROP TABLE users")
    for _ in range(3):
        assert await auth.verify("kim@example.net", SECRET, IMAP)


async def test_what_is_flushed_is_asked_for_again(db: Sqlite, accounts: Opener) -> None:
    """A closed account, that is: its row would go on for auth.cache_ttl."""
    add(db)
    add(db, "ann")
    auth = accounts(db.url, passdb=ALL)
    for name in ("kim@example.net", "ann@example.net"):
        await auth.verify(name, SECRET, IMAP)
    db.execute("UPDATE users SET nologin = '1'")
    await auth.verify("kim@example.net", SECRET, IMAP)
    auth.flush("KIM@example.net")
    with pytest.raises(UserDisabled):
        await auth.verify("kim@example.net", SECRET, IMAP)
    await auth.verify("ann@example.net", SECRET, IMAP)
    auth.flush()
    with pytest.raises(UserDisabled):
        await auth.verify("ann@example.net", SECRET, IMAP)


async def test_a_changed_password_is_taken_at_once(db: Sqlite, accounts: Opener) -> None:
    add(db)
    auth = accounts(db.url)
    await auth.verify("kim@example.net", SECRET, IMAP)
    for _ in range(2):
        with pytest.raises(AuthFailed):
            await auth.verify("kim@example.net", b"new", IMAP)
    db.execute("UPDATE users SET password = '{PLAIN}new'")
    assert await auth.verify("kim@example.net", b"new", IMAP)
    with pytest.raises(AuthFailed):
        await auth.verify("kim@example.net", SECRET, IMAP)


async def test_unknown_names_are_asked_for_once(db: Sqlite, accounts: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    add(db)
    auth = accounts(db.url)
    asked = []
    fetch = auth.passdbs[0].database.fetch

    async def counted(*args: object, **more: object) -> object:
        asked.append(args)
        return await fetch(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(auth.passdbs[0].database, "fetch", counted)
    for number in range(5):
        with pytest.raises(AuthFailed):
            await auth.verify("nobody@example.net", b"%d" % number, IMAP)
    assert len(asked) == 1


@pytest.mark.parametrize("ttl", ["1h", "0s"])
async def test_the_cache_serves_while_the_database_is_away(db: Sqlite, accounts: Opener, ttl: str) -> None:
    add(db)
    auth = accounts(db.url, auth=f'cache_ttl = "{ttl}"')
    await auth.verify("kim@example.net", SECRET, IMAP)
    db.execute("ALTER TABLE users RENAME TO away")
    assert await auth.verify("kim@example.net", SECRET, IMAP)
    with pytest.raises(AuthUnavailable):
        await auth.verify("ann@example.net", SECRET, IMAP)
    db.execute("ALTER TABLE away RENAME TO users")
    with pytest.raises(AuthFailed):
        await auth.verify("ann@example.net", SECRET, IMAP)


async def test_another_password_than_the_cached_one_is_wrong_only_if_the_database_says_so(
    db: Sqlite, accounts: Opener
) -> None:
    add(db)
    auth = accounts(db.url)
    await auth.verify("kim@example.net", SECRET, IMAP)
    db.execute("ALTER TABLE users RENAME TO away")
    with pytest.raises(AuthUnavailable):
        await auth.verify("kim@example.net", b"perhaps the new one", IMAP)


async def test_without_a_cache(db: Sqlite, accounts: Opener) -> None:
    add(db)
    auth = accounts(db.url, auth="cache_size = 0")
    assert await auth.verify("kim@example.net", SECRET, IMAP)
    db.execute("DELETE FROM users")
    with pytest.raises(AuthFailed):
        await auth.verify("kim@example.net", SECRET, IMAP)


# Look-ups


async def test_static_userdb_asks_the_passdb_whether_the_user_exists(db: Sqlite, accounts: Opener) -> None:
    add(db)
    auth = accounts(db.url)
    assert (await auth.lookup("Kim@example.net", "lmtp")).home == Path("/var/vmail/example.net/kim")
    with pytest.raises(UserUnknown):
        await auth.lookup("nobody@example.net", "lmtp")
    db.execute("DROP TABLE users")
    with pytest.raises(AuthUnavailable):
        await auth.lookup("ann@example.net", "lmtp")


async def test_allow_all_users(tmp_path: Path, accounts: Opener) -> None:
    auth = accounts(
        f"sqlite+aiosqlite:///{tmp_path}/nosuch.db", userdb='home = "/var/vmail/%d/%n"\nallow_all_users = true'
    )
    assert (await auth.lookup("anybody@example.net", "lmtp")).home == Path("/var/vmail/example.net/anybody")


async def test_allow_all_users_with_fields_of_the_passdb(db: Sqlite, accounts: Opener) -> None:
    add(db, rule="*:storage=1G")
    auth = accounts(db.url, passdb=ALL, userdb='home = "/var/vmail/%d/%n"\nallow_all_users = true')
    assert (await auth.lookup("kim@example.net", "lmtp")).quota_rules == {"quota_rule": "*:storage=1G"}
    assert (await auth.lookup("typo@example.net", "lmtp")).quota_rules == {}


OUTSIDE = [
    "..@example.net",
    "kim@..",
    ".@example.net",
    "kim",
    "@example.net",
    "kim@",
    "a/b@example.net",
    "a\nb@x.org",
    "",
]


@pytest.mark.parametrize("name", OUTSIDE)
async def test_no_name_leaves_the_pattern(db: Sqlite, accounts: Opener, name: str) -> None:
    auth = accounts(db.url, auth='username_chars = ""', userdb='home = "/var/vmail/%d/%n"\nallow_all_users = true')
    with pytest.raises(UserUnknown):
        await auth.lookup(name, "lmtp")


@pytest.mark.parametrize(
    ("userdb", "mail", "name"),
    [
        ('home = "/var/vmail/%d/%2n/%n"', "maildir:~/Maildir", "..kim@example.net"),
        ('home = "/var/vmail/%d/%1n/%n"', "maildir:~/Maildir", ".kim@example.net"),
        ('home = "/var/vmail/%n"', "maildir:/mail/%d/%n", "kim@.."),
        ('home = "/var/vmail/%n"', "maildir:/mail/%d/%n", "kim@."),
        ('home = "/var/vmail/%n"', "maildir:~/Maildir:INDEX=/index/%2d/%n", "kim@..net"),
    ],
)
async def test_no_part_of_a_name_leaves_the_pattern(
    db: Sqlite, accounts: Opener, userdb: str, mail: str, name: str
) -> None:
    auth = accounts(db.url, userdb=userdb + "\nallow_all_users = true", more=f'[mail]\nlocation = "{mail}"\n')
    assert (await auth.lookup("kim@example.net", "lmtp")).name == "kim@example.net"
    with pytest.raises(UserUnknown):
        await auth.lookup(name, "lmtp")


@given(st.text(max_size=40))
def test_every_static_home_is_two_below_the_root(name: str) -> None:
    text = """protocols = ["lmtp"]
        auth.username_chars = ""
        [[passdb]]
        url = "sqlite:///:memory:"
        [[userdb]]
        home = "/var/vmail/%d/%n"
        allow_all_users = true"""
    accounts = Accounts(loads(text, Path("/test/mas.toml")), LocalCounters(), asyncio.sleep, time.monotonic)
    try:
        user = asyncio.run(accounts.lookup(name, "lmtp"))
    except UserUnknown:
        return
    assert user.home.parent.parent == Path("/var/vmail")
    assert ".." not in user.home.parts


async def test_sql_userdb(db: Sqlite, accounts: Opener) -> None:
    add(db, rule="*:storage=2G")
    userdb = """driver = "sql"
query = "SELECT '/srv/%n' AS home, 5000 AS uid, 'maildir:~/mail:INDEX=~/idx' AS mail, rule AS quota_rule FROM users WHERE username = '%n'"
iterate_query = "SELECT username || '@' || domain AS user FROM users"
"""
    auth = accounts(db.url, userdb=userdb)
    user = await auth.lookup("kim@example.net", "lmtp")
    assert user == await auth.verify("kim@example.net", SECRET, IMAP)
    assert user.location == "maildir:/srv/kim/mail:INDEX=/srv/kim/idx"
    assert (user.home, user.quota_rules, user.fields) == (
        Path("/srv/kim"),
        {"quota_rule": "*:storage=2G"},
        {"uid": "5000"},
    )
    with pytest.raises(UserUnknown):
        await auth.lookup("nobody@example.net", "lmtp")
    assert [name async for name in auth.users()] == ["kim@example.net"]
    auth.cache.flush()
    db.execute("DROP TABLE users")
    with pytest.raises(AuthUnavailable):
        await auth.lookup("kim@example.net", "lmtp")


async def test_a_login_without_a_userdb_entry_is_the_operators_mistake(db: Sqlite, accounts: Opener) -> None:
    add(db)
    auth = accounts(db.url, userdb='driver = "sql"\nquery = "SELECT \'/x\' AS home FROM users WHERE 1 = 0"')
    with pytest.raises(AuthUnavailable):
        await auth.verify("kim@example.net", SECRET, IMAP)


PREFETCH = (
    "query = \"SELECT password, '/pre/%n' AS userdb_home, rule AS userdb_quota_rule2 FROM users WHERE username = '%n'\""
)


async def test_prefetch_alone_and_before_another(db: Sqlite, accounts: Opener) -> None:
    add(db, rule="Trash:ignore")
    alone = accounts(db.url, passdb=PREFETCH, userdb='driver = "prefetch"')
    user = await alone.verify("kim@example.net", SECRET, IMAP)
    assert user.home == Path("/pre/kim")
    assert user.quota_rules == {"quota_rule2": "Trash:ignore"}
    assert await alone.lookup("kim@example.net", "lmtp") == user
    with pytest.raises(UserUnknown):
        await alone.lookup("nobody@example.net", "lmtp")
    both = accounts(
        db.url,
        passdb=PREFETCH,
        userdb='driver = "prefetch"',
        more="[[userdb]]\nhome = '/static/%n'\nallow_all_users = true",
    )
    assert (await both.verify("kim@example.net", SECRET, IMAP)).home == Path("/pre/kim")
    assert (await both.lookup("kim@example.net", "lmtp")).home == Path("/static/kim")


@pytest.mark.parametrize(
    "fields", [{}, {"home": "relative"}, {"home": "/var/../etc"}, {"home": "/x", "mail": "maildir:%y"}]
)
def test_make_user_refuses_what_is_no_home(fields: dict[str, str]) -> None:
    with pytest.raises(AuthUnavailable):
        make_user("kim@example.net", fields, "maildir:~/Maildir", "imap")


@pytest.mark.parametrize(
    ("mail", "location"),
    [
        ("maildir:~/Maildir", "maildir:/h/Maildir"),
        ("maildir:~", "maildir:/h"),
        ("maildir:%h/m:INDEX=/i/%d/%n:CONTROL=~/c", "maildir:/h/m:INDEX=/i/example.net/kim:CONTROL=/h/c"),
        ("maildir:/srv/a~b", "maildir:/srv/a~b"),
    ],
)
def test_locations(mail: str, location: str) -> None:
    assert make_user("kim@example.net", {"home": "/h", "mail": mail}, "", "imap").location == location
    assert make_user("kim@example.net", {"home": "/h"}, mail, "imap").location == location


async def test_users_of_the_passdbs(db: Sqlite, tmp_path: Path, accounts: Opener) -> None:
    other = Sqlite(tmp_path / "other.db")
    other.execute(TABLE)
    for base in (db, other):
        add(base)
    add(other, "ann")
    auth = accounts(db.url, more=second(other.url))
    assert [name async for name in auth.users()] == ["kim@example.net", "ann@example.net"]
    with pytest.raises(ConfigError):
        [name async for name in accounts(db.url, passdb='iterate_query = ""').users()]


# Limits and threads


def test_characters() -> None:
    allowed = _characters("a-zA-Z0-9.-_@")
    assert allowed == frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_@")
    assert _characters("") is None


async def test_mechanisms(db: Sqlite, accounts: Opener) -> None:
    auth = accounts(db.url, auth='mechanisms = ["LOGIN", "PLAIN"]')
    assert auth.mechanisms(True) == ["LOGIN", "PLAIN"]
    assert auth.mechanisms(False) == []


async def until(condition: Callable[[], bool]) -> None:
    """Let other tasks run until the condition holds."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  (what is waited for has no event)
            await asyncio.sleep(0)


async def test_too_many_logins_are_refused_as_temporary(
    db: Sqlite, accounts: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(db)
    auth = accounts(db.url, auth="queue = 2")
    go = asyncio.Event()
    fetch = auth.passdbs[0].database.fetch

    async def late(*args: object, **more: object) -> object:
        await go.wait()
        return await fetch(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(auth.passdbs[0].database, "fetch", late)
    first = [asyncio.create_task(auth.verify("kim@example.net", SECRET, IMAP)) for _ in range(2)]
    await until(lambda: auth._working == 2)
    with pytest.raises(AuthUnavailable, match=r"auth\.queue"):
        await auth.verify("kim@example.net", SECRET, IMAP)
    go.set()
    assert len(await asyncio.gather(*first)) == 2
    assert await auth.verify("kim@example.net", SECRET, IMAP)


async def test_expensive_hashes_run_in_the_pool_and_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = HashPool(threads=1, queue=2)
    threads: list[tuple[str, str]] = []
    gate = threading.Event()

    def slow(password: bytes, stored: Stored, user: str) -> bool:
        threads.append((threading.current_thread().name, stored.scheme))
        if stored.scheme != "PLAIN":
            gate.wait(30)
        return True

    monkeypatch.setattr(hashing, "verify_stored", slow)
    costly = Stored("SHA512-CRYPT", "", "$6$x$y")
    running = [asyncio.create_task(pool.verify(b"x", costly, "kim")) for _ in range(2)]
    await until(lambda: pool.waiting == 2)
    with pytest.raises(AuthUnavailable, match=r"auth\.queue"):
        await pool.verify(b"x", costly, "kim")
    running[0].cancel()  # the session went away, the thread did not
    with pytest.raises(asyncio.CancelledError):
        await running[0]
    assert pool.waiting == 2
    assert await pool.verify(b"x", Stored("PLAIN", "", "x"), "kim")  # cheap ones need no thread
    gate.set()
    assert await running[1]
    assert pool.waiting == 0
    assert {("mas-hash" in name, scheme) for name, scheme in threads} == {(True, "SHA512-CRYPT"), (False, "PLAIN")}
    pool.close()


async def test_no_hash_is_left_to_pretend_for_cheap_schemes() -> None:
    pool = HashPool(threads=1)
    for scheme in ("PLAIN", "SSHA512", "MD5", "DES-CRYPT", "MD5-CRYPT", "SCRAM-SHA-256", "PBKDF2"):
        await pool.pretend(scheme)
    assert pool.waiting == 0
    pool.close()
