"""What the supervisor does when the system gives it no process, and with what a worker says that is no word."""

from __future__ import annotations

import os
import selectors
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mas.config import loads
from mas.metrics import cells
from mas.server.generation import Generation, Worker
from mas.server.supervisor import FORK_PAUSE, Supervisor

CONFIG = 'protocols = ["lmtp"]\n[[passdb]]\nurl = "sqlite:///:memory:"\n[[userdb]]\nhome = "/var/vmail/%d/%n"\n'


@pytest.fixture(autouse=True)
def block() -> Iterator[None]:
    cells.share()
    yield
    cells._block.clear()
    cells._row = cells._alone


@pytest.fixture
def generation() -> Generation:
    return Generation(loads(CONFIG, Path("/test/mas.toml")), [], None, (), 1, 0.0, 0.0)


async def never(*_: object) -> None:
    raise AssertionError


def test_no_process_is_to_be_had(monkeypatch: pytest.MonkeyPatch, generation: Generation) -> None:
    """It is tried again, and the workers that live are not left alone."""
    supervisor = Supervisor(lambda: generation.config, never)  # type: ignore[arg-type]
    generation.due = {0: 10.0}
    supervisor._current = generation

    def fork() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", fork)
    before, rows = set(os.listdir("/proc/self/fd")), dict(cells._taken)
    supervisor._fill(11.0)
    assert generation.due == {0: 11.0 + FORK_PAUSE}
    assert set(os.listdir("/proc/self/fd")) == before
    assert cells._taken == rows


@pytest.mark.parametrize(
    "word", [b"beat \xff", b"beat", b"beat -1", b"beat 99999999999999999999", b"\x00\xff", b"ready?"]
)
def test_what_is_no_word_ends_nothing(generation: Generation, word: bytes) -> None:
    supervisor = Supervisor(lambda: generation.config, never)  # type: ignore[arg-type]
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs, selectors.DefaultSelector() as selector:
        supervisor._selector = selector
        child = Worker(1, 1, 0, generation, ours, time.monotonic(), 0.0)
        selector.register(ours, selectors.EVENT_READ, child)
        theirs.send(word)
        supervisor._hear(child)
        assert child.beat > 0
        assert not child.ready
        assert child.connections == 0
