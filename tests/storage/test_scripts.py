"""Scripts as files: replaced whole, named safely, usable by Pigeonhole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mas.errors import DiskFull
from mas.storage.scripts import (
    InvalidScriptName,
    ScriptActive,
    ScriptExists,
    ScriptFolder,
    ScriptNotFound,
    ScriptsTooBig,
    TooManyScripts,
)


@pytest.fixture
def folder(tmp_path: Path) -> ScriptFolder:
    return ScriptFolder(tmp_path / "sieve", tmp_path / ".dovecot.sieve")


def test_life_of_a_script(folder: ScriptFolder) -> None:
    assert folder.names() == []
    folder.put("main", b"keep;\r\n")
    folder.put("für später", b"stop;")
    assert folder.names() == ["für später", "main"]
    assert folder.read("main") == b"keep;\r\n"
    assert folder.active_name() == ""
    folder.activate("main")
    assert folder.active_name() == "main"
    assert os.readlink(folder.active) == "sieve/main.sieve"
    assert folder.active.read_bytes() == b"keep;\r\n"
    with pytest.raises(ScriptActive):
        folder.delete("main")
    folder.rename("main", "other")
    assert folder.active_name() == "other"
    assert folder.active.read_bytes() == b"keep;\r\n"
    folder.activate("")
    assert not folder.active.is_symlink()
    folder.delete("other")
    assert folder.names() == ["für später"]


def test_what_is_not_there_and_what_is(folder: ScriptFolder) -> None:
    folder.put("a", b"keep;")
    folder.put("b", b"keep;")
    for wrong in (
        lambda: folder.read("c"),
        lambda: folder.activate("c"),
        lambda: folder.delete("c"),
        lambda: folder.rename("c", "d"),
    ):
        with pytest.raises(ScriptNotFound):
            wrong()
    with pytest.raises(ScriptExists):
        folder.rename("a", "b")


@pytest.mark.parametrize("name", ["", "a/b", "../x", "a\nb", "a\x00", "\x7f", "\x85", "a\u2028b", "x" * 241, "\ud800"])
def test_names_that_cannot_be(folder: ScriptFolder, name: str) -> None:
    with pytest.raises(InvalidScriptName):
        folder.put(name, b"keep;")


def test_a_hand_written_active_file_is_kept(folder: ScriptFolder) -> None:
    folder.active.write_bytes(b"discard;")
    folder.put("new", b"keep;")
    folder.activate("new")
    assert folder.read("dovecot.orig") == b"discard;"
    assert folder.active_name() == "new"


def test_limits_hold_for_havespace_and_put_alike(tmp_path: Path) -> None:
    folder = ScriptFolder(tmp_path / "s", tmp_path / "active", max_scripts=2, max_storage=100, max_size=80)
    folder.put("a", b"x" * 60)
    with pytest.raises(ScriptsTooBig):
        folder.check_space("b", 41)
    for name, size in (("b", 41), ("a", 81)):
        with pytest.raises(ScriptsTooBig):
            folder.put(name, b"x" * size)
    folder.put("a", b"x" * 80)
    folder.put("b", b"x" * 20)
    with pytest.raises(TooManyScripts):
        folder.put("c", b"")


def test_a_failed_write_leaves_the_old_script(folder: ScriptFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.put("a", b"old")

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(DiskFull):
        folder.put("a", b"new")
    monkeypatch.undo()
    assert folder.read("a") == b"old"
    assert os.listdir(folder.directory) == ["a.sieve"]
