"""spamtest, spamtestplus, virustest: the value of a verdict, and what is not tested. [RFC5235]"""

from __future__ import annotations

from pathlib import Path

import pytest

from mas.sieve.actions import FileInto
from mas.sieve.extensions import default_registry
from mas.sieve.extensions.spamtest import Verdict, extensions
from tests.sieve.support import run_script
from tests.sieve.tables import KEPT, Row, check_mistakes, check_rows, gives, into, no, yes

REQUIRE = 'require ["spamtest", "spamtestplus", "virustest", "fileinto", "variables", "relational", "comparator-i;ascii-numeric"];\n'
VALUE = ':comparator "i;ascii-numeric"'
ROWS = [
    # No verdict is configured here: nothing was tested, which is 0 [RFC5235 3.1].
    yes('spamtest "0"'),
    no('spamtest "1"'),
    yes(f'spamtest :value "eq" {VALUE} "0"'),
    yes('spamtest :percent "0"'),
    yes('virustest "0"'),
    no(f'virustest :value "gt" {VALUE} "0"'),
    gives('spamtest :matches "*"', "0"),
    gives('virustest :matches "?"', "0"),
    # Not tested: no value at all to count [RFC5235 3.2.2].
    yes(f'spamtest :count "eq" {VALUE} "0"', theirs=into("no")),
    yes(f'spamtest :percent :count "eq" {VALUE} "0"', theirs=into("no")),
    # A list, where the RFC has a string.
    Row('if spamtest ["0", "1"] { fileinto "x"; }', into("x"), theirs=[("no script",)]),
    Row('set "v" "0"; if spamtest "${v}" { fileinto "x"; }', into("x")),
    Row('if not virustest :contains "0" { discard; }', KEPT),
]
MISTAKES = [
    ("if spamtest {}", "spamtest takes keys"),
    ("if spamtest 0 {}", "keys takes a string list, not a number"),
    ('if spamtest "0" "1" {}', "spamtest takes keys"),
    ('if spamtest :all "0" {}', "takes no tag :all"),
    ('if spamtest :percent :percent "0" {}', ":percent is given twice"),
    ('if virustest :percent "0" {}', "takes no tag :percent"),
    ('if spamtest :value "more" "0" {}', ":value takes one of"),
    ('spamtest "0";', "is a test, not a command"),
]


def test_rows(tmp_path: Path) -> None:
    check_rows(REQUIRE, ROWS, tmp_path)


def test_mistakes() -> None:
    check_mistakes(REQUIRE, MISTAKES)


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ('if spamtest "0" {}', "'spamtest' needs require 'spamtest'"),
        ('require "spamtest"; if spamtest :percent "0" {}', ":percent needs require 'spamtestplus'"),
        ('require "spamtestplus"; if virustest "0" {}', "'virustest' needs require 'virustest'"),
    ],
)
def test_each_has_its_own_capability(script: str, problem: str) -> None:
    check_mistakes("", [(script, problem)])


def test_spamtestplus_brings_spamtest() -> None:
    assert run_script('require "spamtestplus"; if spamtest :percent "0" { discard; }').keep is False


TEXTS = {"clean": 1, "suspect": 3, "infected": 5, "unknown": 0}
GRADES = [
    # verdict, header, spamtest, :percent, virustest. A step counts when it is reached: as Pigeonhole grades.
    (Verdict("X-S", max_value=10), "X-S: 0", "1", "0", "1"),
    (Verdict("X-S", max_value=10), "X-S: -3.5", "1", "0", "1"),
    (Verdict("X-S", max_value=10), "X-S: 1.1", "1", "11", "1"),
    (Verdict("X-S", max_value=10), "X-S: 1.12", "2", "11", "1"),
    (Verdict("X-S", max_value=10), "X-S: 2.9", "3", "29", "2"),
    (Verdict("X-S", max_value=10), "X-S: 7.5", "7", "75", "4"),
    (Verdict("X-S", max_value=10), "X-S: 9.99", "9", "99", "4"),
    (Verdict("X-S", max_value=10), "X-S: 10", "10", "100", "5"),
    (Verdict("X-S", max_value=10), "X-S: 99.5", "10", "100", "5"),
    (Verdict("X-S", max_value=10), "X-S: none", "0", "0", "0"),
    (Verdict("X-S", max_value=10), "X-T: 5", "0", "0", "0"),
    (Verdict("X-S"), "X-S: 5", "0", "0", "0"),
    (Verdict("X-S: score=(-?[0-9.]+)", max_value=5), "X-S: Yes, score=2.5 required=5.0", "5", "50", "3"),
    (Verdict("X-S: score=(-?[0-9.]+)", max_value=5), "X-S: Yes", "0", "0", "0"),
    (Verdict("X-S: score=([0-9.]+)", max_header="X-S: required=([0-9.]+)"), "X-S: score=2 required=4", "5", "50", "3"),
    (Verdict("X-S: score=([0-9.]+)", max_header="X-S: required=([0-9.]+)"), "X-S: score=2", "0", "0", "0"),
    (Verdict("X-S", max_header="X-Max"), "X-S: 3\nX-Max: 0", "0", "0", "0"),
    (Verdict("X-S", "strlen", 10), "X-S: *****", "5", "50", "3"),
    (Verdict("X-S", "strlen", 10), "X-S:", "1", "0", "1"),
    (Verdict("X-S", "text", texts=TEXTS), "X-S: Clean", "1", "10", "1"),
    (Verdict("X-S", "text", texts=TEXTS), "X-S: suspect", "3", "30", "3"),
    (Verdict("X-S", "text", texts=TEXTS), "X-S: infected", "5", "50", "5"),
    (Verdict("X-S", "text", texts=TEXTS), "X-S: unknown", "0", "0", "0"),
    (Verdict("X-S", "text", texts=TEXTS), "X-S: other", "0", "0", "0"),
    # The first field of the name.
    (Verdict("X-S", max_value=10), "X-S: 1\nX-S: 9", "1", "10", "1"),
]


@pytest.mark.parametrize(("verdict", "header", "spam", "percent", "virus"), GRADES)
def test_grades(verdict: Verdict, header: str, spam: str, percent: str, virus: str) -> None:
    registry = default_registry(add=extensions(verdict, verdict))
    script = REQUIRE + (
        'if spamtest :matches "*" { fileinto "${1}."; } if spamtest :percent :matches "*" { fileinto "${1}%"; } '
        'if virustest :matches "*" { fileinto "${1}!"; }'
    )
    actions = run_script(script, mail=f"{header}\n\n", registry=registry).actions
    assert [action.mailbox for action in actions if isinstance(action, FileInto)] == [
        f"{spam}.",
        f"{percent}%",
        f"{virus}!",
    ]


def test_every_value_of_a_text_is_the_tests_value() -> None:
    for highest, name in ((10, "spamtest"), (5, "virustest")):
        for value in range(highest + 1):
            verdict = Verdict("X-S", "text", texts={"it": value})
            registry = default_registry(add=extensions(verdict, verdict))
            script = f'{REQUIRE}if {name} "{value}" {{ discard; }}'
            assert not run_script(script, mail="X-S: it\n\n", registry=registry).keep, (name, value)


def test_a_tested_message_counts_one() -> None:
    registry = default_registry(add=extensions(Verdict("X-S", max_value=10)))
    script = f'{REQUIRE}if spamtest :count "eq" {VALUE} "1" {{ discard; }}'
    assert not run_script(script, mail="X-S: 0\n\n", registry=registry).keep
