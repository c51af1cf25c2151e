"""``passdb``, ``userdb`` and ``dovecot-sql.conf.ext``. Pure: that file's text comes through ``Conversion.read``.

Only SQL has a counterpart. Of a ``passdb`` that takes rights away (``deny``) the remark says so: leaving such a one out
changes who gets in.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from mas.auth.query import compile_query
from mas.dovecot_config.conversion import Conversion
from mas.dovecot_config.grammar import DovecotConfigError, Place, Setting, parse
from mas.dovecot_config.target import Tree
from mas.dovecot_config.tree import Block
from mas.dovecot_config.values import boolean, number
from mas.dovecot_config.variables import template

PASSWORD_QUERY = "SELECT username, domain, password FROM users WHERE username = '%n' AND domain = '%d'"
USER_QUERY = "SELECT home, uid, gid FROM users WHERE username = '%n' AND domain = '%d'"
MYSQL_SOCKET = "/run/mysqld/mysqld.sock"
"""Where Debian's MariaDB listens: the client library goes there when the host is ``localhost`` or none."""

_OTHERS_GET_IN = "MAS's databases have no such setting: without it others get in than before, so say it in the query"
_WHO = (
    "username_filter",
    "mechanisms",
    "mechanisms_filter",
    "allow_nets",
    "nologin",
    "override_fields",
    "default_fields",
)
"""Settings of a passdb that say who may log in, and from where."""
_PLACE_COLUMN = re.compile(
    r"\b(?:userdb_)?(mail_(?:path|driver|inbox_path|index_path|control_path|location))\b", re.IGNORECASE
)
_LIMIT_COLUMN = re.compile(r"\b(?:userdb_)?(quota_(?:storage|message)_\w+)\b", re.IGNORECASE)
"""Columns that 2.4 knows and MAS does not."""
_ONLY_SQL = "MAS looks accounts up in SQL databases only"
_RESULTS = {
    "result_success": ("return-ok",),
    "result_failure": ("continue",),
    "result_internalfail": ("continue",),
    "skip": ("never",),
    "deny": ("no",), "master": ("no", "yes"), "pass": ("no", "yes"),
    "auth_verbose": ("default", "yes", "no"),
}  # fmt: skip
"""What these may say without changing anything. A userdb's are the same."""


class SqlFile:
    """The settings of one ``dovecot-sql.conf.ext``, or of a block of 2.4. ``url`` is SQLAlchemy's."""

    def __init__(self, conversion: Conversion, block: Block) -> None:
        """Converts the settings; what there is beyond queries gets its remarks. Raises ValueError."""
        self.block = block
        self.connections = 0
        self.url = self._url(conversion)
        self._others(conversion)

    @classmethod
    def read(cls, conversion: Conversion, path: str, place: Place) -> SqlFile:
        """From a file. Raises ValueError."""
        try:
            text = conversion.read(path)
        except OSError as error:
            raise ValueError(f"{path}: {error.strerror or error}") from None
        block = Block(path, (), place)
        try:
            for statement in parse(text, path):
                if isinstance(statement, Setting):
                    block.set(statement)
        except DovecotConfigError as error:
            raise ValueError(str(error)) from None
        return cls(conversion, block)

    def query(self, conversion: Conversion, name: str, default: str) -> str:
        """A query in MAS's variables. Raises ValueError, also for one that says where mail lies in columns that MAS does not read."""
        text = self.block.value(name, default)
        if column := _PLACE_COLUMN.search(text):
            raise ValueError(f"MAS does not read the column {column[1]}: give home, or mail as 'maildir:/path'")
        if column := _LIMIT_COLUMN.search(text):
            place = self.block.settings[name].place
            why = f"MAS does not read the column {column[1]}: give quota_rule, as '*:storage=1G', else the limit is that of all"
            conversion.check(place, name, why)
        return sql(text, self.url)

    def _url(self, conversion: Conversion) -> str:
        driver, connect = self.block.value("driver"), self.block.value("connect")
        if driver == "sqlite":
            return sqlite_url(connect.split()[0] if connect else "")
        values: dict[str, list[str]] = {}
        for name, value in _assignments(connect):
            values.setdefault(name, []).append(value)
        if driver not in ("mysql", "pgsql"):
            raise ValueError(f"driver {driver or '(none)'}: MAS knows mysql, pgsql and sqlite")
        first = {name: found[0] for name, found in values.items()}
        if len(values.get("host", ())) > 1:
            conversion.left(
                self.block, self.block.settings["connect"], "only the first of several hosts: MAS asks one server"
            )
        known = {"host", "port", "dbname", "user", "password", "maxconns"} | (
            {"connect_timeout", "read_timeout", "write_timeout"}
            if driver == "mysql"
            else {"connect_timeout", "sslmode"}
        )
        if others := [name for name in first if name not in known]:
            conversion.left(
                self.block, self.block.settings["connect"], f"of it {', '.join(others)}: write them into the url"
            )
        if "maxconns" in first:
            self.connections = number(first["maxconns"])
        return database_url(driver, first)

    def _others(self, conversion: Conversion) -> None:
        for key, setting in self.block.settings.items():
            if key not in ("driver", "connect", "default_pass_scheme", "password_query", "user_query", "iterate_query"):
                conversion.unknown(self.block, setting, "unknown in a file of SQL queries")


def database_url(driver: str, settings: dict[str, str]) -> str:
    """The URL for libmysql's or libpq's words (host, port, dbname, user, password)."""
    user, password = settings.get("user", ""), settings.get("password", "")
    login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "") + ("@" if user else "")
    host, port, name = settings.get("host", ""), settings.get("port", ""), quote(settings.get("dbname", ""), safe="")
    if driver == "mysql":
        if host in ("", "localhost") or host.startswith("/"):
            return (
                f"mysql+aiomysql://{login}localhost/{name}?unix_socket={host if host.startswith('/') else MYSQL_SOCKET}"
            )
        return f"mysql+aiomysql://{login}{_host(host)}{f':{port}' if port else ''}/{name}"
    if host == "" or host.startswith("/"):
        return f"postgresql+asyncpg://{login}/{name}?host={host or '/run/postgresql'}{f'&port={port}' if port else ''}"
    return f"postgresql+asyncpg://{login}{_host(host)}{f':{port}' if port else ''}/{name}"


def sqlite_url(path: str) -> str:
    """The URL of a file. Raises ValueError."""
    if not path.startswith("/"):
        raise ValueError(f"the path of the database {path!r} is not absolute")
    return f"sqlite+aiosqlite:///{path}"


def sql(query: str, url: str) -> str:
    """A query in MAS's variables. Raises ValueError."""
    converted = template(query)
    compile_query(converted, backslash=url.startswith("mysql"))
    return converted


def convert_accounts(conversion: Conversion) -> None:
    """All passdbs, then all userdbs, in their order."""
    files: dict[str, SqlFile] = {}
    root = conversion.root
    for block in root.of("passdb"):
        _database(conversion, block, files, _passdb)
    for block in root.of("userdb"):
        _database(conversion, block, files, _userdb)
    _defaults(conversion)


def _database(conversion: Conversion, block: Block, files: dict[str, SqlFile], work: object) -> None:
    assert callable(work)
    driver = block.settings.get("driver")
    before = len(conversion.remarks)
    if driver is None:
        conversion.leave_block(block, "a block without a driver")
        return
    try:
        entry = work(conversion, block, files)
    except ValueError as error:
        conversion.leave_block(block, str(error))
        return
    if entry is None:
        return
    for key, setting in block.settings.items():
        if key in ("driver", "args", "name"):
            continue
        if key not in _RESULTS:
            if setting.value and not _fields(conversion, key, setting):
                who = block.kind == "passdb" and key in _WHO
                why = _OTHERS_GET_IN if who else "MAS's databases have no such setting: say it in the query"
                conversion.left(block, setting, why)
        elif setting.value not in _RESULTS[key] or (key == "pass" and boolean(setting.value) and "master" not in entry):
            conversion.left(
                block, setting, "MAS asks its databases in their order until one knows the user and the password fits"
            )
    for inner in block.blocks:
        if inner.kind != "sql":
            conversion.leave_block(inner, "MAS's databases have no such setting: say it in the query")
    try:
        conversion.target.add(block.kind, entry)
    except ValueError as error:
        del conversion.remarks[before:]
        conversion.leave_block(block, f"MAS's [[{block.kind}]]: {error}")
    else:
        conversion.carried += len(block.settings)


def _passdb(conversion: Conversion, block: Block, files: dict[str, SqlFile]) -> Tree | None:
    if boolean(block.value("deny")):
        raise ValueError(
            "MAS has no passdb that refuses users: without it others get in than before, so look after that"
        )
    if block.value("driver") != "sql":
        raise ValueError(f"{_ONLY_SQL}, not in {block.value('driver')}")
    file = _file(conversion, block, files)
    entry: Tree = {"url": file.url}
    if boolean(block.value("master")):
        entry["master"] = True
    if file.connections:
        entry["max_connections"] = file.connections
    # Dovecot's own default is MD5: "$1$…" by crypt, and 32 hexadecimal digits.
    entry["default_scheme"] = file.block.value("default_pass_scheme", "MD5")
    entry["query"] = file.query(conversion, "password_query", PASSWORD_QUERY)
    entry["iterate_query"] = file.query(conversion, "iterate_query", "SELECT username, domain FROM users")
    return entry


def _userdb(conversion: Conversion, block: Block, files: dict[str, SqlFile]) -> Tree | None:
    driver = block.value("driver")
    if driver == "prefetch":
        return {"driver": "prefetch"}
    if driver == "static":
        return _static(conversion, block)
    if driver != "sql":
        raise ValueError(f"{_ONLY_SQL}, not in {driver}")
    file = _file(conversion, block, files)
    entry: Tree = {"driver": "sql", "query": file.query(conversion, "user_query", USER_QUERY)}
    passdbs = [passdb for passdb in conversion.target.get("passdb", []) if not passdb.get("master")]
    if not passdbs or passdbs[0]["url"] != file.url:
        entry["url"] = file.url
    if "iterate_query" in file.block.settings and file.url not in [passdb["url"] for passdb in passdbs]:
        entry["iterate_query"] = file.query(conversion, "iterate_query", "")
    return entry


def _static(conversion: Conversion, block: Block) -> Tree:
    entry: Tree = {"driver": "static"}
    for name, value in _assignments(block.value("args")):
        if name in ("uid", "gid"):
            _account(conversion, name, value)
        elif name == "home":
            entry["home"] = template(value)
        elif name == "allow_all_users":
            entry["allow_all_users"] = boolean(value or "yes")
            if entry["allow_all_users"]:
                conversion.check(
                    block.place, "allow_all_users = yes",
                    "carried over: mail to mistyped addresses is taken, and kept for nobody; without it MAS asks the passdb",
                )  # fmt: skip
        elif name == "mail" and not conversion.root.value("mail_location"):
            conversion.put("mail.location", template(value))
        else:
            conversion.left(block, block.settings["args"], f"of it {name}: MAS's static userdb gives the home alone")
    if "home" not in entry:
        home = conversion.root.value("mail_home")
        if not home:
            home = re.sub(r"^maildir:([^:]*).*", r"\1", conversion.target.get("mail.location", "maildir:"))
            if not home.startswith("/"):
                raise ValueError("a userdb that gives no home, and there is no mail_home")
            conversion.check(
                block.place, "userdb static", f"gives no home: {home}, where the mail lies, is taken for it"
            )
        entry["home"] = template(home)
    return entry


def _account(conversion: Conversion, name: str, value: str) -> None:
    """uid or gid: all mail of MAS belongs to one."""
    known = conversion.target.get(f"mail.{name}")
    if known is None:
        conversion.put(f"mail.{name}", value)
    elif known != value:
        raise ValueError(f"{name} {value} beside {known}: all mail of MAS belongs to one user and group")


def _fields(conversion: Conversion, key: str, setting: Setting) -> bool:
    """``default_fields`` and ``override_fields`` that hold nothing but uid and gid are mail.uid and mail.gid."""
    found = list(_assignments(setting.value))
    if key not in ("default_fields", "override_fields") or any(name not in ("uid", "gid") for name, _ in found):
        return False
    try:
        for name, value in found:
            _account(conversion, name, value)
    except ValueError:
        return False
    return True


def _file(conversion: Conversion, block: Block, files: dict[str, SqlFile]) -> SqlFile:
    for inline in block.of("sql"):
        return SqlFile(conversion, inline)
    args = block.settings.get("args")
    if args is None or not args.value:
        raise ValueError("driver = sql without args")
    if args.value not in files:
        files[args.value] = SqlFile.read(conversion, args.value, args.place)
    return files[args.value]


def _defaults(conversion: Conversion) -> None:
    """A file that MAS takes, also when nothing could be carried over: nobody gets in then."""
    if not conversion.target.get("passdb"):
        conversion.target.add(
            "passdb", {"url": "sqlite+aiosqlite:////etc/mas/accounts.sqlite", "query": PASSWORD_QUERY}
        )
        conversion.check(
            conversion.root.place, "passdb", "none could be carried over: [[passdb]] below is a place for your accounts"
        )
    if not conversion.target.get("userdb"):
        home = conversion.root.value("mail_home") or "/var/vmail/%d/%n"
        try:
            conversion.target.add("userdb", {"driver": "static", "home": template(home)})
        except ValueError:
            conversion.target.add("userdb", {"driver": "static", "home": "/var/vmail/%d/%n"})
        conversion.check(conversion.root.place, "userdb", "none could be carried over: set home in [[userdb]] below")


def _assignments(text: str) -> list[tuple[str, str]]:
    """``name=value`` words; a value may stand in quotes."""
    found = []
    for match in re.finditer(r"""([^\s=]+)(?:=("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\S*))?""", text):
        value = match[2] or ""
        if len(value) > 1 and value[0] in "\"'" and value[-1] == value[0]:
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        found.append((match[1], value))
    return found


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host else host
