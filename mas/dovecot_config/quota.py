"""The quota plugin: roots, rules, warnings. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mas.dovecot_config.conversion import Conversion
from mas.dovecot_config.grammar import Setting
from mas.dovecot_config.settings import loaded
from mas.dovecot_config.target import Tree
from mas.dovecot_config.tree import Block
from mas.dovecot_config.values import size
from mas.dovecot_config.variables import literal, template

_NOT_LOADED = "the quota plugin is not loaded for IMAP or LMTP, so Dovecot does not ask for it"
_NO_ROOT = "there is no quota root (quota = …), so Dovecot does not ask for it"
_STATUS = "MAS has no policy service; over LMTP it tells Postfix at RCPT who is over quota"
OWN = re.compile(r"quota(\d*)(?:_rule\d*|_warning\d*|_grace)?\Z|quota_(?!rule|warning|grace)\w+\Z")
"""The keys of ``plugin {`` that are this module's."""


def convert_quota(conversion: Conversion, plugin: Block) -> None:
    """All ``quota*`` keys of ``plugin {``."""
    settings = {key: setting for key, setting in plugin.settings.items() if OWN.match(key)}
    if not settings:
        return
    on = loaded(conversion, "quota", "imap") or loaded(conversion, "quota", "lmtp")
    if not on or not settings.get("quota"):
        for setting in settings.values():
            if setting.value:
                conversion.left(plugin, setting, _NO_ROOT if on else _NOT_LOADED)
        return
    for key, setting in settings.items():
        if root := re.fullmatch(r"quota(\d*)", key):
            conversion.apply(plugin, setting, _first_root if root[1] in ("", "1") else _further_root)
        elif key == "quota_grace":
            conversion.apply(plugin, setting, _grace)
        elif key == "quota_max_mail_size":
            conversion.apply(plugin, setting, _max_mail_size)
        elif key == "quota_exceeded_message":
            conversion.apply(plugin, setting, _exceeded_message)
        elif key.startswith("quota_status_"):
            conversion.left(plugin, setting, _STATUS)
        elif key.startswith("quota_over_") or key == "quota_set":
            conversion.left(plugin, setting, "MAS has no flag that is set over quota, and no SETQUOTA")
        elif key == "quota_vsizes":
            conversion.carried += 1
        elif not re.match(r"quota\d*_(rule|warning)\d*$", key):
            conversion.unknown(plugin, setting, "unknown in the quota plugin")
    _rules(conversion, plugin)
    _warnings(conversion, plugin)


def numbered(plugin: Block, prefix: str, suffix: str = "") -> Iterator[Setting]:
    """``prefix``, ``prefix2``, ``prefix3`` … until the first gap."""
    number = 1
    while True:
        setting = plugin.settings.get(f"{prefix}{'' if number == 1 else number}{suffix}")
        if setting is None and number == 1:
            setting = plugin.settings.get(f"{prefix}1{suffix}")
        if setting is None:
            return
        yield setting
        number += 1


def _first_root(conversion: Conversion, plugin: Block, setting: Setting) -> None:
    name = _root(conversion, plugin, setting)
    _disk_octets(conversion, setting)
    if name:
        conversion.put("quota.name", name)
    else:
        conversion.check(
            setting.place, "quota", 'the root has no name, which Apple\'s Mail cannot show: it is "User quota" now'
        )


def _disk_octets(conversion: Conversion, setting: Setting) -> None:
    if setting.value.partition(":")[0] != "count":
        conversion.check(
            setting.place,
            "quota",
            "Dovecot counted octets as on disk, MAS counts CRLF as the backend count does: usage is some percent more",
        )


def _root(conversion: Conversion, plugin: Block, setting: Setting) -> str:
    """The name of a root, ``backend:name:arguments``."""
    backend, _, rest = setting.value.partition(":")
    if backend not in ("count", "maildir", "dict", "dirsize"):
        raise ValueError(f"MAS counts its own index, and has no backend {backend}")
    name, _, arguments = rest.partition(":")
    words = [word for word in arguments.split(":") if word and backend != "dict"]
    if words:
        conversion.left(plugin, setting, f"of it {':'.join(words)}: MAS's roots have no such arguments")
    return literal(name)


def _further_root(conversion: Conversion, plugin: Block, setting: Setting) -> None:
    name = _root(conversion, plugin, setting)
    number = setting.key.removeprefix("quota")
    backend, _, rest = setting.value.partition(":")
    scope = rest.split(":")[1] if backend == "dict" and rest.count(":") else ""
    entry: Tree = {"name": name or f"Quota {number}", "scope": template(scope or "%u"), "rules": ()}
    rules = tuple(literal(rule.value) for rule in numbered(plugin, f"quota{number}_rule"))
    entry["rules"] = rules
    conversion.target.add("quota.root", entry)
    conversion.carried += len(rules)


def _rules(conversion: Conversion, plugin: Block) -> None:
    rules: list[str] = []
    used = set()
    for setting in numbered(plugin, "quota_rule"):
        used.add(setting.key)
        try:
            rule = literal(setting.value)
            conversion.target.put("quota.rules", (*rules, rule))
        except ValueError as error:
            conversion.target.put("quota.rules", tuple(rules))
            conversion.left(plugin, setting, str(error))
        else:
            rules.append(rule)
            conversion.carried += 1
    _behind_gaps(conversion, plugin, r"quota_rule\d*", used)


def _behind_gaps(conversion: Conversion, plugin: Block, pattern: str, used: set[str]) -> None:
    for key, setting in plugin.settings.items():
        if re.fullmatch(pattern, key) and key not in used:
            conversion.left(plugin, setting, "behind a gap in the numbers, where Dovecot stops reading")


def _grace(conversion: Conversion, _: Block, setting: Setting) -> None:
    text = literal(setting.value)
    conversion.put("quota.grace", text if text.endswith("%") else size(text))


def _max_mail_size(conversion: Conversion, _: Block, setting: Setting) -> None:
    conversion.put("quota.max_mail_size", size(setting.value))


def _exceeded_message(conversion: Conversion, _: Block, setting: Setting) -> None:
    conversion.put("quota.exceeded_message", literal(setting.value))


def _warnings(conversion: Conversion, plugin: Block) -> None:
    used = set()
    for setting in numbered(plugin, "quota_warning"):
        used.add(setting.key)
        conversion.apply(plugin, setting, _warning)
    _behind_gaps(conversion, plugin, r"quota_warning\d*", used)
    for key, setting in plugin.settings.items():
        if re.fullmatch(r"quota[2-9]\d*_warning\d*", key):
            conversion.left(plugin, setting, "MAS warns of the first root alone")


def _warning(conversion: Conversion, _: Block, setting: Setting) -> None:
    """``threshold socket arguments``: the service behind the socket says which program that is."""
    threshold, *words = setting.value.split()
    if not words:
        raise ValueError("a warning without a service")
    for service in conversion.root.of("service"):
        sockets = {listener.name for listener in service.blocks if listener.kind == "unix_listener"}
        if words[0] in sockets or words[0] == service.name:
            break
    else:
        raise ValueError(f"there is no service {words[0]}")
    program = service.value("executable").split()
    if program[:1] != ["script"] or len(program) < 2:
        raise ValueError(f"the service {service.name} runs no script")
    command = [template(word) for word in [*program[1:], *words[1:]]]
    conversion.target.add("quota.warning", {"threshold": literal(threshold), "command": tuple(command)})
    user = service.value("user")
    if user not in ("", str(conversion.target.get("mail.uid", "vmail")), "$default_internal_user"):
        conversion.check(service.place, "quota_warning", f"the script ran as {user}, MAS runs it as mail.uid")
    try:
        script = conversion.read(program[1])
    except (OSError, ValueError):
        return
    if "dovecot-lda" in script:
        conversion.check(
            setting.place, program[1], 'calls dovecot-lda: let it call "mas deliver", with the same arguments'
        )
