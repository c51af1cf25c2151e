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
from tests.sieve.support import EVERYTHING, compile_text, run_script

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
    tokens = tokenize(text, LIMITS)
    assert tokens.kinds[-1] is Token.END
    assert tokens.offsets == sorted(tokens.offsets)
    assert len(tokens.kinds) == len(tokens.offsets) == len(tokens.values)
    assert tokens.errors == tokens.kinds.count(Token.ERROR)


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


@pytest.mark.slow
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


def large(size: int) -> dict[str, str]:
    """Scripts of one thing again and again."""
    return {
        "brackets": "[" * size,
        "parentheses": "if anyof(" * (size // 9),
        "braces": "{" * size,
        "ifs": "if true{" * (size // 8),
        "nots": "if " + "not " * (size // 4 - 1),
        "semicolons": ";" * size,
        "quotes": '"' * size,
        "backslashes": '"' + "\\" * (size - 1),
        "comments": "/*" * (size // 2),
        "stars": "/" + "*" * (size - 1),
        "hashes": "#\n" * (size // 2),
        "multi-lines": "text:\n" * (size // 6),
        "dots": "text:\n" + ".\r" * (size // 2 - 4),
        "digits": "if size :over " + "9" * (size - 20),
        "tags": ":a" * (size // 2),
        "keeps": "keep;" * (size // 5),
        "else": "if true{}" + "elsif true{}" * (size // 12 - 1),
        "strings": 'if header ["a"' + ',"a"' * (size // 4 - 20) + '] "b" {}',
        "variables": 'require "variables";set "a" "' + "${a}" * (size // 4 - 20) + '";',
        "hex": 'require "encoded-character";redirect "' + "${hex:4" * (size // 7 - 20) + '";',
        "unicode": "é" * (size // 2),
    }


def ends(script: str, size: int) -> None:
    """In the test's time limit; a quadratic scan would not. Memory is bounded by the number of tokens."""
    compiles_or_says_why(script.encode()[:size])
    assert len(tokenize(script, Limits()).kinds) <= Limits().max_script_tokens + 2


@pytest.mark.slow
@pytest.mark.parametrize("name", large(1000))
def test_a_large_script(name: str) -> None:
    ends(large(1 << 17)[name], 1 << 17)


@pytest.mark.e2e  # for the time it takes
@pytest.mark.parametrize("name", ["brackets", "nots", "keeps", "else", "strings", "variables"])
def test_a_script_of_the_greatest_size(name: str) -> None:
    ends(large(1 << 20)[name], 1 << 20)


def test_the_number_of_tokens_is_limited() -> None:
    limits = Limits(max_script_tokens=100)
    compile_text("keep;" * 50, limits=limits)
    with pytest.raises(
        ScriptError,
        match=r"line 1, column 251: script has more than 100 words, strings and signs \(max_script_tokens\)",
    ):
        compile_text("keep;" * 51, limits=limits)


def test_the_number_of_commands_and_tests_is_limited() -> None:
    limits = Limits(max_script_commands=10)
    compile_text("if true { keep; }" * 3, limits=limits)
    with pytest.raises(
        ScriptError, match=r"line 1, column 55: script has more than 10 commands and tests \(max_script_commands\)"
    ):
        compile_text("if true { keep; }" * 4, limits=limits)


def test_a_pattern_cannot_take_longer_than_the_clock_allows() -> None:
    ticks = itertools.count()
    mail = f"Subject: x\n\nb{'a' * 200_000}\n"
    script = f'require "body"; if body :raw :matches "*{"a?" * 2000}b*" {{ discard; }}'
    result = run_script(script, mail=mail, cpu_clock=lambda: float(next(ticks)), limits=Limits(cpu_seconds=20))
    assert "more than 20 seconds of processor time" in str(result.error)
    assert result.keep
