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

from mas.sieve.lexer import Lexeme, Token, tokenize
from mas.sieve.limits import Limits
from mas.sieve.source import Problem, Source
from mas.sieve.syntax import Argument, Node, Number, Strings, Tag


class _Lost(Exception):
    """The command at hand makes no sense from here on; the problem is noted."""


def parse(source: Source, limits: Limits) -> tuple[list[Node], list[Problem]]:
    """The commands of a script and the mistakes in its syntax (at most ``limits.max_errors``)."""
    parser = _Parser(source, limits)
    return parser.start(), parser.problems


class _Parser:
    __slots__ = ("at", "limits", "problems", "source", "tokens")

    def __init__(self, source: Source, limits: Limits) -> None:
        self.source = source
        self.limits = limits
        self.tokens = tokenize(source.text, limits)
        self.at = 0
        self.problems: list[Problem] = []

    @property
    def token(self) -> Lexeme:
        return self.tokens[self.at]

    def kind(self) -> Token:
        """The kind of the token at hand (a method, since every step changes it)."""
        return self.tokens[self.at].kind

    def note(self, offset: int, text: str) -> None:
        if len(self.problems) < self.limits.max_errors:
            self.problems.append(self.source.problem(offset, text))

    def lost(self, expected: str) -> _Lost:
        token = self.token
        if token.kind is Token.ERROR:
            self.note(token.offset, token.text)
        else:
            found = (
                f"{token.kind.value} {token.text!r}"
                if token.kind in (Token.IDENTIFIER, Token.TAG)
                else token.kind.value
            )
            self.note(token.offset, f"expected {expected}, found {found}")
        return _Lost()

    def start(self) -> list[Node]:
        commands = self.commands(0)
        while self.kind() is not Token.END:
            self.note(self.token.offset, "'}' without a '{' before it")
            self.at += 1
            commands += self.commands(0)
        return commands

    def commands(self, depth: int) -> list[Node]:
        found: list[Node] = []
        while self.kind() not in (Token.RBRACE, Token.END) and len(self.problems) < self.limits.max_errors:
            try:
                found.append(self.command(depth))
            except _Lost:
                self.recover()
        if len(self.problems) >= self.limits.max_errors:
            self.at = len(self.tokens) - 1
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
        if self.kind() is Token.SEMICOLON:
            self.at += 1
        elif self.kind() is Token.LBRACE:
            if depth + 1 > self.limits.max_nesting:
                self.note(self.token.offset, f"blocks are nested more than {self.limits.max_nesting} deep")
                raise _Lost
            opened = self.token.offset
            self.at += 1
            node.block = self.commands(depth + 1)
            if self.kind() is Token.RBRACE:
                self.at += 1
            else:
                line, column = self.source.place(opened)
                self.note(
                    self.token.offset, f"'}}' is missing: the block of line {line}, column {column} is not closed"
                )
        else:
            raise self.lost(
                f"';' or a block after {node.name!r}" if not node.arguments and not node.tests else "';' or a block"
            )
        return node

    def identifier_arguments(self, depth: int) -> Node:
        node = Node(self.token.offset, self.token.text)
        self.at += 1
        while True:
            argument = self.argument()
            if argument is None:
                break
            node.arguments.append(argument)
        if self.kind() is Token.IDENTIFIER:
            self.test_depth(depth)
            node.tests.append(self.identifier_arguments(depth + 1))
        elif self.kind() is Token.LPAREN:
            self.test_depth(depth)
            node.parenthesised = True
            self.at += 1
            while True:
                if self.kind() is not Token.IDENTIFIER:
                    raise self.lost("a test")
                node.tests.append(self.identifier_arguments(depth + 1))
                if self.kind() is Token.COMMA:
                    self.at += 1
                elif self.kind() is Token.RPAREN:
                    self.at += 1
                    break
                else:
                    raise self.lost("',' or ')' after a test")
        return node

    def test_depth(self, depth: int) -> None:
        if depth + 1 > self.limits.max_nesting:
            self.note(self.token.offset, f"tests are nested more than {self.limits.max_nesting} deep")
            raise _Lost

    def argument(self) -> Argument | None:
        token = self.token
        if token.kind is Token.STRING:
            self.at += 1
            return Strings(token.offset, (token.text,), (token.offset,), False)
        if token.kind is Token.NUMBER:
            self.at += 1
            return Number(token.offset, token.number)
        if token.kind is Token.TAG:
            self.at += 1
            return Tag(token.offset, token.text)
        if token.kind is Token.LBRACKET:
            return self.string_list()
        return None

    def string_list(self) -> Strings:
        opened = self.token.offset
        values: list[str] = []
        offsets: list[int] = []
        self.at += 1
        while True:
            if self.kind() is not Token.STRING:
                raise self.lost("a string")
            values.append(self.token.text)
            offsets.append(self.token.offset)
            self.at += 1
            if self.kind() is Token.COMMA:
                self.at += 1
            elif self.kind() is Token.RBRACKET:
                self.at += 1
                return Strings(opened, tuple(values), tuple(offsets), True)
            else:
                raise self.lost("',' or ']' in a string list")
