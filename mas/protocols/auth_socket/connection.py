"""Octets to requests, pure.

    line    = command *(TAB parameter) LF
    VERSION TAB major TAB minor                      first; another major version is another protocol
    CPID    TAB pid
    AUTH    TAB id TAB mechanism *(TAB parameter) [TAB "resp=" base64]      service= is required; resp= is the last one
    CONT    TAB id TAB base64
    CANCEL  TAB id

Dovecot 2.4 has protocol= for service=; both are understood, as they are there. A client that breaks the rules is a broken program, not a
person: the connection is closed, as Dovecot does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from mas.protocols.session import Wait

MAJOR, MINOR = 1, 2
_MAX_ID = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Auth:
    """A request begins. ``parameters`` without the response: ``secured`` and other words have an empty value; ``response`` is still base64,
    None when there is none."""

    id: int
    mechanism: str
    parameters: Mapping[str, str]
    response: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Cont:
    """The next response of a request, still in base64."""

    id: int
    response: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Cancel:
    """The client wants no answer any more."""

    id: int


@dataclass(frozen=True, slots=True)
class Broken:
    """Not the protocol: the connection is to be closed. ``text`` is for the log and holds nothing of the line."""

    text: str


@dataclass(frozen=True, slots=True)
class Closed:
    """The client is gone."""


Request = Auth | Cont | Cancel
Event = Request | Broken | Closed
RequestT = TypeVar("RequestT")


class LineConnection(ABC, Generic[RequestT]):
    """Lines under a limit, the first of which is VERSION: what the protocol's two halves have in common. See
    ``mas.protocols.session.Connection``."""

    def __init__(self, max_line: int) -> None:
        self._max_line = max_line
        self._buffer = bytearray()
        self._searched = 0
        self._greeted = False
        self._ended = False
        self._lost = False

    @abstractmethod
    def command(self, name: bytes, parameters: list[bytes]) -> RequestT | Broken | None:
        """One line after the version; None when it asks for nothing."""

    def receive_data(self, data: bytes) -> None:
        """Octets from the client; ``b""`` at the end."""
        if data:
            self._buffer += data
        else:
            self._ended = True

    @property
    def buffered(self) -> bool:
        """Whether octets wait that made no event yet."""
        return bool(self._buffer)

    def discard_input(self) -> None:
        """Forget them."""
        self._buffer.clear()
        self._searched = 0

    def next_event(self) -> RequestT | Broken | Closed | Wait:
        """The next request, or NEED_DATA."""
        while not self._lost:
            end = self._buffer.find(b"\n", self._searched)
            if end > self._max_line or (end < 0 and len(self._buffer) > self._max_line):
                return self.lose(f"auth.max_line = {self._max_line} is exceeded")
            if end < 0:
                self._searched = len(self._buffer)
                return Closed() if self._ended else Wait.NEED_DATA
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            self._searched = 0
            event = self._line(line)
            if event is not None:
                return event
        return Closed()

    def lose(self, text: str) -> Broken:
        """Nothing more is understood of this client."""
        self._lost = True
        self._buffer.clear()
        return Broken(text)

    def _line(self, line: bytes) -> RequestT | Broken | None:
        name, *parameters = line.split(b"\t")
        if self._greeted:
            return self.command(name, parameters)
        if name != b"VERSION" or len(parameters) != 2 or parameters[0] != b"%d" % MAJOR:
            return self.lose("the first line is not a VERSION that is understood")
        self._greeted = True
        return None


class AuthConnection(LineConnection[Request]):
    """The half that checks passwords."""

    def command(self, name: bytes, parameters: list[bytes]) -> Request | Broken | None:
        """One line after the version."""
        match name:
            case b"VERSION" | b"CPID":
                return None
            case b"AUTH":
                return self._auth(parameters)
            case b"CONT" if len(parameters) == 2 and (number := number_of(parameters[0])) is not None:
                return Cont(number, parameters[1])
            case b"CANCEL" if len(parameters) == 1 and (number := number_of(parameters[0])) is not None:
                return Cancel(number)
        return self.lose("a command is unknown or has wrong parameters")

    def _auth(self, parameters: list[bytes]) -> Auth | Broken:
        if len(parameters) < 3 or (number := number_of(parameters[0])) is None:
            return self.lose("AUTH without id, mechanism and service")
        found: dict[str, str] = {}
        response = None
        for at, parameter in enumerate(parameters[2:], 2):
            name, _, value = parameter.partition(b"=")
            if name == b"resp":
                if at != len(parameters) - 1:
                    return self.lose("resp= is not the last parameter")
                response = value
                break
            found[name.decode("ascii", "replace")] = unescaped(value)
        found["service"] = found.get("service") or found.pop("protocol", "")
        if not found["service"]:
            return self.lose("AUTH without a service")
        return Auth(number, parameters[1].decode("ascii", "replace").upper(), found, response)


def number_of(text: bytes) -> int | None:
    """An id; None when it is none."""
    if not text.isdigit() or len(text) > 10 or int(text) > _MAX_ID:
        return None
    return int(text)


def unescaped(value: bytes) -> str:
    r"""``\001`` followed by 0, 1, t, r, n stands for NUL, itself, TAB, CR, LF."""
    text = value.decode("utf-8", "replace")
    if "\x01" not in text:
        return text
    for code, char in (("t", "\t"), ("r", "\r"), ("n", "\n"), ("0", "\0"), ("1", "\x01")):
        text = text.replace("\x01" + code, char)
    return text
