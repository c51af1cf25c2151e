"""Comparators and match types. [RFC5228 2.7.1, 2.7.3] [RFC4790] [RFC5051] [RFC5231]

A Matcher is made once when a script is compiled; constant keys are folded then. ``:matches`` is a sequence of searches, each as far left
as it can be (as the wildcards match as little as possible [RFC5229 3.2]), so its cost is bounded by text times pattern.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

_NUMBER = re.compile(r"[0-9]+")
_ASCII_NUMBER_LIMIT = 1000
_ASCII_UPPER = str.maketrans({chr(c): chr(c - 32) for c in range(97, 123)})
_TRIES_BETWEEN_TICKS = 4096
LONG = 16384
"""From this length of a value on, the clock is looked at while it is searched."""


def octet(text: str) -> str:
    """i;octet"""
    return text


def ascii_casemap(text: str) -> str:
    """i;ascii-casemap: A-Z and a-z alike, all else as it is."""
    if text.isascii():
        return text.lower()
    # Of octets, lower() knows A-Z alone; and str.translate takes ten times as long.
    return text.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")


def unicode_casemap(text: str) -> str:
    """i;unicode-casemap [RFC5051 2]: titlecase of each character where that is one character, then compatibility decomposition."""
    if text.isascii():
        return text.upper()
    titled = "".join([title if len(title := char.title()) == 1 else char for char in text])
    return unicodedata.normalize("NFKD", titled)


Fold = Callable[[str], str]
FOLDS: dict[str, Fold] = {
    "i;octet": octet,
    "i;ascii-casemap": ascii_casemap,
    "i;unicode-casemap": unicode_casemap,
}
# The order of i;ascii-casemap is that of capitals: "_" stands behind "a" [RFC4790 9.2.1]. To find, either case will do.
_ORDERS: dict[str, Fold] = {**FOLDS, "i;ascii-casemap": lambda text: text.translate(_ASCII_UPPER)}
NUMERIC = "i;ascii-numeric"
Tick = Callable[[], None]
"""Called once in a while during long work; raises when the time is used up."""


def numeric(text: str) -> int | None:
    """i;ascii-numeric [RFC4790 9.1]: the leading digits; None is positive infinity."""
    match = _NUMBER.match(text)
    return int(match[0][:_ASCII_NUMBER_LIMIT]) if match else None


_RELATIONS: dict[str, Callable[[int], bool]] = {
    "gt": lambda order: order > 0,
    "ge": lambda order: order >= 0,
    "lt": lambda order: order < 0,
    "le": lambda order: order <= 0,
    "eq": lambda order: order == 0,
    "ne": lambda order: order != 0,
}
RELATIONS = frozenset(_RELATIONS)


def compare(comparator: str, left: str, right: str) -> int:
    """Order of two texts: below 0, 0, above 0."""
    if comparator == NUMERIC:
        a, b = numeric(left), numeric(right)
        if a is None or b is None:
            return (a is None) - (b is None)
        return (a > b) - (a < b)
    fold = _ORDERS[comparator]
    x, y = fold(left), fold(right)
    return (x > y) - (x < y)


@dataclass(frozen=True)
class Glob:
    """A ``:matches`` pattern: ``*`` any characters, ``?`` one, ``\\`` quotes the next. ``pieces`` stand between the ``*``s; in a piece
    None is ``?``."""

    pieces: tuple[tuple[str | None, ...], ...]

    @staticmethod
    def of(pattern: str, fold: Fold) -> Glob:
        """Parse a pattern; its literal characters are folded one by one, so that a fold must keep the number of characters or the text is
        compared piece by piece."""
        pieces: list[tuple[str | None, ...]] = []
        piece: list[str | None] = []
        literal: list[str] = []
        characters = iter(pattern)
        for char in characters:
            if char == "\\":
                literal.append(next(characters, "\\"))
                continue
            if char in "*?":
                if literal:
                    piece.append(fold("".join(literal)))
                    literal = []
                if char == "?":
                    piece.append(None)
                else:
                    pieces.append(tuple(piece))
                    piece = []
                continue
            literal.append(char)
        if literal:
            piece.append(fold("".join(literal)))
        pieces.append(tuple(piece))
        return Glob(tuple(pieces))

    @cached_property
    def literals(self) -> tuple[str, ...]:
        """What a text that matches has in it."""
        return tuple([part for piece in self.pieces for part in piece if part])

    def is_plain(self) -> bool:
        """Whether no text is looked at again and again: no ``?`` that sends the search back."""
        return all(piece in ((), piece[:1]) and None not in piece for piece in self.pieces)

    def match(self, folded: str, tick: Tick | None = None) -> list[tuple[int, int]] | None:
        """The spans of the wildcards in the folded text, or None when it does not match. A text matches as a whole."""
        for literal in self.literals:
            if literal not in folded:
                return None
        spans: list[tuple[int, int]] = []
        first, *rest = self.pieces
        at = _fits(first, folded, 0, spans)
        if at < 0:
            return None
        if not rest:
            return spans if at == len(folded) else None
        for piece in rest[:-1]:
            start = at
            found: list[tuple[int, int]] = []
            begin, at = _seek(piece, folded, at, found, tick)
            if at < 0:
                return None
            spans.append((start, begin))
            spans.extend(found)
        last = rest[-1]
        begin = len(folded) - sum(1 if part is None else len(part) for part in last)
        if begin < at:
            return None
        tail: list[tuple[int, int]] = []
        if _fits(last, folded, begin, tail) != len(folded):
            return None
        spans.append((at, begin))
        spans.extend(tail)
        return spans


def _fits(piece: Sequence[str | None], text: str, at: int, spans: list[tuple[int, int]]) -> int:
    """Where ``piece`` ends if it stands at ``at``, or -1."""
    for part in piece:
        if part is None:
            if at >= len(text):
                return -1
            spans.append((at, at + 1))
            at += 1
        elif text.startswith(part, at):
            at += len(part)
        else:
            return -1
    return at


def _seek(
    piece: Sequence[str | None], text: str, at: int, spans: list[tuple[int, int]], tick: Tick | None
) -> tuple[int, int]:
    """The leftmost place of ``piece`` from ``at`` on: (begin, end), or (-1, -1)."""
    lead = 0
    anchor: str | None = None
    for part in piece:
        if part is not None:
            anchor = part
            break
        lead += 1
    # Tries cost what their piece has parts.
    tries = 0
    while True:
        tries += len(piece)
        if tick is not None and tries > _TRIES_BETWEEN_TICKS:
            tries = 0
            tick()
        if anchor is None:
            begin = at
        else:
            place = text.find(anchor, at + lead)
            if place < 0:
                return -1, -1
            begin = place - lead
        spans.clear()
        end = _fits(piece, text, begin, spans)
        if end >= 0:
            return begin, end
        if anchor is None:
            return -1, -1
        at = begin + 1


# Searches: the first of the values that one of the prepared keys matches, with the match values (whole, then wildcards or groups; empty
# where the match type has none), or None. folded: the values as the comparator sees them.

Match = tuple[str, tuple[str, ...]]
Keys = Collection[Any]
Search = Callable[[Sequence[str], Iterable[str], Keys, Tick], Match | None]


def _contains(values: Sequence[str], folded: Iterable[str], keys: Keys, tick: Tick) -> Match | None:
    for at, text in enumerate(folded):
        for key in keys:
            if key in text:
                return values[at], ()
            if len(text) > LONG:
                tick()
    return None


def _is(values: Sequence[str], folded: Iterable[str], keys: Keys, tick: Tick) -> Match | None:
    for at, text in enumerate(folded):
        if text in keys:
            return values[at], ()
    return None


def _is_numeric(values: Sequence[str], folded: Iterable[str], keys: Keys, tick: Tick) -> Match | None:
    return next(((value, ()) for value in values if numeric(value) in keys), None)


def _matches(values: Sequence[str], folded: Iterable[str], keys: Keys, tick: Tick) -> Match | None:
    for at, text in enumerate(folded):
        for key in keys:
            spans = key.match(text, tick if len(text) > LONG else None)
            if spans is not None:
                # A fold that changes the length (decomposition) makes spans of the folded text: the variables get that text then.
                source = values[at] if len(values[at]) == len(text) else text
                return values[at], (source, *(source[a:b] for a, b in spans))
    return None


def _regex(values: Sequence[str], folded: Iterable[str], keys: Keys, tick: Tick) -> Match | None:
    for value in values:
        for key in keys:
            groups: tuple[str, ...] | None = key(value)
            if groups is not None:
                return value, groups
    return None


def _by_order(comparator: str, relation: str) -> Search:
    holds = _RELATIONS[relation]

    def by_order(values: Sequence[str], folded: Iterable[str], keys: Keys, tick: Tick) -> Match | None:
        return next(((value, ()) for value in values for key in keys if holds(compare(comparator, value, key))), None)

    return by_order


_SEARCHES: dict[str, Search] = {"contains": _contains, "is": _is, "matches": _matches, "regex": _regex}


class Matcher:
    """Match type, comparator and keys of one test. ``keys`` is None when they hold variables and must be prepared on every run.

    ``relation`` is the operator of ``:count`` and ``:value``. ``regex(pattern)`` comes from the regex extension: it returns a function
    that gives the groups of a match or None. first: the search of this match type; none for ``:count`` and ``:list``.
    """

    __slots__ = ("comparator", "first", "fold", "keys", "kind", "relation")

    def __init__(self, kind: str, comparator: str, relation: str = "") -> None:
        self.kind = kind
        self.comparator = comparator
        self.relation = relation
        self.fold = FOLDS.get(comparator, octet)
        self.keys: Keys | None = None
        self.first = _SEARCHES.get(kind)
        if kind == "value":
            self.first = _by_order(comparator, relation)
        elif kind == "is" and comparator == NUMERIC:
            self.first = _is_numeric

    def prepare(self, texts: Sequence[str], regex: Callable[[str, bool], object] | None = None) -> Keys:
        """Keys in the form that ``first`` takes."""
        if self.kind in ("count", "value", "list"):
            return list(texts)
        if self.kind == "regex":
            assert regex
            return [regex(text, self.comparator != "i;octet") for text in texts]
        if self.comparator == NUMERIC:
            return {numeric(text) for text in texts}
        if self.kind == "matches":
            return [Glob.of(text, self.fold) for text in texts]
        folded = [self.fold(text) for text in texts]
        return frozenset(folded) if self.kind == "is" else folded

    def cost(self) -> int | None:
        """How often a value is looked at from end to end, at most; None when that cannot be said before."""
        match self.kind:
            case _ if self.keys is None or self.fold is unicode_casemap:
                return None
            case "is" | "contains" | "count" | "value":
                return len(self.keys)
            case "matches":
                globs = [key for key in self.keys if isinstance(key, Glob) and key.is_plain()]
                looks = sum(len(glob.pieces) + len(glob.literals) for glob in globs)
                return looks if len(globs) == len(self.keys) else None
        return None

    def count(self, number: int, keys: Keys) -> bool:
        """``:count``: the number of values against the keys."""
        test = _RELATIONS[self.relation]
        return any(test(compare(self.comparator, str(number), str(key))) for key in keys)
