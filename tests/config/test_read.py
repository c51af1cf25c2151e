"""Every key of the configuration is read by some code: a key that nobody obeys is a promise that nobody keeps."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from mas.config import Config, Section

PACKAGE = Path(__file__).parent.parent.parent / "mas"
PREFIXES = ("spamtest_", "virustest_")
"""Read as a family: ``composition._verdict`` takes the keys that begin so, without the prefix."""


def sections(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for inner in get_args(annotation):
        yield from sections(inner)


def keys(model: type[Section], prefix: str = "") -> Iterator[tuple[str, str]]:
    """``(path in the file, attribute)`` of every key."""
    for name, field in model.model_fields.items():
        path = prefix + (field.alias or name)
        yield path, name
        for inner in sections(field.annotation):
            yield from keys(inner, path + ".")


def read() -> tuple[set[str], set[str]]:
    """Names of attributes that code outside of ``mas.config`` reads, and its text constants."""
    attributes, constants = set(), set()
    for path in PACKAGE.rglob("*.py"):
        if path.is_relative_to(PACKAGE / "config"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                attributes.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                constants.add(node.value)
    return attributes, constants


def test_every_key_is_read() -> None:
    attributes, constants = read()
    unread = []
    for path, name in keys(Config):
        family = next((name.removeprefix(prefix) for prefix in PREFIXES if name.startswith(prefix)), None)
        if family is not None:
            if family not in constants:
                unread.append(path)
        elif name not in attributes:
            unread.append(path)
    assert unread == []
