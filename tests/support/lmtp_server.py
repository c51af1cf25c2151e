"""LMTP alone, as a process of its own: ``python -m tests.support.lmtp_server CONFIG SOCKET``.

Real accounts, real store, real pump; no supervisor. SIGTERM finishes what is in flight and ends; SIGKILL is what the tests are about.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import uvloop

from mas import config, logs
from mas.auth.service import open_authenticator
from mas.config import Config
from mas.protocols.lmtp.session import Lmtp, Session
from mas.protocols.pump import Pump
from mas.protocols.session import Peer
from mas.services import Services
from mas.storage.store import MaildirStore

ROOT = Path(__file__).parent.parent.parent
START_TIMEOUT = 60.0


class _Connected(Pump[Any]):
    """A pump that starts its session when it has its transport."""

    def __init__(self, service: Lmtp, peer: Peer, tasks: set[asyncio.Task[None]]) -> None:
        connection, self._session = service.open(peer)
        self._tasks = tasks
        super().__init__(connection, peer)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        task = asyncio.get_running_loop().create_task(self._serve(self._session))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, session: Session) -> None:
        try:
            await session(self)
        except ConnectionError:
            pass
        finally:
            await self.close(1)


async def serve(settings: Config, path: str) -> None:
    """Until SIGTERM."""
    loop = asyncio.get_running_loop()
    store = MaildirStore(settings)
    accounts = open_authenticator(settings, penalty=False)
    service = Lmtp(Services(config=settings, store=store, auth=accounts, sessions=cast(Any, None)))
    tasks: set[asyncio.Task[None]] = set()
    pumps: list[_Connected] = []
    numbers = itertools.count(1)

    def connected() -> _Connected:
        pumps.append(_Connected(service, Peer(f"{os.getpid()}-{next(numbers)}", "lmtp"), tasks))
        return pumps[-1]

    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    server = await loop.create_unix_server(connected, path, backlog=100)
    os.chmod(path, 0o666)
    await stop.wait()
    server.close()
    for pump in pumps:
        pump.draining = True
        pump.wake()
    await asyncio.gather(*tasks, return_exceptions=True)
    await service.close()
    await store.close()
    await accounts.close()


@dataclass(slots=True)
class LmtpHost:
    """The process, for tests."""

    directory: Path
    users: list[str]
    settings: str = ""
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def socket(self) -> Path:
        return self.directory / "lmtp"

    def home(self, user: str) -> Path:
        local, _, domain = user.partition("@")
        return self.directory / "mail" / domain / local

    def write(self) -> None:
        """Accounts and configuration."""
        with sqlite3.connect(self.directory / "accounts.sqlite") as database:
            database.execute("CREATE TABLE users (username TEXT, domain TEXT, password TEXT)")
            for user in self.users:
                database.execute("INSERT INTO users VALUES (?, ?, '{PLAIN}x')", user.partition("@")[::2])
        (self.directory / "mas.toml").write_text(
            f"""\
hostname = "mail.example.net"
protocols = ["lmtp"]
state_dir = "{self.directory}/state"
run_dir = "{self.directory}/run"
[[passdb]]
driver = "sql"
url = "sqlite+aiosqlite:///{self.directory}/accounts.sqlite"
query = "SELECT username, domain, password FROM users WHERE username = '%n' AND domain = '%d'"
[[userdb]]
driver = "static"
home = "{self.directory}/mail/%d/%n"
{self.settings}
"""
        )

    def start(self) -> None:
        """Start, and wait until the socket answers."""
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.lmtp_server", str(self.directory / "mas.toml"), str(self.socket)],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            with socket.socket(socket.AF_UNIX) as client:
                try:
                    client.connect(str(self.socket))
                    return
                except OSError:
                    if self.process.poll() is not None or time.monotonic() > deadline:
                        raise AssertionError(f"the server did not start:\n{self.log()}") from None
            time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL, at whatever it is doing."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        """SIGTERM; it must end cleanly."""
        if self.process is not None:
            self.process.terminate()
            try:
                code = self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"the server did not stop:\n{self.log()}") from None
            self.process = None
            assert code == 0, self.log()

    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")

    def messages(self, user: str, mailbox: str = "") -> list[bytes]:
        """The files of a mailbox, as they lie."""
        maildir = self.home(user) / "Maildir" / mailbox
        return [path.read_bytes() for part in ("new", "cur") for path in sorted((maildir / part).glob("*"))]


@contextmanager
def lmtp_host(directory: Path, users: list[str], settings: str = "") -> Iterator[LmtpHost]:
    """A running one; stopped at the end."""
    host = LmtpHost(directory, users, settings)
    host.write()
    host.start()
    try:
        yield host
        host.stop()
    finally:
        host.kill()


if __name__ == "__main__":
    loaded = config.load(Path(sys.argv[1]))
    logs.setup(loaded.log)
    uvloop.run(serve(loaded, sys.argv[2]))
