"""A whole private mail host for end-to-end tests: ``python -m mas -c FILE`` as a process of its own, with SQLite accounts, a certificate of
a throw-away authority, an LMTP socket, and ports that the kernel chose.

::

    with running_host({"kim@example.net": "secret"}) as host:
        host.deliver("kim@example.net", message(1))
        client = host.imap("kim@example.net")

``running_host`` stops the server and fails when it did not stop cleanly; its log is in ``host.log_path`` and in the failure's text.
"""

from __future__ import annotations

import contextlib
import grp
import imaplib
import os
import pwd
import re
import shutil
import signal
import smtplib
import socket
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import trustme

from tests.support.ports import free_ports

START_TIMEOUT = 60.0
STOP_TIMEOUT = 20.0
ROOT = Path(__file__).parent.parent.parent
NAME = "mail.example.net"


class HostError(AssertionError):
    """The server did not start, or did not stop."""


def _without_scripts_of_this_machine(settings: str) -> str:
    """``sieve.default`` is below /var/lib/mas, where a host may have its own, which its workers alone may read."""
    if re.search(r"^default\s*=", settings, re.MULTILINE):
        return settings
    if "[sieve]\n" in settings:
        return settings.replace("[sieve]\n", '[sieve]\ndefault = ""\n', 1)
    return f'{settings}\n[sieve]\ndefault = ""\n'


def workers_account() -> tuple[str, str]:
    """Who the workers run as: this user, or nobody when that is root."""
    if os.getuid() == 0:
        return "nobody", grp.getgrgid(pwd.getpwnam("nobody").pw_gid).gr_name
    return pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name


@dataclass(slots=True)
class Host:
    """One running server. ``settings`` is TOML that comes after the host's own, for tests that need other settings; ``auth_settings``,
    ``tls_settings``, ``imap_settings`` are lines of ``[auth]``, ``[tls]``, ``[imap]``. ``accounts_url``: a database with the table
    ``users`` that is there already, instead of SQLite's. ``lmtp_mode``: of the LMTP socket; with another than 0600 its directory is
    opened as well."""

    directory: Path
    users: Mapping[str, str]
    settings: str = ""
    top_settings: str = ""
    workers: int = 1
    auth_sockets: str = "[]"
    accounts_url: str = ""
    auth_settings: str = ""
    tls_settings: str = ""
    imap_settings: str = ""
    lmtp_mode: str = "0600"
    imap_port: int = 0
    imaps_port: int = 0
    sieve_port: int = 0
    authority: trustme.CA = field(default_factory=trustme.CA)
    process: subprocess.Popen[bytes] | None = None

    @property
    def config_path(self) -> Path:
        return self.directory / "mas.toml"

    @property
    def log_path(self) -> Path:
        return self.directory / "mas.log"

    @property
    def lmtp_path(self) -> Path:
        return self.directory / "lmtp"

    def home(self, user: str) -> Path:
        local, _, domain = user.partition("@")
        return self.directory / "mail" / domain / local

    def prepare(self) -> None:
        """Write accounts, certificate and configuration."""
        self.imap_port, self.imaps_port, self.sieve_port = free_ports(3)
        if os.getuid() == 0:
            shutil.chown(self.directory, *workers_account())  # workers give up root
        if self.lmtp_mode != "0600":
            self.directory.chmod(0o755)
        certificate = self.authority.issue_cert(NAME, "localhost", "127.0.0.1")
        self.authority.cert_pem.write_to_path(str(self.directory / "ca.pem"))
        for n, blob in enumerate(certificate.cert_chain_pems):
            blob.write_to_path(str(self.directory / "cert.pem"), append=n > 0)
        certificate.private_key_pem.write_to_path(str(self.directory / "key.pem"))
        with contextlib.closing(sqlite3.connect(self.directory / "accounts.sqlite")) as database:
            database.execute("CREATE TABLE users (username TEXT, domain TEXT, password TEXT)")
            for user, password in self.users.items():
                local, _, domain = user.partition("@")
                database.execute("INSERT INTO users VALUES (?, ?, ?)", (local, domain, "{PLAIN}" + password))
            database.commit()
        self.configure()

    def configure(self) -> None:
        """Write the configuration (again, after ``settings`` have changed; the next start reads it)."""
        self.config_path.write_text(self._config())

    def _config(self) -> str:
        d = self.directory
        account, group = workers_account()
        return f"""\
hostname = "{NAME}"
listen = ["127.0.0.1"]
workers = {self.workers}
state_dir = "{d}/state"
run_dir = "{d}/run"
{self.top_settings}
[tls]
cert = "{d}/cert.pem"
key = "{d}/key.pem"
{self.tls_settings}
[imap]
port = {self.imap_port}
tls_port = {self.imaps_port}
{self.imap_settings}
[managesieve]
port = {self.sieve_port}
[[lmtp.socket]]
path = "{self.lmtp_path}"
mode = "{self.lmtp_mode}"
[auth]
socket = {self.auth_sockets}
{self.auth_settings}
[[passdb]]
driver = "sql"
url = "{self.accounts_url or f"sqlite+aiosqlite:///{d}/accounts.sqlite"}"
query = "SELECT username, domain, password FROM users WHERE username = '%n' AND domain = '%d'"
iterate_query = "SELECT username, domain FROM users"
[mail]
uid = "{account}"
gid = "{group}"
[[userdb]]
driver = "static"
home = "{d}/mail/%d/%n"
{_without_scripts_of_this_machine(self.settings)}
"""

    def start(self) -> None:
        """Start the server and wait until it answers on all its ports. Raises HostError with its log."""
        notify_path = self.directory / "notify"
        notify_path.unlink(missing_ok=True)
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "NOTIFY_SOCKET": str(notify_path),
        }
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, self.log_path.open("ab") as log:
            notify.bind(str(notify_path))
            notify.settimeout(0.02)
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mas", "-c", str(self.config_path)],
                cwd=self.directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            deadline = time.monotonic() + START_TIMEOUT
            # Its own word, as to systemd: a greeting can be that of a worker whose supervisor was killed a moment ago.
            said = b""
            while not (b"READY=1" in said and self.lmtp_path.exists()):
                with contextlib.suppress(TimeoutError):
                    said += notify.recv(4096)
                if self.process.poll() is not None or time.monotonic() > deadline:
                    code = self.process.poll()
                    self.kill()
                    raise HostError(f"the server did not start (exit code {code}):\n{self.log()}")

    def stop(self) -> None:
        """SIGTERM, and wait for the end. Raises HostError when it does not come or is not clean."""
        if self.process is None:
            return
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise HostError(f"the server did not stop:\n{self.log()}") from None
        if code:
            raise HostError(f"the server stopped with exit code {code}:\n{self.log()}")

    def kill(self) -> None:
        """SIGKILL to the supervisor; its workers notice that it is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def crash(self) -> None:
        """SIGKILL to all of it at once, at whatever it is doing: what a power cut leaves of processes."""
        if self.process is not None:
            self.process.send_signal(signal.SIGSTOP)  # no new workers meanwhile
            self.crash_workers()
            self.process.kill()
            self.process.wait()
            self.process = None

    def crash_workers(self) -> None:
        """SIGKILL to every worker."""
        assert self.process is not None
        pid = self.process.pid
        for worker in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            os.kill(int(worker), signal.SIGKILL)

    def messages(self, user: str, mailbox: str = "") -> list[bytes]:
        """The files of a mailbox (``.Junk``; INBOX without a name), as they lie."""
        maildir = self.home(user) / "Maildir" / mailbox
        return [path.read_bytes() for part in ("new", "cur") for path in sorted((maildir / part).glob("*"))]

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def client_context(self) -> ssl.SSLContext:
        """TLS for clients that check the certificate."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context

    def imap(self, user: str, *, port: int | None = None) -> imaplib.IMAP4_SSL:
        """A logged-in imaplib client over TLS."""
        client = imaplib.IMAP4_SSL("localhost", port or self.imaps_port, ssl_context=self.client_context(), timeout=20)
        client.login(user, self.users[user])
        return client

    def deliver(self, user: str, octets: bytes, sender: str = "robin@example.org") -> None:
        """Deliver one message over LMTP. Raises smtplib.SMTPException when it is refused."""
        with smtplib.LMTP(str(self.lmtp_path), timeout=20) as client:
            client.sendmail(sender, [user], octets)


@contextlib.contextmanager
def running_host(
    users: Mapping[str, str] | None = None,
    *,
    settings: str = "",
    top_settings: str = "",
    workers: int = 1,
    auth_sockets: str = "[]",
    accounts_url: str = "",
    auth_settings: str = "",
    tls_settings: str = "",
    imap_settings: str = "",
    lmtp_mode: str = "0600",
) -> Iterator[Host]:
    """A server that runs while the block does. ``users``: names to passwords; ``kim@example.net`` with ``secret`` by default.

    Its directory is not pytest's: that one is for root alone when root runs the tests, and too long a path for a UNIX socket.
    """
    with tempfile.TemporaryDirectory(prefix="mas-host-", ignore_cleanup_errors=True) as directory:
        host = Host(
            Path(directory),
            users or {"kim@example.net": "secret"},
            settings,
            top_settings,
            workers,
            auth_sockets,
            accounts_url,
            auth_settings,
            tls_settings,
            imap_settings,
            lmtp_mode,
        )
        host.prepare()
        host.start()
        try:
            yield host
        except BaseException:
            host.kill()
            print(host.log())
            raise
        host.stop()
