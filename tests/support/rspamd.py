"""A private Rspamd with Bayes statistics in a private Redis: own directory, own controller port, ended by their pids.

``with Rspamd() as rspamd: rspamd.controller, rspamd.learned()``. Only its controller runs: no scanning worker, no rules, no lookups.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.support.ports import free_ports
from tests.support.servers import need

DEADLINE = 60.0
PASSWORD = "secret"  # a test's own

_CONFIG = """\
options {{
  pidfile = "{directory}/rspamd.pid";
  cache_file = "{directory}/symbols.cache";
  hs_cache_dir = "{directory}";
  tempdir = "{directory}";
  control_socket = "{directory}/control mode=0600";
  url_tld = "{directory}/tld";
  filters = "";
  dns {{ nameserver = ["127.0.0.1:1"]; }}
}}
logging {{ type = "console"; level = "info"; }}
modules {{ path = "{directory}/modules"; }}
actions {{ reject = 1000; }}
classifier "bayes" {{
  tokenizer {{ name = "osb"; }}
  cache {{ }}
  new_schema = true;
  min_tokens = 1;
  min_learns = 0;
  backend = "redis";
  servers = "{directory}/redis";
  statfile {{ symbol = "BAYES_HAM"; spam = false; }}
  statfile {{ symbol = "BAYES_SPAM"; spam = true; }}
}}
worker "controller" {{
  bind_socket = "127.0.0.1:{port}";
  bind_socket = "{directory}/controller mode=0666";
  count = 1;
  password = "{password}";
}}
"""


class Rspamd:
    """One server. What it has learnt outlives ``stop`` and ``start``, as with Debian's."""

    def __init__(self) -> None:
        self._programs = need("rspamd"), need("redis-server"), need("redis-cli")
        self.directory = Path(tempfile.mkdtemp(prefix="mas-rspamd-"))
        self.directory.chmod(0o755)  # the server's workers reach its socket
        (self.port,) = free_ports(1)
        self.controller = f"http://127.0.0.1:{self.port}"
        self.socket = f"unix:{self.directory}/controller"
        self._process: subprocess.Popen[bytes] | None = None
        self._redis: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Rspamd:
        (self.directory / "modules").mkdir()
        (self.directory / "tld").write_text("com\nnet\norg\n")
        (self.directory / "rspamd.conf").write_text(
            _CONFIG.format(directory=self.directory, port=self.port, password=PASSWORD)
        )
        redis = ["--port", "0", "--unixsocket", str(self.directory / "redis"), "--save", "", "--appendonly", "no"]
        self._redis = self._run([self._programs[1], *redis, "--dir", str(self.directory)])
        end = time.monotonic() + DEADLINE
        while not (self.directory / "redis").exists():
            assert self._redis.poll() is None, self.log()
            assert time.monotonic() < end, self.log()
            time.sleep(0.02)
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in (self._process, self._redis):
            if process is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait(DEADLINE)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _run(self, command: list[str]) -> subprocess.Popen[bytes]:
        with (self.directory / "log").open("ab") as log:
            # A session of its own: the controller is a child, and is paused and killed with its parent.
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=self.directory
            )

    def log(self) -> str:
        """What it said."""
        return (self.directory / "log").read_text(errors="replace")

    def start(self) -> None:
        """Start it (again) on the same port, and wait until it answers."""
        as_root = ["-i"] if os.getuid() == 0 else []
        self._process = self._run([self._programs[0], "-f", *as_root, "-c", str(self.directory / "rspamd.conf")])
        end = time.monotonic() + DEADLINE
        while True:
            try:
                self.stat()
            except OSError:
                assert self._process.poll() is None, self.log()
                assert time.monotonic() < end, self.log()
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """SIGTERM, and wait for the end: connections are refused."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(DEADLINE)
        self._process = None

    def pause(self) -> None:
        """SIGSTOP: connections are taken by the kernel, nothing answers."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGCONT)

    def stat(self) -> dict[str, Any]:
        """The controller's ``/stat``. Raises OSError when it does not answer."""
        request = urllib.request.Request(f"{self.controller}/stat", headers={"Password": PASSWORD})
        with urllib.request.urlopen(request, timeout=5) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def _redis_cli(self, *words: str) -> str:
        command = [self._programs[2], "-s", str(self.directory / "redis"), *words]
        return subprocess.run(command, check=True, capture_output=True, timeout=DEADLINE).stdout.decode()

    def forget(self) -> None:
        """As new."""
        self._redis_cli("FLUSHALL")

    def learned(self) -> dict[str, int]:
        """Messages that count as spam and as ham now, as Bayes keeps them; a message that changes sides leaves the other."""
        spam, ham = self._redis_cli("HMGET", "RS", "learns_spam", "learns_ham").split("\n")[:2]
        return {"spam": int(spam or 0), "ham": int(ham or 0)}

    def wait(self, *, spam: int, ham: int, seconds: float = DEADLINE) -> None:
        """Until it has learnt that much. Raises AssertionError after ``seconds``, or at once when it is more."""
        end = time.monotonic() + seconds
        while (found := self.learned()) != {"spam": spam, "ham": ham}:
            assert time.monotonic() < end, f"learnt {found}:\n{self.log()}"
            time.sleep(0.05)
