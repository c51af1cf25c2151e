"""What an unprivileged process can still read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mas.server.privileges import reachable

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
