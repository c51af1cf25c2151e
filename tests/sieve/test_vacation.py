"""vacation: times and their limits, what names a reply. [RFC5230] [RFC6131]"""

from __future__ import annotations

from pathlib import Path

from mas.sieve.actions import Vacation
from mas.sieve.limits import Limits
from tests.sieve.support import run_script
from tests.sieve.tables import FAILED, KEPT, Row, check_mistakes, check_rows

REQUIRE = 'require ["vacation", "vacation-seconds", "fileinto", "variables", "reject"];\n'
ROWS = [
    Row('vacation "x";', [("vacation", "604800"), *KEPT]),
    Row('vacation :days 3 "x"; discard;', [("vacation", "259200")]),
    Row('vacation :days 0 "x";', [("vacation", "86400"), *KEPT]),
    Row('vacation :seconds 90000 "x";', [("vacation", "90000"), *KEPT]),
    Row('vacation :seconds 1 "x";', [("vacation", "86400"), *KEPT]),
    Row('vacation "x"; vacation "y";', FAILED),
    Row('vacation "x"; reject "y";', FAILED),
    Row('vacation :mime "Content-Type: text/html\n\n<b>x</b>";', [("vacation", "604800"), *KEPT]),
    Row('set "r" "x"; vacation :subject "${r}" :from "a@example.net" "${r}";', [("vacation", "604800"), *KEPT]),
    Row(
        'vacation :addresses ["a@example.net", "b@example.net"] :from "Lee <lee@example.net>" "x";',
        [("vacation", "604800"), *KEPT],
    ),
    Row('vacation :addresses "nobody" "x";', [("vacation", "604800"), *KEPT]),
]
MISTAKES = [
    ("vacation;", "reason"),
    ('vacation :days "3" "x";', "number"),
    ('vacation :days 3 :seconds 3 "x";', "exclude each other"),
    ('vacation :from "nobody" "x";', "is not an address"),
    ('vacation ["x", "y"];', "string"),
]


def test_rows(tmp_path: Path) -> None:
    check_rows(REQUIRE, ROWS, tmp_path)


def test_mistakes() -> None:
    check_mistakes(REQUIRE, MISTAKES)


def handle(script: str) -> str:
    (action,) = run_script(REQUIRE + script).actions
    assert isinstance(action, Vacation)
    return action.handle


def test_what_names_a_reply() -> None:
    """Replies that differ are different replies, unless they are said to be one [RFC5230 4.2]."""
    same = [
        handle(script)
        for script in ('vacation "x";', 'vacation :days 3 "x";', 'vacation :addresses "a@example.net" "x";')
    ]
    assert len(set(same)) == 1
    others = [
        'vacation "y";',
        'vacation :subject "s" "x";',
        'vacation :from "a@example.net" "x";',
        'vacation :mime "x";',
    ]
    assert len({same[0], *map(handle, others)}) == 5
    assert handle('vacation :handle "h" "x";') == handle('vacation :handle "h" :subject "s" "y";') == "h"


def test_the_administrators_limits() -> None:
    limits = Limits(vacation_min_seconds=0, vacation_max_seconds=1000, vacation_default_seconds=500)
    for script, seconds in (('vacation "x";', 500), ('vacation :days 3 "x";', 1000), ('vacation :seconds 0 "x";', 0)):
        (action,) = run_script(REQUIRE + script, limits=limits).actions
        assert isinstance(action, Vacation)
        assert action.seconds == seconds
