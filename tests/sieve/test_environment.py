"""environment: items of the delivery, and the vendor's own. [RFC5183]"""

from __future__ import annotations

from pathlib import Path

from tests.sieve.support import run_script
from tests.sieve.tables import ALONE, check_mistakes, check_rows, no

REQUIRE = 'require ["environment", "fileinto", "variables", "relational", "comparator-i;ascii-numeric"];\n'
ROWS = [
    no('environment "nothing" ""'),
    no('environment "vnd.dovecot.username" ""', theirs=ALONE),
]
MISTAKES = [
    ('if environment ["a", "b"] "c" {}', "not a list"),
    ('if environment "a" {}', "environment"),
]


def test_rows(tmp_path: Path) -> None:
    check_rows(REQUIRE, ROWS, tmp_path)


def test_mistakes() -> None:
    check_mistakes(REQUIRE, MISTAKES)


def test_items() -> None:
    items = {"domain": "example.net", "phase": "during", "vnd.dovecot.username": "kim", "empty": ""}
    for test, true in (
        ('environment "DOMAIN" "EXAMPLE.net"', True),
        ('environment :matches "phase" "d*"', True),
        ('environment :contains "phase" "post"', False),
        ('environment :count "eq" :comparator "i;ascii-numeric" "domain" "1"', True),
        ('environment "empty" ""', True),
        ('environment "vnd.dovecot.username" "kim"', False),
    ):
        result = run_script(f"{REQUIRE}if {test} {{ discard; }}", environment=items)
        assert (result.error, result.keep) == (None, not true), test


def test_the_vendors_items_need_their_extension() -> None:
    script = 'require "vnd.dovecot.environment"; if environment "vnd.dovecot.username" "kim" { discard; }'
    assert not run_script(script, environment={"vnd.dovecot.username": "kim"}).keep
