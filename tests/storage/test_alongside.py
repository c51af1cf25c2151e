"""fdatasync while something else goes on."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from mas.storage.alongside import Alongside
from tests.support.forks import in_a_child


def test_wait_returns_when_all_is_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    gate = threading.Event()

    def fdatasync(fd: int) -> None:
        assert gate.wait(30), "start() waits for it"
        synced.append(os.fstat(fd).st_ino)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    alongside = Alongside()
    inodes = []
    for number in range(6):
        path = tmp_path / str(number)
        with open(path, "wb") as file:
            inodes.append(os.fstat(file.fileno()).st_ino)
            alongside.start(file.fileno(), str(path))
    assert synced == []
    gate.set()
    alongside.wait()
    assert sorted(synced) == sorted(inodes)
    alongside.wait()


def test_a_disk_that_refuses_is_a_line_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(fd: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", refuse)
    alongside = Alongside()
    with open(tmp_path / "list", "wb") as file:
        alongside.start(file.fileno(), "the list")
    alongside.wait()
    said = capsys.readouterr()
    assert "was not fsynced" in said.out + said.err


@in_a_child
def test_a_fork_has_threads_of_its_own(tmp_path: Path) -> None:
    alongside = Alongside()
    with open(tmp_path / "list", "wb") as file:
        alongside.start(file.fileno(), "list")
        alongside.wait()
        child = os.fork()
        if child == 0:
            own = Alongside()
            own.start(file.fileno(), "list")
            own.wait()
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
