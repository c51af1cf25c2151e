"""What a configuration may say and its author may not have meant. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from mas.config import Config
from mas.doctor.finding import Finding, ok, warn


def traps(config: Config) -> Iterator[Finding]:
    """Everything in one go."""
    found = [*_accounts(config), *_networks(config), *_quota(config)]
    yield from found or [ok("configuration", "none of the usual traps")]


def _accounts(config: Config) -> Iterator[Finding]:
    for index, userdb in enumerate(config.userdb, 1):
        if userdb.allow_all_users:
            yield warn(
                f"userdb[{index}].allow_all_users",
                "LMTP takes mail for every address, and makes a mailbox for each that is mistyped or made up",
                "set it to false, unless Postfix knows all recipients (virtual_mailbox_maps)",
            )
    if not config.auth.penalty:
        yield warn("auth.penalty", "wrong logins cost an address nothing", "leave it true, or have fail2ban")
    for index, passdb in enumerate(config.passdb, 1):
        if passdb.default_scheme.partition(".")[0] in ("PLAIN", "CLEAR", "CLEARTEXT", "PLAIN-TRUNC"):
            yield warn(
                f"passdb[{index}].default_scheme",
                "passwords are stored in the clear",
                "hash them (mas pw), or mark those that must be clear with {PLAIN}",
            )
    if config.tls.min_version == "TLSv1.2" and "SHA1" in config.tls.ciphers.upper().split(":"):
        yield warn("tls.ciphers", "SHA1 is asked for", "leave tls.ciphers empty")


def _networks(config: Config) -> Iterator[Finding]:
    for key, networks in (
        ("auth.login_trusted_networks", config.auth.login_trusted_networks),
        ("proxy.trusted_networks", config.proxy.trusted_networks),
    ):
        for network in networks:
            if not network.prefixlen:
                yield warn(key, f"{network} trusts the whole Internet", "name the addresses that are yours")
    for index, listener in enumerate(config.lmtp.listener, 1):
        if not _loopback(listener.address):
            yield warn(
                f"lmtp.listener[{index}].address",
                f"whoever reaches {listener.address}:{listener.port} can put mail into every mailbox",
                "use a UNIX socket, 127.0.0.1, or a firewall",
            )
    if config.metrics.listen and not _loopback(config.metrics.address[0]):
        yield warn("metrics.listen", "whoever reaches it can read the figures", "use 127.0.0.1, or a firewall")


def _quota(config: Config) -> Iterator[Finding]:
    if not config.quota.name.strip():
        yield warn("quota.name", "clients show a quota without a name", 'give it one, as "User quota"')
    if not config.quota.rules:
        yield warn("quota.rules", "one user can fill the disk", 'set a limit, as ["*:storage=10G"]')


def _loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"
