"""The Authenticator of a MAS host: passdbs and userdbs in order, the cache, the price of failures.

How a login goes is ``mas.auth.login``; here is what it is made of, and the look-up of accounts without one.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import structlog

from mas import variables
from mas.auth.cache import Cache
from mas.auth.database import Database, Row
from mas.auth.exchange import SaslExchange
from mas.auth.hashing import HashPool
from mas.auth.host_key import load_host_key
from mas.auth.interface import Attempt, CounterStore, Tls
from mas.auth.login import Login
from mas.auth.passdb import Answer, SqlPassdb
from mas.auth.penalty import LocalCounters, Penalty
from mas.auth.query import Query
from mas.auth.userdb import PrefetchUserdb, SqlUserdb, StaticUserdb, Userdb, make_user, prefetched, require
from mas.config import Config
from mas.errors import AuthUnavailable, ConfigError, UserUnknown
from mas.user import User

if TYPE_CHECKING:
    from mas.auth.tokens import Tokens

log = structlog.get_logger(area="auth")

MAX_NAME: Final = 320
"""Octets of a user name: local part 64, "@", domain 255 [RFC5321 4.5.3.1]."""

Sleep = Callable[[float], Awaitable[None]]


def open_authenticator(
    config: Config,
    counters: CounterStore | None = None,
    *,
    sleep: Sleep = asyncio.sleep,
    clock: Callable[[], float] = time.monotonic,
    penalty: bool = True,
) -> Accounts:
    """The authenticator of a configuration; one a worker, made and used on its loop. Connects at the first login.

    counters: shared counts of failed logins; without it, this process's own. penalty=False: for commands. Raises ConfigError.
    """
    return Accounts(config, counters or LocalCounters(), sleep, clock, penalty=penalty)


class Accounts:
    """Implements ``mas.auth.interface.Authenticator``."""

    def __init__(
        self, config: Config, counters: CounterStore, sleep: Sleep, clock: Callable[[], float], *, penalty: bool = True
    ) -> None:
        auth = config.auth
        self._format = auth.username_format
        self._allowed = _characters(auth.username_chars)
        self._mechanisms = auth.mechanisms
        self._location = config.mail.location
        self._hostname = config.hostname
        self._max_response = auth.max_response
        self.master_user_separator = auth.master_user_separator
        self.scram_iterations = auth.scram_iterations
        self.certificate_username = auth.certificate_username
        self._state_dir = config.state_dir
        self._host_key = b""
        self.tokens: Tokens | None = None
        if auth.oauth2.jwks:
            from mas.auth import tokens  # slow to import, and few have it

            self.tokens = tokens.Tokens(auth.oauth2)
        self._oauth_hints = {
            key: value
            for key, value in (
                ("scope", " ".join(auth.oauth2.scope)),
                ("openid-configuration", auth.oauth2.openid_configuration),
            )
            if value
        }
        self.sleep = sleep
        self.clock = clock
        self._limit = auth.queue
        self._working = 0
        self.cache = Cache(auth.cache_size, auth.cache_ttl, auth.cache_negative_ttl)
        self.pool = HashPool(auth.workers, auth.queue)
        self.penalty = Penalty(
            counters,
            failure_delay=auth.failure_delay,
            on=auth.penalty and penalty,
            trusted=auth.login_trusted_networks,
        )
        self._databases: dict[str, Database] = {}
        self.passdbs = [
            SqlPassdb(
                f"passdb[{index}]",
                self._database(passdb.url.get_secret_value(), passdb.max_connections, auth.timeout),
                passdb.query,
                passdb.iterate_query,
                passdb.default_scheme,
                self.cache,
                self.pool,
                master=passdb.master,
            )
            for index, passdb in enumerate(config.passdb, 1)
        ]
        self.userdbs: list[Userdb] = []
        for index, userdb in enumerate(config.userdb, 1):
            if userdb.driver == "static":
                self.userdbs.append(
                    StaticUserdb(userdb.home, userdb.uid, userdb.gid, allow_all_users=userdb.allow_all_users)
                )
            elif userdb.driver == "prefetch":
                self.userdbs.append(PrefetchUserdb())
            else:
                passwords = [passdb.url for passdb in config.passdb if not passdb.master]
                if userdb.url is None and not passwords:
                    raise ConfigError([f"userdb[{index}].url: is required without a [[passdb]]"])
                url = (userdb.url or passwords[0]).get_secret_value()
                database = self._database(url, userdb.max_connections, auth.timeout)
                key = f"userdb[{index}]"
                self.userdbs.append(SqlUserdb(key, database, userdb.query, userdb.iterate_query, self.cache))

    def _database(self, url: str, connections: int, timeout: float) -> Database:
        """One pool a URL."""
        if url not in self._databases:
            self._databases[url] = Database(url, connections=connections, timeout=timeout)
        return self._databases[url]

    def mechanisms(self, secured: bool, tls: Tls | None = None) -> Sequence[str]:
        """As in Authenticator."""
        return [
            name
            for name in self._mechanisms
            if secured
            and not (name.endswith("-PLUS") and not _binds(tls))
            and not (name == "EXTERNAL" and (tls is None or tls.certificate_name(self.certificate_username) is None))
        ]

    def exchange(self, attempt: Attempt, *, success_data: bool = False) -> SaslExchange:
        """As in Authenticator."""
        return SaslExchange(
            attempt,
            Login(self, attempt),
            hostname=self._hostname,
            max_response=self._max_response,
            success_data=success_data,
            plus=f"{attempt.mechanism}-PLUS" in self.mechanisms(attempt.secured, attempt.tls),
            oauth_hints=self._oauth_hints,
        )

    def name_of(self, given: str) -> str | None:
        """The name to look up for what a client or a sender wrote; None when it can be nobody's."""
        if not given or len(given.encode("utf-8", "replace")) > MAX_NAME or not given.isprintable():
            return None
        if self._allowed is not None and not self._allowed.issuperset(given):
            return None
        return variables.expand(self._format, variables.values_of(given)) or None

    async def verify(self, authcid: str, password: bytes, attempt: Attempt, authzid: str = "") -> User:
        """As in Authenticator."""
        return await Login(self, attempt).password(authcid, password, authzid)

    async def host_key(self) -> bytes:
        """The secret of this host that made-up salts come from. Read when it is first needed: a command that root runs must not make a
        file that the workers cannot read."""
        if not self._host_key:
            found = await asyncio.to_thread(load_host_key, self._state_dir)
            self._host_key = self._host_key or found
        return self._host_key

    @contextmanager
    def working(self) -> Iterator[None]:
        """While a login is at the databases. Raises AuthUnavailable when too many are."""
        if self._working >= self._limit:
            raise AuthUnavailable(f"auth.queue = {self._limit} is exceeded")
        self._working += 1
        try:
            yield
        finally:
            self._working -= 1

    async def lookup(self, name: str, service: str) -> User:
        """As in Authenticator."""
        formatted = self.name_of(name)
        if formatted is None:
            raise UserUnknown(name)
        return await self.user(formatted, service, None)

    async def user(self, name: str, service: str, answer: Answer | None) -> User:
        """The first userdb's user. ``answer`` is the passdb's, after a login. Raises UserUnknown, AuthUnavailable."""
        unavailable: AuthUnavailable | None = None
        for index, userdb in enumerate(self.userdbs):
            try:
                found = answer
                if found is None and self._asks_passdb(userdb, last=index == len(self.userdbs) - 1):
                    found = await self._passdb_row(name, service)
                    if found is None and not (isinstance(userdb, StaticUserdb) and userdb.allow_all_users):
                        continue
                user = found.user if found else name
                given: Row = prefetched(found.row) if found else {}
                fields = await userdb.fields(user, service, given)
                if fields is not None:
                    return make_user(user, require(fields, user), self._location, service)
            except AuthUnavailable as error:
                unavailable = error
        if unavailable is not None:
            raise unavailable
        raise UserUnknown(name)

    def _asks_passdb(self, userdb: Userdb, *, last: bool) -> bool:
        """Whether a look-up without a login needs the passdb's row: to know whether the user exists (static), or for ``userdb_*``.

        Dovecot's prefetch never answers such a look-up; here it does when no other userdb follows that could.
        """
        if isinstance(userdb, StaticUserdb):
            return not userdb.allow_all_users or any(db.gives_userdb_fields for db in self.passdbs if not db.master)
        return isinstance(userdb, PrefetchUserdb) and last

    async def _passdb_row(self, name: str, service: str) -> Answer | None:
        """The first passdb's row; None: unknown in all. Raises AuthUnavailable when one that could know does not answer."""
        unavailable: AuthUnavailable | None = None
        for passdb in self.passdbs:
            if passdb.master:
                continue
            try:
                answer = await passdb.lookup(name, service)
            except AuthUnavailable as error:
                unavailable = error
                continue
            if answer is not None:
                return answer
        if unavailable is not None:
            raise unavailable
        return None

    async def users(self) -> AsyncIterator[str]:
        """As in Authenticator: the userdbs' ``iterate_query``, else the passdbs'. Each name once."""
        queries: list[tuple[Database, Query]] = [
            (db.database, db.iterate) for db in self.userdbs if isinstance(db, SqlUserdb) and db.iterate is not None
        ] or [(db.database, db.iterate) for db in self.passdbs if db.iterate is not None and not db.master]
        if not queries:
            raise ConfigError(["passdb.iterate_query: is needed to list the users"])
        seen: set[str] = set()
        for database, query in queries:
            for row in await database.fetch(query, variables.values_of(""), limit=0):
                name = row.get("user") or row.get("username", "")
                if "user" not in row and row.get("domain") and "@" not in name:
                    name = f"{name}@{row['domain']}"
                if name and name not in seen:
                    seen.add(name)
                    yield name

    def flush(self, given: str = "") -> None:
        """Forget what the databases said of a user, or of all."""
        forgotten = self.cache.flush((self.name_of(given) or given) if given else "")
        log.info("cache flushed", user=given or None, entries=forgotten)

    async def unreachable(self, within: float) -> list[str]:
        """Databases that have not answered within the last ``within`` seconds and do not answer now; for a health check."""
        asked = [db for db in self._databases.values() if time.monotonic() - db.answered > within]
        answers = await asyncio.gather(*(db.ping() for db in asked), return_exceptions=True)
        return [str(db) for db, answer in zip(asked, answers, strict=True) if isinstance(answer, Exception)]

    async def close(self) -> None:
        """As in Authenticator."""
        self.pool.close()
        for database in self._databases.values():
            await database.close()


def _binds(tls: Tls | None) -> bool:
    """Whether clients can bind by the type that they take by default [RFC9266 3]: one that offers only ``tls-server-end-point`` would
    make those fail that could well log in without binding."""
    return tls is not None and (tls.binding("tls-exporter") or tls.binding("tls-unique")) is not None


def _characters(spec: str) -> frozenset[str] | None:
    """``a-zA-Z0-9.-_@``: a range only between two letters or two digits, so that ``.-_`` is three characters. None: all."""
    if not spec:
        return None
    found: set[str] = set()
    for part in re.findall(r"[a-z]-[a-z]|[A-Z]-[A-Z]|[0-9]-[0-9]|.", spec, re.DOTALL):
        found.update(map(chr, range(ord(part[0]), ord(part[-1]) + 1)))
    return frozenset(found)
