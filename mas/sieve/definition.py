"""What a command or a test is: its name, its arguments, its handler. An extension is a set of these; a registry is a set of extensions.

One name may be both a command and a test. A definition is data: the compiler checks a script against it and knows no command by name
(but ``require``, ``if``, ``elsif`` and ``else``, which are the language itself). An extension from outside the package is registered in
the same way as those inside it.

A handler is ``handler(run, call)``. It returns its value (None for a command, bool for a test), or, when it must ask the caller
something, it is a generator that yields questions (``mas.sieve.questions``) and returns that value.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mas.sieve.compiler import Checker
    from mas.sieve.interpreter import Run
    from mas.sieve.program import Call
    from mas.sieve.questions import Question

Answer = Any
Asking = Generator["Question", Answer, Any]
Handler = Callable[["Run", "Call"], Any]


class Kind(enum.Enum):
    """Types of arguments; the value is how an error message names them."""

    NUMBER = "a number"
    STRING = "a string"
    STRINGS = "a string list"


class Role(enum.Enum):
    """Where a word may stand."""

    COMMAND = "command"
    TEST = "test"


Check = Callable[["Checker", str, int], None]
"""``check(checker, text, offset)``: looks at one constant string of an argument and notes problems."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A positional argument. ``constant``: variables may not stand in it."""

    name: str
    kind: Kind
    optional: bool = False
    constant: bool = False
    check: Check | None = None


@dataclass(frozen=True, slots=True)
class TagRule:
    """A tagged argument. At most one tag of a ``group`` may stand in a call; the call holds it under the group's name.

    name: without the colon. value: the type of the argument after it, None when there is none. needs: the extension that must be required.
    beside: the tag that must stand in the same call. plain: as of a Definition.
    """

    name: str
    value: Kind | None = None
    group: str = ""
    needs: str = ""
    constant: bool = False
    check: Check | None = None
    beside: str = ""
    plain: bool = True

    @property
    def slot(self) -> str:
        """The name under which a call holds it."""
        return self.group or self.name


class Tests(enum.Enum):
    """How many tests a command or test takes."""

    NONE = "no test"
    ONE = "a test"
    MANY = "a list of tests"


class BlockUse(enum.Enum):
    """Whether a command ends in ';' or in a block."""

    NONE = "no block"
    REQUIRED = "a block"


@dataclass(frozen=True, slots=True)
class Definition:
    """A command or a test.

    needs: the extension that a script must require, empty for the base language.
    matches: it takes match type, comparator and keys (their tags are added by the registry).
    check: looks at the whole call once it is bound (combinations of tags, constants). plain: it looks at nothing but its arguments and
    the header, once; programs of such calls alone may run where others wait (``program.cost``). question: names the values that a test
    compares, from constants, so that tests with the same name compare the same; empty when they are others every time.
    """

    name: str
    role: Role
    handler: Handler
    parameters: tuple[Parameter, ...] = ()
    tags: tuple[TagRule, ...] = ()
    tests: Tests = Tests.NONE
    block: BlockUse = BlockUse.NONE
    needs: str = ""
    matches: bool = False
    check: Callable[[Checker, Call], None] | None = None
    plain: bool = False
    question: Callable[[Call], str] | None = None


def command(name: str, handler: Handler, *parameters: Parameter, **rest: Any) -> Definition:
    """A Definition of a command."""
    return Definition(name, Role.COMMAND, handler, parameters, **rest)


def test(name: str, handler: Handler, *parameters: Parameter, **rest: Any) -> Definition:
    """A Definition of a test."""
    return Definition(name, Role.TEST, handler, parameters, **rest)


@dataclass(frozen=True, slots=True)
class Extension:
    """A capability: what ``require "name"`` makes available.

    tags: tags added to definitions of others, by (role, name); the compiler asks for this extension when one is used.
    match_types: names that become tags of every matching test. comparators: names for ``:comparator``.
    implies: extensions that are required along with it. interprets: it changes how the text of a script is read, so ``ihave`` may not
    name it [RFC5463 4]. environment: items of the ``environment`` test, by name. regex: makes the matcher of ``:regex`` from a pattern and
    whether case counts not. mime_header: handler of header, address and exists with ``:mime``. namespace: of variables that strings may
    refer to [RFC5229 3]; variable: gives the value of one by its name there. deprecated: what a script that requires it is
    warned of; it is not announced then. at_delivery: only for mail that arrives, so a script that requires it cannot run at an IMAP event
    [RFC6785 3.11].
    """

    name: str
    definitions: tuple[Definition, ...] = ()
    tags: Mapping[tuple[Role, str], tuple[TagRule, ...]] = field(default_factory=dict)
    match_types: tuple[TagRule, ...] = ()
    comparators: tuple[str, ...] = ()
    implies: tuple[str, ...] = ()
    interprets: bool = False
    environment: Mapping[str, Callable[[Run], str | None]] = field(default_factory=dict)
    regex: Callable[[str, bool], Any] | None = None
    mime_header: Handler | None = None
    namespace: str = ""
    variable: Callable[[Run, str], str] | None = None
    deprecated: str = ""
    at_delivery: bool = False


def _no_mime(run: Run, call: Call) -> Any:
    raise AssertionError("the tag :mime comes with its handler")


class Registry:
    """The language that one interpreter speaks: the base and a choice of extensions.

    implicit: names of extensions that every script has without ``require``.
    """

    def __init__(self, extensions: Iterable[Extension], *, implicit: Iterable[str] = ()) -> None:
        self.extensions: dict[str, Extension] = {}
        self.implicit: set[str] = set()
        self.definitions: dict[tuple[Role, str], list[Definition]] = {}
        self.environment: dict[str, Callable[[Run], str | None]] = {}
        self.regex: Callable[[str, bool], Any] | None = None
        self.mime_header: Handler = _no_mime
        self.namespaces: dict[str, str] = {}
        self.namespace_variables: dict[str, Callable[[Run, str], str]] = {}
        added: dict[tuple[Role, str], list[TagRule]] = {}
        match_types: list[TagRule] = []
        for extension in extensions:
            self.extensions[extension.name] = extension
            for definition in extension.definitions:
                self.definitions.setdefault((definition.role, definition.name), []).append(definition)
            for place, more in extension.tags.items():
                added.setdefault(place, []).extend(more)
            match_types.extend(extension.match_types)
            self.environment.update(extension.environment)
            if extension.namespace:
                self.namespaces[extension.namespace] = extension.name
                if extension.variable:
                    self.namespace_variables[extension.namespace] = extension.variable
            self.regex = extension.regex or self.regex
            self.mime_header = extension.mime_header or self.mime_header
        for name in implicit:
            self.implicit |= {name, *self.extensions[name].implies}
        # An enum's hash is Python code: so no dictionary by Role where it is asked for every word of a script.
        self._tests = {name: found for (role, name), found in self.definitions.items() if role is Role.TEST}
        self._commands = {name: found for (role, name), found in self.definitions.items() if role is Role.COMMAND}
        self._comparators = {"i;octet": "", "i;ascii-casemap": ""}
        for extension in self.extensions.values():
            self._comparators.update((name, extension.name) for name in extension.comparators)
        self._rules: dict[int, dict[str, TagRule]] = {}
        for place, definitions in self.definitions.items():
            for definition in definitions:
                rules = {rule.name: rule for rule in (*definition.tags, *added.get(place, ()))}
                if definition.matches:
                    rules.update((rule.name, rule) for rule in match_types)
                self._rules[id(definition)] = rules

    def find(self, role: Role, name: str) -> Sequence[Definition]:
        """Every definition of a name (two extensions may define the same: the script's ``require`` decides)."""
        return (self._tests if role is Role.TEST else self._commands).get(name, ())

    def rules(self, definition: Definition) -> dict[str, TagRule]:
        """The tags that a definition takes, those of other extensions included, by name."""
        return self._rules[id(definition)]

    def comparators(self) -> Mapping[str, str]:
        """Comparator name -> the extension that must be required for it (empty: none)."""
        return self._comparators

    def capabilities(self) -> list[str]:
        """What SIEVE of ManageSieve and ``ihave`` offer, in a stable order."""
        return [name for name, extension in self.extensions.items() if name and not extension.deprecated]
