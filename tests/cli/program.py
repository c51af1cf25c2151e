"""``mas`` with arguments, and a configuration for it."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import tempfile
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any
from unittest import mock

import mas.cli
from mas.auth.schema import QUERY
from tests.support.forks import context


def run_program(*arguments: str, config: Path | str = "", stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run ``python -m mas`` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "mas", *arguments],
        capture_output=True,
        text=True,
        timeout=100,
        input=stdin,
        env={**os.environ, "MAS_CONFIG": str(config)},
    )


def run(*arguments: str, config: Path | str = "", stdin: str = "") -> subprocess.CompletedProcess[str]:
    """The same in this process, without the second that a Python takes to start."""
    output, errors = io.StringIO(), io.StringIO()
    code = 0
    with (
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(errors),
        mock.patch.object(sys, "stdin", io.StringIO(stdin)),
        mock.patch.dict(os.environ, MAS_CONFIG=str(config)),
    ):
        try:
            mas.cli.main(list(arguments))
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else bool(ended.code)
    return subprocess.CompletedProcess(list(arguments), code, output.getvalue(), errors.getvalue())


def run_forked(*arguments: str, config: Path | str = "", stdin: str = "") -> subprocess.CompletedProcess[str]:
    """The same in a process of its own, which may change its user, without that second: its parent has imported everything already."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        given.write(stdin.encode())
        given.seek(0)
        streams = [DupFd(file.fileno()) for file in (given, output, errors)]
        process = context.Process(target=_forked, args=(arguments, str(config), streams))
        process.start()
        process.join(100)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(arguments, 100)
        for file in (output, errors):
            file.seek(0)
        return subprocess.CompletedProcess(
            list(arguments), process.exitcode or 0, output.read().decode(), errors.read().decode()
        )


def _forked(arguments: tuple[str, ...], config: str, streams: list[Any]) -> None:
    for descriptor, stream in enumerate(streams):
        os.dup2(stream.detach(), descriptor)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - multiprocessing has put /dev/null there
    os.environ["MAS_CONFIG"] = config
    mas.cli.main(list(arguments))


def configure(directory: Path, more: str = "") -> Path:
    """A file with accounts in SQLite and no TCP listener; everything is below ``directory``."""
    path = directory / "mas.toml"
    path.write_text(
        f"""
state_dir = "state"
run_dir = "run"
imap = {{ port = 0, tls_port = 0 }}
managesieve = {{ port = 0 }}
lmtp = {{ socket = [] }}
[auth]
socket = []
failure_delay = 0
[[passdb]]
url = "sqlite+aiosqlite:///{directory}/accounts.sqlite"
query = "{QUERY}"
[[userdb]]
home = "{directory}/mail/%d/%n"
{more}"""
    )
    return path
