"""The operator's file, as frozen models. ``load(path)`` gives a Config or raises ConfigError with every mistake.

Every limit of the server is a key here, with a default. ``conf/mas.toml`` documents each key; a test keeps the two equal.
Must not know: what the values are used for.
"""

from mas.config.accounts import Auth, AuthSocket, OAuth2, Passdb, Userdb
from mas.config.file import Config, Log
from mas.config.filters import ImapSieve, Rspamd, Sieve
from mas.config.listeners import (
    Imap,
    ImapListener,
    Lmtp,
    ManageSieve,
    Metrics,
    Proxy,
    Sni,
    TcpListener,
    Tls,
    UnixSocket,
)
from mas.config.load import load, loads
from mas.config.mailstore import Mail, MailboxRule, Quota, QuotaRoot, QuotaWarning
from mas.config.section import Section
from mas.config.values import Share

__all__ = [
    "Auth",
    "AuthSocket",
    "Config",
    "Imap",
    "ImapListener",
    "ImapSieve",
    "Lmtp",
    "Log",
    "Mail",
    "MailboxRule",
    "ManageSieve",
    "Metrics",
    "OAuth2",
    "Passdb",
    "Proxy",
    "Quota",
    "QuotaRoot",
    "QuotaWarning",
    "Rspamd",
    "Section",
    "Share",
    "Sieve",
    "Sni",
    "TcpListener",
    "Tls",
    "UnixSocket",
    "Userdb",
    "load",
    "loads",
]
