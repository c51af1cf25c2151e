"""What commands print: columns for people, JSON for programs (``--json``), nothing else on standard output."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from mas.logs import escape

Json = Annotated[bool, typer.Option("--json", help="For programs.")]


def rows(items: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """A table with the keys of the first item as its head; as JSON a list of objects."""
    if as_json:
        print_json(list(items))
        return
    if not items:
        return
    head = list(items[0])
    lines = [[key.upper() for key in head], *([_cell(item[key]) for key in head] for item in items)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def fields(item: Mapping[str, Any], *, as_json: bool) -> None:
    """One thing: a line a key; as JSON an object."""
    if as_json:
        print_json(item)
        return
    width = max((len(key) for key in item), default=0)
    for key, value in item.items():
        print(f"{key.ljust(width)}  {_cell(value)}".rstrip())


def print_json(value: object) -> None:
    """One JSON document."""
    json.dump(value, sys.stdout, indent=2, default=str)
    print()


def _cell(value: object) -> str:
    # Mailbox names and the like are other people's: no control character reaches the terminal. What has none is shown as it is (\Archive).
    text = "" if value is None else str(value)
    return text if text.isprintable() else escape(text)
