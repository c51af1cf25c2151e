"""The listening sockets: which ones a configuration asks for, and opening them while still root.

A UNIX socket is bound under a temporary name in its own directory and renamed over the path once somebody accepts on it: there is no
moment without it, nothing but a socket is ever replaced, and a reload that fails has touched nothing. Its mode comes from the umask at
bind(): a chmod() by path could be led astray by whoever owns the directory, and Postfix's spool directories belong to postfix.

Must not know: what is spoken on a socket.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import socket
import stat
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from mas.config import Config, TcpListener, UnixSocket
from mas.errors import ConfigError
from mas.logs import get_logger

log = get_logger("server")

BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address to listen on. Two that are equal are the same socket, before and after a reload.

    kind: ``imap``, ``imaps``, ``sieve``, ``lmtp``, ``auth``, ``userdb``, ``metrics``: FileDescriptorName of socket activation as well.
    host, port: numeric address, for TCP. unix: for a UNIX socket. proxied: every connection begins with a PROXY header.
    """

    kind: str
    host: str = ""
    port: int = 0
    unix: UnixSocket | None = None
    proxied: bool = False

    @property
    def service(self) -> str:
        """The protocol that is spoken."""
        return "imap" if self.kind == "imaps" else self.kind

    @property
    def implicit_tls(self) -> bool:
        return self.kind == "imaps"

    def __str__(self) -> str:
        if self.unix is not None:
            return f"{self.kind} {self.unix.path}"
        proxied = " (proxied)" if self.proxied else ""
        return f"{self.kind} {f'[{self.host}]' if ':' in self.host else self.host}:{self.port}{proxied}"


@dataclass(slots=True, eq=False)
class Opened:
    """An endpoint with its socket. ``passed``: systemd's. For a UNIX socket that we made: ``inode`` of its file, and ``temporary``, the
    name that it has until publish()."""

    endpoint: Endpoint
    sock: socket.socket
    passed: bool = False
    inode: tuple[int, int] | None = None
    temporary: Path | None = None

    def publish(self) -> None:
        """Put a UNIX socket in its place, instead of what is there. Raises OSError."""
        if self.temporary is not None and self.endpoint.unix is not None:
            self.temporary.rename(self.endpoint.unix.path)
            self.temporary = None

    def close(self) -> None:
        """Close it and remove its file, unless somebody has put another in its place."""
        self.sock.close()
        if self.inode is not None and self.endpoint.unix is not None:
            path = self.temporary or self.endpoint.unix.path
            with contextlib.suppress(OSError):
                if _inode(path) == self.inode:
                    path.unlink()


def plan(config: Config) -> list[Endpoint]:
    """What ``config`` wants listened on."""
    found: list[Endpoint] = []
    ports: list[tuple[str, int]] = []
    if "imap" in config.protocols:
        ports += [("imap", config.imap.port), ("imaps", config.imap.tls_port)]
    if "sieve" in config.protocols:
        ports.append(("sieve", config.managesieve.port))
    for kind, port in ports:
        if port:
            found += [Endpoint(kind, "0.0.0.0" if host == "*" else host, port) for host in config.listen]
    tcp: list[tuple[str, TcpListener]] = []
    if "imap" in config.protocols:
        tcp += [("imaps" if listener.tls else "imap", listener) for listener in config.imap.listener]
    if "sieve" in config.protocols:
        tcp += [("sieve", listener) for listener in config.managesieve.listener]
    if "lmtp" in config.protocols:
        tcp += [("lmtp", listener) for listener in config.lmtp.listener]
    found += [
        Endpoint(
            kind,
            "0.0.0.0" if listener.address == "*" else listener.address,
            listener.port,
            proxied=listener.proxy,
        )
        for kind, listener in tcp
    ]
    if "lmtp" in config.protocols:
        found += [Endpoint("lmtp", unix=unix) for unix in config.lmtp.socket]
    found += [Endpoint("userdb" if unix.type == "userdb" else "auth", unix=unix) for unix in config.auth.socket]
    if config.metrics.listen:
        found.append(Endpoint("metrics", *config.metrics.address))
    return list(dict.fromkeys(found))


def take_passed(wanted: Iterable[Endpoint], passed: Iterable[tuple[str, socket.socket]]) -> list[Opened]:
    """Match systemd's sockets to what is wanted: by port or path first, by FileDescriptorName otherwise. Others are closed."""
    taken: list[Opened] = []
    wanted = list(wanted)
    kinds = {endpoint.kind for endpoint in wanted}
    for name, sock in passed:
        address = sock.getsockname()
        kind, proxied = "", False
        if sock.family == socket.AF_UNIX:
            kind = next((e.kind for e in wanted if e.unix is not None and str(e.unix.path) == address), "")
        else:
            found = next((e for e in wanted if e.unix is None and e.port == address[1]), None)
            if found is not None:
                kind, proxied = found.kind, found.proxied
        kind = kind or (name if name in kinds else "")
        if not kind:
            log.error("socket from systemd fits nothing in the configuration", name=name, address=str(address))
            sock.close()
        elif sock.family == socket.AF_UNIX:
            taken.append(Opened(Endpoint(kind, unix=UnixSocket(path=Path(address))), sock, passed=True))
        else:
            taken.append(Opened(Endpoint(kind, address[0], address[1], proxied=proxied), sock, passed=True))
    return taken


def open_all(wanted: Iterable[Endpoint], have: Iterable[Opened] = ()) -> list[Opened]:
    """Sockets for every endpoint, those of ``have`` used again. Raises ConfigError with one line a problem, and nothing newly open then."""
    have = list(have)
    existing = {opened.endpoint: opened for opened in have}
    ours = {opened.inode for opened in have if opened.inode is not None}
    result: list[Opened] = []
    made: list[Opened] = []
    problems: list[str] = []
    for endpoint in wanted:
        if endpoint in existing:
            result.append(existing[endpoint])
            continue
        try:
            opened = open_unix(endpoint, ours) if endpoint.unix is not None else open_tcp(endpoint, have)
        except (OSError, LookupError) as error:
            if isinstance(error, OSError) and error.errno == errno.EAFNOSUPPORT:
                log.warning("no such address family on this machine, left out", endpoint=str(endpoint))
                continue
            problems.append(f"cannot listen on {endpoint}: {_why(error)}")
            continue
        result.append(opened)
        made.append(opened)
    if problems:
        for opened in made:
            opened.close()
        raise ConfigError(problems)
    return result


def open_beside(passed: list[Opened], config: Config, have: Iterable[Opened] = ()) -> list[Opened]:
    """systemd's sockets, and our own for every kind that it gave none of. Raises ConfigError."""
    kinds = {(opened.endpoint.kind, opened.endpoint.proxied) for opened in passed}
    wanted = [endpoint for endpoint in plan(config) if (endpoint.kind, endpoint.proxied) not in kinds]
    return [*passed, *open_all(wanted, have)]


def open_tcp(endpoint: Endpoint, have: Iterable[Opened] = ()) -> Opened:
    """Bind and listen. IPv6 sockets take IPv6 alone. ``have``: our own, which may stand on the same port. Raises OSError."""
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Inherited by what is accepted: a client that vanished without a word (a laptop closed in IDLE) is found out.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            sock.bind((endpoint.host, endpoint.port))
            sock.listen(BACKLOG)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            _bind_beside(sock, endpoint, [opened.sock for opened in have if opened.endpoint.port == endpoint.port])
    except BaseException:
        sock.close()
        raise
    return Opened(endpoint, sock)


def _bind_beside(sock: socket.socket, endpoint: Endpoint, ours: list[socket.socket]) -> None:
    """Bind where our own socket for ``*`` stands, or for one address where ``*`` is wanted now: both accept until the old one is closed.

    The sharing is for this moment alone. Left on, a second server started by mistake would get every other connection. Raises OSError."""
    sharing = [sock, *ours]
    try:
        for one in sharing:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((endpoint.host, endpoint.port))
        sock.listen(BACKLOG)
    finally:
        for one in sharing:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)


def open_unix(endpoint: Endpoint, ours: Collection[tuple[int, int]] = ()) -> Opened:
    """Bind and listen, with mode and owner, under a temporary name. ``ours``: sockets that may be replaced though somebody listens.

    Raises OSError, LookupError (unknown user or group, as root)."""
    wanted = endpoint.unix
    assert wanted is not None
    path = wanted.path
    uid, gid = (account(wanted.user, wanted.group)) if os.geteuid() == 0 else (-1, -1)
    _check_replaceable(path, ours)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        umask = os.umask(0o777 & ~wanted.mode)
        try:
            sock.bind(str(temporary))
        finally:
            os.umask(umask)
        if uid >= 0:
            os.chown(temporary, uid, gid, follow_symlinks=False)
        elif wanted.user != "root":
            log.info("not root: the socket is ours", path=str(path), user=wanted.user, group=wanted.group)
        sock.listen(BACKLOG)
        inode = _inode(temporary)
    except BaseException:
        sock.close()
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    return Opened(endpoint, sock, inode=inode, temporary=temporary)


def account(user: str, group: str = "") -> tuple[int, int]:
    """uid and gid for names or numbers; the user's own group when ``group`` is empty. Raises LookupError."""
    try:
        entry = pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
        uid, gid = entry.pw_uid, entry.pw_gid
    except KeyError:
        if not user.isdecimal():
            raise LookupError(f'there is no user "{user}"') from None
        uid = gid = int(user)
    if group:
        try:
            gid = int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid
        except KeyError:
            raise LookupError(f'there is no group "{group}"') from None
    return uid, gid


def _check_replaceable(path: Path, ours: Collection[tuple[int, int]]) -> None:
    """Only a socket on which nobody (or we) listens may be replaced. Raises OSError."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if (found.st_dev, found.st_ino) in ours:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise FileExistsError(errno.EEXIST, "something that is not a socket is there")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return
        except OSError as error:
            if error.errno == errno.EPROTOTYPE:
                return
            if error.errno != errno.EAGAIN:  # EAGAIN: somebody is there, and busy
                raise
    raise OSError(errno.EADDRINUSE, "another server listens there")


def _inode(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino


def _why(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error)
