"""The converted tree as text: keys of a section first, then the tables below it. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any


def toml(tree: dict[str, Any]) -> str:
    """TOML of a tree in which lists are lists of tables and tuples are arrays."""
    lines = list(_table(tree, ""))
    return "\n".join(lines).strip("\n") + "\n" if lines else ""


def text(value: str) -> str:
    """A string in the quotes that read best."""
    if ("\\" in value or '"' in value) and "'" not in value and value.isprintable():
        return f"'{value}'"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _table(tree: dict[str, Any], prefix: str) -> Iterator[str]:
    below = []
    for key, value in tree.items():
        if isinstance(value, dict) or (isinstance(value, list) and value):
            below.append((key, value))
        else:
            yield f"{key} = {_value(value)}"
    for key, value in below:
        path = f"{prefix}{key}"
        for table in [value] if isinstance(value, dict) else value:
            inner = list(_table(table, f"{path}."))
            if isinstance(value, list) or not inner or not inner[0].startswith("\n["):
                yield f"\n[{path}]" if isinstance(value, dict) else f"\n[[{path}]]"
            yield from inner


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case tuple() | list():
            return f"[{', '.join(_value(item) for item in value)}]"
    return text(str(value))
