"""Tables of scripts, one a file of ``mas.sieve.extensions``: what a script decides about one of the mails, or why it does not compile.

A table's own test runs it by MAS; test_differential runs it by Pigeonhole, too, and wants the same but where a row says what differs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from mas.sieve.source import ScriptError
from tests.sieve.differential import Outcome, ours
from tests.sieve.mails import MAILS
from tests.sieve.support import compile_text

KEPT: Outcome = [("store", "INBOX")]
FAILED: Outcome = [("failed",), ("store", "INBOX")]
ALONE: Outcome = [("not compared",)]
"""For ``theirs``: Pigeonhole does not have it, or needs a mail store for it."""


@dataclass(frozen=True)
class Row:
    """A script without its ``require``, what it decides, the mail's name; ``theirs``: what Pigeonhole decides instead."""

    script: str
    outcome: Outcome
    mail: str = "mixed"
    theirs: Outcome | None = None


def into(*names: str) -> Outcome:
    """Filed into these."""
    return sorted(("store", name) for name in names)


def yes(test: str, mail: str = "mixed", theirs: Outcome | None = None) -> Row:
    """The test is true."""
    return Row(f'if {test} {{ fileinto "yes"; }} else {{ fileinto "no"; }}', into("yes"), mail, theirs)


def no(test: str, mail: str = "mixed", theirs: Outcome | None = None) -> Row:
    """The test is false."""
    return Row(f'if {test} {{ fileinto "yes"; }} else {{ fileinto "no"; }}', into("no"), mail, theirs)


def gives(test: str, value: str, mail: str = "mixed", theirs: Outcome | None = None) -> Row:
    """What the first wildcard of the test matches."""
    return Row(f'if {test} {{ fileinto "${{1}}"; }}', into(value), mail, theirs)


def check_rows(require: str, rows: list[Row], folder: Path) -> None:
    """MAS decides what the rows say; all that differ at once."""
    script = folder / "script.sieve"
    different = {}
    for row in rows:
        script.write_text(require + row.script)
        found = ours(script, MAILS[row.mail].encode())
        if found != sorted(row.outcome):
            different[row.script] = found
    assert not different, different


def check_mistakes(require: str, mistakes: list[tuple[str, str]]) -> None:
    """Each script has the mistake."""
    for script, problem in mistakes:
        with pytest.raises(ScriptError) as error:
            compile_text(require + script)
        said = [str(one) for one in error.value.problems]
        assert any(problem in one for one in said), (script, said)
