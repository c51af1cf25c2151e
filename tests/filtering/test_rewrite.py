"""replace and enclose [RFC5703 5, 6]: on octets, and by scripts over a message of several parts."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mas.filtering.dry_run import dry_run
from mas.filtering.edits import applied
from mas.filtering.rewrite import enclose, replace_part
from mas.sieve.actions import FileInto, Redirect
from mas.sieve.extensions import OPTIONAL, default_registry
from mas.sieve.interpreter import Result
from mas.sieve.message import Transaction
from mas.storage.mime.limits import MimeLimits

MAIL = b"""\
Received: from a by b; Tue, 03 Mar 2026 09:31:00 +0100
From: Kim Example <kim@example.org>
Subject: Report
Date: Tue, 03 Mar 2026 09:30:00 +0100
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="b1"

--b1
Content-Type: multipart/alternative; boundary="b2"

--b2
Content-Type: text/plain

plain
--b2
Content-Type: text/html

<b>rich</b>
--b2--

--b1
Content-Type: message/rfc822

Subject: inner
Content-Type: text/plain

inner text
--b1
Content-Type: application/pdf; name="report.exe"
Content-Disposition: attachment; filename="report.exe"

MZ
--b1--
""".replace(b"\n", b"\r\n")
LIMITS = MimeLimits()
REQUIRE = (
    'require ["replace", "enclose", "mime", "foreverypart", "variables", "extracttext", "fileinto", "copy", "editheader", "body",'
    ' "imap4flags"];'
)


def parsed(octets: bytes) -> EmailMessage:
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def tree(message: EmailMessage) -> list[str]:
    """Types of all parts; of text with its first line."""
    found = []
    for part in message.walk():
        text = part.get_content().splitlines() if part.get_content_maintype() == "text" else []
        found.append(part.get_content_type() + (f" {text[0]}" if text else ""))
    return found


WHOLE = [
    "multipart/mixed",
    "multipart/alternative",
    "text/plain plain",
    "text/html <b>rich</b>",
    "message/rfc822",
    "text/plain inner text",
    "application/pdf",
]


def replaced(
    path: tuple[int, ...], text: str = "new", *, mime: bool = False, subject: str = "", sender: str = ""
) -> bytes:
    changed = replace_part(MAIL, path, text, mime=mime, subject=subject, sender=sender, limits=LIMITS)
    assert changed is not None
    return changed


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ((), ["text/plain new"]),
        ((0,), [*WHOLE[:1], "text/plain new", *WHOLE[4:]]),
        ((0, 0), [*WHOLE[:2], "text/plain new", *WHOLE[3:]]),
        ((0, 1), [*WHOLE[:3], "text/plain new", *WHOLE[4:]]),
        ((1,), [*WHOLE[:4], "text/plain new", *WHOLE[6:]]),
        ((1, 0), [*WHOLE[:5], "text/plain new", *WHOLE[6:]]),
        ((2,), [*WHOLE[:6], "text/plain new"]),
    ],
)
def test_each_part(path: tuple[int, ...], expected: list[str]) -> None:
    assert tree(parsed(replaced(path))) == expected


@pytest.mark.parametrize("path", [(3,), (0, 2), (0, 0, 0), (1, 0, 0)])
def test_no_such_part(path: tuple[int, ...]) -> None:
    assert replace_part(MAIL, path, "", mime=False, subject="", sender="", limits=LIMITS) is None


def test_the_header_of_the_whole() -> None:
    message = parsed(replaced((), "Grüße", subject="Übersicht", sender="Lée <lee@example.net>, pat@example.net"))
    assert [name for name in message if name not in ("Content-Type", "Content-Transfer-Encoding", "MIME-Version")] == [
        "Received",
        "Original-From",
        "Original-Subject",
        "Date",
        "Subject",
        "From",
    ]
    assert (message["Subject"], message["Original-Subject"]) == ("Übersicht", "Report")
    assert [str(one) for one in message["From"].addresses] == ["Lée <lee@example.net>", "pat@example.net"]
    assert message["Original-From"] == "Kim Example <kim@example.org>"
    assert message.get_content().strip() == "Grüße"
    assert replaced((), subject="s").count(b"MIME-Version") == 1


def test_subject_and_from_are_for_the_whole_message_alone() -> None:
    assert b"Original-" not in replaced((2,), subject="s", sender="a@b.example")
    assert b"Original-" not in replaced(
        (), "Content-Type: text/html\n\nx", mime=True, subject="s", sender="a@b.example"
    )


def test_a_message_in_a_part_keeps_its_header() -> None:
    message = parsed(replaced((1, 0)))
    inner = next(part for part in message.walk() if part.get_content_type() == "message/rfc822").get_content()
    assert (inner["Subject"], inner.get_content().strip()) == ("inner", "new")


def test_an_entity() -> None:
    entity = "Content-Type: text/html; charset=utf-8\nX-Other: no\n\n<i>é</i>"
    assert tree(parsed(replaced((0,), entity, mime=True)))[1] == "text/html <i>é</i>"
    whole = parsed(replaced((), entity, mime=True))
    assert (tree(whole), whole["Subject"], whole["X-Other"]) == (["text/html <i>é</i>"], "Report", None)


@pytest.mark.slow
@given(
    st.text(
        st.one_of(
            st.characters(codec="utf-8", exclude_characters="\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"),
            st.sampled_from("-\n b12=é"),
        )
    )
)
def test_any_text_comes_through_and_breaks_nothing(text: str) -> None:
    for path, at in (((), 0), ((0,), 1), ((0, 0), 2), ((2,), -1)):
        message = parsed(replaced(path, f"{text}\n--b1\n--b2--\n"))
        part = list(message.walk())[at]
        assert part.get_content().replace("\r\n", "\n").rstrip("\n") == f"{text}\n--b1\n--b2--"
        assert path == () or tree(message)[0] == "multipart/mixed"


@given(st.binary(max_size=300), st.text(max_size=50))
def test_any_message_can_be_rewritten(content: bytes, text: str) -> None:
    changed = replace_part(content, (), text, mime=False, subject=text, sender="", limits=LIMITS)
    assert changed is not None
    replace_part(content, (), text, mime=True, subject="", sender="", limits=LIMITS)
    outer = parsed(enclose(content, text, subject="", headers=(), sender="kim@example.net", now=0.0))
    assert [part.get_content_type() for part in outer.iter_parts()] == ["text/plain", "message/rfc822"]


def test_enclose() -> None:
    octets = enclose(MAIL, "Look:\n", subject="", headers=("date", "Received"), sender="kim@example.net", now=0.0)
    message = parsed(octets)
    assert (message["Subject"], message["From"], message["Date"]) == (
        "Report",
        "kim@example.net",
        "Tue, 03 Mar 2026 09:30:00 +0100",
    )
    assert message["Received"]
    assert MAIL in octets
    assert tree(message) == ["multipart/mixed", "text/plain Look:", "message/rfc822", *WHOLE]
    message = parsed(enclose(MAIL, "", subject="Übel", headers=("from", "subject"), sender="x@example.net", now=0.0))
    assert (message.get_all("Subject"), message["From"]) == (["Übel"], "Kim Example <kim@example.org>")
    assert message["Date"]
    assert message["Received"] is None


# By scripts


def run(tmp_path: Path, script: str) -> tuple[Result, list[str]]:
    """The result, and the parts of the message as it is kept."""
    path = tmp_path / "test.sieve"
    path.write_text(REQUIRE + script)
    result = dry_run(path, MAIL, default_registry(add=OPTIONAL), Transaction("a@example.org", "kim@example.net"))
    return result, tree(parsed(applied(MAIL, result.edits)))


EXE = 'if header :mime :param "filename" :contains "content-disposition" ".exe"'


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ('replace "new";', ["text/plain new"]),
        ('replace "one"; replace "two";', ["text/plain two"]),
        (f'foreverypart {{ {EXE} {{ replace "removed"; }} }}', [*WHOLE[:6], "text/plain removed"]),
        # The parts of a part that was replaced are not visited, those behind it are.
        (
            'foreverypart { if header :mime :contenttype "content-type" "multipart/alternative" { replace "flat"; }'
            ' elsif header :mime :subtype "content-type" "html" { replace "never"; }'
            f' elsif {EXE[3:]} {{ replace "removed"; }} }}',
            [WHOLE[0], "text/plain flat", *WHOLE[4:6], "text/plain removed"],
        ),
        ('foreverypart { replace "all"; }', ["text/plain all"]),
        # The part at hand is the new one at once; so is what a loop in the loop finds.
        (
            'foreverypart { if header :mime :subtype "content-type" "html" { replace "plain now"; extracttext "t";'
            ' if header :mime :subtype "content-type" "plain" { replace "${t} and ${t}"; } } }',
            [*WHOLE[:3], "text/plain plain now and plain now", *WHOLE[4:]],
        ),
        (
            'foreverypart { if header :mime :subtype "content-type" "alternative" { foreverypart {'
            ' if header :mime :subtype "content-type" "plain" { replace "deep"; } } } }',
            [*WHOLE[:2], "text/plain deep", *WHOLE[3:]],
        ),
        (
            'foreverypart { if header :mime :subtype "content-type" "alternative" { replace :mime'
            ' "Content-Type: multipart/mixed; boundary=n\r\n\r\n--n\r\n\r\nfirst\r\n--n--\r\n"; foreverypart { replace "second"; } } }',
            [WHOLE[0], "multipart/mixed", "text/plain second", *WHOLE[4:]],
        ),
        ('enclose "Look:";', ["multipart/mixed", "text/plain Look:", "message/rfc822", *WHOLE]),
        (
            'enclose "in"; enclose "out";',
            [
                "multipart/mixed",
                "text/plain out",
                "message/rfc822",
                "multipart/mixed",
                "text/plain in",
                "message/rfc822",
                *WHOLE,
            ],
        ),
        ('enclose "x"; replace "y";', ["text/plain y"]),
        (
            'foreverypart { if header :mime :subtype "content-type" "alternative" { enclose "Look:"; }'
            f' {EXE} {{ replace "removed"; }} }}',
            ["multipart/mixed", "text/plain Look:", "message/rfc822", *WHOLE[:6], "text/plain removed"],
        ),
        ('enclose "word"; if body :contains "word" { replace "found"; }', ["text/plain found"]),
    ],
)
def test_scripts(tmp_path: Path, script: str, expected: list[str]) -> None:
    result, found = run(tmp_path, script)
    assert result.error is None
    assert found == expected


def test_each_action_takes_the_message_of_its_moment(tmp_path: Path) -> None:
    result, kept = run(
        tmp_path,
        'fileinto :copy "1"; replace "2"; fileinto :copy "2"; addheader "X-Third" "3"; fileinto :copy "3";'
        'enclose "4"; addheader "X-Not" "y";'
        'fileinto :copy "4"; redirect :copy "lee@example.com"; keep;',
    )
    assert result.error is None
    messages = {
        action.mailbox if isinstance(action, FileInto) else "redirect": parsed(applied(MAIL, action.edits))
        for action in result.actions
        if isinstance(action, FileInto | Redirect)
    }
    assert {name: tree(message)[0] for name, message in messages.items()} == {
        "1": "multipart/mixed",
        "2": "text/plain 2",
        "3": "text/plain 2",
        "4": "multipart/mixed",
        "redirect": "text/plain 2",
    }
    assert [message["X-Third"] for message in messages.values()] == [None, None, "3", None, "3"]
    assert [message["X-Not"] for message in messages.values()] == [None, None, None, "y", None]
    assert kept == ["multipart/mixed", "text/plain 4", "message/rfc822", "text/plain 2"]


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ('set "a" "nobody"; replace :from "${a}" "x";', "'nobody' is not a list of addresses"),
        ("keep; " + 'replace "x"; ' * 33, "changed more than 32 times"),
    ],
)
def test_errors_at_run_time_keep_the_message(tmp_path: Path, script: str, problem: str) -> None:
    result, kept = run(tmp_path, script)
    assert problem in str(result.error)
    assert kept == WHOLE
