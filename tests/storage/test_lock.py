"""The locks: Dovecot's dotlock, also left by the dead, and the account's."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mas.errors import StorageUnavailable
from mas.storage.lock import AccountLock, dotlock


def dead_pid() -> int:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    return child.pid


@pytest.mark.parametrize("source", [False, True])
def test_dotlock_is_held_and_left(tmp_path: Path, source: bool) -> None:
    path = str(tmp_path / "file")
    mine = str(tmp_path / "mine") if source else ""
    for _ in range(2):
        with dotlock(path, 0.2, mine) as lock:
            assert Path(lock).read_text() == f"{os.getpid()}:{socket.gethostname()}"
        assert not os.path.exists(lock)


@pytest.mark.parametrize(
    ("content", "age", "taken"),
    [
        ("{dead}:{host}", 0, True),
        ("{me}:{host}", 0, True),
        ("{parent}:{host}", 0, False),
        ("{dead}:elsewhere", 0, False),
        ("", 0, False),
        ("{parent}:{host}", 121, True),
        ("", 121, True),
    ],
)
def test_dotlock_of_another(
    tmp_path: Path, content: str, age: int, taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "file.lock"
    lock.write_text(content.format(dead=dead_pid(), me=os.getpid(), parent=os.getppid(), host=socket.gethostname()))
    now = os.stat(lock).st_ctime + age
    monkeypatch.setattr("mas.storage.lock.time.time", lambda: now)
    if taken:
        with dotlock(str(tmp_path / "file"), 0.05):
            pass
        assert not lock.exists()
    else:
        with pytest.raises(StorageUnavailable, match="held by another program"), dotlock(str(tmp_path / "file"), 0.05):
            pass
        assert lock.exists()


def test_dotlock_in_a_missing_directory(tmp_path: Path) -> None:
    source = str(tmp_path / "mine")
    with dotlock(str(tmp_path / "file"), 0.2, source):
        pass
    with pytest.raises(FileNotFoundError), dotlock(str(tmp_path / "gone" / "file"), 0.2, source):
        pass


def test_account_lock_excludes_and_counts(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    one, two = AccountLock(path, 60.0), AccountLock(path, 0.05)
    one.acquire()
    with pytest.raises(StorageUnavailable, match="locked by another process"):
        two.acquire()
    assert one.advance() == two.generation == 1
    waiter = AccountLock(path, 60.0)
    held = threading.Event()

    def wait() -> None:
        waiter.acquire()
        held.set()
        waiter.release()

    thread = threading.Thread(target=wait)
    thread.start()
    assert not held.is_set()
    one.release()
    assert held.wait(60)
    thread.join()
    # The file was removed by hand: the next one makes another, and never counts backwards.
    os.unlink(path)
    one.acquire()
    assert os.path.exists(path)
    assert one.generation > 1
    one.release()
    for lock in (one, two, waiter):
        lock.close()
