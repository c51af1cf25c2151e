"""A private MariaDB: own directory, socket and port, ended by its pid. ``with MariaDb() as server: server.url``."""

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

import pymysql

from tests.support.ports import free_ports
from tests.support.servers import need

DEADLINE = 60.0


class MariaDb:
    """One server, empty at first, with the database ``mail`` and the user ``mail`` with the password ``secret``."""

    def __init__(self) -> None:
        for program in ("mariadbd", "mariadb-install-db"):
            need(program)
        self.directory = Path(tempfile.mkdtemp(prefix="mas-mariadb-"))
        (self.port,) = free_ports(1)
        self.process: subprocess.Popen[bytes] | None = None
        self.url = f"mysql+aiomysql://mail:secret@127.0.0.1:{self.port}/mail"

    def __enter__(self) -> MariaDb:
        data = self.directory / "data"
        data.mkdir()
        as_root = os.getuid() == 0
        if as_root:
            shutil.chown(self.directory, "mysql", "mysql")
            shutil.chown(data, "mysql", "mysql")
        subprocess.run(
            ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--skip-test-db", "--auth-root-authentication-method=normal",
             *(["--user=mysql"] if as_root else [])],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=DEADLINE,
        )  # fmt: skip
        self.start()
        self.execute("CREATE DATABASE mail", database=None, user="root", password="")
        self.execute(
            "CREATE USER mail@'%' IDENTIFIED BY 'secret'", "GRANT ALL ON mail.* TO mail@'%'",
            database=None, user="root", password="",
        )  # fmt: skip
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def start(self) -> None:
        """Start it (again) on the same port, and wait until it answers."""
        self.process = subprocess.Popen(
            ["mariadbd", "--no-defaults", f"--datadir={self.directory / 'data'}", f"--socket={self.directory / 'sock'}",
             f"--port={self.port}", "--bind-address=127.0.0.1", "--innodb-buffer-pool-size=16M", "--skip-log-bin",
             f"--log-error={self.directory / 'log'}", f"--pid-file={self.directory / 'pid'}",
             *(["--user=mysql"] if os.getuid() == 0 else [])],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        end = time.monotonic() + DEADLINE
        while True:
            try:
                self._connect(None, "root", "").close()
            except pymysql.Error:
                assert self.process.poll() is None, (self.directory / "log").read_text()
                assert time.monotonic() < end, "MariaDB does not answer"
                time.sleep(0.1)
            else:
                return

    def kill(self) -> None:
        """SIGKILL, paused or not."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(DEADLINE)
            self.process = None

    def pause(self) -> None:
        """SIGSTOP: connections stay, nothing answers."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)

    def execute(
        self, *statements: str, database: str | None = "mail", user: str = "mail", password: str = "secret"
    ) -> Sequence[Sequence[object]]:
        """Run statements; returns the rows of the last one."""
        connection = self._connect(database, user, password)
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                connection.commit()
                return tuple(cursor.fetchall())
        finally:
            connection.close()

    def _connect(self, database: str | None, user: str, password: str) -> pymysql.Connection:
        return pymysql.connect(
            host="127.0.0.1", port=self.port, user=user, password=password, database=database, connect_timeout=5
        )
