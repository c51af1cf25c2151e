"""include: scripts of the user and of the host, their variables, and the limits. [RFC6609]"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mas.sieve.actions import FileInto
from mas.sieve.compiler import compile_script
from mas.sieve.interpreter import Result
from mas.sieve.limits import Limits
from mas.sieve.program import Program
from mas.sieve.questions import IncludeScript
from tests.sieve.support import EVERYTHING, run_script
from tests.sieve.tables import FAILED, KEPT, Row, check_mistakes, check_rows, into

REQUIRE = 'require ["include", "variables", "fileinto"];\n'
ROWS = [
    Row('include :optional "none"; fileinto "after";', into("after")),
    Row('include "none";', FAILED),
    Row('include :global "none";', FAILED),
    Row('return; fileinto "no";', KEPT),
    Row('global "a"; set "a" "x"; fileinto "${a}${global.a}";', into("xx")),
    Row('set "global.a" "x"; global "a"; fileinto "${a}";', into("x")),
]
MISTAKES = [
    ('include "../other";', "is not a script name"),
    ('include "";', "is not a script name"),
    ('include :personal :global "a";', "exclude each other"),
    ('include "${x}";', "constant string"),
    ('global "a.b";', "is not a variable name"),
    ('global "1";', "is not a variable name"),
    ('set "other.a" "x";', "is not a variable name"),
]


def test_rows(tmp_path: Path) -> None:
    check_rows(REQUIRE, ROWS, tmp_path)


def test_mistakes() -> None:
    check_mistakes(REQUIRE, MISTAKES)


def run(script: str, others: Mapping[str, str], limits: Limits | None = None) -> Result:
    def find(question: IncludeScript) -> Program | None:
        text = others.get(f"{'' if question.personal else ':'}{question.name}")
        return None if text is None else compile_script(text.encode(), EVERYTHING, None, question.name)

    return run_script(REQUIRE + script, answers={IncludeScript: find}, limits=limits)


INCLUDED = [
    # (script, others, mailboxes)
    ('include "a"; fileinto "after";', {"a": 'require "fileinto"; fileinto "in";'}, ["in", "after"]),
    ('include "a"; fileinto "after";', {"a": 'require "fileinto"; fileinto "in"; stop;'}, ["in"]),
    (
        'include "a"; fileinto "after";',
        {"a": 'require ["fileinto", "include"]; fileinto "in"; return; discard;'},
        ["in", "after"],
    ),
    ('include :global "a";', {":a": 'require "fileinto"; fileinto "host";', "a": "discard;"}, ["host"]),
    ('include "a"; include "a";', {"a": 'require ["fileinto", "copy"]; fileinto :copy "in";'}, ["in"]),
    (
        'include :once "a"; include :once "a"; fileinto "x";',
        {"a": 'require ["fileinto", "copy"]; fileinto :copy "in";'},
        ["in", "x"],
    ),
    # Variables are a script's own, but for the global ones.
    ('set "v" "out"; include "a"; fileinto "${v}";', {"a": 'require "variables"; set "v" "in";'}, ["out"]),
    (
        'global "v"; set "v" "out"; include "a"; fileinto "${v}";',
        {"a": 'require ["include", "variables"]; global "v"; set "v" "${v}.in";'},
        ["out.in"],
    ),
    ('include "a"; fileinto "x${global.v}";', {"a": 'require ["include", "variables"]; set "global.v" "1";'}, ["x1"]),
    # An included script has its own extensions.
    ('include "a"; fileinto "x";', {"a": "keep; # ${v}"}, ["x"]),
]


def test_included() -> None:
    for script, others, mailboxes in INCLUDED:
        result = run(script, others)
        assert result.error is None, script
        assert [action.mailbox for action in result.actions if isinstance(action, FileInto)] == mailboxes, script


def test_errors() -> None:
    again = {"a": 'require "include"; include "b";', "b": 'require "include"; include "a";'}
    for script, others, problem in (
        ('include "a";', again, "includes itself"),
        ('include "a";', {"a": 'require "ihave"; error "sorry";'}, "sorry"),
        ('include "a";', {}, "does not exist or does not compile"),
    ):
        result = run(script, others)
        assert problem in str(result.error)
        assert (result.actions, result.keep) == ([], True)


def test_limits() -> None:
    deep = {f"s{n}": f'require "include"; include "s{n + 1}";' for n in range(20)}
    assert "more than 10 deep" in str(run('include "s0";', deep).error)
    many = {"a": "keep;"}
    assert "more than 3 includes" in str(run('include "a";' * 4, many, Limits(max_includes=3)).error)
