"""What a program may cost, said before it runs."""

from __future__ import annotations

import pytest

from mas.sieve.compiler import compile_script
from mas.sieve.interpreter import Run
from tests.sieve.support import EVERYTHING, TRANSACTION, TextMessage

REQUIRE = (
    'require ["fileinto", "envelope", "subaddress", "variables", "regex", "body", "mime", "imap4flags", "vacation", "include", '
    '"mailbox", "relational", "extlists", "editheader", "index", "foreverypart", "comparator-i;unicode-casemap"];\n'
)


@pytest.mark.parametrize(
    ("script", "cost"),
    [
        ("keep;", 2),
        ('if header :contains "subject" "a" { keep; }', 2 + 2 + 2),
        ('if header :is ["to", "cc"] ["a", "b", "c"] { stop; }', 2 + (1 + 2 * 3) + 2),
        ('if header :matches "subject" "*a*" { stop; }', 2 + (1 + 3 + 1) + 2),
        ('if not anyof (exists "a", size :over 1) { discard; } else { fileinto "b"; }', 2 + 2 + 2 + 2 + 2 + 2 + 2),
        ('if address :detail :count "gt" "to" "1" { addflag "\\\\Seen"; }', 2 + 2 + 2),
        ('vacation :days 7 "I am away";', 2),
        ('if header :index 1 :contains "received" "a" { keep; }', 2 + 2 + 2),
    ],
)
def test_what_looks_at_the_header_only(script: str, cost: int) -> None:
    assert compile_script((REQUIRE + script).encode(), EVERYTHING).cost == cost


@pytest.mark.parametrize(
    "script",
    [
        'if header :regex "subject" "a" { keep; }',
        'if header :matches "subject" "*a?b*" { keep; }',
        'if header :comparator "i;unicode-casemap" :contains "subject" "a" { keep; }',
        'if header :contains "subject" "${a}" { keep; }',
        'if header :list "subject" "addrbook:default" { keep; }',
        'if header :mime :contains "content-type" "a" { keep; }',
        'if body :contains "a" { keep; }',
        "foreverypart { keep; }",
        'set "a" "b";',
        'include "a";',
        'addheader "a" "b";',
        'fileinto "${a}";',
        'vacation "${a}";',
        'if true { if false { set "a" "b"; } }',
        'if not body :contains "a" { keep; }',
    ],
)
def test_what_may_take_longer(script: str) -> None:
    assert compile_script((REQUIRE + script).encode(), EVERYTHING).cost is None


def test_the_cost_bounds_the_steps() -> None:
    """Each step counts for one at least."""
    script = REQUIRE + 'if allof (header :contains "subject" ["a", "b"], not exists "x") { fileinto "A"; keep; }\n' * 40
    program = compile_script(script.encode(), EVERYTHING)
    run = Run(EVERYTHING, TextMessage("Subject: a b\n\n"), TRANSACTION)
    assert list(run.scripts([program])) == []
    assert program.cost is not None
    assert 40 <= run._steps <= program.cost
