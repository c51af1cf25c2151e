"""regex: POSIX extended patterns, their groups, and time that does not grow with the pattern. [draft-murchison-sieve-regex-07]"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sieve.support import run_script
from tests.sieve.tables import ALONE, FAILED, Row, check_mistakes, check_rows, gives, into, no, yes

REQUIRE = 'require ["regex", "fileinto", "variables", "envelope", "body"];\n'
ROWS = [
    yes('header :regex "subject" "^\\\\[list\\\\]"'),
    no('header :regex "subject" "^list"'),
    yes('header :regex "subject" "QUARTER"'),
    no('header :regex :comparator "i;octet" "subject" "QUARTER"'),
    yes('header :regex "subject" ["nothing", "report"]'),
    yes('header :regex "x-number" "^[[:digit:]]{2}$"'),
    yes('header :regex "x-number" "^(11|12)$"'),
    yes('address :regex :domain "from" "^example\\\\.(org|net)$"'),
    yes('envelope :regex "to" "\\\\\\+[a-z]+@"'),
    yes('body :regex "h.re"', theirs=into("no")),  # a character, not an octet
    gives('header :regex "subject" "\\\\[([a-z]+)\\\\]"', "list"),
    Row('if header :regex "x-number" "(1)(x)?(2)" { fileinto "${0}-${1}-${2}-${3}"; }', into("12-1--2")),
    Row('set "p" "^\\\\[l"; if header :regex "subject" "${p}" { fileinto "yes"; }', into("yes")),
    Row('set "p" "("; if header :regex "subject" "${p}" { fileinto "yes"; }', FAILED, theirs=ALONE),
    Row(
        'set :quoteregex "p" "[list]"; if header :regex "subject" "^${p}" { fileinto "yes"; }',
        into("yes"),
        theirs=ALONE,
    ),
]
MISTAKES = [
    ('if header :regex "a" "(" {}', "regular expression"),
    ('if header :regex "a" "[z-a]" {}', "regular expression"),
    ('if header :regex "a" "*" {}', "regular expression"),
    ('if header :regex "a" "(a)\\\\1" {}', "regular expression"),
    ('if header :regex "a" "a{1001}" {}', "regular expression"),
    ('if header :regex :comparator "i;ascii-numeric" "a" "1" {}', "i;ascii-numeric"),
]


def test_rows(tmp_path: Path) -> None:
    check_rows(REQUIRE, ROWS, tmp_path)


def test_mistakes() -> None:
    check_mistakes(REQUIRE, MISTAKES)


HOSTILE = [
    "(a+)+$",
    "(a|aa)+$",
    "(a*)*b",
    "(.*)*x",
    "(a?){30}a{30}b",
    "^(([a-z])+.)+[A-Z]([a-z])+$",
    "((a{0,99}){0,9})b",
]


@pytest.mark.slow
def test_patterns_that_blow_up_elsewhere() -> None:
    """Each ends in the test's time limit: with a matcher that goes back it would take years."""
    mail = f"Subject: {'a' * 5000}!\n\n{'a' * 100_000}\n"
    for pattern in HOSTILE:
        script = f'if anyof(header :regex "subject" "{pattern}", body :regex "{pattern}") {{ stop; }}'
        result = run_script(REQUIRE + script, mail=mail)
        assert result.error is None
