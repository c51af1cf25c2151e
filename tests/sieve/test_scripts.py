"""Scripts over one mail: what they decide."""

from __future__ import annotations

import pytest

from mas.sieve.actions import AddField, FileInto, Notify, Redirect, Vacation
from mas.sieve.questions import SeenBefore
from tests.sieve.support import EVERYTHING, TextMessage, compile_text, run_script

FILED = [
    ('if header :contains "subject" "MÄRZ" { fileinto "no"; }', None),
    ('if header :comparator "i;unicode-casemap" :contains "subject" "MÄRZ" { fileinto "yes"; }', "yes"),
    ('if header :matches "subject" "[*] * report*" { fileinto "${1}.${2}"; }', "list.Quarterly"),
    ('if header :matches "subject" "?list? *" { fileinto "${1}${2}"; }', "[]"),
    ('if header :matches "subject" "*report" { fileinto "no"; }', None),
    ('if envelope :detail "to" "lists" { fileinto "lists"; }', "lists"),
    ('if address :user "to" "lee" { fileinto "lee"; }', "lee"),
    ('if address :domain :is "from" "EXAMPLE.org" { fileinto "x"; }', "x"),
    ('if body :contains "hére" { fileinto "body"; }', "body"),
    ('if body :content "text/html" :contains "<b>" { fileinto "html"; }', "html"),
    ('if body :content "application" :contains "%PDF" { fileinto "pdf"; }', "pdf"),
    ('if date :zone "+0000" :is "date" "time" "08:30:00" { fileinto "z"; }', "z"),
    ('if date :originalzone :is "date" "weekday" "2" { fileinto "tue"; }', "tue"),
    ('if date :index 2 :originalzone "received" "minute" "30" { fileinto "i"; }', "i"),
    ('if date :index 1 :last :originalzone "received" "minute" "30" { fileinto "i"; }', "i"),
    ('if currentdate :zone "+0000" "iso8601" "1970-01-02T00:00:00Z" { fileinto "now"; }', "now"),
    ('if header :regex "subject" "^\\\\[([a-z]+)\\\\]" { fileinto "${1}"; }', "list"),
    ('if header :value "gt" :comparator "i;ascii-numeric" "x-number" "9" { fileinto "big"; }', "big"),
    ('if header :count "eq" "received" "2" { fileinto "two"; }', "two"),
    ('if not anyof(false, size :over 1M) { fileinto "small"; }', "small"),
    ('if allof(true, exists ["from", "date"]) { fileinto "e"; }', "e"),
    ('if string :is "${unset}" "" { fileinto "s"; }', "s"),
    ('set :upperfirst :lower "a" "juMBlEd"; fileinto "${a}";', "Jumbled"),
    ('set :length "a" "juMBlEd"; fileinto "${a}";', "7"),
    ('if ihave "fileinto" { fileinto "have"; }', "have"),
    ('if ihave "vnd.example.none" { fileinto "no"; }', None),
    (
        'foreverypart { if header :mime :param "filename" :contains "content-disposition" ".pdf" { fileinto "pdf"; break; } }',
        "pdf",
    ),
    (
        'foreverypart { if header :mime :subtype "content-type" "html" { extracttext "t"; fileinto "${t}"; } }',
        "<b>Dear Lee</b>",
    ),
    ('setflag ["a", "b"]; if hasflag :count "ge" :comparator "i;ascii-numeric" "2" { fileinto "f"; }', "f"),
    ('addheader "X-A" "b"; if header "x-a" "b" { fileinto "edited"; }', "edited"),
    ('fileinto "${hex:41 42}${unicode:e9}";', "ABé"),
    ('if notify_method_capability "mailto:a@example.net" "online" "maybe" { fileinto "n"; }', "n"),
]
REQUIRE = (
    'require ["fileinto", "variables", "envelope", "subaddress", "body", "date", "index", "regex", "relational", "ihave", "mime", '
    '"foreverypart", "extracttext", "imap4flags", "editheader", "encoded-character", "enotify", "comparator-i;ascii-numeric", '
    '"comparator-i;unicode-casemap"];\n'
)


@pytest.mark.parametrize(("script", "mailbox"), FILED, ids=[script[:60] for script, _ in FILED])
def test_filed(script: str, mailbox: str | None) -> None:
    result = run_script(REQUIRE + script, now=86400.0)
    assert result.error is None
    assert [action.mailbox for action in result.actions if isinstance(action, FileInto)] == (
        [] if mailbox is None else [mailbox]
    )
    assert result.keep is (mailbox is None)


def test_reject_and_keep_conflict() -> None:
    result = run_script('require "reject"; reject "no";\nkeep;')
    assert result.actions == []
    assert result.keep
    assert str(result.error) == "line 2: keep cannot be used with reject"


def test_of_a_failing_script_nothing_remains_but_the_keep() -> None:
    before = 'require ["fileinto", "copy", "editheader"]; fileinto :copy "before"; addheader "X-A" "1";'
    result = run_script(before, REQUIRE + 'setflag "a"; fileinto "b"; addheader "X-B" "2"; keep; error "sorry";')
    assert result.actions == [FileInto("before")]
    assert result.edits == [AddField("X-A", "1")]
    assert (result.keep, result.keep_flags, str(result.error)) == (True, None, "line 2: sorry")


def test_a_mistake_of_a_handler_fails_the_script_and_keeps_the_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TextMessage, "header", lambda self, name: 1 // 0)
    result = run_script('require "fileinto"; fileinto "a"; if header "a" "b" { keep; }')
    assert isinstance(result.bug, ZeroDivisionError)
    assert (result.actions, result.keep) == ([], True)
    assert "internal error (ZeroDivisionError)" in str(result.error)


def test_an_action_keeps_the_header_of_its_moment() -> None:
    result = run_script(
        REQUIRE + 'fileinto "0"; addheader "A" "1"; redirect "a@example.net"; addheader "B" "2"; fileinto "2"; keep;'
    )
    assert [len(action.edits) for action in result.actions if isinstance(action, FileInto | Redirect)] == [0, 1, 2]
    assert result.keep
    assert len(result.edits) == 2


def test_next_script_runs_only_while_keep_is_in_effect() -> None:
    filed = 'require "fileinto"; fileinto "a";'
    kept = 'require ["fileinto", "copy"]; fileinto :copy "b";'
    assert run_script(filed, kept).actions == [FileInto("a")]
    result = run_script(kept, filed)
    assert result.actions == [FileInto("b"), FileInto("a")]
    assert not result.keep


def test_explicit_keep_lets_the_next_script_run_and_is_cancelled_by_it() -> None:
    result = run_script("keep;", "discard;")
    assert not result.keep
    assert result.actions == []


def test_vacation_differs_by_text_unless_named() -> None:
    first = run_script('require "vacation"; vacation "a";').actions[0]
    second = run_script('require "vacation"; vacation "b";').actions[0]
    named = run_script('require "vacation"; vacation :handle "h" :days 3 "b";').actions[0]
    assert isinstance(first, Vacation)
    assert isinstance(second, Vacation)
    assert isinstance(named, Vacation)
    assert first.handle != second.handle
    assert (named.handle, named.seconds) == ("h", 3 * 86400)


def test_extensions_of_old_scripts_are_taken_with_a_warning_and_not_announced() -> None:
    script = (
        'require ["notify", "imapflags", "vnd.dovecot.duplicate"]; mark; addflag "x"; unmark;'
        'notify :method "mailto" :options "a@example.net" :high :message "$env-from$ $subject$"; notify :options "b@example.net";'
        "denotify :normal; if duplicate { discard; }"
    )
    program = compile_text(script)
    assert [warning.rpartition(": ")[2] for warning in program.warnings] == [
        "use 'enotify'",
        "use 'imap4flags'",
        "use 'duplicate'",
    ]
    assert not {"notify", "imapflags", "vnd.dovecot.duplicate"} & set(EVERYTHING.capabilities())
    result = run_script(script, mail="Subject: s\nMessage-ID: <1@x>\n\n", answers={SeenBefore: lambda _: False})
    assert result.actions == [Notify("mailto:a@example.net", "kim-bounces@example.org s", "", 1)]
    assert (result.keep, result.keep_flags) == (True, ("x",))
