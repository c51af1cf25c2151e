"""Where something stands in a script, and the errors that say so.

Offsets are characters of the decoded script; lines and columns count from 1, columns in characters. A ``\\r\\n`` ends one line.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from mas.errors import MasError


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake in a script. ``str()`` is what ManageSieve and the command line show."""

    line: int
    column: int
    text: str

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.text}"


class ScriptError(MasError):
    """The script does not compile; ``problems`` holds all mistakes in the order of their places (at most the limit that was asked for)."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class RunError(MasError):
    """The script failed while it ran: the message is kept, the user told [RFC5228 2.10.6]."""

    def __init__(self, text: str, line: int = 0) -> None:
        super().__init__(f"line {line}: {text}" if line else text)
        self.text = text
        self.line = line


class Source:
    """The text of one script and the places of its lines."""

    __slots__ = ("_starts", "name", "text")

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self._starts: list[int] | None = None

    def line(self, offset: int) -> int:
        """The line of an offset."""
        return bisect_right(self._starts or self._lines(), offset)

    def place(self, offset: int) -> tuple[int, int]:
        """(line, column) of an offset."""
        starts = self._starts or self._lines()
        line = bisect_right(starts, offset)
        return line, offset - starts[line - 1] + 1

    def _lines(self) -> list[int]:
        starts = [0]
        at = self.text.find("\n")
        while at >= 0:
            starts.append(at + 1)
            at = self.text.find("\n", at + 1)
        self._starts = starts
        return starts

    def problem(self, offset: int, text: str) -> Problem:
        """A Problem at an offset."""
        line, column = self.place(offset)
        return Problem(line, column, text)
