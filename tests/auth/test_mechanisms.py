"""Logins by mechanisms that ask for a secret or bring somebody's word: databases, prices, what is told of users that do not exist."""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from scramp import ScramClient

from mas.auth.interface import Attempt, LoggedIn, Tls
from mas.auth.sasl import SaslError
from mas.auth.schemes import generate
from mas.auth.service import Accounts
from mas.errors import (
    AddressNotAllowed,
    AuthFailed,
    AuthUnavailable,
    ConfigError,
    NotAuthorized,
    PasswordExpired,
    UserDisabled,
)
from mas.user import User
from tests.auth.conftest import Clock, Opener, Sqlite

PASSDB = (
    'query = "SELECT username, domain, password, nologin, reason, nets AS allow_nets, expired AS pass_expired '
    "FROM users WHERE username = '%n' AND domain = '%d'\""
)
KIM = "kim@example.net"
SECRET = "sécret"


class FakeTls:
    """TLS with a client's certificate, and with channel bindings."""

    def __init__(self, certificate: Mapping[str, str] | None = None, **bindings: bytes) -> None:
        self.certificate = certificate or {}
        self.bindings = {name.replace("_", "-"): data for name, data in bindings.items()}

    def binding(self, kind: str) -> bytes | None:
        return self.bindings.get(kind)

    def certificate_name(self, field: str) -> str | None:
        return self.certificate.get(field)


def attempt(mechanism: str, tls: Tls | None = None, remote: str = "192.0.2.7") -> Attempt:
    return Attempt("imap", remote, "192.0.2.1", secured=True, session_id="s1", mechanism=mechanism, tls=tls)


def add(db: Sqlite, name: str = "kim", password: str = "{PLAIN}" + SECRET, **columns: str) -> None:
    row = {"username": name, "domain": "example.net", "password": password, **columns}
    values = ", ".join("'" + value.replace("'", "''") + "'" for value in row.values())
    db.execute(f"INSERT INTO users ({', '.join(row)}) VALUES ({values})")


@pytest.fixture
def db(sqlite: Sqlite) -> Sqlite:
    sqlite.execute(
        "CREATE TABLE users (username TEXT, domain TEXT, password TEXT, nologin TEXT, reason TEXT, nets TEXT, expired TEXT)"
    )
    return sqlite


@pytest.fixture
def opened(db: Sqlite, accounts: Opener, tmp_path: Path) -> Any:
    def make(auth: str = 'mechanisms = ["SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5"]', **named: Any) -> Accounts:
        named.setdefault("top", f'state_dir = "{tmp_path}/state"')
        return accounts(db.url, auth=auth, **{"passdb": PASSDB, **named})

    return make


async def scram(
    auth: Accounts, user: str, password: str, mechanism: str = "SCRAM-SHA-256", tls: Tls | None = None, **named: Any
) -> tuple[User, str]:
    """A whole exchange with scramp's client; the user and the salt that it was told."""
    binding = (
        ("tls-server-end-point", tls.binding("tls-server-end-point")) if mechanism.endswith("-PLUS") and tls else None
    )
    client = ScramClient([mechanism], user, password, channel_binding=binding)
    exchange = auth.exchange(attempt(mechanism, tls, **named), success_data=True)
    first = await exchange.respond(client.get_client_first().encode())
    assert isinstance(first, bytes)
    client.set_server_first(first.decode())
    done = await exchange.respond(client.get_client_final().encode())
    assert isinstance(done, LoggedIn)
    client.set_server_final(done.data.decode())
    return done.user, first.decode().split(",s=")[1]


async def salt_of(auth: Accounts, user: str, mechanism: str = "SCRAM-SHA-256") -> str:
    exchange = auth.exchange(attempt(mechanism))
    first = await exchange.respond(b"n,,n=%s,r=abcdefgh" % user.encode())
    assert isinstance(first, bytes)
    return first.decode().split(",s=")[1]


@pytest.mark.parametrize(
    ("stored", "mechanism"),
    [
        ("{PLAIN}" + SECRET, "SCRAM-SHA-256"),
        ("{CLEARTEXT}" + SECRET, "SCRAM-SHA-1"),
        (generate(SECRET.encode(), "SCRAM-SHA-256"), "SCRAM-SHA-256"),
        (generate(SECRET.encode(), "SCRAM-SHA-1"), "SCRAM-SHA-1"),
    ],
    ids=["plain", "cleartext", "sha256", "sha1"],
)
async def test_scram_by_what_is_stored(db: Sqlite, opened: Any, clock: Clock, stored: str, mechanism: str) -> None:
    add(db, password=stored)
    auth = opened()
    user, _ = await scram(auth, "KIM@example.net", SECRET, mechanism)
    assert user.name == KIM
    assert user.home == Path("/var/vmail/example.net/kim")
    assert clock.slept == []
    # The same stored value serves PLAIN.
    assert await auth.verify(KIM, SECRET.encode(), attempt("PLAIN")) == user
    with pytest.raises(AuthFailed):
        await scram(auth, KIM, "wrong", mechanism)
    assert clock.slept == [2.0]


@pytest.mark.parametrize(
    ("stored", "mechanism"),
    [
        (
            "{SCRAM-SHA-256}4096,Y4JGsKnDkqnQTVaVia5FAA==,ccXQrlQad6wFcO4U8jklq226CB2fLdNVOo8wKg2fxX0=,"
            "Ham+k3v/Ax5VvM2AIdje+gW1kD0xlX9dgjceJrjttDw=",
            "SCRAM-SHA-256",
        ),
        (
            "{SCRAM-SHA-1}4096,U94DGScEl0nD0B2pdUtWgg==,qQz+tVNZdbyzHMqzNqNTUa0l2vM=,lQLCCfBZ0yR3m0lYaRmas0XXaGk=",
            "SCRAM-SHA-1",
        ),
        ("{CRAM-MD5}cd3ba7deaad6e5ca23448ba42e379747a9e0f7f1fbc00c8a81bbaac395731b56", "CRAM-MD5"),
    ],
)
async def test_what_dovecot_has_stored(db: Sqlite, opened: Any, stored: str, mechanism: str) -> None:
    """As ``doveadm pw`` of Dovecot 2.3.19 wrote it for "secret"."""
    add(db, password=stored)
    auth = opened()
    if mechanism == "CRAM-MD5":
        exchange = auth.exchange(attempt(mechanism))
        digest = hmac.digest(b"secret", await exchange.respond(None), "md5").hex()
        user = (await exchange.respond(f"{KIM} {digest}".encode())).user
    else:
        user, salt = await scram(auth, KIM, "secret", mechanism)
        assert salt.split(",i=") == [stored.split(",")[1], "4096"]
    assert user == await auth.verify(KIM, b"secret", attempt("PLAIN"))


async def test_the_end_of_scram_where_the_protocol_has_no_data_with_its_success(db: Sqlite, opened: Any) -> None:
    add(db)
    auth = opened()
    for answer in (b"", b"x"):
        client = ScramClient(["SCRAM-SHA-256"], KIM, SECRET)
        exchange = auth.exchange(attempt("SCRAM-SHA-256"))
        assert await exchange.respond(None) == b""
        client.set_server_first((await exchange.respond(client.get_client_first().encode())).decode())
        client.set_server_final((await exchange.respond(client.get_client_final().encode())).decode())
        if answer:
            with pytest.raises(SaslError):
                await exchange.respond(answer)
        else:
            assert (await exchange.respond(answer)).user.name == KIM
        assert exchange.authcid == KIM


async def test_users_that_do_not_exist_cannot_be_told_from_others(
    db: Sqlite, opened: Any, accounts: Opener, clock: Clock, tmp_path: Path
) -> None:
    add(db)
    add(db, "hashed", generate(SECRET.encode(), "SSHA512"))
    names = [KIM, "hashed@example.net", "nobody@example.net", "k/m@example.net", "other@example.net"]
    auth = opened()
    salts = [await salt_of(auth, name) for name in names]
    assert len(set(salts)) == len(names)
    assert {salt.partition("=")[2].partition(",")[2] for salt in salts} == {"i=4096"}
    assert {len(salt) for salt in salts} == {len(salts[0])}
    # Another process of this host says the same, another host something else.
    assert [await salt_of(opened(), name) for name in names] == salts
    assert not set(salts) & {await salt_of(opened(top=f'state_dir = "{tmp_path}/other"'), name) for name in names}
    for name in names[1:]:
        clock.slept.clear()
        with pytest.raises(AuthFailed) as caught:
            await scram(opened(), name, "wrong")
        assert type(caught.value) is AuthFailed
        assert clock.slept == [2.0]


async def test_an_exchange_that_is_over_is_over(db: Sqlite, opened: Any) -> None:
    add(db)
    auth = opened('mechanisms = ["PLAIN"]')
    for response, right in (
        (b"\0kim@example.net\0wrong", False),
        (f"\0{KIM}\0{SECRET}".encode(), True),
        (b"garbage", False),
    ):
        exchange = auth.exchange(attempt("PLAIN"))
        if right:
            assert (await exchange.respond(response)).user.name == KIM
        else:
            with pytest.raises(AuthFailed):
                await exchange.respond(response)
        with pytest.raises(SaslError):
            await exchange.respond(response)


async def test_the_key_of_the_host_is_made_when_it_is_needed(db: Sqlite, opened: Any, tmp_path: Path) -> None:
    add(db)
    auth = opened()
    await auth.verify(KIM, SECRET.encode(), attempt("PLAIN"))
    assert not (tmp_path / "state").exists()
    await scram(auth, KIM, SECRET)
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["auth.key"]


async def test_iterations_of_users_that_do_not_exist(db: Sqlite, opened: Any) -> None:
    auth = opened('mechanisms = ["SCRAM-SHA-256"]\nscram_iterations = 10000')
    assert (await salt_of(auth, "nobody@example.net")).endswith(",i=10000")
    with pytest.raises(ConfigError):
        opened("scram_iterations = 1000")


async def test_a_state_directory_that_cannot_be_written(db: Sqlite, opened: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    add(db)
    auth = opened(top=f'state_dir = "{tmp_path}/file"')
    assert (await scram(auth, KIM, SECRET))[0].name == KIM


async def test_scram_failures_cost_the_address(db: Sqlite, opened: Any, clock: Clock) -> None:
    add(db)
    auth = opened()
    for seconds in (2, 4, 8):
        before = clock.now
        with pytest.raises(AuthFailed):
            await scram(auth, KIM, "wrong")
        assert clock.now - before == seconds
    await scram(auth, KIM, SECRET)
    clock.slept.clear()
    await scram(auth, KIM, SECRET)
    assert clock.slept == []


async def test_a_malformed_response_costs_as_much(db: Sqlite, opened: Any, clock: Clock) -> None:
    auth = opened()
    for mechanism, responses in (
        ("PLAIN", [b"garbage"]),
        ("SCRAM-SHA-256", [b"garbage"]),
        ("SCRAM-SHA-256", [b"n,,n=kim,r=abc", b"garbage"]),
        ("CRAM-MD5", [b"an initial response"]),
        ("PLAIN", [b"x" * 8193]),
    ):
        exchange = auth.exchange(attempt(mechanism, remote=""))
        clock.slept.clear()
        for response in responses[:-1]:
            await exchange.respond(response)
        with pytest.raises(SaslError):
            await exchange.respond(responses[-1])
        assert clock.slept == [2.0]


async def test_what_the_row_says_counts_for_every_mechanism(db: Sqlite, opened: Any) -> None:
    add(db, "off", nologin="1", reason="on holiday")
    add(db, "old", expired="1")
    add(db, "near", nets="198.51.100.0/24")
    auth = opened()
    with pytest.raises(UserDisabled, match="on holiday"):
        await scram(auth, "off@example.net", SECRET)
    with pytest.raises(AuthFailed):
        await scram(auth, "off@example.net", "wrong")
    with pytest.raises(PasswordExpired):
        await scram(auth, "old@example.net", SECRET)
    with pytest.raises(PasswordExpired):
        await auth.verify("old@example.net", SECRET.encode(), attempt("PLAIN"))
    with pytest.raises(AddressNotAllowed):
        await scram(auth, "near@example.net", SECRET)
    assert await scram(auth, "near@example.net", SECRET, remote="198.51.100.9")


async def test_a_database_that_is_down(db: Sqlite, opened: Any) -> None:
    add(db)
    auth = opened()
    await scram(auth, KIM, SECRET)
    db.execute("DROP TABLE users")
    assert (await scram(auth, KIM, SECRET))[0].name == KIM  # the cache knows the row
    with pytest.raises(AuthUnavailable):
        await salt_of(auth, "ann@example.net")


async def test_a_stored_value_that_cannot_be_judged(db: Sqlite, opened: Any) -> None:
    add(db, password="{SCRAM-SHA-256}4096,c2FsdA==,short,short")
    with pytest.raises(AuthUnavailable):
        await salt_of(opened(), KIM)


async def test_channel_binding(db: Sqlite, opened: Any) -> None:
    add(db)
    auth = opened('mechanisms = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]')
    bound = FakeTls(tls_exporter=b"e" * 32, tls_server_end_point=b"c" * 32)
    unbound = FakeTls(tls_server_end_point=b"c" * 32)
    assert auth.mechanisms(True, bound) == ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]
    # Clients take tls-exporter or tls-unique when they see -PLUS, and fail where there is neither.
    assert auth.mechanisms(True, unbound) == auth.mechanisms(True) == ["SCRAM-SHA-256"]
    assert (await scram(auth, KIM, SECRET, "SCRAM-SHA-256-PLUS", bound))[0].name == KIM
    for tls, refused in ((bound, True), (unbound, False)):
        exchange = auth.exchange(attempt("SCRAM-SHA-256", tls))
        if refused:
            with pytest.raises(SaslError):
                await exchange.respond(b"y,,n=kim,r=abc")
        else:
            assert isinstance(await exchange.respond(b"y,,n=kim,r=abc"), bytes)


# CRAM-MD5


@pytest.mark.parametrize("stored", ["{PLAIN}" + SECRET, generate(SECRET.encode(), "CRAM-MD5")], ids=["plain", "own"])
async def test_cram_md5(db: Sqlite, opened: Any, clock: Clock, stored: str) -> None:
    add(db, password=stored)
    add(db, "hashed", generate(SECRET.encode(), "SSHA512"))
    auth = opened()
    for name, password, right in (
        ("kim", SECRET, True),
        ("kim", "wrong", False),
        ("nobody", SECRET, False),
        ("hashed", SECRET, False),
    ):
        exchange = auth.exchange(attempt("CRAM-MD5"))
        challenge = await exchange.respond(None)
        assert challenge.startswith(b"<")
        digest = hmac.digest(password.encode(), challenge, "md5").hex()
        response = f"{name}@example.net {digest}".encode()
        if right:
            assert (await exchange.respond(response)).user.name == KIM
        else:
            with pytest.raises(AuthFailed):
                await exchange.respond(response)


async def test_an_empty_first_response_where_the_server_speaks_first(opened: Any) -> None:
    """Exim's dovecot authenticator sends one when its client sent none."""
    auth = opened('mechanisms = ["LOGIN", "CRAM-MD5", "PLAIN"]')
    assert await auth.exchange(attempt("LOGIN")).respond(b"") == b"Username:"
    assert await auth.exchange(attempt("LOGIN")).respond(b"kim") == b"Password:"
    assert (await auth.exchange(attempt("CRAM-MD5")).respond(b"")).startswith(b"<")
    with pytest.raises(SaslError):
        await auth.exchange(attempt("PLAIN")).respond(b"")


# EXTERNAL


async def test_external(db: Sqlite, opened: Any, clock: Clock) -> None:
    add(db)
    add(db, "off", nologin="1")
    auth = opened('mechanisms = ["EXTERNAL"]\ncertificate_username = "emailAddress"', top="", tls=True)
    kim = FakeTls({"emailAddress": KIM, "commonName": "Kim"})
    assert auth.mechanisms(True, kim) == ["EXTERNAL"]
    assert auth.mechanisms(True) == auth.mechanisms(True, FakeTls({"commonName": KIM})) == []
    for authzid in (b"", KIM.encode(), b"KIM@example.net"):
        done = await auth.exchange(attempt("EXTERNAL", kim)).respond(authzid)
        assert done.user.name == KIM
    with pytest.raises(AuthFailed):
        await auth.exchange(attempt("EXTERNAL", kim)).respond(b"ann@example.net")
    for tls in (None, FakeTls(), FakeTls({"emailAddress": "nobody@example.net"})):
        with pytest.raises(AuthFailed):
            await auth.exchange(attempt("EXTERNAL", tls)).respond(b"")
    with pytest.raises(UserDisabled):
        await auth.exchange(attempt("EXTERNAL", FakeTls({"emailAddress": "off@example.net"}))).respond(b"")


# Master users


MASTERS = """
[[passdb]]
master = true
url = "%s"
query = "SELECT name AS user, password, nologin, nets AS allow_nets FROM masters WHERE name = '%%u'"
"""
SEPARATOR = 'mechanisms = ["PLAIN", "SCRAM-SHA-256"]\nmaster_user_separator = "*"\nusername_chars = ""'


@pytest.fixture
def masters(db: Sqlite, opened: Any) -> Any:
    db.execute(
        "CREATE TABLE masters (name TEXT, password TEXT, nologin TEXT, nets TEXT)",
        "INSERT INTO masters VALUES ('boss', '{PLAIN}master', NULL, NULL), ('off', '{PLAIN}master', '1', NULL), "
        "('near', '{PLAIN}master', NULL, '198.51.100.0/24')",
    )
    add(db)
    add(db, "closed", nologin="1")
    return lambda **named: opened(SEPARATOR, more=MASTERS % db.url, **named)


async def test_a_master_user_logs_in_as_another(masters: Any, clock: Clock) -> None:
    auth = masters()
    for authcid, authzid in (("kim@example.net*boss", ""), ("boss", KIM), ("Kim@Example.net*BOSS", KIM)):
        user = await auth.verify(authcid, b"master", attempt("PLAIN"), authzid)
        assert user.name == KIM
        assert user.home == Path("/var/vmail/example.net/kim")
        assert user.fields["master_user"] == "boss"
    assert (await scram(auth, "kim@example.net*boss", "master"))[0].fields["master_user"] == "boss"
    # An administrator opens closed accounts as well.
    assert (await auth.verify("closed@example.net*boss", b"master", attempt("PLAIN"))).name == "closed@example.net"
    assert "master_user" not in (await auth.verify(KIM, SECRET.encode(), attempt("PLAIN"))).fields
    assert clock.slept == []


@pytest.mark.parametrize(
    ("authcid", "password", "authzid"),
    [
        ("kim@example.net*boss", "wrong", ""),
        ("kim@example.net*boss", SECRET, ""),
        ("kim@example.net*nobody", "master", ""),
        ("closed@example.net*kim@example.net", SECRET, ""),  # a user is no master
        ("boss", "master", ""),  # a master is no user
        ("kim@example.net*boss", "master", "closed@example.net"),
        ("*boss", "master", ""),
        ("kim@example.net*", "master", ""),
        (KIM, SECRET, "closed@example.net"),
    ],
)
async def test_who_may_not_log_in_as_another(
    masters: Any, clock: Clock, authcid: str, password: str, authzid: str
) -> None:
    with pytest.raises(AuthFailed) as caught:
        await masters().verify(authcid, password.encode(), attempt("PLAIN"), authzid)
    assert type(caught.value) is AuthFailed
    assert clock.slept == [2.0]


async def test_what_is_told_to_a_master_alone(masters: Any) -> None:
    auth = masters()
    with pytest.raises(NotAuthorized) as caught:
        await auth.verify("nobody@example.net*boss", b"master", attempt("PLAIN"))
    assert (caught.value.user, caught.value.master) == ("nobody@example.net", "boss")
    with pytest.raises(UserDisabled):
        await auth.verify("kim@example.net*off", b"master", attempt("PLAIN"))
    with pytest.raises(AddressNotAllowed):
        await auth.verify("kim@example.net*near", b"master", attempt("PLAIN"))


async def test_a_certificates_name_is_one_name(masters: Any, opened: Any, db: Sqlite) -> None:
    """An authority that signs ``user*master`` makes nobody a master."""
    auth = opened(
        SEPARATOR.replace('"PLAIN"', '"EXTERNAL"'), more=MASTERS % db.url + f'[tls]\nclient_ca = "{__file__}"\n'
    )
    for name, authzid in (("kim@example.net*boss", b""), ("kim@example.net*boss", KIM.encode())):
        with pytest.raises(AuthFailed):
            await auth.exchange(attempt("EXTERNAL", FakeTls({"commonName": name}))).respond(authzid)
    done = await auth.exchange(attempt("EXTERNAL", FakeTls({"commonName": "boss"}))).respond(KIM.encode())
    assert (done.user.name, done.user.fields["master_user"]) == (KIM, "boss")


async def test_masters_are_no_users(masters: Any, opened: Any) -> None:
    auth = masters()
    assert [name async for name in auth.users()] == [KIM, "closed@example.net"]
    with pytest.raises(AuthFailed):
        await opened(SEPARATOR).verify("kim@example.net*boss", b"master", attempt("PLAIN"))
    with pytest.raises(ConfigError):
        opened(SEPARATOR, passdb=PASSDB + "\nmaster = true")


# Tokens


class Provider:
    """An identity provider: a key, and its published set in a file."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "jwks.json"
        self.key = ECKey.generate_key("P-256", {"kid": "one", "use": "sig", "alg": "ES256"})
        self.publish()

    def publish(self) -> None:
        self.path.write_text(json.dumps({"keys": [self.key.as_dict(private=False)]}))

    def token(self, header: Mapping[str, str] | None = None, **claims: Any) -> str:
        given = {
            "iss": "https://id.example.net",
            "aud": "mail",
            "exp": int(time.time()) + 300,
            "email": KIM,
            "scope": "openid mail",
        } | claims
        kept = {name: value for name, value in given.items() if value is not None}
        return jwt.encode({"alg": "ES256", "kid": "one", **(header or {})}, kept, self.key)

    def settings(self, more: str = "") -> str:
        return (
            f'mechanisms = ["OAUTHBEARER", "XOAUTH2"]\n[auth.oauth2]\njwks = "{self.path}"\nissuer = "https://id.example.net"\n'
            f'audience = ["mail"]\nscope = ["mail"]\n{more}'
        )


@pytest.fixture
def provider(tmp_path: Path) -> Provider:
    return Provider(tmp_path)


def bearer(mechanism: str, token: str, user: str = KIM) -> bytes:
    if mechanism == "XOAUTH2":
        return f"user={user}\x01auth=Bearer {token}\x01\x01".encode()
    return f"n,{f'a={user}' if user else ''},\x01auth=Bearer {token}\x01\x01".encode()


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
async def test_a_good_token(db: Sqlite, opened: Any, provider: Provider, mechanism: str) -> None:
    add(db)
    add(db, "off", nologin="1")
    auth = opened(provider.settings())
    assert auth.mechanisms(True) == ["OAUTHBEARER", "XOAUTH2"]
    assert auth.mechanisms(False) == []
    done = await auth.exchange(attempt(mechanism)).respond(bearer(mechanism, provider.token()))
    assert done.user.name == KIM
    disabled = bearer(mechanism, provider.token(email="off@example.net"), "off@example.net")
    with pytest.raises(UserDisabled):
        await auth.exchange(attempt(mechanism)).respond(disabled)


async def test_a_token_says_who_it_is(db: Sqlite, opened: Any, provider: Provider) -> None:
    add(db)
    done = (
        await opened(provider.settings())
        .exchange(attempt("OAUTHBEARER"))
        .respond(bearer("OAUTHBEARER", provider.token(), ""))
    )
    assert done.user.name == KIM


async def test_tokens_that_are_refused(
    db: Sqlite, opened: Any, provider: Provider, tmp_path: Path, clock: Clock
) -> None:
    add(db)
    other = Provider(tmp_path)  # has overwritten the file: these keys are not the published ones
    provider.publish()
    now = int(time.time())
    good = provider.token()
    refused: list[tuple[str, str]] = [
        (other.token(), KIM),
        (other.token(header={"kid": "two"}), KIM),
        (good[:-4] + "AAAA", KIM),
        ("a.b.c", KIM),
        ("bm90anNvbg.e30.", KIM),
        (provider.token(iss="https://id.example.org"), KIM),
        (provider.token(aud="web"), KIM),
        (provider.token(aud=["web", 7]), KIM),
        (provider.token(aud=None), KIM),
        (provider.token(exp=None), KIM),
        (provider.token(exp=now - 60), KIM),
        (provider.token(nbf=now + 600), KIM),
        (provider.token(email=None), KIM),
        (provider.token(email=["kim"]), KIM),
        (good, "ann@example.net"),
    ]
    refused.append((good, "closed@example.net*kim@example.net"))  # a token makes nobody a master
    separator = 'master_user_separator = "*"\nusername_chars = ""\n'
    auth = opened(separator + provider.settings(), more=MASTERS % db.url + "[tls]\n")
    for token, user in refused:
        exchange = auth.exchange(attempt("OAUTHBEARER", remote=""))
        assert await exchange.respond(bearer("OAUTHBEARER", token, user)) == (
            b'{"status": "invalid_token", "scope": "mail"}'
        ), token
        clock.slept.clear()
        with pytest.raises(AuthFailed):
            await exchange.respond(b"\x01")
        assert clock.slept == [2.0]
    exchange = auth.exchange(attempt("OAUTHBEARER"))
    narrow = provider.token(scope="openid")
    assert await exchange.respond(bearer("OAUTHBEARER", narrow)) == b'{"status": "insufficient_scope", "scope": "mail"}'


async def test_a_good_token_of_nobody(db: Sqlite, opened: Any, provider: Provider) -> None:
    auth = opened(provider.settings())
    with pytest.raises(AuthFailed):
        await auth.exchange(attempt("XOAUTH2")).respond(bearer("XOAUTH2", provider.token()))


async def test_keys_that_cannot_be_read_are_a_temporary_failure(db: Sqlite, opened: Any, provider: Provider) -> None:
    add(db)
    token = provider.token()
    provider.path.unlink()
    with pytest.raises(AuthUnavailable):
        await opened(provider.settings()).exchange(attempt("XOAUTH2")).respond(bearer("XOAUTH2", token))
    provider.publish()
    with pytest.raises(AuthUnavailable):
        await (
            opened(provider.settings('max_jwks = "10"')).exchange(attempt("XOAUTH2")).respond(bearer("XOAUTH2", token))
        )
