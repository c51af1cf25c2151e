"""enotify with mailto: whom, what is a valid method, what is known of one. [RFC5435] [RFC5436]"""

from __future__ import annotations

from pathlib import Path

from tests.sieve.tables import ALONE, FAILED, KEPT, Row, check_mistakes, check_rows, no, yes

REQUIRE = 'require ["enotify", "fileinto", "variables", "relational", "comparator-i;ascii-numeric"];\n'
ROWS = [
    Row('notify "mailto:a@example.net";', [("notify", "a@example.net"), *KEPT]),
    Row(
        'notify :importance "1" :message "m" "mailto:a@example.net?subject=s&body=b";',
        [("notify", "a@example.net"), *KEPT],
    ),
    Row('set "who" "a@example.net"; notify "mailto:${who}"; discard;', [("notify", "a@example.net")]),
    Row('set "who" "nobody"; notify "mailto:${who}";', FAILED, theirs=ALONE),
    Row('set "i" "9"; notify :importance "${i}" "mailto:a@example.net";', FAILED, theirs=ALONE),
    yes('valid_notify_method "mailto:a@example.net"'),
    yes('valid_notify_method "MAILTO:a%2Bb@example.net"', theirs=ALONE),
    yes('valid_notify_method "mailto:a@example.net?to=b@example.net"'),
    yes('valid_notify_method "mailto:?to=a@example.net"'),
    yes('valid_notify_method "mailto:a@example.net,b@example.net"', theirs=ALONE),
    no('valid_notify_method "mailto:"', theirs=ALONE),
    no('valid_notify_method "mailto:nobody"'),
    no('valid_notify_method ["mailto:a@example.net", "tel:+1"]'),
    no('valid_notify_method "nonsense"'),
    yes('notify_method_capability "mailto:a@example.net" "online" "maybe"'),
    yes('notify_method_capability :contains "mailto:a@example.net" "Online" "may"'),
    no('notify_method_capability "mailto:a@example.net" "online" "yes"'),
    no('notify_method_capability "mailto:a@example.net" "colour" "maybe"'),
    no('notify_method_capability "tel:+1" "online" "maybe"'),
]
MISTAKES = [
    ('notify "tel:+1";', "is not a mailto URI"),
    ('notify "mailto:";', "is not a mailto URI"),
    ('notify "mailto:' + ",".join(["a@example.net"] * 9) + '";', "is not a mailto URI"),
    ('notify :importance "0" "mailto:a@example.net";', ":importance is 1, 2 or 3"),
    ('notify :importance 1 "mailto:a@example.net";', "string"),
    ('notify :options "x" "mailto:a@example.net";', "is not an option"),
    ("notify;", "method"),
]


def test_rows(tmp_path: Path) -> None:
    check_rows(REQUIRE, ROWS, tmp_path)


def test_mistakes() -> None:
    check_mistakes(REQUIRE, MISTAKES)
