"""An operator's SQL with %variables, as SQL with bound parameters. Pure.

    query    = *( literal / comment / variable / text )
    literal  = "'" *( "''" / char / variable ) "'"        ; likewise "…" and, in MySQL, with backslash escapes

A literal that holds a variable becomes one parameter as a whole: ``'%n@%d'`` is ``:v0`` with the value ``kim@example.net``. A variable
outside a literal is a parameter by itself. So what a client calls itself is never text of a query, whatever it holds.
Variables in comments stay as they are. Must not know: databases.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mas.variables import Variable, parse

Part = str | Variable


@dataclass(frozen=True, slots=True)
class Query:
    """``text`` for ``sqlalchemy.text`` (its own colons escaped) and what each parameter's value is made of.

    numbers: parameters that stood outside quotes, where the database may expect a number.
    names: the variables in use; a cached answer is good for equal values of these.
    """

    text: str
    parameters: Mapping[str, tuple[Part, ...]]
    numbers: frozenset[str]
    names: frozenset[str]

    def bind(self, values: Mapping[str, str]) -> dict[str, str | int]:
        """Parameter name -> value, for the variables' ``values`` (``mas.variables.values_of``)."""
        bound: dict[str, str | int] = {}
        for name, parts in self.parameters.items():
            value = "".join(part if isinstance(part, str) else part.of(values) for part in parts)
            if name in self.numbers and re.fullmatch(r"-?[0-9]{1,18}", value):
                bound[name] = int(value)
            else:
                bound[name] = value
        return bound


def compile_query(template: str, *, backslash: bool) -> Query:
    """Compile a query. ``backslash``: a backslash escapes inside literals (MySQL, MariaDB).

    Raises ValueError: unknown variable, literal or comment without an end.
    """
    return _Compiler(parse(template), backslash).run()


class _Compiler:
    def __init__(self, parts: list[Part], backslash: bool) -> None:
        # One item a character or variable: the lexer below then needs no look at seams.
        self.items: list[Part] = []
        for part in parts:
            self.items.extend(part if isinstance(part, str) else [part])
        self.backslash = backslash
        self.at = 0
        self.out: list[str] = []
        self.parameters: dict[str, tuple[Part, ...]] = {}
        self.numbers: set[str] = set()

    def run(self) -> Query:
        while self.at < len(self.items):
            item = self.items[self.at]
            if isinstance(item, Variable):
                self.at += 1
                self.numbers.add(self.parameter([item]))
            elif item in "'\"`":
                self.literal(item)
            elif self.starts("--"):
                self.comment("--", "\n", required=False)
            elif self.starts("/*"):
                self.comment("/*", "*/", required=True)
            else:
                self.at += 1
                self.text(item)
        names = {part.name for parts in self.parameters.values() for part in parts if isinstance(part, Variable)}
        return Query("".join(self.out), self.parameters, frozenset(self.numbers), frozenset(names))

    def text(self, raw: str) -> None:
        self.out.append("\\:" if raw == ":" else raw)  # sqlalchemy.text() would take ":name" for a parameter

    def parameter(self, parts: list[Part]) -> str:
        name = f"v{len(self.parameters)}"
        self.parameters[name] = tuple(parts)
        self.out.append(f" :{name} ")
        return name

    def starts(self, token: str) -> bool:
        return self.items[self.at : self.at + len(token)] == list(token)

    def comment(self, start: str, end: str, *, required: bool) -> None:
        """Comments are left out: SQLAlchemy would look for parameters in them."""
        self.at += len(start)
        while self.at < len(self.items) and not self.starts(end):
            self.at += 1
        if required and self.at >= len(self.items):
            raise ValueError(f"the comment {start} has no {end}")
        self.at += len(end)
        self.out.append(" ")

    def literal(self, quote: str) -> None:
        self.at += 1
        raw: list[str] = []
        value: list[Part] = []
        variable = False
        while True:
            if self.at >= len(self.items):
                raise ValueError(f"the quote {quote} has no end")
            item = self.items[self.at]
            after = self.items[self.at + 1] if self.at + 1 < len(self.items) else None
            if isinstance(item, Variable):
                variable = True
                value.append(item)
                self.at += 1
            elif item == quote and after == quote:
                raw += [quote, quote]
                value.append(quote)
                self.at += 2
            elif item == quote:
                self.at += 1
                break
            elif item == "\\" and self.backslash and quote != "`" and isinstance(after, str):
                raw += [item, after]
                value.append(after)
                self.at += 2
            else:
                raw.append(item)
                value.append(item)
                self.at += 1
        if variable and quote == "`":
            raise ValueError("a variable cannot be a name in backquotes")
        if variable:
            self.parameter(value)
        else:
            for char in (quote, *raw, quote):
                self.text(char)
