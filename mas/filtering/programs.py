"""External programs that scripts may run: by bare name from the administrator's folders, with a time limit and little around them.

Standard input is the message (or what the script gives), standard output what the script gets. The environment holds HOME, USER, SENDER,
RECIPIENT, ORIG_RECIPIENT, HOST and PATH, nothing of the server's own. A program that does not end is killed with all it started.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mas import logs
from mas.sieve.message import Transaction
from mas.user import User

_log = logs.get_logger("sieve")
_MAX_OUTPUT = 64 << 20
_MAX_SAID = 1 << 20
_CHUNK = 65536
_PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended: ``status`` is its exit status, -1 when it could not be run or was killed."""

    status: int
    output: bytes


async def run(
    folder: str,
    program: str,
    arguments: Sequence[str],
    data: bytes,
    user: User,
    transaction: Transaction,
    *,
    seconds: float,
) -> Outcome:
    """Run ``folder``/``program``. Never raises for what the program does; what went wrong is logged."""
    path = Path(folder) / program
    log = _log.bind(user=user.name, program=program)
    if not folder or not path.is_file():
        log.error("no such program", folder=folder or "(not configured)")
        return Outcome(-1, b"")
    environment = {
        "PATH": _PATH,
        "HOME": str(user.home),
        "USER": user.name,
        "SENDER": transaction.sender,
        "RECIPIENT": transaction.recipient,
        "ORIG_RECIPIENT": transaction.original_recipient,
        "HOST": os.uname().nodename,
    }
    try:
        process = await asyncio.create_subprocess_exec(
            str(path),
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        log.error("program cannot be run", error=error.strerror)
        return Outcome(-1, b"")
    try:
        async with asyncio.timeout(seconds):
            output, said, _ = await asyncio.gather(
                _read(process.stdout, _MAX_OUTPUT), _read(process.stderr, _MAX_SAID), _write(process, data)
            )
            await process.wait()
    except TimeoutError:
        await _kill(process)
        log.error("program killed", seconds=seconds)
        return Outcome(-1, b"")
    except _TooMuch:
        await _kill(process)
        log.error("program wrote too much, killed", limit=_MAX_OUTPUT)
        return Outcome(-1, b"")
    if process.returncode:
        log.warning("program failed", status=process.returncode, said=said[:200].decode("utf-8", "replace").strip())
    return Outcome(process.returncode or 0, output)


class _TooMuch(Exception):
    """The program writes without end."""


async def _read(stream: asyncio.StreamReader | None, limit: int) -> bytes:
    assert stream is not None
    found = bytearray()
    while chunk := await stream.read(_CHUNK):
        found += chunk
        if len(found) > limit:
            raise _TooMuch
    return bytes(found)


async def _write(process: asyncio.subprocess.Process, data: bytes) -> None:
    """Give a program its input; one that ends without reading it is free to (uvloop tells that as RuntimeError)."""
    assert process.stdin is not None
    with contextlib.suppress(ConnectionError, RuntimeError):
        process.stdin.write(data)
        await process.stdin.drain()
    with contextlib.suppress(ConnectionError, RuntimeError):
        process.stdin.close()


async def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
