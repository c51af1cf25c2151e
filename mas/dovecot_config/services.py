"""``service`` blocks: of their listeners MAS has ports and sockets, of the rest nothing is left to tune. Pure."""

from __future__ import annotations

from mas.dovecot_config.conversion import Conversion
from mas.dovecot_config.target import Tree
from mas.dovecot_config.tree import Block
from mas.dovecot_config.values import boolean, mode, number

_TUNING = "MAS has no such processes to tune"
_PORTS = {
    ("imap-login", "imap"): "imap.port",
    ("imap-login", "imaps"): "imap.tls_port",
    ("managesieve-login", "sieve"): "managesieve.port",
}
_USUAL = {"imap.port": 143, "imap.tls_port": 993, "managesieve.port": 4190}
_LISTENERS = {"imap-login": "imap.listener", "managesieve-login": "managesieve.listener"}
_NOT_HERE = {
    "pop3": "MAS has no POP3",
    "pop3-login": "MAS has no POP3",
    "submission": "submission is Postfix's in a host with MAS",
    "submission-login": "submission is Postfix's in a host with MAS",
    "quota-status": "MAS has no policy service; over LMTP it tells Postfix at RCPT who is over quota "
    "(reject_unverified_recipient), so take check_policy_service out of Postfix",
    "director": "MAS is no proxy for other servers",
    "doveadm": "about doveadm; MAS's commands need no server",
    "replicator": "MAS has no replication",
    "aggregator": "MAS has no replication",
    "stats": "there is [metrics] for Prometheus",
    "old-stats": "there is [metrics] for Prometheus",
    "indexer-worker": _TUNING,
    "dict": "MAS has no dict service",
    "tcpwrap": "MAS has no tcpwrappers; use the firewall",
}
_POSTFIX = {"path", "mode", "user", "group"}


def convert_services(conversion: Conversion) -> None:
    """All ``service`` blocks. Warnings' scripts are the quota's, see there."""
    warnings = _warning_services(conversion.root)
    for service in conversion.root.of("service"):
        if service.name in warnings:
            conversion.carried += 1
        elif service.name in _NOT_HERE:
            _internal(conversion, service, _NOT_HERE[service.name])
        else:
            _service(conversion, service)
    _default_lmtp(conversion)


def _service(conversion: Conversion, service: Block) -> None:
    for setting in service.settings.values():
        if setting.key in ("user", "group") and setting.value in (
            "",
            "root",
            "$default_internal_user",
            "dovecot",
            "vmail",
            "dovenull",
        ):
            continue  # who runs what is MAS's own: workers are mail.uid
        conversion.left(service, setting, _TUNING)
    for listener in service.blocks:
        work = _unix if listener.kind == "unix_listener" else _inet if listener.kind == "inet_listener" else None
        if work is None:
            conversion.leave_block(listener, "MAS has no such listener")
            continue
        before = len(conversion.remarks)
        try:
            work(conversion, service, listener)
        except ValueError as error:
            del conversion.remarks[before:]
            conversion.leave_block(listener, str(error))
        else:
            conversion.carried += len(listener.settings)


def _unix(conversion: Conversion, service: Block, listener: Block) -> None:
    if (service.name, listener.name) == ("anvil", "anvil-auth-penalty"):
        if mode(listener.value("mode", "0600")) == "0000":
            conversion.put("auth.penalty", False)
        return
    if not listener.name.startswith("/") and (service.name != "lmtp" or not listener.settings):
        return  # between Dovecot's own processes
    rights = mode(listener.value("mode", "0600"))
    if rights == "0000":
        return  # switched off
    table = {"lmtp": "lmtp.socket", "auth": "auth.socket"}.get(service.name)
    if table is None:
        raise ValueError(f"MAS has no socket of the service {service.name}")
    if listener.name.rpartition("/")[2].startswith(("auth-master", "auth-login")):
        raise ValueError("a socket for Dovecot's own protocols; Postfix asks at the others")
    entry: Tree = {"path": _path(conversion, listener.name), "mode": rights}
    if listener.name.rpartition("/")[2].startswith("auth-userdb"):
        entry["type"] = "userdb"
    for key in ("user", "group"):
        if value := listener.value(key):
            entry[key] = {"$default_internal_user": "dovecot"}.get(value, value)
    conversion.target.add(table, entry)
    for key, setting in listener.settings.items():
        if key not in ("path", "mode", "user", "group", "type"):
            conversion.left(listener, setting, "MAS has no such setting of a socket")


def _inet(conversion: Conversion, service: Block, listener: Block) -> None:
    port = listener.settings.get("port")
    for key, setting in listener.settings.items():
        if key not in ("port", "address", "ssl", "haproxy", "reuse_port"):
            conversion.left(listener, setting, "MAS has no such setting of a port")
    if port and boolean(listener.value("haproxy")):
        _proxied(conversion, service, listener, number(port.value))
    elif service.name == "lmtp":
        if port and number(port.value):
            _lmtp(conversion, listener, number(port.value))
    elif service.name in _LISTENERS:
        _login_port(conversion, service, listener)
    elif port and number(port.value):
        raise ValueError(f"MAS has no port of the service {service.name}")


def _login_port(conversion: Conversion, service: Block, listener: Block) -> None:
    """A port of IMAP or ManageSieve: the one of its kind, or a listener when there is one or when it has addresses of its own."""
    main = _PORTS.get((service.name, listener.name))
    tls = boolean(listener.value("ssl", "yes" if listener.name == "imaps" else "no"))
    everywhere = conversion.target.get("listen", ("*", "::"))
    addresses = listener.value("address").replace(",", " ").split() or everywhere
    port = number(listener.value("port", str(_USUAL.get(main or "", 0))))
    if set(addresses) == set(everywhere):
        if main is None and port:
            free = {("imap-login", True): "imap.tls_port", ("imap-login", False): "imap.port"}.get((service.name, tls))
            main = free if free and conversion.target.get(free) is None else None
        if main:
            if "port" in listener.settings:
                conversion.put(main, port)
            return
    for address in addresses if port else ():
        entry: Tree = {"address": address, "port": port}
        if service.name == "imap-login":
            entry["tls"] = tls
        conversion.target.add(_LISTENERS[service.name], entry)
    if main:
        conversion.put(main, 0)


def _lmtp(conversion: Conversion, listener: Block, port: int) -> None:
    named = listener.value("address").replace(",", " ").split()
    for address in named or conversion.target.get("listen", ("*", "::")):
        conversion.target.add("lmtp.listener", {"address": address, "port": port})
    if not named:
        conversion.check(
            listener.place,
            "service lmtp",
            f"whoever reaches port {port} can put mail into every mailbox: name its addresses",
        )


def _proxied(conversion: Conversion, service: Block, listener: Block, port: int) -> None:
    """``haproxy = yes``: a listener of its own; the direct port of the same name is then off."""
    table = {**_LISTENERS, "lmtp": "lmtp.listener"}.get(service.name)
    if table is None:
        raise ValueError(f"MAS has no port of the service {service.name}")
    if not conversion.target.get("proxy.trusted_networks"):
        raise ValueError("no haproxy_trusted_networks: no proxy could connect")
    addresses = listener.value("address").replace(",", " ").split() or conversion.target.get("listen", ("*", "::"))
    for address in addresses if port else ():
        entry: Tree = {"address": address, "port": port, "proxy": True}
        if service.name == "imap-login":
            entry["tls"] = boolean(listener.value("ssl", "yes" if listener.name == "imaps" else "no"))
        conversion.target.add(table, entry)
    if direct := _PORTS.get((service.name, listener.name)):
        conversion.put(direct, 0)


def _default_lmtp(conversion: Conversion) -> None:
    """Dovecot's own LMTP socket, when nothing else is said of one."""
    target = conversion.target
    wanted = "lmtp" in target.get("protocols", ("lmtp",))
    if wanted and not target.get("lmtp.socket") and not target.get("lmtp.listener"):
        path = _path(conversion, "lmtp")
        target.add("lmtp.socket", {"path": path, "mode": "0666"})
        conversion.check(conversion.root.place, "service lmtp", f"no socket is named, so it is Dovecot's own, {path}")
    for table in ("lmtp.socket", "auth.socket"):
        if target.get(table) is None:
            section, _, name = table.partition(".")
            target.tree.setdefault(section, {})[name] = []


def _path(conversion: Conversion, name: str) -> str:
    return name if name.startswith("/") else f"{conversion.root.value('base_dir', '/run/dovecot').rstrip('/')}/{name}"


def _internal(conversion: Conversion, service: Block, why: str) -> None:
    """A service that MAS has not. Its sockets between Dovecot's own processes need no remark."""
    for setting in service.settings.values():
        conversion.left(service, setting, why)
    for listener in service.blocks:
        if listener.kind == "inet_listener":
            if listener.value("port", "0") != "0":
                conversion.leave_block(listener, why)
        elif listener.name.startswith("/"):
            conversion.leave_block(listener, why)


def _warning_services(root: Block) -> set[str]:
    """The services that quota warnings call."""
    names = set()
    for plugin in root.of("plugin"):
        for key, setting in plugin.settings.items():
            if key.startswith("quota") and "_warning" in key:
                names.update(setting.value.split()[1:2])
    return names
