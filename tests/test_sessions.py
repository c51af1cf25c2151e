"""The registry of sessions: limits over two workers, counters, kick, what a dead worker leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import apsw
import pytest

from mas import sessions
from mas.errors import TooManyConnections
from mas.protocols.listener import new_session_id
from mas.protocols.session import Peer
from mas.sessions import Registry


@dataclass(frozen=True)
class Limits:
    max_connections: int = 0
    max_login_connections: int = 0
    max_login_connections_per_ip: int = 0


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[tuple[Registry, Registry]]:
    one, other = Registry(tmp_path, 1), Registry(tmp_path, 2)
    yield one, other
    await one.close()
    await other.close()


def peer(address: str, service: str) -> Peer:
    return Peer(new_session_id(), service, address, 1234, "192.0.2.9", 143)


def connect(
    registry: Registry, limits: Limits | None = None, *, address: str = "192.0.2.1", service: str = "imap"
) -> Peer:
    new = peer(address, service)
    registry.connected(new, limits or Limits())
    return new


async def login(
    registry: Registry, user: str, limit: int = 0, *, address: str = "192.0.2.1", service: str = "imap"
) -> Peer:
    new = connect(registry, address=address, service=service)
    try:
        await registry.login(new, user, limit)
    except TooManyConnections:
        registry.ended(new)
        raise
    return new


async def test_user_ip_limit_counts_all_workers(two: tuple[Registry, Registry]) -> None:
    one, other = two
    first = await login(one, "kim@example.net", 2)
    await login(other, "kim@example.net", 2)
    for registry in two:
        with pytest.raises(TooManyConnections, match="max_user_ip_connections = 2"):
            await login(registry, "kim@example.net", 2)
    # Another address, another service, another user: counted apart.
    await login(one, "kim@example.net", 2, address="2001:db8::1")
    await login(one, "kim@example.net", 2, service="sieve")
    await login(one, "lee@example.net", 2)
    one.ended(first)
    await login(other, "kim@example.net", 2)


async def test_no_limit(two: tuple[Registry, Registry]) -> None:
    for _ in range(30):
        await login(two[0], "kim@example.net", 0)


@pytest.mark.parametrize(
    ("limits", "key"),
    [
        (Limits(max_connections=3), "max_connections = 3"),
        (Limits(max_login_connections=3), "max_login_connections = 3"),
        (Limits(max_login_connections_per_ip=3), "max_login_connections_per_ip = 3"),
    ],
)
async def test_limits_before_login(two: tuple[Registry, Registry], limits: Limits, key: str) -> None:
    peers = [connect(two[0], limits) for _ in range(3)]
    with pytest.raises(TooManyConnections, match=key):
        connect(two[0], limits)
    connect(two[0], limits, service="sieve")
    two[0].ended(peers[0])
    connect(two[0], limits)


async def test_a_login_frees_its_place_before_login_but_not_its_connection(two: tuple[Registry, Registry]) -> None:
    limits = Limits(max_connections=2, max_login_connections_per_ip=1)
    first = connect(two[0], limits)
    await two[0].login(first, "kim@example.net", 0)
    connect(two[0], limits)
    with pytest.raises(TooManyConnections, match="max_connections"):
        connect(two[0], limits)


async def test_who(two: tuple[Registry, Registry], tmp_path: Path) -> None:
    one, other = two
    connect(one)  # not logged in: nobody yet
    first = await login(one, "kim@example.net")
    second = await login(other, "lee@example.net", address="2001:db8::1")
    one.state(first, "INBOX")
    one.state(first, "INBOX IDLE")
    deadline = asyncio.get_running_loop().time() + 10
    while (found := sessions.live(tmp_path))[0].state == "":
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.05)
    assert [(s.session_id, s.worker, s.service, s.address, s.user, s.state) for s in found] == [
        (first.session_id, 1, "imap", "192.0.2.1", "kim@example.net", "INBOX IDLE"),
        (second.session_id, 2, "imap", "2001:db8::1", "lee@example.net", ""),
    ]
    one.ended(first)
    assert [s.user for s in sessions.live(tmp_path)] == ["lee@example.net"]


def test_who_without_a_server(tmp_path: Path) -> None:
    assert sessions.live(tmp_path) == []
    assert sessions.kick(tmp_path, "kim@example.net") == 0


async def test_kick_by_user_and_by_session(two: tuple[Registry, Registry], tmp_path: Path) -> None:
    kicked: asyncio.Queue[tuple[int, str]] = asyncio.Queue()
    for number, registry in enumerate(two, 1):
        registry.listen({"kick": lambda session_id, number=number: kicked.put_nowait((number, session_id))})  # type: ignore[misc]
    first, second = await login(two[0], "kim@example.net"), await login(two[1], "kim@example.net")
    third = await login(two[1], "lee@example.net")
    assert sessions.kick(tmp_path, "kim@example.net") == 2
    told = {await asyncio.wait_for(kicked.get(), 10) for _ in range(2)}
    assert told == {(1, first.session_id), (2, second.session_id)}
    assert sessions.kick(tmp_path, third.session_id) == 1
    assert await asyncio.wait_for(kicked.get(), 10) == (2, third.session_id)
    assert sessions.kick(tmp_path, "nobody") == 0


async def test_every_worker_is_told_to_forget_accounts(two: tuple[Registry, Registry], tmp_path: Path) -> None:
    heard: asyncio.Queue[tuple[int, str]] = asyncio.Queue()
    for number, registry in enumerate(two, 1):
        registry.listen({"flush": lambda user, number=number: heard.put_nowait((number, user))})  # type: ignore[misc]
    for user in ("kim@example.net", "of two words", ""):
        assert sessions.flush(tmp_path, user) == 2
        assert {await asyncio.wait_for(heard.get(), 20) for _ in range(2)} == {(1, user), (2, user)}
    (tmp_path / sessions.DIRECTORY / "9.9.sock").touch()  # of one that was killed
    assert sessions.flush(tmp_path) == 2
    assert sessions.flush(tmp_path / "none") == 0


async def test_a_dead_workers_sessions_are_forgotten(two: tuple[Registry, Registry], tmp_path: Path) -> None:
    await login(two[0], "kim@example.net", 1)
    await two[1].forget(1)
    await login(two[1], "kim@example.net", 1)
    assert [s.worker for s in sessions.live(tmp_path)] == [2]


async def test_counters(two: tuple[Registry, Registry]) -> None:
    one, other = two
    assert await one.get("192.0.2.1") == (0, 0.0)
    assert await one.add("192.0.2.1", 60) == 1
    assert await other.add("192.0.2.1", 60) == 2
    count, age = await one.get("192.0.2.1")
    assert count == 2
    assert 0 <= age < 60
    await other.clear("192.0.2.1")
    assert await one.get("192.0.2.1") == (0, 0.0)
    assert await one.add("old", -1) == 1
    assert await one.get("old") == (0, 0.0)
    assert await one.add("old", 60) == 1


async def test_counters_are_bounded(two: tuple[Registry, Registry], monkeypatch: pytest.MonkeyPatch) -> None:
    """Guesses from many addresses do not fill the memory: the oldest counters go."""
    monkeypatch.setattr("mas.sessions.COUNTERS", 10)
    monkeypatch.setattr("mas.sessions.SWEEP", 4)
    one, other = two
    for number in range(400):
        assert await (one, other)[number % 2].add(f"192.0.2.{number}", 3600) == 1
    kept = [number for number in range(400) if (await one.get(f"192.0.2.{number}"))[0]]
    assert len(kept) < 10 + 2 * 4
    assert kept == list(range(kept[0], 400))


async def test_workers_with_one_number_do_not_take_each_others_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The supervisor was killed, and its worker still ends its sessions when the next supervisor's has begun."""
    kicked: asyncio.Queue[str] = asyncio.Queue()
    monkeypatch.setattr("os.getpid", lambda: 1)
    old = Registry(tmp_path, 1)
    old.listen({"kick": kicked.put_nowait})
    monkeypatch.undo()
    new = Registry(tmp_path, 1)
    new.listen({"kick": kicked.put_nowait})
    await old.close()
    session = await login(new, "kim@example.net")
    assert sessions.kick(tmp_path, "kim@example.net") == 1
    assert await asyncio.wait_for(kicked.get(), 20) == session.session_id
    await new.close()


async def test_a_locked_file_delays_a_login_and_not_the_loop(two: tuple[Registry, Registry], tmp_path: Path) -> None:
    holder = apsw.Connection(str(tmp_path / sessions.DIRECTORY / sessions.FILE))
    holder.execute("BEGIN IMMEDIATE")
    waiting = asyncio.ensure_future(login(two[0], "kim@example.net", 1))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    holder.execute("COMMIT")
    await asyncio.wait_for(waiting, 60)
    holder.close()


async def test_an_end_under_lock_is_made_good(two: tuple[Registry, Registry], tmp_path: Path) -> None:
    gone = await login(two[0], "kim@example.net", 1)
    holder = apsw.Connection(str(tmp_path / sessions.DIRECTORY / sessions.FILE))
    holder.execute("BEGIN IMMEDIATE")
    two[0].ended(gone)
    holder.execute("COMMIT")
    holder.close()
    deadline = asyncio.get_running_loop().time() + 10
    while sessions.live(tmp_path):
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.05)


async def test_a_lock_never_released_locks_nobody_out(
    two: tuple[Registry, Registry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "TRIES", 3)
    holder = apsw.Connection(str(tmp_path / sessions.DIRECTORY / sessions.FILE))
    holder.execute("BEGIN IMMEDIATE")
    await login(two[0], "kim@example.net", 1)
    assert await two[0].add("key", 60) == 1
    holder.execute("ROLLBACK")
    holder.close()
