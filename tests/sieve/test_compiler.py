"""Every mistake of a script at once, each with its place."""

from __future__ import annotations

import pytest

from mas.sieve.limits import Limits
from mas.sieve.source import ScriptError
from tests.sieve.support import compile_text

SCRIPT = """\
require ["fileinto", "nope"];
if headr :is "a" "b" { keep; }
if header :foo "a" "b" { keep; }
fileinto 3;
redirect "not an address";
vacation "x";
if size 3K { stop }
require "copy";
else { keep; }
keep
"""
PROBLEMS = [
    "line 1, column 22: unsupported extension 'nope'; did you mean 'envelope'?",
    "line 2, column 4: unknown test 'headr'; did you mean 'header'?",
    "line 3, column 11: header takes no tag :foo",
    "line 4, column 10: mailbox takes a string, not a number",
    "line 5, column 10: 'not an address' is not an address",
    "line 6, column 1: 'vacation' needs require 'vacation'",
    "line 7, column 4: size takes :over or :under",
    "line 7, column 19: expected ';' or a block after 'stop', found '}'",
    "line 8, column 1: require must come before all other commands",
    "line 9, column 1: else without an if before it",
    "line 11, column 1: expected ';' or a block after 'keep', found end of script",
]


def test_all_mistakes_of_one_script() -> None:
    with pytest.raises(ScriptError) as error:
        compile_text(SCRIPT, limits=Limits(max_errors=20))
    assert [str(problem) for problem in error.value.problems] == PROBLEMS


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ('keep "x;\n', "line 1, column 6: string is not closed: '\"' is missing"),
        ("keep;\n/* never\n", "line 2, column 1: comment is not closed: '*/' is missing"),
        ("if true {\n keep;\n", "line 3, column 1: '}' is missing: the block of line 1, column 9 is not closed"),
        ("keep;\n}\n", "line 2, column 1: '}' without a '{' before it"),
        (
            'require "fileinto"; fileinto text:\nabc\n',
            "line 1, column 30: multi-line text is not closed: a line with only '.' is missing",
        ),
        ("if size :over 1X { keep; }", "line 1, column 15: number has an unknown quantifier 'X': K, M or G"),
        ("if size :over 99999999999999999999 { keep; }", "line 1, column 15: number is too large"),
        (
            'require "regex"; if header :regex "a" "(" { keep; }',
            "line 1, column 39: regular expression '(': missing ): (",
        ),
        ('if header :is :contains "a" "b" { keep; }', "line 1, column 15: :contains and :is exclude each other"),
        (
            'if header "a" :is "b" { keep; }',
            "line 1, column 15: tag :is must stand before the positional arguments of header",
        ),
        ("if anyof true { keep; }", "line 1, column 4: anyof takes a list of tests in parentheses"),
        ('require ["variables"]; set "1a" "x";', "line 1, column 28: '1a' is not a variable name"),
    ],
)
def test_place_of_a_mistake(script: str, problem: str) -> None:
    with pytest.raises(ScriptError) as error:
        compile_text(script)
    assert problem in [str(found) for found in error.value.problems]


def test_depth_and_size_are_limited() -> None:
    with pytest.raises(ScriptError, match="nested more than 32"):
        compile_text("if true {" * 40 + "keep;" + "}" * 40)
    with pytest.raises(ScriptError, match="nested more than 32"):
        compile_text("if " + "not " * 5000 + "true { keep; }")
    with pytest.raises(ScriptError, match="larger than 100 octets"):
        compile_text("keep;" * 30, limits=Limits(max_script_size=100))


def test_octets_that_are_not_utf8_have_a_place() -> None:
    from mas.sieve.compiler import compile_script
    from tests.sieve.support import EVERYTHING

    with pytest.raises(ScriptError) as error:
        compile_script(b"keep;\n  # caf\xe9\n", EVERYTHING)
    assert str(error.value.problems[0]) == "line 2, column 8: not UTF-8"


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ('require "replace"; replace :mime :subject "s" "x";', "1:43: :subject does not go with :mime"),
        ('require "replace"; replace :from "nobody" "x";', "1:34: 'nobody' is not a list of addresses"),
        ('require "enclose"; enclose :headers "a b" "x";', "1:37: 'a b' is not a header field name"),
        ('replace "x";', "1:1: 'replace' needs require 'replace'"),
    ],
)
def test_replace_and_enclose(script: str, problem: str) -> None:
    with pytest.raises(ScriptError) as error:
        compile_text(script)
    (found,) = error.value.problems
    assert f"{found.line}:{found.column}: {found.text}" == problem
