"""editheader: what later tests see, and what is protected. [RFC5293]"""

from __future__ import annotations

from pathlib import Path

from mas.sieve.actions import AddField, RemoveField
from tests.sieve.support import run_script
from tests.sieve.tables import ALONE, FAILED, KEPT, Row, check_mistakes, check_rows, into

REQUIRE = (
    'require ["editheader", "fileinto", "variables", "index", "relational", "regex", "comparator-i;ascii-numeric"];\n'
)
ROWS = [
    Row('addheader "X-A" "b"; if header "x-a" "b" { fileinto "yes"; }', into("yes")),
    Row('addheader "Subject" "new"; if header :index 1 "subject" "new" { fileinto "first"; }', into("first")),
    Row('addheader :last "Subject" "new"; if header :index 2 "subject" "new" { fileinto "last"; }', into("last")),
    Row('addheader "X-A" "für"; if header "x-a" "für" { fileinto "yes"; }', into("yes")),
    Row('deleteheader "subject"; if exists "subject" { fileinto "no"; }', KEPT),
    Row('deleteheader "Received"; if exists "received" { fileinto "yes"; }', into("yes")),
    Row('deleteheader :index 1 "x-many"; if header :index 1 "x-many" "b" { fileinto "yes"; }', into("yes"), "plain"),
    Row('deleteheader :index 1 :last "x-many"; if header "x-many" "c" { fileinto "no"; }', KEPT, "plain"),
    Row('deleteheader :index 9 "x-many"; if header "x-many" "c" { fileinto "yes"; }', into("yes"), "plain"),
    Row('deleteheader :contains "x-many" "b"; if header "x-many" "b" { fileinto "no"; }', KEPT, "plain"),
    # Pigeonhole's sieve-test crashes on it.
    Row(
        'deleteheader :regex "x-many" ["a", "c"]; if header "x-many" ["a", "c"] { fileinto "no"; }',
        KEPT,
        "plain",
        ALONE,
    ),
    Row('deleteheader :index 2 "x-many" "c"; if header "x-many" "c" { fileinto "yes"; }', into("yes"), "plain"),
    Row(
        'deleteheader :value "gt" :comparator "i;ascii-numeric" "x-number" "11"; if exists "x-number" { fileinto "no"; }',
        KEPT,
    ),
    Row('addheader "X-A" "1"; addheader "X-A" "2"; deleteheader "x-a"; if exists "x-a" { fileinto "no"; }', KEPT),
    Row('addheader "X-A" "b"; if header :contains "message-id" "1" { fileinto "yes"; }', into("yes")),
    Row('set "name" "X A"; addheader "${name}" "b";', FAILED, theirs=ALONE),
]
MISTAKES = [
    ('addheader "X A" "b";', "is not a header field name"),
    ('addheader "X:A" "b";', "is not a header field name"),
    ('addheader "X-A";', "addheader"),
    ('deleteheader :last "X-A";', ":last needs :index"),
    ('deleteheader :index "1" "X-A";', "number"),
]


def test_rows(tmp_path: Path) -> None:
    check_rows(REQUIRE, ROWS, tmp_path)


def test_mistakes() -> None:
    check_mistakes(REQUIRE, MISTAKES)


def test_edits_are_listed_in_order() -> None:
    result = run_script(
        REQUIRE + 'addheader "X-A" "1"; deleteheader "received"; deleteheader "cc"; addheader :last "X-B" "a\r\n b";'
    )
    assert result.edits == [AddField("X-A", "1"), RemoveField("cc", 0), AddField("X-B", "a b", last=True)]


def test_a_field_has_a_greatest_length() -> None:
    script = 'set "a" "' + "x" * 2000 + '"; addheader "X-A" "${a}${a}";'
    assert "longer than 2048 characters" in str(run_script(REQUIRE + script).error)
