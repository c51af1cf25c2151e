"""The directories of the running server, and that there is only one server on them."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from mas import sessions
from mas.errors import ConfigError

PID_FILE = "mas.pid"


@contextlib.contextmanager
def own(run_dir: Path, state_dir: Path, uid: int, gid: int) -> Iterator[int]:
    """Make and lock ``run_dir``, write its pid file, give the workers their part of it; afterwards the pid file is gone.

    Yields the descriptor that holds the lock, for children to close.
    ``run_dir`` itself stays ours, so that nobody but us can write the pid file. Raises ConfigError.
    """
    try:
        run_dir.mkdir(parents=True, exist_ok=True, mode=0o755)
        descriptor = os.open(run_dir / PID_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise ConfigError([f"run_dir: {error.filename}: {(error.strerror or '').lower()}"]) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(descriptor, 20).decode("ascii", "replace").strip()
            raise ConfigError([f"run_dir: another server (process {pid}) runs on {run_dir}"]) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, b"%d\n" % os.getpid())
        try:
            _clear(run_dir / sessions.DIRECTORY, uid, gid)
        except OSError as error:
            raise ConfigError([f"run_dir: {error.filename}: {(error.strerror or '').lower()}"]) from None
        try:
            if not state_dir.exists():
                state_dir.mkdir(parents=True, mode=0o750)
                os.chown(state_dir, uid, gid)
        except OSError as error:
            raise ConfigError([f"state_dir: {error.filename}: {(error.strerror or '').lower()}"]) from None
        supervisor = os.getpid()
        try:
            yield descriptor
        finally:
            if os.getpid() == supervisor:
                (run_dir / PID_FILE).unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _clear(directory: Path, uid: int, gid: int) -> None:
    """The workers' directory, empty: sessions and sockets of an earlier server mean nothing."""
    directory.mkdir(mode=0o700, exist_ok=True)
    os.chown(directory, uid, gid)
    for path in directory.iterdir():
        path.unlink()
