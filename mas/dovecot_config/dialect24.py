"""A tree of Dovecot 2.4 in 2.3's words, so that one table does for both. Pure.

2.4 has the same lines, other names, and four other shapes: lists of booleans (``mail_plugins { quota = yes }``), named blocks whose driver
is their name (``passdb sql {``), settings that were parts of one long value (``mail_driver`` and ``mail_path`` of ``mail_location``,
``sieve_script`` blocks, ``quota`` blocks), and nameless blocks that stand for a prefix: ``doveconf -n`` prints ``ssl_server_cert_file``
as ``ssl_server { cert_file = … }``. Inside a block the prefix of its kind may be there or not. Each setting keeps its place and the name
it was written with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mas.dovecot_config.conversion import HIDDEN, Kind, Remark, title
from mas.dovecot_config.grammar import Setting
from mas.dovecot_config.names24 import (
    DATABASE_WIDE,
    ENGLISH,
    ESCAPES,
    FILES,
    LISTS,
    LOCATION,
    NAMES,
    PLACES,
    PLUGIN,
    PREFIXES,
    ROOT_QUOTA,
    SQL,
    UTF8,
)
from mas.dovecot_config.tree import Block
from mas.dovecot_config.values import boolean


def is_24(root: Block) -> bool:
    """Whether the tree says that it is one of 2.4."""
    return "dovecot_config_version" in root.settings


def to_23(root: Block, remarks: list[Remark]) -> Block:
    """The same tree in 2.3's words; ``remarks`` gets what has no such words."""
    return _Translation(root, remarks).run()


class _Translation:
    def __init__(self, old: Block, remarks: list[Remark]) -> None:
        self.old = old
        self.new = Block("", (), old.place)
        self.remarks = remarks
        self.scripts: dict[str, int] = {}
        self.warnings = 0
        self.rules = 0
        self.events = 0
        self.mailbox_rules: list[tuple[Setting, str]] = []

    def run(self) -> Block:
        self._location()
        self._settings(self.old, self.new)
        for block in self.old.blocks:
            self._block(block, self.new)
        self._mailbox_quotas()
        return self.new

    def _plugin(self, setting: Setting, key: str, value: str) -> None:
        """A setting of ``plugin {``; a percent sign is doubled there."""
        plugin = self.new.child("plugin", (), setting.place)
        plugin.set(renamed(setting, key, value))

    def _left(self, block: Block, setting: Setting, why: str) -> None:
        self.remarks.append(Remark(Kind.LEFT, title(block, setting), setting.place, why))

    def _yes(self, block: Block, setting: Setting) -> bool:
        try:
            return boolean(setting.value)
        except ValueError as error:
            self._left(block, setting, str(error))
            return False

    def _settings(self, old: Block, new: Block) -> None:
        for key, setting in old.settings.items():
            if key.startswith("@"):
                self._group(setting, new)
            elif key in PLACES:
                if old.outer is not None and old.kind != "namespace":
                    self._left(old, setting, "MAS has one place of mail for all protocols and addresses")
            elif key in SQL or key in DATABASE_WIDE:
                if old.outer is not None:
                    self._left(old, setting, "MAS has one value for all protocols and addresses")
            elif key in ROOT_QUOTA and old.outer is None and any(self.old.of("quota")):
                pass  # taken by each quota block
            elif key in FILES:
                new.set(replace(renamed(setting, FILES[key]), from_file=bool(setting.value)))
            elif key == "auth_allow_cleartext":
                new.set(renamed(setting, "disable_plaintext_auth", "no" if self._yes(old, setting) else "yes"))
            elif key == "ssl_server_prefer_ciphers":
                new.set(renamed(setting, "ssl_prefer_server_ciphers", "yes" if setting.value == "server" else "no"))
            elif key.startswith(PLUGIN) and key != "quota_full_tempfail":
                self._plugin(setting, NAMES.get(key, key), setting.value)
            else:
                new.set(renamed(setting, NAMES.get(key, key)))

    def _block(self, block: Block, new: Block) -> None:
        match block.kind:
            case kind if kind in LISTS:
                self._list(block, new)
            case "passdb" | "userdb":
                self._database(block)
            case "quota":
                self._quota(block)
            case "sieve_script":
                self._script(block)
            case "imapsieve_from":
                for script in block.of("sieve_script"):
                    self._event(script, "*", block.name)
            case "mailbox":
                self._mailbox(block, None)
            case kind if kind in PREFIXES and not block.names:
                self._prefixed(block, new)
            case "namespace":
                self._namespace(block)
            case "group":
                pass  # taken where it is named
            case "mysql" | "pgsql":
                pass  # belongs to the databases
            case _:
                below = new.child(block.kind, block.names, block.place)
                self._settings(block, below)
                if block.kind == "inet_listener" and (listen := below.settings.pop("listen", None)):
                    below.set(renamed(listen, "address"))
                for inner in block.blocks:
                    self._block(inner, below)

    def _list(self, block: Block, new: Block) -> None:
        """``mail_plugins { quota = yes }``: adds to what holds outside."""
        words = list(new.look_up(block.kind).split()) if new.outer else new.value(block.kind).split()
        signed = block.kind.endswith("_extensions")
        for key, setting in block.settings.items():
            on = self._yes(block, setting)
            if signed:
                words.append(f"{'+' if on else '-'}{key}")
            elif on and key not in words:
                words.append(key)
            elif not on and key in words:
                words.remove(key)
        setting = Setting(block.kind, " ".join(words), block.place)
        if block.kind.startswith("sieve_"):
            self._plugin(setting, block.kind, setting.value)
        else:
            new.set(setting)

    def _prefixed(self, block: Block, new: Block) -> None:
        """``ssl_server { cert_file = … }`` is ``ssl_server_cert_file = …``."""
        flat = Block("", (), block.place, block.outer)
        for key, setting in block.settings.items():
            whole = key if key.startswith(block.kind) else f"{block.kind}_{key}"
            flat.set(replace(setting, key=whole, original=whole))
        self._settings(flat, new)
        for inner in block.blocks:
            self._block(inner, new.child(block.kind, (), block.place))

    def _location(self) -> None:
        self._place(self.old, self.new, "mail_location")
        spaces = list(self.old.of("namespace"))
        for space in spaces:
            if any(key in PLACES for key in space.settings):
                merged = Block("", (), space.place)
                merged.settings = {**self.old.settings, **space.settings}
                self._place(merged, self.new.child("namespace", space.names, space.place), "location")

    def _place(self, old: Block, new: Block, name: str) -> None:
        """The settings of a place as 2.3's one value."""
        driver, path = old.settings.get("mail_driver"), old.settings.get("mail_path")
        first = driver or path
        if first is None:
            return
        parts = [f"{driver.value if driver else 'maildir'}:{path.value if path else '~/Maildir'}"]
        inbox, layout = old.settings.get("mail_inbox_path"), old.settings.get("mailbox_list_layout")
        if inbox is not None and not inbox.value and path and not (layout and layout.value == "fs"):
            # Not said at all, INBOX is the Maildir itself; said to be empty, 2.4.1 has it beside the others.
            parts.append(f"INBOX={path.value}/.INBOX")
        for key, option in LOCATION.items():
            setting = old.settings.get(key)
            if setting and setting.value and (key, setting.value.lower()) != ("mailbox_list_layout", "maildir++"):
                parts.append(f"{option}={setting.value}")
        if UTF8 in old.settings and self._yes(old, old.settings[UTF8]):
            parts.append("UTF-8")
        control = old.settings.get("mail_control_path")
        if control and path and control.value == path.value:
            # To 2.3, and in a location, that is where the lists lie anyway; 2.4.1 has INBOX's in .INBOX there.
            parts.append("mail_control_path of INBOX alone")
        directory = old.settings.get("mailbox_directory_name")
        if control and control.value and directory and directory.value:
            # 2.4.1 has the lists of Name in control/Name, 2.4.5 in control/Name/DIRNAME.
            parts.append("mail_control_path with mailbox_directory_name")
        parts += [key for key in ESCAPES if old.settings.get(key) and old.settings[key].value]
        new.set(renamed(first, name, ":".join(parts)))

    def _database(self, block: Block) -> None:
        """``passdb sql { query = … }``. The prefix of a setting's whole name may be left out inside the block."""
        kind = block.kind
        settings = {
            key.removeprefix(f"{kind}_").removeprefix(f"{block.name}_"): setting
            for key, setting in block.settings.items()
        }
        driver = settings.pop("driver", Setting("driver", block.name, block.place))
        settings = {key.removeprefix(f"{driver.value}_"): setting for key, setting in settings.items()}
        new = Block(kind, (), block.place, self.new)
        self.new.blocks.append(new)
        new.set(renamed(driver, "driver", driver.value))
        fields = {
            key: s
            for inner in block.blocks
            if inner.kind in ("fields", f"{kind}_fields")
            for key, s in inner.settings.items()
        }
        if driver.value == "static":
            words = [f"{key}={_quoted(s.value)}" for key, s in fields.items()]
            if allow := settings.pop("allow_all_users", None):
                words.append(f"allow_all_users={allow.value}")
            new.set(Setting("args", " ".join(words), block.place))
            fields = {}
        elif driver.value == "sql":
            self._sql(block, new, settings)
            owners = " ".join(f"{key}={_quoted(fields.pop(key).value)}" for key in ("uid", "gid") if key in fields)
            if kind == "userdb" and owners:
                new.set(Setting("override_fields", owners, block.place))
        for key, setting in {**settings, **fields}.items():
            if key not in SQL:
                new.set(replace(setting, key=key))

    def _sql(self, block: Block, new: Block, settings: dict[str, Setting]) -> None:
        queries = new.child("sql", (), block.place)
        query = "password_query" if block.kind == "passdb" else "user_query"
        for key, name in (("query", query), ("iterate_query", "iterate_query")):
            setting = settings.pop(key, None) or self.old.settings.get(f"{block.kind}_sql_{key}")
            if setting:
                queries.set(renamed(setting, name))
        scheme = settings.pop("default_password_scheme", None) or self.old.settings.get(
            "passdb_default_password_scheme"
        )
        queries.set(
            renamed(scheme, "default_pass_scheme") if scheme else Setting("default_pass_scheme", "PLAIN", block.place)
        )
        driver = block.settings.get("sql_driver") or self.old.settings.get("sql_driver")
        if driver is None:
            return
        queries.set(renamed(driver, "driver"))
        if driver.value == "sqlite":
            path = block.settings.get("sqlite_path") or self.old.settings.get("sqlite_path")
            if path:
                queries.set(renamed(path, "connect"))
            return
        servers = [*block.of(driver.value), *self.old.of(driver.value)]
        for server in servers[1:]:
            for setting in server.settings.values():
                self._left(server, setting, "only the first of several hosts: MAS asks one server")
        for server in servers[:1]:
            words = {key: setting.value for key, setting in server.settings.items()}
            for inner in server.of("parameters"):
                words |= {key: setting.value for key, setting in inner.settings.items()}
            for place in (server, *server.of("parameters")):
                for setting in place.settings.values():
                    if setting.hidden:
                        self._left(place, setting, HIDDEN)
            words.setdefault("host", server.name)
            if (limit := words.pop("connection_limit", "")).isdigit():
                words["maxconns"] = limit
            connect = " ".join(f"{key}={_quoted(value)}" for key, value in words.items())
            queries.set(Setting("connect", connect, server.place, original=server.title))

    def _quota(self, block: Block) -> None:
        """``quota "User quota" { storage_size = 15G … }``."""
        wide = {ROOT_QUOTA[key]: setting for key, setting in self.old.settings.items() if key in ROOT_QUOTA}
        settings = {**wide, **{key.removeprefix("quota_"): setting for key, setting in block.settings.items()}}
        driver = settings.pop("driver", None)
        first = not any(key == "quota" for plugin in self.new.of("plugin") for key in plugin.settings)
        number = "" if first else str(1 + sum(1 for other in self.old.of("quota")))
        self._plugin(
            Setting("quota", "", block.place), f"quota{number}", f"{driver.value if driver else 'count'}:{block.name}"
        )
        limits = []
        for key, setting in settings.items():
            if key == "storage_size":
                limits.append(f"storage={_no_limit(setting.value)}")
            elif key == "message_count":
                limits.append(f"messages={_no_limit(setting.value)}")
            elif key == "storage_grace":
                self._plugin(setting, "quota_grace", setting.value)
            elif key == "exceeded_message":
                self._plugin(setting, "quota_exceeded_message", setting.value)
            else:
                self._left(block, setting, "MAS's roots have no such setting")
        if limits:
            self.rules += 1
            self._plugin(Setting("quota_rule", "", block.place), f"quota{number}_rule", "*:" + ":".join(limits))
        for inner in block.blocks:
            if inner.kind in ("warning", "quota_warning"):
                self._warning(inner, number)
            else:
                for setting in inner.settings.values():
                    self._left(inner, setting, "MAS's roots have no such setting")

    def _warning(self, block: Block, root: str) -> None:
        settings = {key.removeprefix("quota_"): setting for key, setting in block.settings.items()}
        percent = settings.pop("storage_percentage", None)
        sign = "-" if (under := settings.pop("threshold", None)) and under.value == "under" else ""
        for setting in settings.values():
            self._left(block, setting, "MAS's warnings have no such setting")
        for execute in block.of("execute"):
            arguments = execute.value("args")
            self.warnings = number = self.warnings + 1
            self._plugin(
                Setting("quota_warning", "", block.place),
                f"quota{root}_warning{number if number > 1 else ''}",
                f"{sign}storage={percent.value if percent else 100}%% {execute.name} {arguments}",
            )

    def _script(self, block: Block) -> None:
        """``sieve_script personal { path = ~/sieve }``."""
        settings = {key.removeprefix("sieve_script_"): setting for key, setting in block.settings.items()}
        kind = settings["type"].value if "type" in settings else "personal"
        path = self._script_file(block, settings)
        if path is None:
            return
        self.scripts[kind] = number = self.scripts.get(kind, 0) + 1
        if kind in ("personal", "default", "global", "discard") and number > 1:
            self._left(block, path, f"MAS has one place of {kind} scripts")
        elif kind == "personal":
            active = settings.get("active_path")
            self._plugin(path, "sieve", f"file:{path.value}" + (f";active={active.value}" if active else ""))
        elif kind in ("before", "after"):
            self._plugin(path, f"sieve_{kind}{number if number > 1 else ''}", path.value)
        elif kind in ("default", "global", "discard"):
            self._plugin(path, f"sieve_{kind}", path.value)
        else:
            self._left(block, path, f"MAS has no scripts of type {kind}")

    def _script_file(self, block: Block, settings: Mapping[str, Setting]) -> Setting | None:
        """The file of a script; None, with a remark for each setting, when it is none. Settings that MAS has not get theirs."""
        path, driver = settings.get("path"), settings.get("driver")
        if path is None or (driver is not None and driver.value != "file"):
            for setting in block.settings.values():
                self._left(block, setting, "scripts are files in MAS, with a path")
            return None
        for key, setting in settings.items():
            if key == "precedence":
                self._left(
                    block,
                    setting,
                    "MAS runs scripts in the order of the file: see whether sieve.before and after are so",
                )
            elif key not in ("type", "path", "active_path", "driver", "name", "bin_path", "cause"):
                self._left(block, setting, "MAS's scripts have no such setting")
        return path

    def _event(self, block: Block, mailbox: str, source: str) -> None:
        """A script at an IMAP event: ``sieve_script`` in a mailbox."""
        settings = {key.removeprefix("sieve_script_"): setting for key, setting in block.settings.items()}
        kind = settings["type"].value.replace("-", "_") if "type" in settings else "before"
        path = self._script_file(block, settings)
        if path is None:
            return
        self.events += 1
        prefix = f"imapsieve_mailbox{self.events}_"
        self._plugin(path, f"{prefix}name", mailbox)
        if source:
            self._plugin(path, f"{prefix}from", source)
        if cause := settings.get("cause"):
            self._plugin(cause, f"{prefix}causes", cause.value.upper())
        self._plugin(path, f"{prefix}{kind}", path.value)

    def _namespace(self, block: Block) -> None:
        new = self.new.child("namespace", block.names, block.place)
        self._settings(block, new)
        for inner in block.blocks:
            if inner.kind == "mailbox":
                self._mailbox(inner, new)
            else:
                self._block(inner, new)

    def _mailbox(self, block: Block, space: Block | None) -> None:
        """A mailbox of a namespace; outside of one (None) it is a mailbox of every namespace, and so of the user's own."""
        if space is None:
            first = next((other for other in self.old.of("namespace") if other.value("inbox") == "yes"), None)
            space = self.new.child("namespace", first.names if first else ("inbox",), block.place)
        mailbox = space.child("mailbox", block.names, block.place)
        for key, setting in block.settings.items():
            name = key.removeprefix("mailbox_")
            if name.startswith("quota_"):
                self.mailbox_rules.append((setting, block.name))
            else:
                mailbox.set(renamed(setting, name))
        for below in block.blocks:
            if below.kind == "sieve_script":
                self._event(below, block.name, "")
            elif below.kind == "imapsieve_from":
                for script in below.of("sieve_script"):
                    self._event(script, block.name, below.name)
            else:
                self._block(below, mailbox)

    def _mailbox_quotas(self) -> None:
        """``mailbox Trash { quota_storage_extra = 500M }``: rules behind the root's own."""
        for setting, mailbox in self.mailbox_rules:
            if setting.key == "quota_storage_extra":
                rule = f"{mailbox}:storage=+{setting.value}"
            elif setting.key == "quota_storage_percentage":
                rule = (
                    f"{mailbox}:storage={int(setting.value) - 100:+d}%%"
                    if setting.value.isascii() and setting.value.isdigit()
                    else ""
                )
            elif setting.key == "quota_ignore" and self._yes(self.old, setting):
                rule = f"{mailbox}:ignore"
            else:
                rule = ""
            if rule:
                self.rules += 1
                self._plugin(setting, f"quota_rule{self.rules if self.rules > 1 else ''}", rule)
            else:
                self._left(self.old, setting, "MAS's quota rules have no such limit")

    def _group(self, setting: Setting, new: Block) -> None:
        """``@name = choice``: the settings of ``group @name choice {``."""
        for group in self.old.of("group"):
            if group.names == (setting.key, setting.value):
                for inner in group.blocks:
                    self._block(inner, self.new)
                self._settings(group, new)
                return
        if (setting.key, setting.value) == ("@mailbox_defaults", "english"):
            space = self.new.child("namespace", new.names or ("inbox",), setting.place)
            for name, use in ENGLISH.items():
                space.child("mailbox", (name,), setting.place).set(Setting("special_use", use, setting.place))
        else:
            self._left(self.old, setting, "there is no such group")


def renamed(setting: Setting, key: str, value: str | None = None) -> Setting:
    """The setting under 2.3's name."""
    return replace(
        setting, key=key, value=setting.value if value is None else value, original=setting.original or setting.key
    )


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _no_limit(value: str) -> str:
    return "0" if value == "unlimited" else value
