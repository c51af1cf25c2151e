"""Mistakes as people make them: each is told once, where it stands, in a sentence that says what to do."""

from __future__ import annotations

import pytest

from mas.sieve.limits import Limits
from mas.sieve.source import ScriptError
from tests.sieve.support import EVERYTHING, compile_text

TOLD: list[tuple[str, list[str]]] = [
    ('require "fileinto"\nfileinto "a";', ["2:1: is a ';' missing before 'fileinto'? It ends a require"]),
    ("keep\nstop;", ["2:1: keep takes no test: is a ';' missing before 'stop'?"]),
    (
        'if header "a" "b"\n  keep;\n',
        ["1:1: if needs a block", "2:3: header takes no test: is a '{' missing before 'keep'?"],
    ),
    (
        'if header "a" subject { keep; }',
        [
            "1:4: header takes header-names (a string list), keys (a string list); 1 given",
            "1:15: 'subject' is no test here; a string stands in quotes",
        ],
    ),
    (
        'if not header "a" "b" and header "c" "d" { keep; }',
        ["1:23: there is no 'and' between tests: write allof (TEST, TEST)"],
    ),
    ("if true or false { keep; }", ["1:9: there is no 'or' between tests: write anyof (TEST, TEST)"]),
    ("if true { stop; }\nelse if false { keep; }", ["2:1: 'else if' is one word: elsif"]),
    ('require "filein";', ["1:9: unsupported extension 'filein'; did you mean 'fileinto'?"]),
    ('fileinto "a";', ["1:1: 'fileinto' needs require 'fileinto'"]),
    ('if adress "from" "x" { keep; }', ["1:4: unknown test 'adress'; did you mean 'address'?"]),
    ('if header :contain "a" "b" { keep; }', ["1:11: header takes no tag :contain; did you mean :contains?"]),
    ('redirect "nobody";', ["1:10: 'nobody' is not an address"]),
    ('require "vacation";\nvacation :days "7" "x";', ["2:16: :days takes a number, not a string"]),
    ('require "vacation";\nvacation ["7"];', ["2:10: reason takes a string, not a list"]),
    ("if size :over 1MB { keep; }", ["1:15: number has an unknown quantifier 'MB': K, M or G"]),
    ("keep; }", ["1:7: '}' without a '{' before it"]),
    ("if true {\n  keep;\n", ["3:1: '}' is missing: the block of line 1, column 9 is not closed"]),
    ("elsif true { keep; }", ["1:1: elsif without an if before it"]),
    ('require ["fileinto" "copy"];', ["1:21: expected ',' or ']' in a string list, found string"]),
    ('keep;\nredirect "a;\nkeep;', ["2:10: string is not closed: '\"' is missing"]),
    ("if anyof (true, false { keep; }", ["1:23: expected ',' or ')' after a test, found '{'"]),
    ('keep "INBOX";', ["1:1: keep takes no positional arguments; 1 given"]),
    (
        'require "date"; if currentdate :value "ge" "hour" "9" {}',
        ["1:32: :value needs require 'relational'"],
    ),
    ('if header :matches :contains "a" "b" {}', ["1:20: :contains and :matches exclude each other"]),
    ('keep; require "copy";', ["1:7: require must come before all other commands"]),
    # Columns count characters, whatever they are made of, and a tab is one.
    ('if header "größe" "€" {} \tfoo;', ["1:27: unknown command 'foo'"]),
    # Several, each at its place and in order.
    (
        'foo;\nif header :is :contains "a" "b" {}\r\nredirect "x";\nif true { bar; }\n',
        [
            "1:1: unknown command 'foo'",
            "2:15: :contains and :is exclude each other",
            "3:10: 'x' is not an address",
            "4:11: unknown command 'bar'",
        ],
    ),
]


@pytest.mark.parametrize(("script", "told"), TOLD, ids=[script[:40] for script, _ in TOLD])
def test_what_is_told(script: str, told: list[str]) -> None:
    with pytest.raises(ScriptError) as error:
        compile_text(script, EVERYTHING, Limits(max_errors=100))
    assert [f"{one.line}:{one.column}: {one.text}" for one in error.value.problems] == told
