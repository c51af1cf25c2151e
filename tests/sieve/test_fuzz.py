"""Scripts that nobody would write: the compiler ends with a program or with mistakes, whatever it is given."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mas.sieve.compiler import compile_script
from mas.sieve.lexer import Token, tokenize
from mas.sieve.limits import Limits
from mas.sieve.source import ScriptError
from tests.sieve.support import EVERYTHING, run_script

LIMITS = Limits(max_errors=20)
NAMES = sorted({name for _, name in EVERYTHING.definitions})
TAGS = sorted({f":{tag}" for found in EVERYTHING.definitions.values() for d in found for tag in EVERYTHING.rules(d)})
REQUIRES = [f'"{name}"' for name in EVERYTHING.capabilities()]
SOUP = [
    *NAMES,
    *TAGS,
    *"[](){},;",
    *["0", "1", "3K", "99G"],
    *[
        '"a"',
        '"${a}"',
        '"${1}"',
        '"${hex:41}"',
        '"*?\\\\"',
        '"("',
        '"x@example.net"',
        "text:\nx\n.\n",
        '"subject"',
        '["a", "b"]',
    ],
    *["require", "if", "elsif", "else", "/* c */", "# c\n", '"', "/*", "\x00", "é"],
]
REQUIRE_ALL = f"require [{', '.join(REQUIRES)}];\n"


def compiles_or_says_why(script: bytes) -> None:
    try:
        compile_script(script, EVERYTHING, LIMITS)
    except ScriptError as error:
        problems = error.problems
    else:
        return
    assert 0 < len(problems) <= LIMITS.max_errors
    assert problems == sorted(problems)
    lines = script.count(b"\n") + 1
    assert all(1 <= problem.line <= lines and problem.column >= 1 for problem in problems)


@given(st.binary(max_size=300))
def test_octets(script: bytes) -> None:
    compiles_or_says_why(script)


@given(st.text(max_size=300))
def test_characters(text: str) -> None:
    compiles_or_says_why(text.encode("utf-8", "surrogatepass"))
    lexemes = tokenize(text, LIMITS)
    assert lexemes[-1].kind is Token.END
    assert [lexeme.offset for lexeme in lexemes] == sorted(lexeme.offset for lexeme in lexemes)


@given(st.lists(st.sampled_from(SOUP), max_size=60), st.booleans())
def test_words(words: list[str], required: bool) -> None:
    compiles_or_says_why(((REQUIRE_ALL if required else "") + " ".join(words)).encode())


COMMANDS = st.recursive(
    st.sampled_from(
        [
            "keep;",
            "stop;",
            "discard;",
            'fileinto "${1}a";',
            'set "a" "${a}x${2}";',
            'addflag "a" ["b", "${a}"];',
            'setflag "\\\\Seen";',
            'addheader "X-A" "${a}";',
            'deleteheader :index 1 "subject";',
            'redirect :copy "a@example.net";',
            'reject "no";',
            'vacation "away";',
            "return;",
            "break;",
            'extracttext "a";',
        ]
    ),
    lambda inner: st.one_of(
        st.tuples(
            st.sampled_from(
                [
                    "true",
                    'not exists "to"',
                    'header :matches "subject" "*r*"',
                    'anyof (string "${a}" "x", address :detail "to" "lists")',
                    'body :contains "hello"',
                    'header :mime :anychild :type "content-type" "text"',
                    'hasflag "b"',
                    'date :value "ge" "date" "year" "2000"',
                ]
            ),
            st.lists(inner, max_size=4),
        ).map(lambda pair: f"if {pair[0]} {{ {' '.join(pair[1])} }}"),
        st.lists(inner, max_size=3).map(lambda block: f"foreverypart {{ {' '.join(block)} }}"),
    ),
    max_leaves=20,
)


@given(st.lists(COMMANDS, max_size=6))
def test_programs_end_with_a_result(commands: list[str]) -> None:
    try:
        result = run_script(REQUIRE_ALL + " ".join(commands), limits=Limits(max_steps=5000, max_redirects=2))
    except ScriptError:
        return
    assert result.bug is None
    assert len(result.actions) <= Limits().max_actions
    if result.error:
        assert result.keep


SIZE = 1 << 17
LARGE = {
    "brackets": "[" * SIZE,
    "parentheses": "if anyof(" * (SIZE // 9),
    "braces": "{" * SIZE,
    "ifs": "if true{" * (SIZE // 8),
    "nots": "if " + "not " * (SIZE // 4 - 1),
    "semicolons": ";" * SIZE,
    "quotes": '"' * SIZE,
    "backslashes": '"' + "\\" * (SIZE - 1),
    "comments": "/*" * (SIZE // 2),
    "stars": "/" + "*" * (SIZE - 1),
    "hashes": "#\n" * (SIZE // 2),
    "multi-lines": "text:\n" * (SIZE // 6),
    "dots": "text:\n" + ".\r" * (SIZE // 2 - 4),
    "digits": "if size :over " + "9" * (SIZE - 20),
    "tags": ":a" * (SIZE // 2),
    "keeps": "keep;" * (SIZE // 5),
    "else": "if true{}" + "elsif true{}" * (SIZE // 12 - 1),
    "strings": 'if header ["a"' + ',"a"' * (SIZE // 4 - 20) + '] "b" {}',
    "variables": 'require "variables";set "a" "' + "${a}" * (SIZE // 4 - 20) + '";',
    "hex": 'require "encoded-character";redirect "' + "${hex:4" * (SIZE // 7 - 20) + '";',
    "unicode": "é" * (SIZE // 2),
}


@pytest.mark.parametrize("script", LARGE.values(), ids=LARGE.keys())
def test_a_large_script(script: str) -> None:
    """Each ends in the test's time limit; a quadratic scan would not."""
    compiles_or_says_why(script.encode()[:SIZE])


def test_a_pattern_cannot_take_longer_than_the_clock_allows() -> None:
    ticks = itertools.count()
    mail = f"Subject: x\n\n{'a' * 200_000}\n"
    script = f'require "body"; if body :raw :matches "*{"a?" * 2000}b*" {{ discard; }}'
    result = run_script(script, mail=mail, cpu_clock=lambda: float(next(ticks)), limits=Limits(cpu_seconds=20))
    assert "more than 20 seconds of processor time" in str(result.error)
    assert result.keep
