"""The whole file: its sections, and what only the whole can tell (``Config.check_whole``)."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from mas.config.accounts import Auth, Passdb, Userdb
from mas.config.filters import Events, ImapSieve, Rspamd, Sieve
from mas.config.listeners import Imap, Lmtp, ManageSieve, Metrics, Proxy, Tls
from mas.config.mailstore import DEFAULT_MAILBOXES, Mail, MailboxRule, Metadata, Quota
from mas.config.section import Section, written
from mas.config.values import Count, Duration, FilePath, ListenAddress, one_of

Level = Literal["debug", "info", "warning", "error"]
Place = tuple[str | int, ...]
"""Where a value is: keys, and indexes from 0 of ``[[tables]]``."""


class Log(Section):
    """Events on standard error: one line each."""

    level: Annotated[Level, one_of("debug", "info", "warning", "error")] = "info"
    format: Annotated[Literal["text", "json"], one_of("text", "json")] = "text"


class Config(Section):
    """The operator's file. Every value is already parsed: octets, seconds, paths."""

    hostname: Annotated[str, AfterValidator(lambda name: name or socket.gethostname())] = ""
    postmaster: str = written("", pattern=r"^$|^[^\s@]+@[^\s@]+$")
    protocols: tuple[Annotated[str, one_of("imap", "lmtp", "sieve")], ...] = written(
        ("imap", "lmtp", "sieve"), min_length=1
    )
    listen: tuple[ListenAddress, ...] = written(("*", "::"), min_length=1)
    workers: Count = 0
    drain_timeout: Duration = written("30s")
    close_timeout: Duration = written("10s")
    kick_timeout: Duration = written("10s")
    hang_timeout: Annotated[Duration, Field(ge=3)] = written("30s")
    state_dir: FilePath = written("/var/lib/mas")
    run_dir: FilePath = written("/run/mas")
    log: Log = Log()
    tls: Tls = Tls()
    proxy: Proxy = Proxy()
    imap: Imap = Imap()
    managesieve: ManageSieve = ManageSieve()
    lmtp: Lmtp = Lmtp()
    auth: Auth = Auth()
    passdb: tuple[Passdb, ...] = ()
    userdb: tuple[Userdb, ...] = ()
    mail: Mail = Mail()
    mailbox: tuple[MailboxRule, ...] = written(DEFAULT_MAILBOXES)
    metadata: Metadata = Metadata()
    quota: Quota = Quota()
    sieve: Sieve = Sieve()
    imapsieve: tuple[ImapSieve, ...] = ()
    events: Events = Events()
    rspamd: Rspamd = Rspamd()
    metrics: Metrics = Metrics()

    def check_whole(self) -> list[tuple[Place, str]]:
        """What no single key can tell: (place, problem) for each mistake. Looks whether the named files can be there."""
        return [*self._check_tls(), *self._check_proxy(), *self._check_accounts(), *self._check_names()]

    def _check_tls(self) -> list[tuple[Place, str]]:
        found: list[tuple[Place, str]] = []
        needed = [
            key
            for key, on in (
                ("imap.port", "imap" in self.protocols and self.imap.port),
                ("imap.tls_port", "imap" in self.protocols and self.imap.tls_port),
                ("managesieve.port", "sieve" in self.protocols and self.managesieve.port),
                ("imap.listener", "imap" in self.protocols and self.imap.listener),
                ("managesieve.listener", "sieve" in self.protocols and self.managesieve.listener),
            )
            if on
        ]
        why = f"is required, since {needed[0]} is on" if needed else "is required beside the other"
        if needed or self.tls.cert or self.tls.key:
            found += [(("tls", key), why) for key in ("cert", "key") if getattr(self.tls, key) is None]
        places: list[tuple[Place, Path | None]] = [(("tls", "cert"), self.tls.cert), (("tls", "key"), self.tls.key)]
        for index, sni in enumerate(self.tls.sni):
            places += [(("tls", "sni", index, "cert"), sni.cert), (("tls", "sni", index, "key"), sni.key)]
        for key in ("dh_params", "client_ca"):
            if name := getattr(self.tls, key):
                places.append((("tls", key), Path(name)))
        found += [(place, f"no such file: {path}") for place, path in places if path and not _may_exist(path)]
        return found

    def _check_proxy(self) -> list[tuple[Place, str]]:
        if self.proxy.trusted_networks:
            return []
        sections = {"imap": self.imap.listener, "managesieve": self.managesieve.listener, "lmtp": self.lmtp.listener}
        return [
            ((name, "listener", index, "proxy"), "needs proxy.trusted_networks, the addresses of the proxies")
            for name, listeners in sections.items()
            for index, listener in enumerate(listeners)
            if listener.proxy
        ]

    def _check_accounts(self) -> list[tuple[Place, str]]:
        found: list[tuple[Place, str]] = []
        if not self.passdb:
            found.append((("passdb",), "at least one [[passdb]] is required"))
        if self.passdb and all(passdb.master for passdb in self.passdb):
            found.append((("passdb",), "one [[passdb]] without master = true is required"))
        found += self._check_mechanisms()
        if not self.userdb:
            found.append((("userdb",), "at least one [[userdb]] is required"))
        for index, userdb in enumerate(self.userdb):
            if userdb.driver == "static" and not userdb.home:
                found.append((("userdb", index, "home"), 'is required with driver = "static"'))
            if userdb.driver == "sql" and not userdb.query:
                found.append((("userdb", index, "query"), 'is required with driver = "sql"'))
            if userdb.driver == "sql" and not (userdb.url or self.passdb):
                found.append((("userdb", index, "url"), 'is required with driver = "sql"'))
        return found

    def _check_mechanisms(self) -> list[tuple[Place, str]]:
        """What a mechanism cannot do without."""
        found: list[tuple[Place, str]] = []
        tokens = [name for name in self.auth.mechanisms if name in ("OAUTHBEARER", "XOAUTH2")]
        found += [
            (("auth", "oauth2", key), f"is required, since auth.mechanisms has {tokens[0]}")
            for key in ("jwks", "issuer", "audience")
            if tokens and not getattr(self.auth.oauth2, key)
        ]
        if "EXTERNAL" in self.auth.mechanisms and not self.tls.client_ca:
            found.append((("tls", "client_ca"), "is required, since auth.mechanisms has EXTERNAL"))
        return found

    def _check_names(self) -> list[tuple[Place, str]]:
        found: list[tuple[Place, str]] = []
        names: set[str] = set()
        uses: dict[str, str] = {}
        for index, rule in enumerate(self.mailbox):
            name = "INBOX" if rule.name.upper() == "INBOX" else rule.name
            if name in names:
                found.append((("mailbox", index, "name"), f'"{name}" is there twice'))
            names.add(name)
            for use in rule.special_use.split():
                if use in uses:
                    found.append((("mailbox", index, "special_use"), f'"{use}" is given to "{uses[use]}" already'))
                uses[use] = name
        roots = {self.quota.name}
        for index, root in enumerate(self.quota.root):
            if root.name in roots:
                found.append((("quota", "root", index, "name"), f'a quota root "{root.name}" is there already'))
            roots.add(root.name)
        if self.sieve.imapsieve_url and not self.metadata.enabled:
            found.append((("sieve", "imapsieve_url"), "needs metadata.enabled: annotations name the scripts"))
        sockets: set[Path] = set()
        for section in ("lmtp", "auth"):
            for index, unix in enumerate(getattr(self, section).socket):
                if unix.path in sockets:
                    found.append(((section, "socket", index, "path"), f"{unix.path} is another socket's path already"))
                sockets.add(unix.path)
        return found


def _may_exist(path: Path) -> bool:
    """False only when the file is surely not there: an unreadable directory proves nothing to an ordinary user."""
    try:
        path.stat()
    except PermissionError:
        return True
    except OSError:
        return False
    return True
