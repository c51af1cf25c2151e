"""Octets to commands, pure. [RFC5804 4]

    command = name *(SP argument) CRLF        argument = string / number
    string  = quoted / literal-c2s            literal-c2s = "{" number "+}" CRLF *OCTET
    quoted  = DQUOTE *1024QUOTED-CHAR DQUOTE

A quoted string holds no line end, so a command is lines with literals between them: lines are cut first, then read. Each octet is looked
at once. A literal over its limit is swallowed, not stored, and the command answered with NO: the stream stays in step. A line over its
limit is where the stream is lost.

Deviation: ``{n}`` without the plus is taken as well; the old python client sends it, and Pigeonhole takes it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mas.protocols.session import Wait

_LITERAL = re.compile(rb"\{([0-9]{1,10})\+?\}\Z")
_TOKEN = re.compile(rb'"((?:[^"\\\r\n\0]|\\["\\])*)"|([0-9]+)(?=[ ]|\Z)|([!#-\'*-\[\]-z|-~]+)')
_QUOTED_PAIR = re.compile(rb"\\([\"\\])")
_MAX_QUOTED = 1024
_MAX_NUMBER = (1 << 32) - 1
_MAX_ARGUMENTS = 8


@dataclass(frozen=True, slots=True)
class Atom:
    """A word without quotes: the name of a command."""

    text: str


Argument = bytes | int | Atom


@dataclass(frozen=True, slots=True)
class Command:
    """A command: its name in upper case, strings as octets, numbers as int."""

    name: str
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class SaslResponse:
    """The client's answer to a challenge, still in base64; None when it cancelled."""

    text: bytes | None


@dataclass(frozen=True, slots=True)
class BadCommand:
    """What is no command. ``fatal``: the stream cannot be followed any further. ``too_big``: a literal was over its limit."""

    text: str
    fatal: bool = False
    too_big: bool = False


@dataclass(frozen=True, slots=True)
class Closed:
    """The client is gone."""


Event = Command | SaslResponse | BadCommand | Closed


class ManageSieveConnection:
    """The client's side of one connection. ``max_literal`` may be raised once the client is known."""

    def __init__(self, *, max_line: int, max_literal: int) -> None:
        self.max_line = max_line
        self.max_literal = max_literal
        self.received = 0
        self._buffer = bytearray()
        self._searched = 0
        self._pieces: list[bytes | int] = []
        self._literal: bytearray | None = None
        self._left = 0
        self._too_big = False
        self._ended = False
        self._lost = False
        self._sasl = False

    def receive_data(self, data: bytes) -> None:
        """Octets from the client; ``b""`` at the end."""
        if data:
            self.received += len(data)
            self._buffer += data
        else:
            self._ended = True

    @property
    def buffered(self) -> bool:
        """Whether octets wait that made no event yet."""
        return bool(self._buffer or self._pieces)

    def discard_input(self) -> None:
        """Forget them."""
        self._buffer.clear()
        self._pieces.clear()
        self._searched = self._left = 0
        self._literal = None

    def expect_sasl(self) -> None:
        """The next line is the answer to a challenge."""
        self._sasl = True

    def next_event(self) -> Event | Wait:
        """The next command, or NEED_DATA."""
        if self._lost:
            return Closed()
        while True:
            if self._left and not self._take_literal():
                return self._starved()
            end = self._buffer.find(b"\n", self._searched)
            if end < 0:
                self._searched = len(self._buffer)
                if len(self._buffer) > self.max_line:
                    return self._lose(f"line is longer than {self.max_line} octets")
                return self._starved()
            if end > self.max_line:
                return self._lose(f"line is longer than {self.max_line} octets")
            line = bytes(self._buffer[:end]).removesuffix(b"\r")
            del self._buffer[: end + 1]
            self._searched = 0
            literal = _LITERAL.search(line)
            if literal is None:
                self._pieces.append(line)
                return self._event()
            if len(self._pieces) >= 2 * _MAX_ARGUMENTS:
                return self._lose("too many arguments")
            self._pieces.append(line[: literal.start()])
            self._begin_literal(int(literal[1]))

    def _begin_literal(self, size: int) -> None:
        held = sum(len(piece) for piece in self._pieces[1::2] if isinstance(piece, bytes))
        if size + held > self.max_literal:
            self._too_big = True
            self._literal = None
        else:
            self._literal = bytearray()
        self._left = size
        if not size:
            self._pieces.append(b"")

    def _take_literal(self) -> bool:
        data = self._buffer[: self._left]
        del self._buffer[: len(data)]
        self._left -= len(data)
        if self._literal is not None:
            self._literal += data
        if self._left:
            return False
        self._pieces.append(bytes(self._literal or b""))
        self._literal = None
        return True

    def _starved(self) -> Event | Wait:
        return Closed() if self._ended else Wait.NEED_DATA

    def _lose(self, text: str) -> BadCommand:
        self._lost = True
        self._buffer.clear()
        return BadCommand(text, fatal=True)

    def _event(self) -> Event:
        pieces, self._pieces = self._pieces, []
        sasl, self._sasl = self._sasl, False
        if self._too_big:
            self._too_big = False
            return BadCommand(f"a literal is larger than {self.max_literal} octets", too_big=True)
        arguments: list[Argument] = []
        for at, piece in enumerate(pieces):
            assert isinstance(piece, bytes)
            if at % 2:
                arguments.append(piece)
                continue
            problem = _tokens(piece, arguments, first=at == 0, last=at == len(pieces) - 1)
            if problem:
                return BadCommand(problem)
        if len(arguments) > _MAX_ARGUMENTS:
            return BadCommand("too many arguments")
        if sasl:
            if len(arguments) == 1 and isinstance(arguments[0], bytes):
                return SaslResponse(None if arguments[0] == b"*" else arguments[0])
            return SaslResponse(None)
        if not arguments or not isinstance(arguments[0], Atom):
            return BadCommand("expected a command")
        return Command(arguments[0].text.upper(), tuple(arguments[1:]))


def _tokens(line: bytes, found: list[Argument], *, first: bool, last: bool) -> str:
    """Read the tokens of one line into ``found``; returns what is wrong, or nothing."""
    at = 0
    if not first and line.startswith(b" "):
        at = 1
    elif not first and line:
        return "expected a space after a literal"
    if first and not last and not line.endswith(b" ") and line:
        return "expected a space before a literal"
    end = len(line.rstrip(b" "))
    while at < end:
        token = _TOKEN.match(line, at)
        if token is None:
            return "expected a string or a number"
        if token[1] is not None:
            if len(token[1]) > _MAX_QUOTED:
                return f"a quoted string is longer than {_MAX_QUOTED} octets: send it as a literal"
            found.append(_QUOTED_PAIR.sub(rb"\1", token[1]) if b"\\" in token[1] else token[1])
        elif token[2] is not None:
            number = int(token[2][:11])
            if number > _MAX_NUMBER:
                return "number is too large"
            found.append(number)
        else:
            found.append(Atom(token[3].decode("ascii")))
        at = token.end()
        if at < end:
            if line[at : at + 1] != b" ":
                return "expected a space between arguments"
            at += 1
    return ""
