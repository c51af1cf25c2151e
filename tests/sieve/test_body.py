"""body: what is looked at, decoded, by transform. [RFC5173]"""

from __future__ import annotations

from pathlib import Path

from tests.sieve.tables import Row, check_mistakes, check_rows, into, no, yes

REQUIRE = 'require ["body", "fileinto", "variables", "relational", "regex", "comparator-i;ascii-numeric"];\n'
ROWS = [
    yes('body :contains "hére"'),
    yes('body :contains "HELLO"'),
    no('body :comparator "i;octet" :contains "HELLO"'),
    no('body :contains "%PDF"'),
    yes('body :raw :contains "h=C3=A9re"'),
    no('body :raw :contains "hére"'),
    yes('body :raw :contains "--b1"'),
    yes('body :content "application/pdf" :contains "%PDF"'),
    yes('body :content ["image", "APPLICATION"] :contains "%pdf"'),
    no('body :content "application/" :contains "%PDF"'),
    no('body :content "app" :contains "%PDF"'),
    yes('body :content "" :contains "%PDF"'),
    no('body :content "multipart" :contains "Hello"'),
    # Of a multipart what stands around its parts, of a message its header, as one string each [RFC5173 5.2].
    yes('body :content "multipart" :contains "preamble money"', "nested"),
    no('body :content "multipart" :contains "--outer"', "nested"),
    no('body :content "multipart" :contains "inner subject"', "nested"),
    yes('body :content "multipart/mixed" :is "preamble money"', "nested"),
    no('body :content "message/rfc822" :contains "--inner"', "nested"),
    yes('body :content "message/rfc822" :matches "From:*boundary=inner??"', "nested"),
    yes('body :text :regex "mon[a-z]y"'),
    yes('body :contains "Köln"', "nested"),
    yes('body :content "message/rfc822" :contains "inner subject"', "nested"),
    no('body :content "message/rfc822" :contains "Köln"', "nested"),
    yes('body :raw :contains "MONEY"', "plain"),
    no('body :contains "x"', "bare"),
    # Wildcards set no values [RFC5173 6].
    Row('if body :matches "*Lee*" { fileinto "v${1}"; }', into("v")),
]
MISTAKES = [
    ('if body :raw :text "a" {}', "exclude each other"),
    ('if body :content :raw "a" {}', "content"),
    ('if body :octets "a" {}', "takes no tag :octets"),
    ("if body {}", "keys"),
]


def test_rows(tmp_path: Path) -> None:
    check_rows(REQUIRE, ROWS, tmp_path)


def test_mistakes() -> None:
    check_mistakes(REQUIRE, MISTAKES)
