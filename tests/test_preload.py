"""What an unprivileged process can still read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mas.preload import reachable

NOBODY = 65534


@pytest.mark.parametrize(
    ("directory", "file", "uid", "gid", "is_reachable"),
    [
        (0o755, 0o644, NOBODY, NOBODY, True),
        (0o700, 0o644, NOBODY, NOBODY, False),
        (0o755, 0o600, NOBODY, NOBODY, False),
        (0o711, 0o604, NOBODY, NOBODY, True),
        (0o710, 0o640, NOBODY, os.getegid(), True),
        (0o710, 0o604, NOBODY, os.getegid(), False),
        (0o700, 0o600, os.geteuid(), NOBODY, True),
        (0o077, 0o600, os.geteuid(), NOBODY, False),
    ],
)
def test_reachable(directory: int, file: int, uid: int, gid: int, is_reachable: bool, tmp_path: Path) -> None:
    for above in (tmp_path, *tmp_path.parents):
        if above.stat().st_uid == os.geteuid() and above.stat().st_mode & 0o111 != 0o111:
            # pytest makes its own directories for their owner alone.
            above.chmod(0o755)
    place = tmp_path / "directory"
    place.mkdir()
    (place / "file").touch()
    (place / "file").chmod(file)
    place.chmod(directory)
    try:
        if uid == os.geteuid() and not directory & 0o100 and uid:
            return  # we could not look ourselves
        assert reachable(place / "file", uid, gid) == is_reachable
    finally:
        place.chmod(0o700)


@pytest.mark.e2e
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_all_is_there_when_the_code_cannot_be_reached() -> None:
    code = """
import os, mas.preload
from mas.config import Config, Passdb
mas.preload.reachable = lambda *_: False
mas.preload.preload(Config(passdb=(Passdb(url="sqlite:///x"),)), 65534, 65534)
os.chroot("/proc/self/fdinfo"); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
b"xx".decode("utf-16-be"); b"x".decode("koi8-r"); b"x".decode("iso2022_jp")
import aiosqlite, sqlalchemy.dialects.sqlite.aiosqlite, mas.storage.store, mmap, mas.auth.service
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
