"""One SQL database of accounts: pooled connections, a time limit around everything, one kind of failure.

Promises: fetch() answers or raises AuthUnavailable within ``timeout`` seconds, whatever the server does. A server that is stopped, not
dead, hangs drivers beyond their own time limits, and even their clean-up hangs: so the work is a task of its own that is left behind when
its time is over. After such a hang the next calls fail at once for a moment (``HOLD``) and then one tries again. A restarted server is
found by ``pool_pre_ping``. AUTOCOMMIT is set on the engine: set at each checkout it doubles the time.
An SQLite file is looked at before each use: open connections would go on with one that was deleted or replaced by a restore, and aiosqlite
leaves a thread behind when it fails to open one.
Must not know: users, passwords.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog
from sqlalchemy import bindparam, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.types import NullType, String

from mas.auth.query import Query, compile_query
from mas.errors import AuthUnavailable, ConfigError
from mas.metrics import table as metrics

log = structlog.get_logger(area="auth")

HOLD: Final = 1.0
"""Seconds for which a database that hung is not asked again."""

Stamp = tuple[int, int]
"""Device and inode of a file."""
Row = dict[str, str]
"""Column name in lower case -> text; a column that is NULL is absent, as in Dovecot."""


class Database:
    """A pool of connections to one URL. Made in a worker, used on its loop."""

    def __init__(self, url: str, *, connections: int = 10, timeout: float = 6.0, create: bool = False) -> None:
        """Connects at the first use. ``timeout``: seconds. ``create``: an SQLite file may be made. Raises ConfigError for a URL that
        is none."""
        try:
            self.url: URL = make_url(url)
        except ArgumentError:
            raise ConfigError(["passdb.url: not a database URL"]) from None
        self.backend = self.url.get_backend_name()
        self.timeout = timeout
        self._create = create
        self._connections = connections
        self._engine: AsyncEngine | None = None
        self._held_until = 0.0
        self._down = False
        self.answered = float("-inf")
        """When it answered last (monotonic)."""
        self._file = _file_of(self.url)
        self._stamp: Stamp | None = None
        self._left_behind: set[asyncio.Future[Any]] = set()
        self._untyped: set[str] = set()

    def __str__(self) -> str:
        return self.url.render_as_string(hide_password=True)

    def compile(self, template: str, key: str) -> Query:
        """The operator's query of configuration key ``key``. Raises ConfigError."""
        try:
            return compile_query(template, backslash=self.backend in ("mysql", "mariadb"))
        except ValueError as error:
            raise ConfigError([f"{key}: {error}"]) from None

    async def fetch(self, query: Query, values: Mapping[str, str], limit: int = 2) -> list[Row]:
        """At most ``limit`` rows (0 = all). Raises AuthUnavailable."""
        rows = await self._bounded(self._fetch(query, query.bind(values), limit))
        return [_row(names, row) for names, row in rows]

    async def select(self, statement: Any) -> list[Row]:
        """Every row of an SQLAlchemy Core select of MAS's own. Raises AuthUnavailable."""
        return [_row(names, row) for names, row in await self._bounded(self._rows(statement, 0))]

    async def ping(self) -> None:
        """Ask for as little as shows that it is there and readable. Raises AuthUnavailable."""
        await self.select(text("SELECT 1 FROM sqlite_master LIMIT 1" if self._file is not None else "SELECT 1"))

    async def run(self, statements: Sequence[Any]) -> list[int]:
        """Execute SQLAlchemy Core statements of MAS's own, one after another; returns the row counts. Raises AuthUnavailable;
        IntegrityError goes through."""
        counts: list[int] = await self._bounded(self._run(statements))
        return counts

    async def _bounded(self, work: Any) -> Any:
        """Wait for ``work`` at most ``timeout`` seconds; then leave it behind, cancelled."""
        if time.monotonic() < self._held_until:
            work.close()
            raise AuthUnavailable(f"{self}: did not answer a moment ago")
        began = time.monotonic()
        task: asyncio.Future[Any] = asyncio.ensure_future(work)
        try:
            done, _ = await asyncio.wait({task}, timeout=self.timeout)
        except asyncio.CancelledError:
            self._leave(task)
            raise
        if not done:
            self._leave(task)
            self._held_until = time.monotonic() + HOLD
            self._leave_engine(close=False)
            raise self._unavailable(f"no answer within {self.timeout:g} s")
        try:
            result = task.result()
        except IntegrityError:
            raise
        except Exception as error:
            # Not only SQLAlchemyError: drivers let their own errors through while they connect, and RuntimeError from a transport that
            # was closed under them. Whatever it is, the answer is not there, and the log has its name.
            raise self._unavailable(_reason(error)) from None
        self.answered = time.monotonic()
        metrics.DATABASE_SECONDS[()].observe(self.answered - began)
        if self._down:
            self._down = False
            log.info("database answers again", database=str(self))
        return result

    def _leave(self, task: asyncio.Future[Any], *, cancel: bool = True) -> None:
        """Let a task end whenever it can; nobody waits for it."""
        if cancel:
            task.cancel()
        self._left_behind.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Future[Any]) -> None:
        self._left_behind.discard(task)
        if not task.cancelled():
            task.exception()

    def _unavailable(self, reason: str) -> AuthUnavailable:
        metrics.DATABASE_ERRORS[()].add()
        if not self._down:
            self._down = True
            log.error("database unavailable", database=str(self), reason=reason)
        return AuthUnavailable(f"{self}: {reason}")

    def _leave_engine(self, *, close: bool) -> None:
        """The next use makes another one."""
        engine, self._engine = self._engine, None
        if engine is not None:
            self._leave(asyncio.ensure_future(engine.dispose(close=close)), cancel=False)

    def engine(self) -> AsyncEngine:
        """The engine of now; another one after a hang, and for another SQLite file. Raises OSError when that file cannot be read."""
        if self._file is not None:
            stamp = _stamp(self._file, create=self._create)
            if stamp != self._stamp:
                self._stamp = stamp
                self._leave_engine(close=True)
        if self._engine is None:
            self._engine = create_async_engine(
                _openable(self.url, create=self._create),
                pool_size=self._connections,
                max_overflow=0,
                pool_timeout=self.timeout,
                pool_pre_ping=True,
                pool_recycle=1800,
                pool_use_lifo=True,
                isolation_level="AUTOCOMMIT",
                hide_parameters=True,
                connect_args=_connect_args(self.backend, self.timeout),
            )
        return self._engine

    async def _fetch(self, query: Query, bound: Mapping[str, Any], limit: int) -> list[tuple[Sequence[str], Any]]:
        try:
            return await self._select(query, bound, limit)
        except DBAPIError as error:
            # PostgreSQL infers the type of a bare parameter from where it stands (so citext and number columns compare as with a
            # literal), except in functions of anything, as concat(): there it must be told that it is a text.
            if self.backend != "postgresql" or query.text in self._untyped or "determine data type" not in str(error):
                raise
            self._untyped.add(query.text)
            return await self._select(query, bound, limit)

    async def _select(self, query: Query, bound: Mapping[str, Any], limit: int) -> list[tuple[Sequence[str], Any]]:
        kind = String() if query.text in self._untyped or self.backend != "postgresql" else NullType()
        statement = text(query.text).bindparams(
            *(bindparam(name, value, type_=kind if isinstance(value, str) else None) for name, value in bound.items())
        )
        return await self._rows(statement, limit)

    async def _rows(self, statement: Any, limit: int) -> list[tuple[Sequence[str], Any]]:
        async with self.engine().connect() as connection:
            result = await connection.execute(statement)
            names = [name.lower() for name in result.keys()]  # noqa: SIM118  (a Result is no mapping)
            rows = result.fetchmany(limit) if limit else result.fetchall()
            return [(names, row) for row in rows]

    async def _run(self, statements: Sequence[Any]) -> list[int]:
        async with self.engine().connect() as connection:
            return [(await connection.execute(statement)).rowcount for statement in statements]

    async def close(self) -> None:
        """Close the connections, or leave them when the server does not let go within the time limit."""
        engine, self._engine = self._engine, None
        if engine is not None:
            task = asyncio.ensure_future(engine.dispose())
            await asyncio.wait({task}, timeout=min(self.timeout, 2.0))
            if not task.done():
                self._leave(task)


def _row(names: Sequence[str], values: Sequence[object]) -> Row:
    row: Row = {}
    for name, value in zip(names, values, strict=True):
        if value is None:
            continue
        row[name] = value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
    return row


def _file_of(url: URL) -> str | None:
    """The file of an SQLite database; None for others, and for those in memory."""
    if url.get_backend_name() != "sqlite" or not url.database or url.database.startswith((":", "file:")):
        return None
    return url.database


def _stamp(file: str, *, create: bool) -> Stamp | None:
    """Which file it is; None for one that is to be made. Raises OSError when it is none that can be read."""
    try:
        found = os.stat(file)
    except FileNotFoundError:
        if create and os.path.isdir(os.path.dirname(file) or "."):
            return None
        raise
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "not a file", file)
    if not os.access(file, os.R_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), file)
    return found.st_dev, found.st_ino


def _openable(url: URL, *, create: bool) -> URL:
    """SQLite makes a file that is not there, and an empty database has no users: a mistyped path must be an error instead."""
    if _file_of(url) is None:
        return url
    return url.set(
        database=f"file:{url.database}", query={**url.query, "mode": "rwc" if create else "rw", "uri": "true"}
    )


def _connect_args(backend: str, timeout: float) -> dict[str, Any]:
    if backend in ("mysql", "mariadb"):
        return {"connect_timeout": timeout, "charset": "utf8mb4"}
    if backend == "postgresql":
        return {"timeout": timeout, "command_timeout": timeout}
    return {"timeout": timeout}


def _reason(error: BaseException) -> str:
    """What the driver said, one short line without the statement."""
    origin = getattr(error, "orig", None) or error
    return f"{type(origin).__name__}: {' '.join(str(origin).split())[:200]}"
