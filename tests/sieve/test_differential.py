"""The same scripts over the same mails in MAS and in Pigeonhole 0.5: the same decisions, but where a comment says why not."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sieve.differential import Outcome, Pigeonhole, ours
from tests.sieve.mails import MAILS
from tests.support.dovecot_version import dovecot_version, is_24
from tests.support.servers import need

pytestmark = pytest.mark.e2e

REQUIRE = (
    'require ["fileinto", "copy", "variables", "envelope", "subaddress", "body", "date", "index", "regex", "relational", "ihave", '
    '"mime", "foreverypart", "extracttext", "imap4flags", "editheader", "encoded-character", "enotify", "mailbox", "environment", '
    '"comparator-i;ascii-numeric", "reject", "vacation", "vacation-seconds", "duplicate", "include", "spamtest"];\n'
)


def show(test: str) -> str:
    """A script that files by whether a test is true."""
    return f'if {test} {{ fileinto "yes"; }} else {{ fileinto "no"; }}'


def value(test: str, *names: str) -> str:
    """A script that files by what a test's wildcards matched."""
    shown = ".".join(f"${{{name}}}" for name in names)
    return f'if {test} {{ fileinto "got.{shown}"; }}'


SCRIPTS = [
    "",
    "keep;",
    "discard;",
    "stop; discard;",
    "keep; keep; discard;",
    'fileinto "a"; fileinto "a"; fileinto "b";',
    'fileinto "INBOX"; keep;',
    'fileinto :copy "a";',
    'redirect "a@example.com";',
    'redirect :copy "a@example.com"; redirect "b@example.com";',
    'redirect "a@example.com"; redirect "a@example.com"; keep;',
    'reject "no";',
    'reject "no"; keep;',
    'fileinto "a"; reject "no";',
    'vacation "away";',
    'vacation :days 3 "away";',
    'vacation :days 0 "away";',
    'vacation :seconds 100 "away";',
    'vacation "a"; vacation "b";',
    'vacation "a"; reject "b";',
    'notify "mailto:a@example.net";',
    'setflag "\\\\Seen";',
    'setflag ["\\\\Seen", "$x"]; removeflag "$x"; addflag "a b c"; keep;',
    'setflag "\\\\Seen"; fileinto "a"; setflag "\\\\Flagged"; fileinto :copy "b";',
    'fileinto :flags "\\\\Deleted \\\\nonsense $ok" "a";',
    'keep :flags "\\\\Flagged"; keep;',
    'setflag "v" ["\\\\Answered", "k"]; if hasflag "v" "K" { fileinto :flags "${v}" "a"; }',
    'addflag "\\\\Seen"; if hasflag :contains "SEE" { fileinto "has"; }',
    'setflag ["a", "b"]; if hasflag :count "eq" :comparator "i;ascii-numeric" "2" { fileinto "two"; }',
    'keep; setflag "\\\\Seen";',
    show("size :over 300"),
    show("size :under 30"),
    show("not not true"),
    show("anyof(false, allof(true, not false))"),
    show('exists "x-empty"'),
    show('exists ["from", "x-none"]'),
    show('header "x-empty" ""'),
    show('header :contains "x-empty" ""'),
    show('header :matches "x-empty" "*"'),
    show('header "x-none" ""'),
    show('header :contains "x-none" ""'),
    show('not header :contains ["from", "to"] ["example", "no"]'),
    show('header "x-folded" "one two three"'),
    show('header :comparator "i;octet" :contains "subject" "quarterly"'),
    show('header :contains "subject" "QUARTERLY"'),
    show('header :is "subject" "Grüße aus Köln"'),
    show('header :count "ge" :comparator "i;ascii-numeric" "x-many" "3"'),
    show('header :count "eq" :comparator "i;ascii-numeric" ["x-many", "x-number"] ["5"]'),
    show('header :value "lt" :comparator "i;ascii-numeric" "x-number" "13"'),
    show('header :value "gt" :comparator "i;ascii-numeric" "x-number" "13"'),
    show('header :comparator "i;ascii-numeric" "x-number" "12"'),
    show('header :value "le" :comparator "i;octet" "x-many" "a"'),
    show('header :index 2 "x-many" "b"'),
    show('header :index 1 :last "x-many" "c"'),
    show('header :index 4 "x-many" "c"'),
    value('header :matches "subject" "[*] *"', "1", "2"),
    value('header :matches "subject" "*?*"', "0", "1", "2", "3"),
    value('header :matches "subject" "[bug ????] *"', "1", "4", "5"),
    value('header :matches "subject" "*\\\\* star*"', "1", "2"),
    value('header :matches "subject" "*\\\\\\\\\\\\\\\\*"', "1", "2"),
    value('header :regex "subject" "([a-z]+) ([0-9]+)"', "0", "1", "2"),
    value('header :regex "subject" "^\\\\[(bug|list)( [0-9]*)?\\\\]"', "1", "2"),
    value('header :matches "x-folded" "one*three"', "1", "0"),
    value('address :matches :localpart "from" "*"', "1"),
    value('address :matches :domain "from" "*"', "1"),
    value('address :matches :all ["to", "cc"] "*"', "1"),
    value('address :matches :user "to" "*"', "1"),
    value('address :matches :detail "to" "*"', "1"),
    show('address :all "from" "jane.doe@example.com"'),
    show('address :comparator "i;octet" "from" "jane.doe@example.com"'),
    show('address "to" ["a@example.net"]'),
    show('address "to" ["b@example.net"]'),
    show('address :contains "to" ""'),
    show('address :count "eq" :comparator "i;ascii-numeric" "to" "2"'),
    show('address :domain "from" ["example.org", "example.com"]'),
    show('address :localpart "cc" "quoted @ local"'),
    show('address "sender" "secretary@example.com"'),
    show('envelope "from" "kim-bounces@example.org"'),
    show('envelope :localpart "from" "KIM-bounces"'),
    show('envelope :detail "to" "lists"'),
    show('envelope :user "to" "lee"'),
    show('envelope :all :matches ["from", "to"] "*@example.net"'),
    show('body :contains "money"'),
    show('body :raw :contains "money"'),
    show('body :raw :contains "R3L832"'),
    show('body :contains "grüße"'),
    show('body :content "text" :contains "Köln"'),
    show('body :content "text/html" :contains "uuml"'),
    show('body :content "message/rfc822" :contains "inner subject"'),
    show('body :content "image" :contains "PNG"'),
    show('body :text :matches "*line two*"'),
    show('body :content "" :contains "Köln"'),
    show('date :is :zone "+0000" "date" "date" "2026-03-01"'),
    value('date :matches :originalzone "date" "iso8601" "*"', "1"),
    value('date :matches :originalzone "date" "std11" "*"', "1"),
    value('date :matches :zone "+0200" "date" "time" "*"', "1"),
    value('date :matches :zone "-0230" "date" "zone" "*"', "1"),
    value('date :matches :originalzone "date" "julian" "*"', "1"),
    value('date :matches :originalzone "date" "weekday" "*"', "1"),
    value('date :matches :originalzone "received" "hour" "*"', "1"),
    show('date :value "ge" :originalzone "date" "year" "2026"'),
    show('date :is "subject" "year" "2026"'),
    show('currentdate :value "ge" "year" "2020"'),
    'set "a" "x"; set "b" "${a}${A}${c}"; fileinto "v.${b}";',
    'set :upper "a" "grüße"; set :lower :upperfirst "b" "ABC"; set :length "c" "grüße"; fileinto "${a}.${b}.${c}";',
    'set :quotewildcard "a" "x*y?z\\\\"; fileinto "q.${a}";',
    'set "a" "${}${ a}${a-b}${1x}$${a}"; fileinto "r.${a}";',
    'set :lowerfirst :upper "a" "juMBlEd"; fileinto "${a}";',
    'if header :matches "subject" "*" { set "s" "${1}"; } if header :matches "from" "<*" {} fileinto "k.${s}.${0}";',
    'set "name" "Archive"; if string :is "${name}" "Archive" { fileinto "${NAME}"; }',
    'set "s" " a "; if string :matches " ${s} " "* a *" { fileinto "spaces.${1}.${2}."; }',
    'if string :is " a " "a" { fileinto "stripped"; }',
    'if string :matches ["${a}", "xyz"] "?*" { fileinto "m.${1}.${2}"; }',
    'if string :count "eq" :comparator "i;ascii-numeric" ["a", "", "b"] "2" { fileinto "count"; }',
    'fileinto "${hex: 41 42}${unicode:0263A}${hex:4g}";',
    'fileinto "${unicode:110000}";',
    'foreverypart { if header :mime :contenttype :is "content-type" "text/html" { fileinto "html"; break; } }',
    'foreverypart { if header :mime :param "filename" :matches "content-disposition" "*.*" { fileinto "f.${1}.${2}"; } }',
    'foreverypart { if header :mime :type "content-type" "image" { fileinto "image"; } }',
    'foreverypart { if header :mime :subtype "content-type" "plain" { extracttext :first 2 "t"; fileinto "t.${t}"; } }',
    show('header :mime :anychild :contenttype "content-type" "image/png"'),
    show('header :mime :anychild :param "name" "content-type" "a picture.png"'),
    show('exists :mime :anychild "content-disposition"'),
    show('address :mime :anychild "from" "inner@example.org"'),
    'addheader "X-A" "one"; addheader :last "X-A" "two"; if header :index 1 :last "x-a" "two" { fileinto "ok"; }',
    'deleteheader "x-many"; ' + show('exists "x-many"'),
    'deleteheader :index 2 "x-many"; ' + show('header "x-many" "b"'),
    'deleteheader :matches "x-many" ["a", "c"]; '
    + show('header :count "eq" :comparator "i;ascii-numeric" "x-many" "1"'),
    'deleteheader "received"; ' + show('exists "received"'),
    show('ihave "fileinto"'),
    show('ihave ["fileinto", "nonsense"]'),
    'if ihave "nonsense" { nonsense "x" { y; } } fileinto "after";',
    'if not ihave "fileinto" { error "no"; }',
    'fileinto "before"; error "sorry";',
    show('valid_notify_method ["mailto:a@example.net"]'),
    show('valid_notify_method ["mailto:a@example.net", "xmpp:a@example.net"]'),
    show('environment "name" "nothing"'),
    show('spamtest "0"'),
    'if false {} elsif true { fileinto "elsif"; } else { fileinto "else"; }',
    'if true { if false {} else { fileinto "inner"; } } else { fileinto "outer"; }',
    'if header :contains "subject" text:\n..dot\n.\n { keep; } fileinto "after";',
    "vacation text: # comment\nGone\n.\n; /* comment */ # more\nkeep;",
    'KEEP; FileInto "Case"; IF TRUE { FILEINTO "upper"; }',
    # What must not compile
    "keep",
    "keep 1;",
    'keep "x";',
    "if true { keep; } keep; else { stop; }",
    'header "a" "b";',
    "if keep { stop; }",
    'if header "a" { stop; }',
    'if header :is :matches "a" "b" { stop; }',
    'if header :comparator "i;none" "a" "b" { stop; }',
    'if header :comparator "i;ascii-numeric" :contains "a" "b" { stop; }',
    'if size "3" { stop; }',
    "if size :over :under 3 { stop; }",
    "if anyof true { stop; }",
    "if not (true) { stop; }",
    "if allof() { stop; }",
    'fileinto ["a", "b"];',
    'redirect "not an address";',
    "vacation;",
    'vacation :days 3 :seconds 3 "x";',
    'set "1x" "y";',
    'set "a.b" "y";',
    'if header "a b" "c" { stop; }',
    'if envelope "cc" "c" { stop; }',
    'if address "subject" "c" { stop; }',
    'if date "date" "century" "c" { stop; }',
    'if header :regex "a" "(" { stop; }',
    'require "copy";',
    'keep; require "copy";',
    'notify "xmpp:a@example.net";',
    'addheader "X Y" "z";',
    "error;",
    "break;",
    "if true; ",
    "stop {}",
    '"string";',
    "{ keep; }",
    "keep; }",
    "if true { keep;",
    'fileinto "open;',
    "/* open",
    "fileinto text:\nabc\n",
    "if size :over 1X { stop; }",
    "if size :over 99999999999999999999999G { stop; }",
    "keep ;; keep;",
]
LOWERED = 'if address :matches :domain "from" "*" { fileinto "got.${1}"; }'
DIFFERENT = [
    # A script that fails keeps the mail; Pigeonhole notices the empty name only when it saves.
    ('fileinto "a"; fileinto "${unset}";', "bare", [("failed",), ("store", "INBOX")], [("store", ""), ("store", "a")]),
    ('fileinto "${33}";', "bare", [("failed",), ("store", "INBOX")], [("store", "")]),
    # The order of i;ascii-casemap is that of capitals [RFC4790 9.2.1].
    (show('header :value "gt" "x-many" "_"'), "plain", [("store", "no")], [("store", "yes")]),
    # The default comparator is i;ascii-casemap [RFC5228 2.7.3].
    (show('string "A" "a"'), "bare", [("store", "yes")], [("store", "no")]),
    # What was not tested counts 0 [RFC5235 3.1].
    (show('spamtest :count "eq" "0"'), "bare", [("store", "yes")], [("store", "no")]),
    # Characters, not octets [RFC5703 7].
    (
        'foreverypart { if header :mime :subtype "content-type" "plain" { extracttext :first 3 "t"; fileinto "${t}"; } }',
        "nested",
        [("store", "Grü")],
        [("failed",), ("store", "INBOX")],
    ),
    (show('body :raw :is ""'), "bare", [("store", "yes")], [("store", "no")]),
]
SAME_SINCE_24 = {show('string "A" "a"')}


@pytest.fixture(scope="module")
def pigeonhole() -> Iterator[Pigeonhole]:
    # Not below pytest's own folder, which only its user may enter.
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        theirs = Pigeonhole(need("sieve-test"), directory)
        for name, mail in MAILS.items():
            (directory / f"{name}.eml").write_text(mail)
        yield theirs


@pytest.mark.parametrize("script", SCRIPTS, ids=[f"{at}:{script[:60]}" for at, script in enumerate(SCRIPTS)])
def test_as_pigeonhole(pigeonhole: Pigeonhole, script: str) -> None:
    if script == LOWERED and dovecot_version() > (2, 4, 1):
        pytest.skip("Pigeonhole after 2.4.1 has the domain of an address in small letters")
    path = pigeonhole.directory / "test.sieve"
    path.unlink(missing_ok=True)  # its compiled form is kept by the identity of the file
    path.write_text(REQUIRE + script)
    different = {}
    for name in MAILS:
        mail = pigeonhole.directory / f"{name}.eml"
        mine, theirs = ours(path, mail.read_bytes()), pigeonhole(path, mail)
        if mine != theirs:
            different[name] = (mine, theirs, pigeonhole.said)
    assert not different


@pytest.mark.parametrize(("script", "mail", "mine", "theirs"), DIFFERENT, ids=[case[0][:60] for case in DIFFERENT])
def test_not_as_pigeonhole(pigeonhole: Pigeonhole, script: str, mail: str, mine: Outcome, theirs: Outcome) -> None:
    path = pigeonhole.directory / "test.sieve"
    path.unlink(missing_ok=True)
    path.write_text(REQUIRE + script)
    message = pigeonhole.directory / f"{mail}.eml"
    if script in SAME_SINCE_24 and is_24():
        theirs = mine
    assert (ours(path, message.read_bytes()), pigeonhole(path, message)) == (mine, theirs)
