"""What a script decided. Values only: the delivery carries them out, as one transaction, after the last script."""

from __future__ import annotations

from dataclasses import dataclass, field

from mas.sieve.message import MessageView


@dataclass(frozen=True, slots=True)
class AddField:
    """addheader [RFC5293 4]; ``last``: at the end of the header."""

    name: str
    value: str
    last: bool = False


@dataclass(frozen=True, slots=True)
class RemoveField:
    """deleteheader [RFC5293 5]: the field ``name`` number ``index`` (from 0, in order of the header as edited so far)."""

    name: str
    index: int


@dataclass(frozen=True, slots=True, eq=False)
class Rewritten:
    """The message became another one: by a program, replace or enclose. ``message``: what the caller has answered.

    enclosing: what stands before it in a list of edits is what a redirect sends [RFC5703 6].
    """

    message: MessageView
    enclosing: bool = False


Edit = AddField | RemoveField | Rewritten


@dataclass(frozen=True, slots=True)
class Keep:
    """File into the default mailbox. ``flags`` None: nothing said of flags. ``edits``: changes of the header that it is filed with."""

    flags: tuple[str, ...] | None = None
    edits: tuple[Edit, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class FileInto:
    """File into a mailbox; ``special_use`` or ``mailbox_id``, when given and found, win over the name [RFC8579 4] [RFC9042 5].

    ``edits``: the changes of the header until then: what follows the action does not change it [RFC5293 7]."""

    mailbox: str
    flags: tuple[str, ...] | None = None
    create: bool = False
    special_use: str = ""
    mailbox_id: str = ""
    edits: tuple[Edit, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Redirect:
    """Send the message, with these ``edits`` of its header, on to ``address`` (or to every address of a list). [RFC5228 4.2]"""

    address: str
    is_list: bool = False
    edits: tuple[Edit, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Reject:
    """Refuse the message with a reason [RFC5429]; ``in_session``: ereject, by an SMTP reply where that can be."""

    reason: str
    in_session: bool = False


@dataclass(frozen=True, slots=True)
class FileCopy:
    """Where a copy of a generated message goes: ``:fcc`` [RFC8580]."""

    mailbox: str
    flags: tuple[str, ...] | None = None
    create: bool = False
    special_use: str = ""
    mailbox_id: str = ""


@dataclass(frozen=True, slots=True)
class Vacation:
    """Answer the sender unless answered within ``seconds`` [RFC5230]. ``handle`` names the reply for that memory."""

    reason: str
    seconds: int
    subject: str = ""
    sender: str = ""
    addresses: tuple[str, ...] = ()
    mime: bool = False
    handle: str = ""
    fcc: FileCopy | None = None


@dataclass(frozen=True, slots=True)
class Notify:
    """Notify by ``method``, a URI [RFC5435]. importance 1 (high) to 3 (low)."""

    method: str
    message: str = ""
    sender: str = ""
    importance: int = 2
    options: tuple[str, ...] = ()
    fcc: FileCopy | None = None


@dataclass(frozen=True, slots=True)
class Pipe:
    """Give the message to a program (vnd.dovecot.pipe). ``try_only``: a failure is no error of the script."""

    program: str
    arguments: tuple[str, ...] = ()
    try_only: bool = False
    edits: tuple[Edit, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Report:
    """Send an abuse report (vnd.dovecot.report) [RFC5965]."""

    feedback_type: str
    text: str
    address: str
    headers_only: bool = False


Action = Keep | FileInto | Redirect | Reject | Vacation | Notify | Pipe | Report
