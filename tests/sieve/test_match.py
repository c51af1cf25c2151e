"""Comparators, relations and wildcards against what the RFCs say, wildcards also against a matcher that simply tries everything."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mas.sieve.match import Glob, Keys, Match, Matcher, ascii_casemap, compare, numeric, octet, unicode_casemap


def naive(pattern: str, text: str) -> list[str] | None:
    """What the wildcards match, each as little as possible, the first one first."""
    if not pattern:
        return None if text else []
    head, rest = pattern[0], pattern[1:]
    if head == "*":
        for size in range(len(text) + 1):
            found = naive(rest, text[size:])
            if found is not None:
                return [text[:size], *found]
        return None
    if head == "\\" and rest:
        head, rest = rest[0], rest[1:]
    elif head == "?":
        found = naive(rest, text[1:]) if text else None
        return None if found is None else [text[0], *found]
    if not text.startswith(head):
        return None
    return naive(rest, text[1:])


@given(st.text("ab*?\\", max_size=10), st.text("ab*?\\", max_size=12))
def test_wildcards_as_the_naive_matcher(pattern: str, text: str) -> None:
    spans = Glob.of(pattern, octet).match(text)
    assert (None if spans is None else [text[a:b] for a, b in spans]) == naive(pattern, text)


def first(matcher: Matcher, value: str, keys: Keys) -> Match | None:
    assert matcher.first
    return matcher.first([value], [matcher.fold(value)], keys, lambda: None)


@given(st.text("abcé*?\\", max_size=10), st.text("ABCÉabcé", max_size=12))
def test_wildcards_without_case(pattern: str, text: str) -> None:
    found = first(Matcher("matches", "i;ascii-casemap"), text, [Glob.of(pattern, ascii_casemap)])
    assert (found is not None) == (naive(ascii_casemap(pattern), ascii_casemap(text)) is not None)


@pytest.mark.parametrize(
    ("fold", "a", "b", "same"),
    [
        (octet, "a", "A", False),
        (ascii_casemap, "aZ_é", "Az_é", True),
        (ascii_casemap, "É", "é", False),
        (unicode_casemap, "É", "é", True),
        (unicode_casemap, "É", "e\u0301", True),
        (unicode_casemap, "ﬁ", "fi", False),  # titlecase Fi is two characters; decomposition makes "fi"
        (unicode_casemap, "abc", "ABC", True),
        (unicode_casemap, "aé", "AÉ", True),
        (unicode_casemap, "ß", "ss", False),
        (unicode_casemap, "σς", "ΣΣ", True),
    ],
)
def test_folds(fold: Callable[[str], str], a: str, b: str, same: bool) -> None:
    assert (fold(a) == fold(b)) is same


@pytest.mark.parametrize(
    ("comparator", "a", "b", "order"),
    [
        ("i;ascii-numeric", "12x", "0012", 0),
        ("i;ascii-numeric", "9", "10", -1),
        ("i;ascii-numeric", "", "99999", 1),
        ("i;ascii-numeric", "-1", "x", 0),
        ("i;ascii-casemap", "a", "_", -1),
        ("i;octet", "a", "_", 1),
        ("i;octet", "a", "B", 1),
        ("i;ascii-casemap", "a", "B", -1),
    ],
)
def test_order(comparator: str, a: str, b: str, order: int) -> None:
    assert compare(comparator, a, b) == order


def test_numbers_have_no_end() -> None:
    assert numeric("9" * 100_000) is not None
    assert numeric("٣") is None


@pytest.mark.parametrize(
    ("relation", "true_for"),
    [("gt", "3"), ("ge", "23"), ("lt", "1"), ("le", "12"), ("eq", "2"), ("ne", "13")],
)
def test_relations(relation: str, true_for: str) -> None:
    matcher = Matcher("value", "i;ascii-numeric", relation)
    assert "".join(n for n in "123" if first(matcher, n, ["2"]) is not None) == true_for
    counter = Matcher("count", "i;ascii-numeric", relation)
    assert "".join(n for n in "123" if counter.count(int(n), ["2"])) == true_for
