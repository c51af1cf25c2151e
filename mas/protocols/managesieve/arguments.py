"""The arguments of a command, as their handlers ask for them; and the two ways in which a handler ends early."""

from __future__ import annotations

from mas.protocols.managesieve.connection import Atom, Command


class Quit(Exception):
    """The session is over."""


class Refused(Exception):
    """The command is refused: NO with a code and a text."""

    def __init__(self, text: str, code: bytes = b"") -> None:
        super().__init__(text)
        self.text = text
        self.code = code


def count(command: Command, wanted: int) -> None:
    """Raises Refused unless there are as many as wanted."""
    if len(command.arguments) != wanted:
        raise Refused(f"{command.name} takes {wanted or 'no'} argument{'s' if wanted != 1 else ''}.")


def octets(command: Command, at: int) -> bytes:
    """A string. Raises Refused."""
    value = command.arguments[at]
    if isinstance(value, Atom | int):
        raise Refused(f"{command.name} takes strings.")
    return value


def text(command: Command, at: int) -> str:
    """The name of a script. Raises Refused."""
    try:
        return octets(command, at).decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("The name of a script must be UTF-8.") from None
