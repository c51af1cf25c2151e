"""Every example script of the RFCs: what it decides about a mail, or why it does not compile.

``rfc_examples`` holds the scripts as the RFCs print them, the section at their head; where the RFC prints a part of a script, a
``require`` completes it. An example with a slip (they have some) is rejected, and mended by the replacement that stands beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mas.sieve.definition import Registry
from mas.sieve.extensions import ASKING, OPTIONAL, default_registry
from mas.sieve.extensions.spamtest import Verdict, extensions
from mas.sieve.message import Transaction
from mas.sieve.questions import IncludeScript, MailboxExists, MetadataValue, SeenBefore
from mas.sieve.source import ScriptError
from tests.sieve.differential import Outcome, words
from tests.sieve.support import compile_text, run_script

FOLDER = Path(__file__).with_name("rfc_examples")
_SCANNERS = extensions(Verdict("X-Spam-Score", max_value=10), Verdict("X-Virus", max_value=4))
_OTHERS = [extension for extension in OPTIONAL if extension.name not in {scanner.name for scanner in _SCANNERS}]
REGISTRY: Registry = default_registry(add=(*_OTHERS, *ASKING, *_SCANNERS))

KEPT: Outcome = [("store", "INBOX")]
GONE: Outcome = []
AFTERNOON = 1_183_471_200.0  # Tuesday, 2007-07-03 14:00:00 UTC
DAY, WEEK = "86400", str(7 * 86400)


def into(*names: str) -> Outcome:
    return sorted(("store", name) for name in names)


@dataclass(frozen=True)
class Case:
    """A mail's header, and what follows from it."""

    header: str
    outcome: Outcome
    body: str = ""
    sender: str = "kim@example.org"
    recipient: str = "ken@example.com"
    more: dict[str, Any] = field(default_factory=dict)


def on(header: str, outcome: Outcome, body: str = "", **more: Any) -> Case:
    envelope = {name: more.pop(name) for name in ("sender", "recipient") if name in more}
    return Case(header, outcome, body, more=more, **envelope)


def known(*unique_ids: str) -> dict[type, Any]:
    """A memory of ``duplicate`` ids, by their last part."""
    return {SeenBefore: lambda question: any(question.key.endswith(one) for one in unique_ids)}


LARGE = "x" * 110_000
MOST = "y" * 1_100_000

DECIDED: dict[str, list[Case]] = {
    "3894-2-copy": [on("Subject: x", into("incoming", "INBOX"))],
    "5173-5.1-raw": [on("", GONE, "so MAKE MONEY FAST"), on("Subject: MAKE MONEY FAST", KEPT)],
    "5173-5.2-content": [
        on("Content-Type: text/html", into("secrets"), "the missile"),
        on("Content-Type: audio/mp3", into("jukebox"), "missile"),
        on("", KEPT, "peace"),
    ],
    "5173-5.3-text": [on("", into("project/schedule"), "The Project Schedule"), on("", KEPT)],
    "5228-2.3-hash": [on("", GONE, LARGE), on("", KEPT)],
    "5228-2.3-bracketed": [on("", GONE, LARGE), on("", KEPT)],
    "5228-2.4.2.4-encoded": [on("Subject: a $$$$ b", GONE), on("Subject: a $$ b", KEPT)],
    "5228-2.7.3-comparator": [on("Subject: MAKE MONEY FAST!", GONE), on("Subject: Make Money Fast!", KEPT)],
    "5228-3.1-if": [on("From: coyote", GONE), on("Subject: $$$", GONE), on("Subject: $$", KEPT)],
    "5228-3.1-redirect": [
        on("From: coyote", [("redirect", "acm@example.com")]),
        on("Subject: $$$", [("redirect", "postmaster@example.com")]),
        on("", [("redirect", "field@example.com")]),
    ],
    "5228-4.1-fileinto": [on("From: Coyote@example.com", into("INBOX.harassment")), on("", KEPT)],
    "5228-4.2-redirect": [on("", [("redirect", "bart@example.com")])],
    "5228-4.4-discard": [on("From: idiot@example.com", GONE), on("From: x@example.com", KEPT)],
    "5228-5.1-address": [on("From: Tim <TIM@Example.com>", GONE), on("From: Tim <tim@example.org>", KEPT)],
    "5228-5.4-envelope": [on("", GONE, sender="tim@example.com"), on("From: tim@example.com", KEPT)],
    "5228-5.5-exists": [on("From: x", GONE), on("From: x\nDate: y", KEPT)],
    # The table of [RFC5228 9]: messages A and B.
    "5228-9-extended": [
        on(
            "From: coyote@desert.example.org\nTo: roadrunner@acme.example.com\nSubject: I have a present for you",
            into("spam"),
        ),
        on(
            "From: youcouldberich!@reply-by-postal-mail.invalid\nTo: rube@landru.example.com\nSubject: $$$ YOU, TOO",
            into("spam"),
        ),
        on("Sender: owner-ietf-mta-filters@imc.org", into("filter")),
        on("From: a@example.com", KEPT),
        on("Cc: me@example.com\nSubject: make me money so fast", into("spam")),
        on("Cc: me@example.com\nSubject: hello", into("personal")),
    ],
    "5229-3.1-dollar": [on("", KEPT)],
    "5229-4-text": [on("", KEPT)],
    "5229-5-string": [on("", KEPT)],
    "5230-4.2-by-subject": [on("Subject: Cyrus", [*KEPT, ("vacation", WEEK)]), on("", [*KEPT, ("vacation", WEEK)])],
    "5230-4.2-variables": [on("Subject: x", [*KEPT, ("vacation", WEEK)])],
    "5230-4.2-handle": [on("Subject: lunch", [*KEPT, ("vacation", WEEK)])],
    "5230-4.8-addresses": [on("", [*KEPT, ("vacation", str(23 * 86400))])],
    "5230-4.8-boss": [
        on("From: boss@example.edu", [("redirect", "pleeb@isp.example.org")]),
        on("", [*KEPT, ("vacation", WEEK)]),
    ],
    "5230-7-language": [on("Accept-Language: en-gb", [*KEPT, ("vacation", WEEK)])],
    "5230-7-division": [on("From: a@ourdivision.example.com", [*KEPT, ("vacation", WEEK)])],
    # A field that is not there has no values: neither relation holds.
    "5231-7-relational": [
        on("X-Priority: 1", into("Priority")),
        on("To: " + ", ".join(f"a{n}@example.com" for n in range(6)), into("SPAM")),
        on("From: zoe@example.com", into("From N-Z")),
        on("From: adam@example.com\nTo: me@foo.example.com", into("From A-M", "Only me")),
    ],
    "5232-3.1-setflag": [on("", [("store", "INBOX", "\\deleted")], "x" * 600_000), on("", KEPT)],
    "5232-3.1-variable": [on("From: boss@frobnitzm.example.edu", [("store", "INBOX.From Boss", "\\flagged")])],
    "5232-3.2-addflag": [on("", KEPT)],
    "5232-3.3-removeflag": [
        on(
            "Disposition-Notification-To: mel@example.com\nFrom: imap@cac.washington.example.edu",
            into("INBOX.imap-list"),
        )
    ],
    "5233-4-subaddress": [
        on("", into("inbox.postmaster"), recipient="postmaster+x@example.com"),
        on("", into("inbox.ietf-mta-filters"), recipient="ken+mta-filters@example.com"),
        on("", [("redirect", "ken@example.net")], recipient="ken+foo@example.com"),
        on("", KEPT, recipient="ken@example.com"),
    ],
    # 0 is "not tested", else 1 to 10 of 10.
    "5235-3.2-percent": [
        on("", into("INBOX.unclassified")),
        on("X-Spam-Score: 0", into("INBOX.not-spam")),
        on("X-Spam-Score: 3.6", into("INBOX.spam-trap")),
        on("X-Spam-Score: 3.7", GONE),
    ],
    "5235-3.2-count": [on("", into("INBOX.unclassified")), on("X-Spam-Score: 0", into("INBOX.not-spam"))],
    "5260-4.4-hours": [
        on("From: boss@example.com\nDate: Tue, 03 Jul 2007 16:59:00 -0700", into("urgent")),
        on("From: boss@example.com\nDate: Tue, 03 Jul 2007 17:00:00 -0700", KEPT),
    ],
    "5260-4.4-weekend": [
        on("Received: from a by b; Sat, 30 Jun 2007 12:00:00 +0000", into("weekend")),
        on("Received: from a by b; Fri, 29 Jun 2007 12:00:00 +0000", KEPT),
    ],
    "5260-5.1-pager": [on("", KEPT), on("", [("redirect", "pager@example.com")], now=AFTERNOON + 3 * 3600)],
    "5260-5.1-july": [on("", [*KEPT, ("vacation", WEEK)]), on("", KEPT, now=AFTERNOON + 30 * 86400)],
    "5260-5.1-month": [on("", into("07-2007"))],
    "5260-5.1-processing-date": [on("", KEPT)],
    "5293-4-addheader": [
        on("", [("redirect", "kim@home.example.com")]),
        on("X-Sieve-Filtered: <kim@job.example.com>", KEPT),
    ],
    "5293-5-deleteheader": [on("Delivered-To: bob@example.com", KEPT)],
    "5293-7-added-and-deleted": [on("X-Hello: there", KEPT)],
    "5293-7-international": [on("", into("international"))],
    "5293-7-two-keeps": [on("", KEPT)],
    "5429-2.1-ereject": [on("From: someone@example.com", [("reject",)]), on("From: other@example.com", KEPT)],
    "5429-2.2-too-big": [on("", [("reject",)], LARGE), on("", KEPT)],
    "5429-2.2.1-birdseed": [on("From: coyote@desert.example.org", [("reject",)])],
    "5435-3.7-boss": [
        on("From: boss@example.org", [("notify", "alm@example.com"), *KEPT]),
        on("To: sievemailinglist@example.org", [("notify", "alm@example.com"), *into("INBOX.sieve")]),
    ],
    "5435-3.7-really": [on("From: a@b.example.org", [("notify", "alm@example.com"), *KEPT])],
    "5435-4-valid": [on("", KEPT)],
    "5435-6-encodeurl": [on("", [("notify", "tim@example.com"), *KEPT])],
    "5436-3-knitting": [
        on("List-Id: <knitting.example.com>\nSubject: [wool] warm", [("notify", "0123456789@sms.example.net"), *KEPT]),
        on("List-Id: <knitting.example.com>\nSubject: warm", KEPT),
    ],
    "5490-3.1-partners": [
        on("", into("Partners"), answers={MailboxExists: lambda question: question.names == ("Partners",)}),
        on("", [("reject",)], answers={MailboxExists: lambda question: False}),
    ],
    "5490-4.1-notification": [
        on("", [("notify", "a@example.org"), *KEPT], answers={MetadataValue: lambda _: "mailto:a@example.org"}),
        on("", KEPT, answers={MetadataValue: lambda _: "none"}),
    ],
    # Seconds below the least that the administrator allows are raised to it [RFC6131 2].
    "6131-3-meeting": [on("", [*KEPT, ("vacation", DAY)])],
    "6131-3-zero": [on("", [*KEPT, ("vacation", DAY)])],
    "6609-3.2-default": [
        on("From: boss@example.com\nList-ID: sieve.ietf.org", into("INBOX", "lists.sieve")),
        on("Subject: XXXX", [("reject",)]),
        on("Subject: Make money", [("reject",)]),
        on("List-ID: ietf-imapext.imc.org", into("lists.imapext")),
        on("", KEPT),
    ],
    "6609-3.2-always-allow": [on("From: ceo@example.com", KEPT)],
    "6609-3.2-spam-tests": [on("From: money@example.com", [("reject",)]), on("", KEPT)],
    "6609-3.2-mailing-lists": [on("List-ID: sieve.ietf.org", into("lists.sieve"))],
    "6609-3.2-site-spam-tests": [on("Subject: $$", [("reject",)])],
    "6609-3.4.1-top": [
        on("Subject: so $$ much", into("spam-$$")),
        on("Subject: Make money from $$", into("spam-Make money")),
        on("", KEPT),
    ],
    "6609-3.4.1-subject-tests": [on("", KEPT)],
    "6609-3.4.2-global": [on("", KEPT)],
    "6609-3.4.2-vacation": [on("", [*KEPT, ("vacation", WEEK)])],
    "6785-5-copy": [
        on(
            "",
            [("redirect", "actionitems@example.com"), *KEPT],
            environment={"imap.cause": "COPY", "imap.mailbox": "ActionItems"},
        ),
        on("", KEPT, environment={"imap.cause": "FLAG", "imap.mailbox": "ActionItems"}),
        on("", KEPT, environment={"imap.cause": "APPEND", "imap.mailbox": "Other"}),
    ],
    "7352-3.2-plain": [
        on("Message-ID: <1@x>", GONE, answers=known("<1@x>")),
        on("Message-ID: <2@x>", KEPT, answers=known("<1@x>")),
    ],
    "7352-3.2-header": [
        on("Message-ID: <1@x>", GONE, answers=known("<1@x>")),
        on("Message-ID: <2@x>", KEPT, answers=known("<1@x>")),
    ],
    "7352-3.2-uniqueid": [
        on("Message-ID: <1@x>", GONE, answers=known("<1@x>")),
        on("Message-ID: <2@x>", KEPT, answers=known("<1@x>")),
    ],
    "7352-5.1-trash": [on("Message-ID: <1@x>", into("Trash/Duplicate"), answers=known("<1@x>"))],
    "7352-5.2-alerts": [
        on("Subject: ALERT: disk", [("store", "Alerts", "\\seen")], answers=known("disk")),
        on("Subject: ALERT: fire", into("Alerts"), answers=known("disk")),
        on("Subject: disk", KEPT, answers=known("disk")),
    ],
    "7352-5.4-handles": [
        on("X-Event-ID: 7", GONE, answers=known("7")),
        on(
            "X-Ticket-ID: 8\nTo: support@example.com\nSubject: the fileserver",
            [("store", "INBOX", "\\seen")],
            answers=known("8"),
        ),
    ],
    "regex-3-unsolicited": [
        on("To: me+list@company.com\nSubject: Hello", KEPT),
        on("To: me@company.com\nSubject: HELLO", GONE),
        on("To: you@company.com\nSubject: Hello", GONE),
    ],
}

SLIPS: dict[str, tuple[list[str], list[tuple[str, str]], list[Case]]] = {
    # name -> (mistakes, what to replace by what, what then follows)
    "5229-3.1-encoded": (
        ["is a ';' missing before 'if'?"],
        [('"Ethelbert"\n', '"Ethelbert";\n')],
        [on("Subject: hello, dear Ethelbert", KEPT)],
    ),
    "5229-3.2-match-variables": (
        ["unknown command 'fileinfo'; did you mean 'fileinto'?"],
        [("fileinfo", "fileinto")],
        [
            on("List-ID: Cats <cats.pets@example.org>", into("INBOX.lists.cats.pets")),
            on("Subject: [acme-users] [fwd] version 1.0 is out", into("INBOX.lists.acme-users")),
            on("To: coyote@ACME.Example.COM", into("INBOX.business.ACME.Example")),
            on("To: a@example.org", KEPT),
        ],
    ),
    "5230-4.4-mime": (
        ["expected ';' or a block"],
        [("--foo--\n.\n", "--foo--\n.\n;\n")],
        [on("", [*KEPT, ("vacation", WEEK)])],
    ),
    "5232-9-extended": (
        ["anyof takes a list of tests in parentheses", "unknown command 'remove'"],
        [
            ("anyof address :domain :is [", "anyof (address :domain :is ["),
            ('"company.example.com"\n', '"company.example.com")\n'),
            ("remove ", "removeflag "),
        ],
        [
            on(
                "From: boss@company.example.com",
                [("store", "Big messages", "\\flagged", "big"), ("store", "INBOX", "\\flagged", "big")],
                MOST,
            ),
            on(
                "From: grandma@example.net",
                [("store", "GrandMa", "$mdnsent", "\\answered"), ("store", "spam", "$mdnsent", "\\answered")],
            ),
            on("Sender: owner-ietf-mta-filters@example.org", [("store", "INBOX", "$work", "\\flagged")]),
            on("To: me@company.example.com\nSubject: hello", KEPT),
        ],
    ),
    # A name broken at a line end for the paper's width.
    "5235-3.2-spamtest": (
        ["unsupported extension 'comparator-"],
        [("comparator-\n         i;", "comparator-i;")],
        [
            on("", into("INBOX.unclassified")),
            on("X-Spam-Score: 2.2", KEPT),
            on("X-Spam-Score: 2.3", into("INBOX.spam-trap")),
        ],
    ),
    "5235-3.3-virustest": (
        ["unsupported extension 'comparator-"],
        [("comparator-\n         i;", "comparator-i;")],
        [
            on("", into("INBOX.unclassified")),
            on("X-Virus: 0", KEPT),
            on("X-Virus: 3", into("INBOX.quarantine")),
            on("X-Virus: 4", GONE),
        ],
    ),
    "5260-6.1-cutoff": (
        ["expected ';' or a block, found ','"],
        [('-05:00",', '-05:00"')],
        [
            on(
                "Received: a; Mon, 26 Feb 2007 09:00:00 -0500\nReceived: b; Mon, 26 Feb 2007 09:00:01 -0500",
                [("redirect", "aftercutoff@example.org")],
            ),
            on("Received: a; Mon, 26 Feb 2007 09:00:01 -0500\nReceived: b; Mon, 26 Feb 2007 14:00:00 +0000", KEPT),
        ],
    ),
    "5429-2.5-antispam": (
        [":value needs require 'relational'"],
        [('require ["ereject"', 'require ["relational", "ereject"')],
        [on("X-Spam-Score: 8", [("reject",)]), on("X-Spam-Score: 4", into("Suspect")), on("X-Spam-Score: 1", KEPT)],
    ),
    "5490-3.3-away": (
        ["expected ';' or a block"],
        [("\n.\n", "\n.\n;\n")],
        [
            on("", [*KEPT, ("vacation", WEEK)], answers={MetadataValue: lambda _: "on"}),
            on("", KEPT, answers={MetadataValue: lambda _: None}),
        ],
    ),
    # Only mailto is offered (capability NOTIFY), so other methods are mistakes.
    "5435-3.7-methods": (
        ["'tel:+14085551212' is not a mailto URI"],
        [("tel:+14085551212", "mailto:a@example.com")],
        [
            on("From: boss@example.org", [("failed",), *KEPT]),
            on("Subject: your dog\nTo: sievemailinglist@example.org", KEPT),
            on("Subject: your dog", [("notify", "a@example.com"), *KEPT]),
        ],
    ),
    "5435-5-capability": (
        ["is not a mailto URI"],
        [
            ("tel:+14085551212", "mailto:a@example.com"),
            ("xmpp:tim@example.com?message;subject=SIEVE", "mailto:b@example.com"),
        ],
        [on("", [("notify", "a@example.com"), *KEPT])],
    ),
    "6785-5-flagged": (
        ["is not a mailto URI"],
        [("xmpp:tim@example.com?message;subject=SIEVE", "mailto:b@example.com")],
        [on("", KEPT, environment={"imap.mailbox": "Work", "imap.changedflags": "\\Flagged"})],
    ),
    "7352-5.3-sender": (
        ["is not a mailto URI"],
        [("xmpp:", "mailto:")],
        [
            on("Subject: s", [("notify", "user@im.example.com"), *KEPT], answers=known("other")),
            on("Subject: s", KEPT, answers=known("kim@example.org")),
        ],
    ),
    "7352-5.3-subject": (
        ["is not a mailto URI"],
        [("xmpp:", "mailto:")],
        [
            on("Subject: RE:s", KEPT, answers=known("kim@example.org s")),
            on("Subject: t", [("notify", "user@im.example.com"), *KEPT], answers=known("kim@example.org s")),
        ],
    ),
}

INCLUDED = {
    ("always_allow", True): "6609-3.2-always-allow",
    ("spam_tests", False): "6609-3.2-site-spam-tests",
    ("spam_tests", True): "6609-3.2-spam-tests",
    ("mailing_lists", True): "6609-3.2-mailing-lists",
    ("subject_tests", True): "6609-3.4.1-subject-tests",
}


def text(name: str) -> str:
    return (FOLDER / f"{name}.sieve").read_text()


def included(question: IncludeScript) -> Any:
    return compile_text(text(INCLUDED[question.name, question.personal]), REGISTRY)


def follows(script: str, case: Case) -> Outcome:
    more = {"now": AFTERNOON, **case.more}
    answers = {IncludeScript: included, **more.pop("answers", {})}
    transaction = Transaction(case.sender, case.recipient)
    mail = f"X-Test: 1\n{case.header}".strip() + f"\n\n{case.body}\n"
    return words(
        run_script(
            compile_text(script, REGISTRY),
            mail=mail,
            registry=REGISTRY,
            transaction=transaction,
            answers=answers,
            **more,
        )
    )


@pytest.mark.parametrize(
    ("name", "case"),
    [pytest.param(name, case, id=f"{name}-{at}") for name, cases in DECIDED.items() for at, case in enumerate(cases)],
)
def test_example(name: str, case: Case) -> None:
    assert follows(text(name), case) == sorted(case.outcome)


@pytest.mark.parametrize("name", SLIPS)
def test_example_with_a_slip(name: str) -> None:
    mistakes, changes, cases = SLIPS[name]
    script = text(name)
    with pytest.raises(ScriptError) as error:
        compile_text(script, REGISTRY)
    said = [str(problem) for problem in error.value.problems]
    for mistake in mistakes:
        assert any(mistake in one for one in said), said
    for old, new in changes:
        assert old in script
        script = script.replace(old, new)
    for case in cases:
        assert follows(script, case) == sorted(case.outcome), case.header


def test_no_example_is_left_out() -> None:
    assert {path.stem for path in FOLDER.glob("*.sieve")} == {*DECIDED, *SLIPS}
    assert not {*DECIDED} & {*SLIPS}


# What the RFCs say in a line or two.

MY_VAR = "NonJunk Junk gnus-forward $Forwarded NotJunk JunkRecorded $Junk $NotJunk"
TRUE = [
    # [RFC5232 4]
    ('setflag "A B"; if hasflag :is "b A" {%}', True),
    ('setflag "A B"; if hasflag ["b", "A"] {%}', True),
    *(
        (
            f'set "MyVar" "{MY_VAR}"; if hasflag :contains "MyVar" {keys} {{%}}',
            true,
        )
        for keys, true in (
            ('"Junk"', True),
            ('"forward"', True),
            ('["label", "forward"]', True),
            ('["junk", "forward"]', True),
            ('"junk forward"', True),
            ('"label"', False),
            ('["label1", "label2"]', False),
        )
    ),
    ('setflag "MyFlags" "A B"; if hasflag :count "ge" :comparator "i;ascii-numeric" "MyFlags" "2" {%}', True),
    # [RFC5229 4.1]
    *(
        (
            f'set "a" "juMBlEd lETteRS"; set {modifier} "b" "{value}"; if string :comparator "i;octet" "${{b}}" "{result}" {{%}}',
            True,
        )
        for modifier, value, result in (
            ("", "${a}", "juMBlEd lETteRS"),
            (":length", "${a}", "15"),
            (":lower", "${a}", "jumbled letters"),
            (":upperfirst", "${a}", "JuMBlEd lETteRS"),
            (":upperfirst :lower", "${a}", "Jumbled letters"),
            (":quotewildcard", "Rock*", "Rock\\\\*"),
        )
    ),
    # [RFC5435 6]
    ('set :encodeurl "b" "Safe body&evil=evilbody"; if string "${b}" "Safe%20body%26evil%3Devilbody" {%}', True),
    ('set :encodeurl :length "b" "a b"; if string "${b}" "5" {%}', True),
    # [RFC5229 3]
    (
        'set "company" "ACME"; if string "${fo\\o}-${}-${!company}-${company-name}" "-${}-${!company}-${company-name}" {%}',
        True,
    ),
    ('set "company" "ACME"; if string "Today: ${Company} Products" "Today: ACME Products" {%}', True),
    # [RFC5228 2.4.2.4]
    *(
        (f'if string "{written}" "{meant}" {{%}}', True)
        for written, meant in (
            ("$${hex:40}", "$@"),
            ("${hex: 40 }", "@"),
            ("${HEX: 40}", "@"),
            ("${hex:40", "${hex:40"),
            ("${hex:400}", "${hex:400}"),
            ("${hex:4${hex:30}}", "${hex:24}{hex:40}"),
            ("${unicode:40}", "@"),
            ("${ unicode:40}", "${ unicode:40}"),
            ("${UNICODE:40}", "@"),
            ("${UnICoDE:0000040}", "@"),
            ("${Unicode:40}", "@"),
        )
    ),
    # [RFC5228 5.7]: an empty field is there, and it is empty.
    ('if header :is "x-caffeine" [""] {%}', True),
    ('if header :contains "x-caffeine" [""] {%}', True),
    ('if header :is "x-none" [""] {%}', False),
    # [RFC5228 5.2, 5.3]
    ("if allof (false, false) {%}", False),
    ("if allof (false, true) {%}", False),
    ("if allof (true, true) {%}", True),
    ("if anyof (false, false) {%}", False),
    ("if anyof (false, true) {%}", True),
    # [RFC5231 6]
    *(
        (f"if {test} {{%}}", true)
        for test, true in (
            ('address :count "ge" :comparator "i;ascii-numeric" ["to", "cc"] ["3"]', True),
            ('address :count "ge" :comparator "i;ascii-numeric" ["to"] ["3"]', False),
            ('address :count "ge" :comparator "i;ascii-numeric" ["cc"] ["3"]', False),
            ('header :count "ge" :comparator "i;ascii-numeric" ["received"] ["3"]', False),
            ('header :count "ge" :comparator "i;ascii-numeric" ["received", "subject"] ["3"]', True),
            ('header :count "ge" :comparator "i;ascii-numeric" ["to", "cc"] ["3"]', False),
        )
    ),
]
REQUIRE = 'require ["imap4flags", "variables", "relational", "comparator-i;ascii-numeric", "encoded-character", "enotify", "fileinto"];\n'
MAIL = """\
received: a
received: b
subject: example
to: foo@example.com, baz@example.com
cc: qux@example.com
x-caffeine:

"""


@pytest.mark.parametrize(("script", "true"), TRUE, ids=[script[:50] for script, _ in TRUE])
def test_line(script: str, true: bool) -> None:
    result = run_script(REQUIRE + script.replace("{%}", '{ fileinto "yes"; }'), mail=MAIL)
    assert result.error is None
    assert bool(result.actions) is true
