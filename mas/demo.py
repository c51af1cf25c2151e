"""``mas demo``: a complete host in one directory, to try MAS without root, without a database server, and without a certificate.

Everything is below DIR: accounts in SQLite (MAS's own table), a self-signed certificate, the configuration, mail, sockets. The first start
makes the user ``demo@localhost`` with a random password, and delivers a few messages through the host's own LMTP socket as Postfix would.
Later starts find all of it again. Listeners are on the loopback addresses only.

Started as root, the host runs as the owner of DIR's parent directory or, when that is root, as ``nobody``: nothing that hears the network
is ever root.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import json
import os
import pwd
import smtplib
import socket
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from mas.config import load
from mas.errors import MasError

USER = "demo@localhost"
DEFAULT_DIR = Path("demo")
FALLBACK_DIR = Path("/var/tmp/mas-demo")
PORT_BASE = 1000
"""What is added to the ports' own numbers: 143 is 1143, 993 is 1993; 4190 is 3190 more than the base."""
START_TIMEOUT = 30.0


class DemoError(MasError):
    """The demo cannot be set up."""


@dataclass(frozen=True, slots=True)
class Demo:
    """The places and ports of a demo host."""

    directory: Path
    port_base: int = PORT_BASE

    @property
    def imap(self) -> int:
        return self.port_base + 143

    @property
    def imaps(self) -> int:
        return self.port_base + 993

    @property
    def sieve(self) -> int:
        return self.port_base + 3190

    @property
    def config(self) -> Path:
        return self.directory / "mas.toml"

    @property
    def certificate(self) -> Path:
        return self.directory / "certificate.pem"

    @property
    def lmtp(self) -> Path:
        return self.directory / "run" / "lmtp"

    @property
    def password(self) -> str:
        """The demo user's, kept between runs."""
        return (self.directory / "password").read_text().strip()


def run(directory: Path | None, port_base: int = PORT_BASE) -> int:
    """Set up what is missing, start the host, deliver the first messages, print how to try it, and serve until SIGTERM or SIGINT.

    ``directory`` None: ``./demo``, or a place below ``/var/tmp`` where the mail's owner could not get at that. Returns the exit code.
    """
    from mas.server import run as serve
    from mas.server.composition import compose
    from mas.server.preload import preload

    uid, gid, directory = _whose(directory)
    demo = Demo(directory, port_base)
    _prepare(demo, uid, gid)

    guide = os.fork()
    if guide == 0:
        # A process of its own: the one that serves forks workers, and what forks has no threads.
        code = 1
        try:
            code = _guide(demo, os.getppid())
        finally:
            sys.stdout.flush()
            os._exit(code)
    return serve(lambda: preload(load(demo.config)), compose)


def _guide(demo: Demo, server: int) -> int:
    """Wait for the host, deliver the messages if they were never delivered, and print what to do with it."""
    if not _answers(demo, server):
        return 1
    delivered = demo.directory / "delivered"
    if not delivered.exists():
        from mas.demo_mail import messages

        with smtplib.LMTP(str(demo.lmtp), timeout=20) as client:
            for sender, message in messages():
                client.sendmail(sender, [USER], message)
        delivered.touch()
    print(_text(demo), flush=True)
    return 0


def _answers(demo: Demo, server: int) -> bool:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and os.getppid() == server:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as lmtp:
            lmtp.settimeout(5)
            lmtp.connect(str(demo.lmtp))
            if lmtp.recv(3) == b"220":
                return True
        time.sleep(0.05)
    return False


def _text(demo: Demo) -> str:
    curl = f"curl --cacert {demo.certificate} -u {USER}:{demo.password}"
    return f"""
MAS is running. Everything is in {demo.directory}; stop it with Ctrl-C.

    user      {USER}
    password  {demo.password}
    IMAP      localhost:{demo.imaps} with TLS, localhost:{demo.imap} with STARTTLS
    Sieve     localhost:{demo.sieve} with STARTTLS (ManageSieve)
    LMTP      {demo.lmtp}

Try it from another terminal:

    {curl} 'imaps://localhost:{demo.imaps}/'
    {curl} 'imaps://localhost:{demo.imaps}/INBOX?ALL'
    {curl} 'imaps://localhost:{demo.imaps}/INBOX;UID=1'

Thunderbird: Account Settings, Add Mail Account, {USER} and the password; then "Configure manually": IMAP, hostname
localhost, port {demo.imaps}, SSL/TLS, normal password. It will ask about the self-signed certificate: accept it.
"""


def _whose(directory: Path | None) -> tuple[int, int, Path]:
    """uid and gid to run as, and where. Raises DemoError for a directory that they cannot reach."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid(), (directory or DEFAULT_DIR).absolute()
    from mas.server.privileges import reachable

    wanted = (directory or DEFAULT_DIR).absolute()
    above = wanted.parent
    while not above.exists():
        above = above.parent
    owner = above.stat()
    if owner.st_uid:
        return owner.st_uid, owner.st_gid, wanted
    nobody = pwd.getpwnam("nobody")
    if not reachable(above, nobody.pw_uid, nobody.pw_gid):
        if directory is not None:
            raise DemoError(f"{above}: only root may enter it, and the demo does not run as root; take another --dir")
        wanted = FALLBACK_DIR
    return nobody.pw_uid, nobody.pw_gid, wanted


def _prepare(demo: Demo, uid: int, gid: int) -> None:
    """Accounts, password, certificate, configuration: what is there stays, but for the configuration, which follows the ports."""
    try:
        demo.directory.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0 and demo.directory.stat().st_uid not in (0, uid):
            raise DemoError(f"{demo.directory} belongs to somebody else")
        demo.directory.chmod(0o700)
        os.chown(demo.directory, uid, gid)
        if not (demo.directory / "password").exists():
            asyncio.run(_make_account(demo))
        if not demo.certificate.exists():
            _make_certificate(demo)
        _write(demo.config, _config(demo, uid, gid))
        for name in ("accounts.sqlite", "password"):
            os.chown(demo.directory / name, uid, gid)
    except OSError as error:
        raise DemoError(f"{error.filename or demo.directory}: {error.strerror}") from None


async def _make_account(demo: Demo) -> None:
    from mas.auth.database import Database
    from mas.auth.schema import AccountTable
    from mas.auth.schemes import generate
    from mas.cli.password import invent

    password = invent()
    database = Database(f"sqlite+aiosqlite:///{demo.directory}/accounts.sqlite", create=True)
    try:
        table = AccountTable(database)
        await table.create()
        with contextlib.suppress(MasError):  # of a start that was broken off
            await table.delete(USER)
        await table.add(USER, generate(password.encode(), "SHA512-CRYPT"))
    finally:
        await database.close()
    _write(demo.directory / "password", password + "\n")


def _make_certificate(demo: Demo) -> None:
    """Self-signed, for localhost, for ten years; P-256, whose handshakes cost half of RSA's."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    loopback = [x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", "::1")]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=3650))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost"), *loopback]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(demo.directory / "key.pem", private.decode())
    _write(demo.certificate, certificate.public_bytes(serialization.Encoding.PEM).decode(), 0o644)


def _config(demo: Demo, uid: int, gid: int) -> str:
    from mas.auth.schema import QUERY

    directory = json.dumps(str(demo.directory))[1:-1]
    return f"""# Written by "mas demo" at each start.
hostname = "localhost"
listen = ["127.0.0.1"{', "::1"' if socket.has_ipv6 and _has_ipv6() else ""}]
workers = 1
state_dir = "state"
run_dir = "run"

[tls]
cert = "certificate.pem"
key = "key.pem"

[imap]
port = {demo.imap}
tls_port = {demo.imaps}

[managesieve]
port = {demo.sieve}

[sieve]
default = "{directory}/sieve/default.sieve"
global_dir = "{directory}/sieve"

[[lmtp.socket]]
path = "run/lmtp"
user = "{uid}"
group = "{gid}"

[auth]
socket = []

[[passdb]]
url = "sqlite+aiosqlite:///{directory}/accounts.sqlite"
query = "{QUERY}"

[[userdb]]
home = "{directory}/mail/%d/%n"

[mail]
uid = {uid}
gid = {gid}

[quota]
rules = ["*:storage=1G"]
"""


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def _write(path: Path, text: str, mode: int = 0o600) -> None:
    """Whole or not at all."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(name, mode)
    os.replace(name, path)
