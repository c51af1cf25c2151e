"""fcc: where a copy of what is sent goes. [RFC8580]"""

from __future__ import annotations

from pathlib import Path

from mas.sieve.actions import FileCopy, Vacation
from tests.sieve.support import run_script
from tests.sieve.tables import ALONE, KEPT, Row, check_mistakes, check_rows

REQUIRE = 'require ["fcc", "vacation", "enotify", "imap4flags", "mailbox", "special-use", "mailboxid", "fileinto", "variables"];\n'
ROWS = [
    Row('vacation :fcc "Sent" "x";', [("vacation", "604800"), *KEPT], theirs=ALONE),
    Row('notify :fcc "Sent" "mailto:a@example.net";', [("notify", "a@example.net"), *KEPT], theirs=ALONE),
]
MISTAKES = [
    ('vacation :fcc "" "x";', "is not a mailbox name"),
    ('vacation :fcc "Sent" :flags 1 "x";', "flags"),
    ('redirect :fcc "Sent" "a@example.net";', "takes no tag :fcc"),
]


def test_rows(tmp_path: Path) -> None:
    check_rows(REQUIRE, ROWS, tmp_path)


def test_mistakes() -> None:
    check_mistakes(REQUIRE, MISTAKES)


def test_the_copy_has_its_own_flags_and_mailbox() -> None:
    script = 'vacation :fcc "Sent" :flags ["\\\\Seen", "$auto"] :create :specialuse "\\\\Sent" :mailboxid "F1" "x";'
    (action,) = run_script(REQUIRE + script).actions
    assert isinstance(action, Vacation)
    assert action.fcc == FileCopy("Sent", ("\\Seen", "$auto"), True, "\\Sent", "F1")


def test_without_fcc_there_is_no_copy() -> None:
    (action,) = run_script(REQUIRE + 'vacation "x";').actions
    assert isinstance(action, Vacation)
    assert action.fcc is None
