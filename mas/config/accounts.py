"""Sections about accounts: how users prove who they are, and where their homes are."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, field_validator

from mas.config.listeners import UnixSocket
from mas.config.section import Section, written
from mas.config.values import Count, Duration, Network, Positive, Size, SystemAccount, Template, one_of

MECHANISMS = (
    "PLAIN",
    "LOGIN",
    "SCRAM-SHA-256",
    "SCRAM-SHA-256-PLUS",
    "SCRAM-SHA-1",
    "SCRAM-SHA-1-PLUS",
    "OAUTHBEARER",
    "XOAUTH2",
    "EXTERNAL",
    "CRAM-MD5",
)
SIGNATURES = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
"""Algorithms of tokens: with public keys only."""
SCHEMES = (
    "ARGON2I",
    "ARGON2ID",
    "BLF-CRYPT",
    "SHA512-CRYPT",
    "SHA256-CRYPT",
    "MD5-CRYPT",
    "DES-CRYPT",
    "CRYPT",
    "MD5",
    "PBKDF2",
    "SCRAM-SHA-1",
    "SCRAM-SHA-256",
    "SHA",
    "SHA1",
    "SHA256",
    "SHA512",
    "SSHA",
    "SSHA256",
    "SSHA512",
    "SMD5",
    "LDAP-MD5",
    "PLAIN-MD4",
    "PLAIN-MD5",
    "CRAM-MD5",
    "HMAC-MD5",
    "DIGEST-MD5",
    "PLAIN",
    "CLEAR",
    "CLEARTEXT",
    "PLAIN-TRUNC",
)
"""Dovecot's names of password schemes; a suffix ``.B64``, ``.BASE64`` or ``.HEX`` says how the hash is written."""

_DATABASES = ("mysql+aiomysql", "postgresql+asyncpg", "sqlite+aiosqlite")
_SHORT_DATABASES = {
    "mysql": "mysql+aiomysql",
    "mariadb": "mysql+aiomysql",
    "mariadb+aiomysql": "mysql+aiomysql",
    "postgresql": "postgresql+asyncpg",
    "pgsql": "postgresql+asyncpg",
    "sqlite": "sqlite+aiosqlite",
}

_POSTFIX_AUTH = {"path": "/var/spool/postfix/private/auth", "mode": "0660", "user": "postfix", "group": "postfix"}


def _database_url(url: SecretStr) -> SecretStr:
    scheme, colon, rest = url.get_secret_value().partition("://")
    scheme = _SHORT_DATABASES.get(scheme, scheme)
    if not colon or scheme not in _DATABASES:
        raise ValueError(f"a database URL that begins with {', '.join(d + '://' for d in _DATABASES)}")
    return SecretStr(f"{scheme}://{rest}")


DatabaseUrl = Annotated[SecretStr, AfterValidator(_database_url)]
"""An SQLAlchemy URL with an async driver; it holds a password."""


class AuthSocket(UnixSocket):
    """A socket of Dovecot's authentication protocol. ``client``: programs check passwords by it; ``userdb``: programs of this host ask it
    where users' mail is, and may list all users."""

    type: Annotated[Literal["client", "userdb"], one_of("client", "userdb")] = "client"


class OAuth2(Section):
    """Tokens of an identity provider, for OAUTHBEARER and XOAUTH2."""

    jwks: str = ""
    issuer: str = ""
    audience: tuple[str, ...] = ()
    scope: tuple[str, ...] = ()
    username_claim: str = written("email", min_length=1)
    algorithms: tuple[Annotated[str, one_of(*SIGNATURES)], ...] = written(("RS256", "ES256"), min_length=1)
    openid_configuration: str = ""
    leeway: Duration = written("10s")
    refresh: Duration = written("1h")
    timeout: Duration = written("5s")
    max_jwks: Size = written("256K")

    @field_validator("jwks")
    @classmethod
    def _place(cls, value: str) -> str:
        scheme, found, rest = value.partition("://")
        host = rest.partition("/")[0].rpartition(":")[0] or rest.partition("/")[0]
        if found and scheme != "https" and not (scheme == "http" and host in ("127.0.0.1", "[::1]", "localhost")):
            raise ValueError("a path, or an address that begins with https:// (http:// only of this host)")
        if value and not found and not value.startswith("/"):
            raise ValueError("an absolute path, or an address that begins with https://")
        return value


class Auth(Section):
    """Logins: mechanisms, the form of user names, the cache of looked-up accounts, and what failed logins cost."""

    mechanisms: tuple[Annotated[str, one_of(*MECHANISMS)], ...] = written(("PLAIN", "LOGIN"), min_length=1)
    username_format: Template = "%Lu"
    username_chars: str = "a-zA-Z0-9.-_@"
    failure_delay: Duration = written("2s", le=8)
    penalty: bool = True
    login_trusted_networks: tuple[Network, ...] = ()
    cache_size: Size = written("10M")
    cache_ttl: Duration = written("1h")
    cache_negative_ttl: Duration = written("1m")
    timeout: Duration = written("6s")
    workers: Count = 0
    queue: Positive = 256
    max_connections: Positive = 1000
    max_response: Size = written("8K")
    max_line: Size = written("16K")
    max_requests: Positive = 1000
    request_timeout: Duration = written("150s")
    master_user_separator: str = written("", max_length=1)
    scram_iterations: int = Field(default=4096, ge=4096, le=1_000_000)
    certificate_username: str = written("commonName", min_length=1)
    oauth2: OAuth2 = OAuth2()
    socket: tuple[AuthSocket, ...] = written((_POSTFIX_AUTH,))


class Passdb(Section):
    """A database of passwords. ``query`` gives ``password``, and ``user`` or ``username`` and ``domain``."""

    driver: Annotated[Literal["sql"], one_of("sql")] = "sql"
    url: DatabaseUrl
    master: bool = False
    max_connections: Positive = 10
    default_scheme: str = "SHA512-CRYPT"
    query: Template = "SELECT username, domain, password FROM users WHERE username = '%n' AND domain = '%d'"
    iterate_query: Template = "SELECT username, domain FROM users"

    @field_validator("default_scheme")
    @classmethod
    def _scheme(cls, value: str) -> str:
        name, dot, encoding = value.upper().partition(".")
        if name in SCHEMES and (not dot or encoding in ("B64", "BASE64", "HEX")):
            return value.upper()
        raise ValueError(unknown(value, SCHEMES, "password scheme"))


class Userdb(Section):
    """Where a user's home is: a pattern (static), a query (sql), or fields of the passdb's answer (prefetch)."""

    driver: Annotated[Literal["static", "sql", "prefetch"], one_of("static", "sql", "prefetch")] = "static"
    url: DatabaseUrl | None = None
    max_connections: Positive = 10
    query: Template = ""
    iterate_query: Template = ""
    uid: SystemAccount | None = None
    gid: SystemAccount | None = None
    home: Template = ""
    allow_all_users: bool = False


def unknown(value: str, names: tuple[str, ...], what: str) -> str:
    """The sentence for a value that is in no list, with the nearest one that is."""
    import difflib

    near = difflib.get_close_matches(value.upper(), names, 1, 0.6)
    return f'"{value}" is no known {what}' + (f'; did you mean "{near[0]}"?' if near else "")
