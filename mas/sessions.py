"""Who is connected, over all workers: ``mas who``, ``mas kick``, the limits of connections, counts that workers share, and a word to
each of them from a command.

One small SQLite file in ``run_dir/workers``, where nothing has to outlive the server: WAL without any fsync, so a change is some ten
microseconds of memory writes and may run on the event loop. A lock held by another worker is never waited for in SQLite: the
coroutine sleeps a millisecond and tries again. A session is a row from login to its end. The limit of a user's sessions is checked
inside the statement that adds the row, so two workers cannot both take the last place. What a session is doing is written in batches.
Connections before login are counted by each worker alone, in memory: a flood of them costs no write.

The file belongs to the workers' user. The supervisor removes it before the first fork and never opens it; the rows of a worker that
died are removed by a live one. When the file cannot be used (file system full, a worker stopped inside a transaction), connections are
let in uncounted and the log says so: nobody is locked out of their mail by bookkeeping.

Must not know: protocols, processes' handling, what is counted under which key.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import apsw

from mas.errors import TooManyConnections
from mas.logs import get_logger
from mas.protocols.session import Peer
from mas.shared_database import open_shared

log = get_logger("sessions")

KICK, FLUSH = "kick", "flush"
"""Words that commands say to workers."""
DIRECTORY = "workers"
FILE = "sessions.db"
FLUSH_DELAY = 0.5
"""Seconds that a change of state may wait."""
BATCH = 500
"""Changes of one flush: about two milliseconds."""
COUNTERS = 50_000
"""Counters that are kept, some seven megabytes: beyond them those that changed longest ago are forgotten, before their time."""
SWEEP = 256
"""Counts of one worker between two sweeps of the counters."""
TRIES = 200
"""Times a lock is tried for, a millisecond apart."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS session (
    id TEXT PRIMARY KEY, worker INTEGER, pid INTEGER, service TEXT, address TEXT, user TEXT, since REAL, state TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS who ON session (service, user, address);
CREATE TABLE IF NOT EXISTS counter (key TEXT PRIMARY KEY, count INTEGER, changed REAL, until REAL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS oldest ON counter (until);
"""
_SWEEP = """
DELETE FROM counter WHERE until < max(:now, coalesce((SELECT until FROM counter ORDER BY until DESC LIMIT 1 OFFSET :most - 1), 0))
"""
_LOGIN = """
INSERT OR REPLACE INTO session
SELECT :id, :worker, :pid, :service, :address, :user, :now, ''
WHERE :limit = 0
   OR (SELECT count(*) FROM session WHERE service = :service AND user = :user AND address = :address) < :limit
"""
_COUNT = """
INSERT INTO counter VALUES (:key, 1, :now, :until)
ON CONFLICT (key) DO UPDATE SET count = CASE WHEN until < :now THEN 1 ELSE count + 1 END, changed = :now, until = :until
RETURNING count
"""


Values = dict[str, str | int | float]
"""Bindings of a statement."""


class Limits(Protocol):
    """Limits of connections of one service in one worker; 0 = none."""

    @property
    def max_connections(self) -> int: ...
    @property
    def max_login_connections(self) -> int: ...
    @property
    def max_login_connections_per_ip(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Live:
    """One live session. ``since`` is the time of the login in seconds of the epoch."""

    session_id: str
    worker: int
    pid: int
    service: str
    address: str
    user: str
    since: float
    state: str


class _Local:
    """What one worker counts of a service by itself: its connections, and which of them have not logged in, by address."""

    __slots__ = ("connections", "per_ip", "waiting")

    def __init__(self) -> None:
        self.connections = 0
        self.waiting: set[str] = set()
        self.per_ip: Counter[str] = Counter()

    def no_longer_waits(self, peer: Peer) -> bool:
        """The session logged in or ended; whether it had not logged in before."""
        if peer.session_id not in self.waiting:
            return False
        self.waiting.remove(peer.session_id)
        self.per_ip[peer.address] -= 1
        if not self.per_ip[peer.address]:
            del self.per_ip[peer.address]
        return True


class Registry:
    """The registry, as one worker uses it."""

    def __init__(self, run_dir: Path, worker: int) -> None:
        """``worker`` is this worker's number, never used twice."""
        self._worker = worker
        self._pid = os.getpid()
        self._path = run_dir / DIRECTORY
        self._path.mkdir(mode=0o700, exist_ok=True)
        self._db = open_shared(self._path / FILE, _SCHEMA, busy_milliseconds=5000, synchronous="OFF")
        for pragma in ("wal_autocheckpoint = 200", "cache_size = -256"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.set_busy_timeout(0)
        self._local: dict[str, _Local] = {}
        self._states: dict[str, str] = {}
        self._ended: list[str] = []
        self._timer: asyncio.TimerHandle | None = None
        self._complained = 0.0
        self._adds = 0
        self._kicks: socket.socket | None = None

    # connections

    def connected(self, peer: Peer, limits: Limits) -> None:
        """A new connection of this worker. Raises TooManyConnections."""
        local = self._local.setdefault(peer.service, _Local())
        if limits.max_connections and local.connections >= limits.max_connections:
            raise TooManyConnections(f"max_connections = {limits.max_connections} is reached")
        if limits.max_login_connections and len(local.waiting) >= limits.max_login_connections:
            raise TooManyConnections(f"max_login_connections = {limits.max_login_connections} is reached")
        per_ip = limits.max_login_connections_per_ip
        if per_ip and peer.address and local.per_ip[peer.address] >= per_ip:
            raise TooManyConnections(f"max_login_connections_per_ip = {per_ip} is reached")
        local.connections += 1
        local.waiting.add(peer.session_id)
        local.per_ip[peer.address] += 1

    def ended(self, peer: Peer) -> None:
        """The connection of ``peer`` is gone."""
        self._local[peer.service].connections -= 1
        if self._local[peer.service].no_longer_waits(peer):
            return
        self._states.pop(peer.session_id, None)
        try:
            self._db.execute("DELETE FROM session WHERE id = ?", (peer.session_id,))
        except apsw.Error:  # locked just now, most likely
            self._ended.append(peer.session_id)
            self._later()

    async def login(self, peer: Peer, user: str, limit: int) -> None:
        """See mas.services.Sessions."""
        values: Values = {
            "id": peer.session_id,
            "worker": self._worker,
            "pid": self._pid,
            "service": peer.service,
            "address": peer.address,
            "user": user,
            "now": time.time(),
            "limit": limit,
        }
        if not await self._change(_LOGIN, values):
            raise TooManyConnections(
                f"max_user_ip_connections = {limit} is reached by {user} from {peer.address or 'a socket'}"
            )
        self._local[peer.service].no_longer_waits(peer)

    def state(self, peer: Peer, text: str) -> None:
        """See mas.services.Sessions."""
        self._states[peer.session_id] = text
        self._later()

    def counts(self) -> dict[str, int]:
        """Sessions that have logged in, by service, of all workers; empty when the file cannot be used."""
        try:
            return dict(self._db.execute("SELECT service, count(*) FROM session GROUP BY service"))
        except apsw.Error as error:
            self._complain(error)
            return {}

    async def forget(self, worker: int) -> None:
        """Worker ``worker`` is dead: so are its sessions."""
        await self._change("DELETE FROM session WHERE worker = :worker", {"worker": worker})

    # counters (mas.auth.interface.CounterStore)

    async def get(self, key: str) -> tuple[int, float]:
        """``(count, seconds since it last changed)``; ``(0, 0.0)`` when unknown."""
        now = time.monotonic()
        try:
            row = self._db.execute(
                "SELECT count, changed FROM counter WHERE key = ? AND until >= ?", (key, now)
            ).fetchone()
        except apsw.Error as error:
            self._complain(error)
            return 0, 0.0
        return (row[0], max(now - row[1], 0.0)) if row else (0, 0.0)

    async def add(self, key: str, ttl: float) -> int:
        """Count one more; returns the new count."""
        now = time.monotonic()
        self._adds += 1
        if self._adds % SWEEP == 0:
            await self._change(_SWEEP, {"now": now, "most": COUNTERS})
        rows = await self._rows(_COUNT, {"key": key, "now": now, "until": now + ttl})
        return int(str(rows[0][0])) if rows else 1

    async def clear(self, key: str) -> None:
        """Forget the count."""
        await self._change("DELETE FROM counter WHERE key = :key", {"key": key})

    # words of commands

    def listen(self, words: Mapping[str, Callable[[str], object]]) -> None:
        """Call the function of a word (KICK, FLUSH) with what stands behind it, whenever a command says it. On the event loop."""
        path = self._path / _socket_of(self._worker, self._pid)
        path.unlink(missing_ok=True)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        sock.bind(str(path))
        path.chmod(0o600)
        self._kicks = sock

        def receive() -> None:
            try:
                word, _, rest = sock.recv(65536).decode("utf-8", "replace").partition(" ")
                if word in words:
                    words[word](rest)
            except BlockingIOError:
                pass  # another datagram will wake us

        asyncio.get_running_loop().add_reader(sock.fileno(), receive)

    async def close(self) -> None:
        """Write what waits, leave no trace of this worker."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._kicks is not None:
            asyncio.get_running_loop().remove_reader(self._kicks.fileno())
            self._kicks.close()
            (self._path / _socket_of(self._worker, self._pid)).unlink(missing_ok=True)
        await self.forget(self._worker)
        self._db.close()

    # the file

    async def _change(self, sql: str, values: Values) -> bool:
        """Whether a row changed; True as well when the file cannot be used."""
        return await self._rows(sql, values) is None or self._db.changes() > 0

    async def _rows(self, sql: str, values: Values) -> list[tuple[object, ...]] | None:
        """Run one statement; None when the file cannot be used."""
        for _ in range(TRIES):
            try:
                # No await between a statement and what is asked of it afterwards (changes()).
                return list(self._db.execute(sql, values))
            except apsw.BusyError:
                await asyncio.sleep(0.001)
            except apsw.Error as error:
                self._complain(error)
                return None
        self._complain(TimeoutError("locked by another worker"))
        return None

    def _complain(self, error: Exception) -> None:
        if time.monotonic() - self._complained > 60:
            self._complained = time.monotonic()
            log.error("session registry cannot be used, limits are off", file=str(self._path / FILE), error=str(error))

    def _later(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_DELAY, self._flush)

    def _flush(self) -> None:
        """Write a batch of states and ends in one commit."""
        self._timer = None
        ended, self._ended = self._ended[:BATCH], self._ended[BATCH:]
        states = [(self._states.pop(session_id), session_id) for session_id in list(self._states)[:BATCH]]
        try:
            with self._db:
                self._db.executemany("DELETE FROM session WHERE id = ?", [(session_id,) for session_id in ended])
                self._db.executemany("UPDATE session SET state = ? WHERE id = ?", states)
        except apsw.Error as error:
            self._ended = ended + self._ended
            self._states = {session_id: state for state, session_id in states} | self._states
            if not isinstance(error, apsw.BusyError):
                self._complain(error)
        if self._ended or self._states:
            self._later()


def live(run_dir: Path) -> Sequence[Live]:
    """The sessions of the running server, oldest first; empty when none runs. Raises OSError when it may not be asked."""
    path = run_dir / DIRECTORY / FILE
    if not path.exists():
        return []
    try:
        db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    except apsw.Error as error:
        raise PermissionError(f"{path}: {error}") from None
    try:
        db.set_busy_timeout(2000)
        rows = db.execute("SELECT id, worker, pid, service, address, user, since, state FROM session ORDER BY since")
        return [Live(*row) for row in rows if _alive(row[2])]
    finally:
        db.close()


def kick(run_dir: Path, who: str) -> int:
    """Tell the sessions of user ``who`` (or the one with that session id) to end; how many were told."""
    return sum(
        _tell(run_dir / DIRECTORY / _socket_of(session.worker, session.pid), f"{KICK} {session.session_id}")
        for session in live(run_dir)
        if who in (session.user, session.session_id)
    )


def flush(run_dir: Path, user: str = "") -> int:
    """Have the workers forget what they know of the account ``user``, or of all; how many were told, 0 when no server runs."""
    return sum(_tell(path, f"{FLUSH} {user}") for path in (run_dir / DIRECTORY).glob("*.sock"))


def _tell(path: Path, text: str) -> bool:
    """Say a word to one worker. False: it has just ended, or does not listen."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(2)
        try:
            sock.sendto(text.encode(), str(path))
        except (FileNotFoundError, ConnectionRefusedError, TimeoutError):
            return False
    return True


def _socket_of(worker: int, pid: int) -> str:
    """The number alone would not do: workers of a supervisor that was killed may still be ending their sessions beside those of the next,
    whose numbers begin anew."""
    return f"{worker}.{pid}.sock"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
