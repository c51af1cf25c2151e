"""Mailboxes and their annotations: mailbox, mboxmetadata, servermetadata [RFC5490]; special-use [RFC8579]; mailboxid [RFC9042]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mas.sieve.compiler import Checker
from mas.sieve.definition import Asking, Extension, Kind, Parameter, Role, TagRule, test
from mas.sieve.matching import MATCH_TAGS, match
from mas.sieve.program import Call
from mas.sieve.questions import MailboxExists, MailboxIdExists, MetadataValue, SpecialUseExists

if TYPE_CHECKING:
    from mas.sieve.interpreter import Run


def run_mailboxexists(run: Run, call: Call) -> Asking:
    """mailboxexists [RFC5490 3.1]"""
    names = run.arguments(call, "mailboxes")
    found = yield MailboxExists(names)
    run.note(f"mailboxexists {', '.join(names)}: {'true' if found else 'false'}")
    return bool(found)


def run_metadata(run: Run, call: Call) -> Asking:
    """metadata, servermetadata [RFC5490 3.3, 4.1]"""
    mailbox = run.argument(call, "mailbox") if "mailbox" in call.arguments else None
    annotation = run.argument(call, "annotation")
    value = yield MetadataValue(mailbox, annotation)
    if value is None:
        run.note(f"annotation {annotation}: false, there is none")
        return False
    outcome = match(run, call, [value], ["annotation"])
    return outcome if outcome.__class__ is bool else (yield from outcome)


def run_metadataexists(run: Run, call: Call) -> Asking:
    """metadataexists, servermetadataexists [RFC5490 3.4, 4.2]"""
    mailbox = run.argument(call, "mailbox") if "mailbox" in call.arguments else None
    for annotation in run.arguments(call, "annotations"):
        if (yield MetadataValue(mailbox, annotation)) is None:
            return False
    return True


def run_specialuse_exists(run: Run, call: Call) -> Asking:
    """specialuse_exists [RFC8579 5]"""
    mailbox = run.argument(call, "mailbox") if "mailbox" in call.arguments else ""
    return bool((yield SpecialUseExists(mailbox, run.arguments(call, "attributes"))))


def run_mailboxidexists(run: Run, call: Call) -> Asking:
    """mailboxidexists [RFC9042 4]"""
    return bool((yield MailboxIdExists(run.arguments(call, "ids"))))


def _no_special_use_and_id(checker: Checker, text: str, offset: int) -> None:
    if not text:
        checker.note(offset, "an empty name")


_MATCHED: dict[str, Any] = {"tags": MATCH_TAGS, "matches": True}
_KEYS = Parameter("keys", Kind.STRINGS)
_MAILBOX = Parameter("mailbox", Kind.STRING)
_FILEINTO = (Role.COMMAND, "fileinto")

MAILBOX = Extension(
    "mailbox",
    definitions=(
        test("mailboxexists", run_mailboxexists, Parameter("mailboxes", Kind.STRINGS), needs="mailbox", plain=True),
    ),
    tags={_FILEINTO: (TagRule("create", needs="mailbox"),)},
)
MBOXMETADATA = Extension(
    "mboxmetadata",
    definitions=(
        test(
            "metadata",
            run_metadata,
            _MAILBOX,
            Parameter("annotation", Kind.STRING),
            _KEYS,
            needs="mboxmetadata",
            **_MATCHED,
        ),
        test(
            "metadataexists", run_metadataexists, _MAILBOX, Parameter("annotations", Kind.STRINGS), needs="mboxmetadata"
        ),
    ),
)
SERVERMETADATA = Extension(
    "servermetadata",
    definitions=(
        test(
            "servermetadata",
            run_metadata,
            Parameter("annotation", Kind.STRING),
            _KEYS,
            needs="servermetadata",
            **_MATCHED,
        ),
        test(
            "servermetadataexists", run_metadataexists, Parameter("annotations", Kind.STRINGS), needs="servermetadata"
        ),
    ),
)
SPECIAL_USE = Extension(
    "special-use",
    definitions=(
        test(
            "specialuse_exists",
            run_specialuse_exists,
            Parameter("mailbox", Kind.STRING, optional=True),
            Parameter("attributes", Kind.STRINGS),
            needs="special-use",
        ),
    ),
    tags={_FILEINTO: (TagRule("specialuse", Kind.STRING, needs="special-use", check=_no_special_use_and_id),)},
)
MAILBOXID = Extension(
    "mailboxid",
    definitions=(test("mailboxidexists", run_mailboxidexists, Parameter("ids", Kind.STRINGS), needs="mailboxid"),),
    tags={_FILEINTO: (TagRule("mailboxid", Kind.STRING, needs="mailboxid", check=_no_special_use_and_id),)},
)
