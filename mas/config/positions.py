"""Where in a TOML file each key is: the standard library's parser says what, not where.

Only for files that ``tomllib`` has accepted: so this needs to know just enough of TOML to step over strings and arrays. Keys in
inline tables are found at the line of the key that holds them.
"""

from __future__ import annotations

import re

Place = tuple[str | int, ...]

_BARE_OR_QUOTED = r'(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|\'[^\']*\')'
_KEY = re.compile(rf"\s*({_BARE_OR_QUOTED}(?:\s*\.\s*{_BARE_OR_QUOTED})*)\s*=")
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_BARE_OR_QUOTED}(?:\s*\.\s*{_BARE_OR_QUOTED})*)\s*\]")
_TOKEN = re.compile(r"\"\"\"|'''|\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'|#[^\n]*|[\[\]{}]")


def positions(text: str) -> dict[Place, int]:
    """Line numbers from 1 of tables and keys. ``[[passdb]]`` twice gives ``("passdb", 0)`` and ``("passdb", 1)``."""
    found: dict[Place, int] = {}
    counts: dict[Place, int] = {}
    table: Place = ()
    depth = 0
    quote = ""
    for number, line in enumerate(text.splitlines(), 1):
        if not depth and not quote:
            if header := _HEADER.match(line):
                table = _enter(_split(header[2]), counts, array=header[1] == "[[")
                found.setdefault(table, number)
                continue
            if key := _KEY.match(line):
                place = table
                for part in _split(key[1]):
                    place = (*place, part)
                    found.setdefault(place, number)
                line = line[key.end() :]
        depth, quote = _step_over(line, depth, quote)
    return found


def line_of(place: Place, found: dict[Place, int]) -> int | None:
    """The line of ``place`` or of the nearest table around it; None for something that the file has nothing of."""
    while place:
        if place in found:
            return found[place]
        place = place[:-1]
    return None


def _split(dotted: str) -> list[str]:
    return [part.strip("\"'") for part in re.findall(_BARE_OR_QUOTED, dotted)]


def _enter(keys: list[str], counts: dict[Place, int], *, array: bool) -> Place:
    place: Place = ()
    for depth, key in enumerate(keys, 1):
        place = (*place, key)
        if array and depth == len(keys):
            counts[place] = counts.get(place, -1) + 1
        if place in counts:
            place = (*place, counts[place])
    return place


def _step_over(line: str, depth: int, quote: str) -> tuple[int, str]:
    """Bracket depth and open multi-line quote after ``line``."""
    at = 0
    while at < len(line):
        if quote:
            end = line.find(quote, at)
            while quote == '"""' and end > 0 and line[end - 1] == "\\":
                end = line.find(quote, end + 1)
            if end < 0:
                return depth, quote
            at, quote = end + 3, ""
            continue
        token = _TOKEN.search(line, at)
        if not token:
            break
        if token[0] in ('"""', "'''"):
            quote = token[0]
        elif token[0] in ("[", "{"):
            depth += 1
        elif token[0] in ("]", "}"):
            depth -= 1
        at = token.end()
    return depth, quote
