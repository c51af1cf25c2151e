"""The tree of a script before anyone knows what its words mean: commands, tests and arguments with their places. [RFC5228 8.2]"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Number(NamedTuple):
    """A number argument."""

    offset: int
    value: int


class Tag(NamedTuple):
    """A tagged argument, or the tag before its value; ``name`` in lower case without the colon."""

    offset: int
    name: str


class Strings(NamedTuple):
    """A string or a string list; ``bracketed`` tells ``["x"]`` from ``"x"``."""

    offset: int
    values: tuple[str, ...]
    offsets: tuple[int, ...]
    bracketed: bool


Argument = Number | Tag | Strings


@dataclass(slots=True)
class Node:
    """A command or a test: its name (lower case), arguments, tests, and for a command with a block its commands.

    ``parenthesised``: the tests stood in a test-list. ``block`` is None without braces.
    """

    offset: int
    name: str
    arguments: list[Argument]
    tests: list[Node]
    parenthesised: bool = False
    block: list[Node] | None = None
