"""A compiled script: calls bound to their definitions, strings either constant or templates of variables."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mas.sieve.definition import Definition, Handler

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

    tags: slot -> its value, or the tag's own name when it takes none. arguments: parameter name -> value; lists: those of them that
    are string lists without variables. question: of the header, the same for calls that compare the same values in the same way.
    handler: the definition's, or what stands before it. steps: those of the call with all its tests. needs: extensions used here that only
    ``ihave`` can have enabled; checked when it runs.
    branches: of an ``if``: (test, commands) pairs in order, test None for ``else``. plain: definition and tags are, and no string has
    variables.
    """

    definition: Definition
    line: int
    offset: int
    tags: dict[str, str] = field(default_factory=dict)
    values: dict[str, Value] = field(default_factory=dict)
    arguments: dict[str, Value] = field(default_factory=dict)
    lists: dict[str, tuple[str, ...]] = field(default_factory=dict)
    offsets: dict[str, int] = field(default_factory=dict)
    tests: list[Call] = field(default_factory=list)
    block: list[Call] = field(default_factory=list)
    branches: list[tuple[Call | None, list[Call]]] = field(default_factory=list)
    needs: frozenset[str] = frozenset()
    matcher: Matcher | None = None
    plain: bool = True
    question: str = ""
    steps: int = 1
    handler: Handler = field(init=False)

    def __post_init__(self) -> None:
        self.handler = self.definition.handler


@dataclass(frozen=True, slots=True)
class Program:
    """A script that can run any number of times, in any order, at once.

    warnings: what is allowed and probably not meant (ManageSieve's OK (WARNINGS)). offered: the extensions that this script could have
    required; an administrator's script may have more than a user's. cost: see ``cost()``.
    """

    name: str
    calls: tuple[Call, ...]
    requires: frozenset[str]
    warnings: tuple[str, ...] = ()
    offered: frozenset[str] = frozenset()
    cost: int | None = None


def cost(calls: Iterable[Call]) -> int | None:
    """How often ``calls`` look at the header from end to end, at most; None when they may do more than that: strings that grow with
    variables, regular expressions, ``?`` in a pattern, the body, other scripts, programs."""
    total = 0
    for call in calls:
        branches = [inner for test, block in call.branches for inner in ([test] if test else []) + block]
        inside = cost([*call.tests, *call.block, *branches])
        keys = call.matcher.cost() if call.matcher else 1
        if inside is None or keys is None or not call.plain:
            return None
        names = sum(len(texts) for name, texts in call.lists.items() if name != "keys")
        total += 1 + max(1, names) * keys + inside
    return total
