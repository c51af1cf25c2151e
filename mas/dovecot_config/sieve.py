"""Pigeonhole's settings in ``plugin {``. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from mas.dovecot_config.conversion import Conversion, Handler, fine, leave, same
from mas.dovecot_config.grammar import Setting
from mas.dovecot_config.quota import numbered
from mas.dovecot_config.settings import loaded
from mas.dovecot_config.tree import Block
from mas.dovecot_config.values import boolean, duration, number, size, words
from mas.dovecot_config.variables import literal, template

OWN = re.compile(r"sieve(?:_\w+|\d+)?\Z|imapsieve_\w+\Z")
"""The keys of ``plugin {`` that are this module's."""

_IMAPSIEVE = re.compile(r"imapsieve_mailbox(\d+)_(name|from|causes|before|after|copy_source_after)")
_TRACE = 'there is "mas sieve test --trace"'


def _path(value: str) -> str:
    """A script's or directory's path: ``file:`` in front and options behind go."""
    path, *options = value.split(";")
    kind, colon, rest = path.partition(":")
    if colon and kind != "file" and "/" not in kind:
        raise ValueError(f"scripts are files in MAS, not {kind}:")
    if rest and kind == "file":
        path = rest
    if others := [option for option in options if not option.startswith(("active=", "bindir=", "name="))]:
        raise ValueError(f"{others[0]!r}: MAS's scripts have no such option")
    return template(path)


def _put(key: str, convert: Callable[[str], object]) -> Handler:
    def handler(conversion: Conversion, _: Block, setting: Setting) -> None:
        conversion.put(f"sieve.{key}", convert(setting.value))

    return handler


def _personal(conversion: Conversion, _: Block, setting: Setting) -> None:
    """``file:~/sieve;active=~/.dovecot.sieve``; the old form is the path of the active script alone."""
    first, *options = setting.value.split(";")
    active = [option.removeprefix("active=") for option in options if option.startswith("active=")]
    if not re.match(r"[a-z]+:", first) and "/" in first:
        conversion.put("sieve.active", template(first))
        return
    conversion.put("sieve.dir", _path(setting.value))
    if active:
        conversion.put("sieve.active", template(active[0]))


def _subject_template(value: str) -> str:
    """``%$`` or ``%{subject}`` is the mail's subject; MAS has no other variable there."""
    pieces = value.replace("%{subject}", "%$").split("%$")
    return "%$".join(literal(piece) for piece in pieces)


def _dont(key: str) -> Handler:
    def handler(conversion: Conversion, _: Block, setting: Setting) -> None:
        conversion.put(f"sieve.{key}", not boolean(setting.value))

    return handler


def _extprograms(conversion: Conversion, block: Block, setting: Setting) -> None:
    known = {"sieve_imapsieve", "sieve_extprograms"}
    if others := [word for word in words(setting.value) if word not in known]:
        conversion.left(block, setting, f"MAS has no {', '.join(others)}")


def _more_extensions(key: str) -> Handler:
    """A list of extensions to add; MAS has no list that takes away here."""

    def handler(conversion: Conversion, block: Block, setting: Setting) -> None:
        added = [word for word in words(setting.value) if not word.startswith("-")]
        if others := [word for word in words(setting.value) if word.startswith("-")]:
            conversion.left(block, setting, f"of it {' '.join(others)}: sieve.{key} only adds")
        if added:
            conversion.put(f"sieve.{key}", " ".join(added))

    return handler


def _fields(key: str) -> Handler:
    """Names of header fields, as a list."""

    def handler(conversion: Conversion, _: Block, setting: Setting) -> None:
        conversion.put(f"sieve.{key}", tuple(words(setting.value)))

    return handler


def _max_redirects(conversion: Conversion, _: Block, setting: Setting) -> None:
    conversion.put("sieve.max_redirects", number(setting.value))


def _score(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise ValueError(f"{value!r} is no number") from None


_VERDICTS: dict[str, Handler] = {}
for _name in ("spamtest", "virustest"):
    _VERDICTS |= {
        f"sieve_{_name}_status_header": _put(f"{_name}_status_header", literal),
        f"sieve_{_name}_status_type": _put(f"{_name}_status_type", str),
        f"sieve_{_name}_max_value": _put(f"{_name}_max_value", _score),
        f"sieve_{_name}_max_header": _put(f"{_name}_max_header", literal),
    }

TABLE: Mapping[str, Handler] = {
    "sieve": _personal,
    "sieve_dir": _put("dir", _path),
    "sieve_default": _put("default", _path),
    "sieve_global_path": _put("default", _path),
    "sieve_default_name": leave("MAS's default script has no name: users see only their own"),
    "sieve_global": _put("global_dir", _path),
    "sieve_global_dir": _put("global_dir", _path),
    "sieve_discard": _put("discard", _path),
    "sieve_extensions": _put("extensions", str),
    "sieve_global_extensions": _more_extensions("global_extensions"),
    "sieve_implicit_extensions": _more_extensions("implicit_extensions"),
    "sieve_plugins": _extprograms,
    "sieve_enabled": _put("enabled", boolean),
    "sieve_max_script_size": _put("max_script_size", size),
    "sieve_max_actions": _put("max_actions", number),
    "sieve_max_redirects": _max_redirects,
    "sieve_max_cpu_time": _put("max_cpu_time", duration),
    "sieve_resource_usage_timeout": leave("MAS counts each run by itself: sieve.max_cpu_time"),
    "sieve_quota_max_scripts": _put("max_scripts", number),
    "sieve_quota_max_storage": _put("max_storage", size),
    "sieve_user_email": _put("user_email", lambda value: template(value.strip("<>"))),
    "sieve_user_log": _put("user_log", template),
    "sieve_redirect_envelope_from": _put("redirect_envelope_from", str),
    "sieve_redirect_duplicate_period": _put("redirect_duplicate_period", duration),
    **dict.fromkeys(("sieve_trace_dir", "sieve_trace_level", "sieve_trace_debug", "sieve_trace_addresses"), leave(_TRACE)),
    "sieve_vacation_min_period": _put("vacation_min_period", duration),
    "sieve_vacation_max_period": _put("vacation_max_period", duration),
    "sieve_vacation_default_period": _put("vacation_default_period", duration),
    "sieve_vacation_dont_check_recipient": _dont("vacation_check_recipient"),
    "sieve_vacation_use_original_recipient": _put("vacation_use_original_recipient", boolean),
    "sieve_vacation_send_from_recipient": _put("vacation_send_from_recipient", boolean),
    "sieve_vacation_to_header_ignore_envelope": _put("vacation_to_header_ignore_envelope", boolean),
    "sieve_vacation_default_subject": _put("vacation_default_subject", literal),
    "sieve_vacation_default_subject_template": _put("vacation_default_subject_template", _subject_template),
    "sieve_vacation_max_subject_codepoints": _put("vacation_max_subject_codepoints", number),
    "sieve_notify_mailto_envelope_from": _put("notify_mailto_envelope_from", str),
    "sieve_report_from": _put("report_from", str),
    "sieve_editheader_protected": _fields("editheader_protected"),
    "sieve_editheader_forbid_add": _fields("editheader_forbid_add"),
    "sieve_editheader_forbid_delete": _fields("editheader_forbid_delete"),
    "sieve_editheader_max_header_size": _put("editheader_max_size", size),
    "sieve_duplicate_default_period": _put("duplicate_default_period", duration),
    "sieve_duplicate_max_period": _put("duplicate_max_period", duration),
    "sieve_include_max_nesting_depth": _put("include_max_depth", number),
    "sieve_include_max_includes": _put("include_max_includes", number),
    "sieve_variables_max_scope_size": _put("variables_max_count", number),
    "sieve_variables_max_variable_size": _put("variables_max_size", size),
    "sieve_variables_max_value_size": _put("variables_max_size", size),
    **{f"sieve_{kind}_bin_dir": _put(f"{kind}_bin_dir", literal) for kind in ("pipe", "filter", "execute")},
    **{f"sieve_{kind}_socket_dir": leave("MAS runs programs itself, as mail.uid") for kind in ("pipe", "filter", "execute")},
    **{f"sieve_{kind}_exec_timeout": _put("program_timeout", duration) for kind in ("pipe", "filter", "execute")},
    **{f"sieve_{kind}_input_eol": same("crlf", "", why="programs get CRLF in MAS") for kind in ("pipe", "filter", "execute")},
    **_VERDICTS,
    "imapsieve_url": _put("imapsieve_url", literal),
    "imapsieve_expunge_discarded": _put("imapsieve_expunge_discarded", boolean),
}  # fmt: skip


def convert_sieve(conversion: Conversion, plugin: Block) -> None:
    """All ``sieve*`` and ``imapsieve*`` keys of ``plugin {``."""
    settings = {key: setting for key, setting in plugin.settings.items() if OWN.match(key)}
    if settings and not (loaded(conversion, "sieve", "lmtp") or loaded(conversion, "sieve", "lda")):
        conversion.check(
            plugin.place,
            "mail_plugins",
            "Dovecot runs no Sieve script, since no delivery loads the plugin; MAS runs them",
        )
    for key, setting in settings.items():
        handler = TABLE.get(key)
        if handler is None and re.fullmatch(r"sieve\d+|sieve_(before|after)\d*", key):
            handler = fine if not key[5:].isdigit() else leave("MAS has one place of personal scripts")
        if handler is None and re.fullmatch(r"sieve_(spam|virus)test_text_value\d+", key):
            handler = fine
        if handler is None and _IMAPSIEVE.fullmatch(key):
            continue
        if handler is None:
            conversion.unknown(plugin, setting, "Pigeonhole has no such setting")
        else:
            conversion.apply(plugin, setting, handler)
    for position in ("before", "after"):
        _scripts(conversion, plugin, position)
    for name in ("spamtest", "virustest"):
        _texts(conversion, plugin, name)
    _imapsieve(conversion, plugin)


def _texts(conversion: Conversion, plugin: Block, name: str) -> None:
    """``sieve_spamtest_text_value1 = …``: what each value is called in the header."""
    texts: list[str] = []
    for value in range(11):
        if setting := plugin.settings.get(f"sieve_{name}_text_value{value}"):
            try:
                conversion.put(f"sieve.{name}_texts", (*texts, f"{literal(setting.value)}={value}"))
            except ValueError as error:
                conversion.left(plugin, setting, str(error))
            else:
                texts.append(f"{literal(setting.value)}={value}")


def _scripts(conversion: Conversion, plugin: Block, position: str) -> None:
    paths: list[str] = []
    used = set()
    for setting in numbered(plugin, f"sieve_{position}"):
        used.add(setting.key)
        try:
            path = _path(setting.value)
            conversion.put(f"sieve.{position}", (*paths, path))
        except ValueError as error:
            conversion.left(plugin, setting, str(error))
        else:
            paths.append(path)
    for key, setting in plugin.settings.items():
        if re.fullmatch(rf"sieve_{position}\d*", key) and key not in used:
            conversion.left(plugin, setting, "behind a gap in the numbers, where Dovecot stops reading")


def _imapsieve(conversion: Conversion, plugin: Block) -> None:
    """``imapsieve_mailbox1_name`` and its kin, up to the first gap."""
    found: dict[int, dict[str, Setting]] = {}
    for key, setting in plugin.settings.items():
        if match := _IMAPSIEVE.fullmatch(key):
            found.setdefault(int(match[1]), {})[match[2]] = setting
    on = loaded(conversion, "imap_sieve", "imap")
    for number_, rule in sorted(found.items()):
        why = ""
        if not on:
            why = "the plugin imap_sieve is not loaded for IMAP, so Dovecot does not ask for it"
        elif any(earlier not in found for earlier in range(1, number_)):
            why = "behind a gap in the numbers, where Dovecot stops reading"
        else:
            try:
                conversion.target.add("imapsieve", _rule(rule))
            except ValueError as error:
                why = f"{error}; the rule as a whole is left out"
        for setting in rule.values():
            if why:
                conversion.left(plugin, setting, why)
            else:
                conversion.carried += 1


def _rule(rule: Mapping[str, Setting]) -> dict[str, object]:
    entry: dict[str, object] = {"mailbox": rule["name"].value if "name" in rule else "*"}
    for key, setting in rule.items():
        if key == "from":
            entry["from"] = setting.value
        elif key == "causes":
            entry["causes"] = tuple(words(setting.value))
        elif key != "name":
            entry[key] = _path(setting.value)
    return entry
