"""The whole server as processes: start, deaths, reloads, certificates, drain, root. The protocol is an echo."""

from __future__ import annotations

import os
import pwd
import re
import signal
import socket
import ssl
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

import pytest

from mas import sessions
from tests.support.certificates import Authority
from tests.support.ports import free_ports

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parent.parent.parent
DEADLINE = 60.0
HAND_OVER = """
import os, sys
fds = [int(fd) for fd in sys.argv[1].split(",")]
for number, fd in enumerate(fds, 3):
    os.dup2(fd, number)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""
NOBODY = pwd.getpwnam("nobody")


def wait_for(condition: Callable[[], object], what: str, deadline: float = DEADLINE) -> object:
    """Poll until ``condition`` gives something true; it."""
    until = time.monotonic() + deadline
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError(f"never happened: {what}")


class Client:
    """A blocking line client."""

    def __init__(self, sock: socket.socket, *, greeting: bool = True) -> None:
        sock.settimeout(DEADLINE)
        self.sock = sock
        self.file: IO[bytes] = sock.makefile("rb")
        self.greeting = self.line() if greeting else ""

    def line(self) -> str:
        return self.file.readline().decode().rstrip("\n")

    def ask(self, text: str) -> str:
        self.sock.sendall(text.encode() + b"\n")
        return self.line()

    @property
    def worker(self) -> int:
        return int(self.ask("pid"))

    def close(self) -> None:
        self.file.close()
        self.sock.close()


class Server:
    """One server in one directory."""

    def __init__(self, directory: Path, authority: Authority) -> None:
        self.directory = directory
        self.authority = authority
        self.port, self.tls_port = free_ports(2)
        authority.issue(directory, "mail.example.net", "tls")
        self.config = directory / "mas.toml"
        self.log = directory / "log"
        self.workers = 2
        self.extra = ""
        self.head = ""
        self.listen = "127.0.0.1"
        self.lmtp_mode = "0600"
        self.mail_account = "nobody"
        self.process: subprocess.Popen[bytes] | None = None
        self.clients: list[Client] = []
        self.environment: dict[str, str] = {}
        self.write()

    def write(self) -> None:
        self.config.write_text(
            f"""
{self.head}
protocols = ["imap", "lmtp"]
listen = ["{self.listen}"]
workers = {self.workers}
drain_timeout = "5s"
run_dir = "{self.directory}/run"
state_dir = "{self.directory}/state"
[tls]
cert = "{self.directory}/tls.cert.pem"
key = "{self.directory}/tls.key.pem"
[imap]
port = {self.port}
tls_port = {self.tls_port}
[auth]
socket = []
[[lmtp.socket]]
path = "{self.directory}/lmtp.sock"
mode = "{self.lmtp_mode}"
user = "nobody"
group = "{os.getgid()}"
[[passdb]]
url = "sqlite+aiosqlite:///{self.directory}/accounts.db"
[[userdb]]
home = "{self.directory}/home/%u"
[mail]
uid = "{self.mail_account}"
gid = "{NOBODY.pw_gid}"
{self.extra}
"""
        )

    def start(self, *arguments: str, ready: bool = True, pass_fds: Sequence[int] = ()) -> None:
        command = [sys.executable, "-m", "tests.support.echo_server", str(self.config), *arguments]
        if pass_fds:
            # As systemd does it: descriptors 3, 4, … and the number of the process that they are for.
            command = [sys.executable, "-c", HAND_OVER, ",".join(map(str, pass_fds)), *command]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                stderr=log,
                stdout=log,
                pass_fds=tuple(pass_fds),
                env={**os.environ, "PYTHONPATH": str(ROOT), **self.environment},
            )
        if ready:
            self.wait_log("serving")

    def wait_log(self, text: str, count: int = 1) -> None:
        def found() -> bool:
            assert self.process is not None
            present = self.log.read_text().count(text) >= count
            assert present or self.process.poll() is None, self.log.read_text()
            return present

        try:
            wait_for(found, f"{text!r} in the log")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log.read_text()}") from None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait_end(self) -> int:
        assert self.process is not None
        return self.process.wait(DEADLINE)

    def connect(self) -> Client:
        client = Client(socket.create_connection(("127.0.0.1", self.port), DEADLINE))
        self.clients.append(client)
        return client

    def connect_tls(self, context: ssl.SSLContext | None = None, session: ssl.SSLSession | None = None) -> Client:
        raw = socket.create_connection(("127.0.0.1", self.tls_port), DEADLINE)
        context = context or self.authority.client_context()
        client = Client(context.wrap_socket(raw, server_hostname="mail.example.net", session=session))
        self.clients.append(client)
        return client

    def children(self) -> set[int]:
        return set(map(int, Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()))

    def in_each_worker(self) -> dict[int, Client]:
        """One connection in each worker."""
        found: dict[int, Client] = {}

        def complete() -> bool:
            client = self.connect()
            worker = client.worker
            if worker in found:
                client.close()
            else:
                found[worker] = client
            return len(found) == self.workers

        wait_for(complete, "a connection in each worker")
        return found

    def stop(self) -> None:
        for client in self.clients:
            client.close()
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def server(authority: Authority) -> Iterator[Server]:
    # Not pytest's own temporary directory: other users, as the workers are, must be able to enter it.
    with tempfile.TemporaryDirectory(prefix="mas-server-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        made = Server(directory, authority)
        yield made
        made.stop()


def test_a_killed_worker_is_replaced_and_the_others_go_on(server: Server) -> None:
    server.start()
    clients = server.in_each_worker()
    victim, other = clients
    for client in clients.values():
        assert client.ask("login kim@example.net") == "ok login"
    run_dir = server.directory / "run"
    assert len(sessions.live(run_dir)) == 2
    os.kill(victim, signal.SIGKILL)
    assert clients[victim].line() == ""
    wait_for(lambda: len(server.children() - {victim}) == 2, "a new worker")
    assert clients[other].ask("still here") == "still here"
    assert "worker died" in server.log.read_text()
    assert "SIGKILL" in server.log.read_text()
    wait_for(lambda: [s.pid for s in sessions.live(run_dir)] == [other], "the dead one's session forgotten")
    assert len(server.in_each_worker()) == 2
    # And its place counts again: the limit of the echo protocol is two.
    again = server.connect()
    assert again.ask("login kim@example.net") == "ok login"


def test_workers_that_die_at_once_are_replaced_slower_and_slower(server: Server) -> None:
    server.workers = 1
    server.write()
    server.start()
    for deaths in range(1, 4):
        (pid,) = server.children()
        os.kill(pid, signal.SIGKILL)
        server.wait_log("worker died", deaths)
        wait_for(lambda pid=pid: server.children() - {pid}, "the next one")  # type: ignore[misc]
    assert server.connect().ask("x") == "x"


def test_a_hanging_worker_is_replaced(server: Server) -> None:
    server.head = 'hang_timeout = "3s"'
    server.write()
    server.start()
    clients = server.in_each_worker()
    victim, other = clients
    clients[victim].sock.sendall(b"hang\n")
    server.wait_log("worker hangs")
    wait_for(lambda: victim not in server.children() and len(server.children()) == 2, "the hanging one replaced")
    assert clients[other].ask("still here") == "still here"
    assert "in next_event" in server.log.read_text()  # where it hung


def test_a_bug_in_a_session_ends_that_session_alone_with_one_line(server: Server) -> None:
    server.workers = 1
    server.write()
    server.start()
    good, bad = server.connect(), server.connect()
    session_id = bad.ask("whoami").split()[1]
    assert re.fullmatch(r"[A-Za-z0-9+/]{16}", session_id)
    assert bad.ask("crash") == ""
    assert good.ask("still here") == "still here"
    lines = [line for line in server.log.read_text().splitlines() if session_id in line]
    assert len(lines) == 1
    assert "ValueError: a bug in a session" in lines[0]
    assert "traceback=" in lines[0]  # the whole of it, on this line
    assert "echo.py" in lines[0]
    assert "\n  File" not in server.log.read_text()


def test_drain(server: Server) -> None:
    """SIGTERM: nothing new is accepted, what is under way is finished, the exit status is 0."""
    server.start()
    idle, busy = server.connect(), server.connect_tls()
    assert busy.ask("slow") == "ok slow"
    lmtp = socket.socket(socket.AF_UNIX)
    lmtp.connect(str(server.directory / "lmtp.sock"))
    server.signal(signal.SIGTERM)
    assert idle.line() == "* bye draining"
    assert idle.line() == ""
    assert busy.line() == "ok delivered"
    assert Client(lmtp, greeting=False).line() in ("* hello plain", "* bye draining", "")
    assert server.wait_end() == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), DEADLINE)
    assert not (server.directory / "lmtp.sock").exists()
    assert not (server.directory / "run" / "mas.pid").exists()
    assert (server.directory / "state" / "closed").exists()


def test_drain_does_not_wait_for_a_client_that_reads_nothing(server: Server) -> None:
    server.start()
    stuck = server.connect()
    stuck.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stuck.sock.sendall(b"big 100000000\n")
    assert stuck.file.read(1)
    server.signal(signal.SIGINT)
    assert server.wait_end() == 0


def test_a_second_signal_kills(server: Server) -> None:
    server.extra = ""
    server.start()
    server.signal(signal.SIGSTOP)
    for pid in server.children():
        os.kill(pid, signal.SIGSTOP)
    server.signal(signal.SIGCONT)
    server.signal(signal.SIGTERM)
    server.wait_log("stopping")
    server.signal(signal.SIGTERM)
    assert server.wait_end() == 0


def test_no_worker_outlives_a_killed_supervisor(server: Server) -> None:
    server.start()
    children = server.children()
    client = server.connect()
    server.signal(signal.SIGKILL)
    assert client.line() == "* bye draining"
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() and running(pid) for pid in children), "workers gone")


def refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), DEADLINE).close()
    except ConnectionRefusedError:
        return True
    return False


def running(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_a_strict_umask_does_not_lock_the_workers_out(server: Server) -> None:
    before = os.umask(0o077)
    try:
        server.start()
    finally:
        os.umask(before)
    assert stat.S_IMODE((server.directory / "run").stat().st_mode) == 0o755
    assert server.connect().ask("x") == "x"


def test_reload_with_a_good_file(server: Server) -> None:
    server.start()
    before = server.children()
    session = server.connect()
    tls_session = server.connect_tls()
    old_port = server.port
    server.port = free_ports(1)[0]
    server.lmtp_mode = "0660"
    server.write()
    server.signal(signal.SIGHUP)
    server.wait_log("reloaded")
    assert session.ask("old session") == "old session"
    assert server.connect().worker not in before
    assert server.connect_tls().worker not in before
    wait_for(lambda: refused(old_port), "the old port's end")
    assert stat.S_IMODE((server.directory / "lmtp.sock").stat().st_mode) == 0o660
    lmtp = socket.socket(socket.AF_UNIX)
    lmtp.connect(str(server.directory / "lmtp.sock"))
    assert Client(lmtp).worker not in before
    # A retired worker ends with its last session.
    old = {session.worker, tls_session.worker}
    assert old <= before
    session.close()
    tls_session.close()
    wait_for(lambda: not server.children() & before, "the old workers' end")
    server.signal(signal.SIGTERM)
    assert server.wait_end() == 0


@pytest.mark.parametrize(("before", "after"), [("*", "127.0.0.1"), ("127.0.0.1", "*")])
def test_reload_to_other_addresses_of_the_same_port(server: Server, before: str, after: str) -> None:
    server.listen = before
    server.start()
    first = server.children()
    session = server.connect()
    server.listen = after
    server.write()
    server.signal(signal.SIGHUP)
    server.wait_log("reloaded")
    assert session.ask("old session") == "old session"
    session.close()
    wait_for(lambda: not server.children() & first, "the old workers' end")
    assert server.connect().worker not in first
    assert server.connect_tls().worker not in first
    with pytest.raises(OSError, match="Address already in use"):
        socket.create_server(("127.0.0.1", server.port))


@pytest.mark.parametrize("how", ["unknown key", "port in use", "worker cannot start", "broken certificate"])
def test_reload_with_a_bad_file(server: Server, how: str) -> None:
    """The old configuration stays in force, the log says why."""
    server.start()
    before = server.children()
    blocker = socket.create_server(("127.0.0.1", 0))
    if how == "unknown key":
        server.extra = "maximum = 3"
        said = "not reloaded"
    elif how == "port in use":
        server.port = blocker.getsockname()[1]
        said = "address already in use"
    elif how == "worker cannot start":
        server.head = 'hostname = "broken.example.net"'
        said = "made to fail"
    else:
        (server.directory / "tls.cert.pem").write_text("broken")
        said = "tls: cert"
    port = server.port
    server.write()
    server.signal(signal.SIGHUP)
    server.wait_log("not reloaded")
    assert said in server.log.read_text()
    assert server.connect_tls().worker in before
    lmtp = socket.socket(socket.AF_UNIX)
    lmtp.connect(str(server.directory / "lmtp.sock"))
    assert Client(lmtp).worker in before
    blocker.close()
    assert port


@pytest.mark.parametrize("by_signal", [False, True])
def test_a_new_certificate_is_picked_up(server: Server, by_signal: bool) -> None:
    server.start("600" if by_signal else "0.1")

    def serial() -> str:
        client = server.connect_tls()
        assert isinstance(client.sock, ssl.SSLSocket)
        certificate = client.sock.getpeercert()
        client.close()
        assert certificate
        return str(certificate["serialNumber"])

    old_session = server.connect_tls()
    before = serial()
    cert = server.directory / "tls.cert.pem"
    good = cert.read_bytes()
    if not by_signal:
        cert.write_text("half a certif")
        server.wait_log("certificate not taken")
        assert serial() == before
        cert.write_bytes(good)
    server.authority.issue(server.directory, "mail.example.net", "tls")
    if by_signal:
        server.signal(signal.SIGHUP)
    wait_for(lambda: serial() != before, "the new certificate")
    assert old_session.ask("old session") == "old session"


def test_tls_sessions_are_resumed_by_any_worker_and_after_a_reload(server: Server) -> None:
    server.start()
    context = server.authority.client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    def connect(session: ssl.SSLSession | None) -> tuple[int, bool, ssl.SSLSession]:
        client = server.connect_tls(context, session)
        assert isinstance(client.sock, ssl.SSLSocket)
        worker, reused, new = client.worker, bool(client.sock.session_reused), client.sock.session
        client.close()
        assert new
        return worker, reused, new

    _, _, session = connect(None)
    resumed: dict[int, bool] = {}

    def all_seen() -> bool:
        worker, reused, _ = connect(session)
        resumed[worker] = reused
        return len(resumed) == workers

    workers = 2
    wait_for(all_seen, "each worker asked")
    assert all(resumed.values())
    server.signal(signal.SIGHUP)
    server.wait_log("reloaded")
    workers = 3  # one of the two old ones may not have heard of it yet, and take one connection more
    wait_for(all_seen, "a new worker asked")
    assert all(resumed.values())


def test_keys_of_tls_session_tickets_are_renewed(server: Server) -> None:
    text = server.config.read_text().replace("[tls]", '[tls]\nticket_key_lifetime = "1s"')
    server.config.write_text(text)
    server.start("0.1")
    context = server.authority.client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    first = server.connect_tls(context)
    assert isinstance(first.sock, ssl.SSLSocket)
    server.wait_log("new keys for TLS session tickets")
    server.wait_log("reloaded")
    second = server.connect_tls(context, first.sock.session)
    assert isinstance(second.sock, ssl.SSLSocket)
    assert not second.sock.session_reused
    assert second.ask("x") == "x"
    assert first.ask("still here") == "still here"


def test_starttls_and_injection(server: Server) -> None:
    """What was pipelined behind STARTTLS in plain is never run."""
    server.start()
    client = server.connect()
    assert client.greeting == "* hello plain"
    client.sock.sendall(b"starttls\nevil\n")
    assert client.line() == "ok begin"
    context = server.authority.client_context()
    secured = Client(context.wrap_socket(client.sock, server_hostname="mail.example.net"))
    assert secured.greeting == "* hello tls"
    assert secured.ask("good") == "good"
    assert "TLSv1.3 with cipher" in secured.ask("whoami")
    secured.close()


def test_failed_handshakes_are_one_line_each_and_harm_nobody(server: Server) -> None:
    server.start()
    for junk in (b"GET / HTTP/1.0\r\n\r\n", b"\0" * 50):
        with socket.create_connection(("127.0.0.1", server.tls_port), DEADLINE) as raw:
            raw.sendall(junk)
            while raw.recv(1000):
                pass
    server.wait_log("TLS handshake failed", 2)
    assert "Traceback" not in server.log.read_text()
    assert server.connect_tls().ask("x") == "x"


def test_limit_before_login(server: Server) -> None:
    server.workers = 1
    server.extra = "[sieve]"
    server.write()
    text = server.config.read_text().replace("[imap]", "[imap]\nmax_login_connections_per_ip = 2")
    server.config.write_text(text)
    server.start()
    first, _second = server.connect(), server.connect()
    third = server.connect()
    assert third.greeting == ""
    server.wait_log("max_login_connections_per_ip = 2")
    assert first.ask("login kim@example.net") == "ok login"
    assert server.connect().greeting == "* hello plain"


def test_who_and_kick(server: Server) -> None:
    server.start()
    kim, lee = server.connect(), server.connect_tls()
    assert kim.ask("login kim@example.net") == "ok login"
    assert lee.ask("login lee@example.net") == "ok login"
    assert kim.ask("state INBOX IDLE") == "ok state"
    run_dir = server.directory / "run"
    wait_for(lambda: {s.state for s in sessions.live(run_dir)} == {"INBOX IDLE", ""}, "the state")
    assert sessions.kick(run_dir, "kim@example.net") == 1
    assert kim.line() == "* bye draining"
    assert lee.ask("still here") == "still here"
    wait_for(lambda: [s.user for s in sessions.live(run_dir)] == ["lee@example.net"], "the session's end")


def test_one_server_a_run_dir(server: Server) -> None:
    server.start()
    assert (server.directory / "run" / "mas.pid").read_text() == f"{server.pid}\n"
    second = subprocess.run(
        [sys.executable, "-m", "tests.support.echo_server", str(server.config)],
        cwd=ROOT,
        capture_output=True,
        timeout=DEADLINE,
        check=False,
    )
    assert second.returncode != 0
    assert f"another server (process {server.pid})" in second.stderr.decode()
    assert server.connect().ask("x") == "x"


def test_workers_that_cannot_start_end_the_server(server: Server) -> None:
    server.head = 'hostname = "broken.example.net"'
    server.write()
    server.start(ready=False)
    assert server.wait_end() == 1
    assert "made to fail" in server.log.read_text()
    assert "Traceback" not in server.log.read_text()


def test_jobs_run_in_one_worker(server: Server) -> None:
    server.start()
    trace = server.directory / "state" / "job"
    wait_for(trace.exists, "the job")
    wait_for(lambda: trace.read_text().count("ran") > 3, "the job again")


@pytest.mark.skipif(os.geteuid() != 0, reason="root gives up root")
def test_workers_give_up_root(server: Server) -> None:
    server.start()
    for pid in server.children():
        status = dict(
            line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
        )
        assert status["Uid"].split() == [str(NOBODY.pw_uid)] * 4
        assert status["Gid"].split() == [str(NOBODY.pw_gid)] * 4
        assert "0" not in status["Groups"].split()
        assert status["NoNewPrivs"] == "1"
        assert int(status["CapEff"], 16) == 0
        assert int(status["Umask"], 8) == 0o077
    status_text = Path(f"/proc/{server.pid}/status").read_text()
    assert "Uid:\t0" in status_text
    lmtp = (server.directory / "lmtp.sock").stat()
    assert stat.S_ISSOCK(lmtp.st_mode)
    assert (stat.S_IMODE(lmtp.st_mode), lmtp.st_uid, lmtp.st_gid) == (0o600, NOBODY.pw_uid, os.getgid())
    run_dir = server.directory / "run"
    assert run_dir.stat().st_uid == 0
    assert (run_dir / "workers").stat().st_uid == NOBODY.pw_uid


@pytest.mark.skipif(os.geteuid() != 0, reason="root gives up root")
def test_workers_never_run_as_root(server: Server) -> None:
    server.mail_account = "root"
    server.write()
    server.start(ready=False)
    assert server.wait_end() != 0
    assert "workers never run as root" in server.log.read_text()


def test_a_socket_file_left_behind_is_replaced_anything_else_is_not(server: Server) -> None:
    path = server.directory / "lmtp.sock"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    server.start()
    server.stop()
    path.write_text("somebody's file")
    server.start(ready=False)
    assert server.wait_end() != 0
    assert path.read_text() == "somebody's file"
    assert "not a socket" in server.log.read_text()
    path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        server.start(ready=False)
        assert server.wait_end() != 0
        assert "another server listens there" in server.log.read_text()


def test_socket_activation(server: Server) -> None:
    """By port where it fits, by name otherwise; what systemd gives is not opened again."""
    imap = socket.create_server(("127.0.0.1", server.port))
    imaps = socket.create_server(("127.0.0.1", 0))
    unknown = socket.create_server(("127.0.0.1", 0))
    # Out of the way of the numbers that they are to have.
    fds = [os.dup2(sock.fileno(), 100 + number) for number, sock in enumerate((imap, imaps, unknown))]
    server.environment = {"LISTEN_FDS": "3", "LISTEN_FDNAMES": "mas.socket:imaps:pop3"}
    try:
        server.start(pass_fds=fds)
    finally:
        for fd in fds:
            os.close(fd)
    assert server.connect().ask("x") == "x"
    with pytest.raises(ConnectionRefusedError):
        server.connect_tls()
    server.tls_port = imaps.getsockname()[1]
    assert server.connect_tls().ask("x") == "x"
    assert "fits nothing" in server.log.read_text()
    server.signal(signal.SIGHUP)
    server.wait_log("reloaded")
    assert server.connect().ask("x") == "x"
    assert server.connect_tls().ask("x") == "x"
    for sock in (imap, imaps, unknown):
        sock.close()


def test_notify(server: Server) -> None:
    address = server.directory / "notify"
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(address))
    manager.settimeout(DEADLINE)
    server.environment = {"NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": "300000"}

    def hear(wanted: str) -> dict[str, str]:
        while True:
            message = dict(line.split("=", 1) for line in manager.recv(4096).decode().splitlines())
            if wanted in message:
                return message

    server.start()
    assert hear("READY")["MAINPID"] == str(server.pid)
    hear("WATCHDOG")
    hear("WATCHDOG")
    server.signal(signal.SIGHUP)
    message = hear("RELOADING")
    assert int(message["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
    hear("READY")
    server.signal(signal.SIGTERM)
    hear("STOPPING")
    assert server.wait_end() == 0
    manager.close()
