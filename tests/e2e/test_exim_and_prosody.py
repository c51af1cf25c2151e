"""Debian's Exim (its dovecot authenticator) and Prosody (mod_auth_dovecot) ask the auth socket.

Both run from configurations of their own, beside whatever is installed. Exim is unpacked, not installed, and answers on its standard input
as it would on port 25 (``-bh``); its account is one that only it sees.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.e2e.test_auth_socket import KIM, host_with_socket, plain
from tests.support.host import ROOT
from tests.support.ports import free_ports
from tests.support.servers import need, need_file

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(180),
    pytest.mark.skipif(os.geteuid() != 0, reason="Exim and Prosody are started as root"),
]
DEADLINE = 60.0
QUICK = 'failure_delay = "50ms"\npenalty = false'

EXIM = """\
keep_environment =
spool_directory = {directory}/spool
log_file_path = {directory}/%slog
primary_hostname = mail.example.net
tls_advertise_hosts =
acl_smtp_rcpt = accept
begin authenticators
plain:
  driver = dovecot
  public_name = PLAIN
  server_socket = {socket}
  server_set_id = $auth1
login:
  driver = dovecot
  public_name = LOGIN
  server_socket = {socket}
  server_set_id = $auth1
"""

PROSODY = """\
run_as_root = true
pidfile = "{directory}/pid"
data_path = "{directory}/data"
certificates = "{directory}"
log = {{ info = "{directory}/log" }}
plugin_paths = {{ "/usr/lib/prosody/modules/mod_auth_dovecot" }}
modules_enabled = {{ "saslauth" }}
modules_disabled = {{ "s2s", "tls" }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
authentication = "dovecot"
dovecot_auth_socket = "{socket}"
auth_append_host = true
VirtualHost "example.net"
"""
STREAM = (
    b"<?xml version='1.0'?><stream:stream to='example.net' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
    b" version='1.0'>"
)


def smtp_codes(directory: Path, sock: Path, *lines: bytes) -> list[str]:
    """What Exim answers to these lines of a client: the last line's code of each answer behind EHLO's."""
    unpacked = ROOT / ".venv" / "exim"
    program = need_file(unpacked / "usr" / "sbin" / "exim4", "/usr/sbin/exim4")
    (wrapper,) = Path("/usr/lib").glob("*/libnss_wrapper.so")
    libraries = sorted({str(path.parent) for path in (unpacked / "usr" / "lib").rglob("*.so.*")})
    for name, line in (("passwd", "Debian-exim:x:65534:65534::/:/bin/false"), ("group", "Debian-exim:x:65534:")):
        (directory / name).write_text(f"{Path('/etc', name).read_text()}{line}\n")
    config = directory / "exim.conf"
    config.write_text(EXIM.format(directory=directory, socket=sock))
    answer = subprocess.run(
        [program, "-C", config, "-bh", "192.0.2.1"],
        input=b"".join(line + b"\r\n" for line in (b"EHLO client.example.net", *lines, b"QUIT")),
        env={
            "PATH": os.environ["PATH"],
            "LD_PRELOAD": str(wrapper),
            "LD_LIBRARY_PATH": os.pathsep.join(libraries),
            "NSS_WRAPPER_PASSWD": str(directory / "passwd"),
            "NSS_WRAPPER_GROUP": str(directory / "group"),
        },
        capture_output=True,
        timeout=DEADLINE,
        check=False,
    )
    codes = re.findall(r"^(\d{3}) ", answer.stdout.decode(), re.MULTILINE)
    assert codes[:2] == ["220", "250"], (answer.stdout, answer.stderr)
    return codes[2:-1]


def test_exim_checks_smtp_passwords() -> None:
    need_file(*Path("/usr/lib").glob("*/libnss_wrapper.so"), "/usr/lib/libnss_wrapper.so")
    with tempfile.TemporaryDirectory(prefix="mas-exim-") as name:
        directory = Path(name)
        with host_with_socket(auth=QUICK) as (host, path):
            right = b"AUTH PLAIN " + plain(KIM, "secret")
            assert smtp_codes(directory, path, right) == ["235"]
            words = [base64.b64encode(word.encode()) for word in (KIM, "secret")]
            assert smtp_codes(directory, path, b"AUTH LOGIN", *words) == ["334", "334", "235"]
            assert smtp_codes(directory, path, b"AUTH PLAIN " + plain(KIM, "wrong"), right) == ["535", "235"]
            assert smtp_codes(directory, path, b"AUTH PLAIN " + plain("no@example.net", "secret")) == ["535"]
            # A database that is gone. The answer says that it is temporary; Exim before 4.99 reads no more of it than FAIL.
            database = host.directory / "accounts.sqlite"
            database.rename(database.with_name("away"))
            assert smtp_codes(directory, path, b"AUTH PLAIN " + plain("lee@example.net", "secret")) in (
                ["535"],
                ["435"],
            )
            assert "temporary failure" in host.log()
            assert smtp_codes(directory, path, right) == ["235"], "the cache knows this one"
            database.with_name("away").rename(database)
            host.stop()
            assert smtp_codes(directory, path, right) == ["435"]


@contextmanager
def prosody(sock: Path) -> Iterator[int]:
    """A Prosody for example.net; gives its port."""
    program = need("prosody")
    need_file("/usr/lib/prosody/modules/mod_auth_dovecot")
    with tempfile.TemporaryDirectory(prefix="mas-prosody-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        (directory / "data").mkdir()
        (port,) = free_ports(1)
        config = directory / "prosody.cfg.lua"
        config.write_text(PROSODY.format(directory=directory, socket=sock, port=port))
        with (directory / "out").open("wb") as out:
            process = subprocess.Popen([program, "--config", config, "-F"], stdout=out, stderr=out)
        try:
            deadline = time.monotonic() + DEADLINE
            while True:
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), 5):
                    break
                said = (directory / "out").read_text()
                assert process.poll() is None, said
                assert time.monotonic() < deadline, said
                time.sleep(0.05)
            yield port
        except BaseException:
            for file in ("out", "log"):
                with suppress(OSError):
                    shutil.copyfileobj((directory / file).open(), os.fdopen(os.dup(1), "w"))
            raise
        finally:
            process.terminate()
            process.wait(DEADLINE)


def xmpp_login(port: int, user: str, password: str) -> str:
    """Open a stream and authenticate; gives Prosody's answer."""
    with socket.create_connection(("127.0.0.1", port), DEADLINE) as sock:
        sock.sendall(STREAM)
        received = b""
        while b"</stream:features>" not in received:
            chunk = sock.recv(4096)
            assert chunk, received
            received += chunk
        assert b"<mechanism>PLAIN</mechanism>" in received
        sock.sendall(
            b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + plain(user, password) + b"</auth>"
        )
        received = b""
        while not re.search(rb"<success|</failure>", received):
            chunk = sock.recv(4096)
            assert chunk, received
            received += chunk
        return received.decode()


def test_prosody_checks_passwords() -> None:
    with host_with_socket(auth=QUICK) as (_, path), prosody(path) as port:
        assert "<success" in xmpp_login(port, "kim", "secret")
        assert "not-authorized" in xmpp_login(port, "kim", "wrong")
        assert "not-authorized" in xmpp_login(port, "nobody", "secret")
        assert "<success" in xmpp_login(port, "kim", "secret")
