"""A compiled script: calls bound to their definitions, strings either constant or templates of variables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mas.sieve.definition import Definition

if TYPE_CHECKING:
    from mas.sieve.interpreter import Run
    from mas.sieve.match import Matcher


@dataclass(frozen=True, slots=True)
class Template:
    """A string with variable references; ``parts`` are constant text or functions that give a variable's value. [RFC5229 3]"""

    source: str
    parts: tuple[str | Callable[[Run], str], ...]


Text = str | Template
Value = int | Text | tuple[Text, ...] | bool


@dataclass(slots=True)
class Call:
    """One command or test of a script, ready to run.

    tags: slot -> its value, or the tag's own name when it takes none. arguments: parameter name -> value.
    needs: extensions used here that only ``ihave`` can have enabled; checked when it runs.
    branches: of an ``if``: (test, commands) pairs in order, test None for ``else``.
    """

    definition: Definition
    line: int
    offset: int
    tags: dict[str, str] = field(default_factory=dict)
    values: dict[str, Value] = field(default_factory=dict)
    arguments: dict[str, Value] = field(default_factory=dict)
    offsets: dict[str, int] = field(default_factory=dict)
    tests: list[Call] = field(default_factory=list)
    block: list[Call] = field(default_factory=list)
    branches: list[tuple[Call | None, list[Call]]] = field(default_factory=list)
    needs: frozenset[str] = frozenset()
    matcher: Matcher | None = None


@dataclass(frozen=True, slots=True)
class Program:
    """A script that can run any number of times, in any order, at once.

    warnings: what is allowed and probably not meant (ManageSieve's OK (WARNINGS)). offered: the extensions that this script could have
    required; an administrator's script may have more than a user's.
    """

    name: str
    calls: tuple[Call, ...]
    requires: frozenset[str]
    warnings: tuple[str, ...] = ()
    offered: frozenset[str] = frozenset()
