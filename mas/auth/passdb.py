"""[[passdb]]: one query for a password, its cache, and the check of a password against what it gave.

Dovecot's meanings: no row = unknown user; two rows, or a row without the column ``password`` = the operator's mistake, a temporary failure
with a log line; NULL password = no password fits, unless ``nopassword`` says that every one does; a boolean column is true when it is not
NULL, also when it is 0. ``user`` replaces the login name, ``username`` its local part, ``domain`` its domain.
"""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from mas import variables
from mas.auth.cache import Cache, Entry
from mas.auth.database import Database, Row
from mas.auth.hashing import HashPool
from mas.auth.interface import Attempt
from mas.auth.penalty import mapped
from mas.auth.query import Query
from mas.auth.schemes import SchemeError, Stored, split
from mas.errors import AuthUnavailable

log = structlog.get_logger(area="auth")

KNOWN: Final = frozenset(
    {"password", "user", "username", "domain", "allow_nets", "nologin", "reason", "nopassword", "pass_expired"}
)
"""Columns with a meaning, beside ``userdb_*``."""


class Verdict(enum.Enum):
    """What one passdb says of a login."""

    MATCH = "match"
    MISMATCH = "mismatch"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Answer:
    """A verdict and, unless UNKNOWN, the row behind it. ``user`` is the name as this database has it."""

    verdict: Verdict
    user: str
    row: Row


class SqlPassdb:
    """``driver = "sql"``."""

    def __init__(
        self,
        key: str,
        database: Database,
        query: str,
        iterate_query: str,
        scheme: str,
        cache: Cache,
        pool: HashPool,
        *,
        master: bool = False,
    ) -> None:
        """key: where it stands in the configuration (``passdb[1]``). master: it holds users who may act as others, and only they. Raises
        ConfigError."""
        self.key = key
        self.master = master
        self.database = database
        self.iterate: Query | None = database.compile(iterate_query, f"{key}.iterate_query") if iterate_query else None
        self.gives_userdb_fields = "userdb_" in query.lower()
        self._query = database.compile(query, f"{key}.query")
        self.scheme = scheme
        self._cache = cache
        self._pool = pool
        self._like: Stored | None = None
        self._ignored_said = False

    def proven(self, name: str, password: bytes, attempt: Attempt) -> Row | None:
        """The row of a pair that the cache knows as right: no database, no hash, no waiting."""
        entry = self._cache.get(self._cache_key(name, self._values(name, attempt)))
        if entry is None or not entry.row or not self._cache.is_fresh(entry):
            return None
        return entry.row if self._cache.is_proven(entry, password, entry.row.get("password", "")) else None

    async def verify(self, name: str, password: bytes, attempt: Attempt) -> Answer:
        """Check a login name (after ``username_format``). Raises AuthUnavailable; costs a hash for an unknown user as well."""
        values = self._values(name, attempt)
        key = self._cache_key(name, values)
        entry = self._cache.get(key)
        judged = ""
        if entry is not None and self._cache.is_fresh(entry):
            answer = await self._judge(name, password, entry)
            if answer.verdict is not Verdict.MISMATCH:
                return answer
            judged = entry.row.get("password", "") if entry.row else ""
        stale = entry
        try:
            entry = self._cache.put(key, await self._fetch(values))
        except AuthUnavailable:
            if stale is None or judged:
                # ``judged``: the kept password was compared and is another one. It may have been changed: who knows.
                raise
            return await self._judge(name, password, stale)
        if judged and entry.row and entry.row.get("password") == judged:
            return Answer(Verdict.MISMATCH, _user(name, entry.row), entry.row)
        return await self._judge(name, password, entry)

    async def lookup(self, name: str, service: str) -> Answer | None:
        """The row of a user without a password check; None: unknown. Raises AuthUnavailable."""
        values = variables.values_of(name, service=service)
        key = self._cache_key(name, values)
        entry = self._cache.get(key)
        if entry is None or not self._cache.is_fresh(entry):
            try:
                entry = self._cache.put(key, await self._fetch(values))
            except AuthUnavailable:
                if entry is None:
                    raise
        return Answer(Verdict.MATCH, _user(name, entry.row), entry.row) if entry.row is not None else None

    async def secret(self, name: str, attempt: Attempt) -> Answer | None:
        """The row of a user whose secret a mechanism asks for; None: unknown. Always the database's word, since a wrong proof cannot be
        tried again with it; the cache serves while the database is down. Raises AuthUnavailable."""
        values = self._values(name, attempt)
        key = self._cache_key(name, values)
        kept = self._cache.get(key)
        try:
            entry = self._cache.put(key, await self._fetch(values))
        except AuthUnavailable:
            if kept is None:
                raise
            entry = kept
        if kept is not None and kept.row == entry.row:
            entry.proof = kept.proof  # what is known of the password stays known
        return Answer(Verdict.MATCH, _user(name, entry.row), entry.row) if entry.row is not None else None

    async def pretend(self) -> None:
        """Spend what a wrong password costs here."""
        await self._pool.pretend(self.scheme, self._like)

    def _values(self, name: str, attempt: Attempt) -> dict[str, str]:
        return variables.values_of(name, service=attempt.service, remote_ip=attempt.remote, local_ip=attempt.local)

    def _cache_key(self, name: str, values: Mapping[str, str]) -> tuple[str, ...]:
        return (self.key, name, *(values[v] for v in sorted(self._query.names - {"user", "username", "domain"})))

    async def _fetch(self, values: Mapping[str, str]) -> Row | None:
        rows = await self.database.fetch(self._query, values)
        if not rows:
            return None
        if len(rows) > 1:
            log.error("password query gave more than one row", passdb=self.key, user=values["user"])
            raise AuthUnavailable(f"{self.key}: more than one row")
        self._say_ignored(rows[0])
        return rows[0]

    def _say_ignored(self, row: Row) -> None:
        if self._ignored_said:
            return
        self._ignored_said = True
        ignored = sorted(name for name in row if name not in KNOWN and not name.startswith("userdb_"))
        if ignored:
            log.info("columns of the password query without a meaning here", passdb=self.key, columns=ignored)

    async def _judge(self, name: str, password: bytes, entry: Entry) -> Answer:
        row = entry.row
        if row is None:
            await self.pretend()
            return Answer(Verdict.UNKNOWN, name, {})
        user = _user(name, row)
        text = row.get("password")
        if "nopassword" in row and not text:
            return Answer(Verdict.MATCH, user, row)
        if text is None:
            await self.pretend()
            return Answer(Verdict.MISMATCH, user, row)
        if self._cache.is_proven(entry, password, text):
            return Answer(Verdict.MATCH, user, row)
        stored = split_logged(text, self.scheme, user, self.key)
        try:
            right = await self._pool.verify(password, stored, user)
        except SchemeError as error:
            log.error("stored password cannot be judged", passdb=self.key, user=user, reason=str(error))
            raise AuthUnavailable(f"{self.key}: {error}") from None
        self._like = stored
        if right:
            self._cache.prove(entry, password, text)
        return Answer(Verdict.MATCH if right else Verdict.MISMATCH, user, row)


def split_logged(text: str, scheme: str, user: str, key: str) -> Stored:
    """``schemes.split``, whose failure is a temporary one for the user and a line for the operator."""
    try:
        return split(text, scheme)
    except SchemeError as error:
        log.error("stored password cannot be judged", passdb=key, user=user, reason=str(error))
        raise AuthUnavailable(f"{key}: {error}") from None


def _user(name: str, row: Row) -> str:
    """The user name as the row gives it, Dovecot's way."""
    user = row.get("user") or name
    if "username" in row:
        local_part, at, domain = row["username"].partition("@")
        user = local_part + (at + domain if at else "".join(user.partition("@")[1:]))
    if "domain" in row:
        local_part = user.partition("@")[0]
        user = f"{local_part}@{row['domain']}" if row["domain"] else local_part
    return user


def is_allowed(allow_nets: str, remote: str) -> bool:
    """``allow_nets``: addresses and networks between commas; ``local`` stands for a peer without an address. Wrong items match nothing."""
    items = [item.strip() for item in allow_nets.split(",") if item.strip()]
    if not remote:
        return "local" in items
    try:
        address = mapped(ipaddress.ip_address(remote))
    except ValueError:
        return False
    for item in items:
        try:
            network = ipaddress.ip_network(item, strict=False)
        except ValueError:
            continue
        if network.version == address.version and address in network:
            return True
    return False
