"""i;unicode-casemap [RFC5051]."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mas.storage.mime.casemap import casemap


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("abc", "ABC"),
        ("größe", "GRÖßE"),
        ("ÄÖÜ", "a\u0308o\u0308u\u0308"),
        ("привет", "ПРИВЕТ"),
        ("ﬁn", "FIN"),
        ("Ａ", "a"),
        ("ǆ", "ǅ"),
        ("ς", "Σ"),
        ("한", unicodedata.normalize("NFD", "한")),
        ("ı", "i"),
    ],
)
def test_equal(one: str, other: str) -> None:
    assert casemap(one) == casemap(other)


@pytest.mark.parametrize(("one", "other"), [("ß", "ss"), ("a", "ä")])
def test_not_equal(one: str, other: str) -> None:
    assert casemap(one) != casemap(other)


@given(st.text(max_size=40))
def test_a_canonical_form_is_its_own(text: str) -> None:
    assert casemap(casemap(text)) == casemap(text)


@given(st.text(max_size=40), st.text(max_size=10), st.text(max_size=40))
def test_substrings_stay_substrings(before: str, text: str, after: str) -> None:
    assert casemap(before) + casemap(text) + casemap(after) == casemap(before + text + after)
