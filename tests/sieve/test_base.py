"""The base language: its actions, tests and match types; envelope, subaddress, copy, reject, relational. [RFC5228] [RFC5233] [RFC5429]"""

from __future__ import annotations

from pathlib import Path

from tests.sieve.differential import ours
from tests.sieve.tables import ALONE, FAILED, KEPT, Row, check_mistakes, check_rows, gives, into, no, yes

REQUIRE = (
    'require ["fileinto", "copy", "envelope", "subaddress", '
    '"reject", "relational", "variables", "encoded-character", "comparator-i;ascii-numeric"];\n'
)
ROWS = [
    Row("", KEPT),
    Row("discard;", []),
    Row("keep; discard;", KEPT),
    Row('fileinto "a"; keep;', into("INBOX", "a")),
    Row('fileinto "a"; stop; fileinto "b";', into("a")),
    Row('fileinto "inbox";', into("inbox")),
    Row('fileinto "a"; fileinto "a";', into("a")),
    Row('fileinto :copy "a"; redirect :copy "x@example.net";', [("redirect", "x@example.net"), *into("INBOX", "a")]),
    Row('redirect "x@example.net"; redirect "x@example.net";', [("redirect", "x@example.net")]),
    Row('redirect "x@example.net"; keep;', [("redirect", "x@example.net"), *KEPT]),
    Row('redirect "a@b.c"; redirect "b@b.c"; redirect "c@b.c"; redirect "d@b.c"; redirect "e@b.c";', FAILED),
    Row('reject "no"; stop; keep;', [("reject",)]),
    Row('reject "no"; fileinto "a";', FAILED),
    Row('fileinto "a"; reject "no";', FAILED),
    Row('reject "no"; reject "never";', FAILED),
    Row('reject "no"; discard;', [("reject",)]),
    Row('set "to" "x@example.net"; redirect "${to}";', [("redirect", "x@example.net")]),
    Row('redirect "Kim Example <kim@example.net>";', [("redirect", "kim@example.net")]),
    Row('redirect "\\"Kim, Example\\" <kim@example.net>";', [("redirect", "kim@example.net")]),
    Row('set "to" "nobody"; redirect "${to}";', FAILED),
    # Tests
    yes("true"),
    no("false"),
    yes("not false"),
    no("allof(true, not true)"),
    yes("anyof(false, anyof(false, true))"),
    yes('exists "FROM"'),
    no('exists ["from", "reply-to"]'),
    no('exists ""', theirs=ALONE),
    yes("size :over 500"),
    no("size :over 1M"),
    yes("size :under 1M"),
    no("size :under 0"),
    yes('header :contains "from" "EXAMPLE.ORG"'),
    no('header :comparator "i;octet" :contains "from" "EXAMPLE.ORG"'),
    yes('header :matches ["x-none", "subject"] ["nothing", "[list]*"]'),
    no('header :matches "subject" "\\[list]"'),
    yes('header :matches "subject" "?list?*"'),
    no('header "subject" "["'),
    yes('header :contains "x-spam-score" ""'),
    gives('header :matches "message-id" "<*@*>"', "1"),
    yes('address "from" "KIM@example.org"'),
    yes('address :localpart "from" "kim"'),
    yes('address :domain ["cc", "to"] "example.NET"'),
    yes('address :user "to" "lee"'),
    yes('address :detail "to" "lists"'),
    no('address :detail "from" ""'),
    yes('address :contains "from" "@"'),
    no('address "from" "Kim Example"'),
    yes('envelope "to" "lee+lists@example.net"'),
    yes('envelope :detail ["from", "to"] "lists"'),
    yes('envelope :localpart :matches "from" "*-bounces"'),
    no('envelope :domain "from" "example.net"'),
    # Relations
    yes('header :count "eq" :comparator "i;ascii-numeric" "received" "2"'),
    yes('header :count "eq" :comparator "i;ascii-numeric" "x-none" "0"'),
    yes('header :value "ge" :comparator "i;ascii-numeric" "x-number" "12"'),
    no('header :value "gt" :comparator "i;ascii-numeric" "x-number" "12"'),
    yes('header :value "ne" "x-number" "13"'),
    yes('header :comparator "i;ascii-numeric" "x-number" "012"'),
    yes('address :count "eq" :comparator "i;ascii-numeric" ["from", "to"] "3"'),
    yes('envelope :count "eq" :comparator "i;ascii-numeric" ["from", "to"] "2"'),
    # Encoded characters
    yes('header :contains "from" "${hex:6b 69 6D}"'),
    yes('header :contains "subject" "f${unicode:00fc}r"'),
]
MISTAKES = [
    ("redirect;", "redirect"),
    ('redirect "x@y@z";', "is not an address"),
    ('redirect "Kim <kim@example.net>, Lee <lee@example.net>";', "is not an address"),
    ('redirect "Kim <kim>";', "is not an address"),
    ('redirect "<@example.org:kim@example.net>";', "is not an address"),
    ('redirect "";', "is not an address"),
    ("fileinto;", "mailbox"),
    ('fileinto "";', "is not a mailbox name"),
    ('fileinto "a\\tb";'.replace("\\t", "\t"), "is not a mailbox name"),
    ('fileinto :nocopy "a";', "takes no tag :nocopy"),
    ('reject ["a", "b"];', "not a list"),
    ('if header :is :contains "a" "b" {}', "exclude each other"),
    ('if header :comparator "i;klingon" "a" "b" {}', "i;klingon"),
    ('if header :comparator "i;ascii-numeric" :contains "a" "b" {}', "i;ascii-numeric"),
    ('if header :count "like" "a" "1" {}', "takes one of eq, ge"),
    ('if address :localpart :domain "from" "b" {}', "exclude each other"),
    ('if address "subject" "b" {}', "holds no addresses"),
    ('if envelope "bcc" "b" {}', "unknown envelope part 'bcc'"),
    ("if size 100 {}", "size takes :over or :under"),
    ("if size :over :under 100 {}", "exclude each other"),
    ('if size :over "100" {}', "number"),
    ("if not (true) {}", "exactly one test"),
    ("if allof true {}", "list of tests in parentheses"),
    ("stop", "expected ';'"),
    ("stop; elsif true {}", "elsif without an if"),
    ("if true {} else {} else {}", "else without an if"),
    ("true;", "'true' is a test, not a command"),
    ('ereject "no";', "'ereject' needs require 'ereject'"),
    ("if keep {}", "'keep' is a command, not a test"),
]


def test_rows(tmp_path: Path) -> None:
    check_rows(REQUIRE, ROWS, tmp_path)


ENCODED = """\
From: =?utf-8?q?boss=40example=2Enet=2C?= <kim@example.org>
To: =?utf-8?b?PGxlZUBleGFtcGxlLm5ldD4=?= <pat@example.net>
Subject: =?utf-8?q?boss=40example=2Enet?=

x
"""
"""Names that are addresses once they are decoded; none of them is an address [RFC2047 5 (3)]."""


def test_an_encoded_name_is_no_address(tmp_path: Path) -> None:
    script = tmp_path / "script.sieve"
    for test, true in (
        ('address "from" "boss@example.net"', False),
        ('address "from" "kim@example.org"', True),
        ('address :contains ["from", "to"] ["boss", "lee"]', False),
        ('address :count "eq" :comparator "i;ascii-numeric" ["from", "to"] "2"', True),
        ('address :mime :anychild "from" "boss@example.net"', False),
        ('address :mime "to" "pat@example.net"', True),
        ('header :contains "from" "boss@example.net"', True),
        ('header "subject" "boss@example.net"', True),
    ):
        script.write_text(
            'require ["mime", "relational", "comparator-i;ascii-numeric", "editheader"];\n'
            f'addheader "X-A" "b"; if {test} {{ discard; }}'
        )
        assert ours(script, ENCODED.encode()) == ([] if true else [("store", "INBOX")]), test


def test_an_added_address_field_is_seen(tmp_path: Path) -> None:
    script = tmp_path / "script.sieve"
    script.write_text(
        'require "editheader"; deleteheader "from"; addheader "From" "Lee <lee@example.net>";'
        'if address "from" "lee@example.net" { discard; }'
    )
    assert ours(script, ENCODED.encode()) == []


def test_mistakes() -> None:
    check_mistakes(REQUIRE, MISTAKES)
