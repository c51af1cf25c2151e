"""A private PostgreSQL: own directory, socket and port, ended by its pid. ``with Postgres() as server: server.url``."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.support.mariadb import DEADLINE
from tests.support.ports import free_ports
from tests.support.servers import need


def programs() -> Path:
    """The directory of initdb, postgres and psql."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    return Path(need("initdb")).parent


class Postgres:
    """One server with trusting authentication and the database ``postgres``."""

    def __init__(self) -> None:
        self._bin = programs()
        self.directory = Path(tempfile.mkdtemp(prefix="mas-postgres-"))
        (self.port,) = free_ports(1)
        self.process: subprocess.Popen[bytes] | None = None
        self.url = f"postgresql+asyncpg://mail:secret@127.0.0.1:{self.port}/postgres"
        # The server refuses to run as root.
        self._user: dict[str, Any] = (
            {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
        )

    def _run(self, *command: str) -> str:
        done = subprocess.run(command, check=True, capture_output=True, timeout=DEADLINE, cwd="/", **self._user)
        out: bytes = done.stdout
        return out.decode()

    def __enter__(self) -> Postgres:
        found = self._bin
        if self._user:
            shutil.chown(self.directory, "postgres", "postgres")
        self._run(
            f"{found}/initdb", "-D", f"{self.directory}/data", "-A", "trust", "-U", "mail", "--no-sync", "-E", "UTF8"
        )
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def start(self) -> None:
        """Start it (again) on the same port, and wait until it answers."""
        self.process = subprocess.Popen(
            [f"{self._bin}/postgres", "-D", f"{self.directory}/data", "-k", str(self.directory), "-p", str(self.port),
             "-h", "127.0.0.1", "-F", "-c", "shared_buffers=16MB"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", **self._user,
        )  # fmt: skip
        end = time.monotonic() + DEADLINE
        while True:
            try:
                self.execute("SELECT 1")
            except subprocess.CalledProcessError:
                assert self.process.poll() is None, "PostgreSQL ended"
                assert time.monotonic() < end, "PostgreSQL does not answer"
                time.sleep(0.1)
            else:
                return

    def kill(self) -> None:
        """SIGQUIT: at once, sessions and all, as after a crash; its children would keep the memory after SIGKILL."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(DEADLINE)
            self.process = None

    def execute(self, *statements: str) -> Sequence[Sequence[object]]:
        """Run statements; returns the rows of the last one, as texts."""
        out = ""
        for statement in statements:
            out = self._run(f"{self._bin}/psql", "-h", str(self.directory), "-p", str(self.port), "-U", "mail",
                            "-d", "postgres", "-v", "ON_ERROR_STOP=1", "-qAt", "-F", "\t", "-c", statement)  # fmt: skip
        return tuple(tuple(line.split("\t")) for line in out.splitlines())
