"""A Config as the text of a file again: the settings that differ from the defaults, or all of them. Secrets are hidden."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, get_args

from pydantic import BeforeValidator, SecretStr, TypeAdapter
from pydantic.fields import FieldInfo

from mas.config.file import Config
from mas.config.section import Section
from mas.config.values import Share, parse_duration, parse_mode, parse_size

HIDDEN = "(hidden)"


def dump(config: Config, *, everything: bool = False) -> str:
    """TOML. Tables of a list (``[[passdb]]``) are shown whenever they differ from the default list, each with what was set in it."""
    lines: list[str] = []
    for line in _section(config, "", everything=everything):
        if line.startswith("[") and lines:
            lines.append("")
        lines.append(line)
    return "".join(f"{line}\n" for line in lines)


def values(config: Config, *, everything: bool = False) -> dict[str, Any]:
    """The same as a tree for JSON: parsed values (octets, seconds), secrets hidden."""
    return _tree(config, everything=everything)


def _tree(section: Section, *, everything: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        key = field.alias or name
        if isinstance(value, Section):
            if below := _tree(value, everything=everything):
                shown[key] = below
        elif everything or _differs(section, name):
            if isinstance(value, tuple) and _holds_sections(field.annotation):
                shown[key] = [_tree(item, everything=everything) for item in value]
            else:
                shown[key] = _plain(value)
    return shown


def _section(section: Section, prefix: str, *, everything: bool) -> Iterator[str]:
    """Plain keys first, then the tables below, as TOML wants it."""
    below: list[tuple[str, Section, str]] = []
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        key = field.alias or name
        if isinstance(value, Section):
            below.append((f"{prefix}{key}", value, "[{}]"))
        elif isinstance(value, tuple) and _holds_sections(field.annotation):
            if everything or _differs(section, name):
                if value:
                    below += [(f"{prefix}{key}", item, "[[{}]]") for item in value]
                else:
                    yield f"{key} = []"
        elif value is not None and (everything or _differs(section, name)):
            yield f"{key} = {_text(value, field)}"
    for key, inner, header in below:
        lines = list(_section(inner, f"{key}.", everything=everything))
        if header == "[[{}]]" or any(not line.startswith("[") for line in lines[:1]):
            yield header.format(key)
        yield from lines


def _differs(section: Section, name: str) -> bool:
    model = type(section)
    return model.model_fields[name].is_required() or getattr(section, name) != default_of(model, name)


@cache
def default_of(model: type[Section], name: str) -> Any:
    """The parsed default; it may be asked for where other keys of the section are required."""
    field = model.model_fields[name]
    type_: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    return TypeAdapter(type_).validate_python(field.get_default())


def _holds_sections(annotation: Any) -> bool:
    return any(isinstance(inner, type) and issubclass(inner, Section) for inner in get_args(annotation))


def _parser(field: FieldInfo) -> Any:
    return next((data.func for data in field.metadata if isinstance(data, BeforeValidator)), None)


def _text(value: Any, field: FieldInfo) -> str:
    parser = _parser(field)
    if parser is parse_size:
        return _size(value)
    if parser is parse_duration:
        return _duration(value)
    if parser is parse_mode:
        return f'"{value:04o}"'
    return _toml(value)


def _toml(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case Share():
            return f'"{value.percent:g}%"' if value.percent else _size(value.octets)
        case SecretStr():
            return _string(_hidden(value))
        case tuple():
            return f"[{', '.join(_toml(item) for item in value)}]"
    return _string(str(value))


def _string(text: str) -> str:
    if "\\" in text and "'" not in text and text.isprintable():
        return f"'{text}'"  # \Junk reads better so
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _size(octets: int) -> str:
    for unit, factor in (("T", 1 << 40), ("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)):
        if octets and octets % factor == 0:
            return f'"{octets // factor}{unit}"'
    return str(octets)


def _duration(seconds: float) -> str:
    if not seconds:
        return "0"
    if seconds < 1:
        return f'"{seconds * 1000:g}ms"'
    for unit, factor in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds % factor == 0:
            return f'"{int(seconds // factor)}{unit}"'
    return f'"{seconds:.6f}'.rstrip("0").rstrip(".") + 's"'


def _hidden(secret: SecretStr) -> str:
    """Of a database URL all but the password."""
    text = secret.get_secret_value()
    if match := re.match(r"([a-z+]+://)([^/?#]*@)?([^@]*)$", text):
        user = (match[2] or "").partition(":")[0].removesuffix("@")
        return f"{match[1]}{user}{f':{HIDDEN}' if ':' in (match[2] or '') else ''}{'@' if match[2] else ''}{match[3]}"
    return HIDDEN if text else ""


def _plain(value: Any) -> Any:
    match value:
        case tuple():
            return [_plain(item) for item in value]
        case SecretStr():
            return _hidden(value)
        case Share():
            return f"{value.percent:g}%" if value.percent else value.octets
        case None | bool() | int() | float() | str():
            return value
    return str(value)
