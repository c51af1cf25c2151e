"""``mas`` as a program, and a configuration for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from mas.auth.schema import QUERY


def mas(*arguments: str, config: Path | str = "", stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run ``mas`` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "mas", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        input=stdin,
        env={**os.environ, "MAS_CONFIG": str(config)},
    )


def configure(directory: Path, more: str = "") -> Path:
    """A file with accounts in SQLite and no TCP listener; everything is below ``directory``."""
    path = directory / "mas.toml"
    path.write_text(
        f"""
state_dir = "state"
run_dir = "run"
imap = {{ port = 0, tls_port = 0 }}
managesieve = {{ port = 0 }}
lmtp = {{ socket = [] }}
mail = {{ location = "maildir:~/Maildir" }}
[auth]
socket = []
failure_delay = 0
[[passdb]]
url = "sqlite+aiosqlite:///{directory}/accounts.sqlite"
query = "{QUERY}"
[[userdb]]
home = "{directory}/mail/%d/%n"
{more}"""
    )
    return path
