"""Octets to requests, pure.

    line    = command *(TAB parameter) LF
    VERSION TAB major TAB minor                      first; another major version is another protocol
    USER    TAB id TAB user *(TAB parameter)         service= is required, or protocol= as Dovecot 2.4 calls it
    PASS    TAB id TAB user *(TAB parameter)
    LIST    TAB id *(TAB parameter)                  user= is a mask with * and ?; doveadm of 2.3 picks by itself, that of 2.4 does not

A client that breaks the rules is disconnected, as by Dovecot.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from dataclasses import dataclass

from mas.protocols.auth_socket.connection import Broken, Closed, LineConnection, number_of, unescaped


@dataclass(frozen=True, slots=True)
class User:
    """Where is this user's mail?"""

    id: int
    name: str
    service: str


@dataclass(frozen=True, slots=True)
class Pass:
    """What would a login of this user be told, without a password?"""

    id: int
    name: str
    service: str


@dataclass(frozen=True, slots=True)
class List:
    """Which users are there?"""

    id: int
    mask: str = "*"

    @property
    def matches(self) -> Callable[[str], object]:
        """Whether a name is asked for."""
        return re.compile(fnmatch.translate(self.mask.replace("[", "[[]")), re.IGNORECASE).match


Request = User | Pass | List
Event = Request | Broken | Closed


class UserdbConnection(LineConnection[Request]):
    """See ``mas.protocols.session.Connection``."""

    def command(self, name: bytes, parameters: list[bytes]) -> Request | Broken | None:
        """One line after the version."""
        needed = {b"USER": 2, b"PASS": 2, b"LIST": 1}.get(name)
        if needed is None or len(parameters) < needed or (number := number_of(parameters[0])) is None:
            return self.lose("a command is unknown or has wrong parameters")
        given = dict(_pair(parameter) for parameter in parameters[needed:])
        service = given.get("service") or given.get("protocol", "")
        if not service:
            return self.lose(f"{name.decode()} without a service")
        if name == b"LIST":
            return List(number, given.get("user", "*"))
        user = unescaped(parameters[1])
        return User(number, user, service) if name == b"USER" else Pass(number, user, service)


def _pair(parameter: bytes) -> tuple[str, str]:
    name, _, value = parameter.partition(b"=")
    return name.decode("ascii", "replace"), unescaped(value)
