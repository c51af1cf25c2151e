"""Two private servers on one directory of accounts: Debian's Dovecot and MAS, both with their shipped habits and the same features on."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.rules import script

PASSWORD = "secret"
DOMAIN = "example.net"
USERS = 40
SIEVE_USERS = (18, 19)
"""Of a server's own: who has a script."""
_START_SECONDS = 30


@dataclass(slots=True)
class Server:
    """A running server: where it listens, which of the users are its own, and its main process."""

    name: str
    directory: Path
    imaps: int
    lmtp: Path
    first_user: int
    process: subprocess.Popen[bytes]
    dead_cpu: float = field(default=0.0)

    def home(self, number: int) -> Path:
        """The home folder of a user."""
        return self.directory / "mail" / DOMAIN / self.user(number).partition("@")[0]

    def user(self, number: int) -> str:
        """The server's own user number 0 … USERS/2 - 1."""
        return f"user{self.first_user + number}@{DOMAIN}"

    def pids(self) -> list[int]:
        """The main process and all its descendants."""
        parents: dict[int, list[int]] = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    stat = Path(f"/proc/{entry}/stat").read_text()
                except OSError:
                    continue
                parents.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry))
        found, pending = [], [self.process.pid]
        while pending:
            pid = pending.pop()
            found.append(pid)
            pending.extend(parents.get(pid, ()))
        return found

    def cpu(self) -> float:
        """Seconds of processor time of all processes so far, those that ended included (as their parents count them)."""
        total = 0.0
        ticks = os.sysconf("SC_CLK_TCK")
        for pid in self.pids():
            try:
                # clockid of a process's CPU clock: the pid inverted, shifted, CPUCLOCK_SCHED.
                total += time.clock_gettime((~pid << 3) | 2)
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            total += (int(fields[13]) + int(fields[14])) / ticks
        return total

    def settle(self) -> float:
        """cpu() when it has stopped to grow, so that work put off until after the reply counts."""
        last = self.cpu()
        for _ in range(40):
            time.sleep(0.02)
            now = self.cpu()
            if now - last < 0.0004:
                return now
            last = now
        return last

    def memory(self) -> int:
        """Proportional set size of all processes in octets."""
        total = 0
        for pid in self.pids():
            try:
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            except OSError:
                continue
            total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
        return total

    def stop(self) -> None:
        """End it, and wait."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def prepare(directory: Path) -> None:
    """Certificate, accounts, the mail user."""
    if subprocess.run(["id", "vmail"], capture_output=True, check=False).returncode:
        subprocess.run(["useradd", "-r", "-d", "/nonexistent", "-s", "/usr/sbin/nologin", "vmail"], check=True)
    directory.chmod(0o755)
    openssl = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=localhost"]
    files = ["-keyout", str(directory / "key.pem"), "-out", str(directory / "cert.pem")]
    subprocess.run([*openssl, *files], check=True, capture_output=True)
    hashed = subprocess.run(
        ["openssl", "passwd", "-6", PASSWORD], check=True, capture_output=True, text=True
    ).stdout.strip()
    with sqlite3.connect(directory / "users.db") as database:
        database.execute("CREATE TABLE users (username TEXT, domain TEXT, password TEXT)")
        rows = [(f"user{number}", DOMAIN, "{SHA512-CRYPT}" + hashed) for number in range(USERS)]
        database.executemany("INSERT INTO users VALUES (?, ?, ?)", rows)
    (directory / "users.db").chmod(0o644)
    for name in ("dovecot", "mas"):
        (directory / name / "mail").mkdir(parents=True)
        shutil.chown(directory / name, "vmail", "vmail")
        shutil.chown(directory / name / "mail", "vmail", "vmail")


def start_dovecot(directory: Path) -> Server:
    """Debian's Dovecot with quota, as a usual guide sets it up."""
    base = directory / "dovecot"
    port = free_port()
    (base / "sql.conf").write_text(
        f"driver = sqlite\nconnect = {directory}/users.db\ndefault_pass_scheme = SHA512-CRYPT\n"
        "password_query = SELECT username, domain, password FROM users WHERE username = '%n' AND domain = '%d'\n"
    )
    (base / "dovecot.conf").write_text(f"""
base_dir = {base}/run
state_dir = {base}/run
log_path = {base}/log
protocols = imap lmtp
listen = 127.0.0.1
ssl = required
ssl_cert = <{directory}/cert.pem
ssl_key = <{directory}/key.pem
auth_mechanisms = plain login
auth_cache_size = 10M
passdb {{
  driver = sql
  args = {base}/sql.conf
}}
userdb {{
  driver = static
  args = uid=vmail gid=vmail home={base}/mail/%d/%n allow_all_users=yes
}}
mail_location = maildir:~/Maildir
mail_uid = vmail
mail_gid = vmail
mail_plugins = $mail_plugins quota
mail_max_userip_connections = 20000
first_valid_uid = 1
default_client_limit = 20000
default_process_limit = 20000
postmaster_address = postmaster@{DOMAIN}
service imap-login {{
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {port}
    ssl = yes
  }}
  service_count = 0
  process_min_avail = 2
}}
service imap {{
  process_limit = 20000
}}
service anvil {{
  client_limit = 70000
}}
service auth {{
  client_limit = 70000
}}
service lmtp {{
  unix_listener lmtp.sock {{
    mode = 0666
  }}
}}
protocol lmtp {{
  mail_plugins = $mail_plugins sieve
}}
protocol imap {{
  mail_plugins = $mail_plugins imap_quota
}}
plugin {{
  quota = count:User quota
  quota_vsizes = yes
  quota_rule = *:storage=15G
  quota_rule2 = Trash:storage=+500M
}}
""")
    process = subprocess.Popen(
        ["dovecot", "-F", "-c", base / "dovecot.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return _ready(Server("dovecot", base, port, base / "run" / "lmtp.sock", 0, process))


def start_mas(directory: Path) -> Server:
    """MAS from this checkout."""
    base = directory / "mas"
    port = free_port()
    (base / "mas.toml").write_text(f"""
hostname = "mail.{DOMAIN}"
protocols = ["imap", "lmtp"]
listen = ["127.0.0.1"]
state_dir = "{base}/state"
run_dir = "{base}/run"
[tls]
cert = "{directory}/cert.pem"
key = "{directory}/key.pem"
[imap]
port = 0
tls_port = {port}
max_user_ip_connections = 20000
[auth]
socket = []
[[lmtp.socket]]
path = "{base}/lmtp.sock"
mode = "0666"
user = "vmail"
group = "vmail"
[[passdb]]
driver = "sql"
url = "sqlite+aiosqlite:///{directory}/users.db"
default_scheme = "SHA512-CRYPT"
query = "SELECT username, domain, password FROM users WHERE username = '%n' AND domain = '%d'"
iterate_query = "SELECT username, domain FROM users"
[[userdb]]
driver = "static"
home = "{base}/mail/%d/%n"
allow_all_users = true
[mail]
uid = "vmail"
gid = "vmail"
[quota]
rules = ["*:storage=15G", "Trash:storage=+500M"]
""")
    for name in ("state", "run"):
        (base / name).mkdir(exist_ok=True)
        shutil.chown(base / name, "vmail", "vmail")
    with (base / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mas", "-c", base / "mas.toml"],
            stdout=log,
            stderr=log,
            cwd=Path(__file__).parent.parent,
        )
    return _ready(Server("mas", base, port, base / "lmtp.sock", USERS // 2, process))


def write_scripts(server: Server) -> None:
    """Give a script to those who have one."""
    for number in SIEVE_USERS:
        home = server.home(number)
        home.mkdir(mode=0o700, parents=True)
        (home / ".dovecot.sieve").write_text(script("keep;"))
        for path in (home.parent, home, home / ".dovecot.sieve"):
            shutil.chown(path, "vmail", "vmail")


def _ready(server: Server) -> Server:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise SystemExit(f"{server.name} ended with {server.process.returncode}; see {server.directory}/log")
        try:
            socket.create_connection(("127.0.0.1", server.imaps), 1).close()
            if server.lmtp.exists():
                return server
        except OSError:
            pass
        time.sleep(0.05)
    server.stop()
    raise SystemExit(f"{server.name} does not listen; see {server.directory}/log")
