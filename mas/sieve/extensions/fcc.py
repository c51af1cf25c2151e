"""fcc: a copy of a generated message goes to a mailbox. [RFC8580]"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mas.sieve.actions import FileCopy
from mas.sieve.definition import Extension, Kind, Role, TagRule
from mas.sieve.extensions.base import check_mailbox
from mas.sieve.extensions.imap4flags import split_flags
from mas.sieve.program import Call

if TYPE_CHECKING:
    from mas.sieve.interpreter import Run


def file_copy(run: Run, call: Call) -> FileCopy | None:
    """The ``:fcc`` of a call, with the tags that belong to it."""
    mailbox = run.tagged(call, "fcc")
    if mailbox is None:
        return None
    flags = run.tagged_list(call, "flags")
    return FileCopy(
        mailbox,
        None if flags is None else split_flags(flags),
        "create" in call.tags,
        run.tagged(call, "specialuse") or "",
        run.tagged(call, "mailboxid") or "",
    )


_TAGS = (
    TagRule("fcc", Kind.STRING, needs="fcc", check=check_mailbox),
    TagRule("flags", Kind.STRINGS, needs="imap4flags"),
    TagRule("create", needs="mailbox"),
    TagRule("specialuse", Kind.STRING, needs="special-use"),
    TagRule("mailboxid", Kind.STRING, needs="mailboxid"),
)
FCC = Extension("fcc", tags={(Role.COMMAND, name): _TAGS for name in ("vacation", "notify")})
