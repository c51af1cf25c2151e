"""All checks, in the order in which an operator would go through them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from mas.config import Config, load
from mas.doctor import postfix, services, system, traps
from mas.doctor.finding import Finding, Level, error
from mas.errors import ConfigError, MasError
from mas.server.privileges import workers_account


def checkup(path: Path, postfix_directory: Path | None = None) -> Iterator[Finding]:
    """``path``: of the configuration. Nothing more is looked at when that is wrong."""
    try:
        config = load(path)
        uid, gid = workers_account(config)
    except ConfigError as wrong:
        for problem in wrong.problems:
            yield error("configuration", problem, "mas config --check")
        return
    pid = services.running(config.run_dir)
    checks: dict[str, Callable[[], Iterable[Finding]]] = {
        "configuration file": lambda: system.files(path, config),
        "configuration": lambda: traps.traps(config),
        "directories": lambda: system.directories(config, uid, gid),
        "certificates": lambda: system.certificates(config),
        "databases": lambda: asyncio.run(_databases(config)),
        "Postfix": lambda: postfix.postfix(config, postfix_directory),
        "outgoing mail": lambda: services.outgoing(config),
        "Rspamd": lambda: services.rspamd(config),
        "disk": lambda: system.disks(config),
        "inotify": system.inotify,
        "open files": lambda: [system.open_files(config, system.server_file_limit(pid))],
        "server": lambda: services.server(config, pid),
    }
    for name, check in checks.items():
        yield from _safely(name, check)


def _safely(name: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """A check that fails is a finding like any other."""
    try:
        yield from check()
    except PermissionError as wrong:
        todo = "run mas doctor as root" if os.geteuid() else "see its permissions"
        yield error(name, str(wrong), todo)
    except (MasError, OSError, ValueError, TimeoutError) as wrong:
        yield error(name, f"cannot be looked at: {wrong}", "")
    except Exception as wrong:
        yield error(name, f"the check itself failed: {type(wrong).__name__}: {wrong}", "please report it")


async def _databases(config: Config) -> list[Finding]:
    return [finding async for finding in services.databases(config)]


def worst(findings: Iterable[Finding]) -> Level:
    """The exit code."""
    return max((finding.level for finding in findings), default=Level.OK)
