"""A secret of this host that outlives a restart: what is made up for users that do not exist must not change with the process."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import Final

import structlog

log = structlog.get_logger(area="auth")

NAME: Final = "auth.key"
SIZE: Final = 32


def load_host_key(directory: Path) -> bytes:
    """The key in ``directory``, made when it is not there; all workers of a host get the same. Reads and writes a small file.

    Where the directory cannot be written it is this process's own, and one line in the log says so.
    """
    path = directory / NAME
    try:
        with contextlib.suppress(FileNotFoundError):
            return _read(path)
        directory.mkdir(parents=True, exist_ok=True)
        temporary = directory / f".{NAME}.{os.getpid()}.{secrets.token_hex(4)}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(SIZE))
                file.flush()
                os.fsync(file.fileno())
            # The first worker's file stays: a link does not replace.
            with contextlib.suppress(FileExistsError):
                os.link(temporary, path)
        finally:
            temporary.unlink()
        return _read(path)
    except (OSError, ValueError) as error:
        log.warning(
            "no key of this host: made-up SCRAM salts last as long as this process", path=str(path), why=str(error)
        )
        return secrets.token_bytes(SIZE)


def _read(path: Path) -> bytes:
    key = path.read_bytes()
    if len(key) != SIZE:
        raise ValueError(f"has {len(key)} octets instead of {SIZE}")
    return key
