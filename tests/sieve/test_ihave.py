"""ihave and error: what is not there is an error only where it is reached. [RFC5463]"""

from __future__ import annotations

from pathlib import Path

from tests.sieve.tables import FAILED, KEPT, Row, check_mistakes, check_rows, into, no, yes

REQUIRE = 'require ["ihave", "fileinto", "variables"];\n'
ROWS = [
    yes('ihave "fileinto"'),
    yes('ihave ["fileinto", "vacation", "comparator-i;octet"]'),
    no('ihave ["fileinto", "vnd.example.none"]'),
    no('ihave ""'),
    Row('if ihave "vacation" { vacation "x"; }', [("vacation", "604800"), *KEPT]),
    Row('if ihave "vnd.example.none" { nonsense :tag 1 { more; } } else { fileinto "else"; }', into("else")),
    Row('if not ihave "vnd.example.none" { error "none here"; }', FAILED),
    Row("if false { nonsense; }", KEPT),
    Row("nonsense;", FAILED, theirs=[("no script",)]),
    # Not enabled is found when it is reached, not before [RFC5463 4].
    Row('vacation "x";', FAILED, theirs=[("no script",)]),
    Row("error text:\nmore\nlines\n.\n;", FAILED),
    # Enabled for the rest of the script, not for the block alone [RFC5463 4].
    Row('if ihave "copy" {} fileinto :copy "a";', into("INBOX", "a")),
    Row('if allof(ihave "copy", false) {} fileinto :copy "a";', into("INBOX", "a")),
    Row('if anyof(true, ihave "copy") {} fileinto :copy "a";', FAILED, theirs=[("no script",)]),
]
MISTAKES = [
    ("if ihave {}", "ihave"),
    ("error;", "error"),
    ('require "vnd.example.none";', "unsupported extension"),
]


def test_rows(tmp_path: Path) -> None:
    check_rows(REQUIRE, ROWS, tmp_path)


def test_mistakes() -> None:
    check_mistakes(REQUIRE, MISTAKES)
