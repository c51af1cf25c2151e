"""Sieve tested in Sieve: the files of ``svtest``, and what is said when a test fails. Commands registered from outside of the language."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import structlog

from mas.cli import main
from mas.server.filtering import sieve_language
from mas.sieve.compiler import compile_script
from mas.sieve.definition import Extension, Kind, Parameter, Registry, Role, TagRule, command
from mas.sieve.definition import test as sieve_test
from mas.sieve.interpreter import Run
from mas.sieve.program import Call
from mas.sieve.source import ScriptError
from mas.svtest.bench import Outcome
from mas.svtest.run import run_file
from tests.sieve.support import EVERYTHING, run_script


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """The command sets the log's level, for all of the process."""
    before, handlers = structlog.get_config(), logging.getLogger().handlers[:]
    yield
    structlog.configure(**before)
    logging.getLogger().handlers[:] = handlers


FILES = sorted((Path(__file__).parent / "svtest").glob("*.svtest"))
REQUIRE = 'require ["vnd.dovecot.testsuite", "fileinto", "variables", "envelope", "reject"];\n'


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_file(path: Path) -> None:
    outcomes = run_file(path, sieve_language)
    assert len(outcomes) >= 5
    assert [outcome for outcome in outcomes if outcome.failure] == []


def outcomes_of(folder: Path, script: str) -> Sequence[Outcome]:
    path = folder / "file.svtest"
    path.write_text(REQUIRE + script)
    return run_file(path, sieve_language)


FAILURES = [
    ('test "a" { test_fail "why"; }', "line 2: why"),
    ('test "a" {\n\n  if true { test_fail "why"; } }', "line 4: why"),
    ('test "a" { fileinto "x"; reject "no"; }', "line 2: reject cannot be used with fileinto"),
    ('test "a" { test_set "envelope.of" "x"; }', "test_set: 'envelope.of' is none of message, envelope.from"),
    ('test "a" { test_message :smtp 0; }', "there is no such message"),
    ('test "a" { test_message :folder "Nowhere" 0; }', "there is no such message"),
    ('test "a" { if test_script_compile "missing.sieve" { } }', "missing.sieve: No such file or directory"),
    ('test "a" { if test_script_run { } }', "no script is compiled"),
    ('test "a" { test_config_set "nothing" "1"; test_config_reload; }', "sieve.nothing: "),
    ('test "a" { test_config_set "max_actions" "many"; test_config_reload; }', "sieve.max_actions: "),
    ('test "a" { test_mailbox_delete "Nowhere"; }', "test_mailbox_delete: "),
    ('test "a" { test_mailbox_create "A"; test_mailbox_create "A"; }', "test_mailbox_create: "),
]


@pytest.mark.parametrize(("script", "failure"), FAILURES)
def test_a_test_that_fails_says_where(tmp_path: Path, script: str, failure: str) -> None:
    (outcome,) = outcomes_of(tmp_path, script)
    assert (outcome.name, outcome.line) == ("a", 2)
    assert failure in outcome.failure


def test_the_next_test_runs_all_the_same(tmp_path: Path) -> None:
    outcomes = outcomes_of(tmp_path, 'test "a" { test_fail "x"; } test "b" { } test "c" { test_fail "y"; }')
    assert [(outcome.name, bool(outcome.failure)) for outcome in outcomes] == [("a", True), ("b", False), ("c", True)]


def test_what_fails_outside_of_a_test_ends_the_file(tmp_path: Path) -> None:
    outcomes = outcomes_of(tmp_path, 'test "a" { }\ntest_set "nothing" "x";\ntest "b" { }')
    assert [(outcome.name, outcome.line) for outcome in outcomes] == [("a", 2), ("", 3)]
    assert "test_set" in outcomes[1].failure


def test_a_file_that_does_not_compile(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match="line 2, column 1: unknown command 'tset'"):
        outcomes_of(tmp_path, 'tset "a" { }')


def test_the_commands_are_not_there_for_scripts() -> None:
    with pytest.raises(ScriptError, match="unsupported extension"):
        compile_script(b'require "vnd.dovecot.testsuite";', EVERYTHING)


@pytest.fixture
def log_as_it_was() -> Iterator[None]:
    """The command sets up the log of this process, where other tests look for lines."""
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    yield
    structlog.reset_defaults()
    logging.captureWarnings(False)
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)


@pytest.mark.usefixtures("log_as_it_was")
def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*arguments: str) -> tuple[object, str, str]:
        with pytest.raises(SystemExit) as end:
            main(["sieve", "test", *arguments])
        said = capsys.readouterr()
        return end.value.code, said.out, said.err

    path = tmp_path / "file.svtest"
    path.write_text(REQUIRE + 'test "good" { }\ntest "bad" {\n  test_fail "why";\n}\n')
    assert run(str(path)) == (1, f"{path}:3: bad: line 4: why\n1 of 2 tests passed\n", "")
    assert json.loads(run(str(path), "--json")[1]) == [
        {"test": "good", "line": 2, "failure": None},
        {"test": "bad", "line": 3, "failure": "line 4: why"},
    ]
    path.write_text(REQUIRE + 'test "good" { }\n')
    assert run(str(path)) == (0, "1 of 1 tests passed\n", "")
    path.write_text("test {\n")
    assert run(str(path))[2].startswith(f"{path}:")
    status, _, problem = run(str(tmp_path / "a.sieve"))
    assert status == 2
    assert "a mail is missing" in problem


# An extension of somebody else's


def run_wish(run: Run, call: Call) -> None:
    run.note(f"wish {run.argument(call, 'what')} {'loudly' if 'loud' in call.tags else ''}")
    run.state["wishes"] = run.state.get("wishes", 0) + 1


WISHES = Extension(
    "vnd.example.wish",
    definitions=(
        command("wish", run_wish, Parameter("what", Kind.STRING), tags=(TagRule("loud"),), needs="vnd.example.wish"),
        sieve_test("wished", lambda run, call: bool(run.state.get("wishes")), needs="vnd.example.wish"),
    ),
    tags={(Role.COMMAND, "keep"): (TagRule("gladly", needs="vnd.example.wish"),)},
    namespace="wish",
    variable=lambda run, name: f"{name}:{run.state.get('wishes', 0)}",
    environment={"vnd.example.wishes": lambda run: str(run.state.get("wishes", 0))},
)
LANGUAGE = Registry([*EVERYTHING.extensions.values(), WISHES])


def test_the_registry_takes_an_extension_from_outside() -> None:
    """A command, a test, a tag of somebody else's command, a namespace and an item of the environment."""
    script = (
        'require ["vnd.example.wish", "variables", "environment", "fileinto"]; if wished { stop; } wish :loud "peace"; '
        'if allof(wished, environment "vnd.example.wishes" "1") { fileinto "${wish.count}"; keep :gladly; }'
    )
    result = run_script(script, registry=LANGUAGE, trace=True)
    assert (result.error, result.keep) == (None, True)
    assert [getattr(action, "mailbox", "") for action in result.actions] == ["count:1"]
    assert "wish peace loudly" in [line.text for line in result.trace]
    assert "vnd.example.wish" in LANGUAGE.capabilities()


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ('wish "peace";', "'wish' needs require 'vnd.example.wish'"),
        ("keep :gladly;", ":gladly needs require 'vnd.example.wish'"),
        ('require "variables"; set "a" "${wish.x}";', "need require 'vnd.example.wish'"),
        ('require "vnd.example.wish"; wish :silent "peace";', "wish takes no tag :silent"),
    ],
)
def test_and_asks_for_it_in_scripts(script: str, problem: str) -> None:
    with pytest.raises(ScriptError) as error:
        compile_script(script.encode(), LANGUAGE)
    assert problem in str(error.value)
