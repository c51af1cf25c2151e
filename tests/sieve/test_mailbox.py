"""mailbox, special-use, mailboxid, metadata: what is asked of the store, and where mail goes. [RFC5490] [RFC8579] [RFC9042]"""

from __future__ import annotations

from pathlib import Path

from mas.sieve.actions import FileInto
from mas.sieve.questions import MailboxExists, MailboxIdExists, MetadataValue, SpecialUseExists
from tests.sieve.support import run_script
from tests.sieve.tables import ALONE, Row, check_mistakes, check_rows, into, yes

REQUIRE = (
    'require ["mailbox", "special-use", "mailboxid", "mboxmetadata", "servermetadata", "fileinto", "variables"];\n'
)
ROWS = [
    Row('fileinto :create "a";', into("a"), theirs=ALONE),
    yes('mailboxexists "a"', theirs=ALONE),
]
MISTAKES = [
    ("keep :create;", "takes no tag :create"),
    ('fileinto :specialuse "" "a";', "an empty name"),
    ('fileinto :mailboxid "" "a";', "an empty name"),
    ("if mailboxexists {}", "mailboxes"),
    ("if mailboxidexists 1 {}", "ids"),
    ('if metadata "INBOX" "/private/x" {}', "metadata"),
]


def test_rows(tmp_path: Path) -> None:
    check_rows(REQUIRE, ROWS, tmp_path)


def test_mistakes() -> None:
    check_mistakes(REQUIRE, MISTAKES)


def test_questions() -> None:
    annotations = {("INBOX", "/private/comment"): "mine", (None, "/shared/admin"): "mailto:x"}
    answers = {
        MailboxExists: lambda question: set(question.names) <= {"a", "b"},
        MailboxIdExists: lambda question: set(question.ids) <= {"F1"},
        SpecialUseExists: lambda question: question.mailbox in ("", "Old") and question.attributes == ("\\Archive",),
        MetadataValue: lambda question: annotations.get((question.mailbox, question.annotation)),
    }
    for test, true in (
        ('mailboxexists ["a", "b"]', True),
        ('mailboxexists ["a", "c"]', False),
        ('mailboxidexists "F1"', True),
        ('mailboxidexists ["F1", "F2"]', False),
        ('specialuse_exists "\\\\Archive"', True),
        ('specialuse_exists "Old" "\\\\Archive"', True),
        ('specialuse_exists "New" "\\\\Archive"', False),
        ('metadata "INBOX" "/private/comment" "MINE"', True),
        ('metadata :contains "INBOX" "/private/none" ""', False),
        ('metadataexists "INBOX" ["/private/comment"]', True),
        ('metadataexists "INBOX" ["/private/comment", "/private/none"]', False),
        ('metadata "" "/shared/admin" "mailto:x"', False),
        ('metadata "INBOX" "/private/comment" ["yours", "mine"]', True),
        ('metadata :comparator "i;octet" "INBOX" "/private/comment" "MINE"', False),
        ('servermetadataexists ["/shared/admin"]', True),
        ('servermetadata "/shared/none" ""', False),
        ('servermetadata :matches "/shared/admin" "mailto:*"', True),
        ('servermetadataexists "/shared/none"', False),
    ):
        result = run_script(f"{REQUIRE}if {test} {{ discard; }}", answers=answers)
        assert (result.error, result.keep) == (None, not true), test


def test_where_it_goes() -> None:
    script = 'fileinto :create :specialuse "\\\\Archive" :mailboxid "F1" "Old";'
    assert run_script(REQUIRE + script).actions == [FileInto("Old", None, True, "\\Archive", "F1")]
