"""imapflags, notify and vnd.dovecot.duplicate as old scripts write them; taken with a warning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mas.sieve.actions import Notify
from mas.sieve.extensions import default_registry
from mas.sieve.questions import SeenBefore
from tests.sieve.differential import Outcome
from tests.sieve.support import MAIL, compile_text, run_script
from tests.sieve.tables import ALONE, FAILED, KEPT, Row, check_mistakes, check_rows

REQUIRE = 'require ["imapflags", "notify", "fileinto", "variables", "copy"];\n'
TOLD = ("notify", "a@example.net")
OTHER = ("notify", "b@example.net")
FLAGGED: Outcome = [("store", "INBOX", "\\flagged")]
BOTH = 'notify :high :id "xa" :options "a@example.net"; notify :low :id "xb" :options "b@example.net";'
ROWS = [
    # mark and unmark are the flag \Flagged of the internal variable; all of imap4flags is there beside them.
    Row("mark;", FLAGGED),
    Row("mark; keep;", FLAGGED),
    Row("mark; unmark;", KEPT),
    Row("unmark; mark; mark;", FLAGGED),
    Row('mark; fileinto "a";', [("store", "a", "\\flagged")]),
    Row('fileinto "a"; mark; fileinto :copy "b";', [("store", "a"), ("store", "b", "\\flagged")]),
    Row('addflag "\\\\Seen"; mark; fileinto "a";', [("store", "a", "\\flagged", "\\seen")]),
    Row('mark; setflag "x";', [("store", "INBOX", "x")]),
    Row('addflag ["x", "y"]; removeflag "x";', [("store", "INBOX", "y")]),
    # notify goes to the addresses in :options and leaves the implicit keep.
    Row('notify :options "a@example.net";', [TOLD, *KEPT]),
    Row('notify :method "mailto" :id "x" :high :options "a@example.net" :message "$subject$"; discard;', [TOLD]),
    Row('set "to" "a@example.net"; notify :options "${to}";', [TOLD, *KEPT]),
    # A method that nobody has, and nobody to tell: found when it runs. Pigeonhole passes over both.
    Row('notify :method "xmpp" :options "a@example.net";', FAILED, theirs=ALONE),
    Row("notify;", FAILED, theirs=ALONE),
    Row('notify :options "nobody";', FAILED, theirs=ALONE),
    # denotify: all, those of an importance, those whose id matches, case and all. Pigeonhole takes back one at most, and crashes where
    # a notification has no id.
    Row(f"{BOTH} denotify;", KEPT, theirs=[OTHER, *KEPT]),
    Row(f"{BOTH} denotify :high;", [OTHER, *KEPT]),
    Row(f"{BOTH} denotify :low;", [TOLD, *KEPT]),
    Row(f"{BOTH} denotify :normal;", [TOLD, OTHER, *KEPT]),
    Row(f'{BOTH} denotify :contains "b" :high;', [TOLD, OTHER, *KEPT]),
    Row(f'{BOTH} denotify :contains "b" :low;', [TOLD, *KEPT]),
    Row(f'{BOTH} denotify :is "XA" :high;', [TOLD, OTHER, *KEPT]),
    Row(f'{BOTH} denotify :matches "x?" :low;', [TOLD, *KEPT]),
    Row(f'{BOTH} denotify :is "xa";', [OTHER, *KEPT]),
    Row(f'{BOTH} denotify :matches "x*";', KEPT, theirs=[OTHER, *KEPT]),
    Row('notify :options "a@example.net"; denotify :matches "*";', [TOLD, *KEPT], theirs=ALONE),
    Row('denotify; notify :options "a@example.net";', [TOLD, *KEPT]),
]
MISTAKES = [
    ('mark "x";', "mark takes no positional arguments"),
    ("mark :flags;", "mark takes no tag :flags"),
    ("if mark {}", "'mark' is a command, not a test"),
    ('notify "a@example.net";', "notify takes no positional arguments"),
    ('notify :high :low :options "a@example.net";', ":low and :high exclude each other"),
    ('notify :id 1 :options "a@example.net";', ":id takes a string"),
    ("notify :options;", ":options must be followed by a string list"),
    ('denotify "x";', "denotify takes no positional arguments"),
    ("denotify :is;", ":is must be followed by a string"),
    ('denotify :is "a" :contains "b";', ":contains and :is exclude each other"),
]
WARNED = {
    "imapflags": "line 1, column 9: 'imapflags' is deprecated: use 'imap4flags'",
    "notify": "line 1, column 9: 'notify' is deprecated: use 'enotify'",
    "vnd.dovecot.duplicate": "line 1, column 9: 'vnd.dovecot.duplicate' is deprecated: use 'duplicate'",
}


def test_rows(tmp_path: Path) -> None:
    check_rows(REQUIRE, ROWS, tmp_path)


def test_mistakes() -> None:
    check_mistakes(REQUIRE, MISTAKES)


@pytest.mark.parametrize(("name", "warning"), WARNED.items())
def test_taken_with_a_warning_and_not_announced(name: str, warning: str) -> None:
    assert compile_text(f'require "{name}";').warnings == (warning,)
    assert name not in default_registry().capabilities()


def test_names_without_require() -> None:
    check_mistakes(
        "", [("mark;", "'mark' needs require 'imapflags'"), ("denotify;", "'denotify' needs require 'notify'")]
    )


def test_with_enotify_the_script_says_which_notify() -> None:
    """Both have a command of that name: the one that is required is meant."""
    old = 'require "notify"; notify :options "a@example.net";'
    new = 'require "enotify"; notify "mailto:b@example.net";'
    assert [action.method for action in run_script(old).actions if isinstance(action, Notify)] == [
        "mailto:a@example.net"
    ]
    assert [action.method for action in run_script(new).actions if isinstance(action, Notify)] == [
        "mailto:b@example.net"
    ]


def test_what_a_notification_says() -> None:
    for tags, message, importance in (
        ("", "Kim Example <kim@example.org>: [list] Quarterly report für März", 2),
        (
            ':high :message "$env-from$ wrote $subject$ $other$"',
            "kim-bounces@example.org wrote [list] Quarterly report für März $other$",
            1,
        ),
        (':low :message "$from$$from$"', "Kim Example <kim@example.org>" * 2, 3),
    ):
        (action,) = run_script(f'require "notify"; notify {tags} :options "a@example.net";').actions
        assert action == Notify("mailto:a@example.net", message, "", importance)
    (action,) = run_script('require "notify"; notify :options "a@example.net";', mail="X: y\n\n").actions
    assert isinstance(action, Notify)
    assert action.message == ": "


def test_vnd_dovecot_duplicate_is_duplicate() -> None:
    answers: dict[type, Any] = {SeenBefore: lambda question: True}
    assert not run_script('require "vnd.dovecot.duplicate"; if duplicate { discard; }', mail=MAIL, answers=answers).keep
