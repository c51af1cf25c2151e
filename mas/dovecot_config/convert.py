"""A tree of Dovecot's configuration as MAS's file. Pure.

The order matters where one part asks for another: plain settings first, then where mail lies, accounts, ports and sockets, mailboxes,
plugins. Every statement of the tree is visited once, so nothing is dropped without a remark.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mas.dovecot_config import quota, sieve
from mas.dovecot_config.accounts import convert_accounts
from mas.dovecot_config.conversion import Conversion, Kind, Remark
from mas.dovecot_config.dialect24 import is_24, to_23
from mas.dovecot_config.grammar import Setting
from mas.dovecot_config.mailstore import MAIL_KEYS, convert_home, convert_mail, convert_namespaces
from mas.dovecot_config.services import convert_services
from mas.dovecot_config.settings import DEFAULTS, DEFAULTS_24, PER_PROTOCOL, TABLE, handler_of
from mas.dovecot_config.target import Target
from mas.dovecot_config.toml import toml
from mas.dovecot_config.tree import Block
from mas.dovecot_config.values import words
from mas.dovecot_config.variables import template

_OTHER_PROTOCOLS = {
    "pop3": "MAS has no POP3",
    "submission": "submission is Postfix's in a host with MAS",
    "doveadm": "about doveadm; MAS's commands need no server",
    "indexer-worker": "about Dovecot's index files; MAS has its own index",
    "!indexer-worker": "about Dovecot's index files; MAS has its own index",
}
_PLUGINS = (
    ("acl", "MAS has no ACL: mailboxes are their owner's"),
    ("fts", "MAS's search needs no plugin"),
    ("mail_log_", "MAS logs what happens to mail by itself"),
    ("zlib_", "MAS stores messages as they are; what is compressed already it reads"),
    ("mail_compress", "MAS stores messages as they are"),
    ("mail_crypt_", "MAS does not encrypt messages: have the file system do so"),
    ("trash", "MAS does not empty mailboxes when the quota is full"),
    ("expire", "MAS has autoexpunge of mailboxes"),
    ("lazy_expunge", "MAS keeps nothing of what is expunged"),
    ("autocreate", "MAS has auto of mailboxes"),
    ("autosubscribe", "MAS has auto of mailboxes"),
    ("antispam", "MAS has [rspamd] and [[imapsieve]]"),
    ("mail_replica", "MAS has no replication"),
    ("notify_", "MAS has no push notifications"),
    ("push_notification", "MAS has no push notifications"),
    ("old_stats", "there is [metrics] for Prometheus"),
    ("last_login", "MAS logs logins"),
    ("welcome_", "MAS sends no welcome"),
    ("charset_alias", "MAS knows the usual names of character sets"),
)


@dataclass(frozen=True, slots=True)
class Converted:
    """What came out. ``text``: mas.toml, with a comment for each remark."""

    text: str
    remarks: tuple[Remark, ...]
    carried: int

    def of(self, kind: Kind) -> list[Remark]:
        """The remarks of one kind."""
        return [remark for remark in self.remarks if remark.kind is kind]


def convert(root: Block, read: Callable[[str], str]) -> Converted:
    """The tree as mas.toml. ``read``: the text of a file that a setting names; raises OSError."""
    remarks: list[Remark] = []
    newer = is_24(root)
    if newer:
        root = to_23(root, remarks)
    conversion = Conversion(root, read, Target(), remarks)
    for key, value in DEFAULTS.items():
        conversion.target.put(key, value)
    if newer:
        for key, value in DEFAULTS_24.items():
            conversion.target.put(key, value)
    for setting in root.settings.values():
        if setting.key not in MAIL_KEYS:
            _plain(conversion, root, setting)
    for block in root.of("protocol"):
        _protocol(conversion, block)
    convert_mail(conversion)
    convert_accounts(conversion)
    convert_home(conversion)
    convert_services(conversion)
    convert_namespaces(conversion)
    for block in root.of("plugin"):
        _plugin(conversion, block)
    for block in root.blocks:
        _filter(conversion, block)
    return Converted(_text(conversion), tuple(conversion.remarks), conversion.carried)


def _plain(conversion: Conversion, block: Block, setting: Setting) -> None:
    handler = handler_of(setting.key)
    if handler is None:
        conversion.unknown(block, setting, _nearest(setting.key))
    else:
        conversion.apply(block, setting, handler)


def _protocol(conversion: Conversion, block: Block) -> None:
    if why := _OTHER_PROTOCOLS.get(block.name):
        conversion.leave_block(block, why)
        return
    for setting in block.settings.values():
        if setting.key == "mail_plugins" or setting.key.startswith(PER_PROTOCOL.get(block.name, ("\0",))):
            _plain(conversion, block, setting)
        elif handler_of(setting.key) is None:
            conversion.unknown(block, setting, _nearest(setting.key))
        elif setting.key == "auth_username_format":
            _names_of_one_protocol(conversion, block, setting)
        elif setting.value != conversion.root.value(setting.key, "\0"):
            conversion.left(block, setting, "MAS has one value for all protocols")
    for inner in block.blocks:
        conversion.leave_block(inner, "MAS has one value for all protocols")


def _names_of_one_protocol(conversion: Conversion, block: Block, setting: Setting) -> None:
    """How names are read in one protocol; in LMTP it says whose mail it is, so that a difference loses mail."""
    try:
        same = template(setting.value) == conversion.target.get("auth.username_format", "%Lu")
    except ValueError:
        same = False
    if not same:
        conversion.left(
            block, setting,
            "MAS reads names alike in all protocols: without it other users are looked up here than before, so set "
            "auth.username_format, and try mas auth test",
        )  # fmt: skip


def _plugin(conversion: Conversion, block: Block) -> None:
    quota.convert_quota(conversion, block)
    sieve.convert_sieve(conversion, block)
    for key, setting in block.settings.items():
        if quota.OWN.match(key) or sieve.OWN.match(key):
            continue
        if key.startswith("fts") and not any(
            name.startswith("fts") for name in words(conversion.root.value("mail_plugins"))
        ):
            continue  # Debian's package sets these; without the plugin nobody reads them
        why = next((why for prefix, why in _PLUGINS if key.startswith(prefix)), None)
        if why:
            conversion.left(block, setting, why)
        else:
            conversion.unknown(block, setting, "no plugin that is known here has it")
    for inner in block.blocks:
        conversion.leave_block(inner, "no plugin that is known here has it")


def _filter(conversion: Conversion, block: Block) -> None:
    match block.kind:
        case "protocol" | "passdb" | "userdb" | "service" | "namespace" | "plugin":
            pass
        case "local_name":
            _sni(conversion, block)
        case "local" | "remote":
            inner = [child for child in block.blocks if child.kind == "local_name"]
            for child in inner:
                _sni(conversion, child)
            for setting in block.settings.values():
                conversion.left(
                    block, setting, "MAS has one value for all addresses; certificates go by name: [[tls.sni]]"
                )
            for child in block.blocks:
                if child not in inner:
                    conversion.leave_block(child, "MAS has one value for all addresses")
        case "dict":
            conversion.leave_block(block, "MAS has no dict service: shared quotas are [[quota.root]] with a scope")
        case _:
            for setting in block.settings.values():
                conversion.unknown(block, setting, f"unknown block: {block.kind}")
            for child in block.blocks:
                conversion.leave_block(child, f"unknown block: {block.kind}")


def _sni(conversion: Conversion, block: Block) -> None:
    """``local_name mail.example.org { ssl_cert ssl_key }``."""
    cert, key = block.settings.get("ssl_cert"), block.settings.get("ssl_key")
    entry = {"names": tuple(block.name.replace(",", " ").split())}
    for setting in block.settings.values():
        if setting not in (cert, key):
            conversion.left(block, setting, "of a name MAS has the certificate alone")
    for inner in block.blocks:
        conversion.leave_block(inner, "of a name MAS has the certificate alone")
    if entry["names"] and cert and key and cert.from_file and key.from_file:
        conversion.target.tree.setdefault("tls", {}).setdefault("sni", []).append(
            {**entry, "cert": cert.value, "key": key.value}
        )
        conversion.carried += 2
        return
    for each in (cert, key):
        if each:
            why = (
                "hidden by doveconf; use -P"
                if each.hidden
                else "a name's certificate is a name and two files, ssl_cert and ssl_key"
            )
            conversion.left(block, each, why)


def _nearest(key: str) -> str:
    import difflib

    near = difflib.get_close_matches(key, [*TABLE, *MAIL_KEYS], 1, 0.8)
    return f"unknown; did you mean {near[0]}?" if near else "unknown"


_HEADS = {
    Kind.CHECK: "Carried over; please look at:",
    Kind.LEFT: "Not carried over:",
    Kind.UNKNOWN: "Unknown:",
}


def _text(conversion: Conversion) -> str:
    lines = []
    for kind, head in _HEADS.items():
        found = [remark for remark in conversion.remarks if remark.kind is kind]
        if found:
            lines += [f"# {head}", *(f"#   {_one_line(str(remark))}" for remark in found), "#"]
    head = "\n".join(lines[:-1])
    body = toml(conversion.target.differing())
    return f"{head}\n\n{body}" if head else body


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)
