"""imap4flags: the internal variable, named ones, and what a message is filed with. [RFC5232]"""

from __future__ import annotations

from pathlib import Path

from tests.sieve.tables import ALONE, KEPT, Row, check_mistakes, check_rows, into, yes

REQUIRE = 'require ["imap4flags", "fileinto", "variables", "relational", "copy", "comparator-i;ascii-numeric"];\n'
ROWS = [
    Row('setflag "\\\\Seen";', [("store", "INBOX", "\\seen")]),
    Row('setflag ["\\\\Seen", "a b", "A"];', [("store", "INBOX", "\\seen", "a", "b")]),
    Row('setflag "\\\\Seen"; setflag "";', KEPT),
    Row('addflag "a"; addflag "b a"; removeflag "A";', [("store", "INBOX", "b")]),
    Row('addflag "\\\\Recent"; addflag "\\\\nonsense"; addflag "bad(flag";', KEPT, theirs=ALONE),
    Row('addflag "\\\\SEEN";', [("store", "INBOX", "\\seen")]),
    Row('setflag "v" "a"; keep;', KEPT),
    Row('setflag "v" "a"; keep :flags "${v}";', [("store", "INBOX", "a")]),
    Row('setflag "a"; fileinto "x"; setflag "b"; fileinto "y";', [("store", "x", "a"), ("store", "y", "b")]),
    Row('setflag "a"; fileinto :flags "b" "x";', [("store", "x", "b")]),
    Row('setflag "a"; fileinto :flags "" "x";', into("x")),
    Row('setflag "a"; fileinto :copy "x"; setflag "b";', [("store", "INBOX", "b"), ("store", "x", "a")]),
    Row('keep; setflag "late";', KEPT),
    Row(
        'addflag "v" ["a", "b"]; removeflag "v" "a"; if hasflag "v" "b" { fileinto :flags "${v}" "x"; }',
        [("store", "x", "b")],
    ),
    yes('not hasflag "a"'),
    Row('setflag "a b"; if hasflag "B" { fileinto "yes"; }', [("store", "yes", "a", "b")]),
    Row('setflag "forward"; if hasflag :contains "war" { discard; }', []),
    Row('setflag "forward"; if hasflag :matches "f*" { discard; }', []),
    Row('setflag "a b a"; if hasflag :count "eq" :comparator "i;ascii-numeric" "2" { discard; }', []),
    Row('setflag "u" "a"; setflag "v" "b"; if hasflag ["u", "v"] "b" { discard; }', []),
]
MISTAKES = [
    ("setflag;", "flags"),
    ("keep :flags 1;", "flags"),
    ('redirect :flags "a" "x@example.net";', "takes no tag :flags"),
]


def test_rows(tmp_path: Path) -> None:
    check_rows(REQUIRE, ROWS, tmp_path)


def test_mistakes() -> None:
    check_mistakes(REQUIRE, MISTAKES)


def test_naming_a_variable_needs_variables() -> None:
    check_mistakes(
        'require "imap4flags";',
        [('setflag "v" "a";', "needs require 'variables'"), ('if hasflag "v" "a" {}', "needs require 'variables'")],
    )
