"""date, currentdate, index: parts, zones, which field. [RFC5260]"""

from __future__ import annotations

from pathlib import Path

from tests.sieve.tables import ALONE, check_mistakes, check_rows, gives, into, no, yes

REQUIRE = 'require ["date", "index", "fileinto", "variables", "relational", "comparator-i;ascii-numeric"];\n'
ROWS = [
    gives('date :matches :originalzone "date" "year" "*"', "2026"),
    gives('date :matches :originalzone "date" "month" "*"', "03"),
    gives('date :matches :originalzone "date" "day" "*"', "03"),
    gives('date :matches :originalzone "date" "date" "*"', "2026-03-03"),
    gives('date :matches :originalzone "date" "julian" "*"', "61102"),
    gives('date :matches :originalzone "date" "hour" "*"', "09"),
    gives('date :matches :originalzone "date" "minute" "*"', "30"),
    gives('date :matches :originalzone "date" "second" "*"', "00"),
    gives('date :matches :originalzone "date" "time" "*"', "09:30:00"),
    gives('date :matches :originalzone "date" "iso8601" "*"', "2026-03-03T09:30:00+01:00"),
    gives('date :matches :originalzone "date" "std11" "*"', "Tue, 03 Mar 2026 09:30:00 +0100"),
    gives('date :matches :originalzone "date" "zone" "*"', "+0100"),
    gives('date :matches :originalzone "date" "weekday" "*"', "2"),
    gives('date :matches :zone "-1200" "date" "iso8601" "*"', "2026-03-02T20:30:00-12:00"),
    gives('date :matches :zone "+0000" "date" "std11" "*"', "Sun, 01 Mar 2026 05:29:59 +0000", "plain"),
    gives('date :matches :originalzone "date" "julian" "*"', "40587", "nested"),
    gives('date :matches :index 1 :originalzone "received" "time" "*"', "09:31:00"),
    # Pigeonhole looks at the first field, whatever :index says.
    gives('date :matches :index 2 :originalzone "received" "time" "*"', "09:30:30", theirs=into("09:31:00")),
    gives('date :matches :index 1 :last :originalzone "received" "time" "*"', "09:30:30", theirs=into("09:31:00")),
    # No zone, no time.
    no('date :zone "CET" "date" "year" "2026"', theirs=into("yes")),
    no('date :zone "+0160" "date" "year" "2026"', theirs=into("yes")),
    no('date :index 3 "received" "year" "2026"'),
    no('date "x-none" "year" "2026"'),
    no('date "subject" "year" "2026"'),
    no('date "date" "century" "20"', theirs=ALONE),
    yes('date :count "eq" :comparator "i;ascii-numeric" "x-none" "year" "0"'),
    yes('date :value "gt" :comparator "i;ascii-numeric" "date" "year" "2025"'),
    yes('currentdate :value "ge" :comparator "i;ascii-numeric" "year" "2026"'),
    yes('currentdate :zone "+0000" :matches "iso8601" "*T*"'),
    yes('header :index 2 :contains "received" "from c"'),
    # The fields of all names are counted, in the order of the names.
    gives('header :index 3 :matches ["x-number", "received", "subject"] "from * *"', "c"),
    gives('header :index 1 :last :matches ["received", "x-number"] "*"', "12"),
    no('header :index 2 :contains ["subject", "x-number"] "list"'),
    gives('address :index 2 :matches :localpart ["cc", "from"] "*"', "kim"),
    yes('header :index 1 :last :contains "received" "from c"'),
    no('header :index 1 :contains "received" "from c"'),
    no('header :index 0 :contains "received" "from"', theirs=ALONE),
    yes('header :index 2 "x-many" "b"', "plain"),
    yes('address :index 1 "from" "kim@example.org"'),
]
MISTAKES = [
    ('if date :zone "+0100" :originalzone "date" "year" "1" {}', "exclude each other"),
    ('if currentdate :originalzone "year" "1" {}', "takes no tag :originalzone"),
    ('if header :last "a" "b" {}', ":last needs :index"),
    ('if header :index "1" "a" "b" {}', "number"),
]


def test_rows(tmp_path: Path) -> None:
    check_rows(REQUIRE, ROWS, tmp_path)


def test_mistakes() -> None:
    check_mistakes(REQUIRE, MISTAKES)
