"""The tables of the extensions and the RFCs' examples, as others see them: Pigeonhole decides the same, and so does its compiler about
mistakes; sievelib's parser takes what MAS takes. What differs stands here, with why."""

from __future__ import annotations

import importlib
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from sievelib.parser import Parser

from mas.sieve.source import ScriptError
from tests.sieve.differential import Pigeonhole
from tests.sieve.mails import MAILS
from tests.sieve.support import compile_text
from tests.sieve.tables import ALONE, Row
from tests.support.dovecot_version import dovecot_version, is_24
from tests.support.servers import need

HERE = Path(__file__).parent
TABLES: list[ModuleType] = [
    module
    for path in sorted(HERE.glob("test_*.py"))
    if path.stem != Path(__file__).stem
    and hasattr(module := importlib.import_module(f"{__package__}.{path.stem}"), "MISTAKES")
]

ALONE_TABLES = ("test_fcc", "test_extlists", "test_mailbox", "test_include")
"""Not in Debian's Pigeonhole, or not without a store and folders of scripts."""
LENIENT = {
    # Taken by Pigeonhole.
    'deleteheader :last "X-A";',  # [RFC5293 5] has it only behind :index
    'notify "mailto:";',  # to nobody
    'if header :regex "a" "(a)\\\\1" {}',  # what cannot be matched in linear time
    'if header :regex "a" "a{1001}" {}',
    'foreverypart :name "${a}" { keep; }',  # constant by [RFC5703 3]; the loop has that for a name
    'pipe ".hidden";',  # a file that a shell's * passes over is not meant to be run
    'report "rudeness" "text" "a@example.net";',  # a type that [RFC5965 7.3] does not have
    'fileinto "";',  # found when it is saved
    'fileinto "a\tb";',
    'fileinto "${nothing.a}";',  # an error by [RFC5229 3]
    'fileinto "${global.a}";',
    'fileinto "${env.a.b}";',
}
STRICT_LATER = {'deleteheader :last "X-A";', 'if header :regex "a" "(a)\\\\1" {}'}
"""Of these, what Pigeonhole after 2.4.1 does not take either."""

UNKNOWN_TO_SIEVELIB = re.compile(
    r"unknown command|extension \S+ not loaded|bad argument :\w+ for command|bad value .i;ascii-numeric. for argument comparator"
)
"""It knows fewer extensions; it wants extensions required that ihave enables."""
MEANING = re.compile(
    r"is not an address|is not a mailbox|holds no addresses|unknown envelope part|is not a mailto URI|:importance is|is not an option"
    r"|unsupported extension|is not a variable name|regular expression|constant string|namespace|need require"
)
"""Mistakes in what strings say: it does not look at those."""
SIEVELIB_TAKES = {
    "stop",  # without its semicolon
    "if body {}",
    'if environment "a" {}',
    'vacation :days 3 :seconds 3 "x";',
}


@pytest.fixture(scope="module")
def pigeonhole() -> Iterator[Pigeonhole]:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        theirs = Pigeonhole(need("sieve-test"), directory)
        for name, mail in MAILS.items():
            (directory / f"{name}.eml").write_text(mail)
        yield theirs


def theirs(pigeonhole: Pigeonhole, script: str, mail: str) -> object:
    path = pigeonhole.directory / "test.sieve"
    path.unlink(missing_ok=True)  # its compiled form is kept by the identity of the file
    path.write_text(script)
    return pigeonhole(path, pigeonhole.directory / f"{mail}.eml")


def known(table: ModuleType) -> None:
    """Skips the table of what this Pigeonhole has no more."""
    if table.__name__.endswith("test_legacy") and is_24():
        pytest.skip("Dovecot 2.4 has neither imapflags nor notify")


@pytest.mark.e2e
@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__.rpartition(".")[2])
def test_pigeonhole_decides_the_same(pigeonhole: Pigeonhole, table: ModuleType) -> None:
    known(table)
    different = {}
    rows: list[Row] = table.ROWS
    for row in rows:
        if row.theirs == ALONE or (row.theirs is None and table.__name__.endswith(ALONE_TABLES)):
            continue
        found = theirs(pigeonhole, table.REQUIRE + row.script, row.mail)
        if found != sorted(row.outcome if row.theirs is None else row.theirs):
            different[row.script] = (found, pigeonhole.said)
    assert not different, different


@pytest.mark.e2e
@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__.rpartition(".")[2])
def test_pigeonhole_finds_the_same_mistakes(pigeonhole: Pigeonhole, table: ModuleType) -> None:
    known(table)
    taken = {
        script
        for script, _ in table.MISTAKES
        if not table.__name__.endswith(ALONE_TABLES)
        and theirs(pigeonhole, table.REQUIRE + script, "bare") != [("no script",)]
    }
    lenient = LENIENT - (STRICT_LATER if dovecot_version() > (2, 4, 1) else set())
    assert taken == {script for script in lenient if script in dict(table.MISTAKES)}


def sievelib(script: str) -> str:
    """What sievelib's parser has against a script; empty when it takes it."""
    parser = Parser()
    return "" if parser.parse(script) else str(parser.error)


def test_sievelib_takes_what_is_taken() -> None:
    scripts = [table.REQUIRE + row.script for table in TABLES for row in table.ROWS]
    scripts += [path.read_text() for path in sorted((HERE / "rfc_examples").glob("*.sieve"))]
    refused = {}
    for script in scripts:
        try:
            compile_text(script)
        except ScriptError:
            continue
        problem = sievelib(script)
        if problem and not UNKNOWN_TO_SIEVELIB.search(problem):
            refused[script] = problem
    assert not refused, refused


def test_sievelib_finds_the_mistakes_of_syntax() -> None:
    taken = {
        script
        for table in TABLES
        for script, problem in table.MISTAKES
        if not MEANING.search(problem) and not sievelib(table.REQUIRE + script)
    }
    assert taken == SIEVELIB_TAKES
