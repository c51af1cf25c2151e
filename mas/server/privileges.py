"""Whom the workers are, giving up root, and the ties between a worker and its supervisor (Linux).

Root is given up in the child, after fork() and before the first octet of any peer is read.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import resource
import signal
import stat
from pathlib import Path

from mas.config import Config
from mas.errors import ConfigError
from mas.server.sockets import account

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_prctl = ctypes.CDLL(None, use_errno=True).prctl


def drop(uid: int, gid: int) -> None:
    """Become ``uid``/``gid`` for good, with the groups that the user is in. Raises OSError, and PermissionError if root could come back."""
    try:
        groups = os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)
    except KeyError:
        groups = [gid]
    os.setgroups(groups)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if uid and 0 in (*os.getresuid(), *os.getresgid()):
        raise PermissionError("root was not given up")


def seal() -> None:
    """Nothing that this process runs can gain privileges again (set-user-ID programs stay without effect)."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def die_with(parent: int) -> None:
    """Have SIGTERM when the supervisor ``parent`` is gone, so that no worker is left alone. After drop(): a change of uid clears it."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # gone in between
        os._exit(0)


def raise_file_limit() -> None:
    """As many file descriptors as the hard limit grants: connections need them."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def reachable(path: Path, uid: int, gid: int) -> bool:
    """Whether user and group may enter every directory above ``path``, and read ``path``. Access lists are not looked at."""
    for place in (path, *path.parents):
        status = os.stat(place)
        if status.st_uid == uid:
            bit = stat.S_IRUSR if place == path else stat.S_IXUSR
        elif status.st_gid == gid:
            bit = stat.S_IRGRP if place == path else stat.S_IXGRP
        else:
            bit = stat.S_IROTH if place == path else stat.S_IXOTH
        if not status.st_mode & bit:
            return False
    return True


def workers_account(config: Config) -> tuple[int, int]:
    """uid and gid of the workers: ``mail.uid`` and ``mail.gid``, or our own when not started as root. Raises ConfigError."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    try:
        uid, gid = account(config.mail.uid, config.mail.gid)
    except LookupError as error:
        raise ConfigError([f"mail.uid, mail.gid: {error}"]) from None
    if uid == 0:
        raise ConfigError(["mail.uid: workers never run as root; name the account that owns the mail"])
    return uid, gid


def runs_commands(config: Config) -> bool:
    """Whether programs of the operator are run: they may need set-group-ID (Postfix's sendmail, sudo)."""
    sieve = config.sieve
    configured: list[str | Path | tuple[str, ...]] = [
        sieve.sendmail,
        sieve.pipe_bin_dir,
        sieve.filter_bin_dir,
        sieve.execute_bin_dir,
    ]
    return any(configured) or any(warning.command for warning in config.quota.warning)
