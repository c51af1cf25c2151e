"""The host's key: one for all its processes, for ever."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mas.auth.host_key import NAME, SIZE, load_host_key


def test_all_get_the_same(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: load_host_key(directory), range(32)))
    assert len(keys) == 1
    assert len(keys.pop()) == SIZE
    assert [path.name for path in directory.iterdir()] == [NAME]
    assert (directory / NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("broken", [b"", b"short", b"x" * 33])
def test_a_file_that_is_no_key_is_left_alone(tmp_path: Path, broken: bytes) -> None:
    (tmp_path / NAME).write_bytes(broken)
    assert load_host_key(tmp_path) != load_host_key(tmp_path)
    assert (tmp_path / NAME).read_bytes() == broken


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert len(load_host_key(tmp_path / "file" / "state")) == SIZE
