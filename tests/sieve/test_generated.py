"""Generated scripts over generated mails: what MAS decides, Pigeonhole decides. The grammar leaves out what is known to differ; that stands
here, in ``test_differential`` and in the tables of the extensions, with why."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.sieve import grammar
from tests.sieve.differential import Outcome, Pigeonhole, ours
from tests.support.dovecot_version import is_24
from tests.support.servers import need

_Test = TypeVar("_Test", bound=Callable[..., object])


def against_pigeonhole(test: _Test) -> _Test:
    """It starts Pigeonhole's program, of which what differs has been decided for 0.5."""
    marked: _Test = pytest.mark.e2e(pytest.mark.skipif(is_24(), reason="Pigeonhole of Dovecot 2.4")(test))
    return marked


SAME = settings(
    derandomize=True, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)
"""The same cases every time, each of which starts a process; what fails names its test, so nothing is made smaller."""
SNIPPETS = 20

DECIDED: list[tuple[str, str, str, str, str]] = [
    # mail, test, what its first wildcard matches or "no" here, and there, why
    (
        "To: pat@@example.net",
        'address :domain :matches "to" "*"',
        "no",
        "no",
        "an address that is none has no parts [RFC5228 2.7.4]",
    ),
    ("To: pat", 'address :localpart :matches "to" "*"', "no", "no", "as above: it has no domain"),
    (
        "To: pat@@example.net",
        'address :matches "to" "*"',
        "pat@@example.net",
        "pat@@example.net",
        "but it can be looked for",
    ),
    ("To: a@b.example, pat@", 'address :count "eq" "to" "1"', "", "", "beside addresses, what is none does not count"),
    (
        'To: "a \\"b"@c.example',
        'address :matches "to" "*"',
        '"a \\"b"@c.example',
        '"a \\"b"@c.example',
        "as it must be written",
    ),
    ('To: "a \\"b"@c.example', 'address :localpart :matches "to" "*"', 'a "b', 'a "b', "what the quotes hold"),
    (
        "To: a..b@c.example",
        'address :matches "to" "*"',
        "a..b@c.example",
        '"a..b"@c.example',
        "as it is written: scripts look for that",
    ),
    ("To: ü@c.example", 'address :localpart :matches "to" "*"', "ü", "no", "an address by [RFC6532]"),
    ("To: nobody:;", 'address :count "eq" "to" "0"', "", "no", "the name of a group is no address [RFC5228 5.1]"),
    ("To:", 'address :count "eq" "to" "0"', "", "no", "nothing is no address"),
    ("To: pat@", 'address :domain :count "eq" "to" "0"', "", "no", "what is not matched is not counted"),
    (
        "X-A: 1\nX-B: 2",
        'header :index 2 :matches ["x-b", "x-a"] "*"',
        "1",
        "1",
        "fields are counted over all names [RFC5260 6]",
    ),
    ("X-A: 1\nX-A: 2", 'header :mime :index 2 :matches "x-a" "*"', "2", "2", ":index is for :mime as well"),
    ("X-A: 1; n=2", 'header :mime :contenttype :matches "x-a" "*"', "", "", "other fields have no type [RFC5703 4.1]"),
    (
        "Content-Type: a/b",
        'header :mime :param "n" :matches "content-type" "*"',
        "no",
        "",
        "no parameter, no value [RFC5703 4.1]",
    ),
    (
        "Content-Type: nonsense",
        'body :content "text" :contains "alpha"',
        "",
        "no",
        "it is text/plain then [RFC2045 5.2]",
    ),
    (
        "X-A:",
        'header :comparator "i;ascii-numeric" :is "x-a" "a"',
        "",
        "no",
        "without digits both are infinite [RFC4790 9.1.1]",
    ),
    ("X-A:\n 1", 'header :matches "x-a" "*"', "1", " 1", "white space around a value is not looked at [RFC5228 5.7]"),
    (
        "X-A: =?utf-8?q?a?= =?utf-8?q?b",
        'header :matches "x-a" "*"',
        "a =?utf-8?q?b",
        "a=?utf-8?q?b",
        "no encoded word [RFC2047 2]",
    ),
    ("X-A: =?utf-8?q?a=0Ab?=", 'header :matches "x-a" "*"', "a b", "a\nb", "a value is one line"),
    ("Subject: x", 'envelope :detail :count "eq" "from" "0"', "", "no", "no detail, no value [RFC5233 4]"),
]
"""The body of the mails is alpha."""


@pytest.fixture(scope="module")
def pigeonhole() -> Iterator[Pigeonhole]:
    # Not below pytest's own folder, which only its user may enter.
    with tempfile.TemporaryDirectory() as name:
        yield Pigeonhole(need("sieve-test"), Path(name))


def both(pigeonhole: Pigeonhole, mail: bytes, text: str) -> tuple[Outcome, Outcome]:
    script, message = pigeonhole.directory / "test.sieve", pigeonhole.directory / "test.eml"
    script.unlink(missing_ok=True)  # its compiled form is kept by the identity of the file
    script.write_text(grammar.REQUIRE + text)
    message.write_bytes(mail.replace(b"\n", b"\r\n"))
    return ours(script, message.read_bytes()), pigeonhole(script, message)


def same(mine: tuple[str, ...] | None, theirs: tuple[str, ...] | None) -> bool:
    """Long names are printed cut."""
    if mine is not None and theirs is not None and len(theirs) > 1 and theirs[1].endswith("..."):
        return mine[2:] == theirs[2:] and mine[1].startswith(theirs[1].removesuffix("..."))
    return mine == theirs


def by_number(outcome: Outcome) -> dict[str, tuple[str, ...]]:
    return {action[1].partition(".")[0]: action for action in outcome if action[0] == "store"}


@against_pigeonhole
@settings(SAME, max_examples=25)
@given(grammar.mails(), st.lists(grammar.snippets(), min_size=SNIPPETS, max_size=SNIPPETS))
def test_tests(pigeonhole: Pigeonhole, mail: bytes, snippets: list[str]) -> None:
    numbered = [snippet.replace("%d", str(number)) for number, snippet in enumerate(snippets)]
    mine, theirs = both(pigeonhole, mail, "\n".join(numbered))
    assert ("no script",) not in mine + theirs, pigeonhole.said
    assert len(mine) == len(theirs) == SNIPPETS + 1, (mine, theirs)
    filed, filed_there = by_number(mine), by_number(theirs)
    different = [
        (snippet, filed.get(str(number)), filed_there.get(str(number)))
        for number, snippet in enumerate(snippets)
        if not same(filed.get(str(number)), filed_there.get(str(number)))
    ]
    assert not different, mail.decode()


@against_pigeonhole
@settings(SAME, max_examples=15)
@given(grammar.mails(), grammar.programs)
def test_programs(pigeonhole: Pigeonhole, mail: bytes, program: str) -> None:
    mine, theirs = both(pigeonhole, mail, program)
    assert mine == theirs, mail.decode()


def showing(test: str) -> str:
    test = test.replace(":count", ':comparator "i;ascii-numeric" :count')
    return f'if {test} {{ set :encodeurl "_" "${{1}}"; fileinto ".${{_}}"; }} else {{ fileinto "no"; }}'


def shown(value: str) -> Outcome:
    return [("store", value if value == "no" else "." + quote(value, safe="-._~"))]


def test_decided(tmp_path: Path) -> None:
    script = tmp_path / "test.sieve"
    different = {}
    for mail, test, mine, _, why in DECIDED:
        script.write_text(grammar.REQUIRE + showing(test))
        found = ours(script, f"{mail}\n\nalpha\n".encode())
        if found != shown(mine):
            different[test, why] = found
    assert not different


def test_edited_header_and_mime(tmp_path: Path) -> None:
    """What editheader did is seen by the tests of the outermost part, too."""
    script = tmp_path / "test.sieve"
    test = 'allof (exists :mime "x-new", not exists :mime "x-a", header :mime :anychild "x-new" "1", header :mime :anychild "x-in" "2")'
    script.write_text(grammar.REQUIRE + f'deleteheader "x-a"; addheader "X-New" "1"; if {test} {{ fileinto "seen"; }}')
    mail = 'X-A: 0\nContent-Type: multipart/mixed; boundary="b"\n\n--b\nX-In: 2\n\nalpha\n--b--\n'
    assert ours(script, mail.encode()) == [("store", "seen")]


@against_pigeonhole
def test_decided_there(pigeonhole: Pigeonhole) -> None:
    different = {}
    for mail, test, mine, there, why in DECIDED:
        found = both(pigeonhole, f"{mail}\n\nalpha\n".encode(), showing(test))
        if found != (shown(mine), shown(there)):
            different[test, why] = found
    assert not different
