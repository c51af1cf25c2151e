"""MAS's own table of accounts, for hosts that have none yet: what ``mas user`` and ``mas demo`` write.

The default ``passdb.query`` works on it; ``QUERY`` reads all that it holds. Local part and domain are columns of their own, so that an
operator's other tables (aliases, domains) can refer to them. ``nologin`` is NULL or the text ``Y``: a query takes every value that is not
NULL for yes. Must not know: how passwords are verified.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Column, DateTime, MetaData, String, Table, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.schema import CreateTable

from mas.auth.database import Database
from mas.auth.schemes import SchemeError, split
from mas.errors import MasError, UserUnknown

QUERY: Final = (
    "SELECT username, domain, password, nologin, reason, quota_rule AS userdb_quota_rule "
    "FROM users WHERE username = '%n' AND domain = '%d'"
)

TABLE: Final = Table(
    "users",
    MetaData(),
    Column("username", String(64), primary_key=True),
    Column("domain", String(255), primary_key=True),
    Column("password", String(512), nullable=False),
    Column("quota_rule", String(255)),
    Column("nologin", String(1)),
    Column("reason", String(255)),
    Column("created", DateTime, server_default=func.now(), nullable=False),
    # Names compare octet for octet: "jose" and "josé" are two users. username_format = "%Lu" makes case no matter.
    mysql_charset="utf8mb4",
    mysql_collate="utf8mb4_bin",
    mysql_engine="InnoDB",
)


class AccountExists(MasError):
    """``mas user add`` of a name that is there."""


class BadAccountName(MasError):
    """A name that no account can have."""


@dataclass(frozen=True, slots=True)
class Account:
    """A row. ``scheme`` is the password's; the password itself stays in the database. ``created`` as the database writes it."""

    name: str
    scheme: str
    quota_rule: str = ""
    nologin: bool = False
    reason: str = ""
    created: str = ""


class AccountTable:
    """The functions behind ``mas user``. All raise AuthUnavailable when the database does not answer (or has no such table)."""

    def __init__(self, database: Database) -> None:
        """``database``: with ``create=True`` for an SQLite file that is still to be made."""
        self.database = database

    async def create(self) -> None:
        """Make the table unless it is there."""
        await self.database.run([CreateTable(TABLE, if_not_exists=True)])

    async def add(self, name: str, password: str, *, quota_rule: str = "") -> None:
        """``password`` as ``{SCHEME}value`` (``schemes.generate``). Raises AccountExists, BadAccountName."""
        local_part, domain = split_name(name)
        row = {"username": local_part, "domain": domain, "password": password, "quota_rule": quota_rule or None}
        try:
            await self.database.run([insert(TABLE).values(row)])
        except IntegrityError:
            raise AccountExists(name) from None

    async def passwd(self, name: str, password: str) -> None:
        """Replace the password. Raises UserUnknown, BadAccountName."""
        await self._change(name, update(TABLE).values(password=password))

    async def set_quota_rule(self, name: str, rule: str) -> None:
        """``*:storage=1G``; empty = the configured one. Raises UserUnknown, BadAccountName."""
        await self._change(name, update(TABLE).values(quota_rule=rule or None))

    async def set_nologin(self, name: str, on: bool, reason: str = "") -> None:
        """Forbid or allow logins; mail still comes in. Raises UserUnknown, BadAccountName."""
        await self._change(name, update(TABLE).values(nologin="Y" if on else None, reason=reason or None))

    async def delete(self, name: str) -> None:
        """Remove the account; its mail stays. Raises UserUnknown, BadAccountName."""
        await self._change(name, delete(TABLE))

    async def list(self, domain: str = "") -> list[Account]:
        """The accounts (of a domain), by domain and name."""
        statement = select(TABLE).order_by(TABLE.c.domain, TABLE.c.username)
        if domain:
            statement = statement.where(TABLE.c.domain == domain)
        return [_account(row) for row in await self.database.select(statement)]

    async def info(self, name: str) -> Account:
        """One account. Raises UserUnknown, BadAccountName."""
        local_part, domain = split_name(name)
        statement = select(TABLE).where(TABLE.c.username == local_part, TABLE.c.domain == domain)
        for row in await self.database.select(statement):
            return _account(row)
        raise UserUnknown(name)

    async def _change(self, name: str, statement: object) -> None:
        local_part, domain = split_name(name)
        # MariaDB counts changed rows, not found ones: an unchanged row is none that is missing.
        await self.info(name)
        await self.database.run(
            [statement.where(TABLE.c.username == local_part, TABLE.c.domain == domain)]  # type: ignore[attr-defined]
        )


def split_name(name: str) -> tuple[str, str]:
    """Local part and domain. Raises BadAccountName: empty, no or two ``@``, ``/``, ``.``/``..`` as a part, control characters, too long."""
    local_part, at, domain = name.partition("@")
    parts = (local_part, domain)
    if (
        not at
        or "@" in domain
        or not name.isprintable()
        or "/" in name
        or any(part in ("", ".", "..") for part in parts)
    ):
        raise BadAccountName(f"{name!r} is no name of the form local-part@domain")
    if len(local_part) > 64 or len(domain) > 255:
        raise BadAccountName(f"{name!r}: at most 64 characters before the @ and 255 after it")
    return local_part, domain


def _account(row: dict[str, str]) -> Account:
    try:
        stored = row.get("password", "")
        scheme = split(stored, "").scheme
    except SchemeError:
        scheme = "?"
    return Account(
        f"{row['username']}@{row['domain']}",
        scheme,
        row.get("quota_rule", ""),
        "nologin" in row,
        row.get("reason", ""),
        row.get("created", "").partition(".")[0],
    )
