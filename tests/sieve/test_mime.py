"""mime, foreverypart, extracttext, replace, enclose: a message's parts, and other parts in their place. [RFC5703]

What the new messages look like is tests/filtering/test_rewrite.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from mas.filtering.dry_run import dry_run
from mas.sieve.actions import Redirect, Rewritten
from mas.sieve.interpreter import Result
from mas.sieve.limits import Limits
from mas.sieve.message import Transaction
from mas.sieve.questions import EncloseMessage, ReplacePart
from mas.sieve.source import ScriptError
from tests.sieve.differential import Outcome
from tests.sieve.mails import MAILS
from tests.sieve.support import EVERYTHING, TextMessage, compile_text, run_script
from tests.sieve.tables import ALONE, FAILED, KEPT, Row, check_mistakes, check_rows, gives, into, no, yes

REQUIRE = (
    'require ["mime", "foreverypart", "extracttext", "fileinto", "variables", "relational", "index", "comparator-i;ascii-numeric", "copy", '
    '"body", "encoded-character"];\n'
)
NESTED_LOOPS: Outcome = [("failed",), ("store", "INBOX")]
"""Pigeonhole takes its own code for damaged when a loop ends in a loop."""


def each(block: str, outcome: Outcome, mail: str = "mixed", theirs: Outcome | None = None) -> Row:
    """What a loop over all parts does."""
    return Row(f"foreverypart {{ {block} }}", outcome, mail, theirs)


def text_of(subtype: str, tags: str, value: str, theirs: str | None = None) -> Row:
    """What extracttext gives of a part; between letters, since a mailbox has a name."""
    block = f'if header :mime :subtype "content-type" "{subtype}" {{ extracttext {tags} "t"; fileinto "<${{t}}>"; }}'
    return each(block, into(f"<{value}>"), theirs=None if theirs is None else into(f"<{theirs}>"))


ROWS = [
    # header [RFC5703 4.1]: outside of a loop the message's own header, with :anychild every part's.
    yes('header :mime :type "content-type" "multipart"'),
    yes('header :mime :subtype "content-type" "MIXED"'),
    yes('header :mime :contenttype "content-type" "multipart/mixed"'),
    yes('header :mime :param "BOUNDARY" "content-type" "b1"'),
    yes('header :mime :param ["x", "boundary"] "content-type" "b1"'),
    # A parameter that is not there has no value.
    no('header :mime :param "x" "content-type" ""', theirs=into("yes")),
    no('header :mime :param "charset" "content-type" "utf-8"'),
    yes('header :mime :anychild :param "charset" "content-type" "utf-8"'),
    no('header :mime :type "content-type" "text"'),
    yes('header :mime :anychild :type "content-type" "text"'),
    yes('header :mime :anychild :type :count "eq" :comparator "i;ascii-numeric" "content-type" "4"'),
    gives('header :mime :anychild :contenttype :matches "content-type" "*/pdf"', "application"),
    yes('header :mime :anychild :type "content-disposition" "attachment"'),
    yes('header :mime :anychild :contenttype "content-disposition" "attachment"'),
    yes('header :mime :anychild :subtype "content-disposition" ""'),
    yes('header :mime :anychild :param "filename" "content-disposition" "report.pdf"'),
    yes('header :mime :anychild :param "name" "content-type" "a picture.png"', "nested"),
    # No field: no type, not that of a text.
    no('header :mime :type "content-type" "text"', "bare"),
    no('header :mime :type :is "subject" "x"'),
    yes('header :mime :contains "subject" "quarterly"'),
    no('header :mime :contains "subject" "inner"', "nested"),
    yes('header :mime :anychild :contains "subject" "inner"', "nested"),
    # address [RFC5703 4.2]
    yes('address :mime "from" "kim@example.org"'),
    no('address :mime :domain "from" "example.org"', "nested"),
    yes('address :mime :anychild :domain "from" "example.org"', "nested"),
    gives('address :mime :anychild :localpart :matches "from" "i*"', "nner", "nested"),
    # exists [RFC5703 4.3]
    no('exists :mime "content-disposition"'),
    yes('exists :mime :anychild "content-disposition"'),
    yes('exists :mime :anychild ["content-disposition", "subject"]'),
    no('exists :mime :anychild ["content-disposition", "x-none"]'),
    # foreverypart [RFC5703 3]: the message is a part, and each part comes once, before those in it.
    each('fileinto "part";', into("part"), "bare"),
    *(
        Row('set "n" ""; foreverypart { set "n" "${n}x"; } fileinto "${n}";', into("x" * parts), mail)
        for mail, parts in (("bare", 1), ("plain", 1), ("mixed", 4), ("nested", 6))
    ),
    Row(
        'set "n" "-"; foreverypart { if header :mime :matches :type "content-type" "?*" { set "n" "${n}${1}"; } } fileinto "${n}";',
        into("-mmmtti"),
        "nested",
    ),
    each(
        'if header :mime :matches "subject" "*" { fileinto "${1}"; }',
        into("[bug 1234] A * star and a \\\\ backslash", "inner subject"),
        "nested",
    ),
    # Without :mime it is the message's header in a loop, too.
    each(
        'if header :matches "subject" "[*" { fileinto "${1}"; }',
        into("bug 1234] A * star and a \\\\ backslash"),
        "nested",
    ),
    # A loop in a loop is over the parts below.
    Row(
        'set "n" ""; foreverypart { if header :mime :type "content-type" "multipart" { foreverypart { set "n" "${n}i"; } } '
        'set "n" "${n}o"; } fileinto "${n}";',
        into("iiiiiooiioooo"),
        "nested",
        NESTED_LOOPS,
    ),
    each("stop;", KEPT),
    Row('foreverypart { discard; break; } fileinto "after";', into("after")),
    # break [RFC5703 3.2]: the innermost loop, or the one of a name.
    Row(
        'set "n" ""; foreverypart { foreverypart { set "n" "${n}i"; break; } set "n" "${n}o"; } fileinto "${n}";',
        into("ioooo"),
        theirs=NESTED_LOOPS,
    ),
    Row(
        'set "n" "n"; foreverypart :name "out" { foreverypart { set "n" "${n}i"; break :name "out"; } set "n" "${n}o"; } fileinto "${n}";',
        into("ni"),
    ),
    each("foreverypart { foreverypart { foreverypart { keep; } } }", KEPT),
    # extracttext [RFC5703 7]: decoded, characters counted, modified as set does it.
    text_of("plain", "", "Hello Lee, the money is hére."),
    text_of("plain", ":first 5", "Hello"),
    text_of("plain", ":first 0", ""),
    text_of("plain", ":first 5 :upper", "HELLO"),
    text_of("plain", ":length :first 5", "5"),
    text_of("plain", ":lower :upperfirst :first 7", "Hello l"),
    # As it is written; Pigeonhole takes the tags away.
    text_of("html", "", "<b>Dear Lee</b>", "Dear Lee "),
    # What holds parts or is a picture has no text. Pigeonhole gives octets.
    text_of("mixed", "", ""),
    each(
        'if header :mime :type "content-type" "message" { extracttext "t"; fileinto "<${t}>"; }', into("<>"), "nested"
    ),
    each(
        'if header :mime :type "content-type" "image" { extracttext "t"; fileinto "<${t}>"; }',
        into("<>"),
        "nested",
        ALONE,
    ),
    # The name of a mailbox is one line.
    each(
        'extracttext "t"; fileinto "${t}";', FAILED, "plain", [("store", "Line one.?Line two has MONEY and *stars*.?")]
    ),
]
MISTAKES = [
    *(
        (f'if {test} "content-type" "a" {{}}', f":{tag} needs :mime")
        for test, tag in (
            ("header :anychild", "anychild"),
            ("header :type", "type"),
            ("header :subtype", "subtype"),
            ("header :contenttype", "contenttype"),
            ('header :param "a"', "param"),
            ("address :anychild", "anychild"),
        )
    ),
    ('if exists :anychild "a" {}', ":anychild needs :mime"),
    ('if header :mime :type :subtype "content-type" "a" {}', "exclude each other"),
    ('if header :mime :mime "content-type" "a" {}', "is given twice"),
    ('if header :mime :param "content-type" "a" {}', "header takes"),
    ('if header :mime :param 1 "content-type" "a" {}', ":param takes a string list, not a number"),
    ('if address :mime :type "from" "a" {}', "takes no tag :type"),
    ("if size :mime :over 1 {}", "takes no tag :mime"),
    ("foreverypart;", "foreverypart needs a block"),
    ("foreverypart true { keep; }", "takes no test"),
    ('foreverypart "a" { keep; }', "no positional arguments"),
    ("foreverypart :name { keep; }", ":name must be followed by a string"),
    ('foreverypart :name "${a}" { keep; }', "must be a constant string"),
    ("foreverypart { " * 5 + "keep;" + " }" * 5, "nested more than 4 deep"),
    ("break;", "break is not inside a foreverypart"),
    ('foreverypart { break :name "a"; }', "break is not inside a foreverypart named 'a'"),
    ('foreverypart :name "a" { break :name "A"; }', "break is not inside a foreverypart named 'A'"),
    ('extracttext "a";', "extracttext is not inside a foreverypart"),
    ('foreverypart { extracttext "1"; }', "is not a variable name"),
    ('foreverypart { extracttext "${a}"; }', "must be a constant string"),
    ('foreverypart { extracttext ["a", "b"]; }', "not a list"),
    ('foreverypart { extracttext :first "a" "b"; }', ":first takes a number"),
    ('foreverypart { extracttext :upper :lower "b"; }', "exclude each other"),
]
NEW = 'require ["replace", "enclose", "mime", "foreverypart", "variables", "fileinto", "copy"];\n'
"""replace and enclose are not in Pigeonhole."""
NEW_MISTAKES = [
    ("replace;", "replace takes"),
    ('replace ["a", "b"];', "not a list"),
    ('replace :mime :subject "a" "b";', ":subject does not go with :mime"),
    ('replace :mime :from "a@example.net" "b";', ":from does not go with :mime"),
    ('replace :from "nobody" "b";', "is not a list of addresses"),
    ('replace :headers "a" "b";', "takes no tag :headers"),
    ('enclose :headers "a b" "c";', "is not a header field name"),
    ('enclose :mime "c";', "takes no tag :mime"),
    ("enclose;", "enclose takes"),
]


def test_rows(tmp_path: Path) -> None:
    check_rows(REQUIRE, ROWS, tmp_path)


def test_mistakes() -> None:
    check_mistakes(REQUIRE, MISTAKES)
    check_mistakes(NEW, NEW_MISTAKES)


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ('if header :mime :type "content-type" "a" {}', ":mime needs require 'mime'"),
        ("foreverypart { keep; }", "'foreverypart' needs require 'foreverypart'"),
        ('require "foreverypart"; foreverypart { extracttext "a"; }', "'extracttext' needs require 'extracttext'"),
        ('require ["foreverypart", "extracttext"]; foreverypart { extracttext "a"; }', "needs require 'variables'"),
        ('replace "a";', "'replace' needs require 'replace'"),
        ('enclose "a";', "'enclose' needs require 'enclose'"),
    ],
)
def test_each_has_its_own_capability(script: str, problem: str) -> None:
    check_mistakes("", [(script, problem)])


def test_loops_have_a_limit_of_their_own() -> None:
    two = Limits(max_foreverypart_depth=2)
    compile_text(REQUIRE + "foreverypart { foreverypart { keep; } }", limits=two)
    with pytest.raises(ScriptError, match="foreverypart is nested more than 2 deep"):
        compile_text(REQUIRE + "foreverypart { foreverypart { foreverypart { keep; } } }", limits=two)


def tried(script: str, folder: Path, mail: str = "mixed") -> Result:
    """What MAS decides about a mail whose parts are replaced."""
    path = folder / "script.sieve"
    path.write_text(NEW + script)
    return dry_run(path, MAILS[mail].encode(), EVERYTHING, Transaction("kim@example.org", "lee@example.net"))


def test_tests_see_the_message_that_replace_and_enclose_made(tmp_path: Path) -> None:
    for script, names in {
        'replace "gone"; if header :mime :contenttype "content-type" "text/plain" { fileinto "text"; }': ["text"],
        'replace :subject "new" "gone"; if header "subject" "new" { fileinto "${0}yes"; }': ["yes"],
        'foreverypart { if header :mime :subtype "content-type" "pdf" { replace "no"; } } '
        'if not header :mime :anychild :subtype "content-type" "pdf" { fileinto "clean"; }': ["clean"],
        'replace :mime "Content-Type: text/html\r\n\r\n<p>"; if header :mime :subtype "content-type" "html" { fileinto "html"; }': [
            "html"
        ],
        # The old message is the second part [RFC5703 6].
        'enclose :subject "wrapped" "see inside"; if header :mime :anychild "subject" "wrapped" { fileinto "outer"; } '
        'if header :mime :anychild :contenttype "content-type" "message/rfc822" { fileinto "inner"; }': [
            "outer",
            "inner",
        ],
        'enclose :headers "X-Number" "t"; if header "x-number" "12" { fileinto "copied"; }': ["copied"],
        'enclose "t"; if exists "x-number" { fileinto "copied"; } else { fileinto "not copied"; }': ["not copied"],
    }.items():
        result = tried(script, tmp_path)
        assert ([getattr(action, "mailbox", "") for action in result.actions], result.error) == (names, None), script


def test_a_redirect_goes_without_the_enclosure(tmp_path: Path) -> None:
    result = tried('replace "gone"; enclose "t"; redirect "a@example.net"; keep;', tmp_path)
    (redirect,) = [action for action in result.actions if isinstance(action, Redirect)]
    (replaced,) = redirect.edits
    assert isinstance(replaced, Rewritten)
    assert not replaced.enclosing
    assert isinstance(result.edits[-1], Rewritten)
    assert result.edits[-1].enclosing


PARAMETERS = [
    ("title*0*=us-ascii'en'This%20is%20; title*1=more", "This is more"),
    ("title*=utf-8''gr%C3%B6%C3%9Fer", "größer"),
    ('title*0="a "; title*1="b; c"', "a b; c"),
    ('title="a \\"b\\" c"', 'a "b" c'),
    ("title=plain; name*=x", "plain"),
    ("title*=nonsense''%C3", None),
    ("title", None),
    ("TITLE = spaced ", "spaced"),
]


@pytest.mark.parametrize(("parameters", "value"), PARAMETERS)
def test_parameters_in_pieces_and_charsets(parameters: str, value: str | None) -> None:
    """[RFC2231 3, 4]"""
    script = REQUIRE + 'if header :mime :param "title" :matches "content-type" "*" { fileinto "<${1}>"; }'
    result = run_script(script, mail=f"Content-Type: text/plain; {parameters}\n\nx\n")
    assert result.error is None
    if value is not None:
        assert [getattr(action, "mailbox", "") for action in result.actions] == [f"<{value}>"]


def test_what_is_asked_for_a_new_message() -> None:
    asked: list[ReplacePart | EncloseMessage] = []
    script = 'set "n" "7"; replace :subject "s${n}" :from "A <a@example.net>" "t${n}"; '
    script += 'enclose :subject "e${n}" :headers ["X-A", "X-${n}"] "${n}";'

    def answered(question: ReplacePart | EncloseMessage) -> object:
        asked.append(question)
        return TextMessage("Subject: new\n\nnew\n")

    assert run_script(NEW + script, answers={ReplacePart: answered, EncloseMessage: answered}).error is None
    replace, enclose = asked
    assert isinstance(replace, ReplacePart)
    assert isinstance(enclose, EncloseMessage)
    assert (replace.path, replace.text, replace.mime) == ((), "t7", False)
    assert (replace.subject, replace.sender) == ("s7", "A <a@example.net>")
    assert (enclose.text, enclose.subject, enclose.headers) == ("7", "e7", ("X-A", "X-7"))


def test_addresses_of_variables_are_looked_at_when_it_runs() -> None:
    result = run_script(NEW + 'set "a" "nobody"; replace :from "${a}" "b";')
    assert str(result.error) == "line 2: replace: 'nobody' is not a list of addresses"
    assert result.keep
