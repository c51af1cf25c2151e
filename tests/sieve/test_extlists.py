"""extlists: lists that somebody else keeps. [RFC6134]"""

from __future__ import annotations

from pathlib import Path

from mas.sieve.questions import ListHolds, ListKnown
from tests.sieve.support import run_script
from tests.sieve.tables import ALONE, Row, check_mistakes, check_rows, no

REQUIRE = 'require ["extlists", "fileinto", "variables", "envelope"];\n'
ROWS = [
    no('header :list "from" "urn:example:friends"', theirs=ALONE),
    Row('redirect :list "urn:example:friends";', [("redirect", "urn:example:friends")], theirs=ALONE),
]
MISTAKES = [
    ('redirect "urn:example:friends";', "is not an address"),
    ('if header :list :is "from" "x" {}', "exclude each other"),
]


def test_rows(tmp_path: Path) -> None:
    check_rows(REQUIRE, ROWS, tmp_path)


def test_mistakes() -> None:
    check_mistakes(REQUIRE, MISTAKES)


def test_lists_are_asked() -> None:
    def holds(question: ListHolds) -> bool:
        return question.list_name == "friends" and "kim@example.org" in question.values

    answers = {ListHolds: holds, ListKnown: lambda question: question.names == ("friends",)}
    for test, true in (
        ('address :list "from" "friends"', True),
        ('address :list "to" "friends"', False),
        ('address :list "from" ["foes", "friends"]', True),
        ('envelope :list "from" "friends"', False),
        ('valid_ext_list "friends"', True),
        ('valid_ext_list ["friends", "foes"]', False),
    ):
        result = run_script(f"{REQUIRE}if {test} {{ discard; }}", answers=answers)
        assert (result.error, result.keep) == (None, not true), test
