"""A private Dovecot with a guide's configuration: own directories, ports that the kernel chose, accounts in MariaDB. As root."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import trustme

from tests.support.dovecot_guide24 import guide_class
from tests.support.host import NAME, workers_account
from tests.support.mariadb import MariaDb
from tests.support.ports import free_ports
from tests.support.servers import need

DEADLINE = 30.0

LOCAL = """
base_dir = {directory}/run
state_dir = {directory}/state
log_path = {directory}/dovecot.log
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
  }}
}}
service managesieve-login {{
  inet_listener sieve {{
    port = {sieve}
  }}
}}
"""


@dataclass(slots=True)
class DovecotHost:
    """``root`` holds mail/, spool/ and etc/; ``config`` is dovecot.conf."""

    root: Path
    config: Path
    ports: list[int]
    authority: trustme.CA = field(default_factory=trustme.CA)
    process: subprocess.Popen[bytes] | None = None

    @property
    def lmtp(self) -> Path:
        """Where mail is delivered, by whichever server runs."""
        return self.root / "spool" / "dovecot-lmtp"

    def start(self) -> None:
        """Start and wait until it greets."""
        self.process = subprocess.Popen(
            ["dovecot", "-F", "-c", self.config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + DEADLINE
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.ports[0]), 5) as sock:
                if sock.recv(4) == b"* OK" and self.lmtp.exists():
                    return
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop, and wait for the end."""
        if self.process is not None:
            process, self.process = self.process, None
            process.send_signal(signal.SIGTERM)
            process.wait(DEADLINE)
            self.lmtp.unlink(missing_ok=True)

    def log(self) -> str:
        path = self.root / "dovecot" / "dovecot.log"
        return path.read_text(errors="replace") if path.exists() else ""


@contextlib.contextmanager
def dovecot_host(database: MariaDb) -> Iterator[DovecotHost]:
    """A Dovecot, not started, with the guide's configuration and users in ``database``."""
    for program in (
        "dovecot",
        "/usr/lib/dovecot/lmtp",
        "/usr/lib/dovecot/managesieve",
        "/usr/lib/dovecot/modules/libdriver_mysql.so",
    ):
        if not Path(program).exists():
            need(program)
    account, group = workers_account()
    with tempfile.TemporaryDirectory(prefix="mas-move-", dir="/var/tmp", ignore_cleanup_errors=True) as name:
        root = Path(name)
        root.chmod(0o755)
        for part in ("mail", "spool", "dovecot", "dovecot/run", "dovecot/state", "bin", "sieve"):
            (root / part).mkdir()
        shutil.chown(root / "mail", account, group)
        authority = trustme.CA()
        certificate = authority.issue_cert(NAME, "localhost", "127.0.0.1")
        for number, blob in enumerate(certificate.cert_chain_pems):
            blob.write_to_path(str(root / "cert.pem"), append=number > 0)
        certificate.private_key_pem.write_to_path(str(root / "key.pem"))
        authority.cert_pem.write_to_path(str(root / "ca.pem"))
        guide = guide_class()(
            root / "etc", mail=f"{root}/mail", owner=account, group=group, spool=f"{root}/spool",
            certificate=f"{root}/cert.pem", key=f"{root}/key.pem", socket_owner="root", listen="127.0.0.1",
            connect=f"host=127.0.0.1 port={database.port} dbname=mail user=mail password=secret",
            warning=f"{root}/bin/quota-warning",
        )  # fmt: skip
        config = guide.write()
        warning = root / "bin" / "quota-warning"
        warning.write_text(f'#!/bin/sh\necho "$1 $2" >> {root}/mail/warnings\n')
        warning.chmod(0o755)
        ports = free_ports(3)
        (root / "etc" / "local.conf").write_text(
            LOCAL.format(directory=root / "dovecot", imap=ports[0], imaps=ports[1], sieve=ports[2])
        )
        host = DovecotHost(root, config, ports, authority)
        try:
            yield host
        except BaseException:
            print(host.log())
            raise
        finally:
            host.stop()
