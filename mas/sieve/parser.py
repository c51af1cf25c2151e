"""Tokens to a tree, by the generic grammar alone. [RFC5228 8.2]

    start     = commands
    commands  = *command
    command   = identifier arguments (";" / block)
    block     = "{" commands "}"
    arguments = *argument [ test / test-list ]
    argument  = string-list / number / tag
    test      = identifier arguments
    test-list = "(" test *("," test) ")"

After a mistake the parser skips to the end of that command (its ``;`` or block) and goes on, so that one run finds them all; mistakes
that only follow from an earlier one are not reported. Nesting is limited, so recursion is.
"""

from __future__ import annotations

from typing import cast

from mas.sieve.lexer import Token, tokenize
from mas.sieve.limits import Limits
from mas.sieve.source import Problem, Source
from mas.sieve.syntax import Argument, Node, Number, Strings, Tag


class _Enough(Exception):
    """The script is too large; the problem is noted, and nothing of it will be bound."""


class _Lost(Exception):
    """The command at hand makes no sense from here on; the problem is noted."""


def parse(source: Source, limits: Limits) -> tuple[list[Node], list[Problem]]:
    """The commands of a script and the mistakes in its syntax (at most ``limits.max_errors``)."""
    parser = _Parser(source, limits)
    return parser.start(), parser.problems


class _Parser:
    __slots__ = ("at", "kinds", "limits", "nodes", "offsets", "problems", "source", "values")

    def __init__(self, source: Source, limits: Limits) -> None:
        self.source = source
        self.limits = limits
        tokens = tokenize(source.text, limits)
        self.kinds, self.offsets, self.values = tokens.kinds, tokens.offsets, tokens.values
        self.at = 0
        self.nodes = 0
        self.problems: list[Problem] = []

    def kind(self) -> Token:
        """The kind of the token at hand (a method, since every step changes it)."""
        return self.kinds[self.at]

    def note(self, offset: int, text: str) -> None:
        if len(self.problems) < self.limits.max_errors:
            self.problems.append(self.source.problem(offset, text))

    def note_here(self, text: str) -> None:
        self.note(self.offsets[self.at], text)

    def lost(self, expected: str) -> _Lost:
        kind, value = self.kinds[self.at], self.values[self.at]
        if kind is Token.ERROR:
            self.note_here(str(value))
        else:
            found = f"{kind.value} {value!r}" if kind in (Token.IDENTIFIER, Token.TAG) else kind.value
            self.note_here(f"expected {expected}, found {found}")
        return _Lost()

    def start(self) -> list[Node]:
        try:
            commands = self.commands(0)
            while self.kind() is not Token.END:
                self.note_here("'}' without a '{' before it")
                self.at += 1
                commands += self.commands(0)
        except _Enough:
            return []
        return commands

    def commands(self, depth: int) -> list[Node]:
        found: list[Node] = []
        while len(self.problems) < self.limits.max_errors:
            kind = self.kind()
            if kind is Token.RBRACE or kind is Token.END:
                return found
            try:
                found.append(self.command(depth))
            except _Lost:
                self.recover()
        self.at = len(self.kinds) - 1
        return found

    def recover(self) -> None:
        """Skip to behind the ';' or the closing brace of the command at hand."""
        depth = 0
        while self.kind() is not Token.END:
            kind = self.kind()
            if kind is Token.LBRACE:
                depth += 1
            elif kind is Token.RBRACE:
                if depth == 0:
                    return
                depth -= 1
                if depth == 0:
                    self.at += 1
                    return
            elif kind is Token.SEMICOLON and depth == 0:
                self.at += 1
                return
            self.at += 1

    def command(self, depth: int) -> Node:
        if self.kind() is not Token.IDENTIFIER:
            raise self.lost("a command")
        node = self.identifier_arguments(depth)
        kind = self.kind()
        if kind is Token.SEMICOLON:
            self.at += 1
        elif kind is Token.LBRACE:
            if depth + 1 > self.limits.max_nesting:
                self.note_here(f"blocks are nested more than {self.limits.max_nesting} deep")
                raise _Lost
            opened = self.offsets[self.at]
            self.at += 1
            node.block = self.commands(depth + 1)
            if self.kind() is Token.RBRACE:
                self.at += 1
            else:
                line, column = self.source.place(opened)
                self.note_here(f"'}}' is missing: the block of line {line}, column {column} is not closed")
        else:
            raise self.lost(
                f"';' or a block after {node.name!r}" if not node.arguments and not node.tests else "';' or a block"
            )
        return node

    def identifier_arguments(self, depth: int) -> Node:
        at = self.at
        self.nodes += 1
        if self.nodes > self.limits.max_script_commands:
            most = self.limits.max_script_commands
            self.note_here(f"script has more than {most} commands and tests (max_script_commands)")
            raise _Enough
        node = Node(self.offsets[at], cast(str, self.values[at]), [], [])
        self.at = at + 1
        kind = self.arguments(node.arguments)
        if kind is Token.IDENTIFIER:
            self.test_depth(depth)
            node.tests.append(self.identifier_arguments(depth + 1))
        elif kind is Token.LPAREN:
            self.test_depth(depth)
            node.parenthesised = True
            self.at += 1
            while True:
                if self.kind() is not Token.IDENTIFIER:
                    raise self.lost("a test")
                node.tests.append(self.identifier_arguments(depth + 1))
                kind = self.kind()
                if kind is Token.COMMA:
                    self.at += 1
                elif kind is Token.RPAREN:
                    self.at += 1
                    break
                else:
                    raise self.lost("',' or ')' after a test")
        return node

    def test_depth(self, depth: int) -> None:
        if depth + 1 > self.limits.max_nesting:
            self.note_here(f"tests are nested more than {self.limits.max_nesting} deep")
            raise _Lost

    def arguments(self, found: list[Argument]) -> Token:
        """Read all arguments. Returns the kind of the token behind them."""
        kinds, at = self.kinds, self.at
        while True:
            kind = kinds[at]
            if kind is Token.STRING:
                offset = self.offsets[at]
                found.append(Strings(offset, (cast(str, self.values[at]),), (offset,), False))
            elif kind is Token.TAG:
                found.append(Tag(self.offsets[at], cast(str, self.values[at])))
            elif kind is Token.NUMBER:
                found.append(Number(self.offsets[at], cast(int, self.values[at])))
            elif kind is Token.LBRACKET:
                self.at = at
                found.append(self.string_list())
                at = self.at - 1
            else:
                self.at = at
                return kind
            at += 1

    def string_list(self) -> Strings:
        kinds, first = self.kinds, self.at + 1
        at = first
        while True:
            if kinds[at] is not Token.STRING:
                self.at = at
                raise self.lost("a string")
            kind = kinds[at + 1]
            if kind is Token.RBRACKET:
                break
            if kind is not Token.COMMA:
                self.at = at + 1
                raise self.lost("',' or ']' in a string list")
            at += 2
        self.at = at + 2
        values = cast(list[str], self.values[first : at + 1 : 2])
        return Strings(self.offsets[first - 1], tuple(values), tuple(self.offsets[first : at + 1 : 2]), True)
