"""Sections about the network: TLS, and one section a protocol."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from mas.config.section import Section, written
from mas.config.values import (
    CertificatePath,
    Count,
    Duration,
    FilePath,
    ListenAddress,
    Mode,
    Network,
    Port,
    Positive,
    Size,
    SystemAccount,
    one_of,
)


class Sni(Section):
    """Another certificate for clients that ask for one of ``names``."""

    names: tuple[str, ...] = Field(min_length=1)
    cert: CertificatePath
    key: CertificatePath


class Tls(Section):
    """TLS of every TCP listener. Required for IMAP and ManageSieve."""

    cert: CertificatePath | None = None
    key: CertificatePath | None = None
    min_version: Annotated[Literal["TLSv1.2", "TLSv1.3"], one_of("TLSv1.2", "TLSv1.3")] = "TLSv1.2"
    ciphers: str = ""
    prefer_server_ciphers: bool = True
    dh_params: str = ""
    client_ca: str = ""
    handshake_timeout: Duration = written("30s")
    ticket_key_lifetime: Duration = written("7d")
    sni: tuple[Sni, ...] = ()


class UnixSocket(Section):
    """A UNIX socket and who may connect to it. ``user`` and ``group`` are ignored when not started as root."""

    path: FilePath
    mode: Mode = written("0600")
    user: SystemAccount = "root"
    group: SystemAccount = "root"


class TcpListener(Section):
    """A TCP address of its own. ``proxy``: connections begin with a PROXY header, and come from ``proxy.trusted_networks`` only."""

    address: ListenAddress = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)]
    proxy: bool = False


class ImapListener(TcpListener):
    """The same for IMAP. ``tls``: from the first octet (behind the PROXY header); else STARTTLS."""

    tls: bool = True


class Proxy(Section):
    """HAProxy's PROXY protocol, versions 1 and 2, on the listeners that have ``proxy = true``."""

    trusted_networks: tuple[Network, ...] = ()
    timeout: Duration = written("5s")


class Imap(Section):
    """IMAP. What a client may send is limited here; limits for before the login are smaller."""

    port: Port = 143
    tls_port: Port = 993
    max_connections: Positive = 20000
    max_user_ip_connections: Count = 50
    max_login_connections: Positive = 1000
    max_login_connections_per_ip: Positive = 100
    max_line: Size = written("64K")
    max_literal: Size = written("64K")
    max_literal_before_login: Size = written("8K")
    max_commands_before_login: Positive = 20
    max_login_attempts: Positive = 3
    max_bad_commands: Positive = 20
    max_nesting: Positive = 50
    max_set_items: Positive = 10000
    max_search_keys: Positive = 1000
    max_mailbox_name: Positive = 1000
    max_append_messages: Positive = 100
    login_timeout: Duration = written("3m")
    idle_timeout: Duration = written("30m")
    command_timeout: Duration = written("5m")
    idle_notify_interval: Duration = written("2m")
    capability: str = ""
    listener: tuple[ImapListener, ...] = ()


class ManageSieve(Section):
    """ManageSieve, for the editing of Sieve scripts."""

    port: Port = 4190
    max_connections: Positive = 5000
    max_user_ip_connections: Count = 10
    max_login_connections: Positive = 1000
    max_login_connections_per_ip: Positive = 100
    max_line_length: Size = written("64K")
    max_literal_before_login: Size = written("8K")
    max_commands_before_login: Positive = 20
    max_bad_commands: Positive = 20
    login_timeout: Duration = written("3m")
    idle_timeout: Duration = written("30m")
    command_timeout: Duration = written("5m")
    max_compile_errors: Positive = 5
    implementation: str = "MAS"
    logout_format: str = "bytes=%i/%o"
    sieve_capability: str = ""
    notify_capability: str = "mailto"
    listener: tuple[TcpListener, ...] = ()


_POSTFIX_LMTP = {
    "path": "/var/spool/postfix/private/dovecot-lmtp",
    "mode": "0600",
    "user": "postfix",
    "group": "postfix",
}


class Lmtp(Section):
    """LMTP: where Postfix delivers."""

    recipient_delimiter: str = "+"
    save_to_detail_mailbox: bool = False
    mailbox_autocreate: bool = False
    mailbox_autosubscribe: bool = False
    rcpt_check_quota: bool = True
    quota_full_tempfail: bool = False
    add_received_header: bool = True
    delivery_address_header: Annotated[Literal["final", "original", "none"], one_of("final", "original", "none")] = (
        "final"
    )
    user_concurrency_limit: Count = 10
    max_connections: Positive = 1000
    max_line: Size = written("4K")
    max_recipients: Positive = 1000
    max_bad_commands: Positive = 20
    idle_timeout: Duration = written("5m")
    socket: tuple[UnixSocket, ...] = written((_POSTFIX_LMTP,))
    listener: tuple[TcpListener, ...] = ()


class Metrics(Section):
    """Figures for Prometheus over HTTP: ``address:port``; empty = off."""

    listen: str = written("", pattern=r"^$|^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):\d{1,5}$")
    max_connections: Positive = 20

    @field_validator("listen")
    @classmethod
    def _port(cls, value: str) -> str:
        if value and not 1 <= int(value.rpartition(":")[2]) <= 65535:
            raise ValueError("a port is 1 to 65535")
        return value

    @property
    def address(self) -> tuple[str, int]:
        """Host (an IPv6 address without brackets) and port."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)
