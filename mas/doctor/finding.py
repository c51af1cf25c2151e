"""What a check says."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Level(enum.IntEnum):
    """Also the exit code of ``mas doctor``: the highest of all."""

    OK = 0
    WARN = 1
    ERROR = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """where: a key, a file, a program. what: the fact. todo: what the operator does about it; empty when it is well."""

    level: Level
    where: str
    what: str
    todo: str = ""


def ok(where: str, what: str) -> Finding:
    """It is well."""
    return Finding(Level.OK, where, what)


def warn(where: str, what: str, todo: str) -> Finding:
    """It works, and it will hurt."""
    return Finding(Level.WARN, where, what, todo)


def error(where: str, what: str, todo: str) -> Finding:
    """It does not work."""
    return Finding(Level.ERROR, where, what, todo)
