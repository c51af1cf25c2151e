"""Files, directories, certificates, disk and kernel limits, as the workers will meet them."""

from __future__ import annotations

import datetime
import os
import resource
import stat
from collections.abc import Iterator
from pathlib import Path

from mas.config import Config
from mas.doctor.finding import Finding, error, ok, warn
from mas.errors import ConfigError
from mas.protocols import tls

EXPIRES_SOON = 14
"""Days before the end of a certificate at which it is worth a warning: ACME clients renew at 30."""
FEW_OCTETS, VERY_FEW_OCTETS = 2 << 30, 256 << 20
FEW_SHARE = 0.05
WATCHES = 65536
INSTANCES = 64
RESERVE = 1000
"""Open files of a worker beside its connections: indexes, messages, databases."""


def files(path: Path, config: Config) -> Iterator[Finding]:
    """The configuration file: the passwords in it are nobody's business."""
    secrets = any(
        ":" in passdb.url.get_secret_value().partition("://")[2].partition("@")[0] for passdb in config.passdb
    )
    mode = path.stat().st_mode
    if secrets and mode & stat.S_IROTH:
        try:
            inline = "://" in path.read_text() and any(
                passdb.url.get_secret_value().partition("://")[2] in path.read_text() for passdb in config.passdb
            )
        except OSError:
            inline = False
        if inline:
            yield warn(str(path), "everybody may read it, and it has a database's password", f"chmod o-r {path}")
            return
    yield ok(str(path), "no mistakes")


def directories(config: Config, uid: int, gid: int) -> Iterator[Finding]:
    """state_dir, run_dir and the mail's, for the workers' account."""
    for key, path, writes in (("state_dir", config.state_dir, True), ("run_dir", config.run_dir, False)):
        if not path.exists():
            yield ok(key, f"{path} will be made at the start")
        elif not path.is_dir():
            yield error(key, f"{path} is no directory", f"mv {path} {path}.old")
        elif writes and not _may(path, uid, gid, 3):
            yield error(key, f"{path}: workers (uid {uid}) may not write there", f"chown {uid}:{gid} {path}")
        else:
            yield ok(key, str(path))
    for path in mail_roots(config):
        existing = next(place for place in (path, *path.parents) if place.exists())
        if not _may(existing, uid, gid, 3 if existing == path else 1):
            yield error(
                "userdb.home", f"{existing}: workers (uid {uid}) may not use it", f"install -d -o {uid} -g {gid} {path}"
            )
        elif existing != path and not _may(existing, uid, gid, 3):
            yield error("userdb.home", f"{path} is not there", f"install -d -o {uid} -g {gid} -m 0700 {path}")
        else:
            yield ok("userdb.home", str(path))


def mail_roots(config: Config) -> list[Path]:
    """The fixed parts of the homes."""
    homes = [userdb.home.partition("%")[0] for userdb in config.userdb if userdb.home.startswith("/")]
    return [Path(home if home.endswith("/") else os.path.dirname(home) or "/") for home in dict.fromkeys(homes)]


def certificates(config: Config, now: datetime.datetime | None = None) -> Iterator[Finding]:
    """Do they fit their keys, do they still hold, do they have the host's name, is the chain there."""
    from cryptography import x509

    if config.tls.cert is None:
        return
    try:
        tls.make_context(config.tls)
    except ConfigError as wrong:
        for problem in wrong.problems:
            yield error("tls", problem, "give a certificate and the key that belongs to it, in PEM format")
        return
    for key in [config.tls.key, *(sni.key for sni in config.tls.sni)]:
        if key is not None and key.stat().st_mode & 0o004:
            yield error(str(key), "everybody may read the private key", f"chmod 0600 {key}")
    now = now or datetime.datetime.now(datetime.UTC)
    wanted = [(config.tls.cert, (config.hostname,)), *((sni.cert, sni.names) for sni in config.tls.sni)]
    for path, names in wanted:
        chain = x509.load_pem_x509_certificates(path.read_bytes())
        left = (chain[0].not_valid_after_utc - now).total_seconds() / 86400
        if left < 0:
            yield error(str(path), "the certificate has ended", "renew it; MAS notices the new file by itself")
        elif left < EXPIRES_SOON:
            yield warn(str(path), f"the certificate ends in {left:.0f} days", "see why it was not renewed")
        else:
            yield ok(str(path), f"the certificate holds for {left:.0f} days")
        try:
            extension = chain[0].extensions.get_extension_for_class(x509.SubjectAlternativeName)
            has = {name.lower() for name in extension.value.get_values_for_type(x509.DNSName)}
        except x509.ExtensionNotFound:
            has = set()
        for name in names:
            if name and not {name.lower(), "*." + name.lower().partition(".")[2]} & has:
                yield warn(
                    str(path), f"the certificate is not for {name}", "clients will warn; have it in the certificate"
                )
        if len(chain) == 1 and chain[0].issuer != chain[0].subject:
            yield warn(
                str(path), "there is no intermediate certificate in the file", "use the full chain (fullchain.pem)"
            )


def disks(config: Config) -> Iterator[Finding]:
    """Room for mail and for files."""
    seen: set[int] = set()
    for path in (*mail_roots(config), config.state_dir):
        existing = next(place for place in (path, *path.parents) if place.exists())
        if existing.stat().st_dev in seen:
            continue
        seen.add(existing.stat().st_dev)
        yield disk(str(existing), os.statvfs(existing))


def disk(where: str, found: os.statvfs_result) -> Finding:
    """One file system."""
    free, share = found.f_bavail * found.f_frsize, found.f_bavail / (found.f_blocks or 1)
    todo = "make room: deliveries and APPEND are refused (for now) on a full disk"
    text = f"{free / (1 << 30):.1f} GB are free ({share:.0%})"
    if free < VERY_FEW_OCTETS:
        return error(where, text, todo)
    if free < FEW_OCTETS:
        return warn(where, text, todo)
    if found.f_files and found.f_favail / found.f_files < FEW_SHARE:
        return warn(where, f"{found.f_favail} inodes are free: a message is a file", todo)
    return ok(where, text)


def inotify(proc: Path = Path("/proc/sys/fs/inotify")) -> Iterator[Finding]:
    """Changes by other programs are seen at once only while the kernel has watches to give."""
    for name, least in (("max_user_watches", WATCHES), ("max_user_instances", INSTANCES)):
        try:
            value = int((proc / name).read_text())
        except OSError:
            yield warn(f"fs.inotify.{name}", "the kernel has no inotify", "mail of other programs is seen later")
            continue
        if value < least:
            todo = f"echo fs.inotify.{name}={least} > /etc/sysctl.d/60-mas.conf && sysctl --system"
            yield warn(f"fs.inotify.{name}", f"{value}: beyond it changes by other programs are seen later", todo)
        else:
            yield ok(f"fs.inotify.{name}", str(value))


def open_files(config: Config, limit: int) -> Finding:
    """``limit``: the hard one of the server."""
    needed = RESERVE + config.imap.max_connections + config.managesieve.max_connections + config.lmtp.max_connections
    if limit < needed:
        return warn(
            "open files",
            f"a worker may open {limit}, and the limits of connections add up to {needed}",
            f"LimitNOFILE={needed} in the unit, or a smaller imap.max_connections",
        )
    return ok("open files", str(limit))


def server_file_limit(pid: int | None) -> int:
    """The hard limit of the running server; ours when none runs."""
    if pid is None:
        return resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]


def _may(path: Path, uid: int, gid: int, bits: int) -> bool:
    """Whether the account has ``bits`` (4 read, 2 write, 1 enter) there, and may enter all above. Access lists are not looked at."""
    for place, wanted in ((path, bits), *((above, 1) for above in path.parents)):
        status = os.stat(place)
        shift = 6 if status.st_uid == uid else 3 if status.st_gid == gid else 0
        if uid and (status.st_mode >> shift) & wanted != wanted:
            return False
    return True
