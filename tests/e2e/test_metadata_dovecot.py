"""The same METADATA commands to MAS and to Debian's Dovecot: the same values, conditions and METADATA codes. As root."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mas.config import Config
from mas.config.mailstore import Metadata
from mas.storage.model import MailboxName
from tests.support.dovecot_version import configuration
from tests.support.imap_in_process import InProcessClient, InProcessHost
from tests.support.memory_store import MemoryStore
from tests.support.servers import need

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(os.getuid() != 0, reason="needs root")]
IMAP = "/usr/lib/dovecot/imap"
CONFIG = """
base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/log
mail_uid = nobody
mail_gid = nogroup
first_valid_uid = 1
first_valid_gid = 1
ssl = no
protocols = imap
mail_server_comment = Hello there
mail_server_admin = mailto:postmaster@example.net
service imap-login {{
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
namespace inbox {{
  inbox = yes
  separator = .
}}
protocol imap {{
  imap_metadata = yes
}}
"""
OLD = """
mail_location = maildir:{home}/mail/%u
mail_attribute_dict = file:{home}/mail/%u.attributes
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={home}/mail/%u
}}
"""
NEW = """
mail_driver = maildir
mail_path = {home}/mail/%{{user}}
mail_attribute {{
  dict file {{
    path = {home}/mail/%{{user}}.attributes
  }}
}}
passdb static {{
  fields {{
    nopassword = yes
  }}
}}
userdb static {{
  fields {{
    uid = nobody
    gid = nogroup
    home = {home}/mail/%{{user}}
  }}
}}
"""
SERVER = [
    'GETMETADATA "" (/shared/comment /shared/admin /private/comment)',
    'SETMETADATA "" (/shared/comment "x")',
    'SETMETADATA "" (/shared/admin "x")',
    'SETMETADATA "" (/private/comment "mine" /shared/vendor/x/y "")',
    'GETMETADATA "" (/private/comment /shared/vendor/x/y /shared/comment)',
]
MAILBOX = [
    'SETMETADATA INBOX (/private/comment "hi" /shared/comment "hello" /private/vendor/x/y "z")',
    "GETMETADATA INBOX (/private/comment /shared/comment /private/none)",
    "GETMETADATA INBOX /PRIVATE/Comment",
    "GETMETADATA (MAXSIZE 2) INBOX (/private/comment /shared/comment)",
    "GETMETADATA (MAXSIZE 1) INBOX (/private/comment /shared/comment)",
    "GETMETADATA (DEPTH 1) INBOX (/private)",
    "GETMETADATA (DEPTH infinity) INBOX (/private /shared)",
    "GETMETADATA (MAXSIZE 2 DEPTH infinity) INBOX (/private /shared)",
    "GETMETADATA (DEPTH 1) INBOX /private/none",
    "GETMETADATA (DEPTH 2) INBOX /private",
    "GETMETADATA (SPEED 2) INBOX /private",
    "SETMETADATA INBOX (/private//x NIL)",
    "SETMETADATA INBOX (/private/x/ NIL)",
    "SETMETADATA INBOX (private/x NIL)",
    "SETMETADATA INBOX (/other/x NIL)",
    'SETMETADATA INBOX ("/private/x*" NIL)',
    "SETMETADATA INBOX (/private/x)",
    'SETMETADATA INBOX /private/x "y"',
    'SETMETADATA nosuch (/private/comment "x")',
    "GETMETADATA nosuch /private/comment",
    "CREATE A.B",
    "GETMETADATA A /private/comment",
    'SETMETADATA A.B (/private/comment "leaf" /private/comment "last")',
    "RENAME A.B C.D",
    "GETMETADATA C.D /private/comment",
    "DELETE C.D",
    "CREATE C.D",
    "GETMETADATA C.D /private/comment",
    "GETMETADATA C.D /private/specialuse",
]
Answer = tuple[str, str, dict[str, str | None]]
_PAIR = re.compile(r'(/\S+) (?:(NIL)|"([^"]*)")')


def understood(text: str) -> Answer:
    """Condition, METADATA code, entries with their values."""
    text = re.sub(r"\{(\d+)\}\r\n((?s:.)*)", lambda found: unliteral(int(found[1]), found[2]), text)
    tagged = re.search(r"^t (\w+) (?:\[(METADATA [^\]]+)\])?", text, re.MULTILINE)
    assert tagged, text
    lines = "".join(line for line in text.splitlines() if line.startswith("* METADATA"))
    return tagged[1], tagged[2] or "", {found[1]: None if found[2] else found[3] for found in _PAIR.finditer(lines)}


def unliteral(size: int, rest: str) -> str:
    rest = f'"{rest[:size]}"' + rest[size:]
    return re.sub(r"\{(\d+)\}\r\n((?s:.)*)", lambda found: unliteral(int(found[1]), found[2]), rest)


@pytest.fixture
def dovecot() -> Iterator[Path]:
    """The configuration of a running Dovecot."""
    for program in ("dovecot", IMAP):
        if not shutil.which(program):
            need(program)
    with tempfile.TemporaryDirectory(prefix="mas-dd-", ignore_cleanup_errors=True) as name:
        home = Path(name)
        home.chmod(0o755)
        (home / "mail").mkdir()
        (home / "mail").chmod(0o777)
        config = home / "dovecot.conf"
        config.write_text(configuration(CONFIG + OLD, CONFIG + NEW).format(home=home))
        process = subprocess.Popen(
            ["dovecot", "-F", "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            deadline = time.monotonic() + 30
            while not (home / "run" / "auth-userdb").exists():
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield config
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            process.wait(30)


def theirs(config: Path, user: str, commands: list[str]) -> list[Answer]:
    given = "".join(f"t {command}\r\nn NOOP\r\n" for command in commands) + "l LOGOUT\r\n"
    done = subprocess.run(
        [IMAP, "-c", config, "-u", user], input=given.encode(), capture_output=True, timeout=60, check=False
    )
    told = done.stdout.decode()
    pieces = re.split(r"^n OK [^\r]*\r\n", told[told.index("\r\n") + 2 :], flags=re.MULTILINE)
    return [understood(piece) for piece in pieces[: len(commands)]]


async def test_answers(dovecot: Path) -> None:
    expected = theirs(dovecot, "kim", MAILBOX) + theirs(dovecot, "lee", SERVER)
    settings = Metadata(server_comment="Hello there", server_admin="mailto:postmaster@example.net")
    host = InProcessHost(config=Config(metadata=settings))
    assert isinstance(host.store, MemoryStore)
    host.store.metadata = settings
    client = await host.connect(1)
    assert isinstance(client, InProcessClient)
    await host.login(client)
    assert await host.store.account(host.user).metadata(MailboxName("INBOX")) == {}
    for command, answer in zip(MAILBOX + SERVER, expected, strict=True):
        lines = await client.command(f"t {command}")
        assert understood("\r\n".join(lines) + "\r\n") == answer, command
    await host.close()
