"""[[userdb]]: where a user's home is, and what else the databases say of it. Static pattern, SQL query, or the passdb's ``userdb_*``.

Promise: no name leads out of the pattern's directory. A variable that expands to nothing, ``.``, ``..`` or something with a slash makes a
static userdb say that there is no such user: ``/var/vmail/%d/%n`` must not become ``/var/vmail/../etc`` nor, for a name without a domain,
some other domain's directory.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final, Protocol

import structlog

from mas import variables
from mas.auth.cache import Cache
from mas.auth.database import Database, Row
from mas.auth.query import Query
from mas.errors import AuthUnavailable, UserUnknown
from mas.user import User

log = structlog.get_logger(area="auth")

_QUOTA_RULE: Final = re.compile(r"quota\d*_rule\d*\Z")
_PREFIX: Final = "userdb_"


def prefetched(row: Mapping[str, str]) -> Row:
    """The ``userdb_*`` columns of a passdb's row, without the prefix."""
    return {name[len(_PREFIX) :]: value for name, value in row.items() if name.startswith(_PREFIX)}


class Userdb(Protocol):
    """One ``[[userdb]]``."""

    async def fields(self, name: str, service: str, given: Row) -> Row | None:
        """home, uid, mail, … of ``name``; None when this userdb does not know it. ``given``: what the passdb said of it already.
        Raises AuthUnavailable."""
        ...


class StaticUserdb:
    """``driver = "static"``: the same pattern for everybody. Whether the user exists is the caller's to ask (``allow_all_users``)."""

    def __init__(self, home: str, uid: str | None, gid: str | None, *, allow_all_users: bool) -> None:
        self.allow_all_users = allow_all_users
        self._home = home
        self._parts = variables.parse(home)
        self._ids = {key: value for key, value in (("uid", uid), ("gid", gid)) if value}

    async def fields(self, name: str, service: str, given: Row) -> Row | None:
        """The pattern's fields over the given ones."""
        values = variables.values_of(name, service=service)
        if not _fits(self._parts, values):
            log.info("name does not fit the pattern of userdb.home", user=name)
            return None
        return {**given, **self._ids, "home": variables.expand(self._home, values)}


def _fits(path: Sequence[str | variables.Variable], values: Mapping[str, str], *, empty: bool = False) -> bool:
    """Whether the variables of a path stay where they stand, whole and after their modifiers (``%2n`` of ``..kim`` is ``..``).
    ``empty``: they may also be nothing."""
    for part in path:
        if isinstance(part, variables.Variable) and part.name not in ("service", "home", "rip", "lip"):
            whole, text = values[part.name], part.of(values)
            if not (_is_plain(whole) or (empty and not whole)) or (text and not _is_plain(text)):
                return False
    return True


def _is_plain(text: str) -> bool:
    """One name of a directory, and not one that leads elsewhere."""
    return text not in ("", ".", "..") and "/" not in text and text.isprintable()


class PrefetchUserdb:
    """``driver = "prefetch"``: the passdb's query gave it all. Knows nobody that the passdb said nothing of."""

    async def fields(self, name: str, service: str, given: Row) -> Row | None:
        """The given fields, if there are any."""
        return given or None


class SqlUserdb:
    """``driver = "sql"``."""

    def __init__(self, key: str, database: Database, query: str, iterate_query: str, cache: Cache) -> None:
        """key: where it stands in the configuration (``userdb[1]``). Raises ConfigError."""
        self.key = key
        self.database = database
        self.iterate: Query | None = database.compile(iterate_query, f"{key}.iterate_query") if iterate_query else None
        self._query = database.compile(query, f"{key}.query")
        self._cache = cache

    async def fields(self, name: str, service: str, given: Row) -> Row | None:
        """The row's columns over the given ones."""
        values = variables.values_of(name, service=service)
        key = (self.key, name, *(values[v] for v in sorted(self._query.names - {"user", "username", "domain"})))
        entry = self._cache.get(key)
        if entry is None or not self._cache.is_fresh(entry):
            try:
                rows = await self.database.fetch(self._query, values)
            except AuthUnavailable:
                if entry is None:
                    raise
            else:
                if len(rows) > 1:
                    log.error("user query gave more than one row", userdb=self.key, user=name)
                    raise AuthUnavailable(f"{self.key}: more than one row")
                entry = self._cache.put(key, rows[0] if rows else None)
        return None if entry.row is None else {**given, **entry.row}


def make_user(name: str, fields: Row, location: str, service: str) -> User:
    """A User of a userdb's fields; ``location`` is the configured ``mail.location``, for those without a ``mail`` field.

    Raises AuthUnavailable, after a line in the log, when the databases give no absolute home: the operator's mistake, not the user's.
    UserUnknown when the name would lead out of the location.
    """
    return _user(name, tuple(fields.items()), location, service)


@lru_cache(maxsize=1024)
def _user(name: str, items: tuple[tuple[str, str], ...], location: str, service: str) -> User:
    """Remembered, since each delivery makes its users anew of the same rows."""
    fields = dict(items)
    home = fields.get("home", "")
    if not home.startswith("/") or "\0" in home or "/../" in f"{home}/":
        log.error("the user databases give no usable home", user=name, home=home)
        raise AuthUnavailable(f"{name}: no absolute home")
    values = variables.values_of(name, home=home, service=service)
    template = fields.get("mail") or location
    try:
        if not _fits(variables.parse(template), values, empty=True):
            log.info("name does not fit the mail location", user=name)
            raise UserUnknown(name)
        expanded = re.sub(r"(?:(?<=[:=])|^)~(?=[/:]|\Z)", lambda _: home, variables.expand(template, values))
    except ValueError as error:
        log.error("the user databases give a wrong mail location", user=name, reason=str(error))
        raise AuthUnavailable(f"{name}: mail location: {error}") from None
    rules = {key: value for key, value in fields.items() if _QUOTA_RULE.match(key)}
    rest = {key: value for key, value in fields.items() if key not in rules and key not in ("home", "mail")}
    return User(name, Path(home), expanded, rules, rest)


def require(fields: Row | None, name: str) -> Row:
    """The fields, or UserUnknown."""
    if fields is None:
        raise UserUnknown(name)
    return fields
