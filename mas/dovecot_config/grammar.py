r"""One file of Dovecot's configuration as statements. Pure.

    file      = *line
    line      = *WSP (comment / include / open / close / setting / nothing) [WSP comment]
    include   = ("!include" / "!include_try") WSP path
    open      = kind *(WSP name) *WSP "{"                ; name may stand in quotes
    close     = "}"
    setting   = key *WSP "=" *WSP [value]
    value     = quoted / "<" path / text

A line that ends with a backslash goes on in the next one, with a blank between. ``#`` begins a comment also in the middle of a line, except
inside quotes. ``doveconf`` prints secrets as ``# hidden, use -P to show it``: such a setting is ``hidden``, its value unknown.

The corners are those of Dovecot 2.3 (quotes stay where they do not enclose the whole value); 2.4 differs in names, not in lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_FILE = 1 << 20
"""Octets of one file."""
MAX_LINE = 64 << 10
"""Characters of one line with its continuations."""

_HIDDEN = re.compile(r"=\s*# hidden, use -P to show it\s*$")
_KEY = re.compile(r"[^\s=]+")
_NAME = re.compile(r'"((?:[^"\\]|\\.)*)"|([^\s"{]\S*)')


class DovecotConfigError(Exception):
    """A file that Dovecot would not take either: ``file:line: why``."""

    def __init__(self, file: str, line: int, why: str) -> None:
        super().__init__(f"{file}:{line}: {why}" if line else f"{file}: {why}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is written. ``line`` from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Setting:
    """``key = value``. from_file: the value is the path of a file that holds it (``<path``). original: the key as it was written, where
    it has another name here (2.4's)."""

    key: str
    value: str
    place: Place
    from_file: bool = False
    hidden: bool = False
    quoted: bool = False
    original: str = ""

    @property
    def written(self) -> str:
        """The value as it was written, for messages."""
        return f"<{self.value}" if self.from_file else self.value


@dataclass(frozen=True, slots=True)
class Include:
    """``!include path``. optional: ``!include_try``."""

    path: str
    place: Place
    optional: bool


@dataclass(frozen=True, slots=True)
class Open:
    """``kind name … {``."""

    kind: str
    names: tuple[str, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Close:
    """``}``."""

    place: Place


Statement = Setting | Include | Open | Close


def parse(text: str, file: str) -> Iterator[Statement]:
    """The statements of ``text``; ``file`` is its name in places. Raises DovecotConfigError."""
    if len(text) > MAX_FILE:
        raise DovecotConfigError(file, 0, f"larger than {MAX_FILE} octets")
    for number, line in _lines(text, file):
        yield _statement(line, Place(file, number))


def _lines(text: str, file: str) -> Iterator[tuple[int, str]]:
    """Whole lines without comments, with the number where each began."""
    begun, number, held = 0, 0, ""
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip(" \t\r\v\f")
        if "\0" in line:
            raise DovecotConfigError(file, number, "a NUL character")
        if not line or line.startswith("#"):
            # Inside a continued line comments and empty lines are stepped over.
            continue
        if not _HIDDEN.search(line):
            line = _without_comment(line)
        if line.endswith("\\"):
            begun = begun or number
            held += line[:-1].rstrip(" \t") + " "
        elif line:
            yield begun or number, held + line
            begun, held = 0, ""
        if len(held) > MAX_LINE or len(line) > MAX_LINE:
            raise DovecotConfigError(file, begun or number, f"longer than {MAX_LINE} characters")
    if held.strip():
        yield begun, held.rstrip()


def _without_comment(line: str) -> str:
    at = 0
    while at < len(line):
        if line[at] in "\"'":
            quote = line[at]
            at += 1
            while at < len(line) and line[at] != quote:
                at += 2 if line[at] == "\\" else 1
        elif line[at] == "#":
            return line[:at].rstrip(" \t")
        at += 1
    return line


def _statement(line: str, place: Place) -> Statement:
    match = _KEY.match(line)
    key = match[0] if match else ""
    rest = line[len(key) :].lstrip(" \t")
    if key in ("!include", "!include_try"):
        path, _ = _unquoted(rest)
        if not path:
            raise DovecotConfigError(place.file, place.line, f"{key} without a path")
        return Include(path, place, key == "!include_try")
    if key and rest.startswith("="):
        return _setting(key, rest[1:].lstrip(" \t"), place)
    if key == "}" and not rest:
        return Close(place)
    if line.endswith("{") and key != "{":
        return _open(line[:-1], place)
    raise DovecotConfigError(place.file, place.line, "expected 'key = value', 'section {' or '}'")


def _setting(key: str, value: str, place: Place) -> Setting:
    if _HIDDEN.search("=" + value):
        return Setting(key, "", place, hidden=True)
    if value.startswith("<"):
        return Setting(key, value[1:].lstrip(" \t"), place, from_file=True)
    text, quoted = _unquoted(value)
    return Setting(key, text, place, quoted=quoted)


def _open(text: str, place: Place) -> Open:
    match = _KEY.match(text)
    kind = match[0] if match else ""
    names: list[str] = []
    at = len(kind)
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip(" \t"))
        found = _NAME.match(text, at)
        if not found:
            raise DovecotConfigError(place.file, place.line, f"the name of a section: {text[at:]!r}")
        names.append(_unescaped(found[1]) if found[1] is not None else found[2])
        at = found.end()
    return Open(kind, tuple(names), place)


def _unquoted(value: str) -> tuple[str, bool]:
    """The value without quotes around the whole of it, and whether there were any."""
    if len(value) > 1 and value[0] in "\"'" and value[-1] == value[0]:
        return _unescaped(value[1:-1]), True
    return value, False


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
