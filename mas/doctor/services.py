"""What MAS talks to: the account databases, the way out for mail, Rspamd, and the server itself when it runs."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import socket
import ssl
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from mas.auth.service import Accounts, open_authenticator
from mas.config import Config
from mas.doctor.finding import Finding, error, ok, warn
from mas.errors import AuthUnavailable, ConfigError, MasError
from mas.server.rundir import PID_FILE
from mas.server.sockets import Endpoint, plan

TIMEOUT = 10.0
NOBODY = "mas-doctor@doctor.invalid"
"""Asked for, so that the query runs; nobody has it."""


async def databases(config: Config) -> AsyncIterator[Finding]:
    """Do they answer, do the queries run, do they give what a login needs."""
    # Other mechanisms make files of their own; what is looked at here is the same for all.
    auth = config.auth.model_copy(update={"mechanisms": ("PLAIN",)})
    accounts = open_authenticator(config.model_copy(update={"auth": auth}), penalty=False)
    try:
        working = True
        for passdb in accounts.passdbs:
            try:
                await passdb.lookup(NOBODY, "doctor")
                yield ok(passdb.key, f"{passdb.database}: the query runs")
            except AuthUnavailable as wrong:
                working = False
                todo = "is it running, do url and password fit, has the table the columns of the query?"
                yield error(passdb.key, str(wrong), todo)
        if not working:
            return
        try:
            await accounts.lookup(NOBODY, "doctor")
        except AuthUnavailable as wrong:
            yield error("userdb", str(wrong), "see the query of [[userdb]]")
            return
        except MasError:
            pass  # unknown, as it should be
        async for finding in _somebody(accounts):
            yield finding
    finally:
        await accounts.close()


async def _somebody(accounts: Accounts) -> AsyncIterator[Finding]:
    """The first user that the databases list: is there a password, a home."""
    try:
        names = [name async for name in accounts.users()]
    except ConfigError:
        yield ok("iterate_query", "is empty: users cannot be listed")
        return
    except AuthUnavailable as wrong:
        yield error("iterate_query", str(wrong), "autoexpunge and mas user list need it; empty turns it off")
        return
    if not names:
        yield warn("passdb", "there are no users", "mas user add NAME@DOMAIN")
        return
    name = names[0]
    answers = [await passdb.lookup(name, "doctor") for passdb in accounts.passdbs]
    found = next((answer for answer in answers if answer is not None), None)
    if found is None:
        yield warn("passdb", f"{name} is listed by iterate_query and not found by query", "make both name users alike")
        return
    if not found.row.get("password"):
        yield error("passdb", f"{name} has no password: no column of that name, or it is NULL", "SELECT … AS password")
    try:
        user = await accounts.lookup(name, "doctor")
    except MasError as wrong:
        yield error("userdb", f"{name} is in the passdb and in no userdb: {wrong}", "see the query of [[userdb]]")
        return
    yield ok("userdb", f"{len(names)} users; {name} lives in {user.home}")


def outgoing(config: Config) -> Iterator[Finding]:
    """The way out for redirects and vacation replies."""
    sieve = config.sieve
    if sieve.sendmail:
        if os.access(sieve.sendmail, os.X_OK) or shutil.which(sieve.sendmail):
            yield ok("sieve.sendmail", sieve.sendmail)
        else:
            yield error("sieve.sendmail", f"{sieve.sendmail} is not there", "redirects and vacation replies wait")
        return
    parts = urlsplit(sieve.submission)
    if not parts.hostname:
        return
    port = parts.port or {"smtps": 465}.get(parts.scheme, 25)
    todo = "redirects and vacation replies wait in the queue until it answers; see sieve.submission"
    try:
        with contextlib.ExitStack() as stack:
            sock = stack.enter_context(socket.create_connection((parts.hostname, port), TIMEOUT))
            if parts.scheme == "smtps":
                context = ssl.create_default_context()
                sock = stack.enter_context(context.wrap_socket(sock, server_hostname=parts.hostname))
            banner = sock.recv(512)
            sock.sendall(b"QUIT\r\n")
    except OSError as wrong:
        yield error("sieve.submission", f"{sieve.submission}: {wrong}", todo)
        return
    if banner.startswith(b"220"):
        yield ok("sieve.submission", sieve.submission)
    else:
        yield error("sieve.submission", f"{sieve.submission} is no SMTP server that takes mail", todo)


def rspamd(config: Config) -> Iterator[Finding]:
    """The controller, and whether it takes the password."""
    controller = config.rspamd.controller
    if not controller:
        return
    try:
        status = _get(controller, "/stat", config.rspamd.password.get_secret_value())
    except (OSError, http.client.HTTPException) as wrong:
        yield error("rspamd.controller", f"{controller}: {wrong}", "spam training waits in the queue until it answers")
        return
    if status in (401, 403):
        yield error("rspamd.password", f"{controller} refuses it", "see password in rspamd's worker-controller.inc")
    elif status != 200:
        yield error("rspamd.controller", f"{controller} answers {status}", "is it the controller (11334)?")
    else:
        yield ok("rspamd.controller", controller)


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(self._path)


def _get(controller: str, path: str, password: str) -> int:
    connection: http.client.HTTPConnection
    if controller.startswith("unix:"):
        connection = _Unix(controller.removeprefix("unix:"))
    else:
        parts = urlsplit(controller)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "localhost", parts.port, timeout=TIMEOUT)
    with contextlib.closing(connection):
        connection.request("GET", path, headers={"Password": password} if password else {})
        return connection.getresponse().status


def running(run_dir: Path, locks: Path = Path("/proc/locks")) -> int | None:
    """The process of the running server: the one in its pid file, if somebody holds the lock of that. Taking the lock to find out would
    be in the way of a server that starts just now."""
    try:
        inode = (run_dir / PID_FILE).stat().st_ino
        held = any(line.split()[1] == "FLOCK" and f":{inode} " in line for line in locks.read_text().splitlines())
        return int((run_dir / PID_FILE).read_text()) if held else None
    except (OSError, ValueError):
        return None


def server(config: Config, pid: int | None) -> Iterator[Finding]:
    """Does it run and answer; if not, does another sit on its ports."""
    if pid is None:
        yield warn("server", "it does not run", "systemctl start mas; journalctl -u mas says why it does not")
    else:
        yield ok("server", f"process {pid}")
    for endpoint in plan(config):
        yield from _endpoint(endpoint, pid)
    if pid is not None and config.metrics.listen:
        host, port = config.metrics.address
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}/healthz"
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
                yield ok("/healthz", answer.read(200).decode().strip())
        except OSError as wrong:
            read = getattr(wrong, "read", None)
            said = read(1000).decode(errors="replace").strip() if read is not None else str(wrong)
            yield error("/healthz", said, "journalctl -u mas")


def _endpoint(endpoint: Endpoint, pid: int | None) -> Iterator[Finding]:
    unix = endpoint.unix
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(endpoint.host, endpoint.host)
    if unix is not None and not unix.path.parent.is_dir():
        yield error(str(endpoint), f"there is no directory {unix.path.parent}", "is Postfix installed? see the path")
        return
    try:
        with socket.socket(
            socket.AF_UNIX if unix else socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM
        ) as sock:
            sock.settimeout(TIMEOUT)
            sock.connect(str(unix.path) if unix else (host, endpoint.port))
    except OSError as wrong:
        if pid is not None and not isinstance(wrong, PermissionError):
            yield error(str(endpoint), f"the server runs and nobody answers: {wrong}", "systemctl restart mas")
        return
    if pid is None:
        yield error(str(endpoint), "another program listens there", "stop it (Dovecot?) before MAS starts: ss -ltnxp")
