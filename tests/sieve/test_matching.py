"""Tests of which others have asked the same before: what is kept of the header changes nothing but the time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mas.sieve.interpreter import Run
from mas.sieve.limits import Limits
from tests.sieve.support import EVERYTHING, TRANSACTION, TextMessage, compile_text, run_script

MAIL = (
    "From: Robin Ex\u00e4mple <Robin+Lists@Example.ORG>\nTo: kim@example.net, lee+a@example.net\nTo: Pat <pat@example.org>\n"
    "Subject:  Gr\u00fc\u00dfe ABC abc  \nX-Empty:\nX-Long: " + "ab" * 20_000 + "\n\nbody\n"
)
NAMES = ["subject", "Subject", "from", "to", "x-empty", "x-long", "x-none"]
KEYS = [
    "",
    "a",
    "ABC",
    "gr\u00fc",
    "GR\u00dc\u00dfE ABC ABC",
    "robin+lists@example.org",
    "lists",
    "*",
    "?*abc*",
    "*b*c*",
    "*@*",
    "kim",
    "pat*",
]

lists = st.lists(st.sampled_from(NAMES), min_size=1, max_size=2)
keys = st.lists(st.sampled_from(KEYS), min_size=1, max_size=3)


def quoted(texts: list[str]) -> str:
    return "[" + ", ".join(f'"{text}"' for text in texts) + "]"


@st.composite
def header_tests(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from([":is", ":contains", ":matches", ':value "gt"', ':count "eq"', ":regex"]))
    wanted = draw(keys) if kind != ":regex" else ["b(.)", "^(a*)"]
    comparator = draw(st.sampled_from(["", ':comparator "i;octet" ', ':comparator "i;unicode-casemap" ']))
    name = draw(st.sampled_from(["header", "address", "envelope"]))
    part = "" if name == "header" else draw(st.sampled_from(["", ":localpart ", ":domain ", ":user ", ":detail "]))
    of = draw(lists) if name == "header" else [draw(st.sampled_from(["from", "to"]))]
    index = ":index 1 " if name != "envelope" and draw(st.integers(0, 9)) == 0 else ""
    return f"{name} {index}{comparator}{part}{kind} {quoted(of)} {quoted(wanted)}"


@st.composite
def rules(draw: st.DrawFn) -> str:
    if draw(st.integers(0, 5)) == 0:
        return draw(
            st.sampled_from(['addheader "Subject" "abc";', 'deleteheader "To";', 'addheader "To" "kim@x.example";'])
        )
    test = draw(header_tests())
    how = draw(st.sampled_from(["{}", "not {}", 'anyof (header "x-none" "a", {})', "allof (true, {})"]))
    return f'if {how.format(test)} {{ fileinto "{draw(st.sampled_from("pqr"))}.${{1}}.${{2}}"; }}'


@given(st.lists(rules(), min_size=2, max_size=12))
def test_asked_before_or_not(script: list[str]) -> None:
    text = (
        'require ["fileinto", "envelope", "subaddress", "variables", "relational", "index", "regex", "editheader", '
        '"comparator-i;unicode-casemap"];\n' + "\n".join(script)
    )
    limits = Limits(max_actions=0)
    quick, traced = (run_script(text, mail=MAIL, limits=limits, trace=trace) for trace in (False, True))
    assert (quick.actions, quick.keep, quick.edits, quick.error) == (
        traced.actions,
        traced.keep,
        traced.edits,
        traced.error,
    )


@pytest.mark.parametrize(
    ("test", "edit"),
    [
        ('header :contains "subject" "new"', 'addheader "Subject" "new";'),
        ('header :is "subject" "new"', 'addheader :last "Subject" "new";'),
        ('header :matches "x-empty" "*new*"', 'addheader "X-Empty" "a new one";'),
        ('address :localpart "to" "new"', 'addheader "To" "new@example.org";'),
        ('not header :contains "subject" "abc"', 'deleteheader "Subject";'),
        ('not address :domain "to" "example.org"', 'deleteheader :matches "To" "*pat*";'),
    ],
)
def test_the_header_changes_between(test: str, edit: str) -> None:
    rule = f'if {test} {{ fileinto "found"; stop; }}\n'
    head = 'require ["fileinto", "editheader"];\n'
    assert run_script(head + rule * 2, mail=MAIL).actions == []
    assert len(run_script(head + rule + edit + rule, mail=MAIL).actions) == 1


def test_what_is_kept_of_a_header_is_bounded() -> None:
    """One long field is in the lists of a hundred tests."""
    tests = "".join(f'if header :contains ["subject", "x{n}"] "ab" {{ fileinto "{n}"; }}\n' for n in range(100))
    program = compile_text(f'require "fileinto";\n{tests * 2}')
    run = Run(EVERYTHING, TextMessage(f"Subject: {'ab' * 5000}\n\n"), TRANSACTION, limits=Limits(max_actions=0))
    assert list(run.scripts([program])) == []
    assert len(run.result.actions) == 100
    assert 10 < len(run.folded) < 30


@pytest.mark.parametrize(("times", "error"), [(200, ""), (300, "script takes more than 600 steps")])
def test_tests_count_as_steps(times: int, error: str) -> None:
    result = run_script("if not true { stop; }\n" * times, limits=Limits(max_steps=600))
    assert bool(result.error) is bool(error)
    assert error in str(result.error)
