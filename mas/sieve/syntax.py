"""The tree of a script before anyone knows what its words mean: commands, tests and arguments with their places. [RFC5228 8.2]"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Number:
    """A number argument."""

    offset: int
    value: int


@dataclass(frozen=True, slots=True)
class Tag:
    """A tagged argument, or the tag before its value; ``name`` in lower case without the colon."""

    offset: int
    name: str


@dataclass(frozen=True, slots=True)
class Strings:
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
    arguments: list[Argument] = field(default_factory=list)
    tests: list[Node] = field(default_factory=list)
    parenthesised: bool = False
    block: list[Node] | None = None
