"""vnd.dovecot.pipe, filter, execute, environment, debug, report: Pigeonhole's own extensions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mas.sieve.actions import AddField, Pipe, Report, Rewritten
from mas.sieve.questions import FilterMessage, RunProgram
from tests.sieve.support import TextMessage, run_script
from tests.sieve.tables import ALONE, FAILED, KEPT, Row, check_mistakes, check_rows, into

REQUIRE = (
    'require ["vnd.dovecot.pipe", "vnd.dovecot.filter", "vnd.dovecot.execute", "vnd.dovecot.environment", "vnd.dovecot.debug", '
    '"vnd.dovecot.report", "copy", "variables", "fileinto", "editheader", "reject"];\n'
)
PIPED = ("pipe", "learn")
REPORTED = ("report", "abuse", "a@example.net")
MAYBE = [PIPED, *KEPT]
"""What sieve-test prints of pipe: whether the program will take the mail, and so end the implicit keep, it cannot know."""
ROWS = [
    Row('pipe "learn";', [PIPED], theirs=MAYBE),
    Row('pipe :copy "learn" ["a", "b"];', [PIPED, *KEPT]),
    Row('pipe :try "learn" "a";', [PIPED], theirs=MAYBE),
    Row('pipe :try :copy "learn"; fileinto "x";', [PIPED, *into("x")]),
    Row('pipe "learn"; keep;', [PIPED, *KEPT]),
    Row('set "a" "x"; pipe "learn" "${a}";', [PIPED], theirs=MAYBE),
    # Twice the same is once, as with every action; Pigeonhole fails, even with other arguments.
    Row('pipe "learn"; pipe "learn";', [PIPED], theirs=FAILED),
    Row('pipe "learn" "a"; pipe "learn" "b";', [PIPED, PIPED], theirs=FAILED),
    # A name may come from a variable, and is looked at when it runs; for Pigeonhole it must be constant.
    Row('set "p" "learn"; pipe "${p}";', [PIPED], theirs=[("no script",)]),
    Row('set "p" "../learn"; pipe "${p}";', FAILED, theirs=[("no script",)]),
    Row('set "p" ""; pipe "${p}";', FAILED, theirs=[("no script",)]),
    Row('set "a" "x\\ny"; pipe "learn" "${a}";', [PIPED], theirs=MAYBE),
    Row('set "a" text:\nx\n.\n; pipe "learn" "${a}";', FAILED, theirs=ALONE),
    Row('report "abuse" "text" "a@example.net";', [REPORTED, *KEPT]),
    Row('report :headers_only "abuse" "text" "a@example.net"; discard;', [REPORTED]),
    Row('set "to" "nobody"; report "abuse" "text" "${to}";', FAILED),
    Row('debug_log "a line";', KEPT),
    Row('fileinto "<${env.nothing}>";', into("<>")),
]
MISTAKES = [
    ("pipe;", "pipe takes program (a string), arguments (a string list) optional; 0 given"),
    ('pipe "a" "b" "c";', "3 given"),
    ('pipe "a" 1;', "arguments takes a string list, not a number"),
    ('pipe ["a", "b"];', "program takes a string, not a list"),
    ('pipe "../a";', "'../a' is not the name of a program"),
    ('pipe "/bin/sh";', "is not the name of a program"),
    ('pipe "";', "'' is not the name of a program"),
    ('pipe "a b\t";', "is not the name of a program"),
    (f'pipe "{"x" * 129}";', "at most 128 characters"),
    ('pipe ".hidden";', "is not the name of a program"),
    ('if pipe "a" {}', "'pipe' is a command, not a test"),
    ('filter :try "a";', "filter takes no tag :try"),
    ('filter :copy "a";', "filter takes no tag :copy"),
    ("filter;", "filter takes program"),
    ('filter "a/b";', "is not the name of a program"),
    ("execute;", "execute takes program"),
    ('execute :pipe :input "a" "b";', ":input and :pipe exclude each other"),
    ('execute :input "b";', "execute takes program"),
    ('execute :output "1x" "b";', "'1x' is not a variable name"),
    ('execute :output "${x}" "b";', "must be a constant string"),
    ('execute :output "a" :output "b" "c";', ":output is given twice"),
    ('if not execute "/b" {}', "is not the name of a program"),
    ('report "abuse" "text";', "report takes feedback-type"),
    ('report "abuse" ["text"] "a@example.net";', "text takes a string, not a list"),
    ('report "abuse" "text" "nobody";', "'nobody' is not an address"),
    ('report "rudeness" "text" "a@example.net";', "unknown feedback type 'rudeness'"),
    ("debug_log;", "debug_log takes message"),
    ('debug_log ["a", "b"];', "not a list"),
    ('debug_log :level "a" "b";', "takes no tag :level"),
]


def test_rows(tmp_path: Path) -> None:
    check_rows(REQUIRE, ROWS, tmp_path)


def test_mistakes() -> None:
    check_mistakes(REQUIRE, MISTAKES)


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ('pipe "a";', "'pipe' needs require 'vnd.dovecot.pipe'"),
        ('require "vnd.dovecot.pipe"; pipe :copy "a";', ":copy needs require 'copy'"),
        ('filter "a";', "'filter' needs require 'vnd.dovecot.filter'"),
        ('if execute "a" {}', "'execute' needs require 'vnd.dovecot.execute'"),
        ('require "vnd.dovecot.execute"; execute :output "x" "a";', ":output needs require 'variables'"),
        ('debug_log "a";', "'debug_log' needs require 'vnd.dovecot.debug'"),
        ('report "abuse" "b" "c@example.net";', "'report' needs require 'vnd.dovecot.report'"),
        (
            'require "variables"; if string "${env.x}" "y" {}',
            "the namespace 'env' need require 'vnd.dovecot.environment'",
        ),
    ],
)
def test_each_has_its_own_capability(script: str, problem: str) -> None:
    check_mistakes("", [(script, problem)])


def test_what_is_piped_and_reported() -> None:
    result = run_script(
        REQUIRE
        + 'pipe :try :copy "learn" ["spam", "u${env.vnd.dovecot.username}"]; addheader "X-A" "1"; pipe "other"; '
        'report :headers_only "Fraud" "look" "Abuse Desk <a@example.net>";',
        environment={"vnd.dovecot.username": "kim"},
    )
    first, second, report = result.actions
    assert first == Pipe("learn", ("spam", "ukim"), try_only=True)
    assert isinstance(first, Pipe)
    assert first.edits == ()
    assert second == Pipe("other")
    assert isinstance(second, Pipe)
    assert second.edits == (AddField("X-A", "1"),)
    assert report == Report("Fraud", "look", "a@example.net", headers_only=True)
    assert not result.keep


def test_reject_and_pipe_go_together() -> None:
    assert run_script(REQUIRE + 'pipe "learn"; reject "no";').error is None


EXECUTED: list[tuple[str, RunProgram, str]] = [
    ('execute "p";', RunProgram("p", ()), "INBOX"),
    ('execute "p" ["a", "b"];', RunProgram("p", ("a", "b")), "INBOX"),
    ('execute :input "text ${n}" "p";', RunProgram("p", (), "text 7"), "INBOX"),
    ('execute :pipe :output "o" "p" "a"; fileinto "${o}";', RunProgram("p", ("a",), None, message=True), "said"),
    ('if execute :output "o" "p" { fileinto "<${o}>"; }', RunProgram("p", ()), "<said>"),
]


@pytest.mark.parametrize(("script", "question", "mailbox"), EXECUTED)
def test_execute_asks_for_a_program(script: str, question: RunProgram, mailbox: str) -> None:
    asked: list[RunProgram] = []

    def answered(wanted: RunProgram) -> tuple[bool, str]:
        asked.append(wanted)
        return True, "said"

    result = run_script(f'{REQUIRE}set "n" "7"; {script}', answers={RunProgram: answered})
    assert asked == [question]
    assert [getattr(action, "mailbox", "") for action in result.actions] or [mailbox] == ["INBOX"]


def test_a_program_that_fails_makes_the_test_false_and_leaves_the_variable() -> None:
    answers: dict[type, Any] = {RunProgram: lambda question: (False, "said"), FilterMessage: lambda question: None}
    script = 'set "o" "old"; if execute :output "o" "p" { discard; } execute "p"; if filter "p" { discard; } filter "p"; fileinto "${o}";'
    result = run_script(REQUIRE + script, answers=answers)
    assert result.error is None
    assert [getattr(action, "mailbox", "") for action in result.actions] == ["old"]
    assert result.edits == []


def test_filter_gives_the_message_that_later_tests_see() -> None:
    asked: list[FilterMessage] = []

    def answered(question: FilterMessage) -> TextMessage:
        asked.append(question)
        return TextMessage("Subject: filtered\n\nnew\n")

    script = (
        'addheader "X-A" "1"; if not filter "p" "${n}" { stop; } if header "subject" "filtered" { fileinto "new"; }'
    )
    result = run_script(f'{REQUIRE}set "n" "7"; {script}', answers={FilterMessage: answered})
    assert asked == [FilterMessage("p", ("7",), (AddField("X-A", "1"),))]
    assert [getattr(action, "mailbox", "") for action in result.actions] == ["new"]
    # The new message has the header field in it, or not, as the program had it.
    assert [type(edit) for edit in result.edits] == [Rewritten]


def test_debug_lines_and_environment() -> None:
    items = {"vnd.dovecot.default-mailbox": "INBOX", "vnd.dovecot.config.colour": "blue", "domain": "example.net"}
    script = (
        'debug_log "to ${env.vnd.dovecot.default_mailbox}, ${ENV.vnd.dovecot.config.COLOUR}${env.none}"; '
        'if environment "vnd.dovecot.config.colour" "blue" { debug_log "and ${env.domain}"; }'
    )
    assert run_script(REQUIRE + script, environment=items).debug == ["to INBOX, blue", "and example.net"]
