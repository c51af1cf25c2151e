"""What an interpreter asks of its caller while it runs. Each says what to send back; the caller may await whatever it takes."""

from __future__ import annotations

from dataclasses import dataclass

from mas.sieve.actions import Edit


@dataclass(frozen=True, slots=True)
class ReadBody:
    """Answer: the message's root ``PartView``; of the last message that ``edits`` made of it, whatever its header."""

    edits: tuple[Edit, ...] = ()


@dataclass(frozen=True, slots=True)
class MailboxExists:
    """Answer: bool; whether all mailboxes exist and mail can be put there [RFC5490 3.1]."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MailboxIdExists:
    """Answer: bool; whether all mailbox ids exist [RFC9042 4]."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SpecialUseExists:
    """Answer: bool; whether each attribute is a special use of a mailbox (of ``mailbox`` when not empty) [RFC8579 5]."""

    mailbox: str
    attributes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MetadataValue:
    """Answer: str or None; an annotation of a mailbox, of the server when ``mailbox`` is None [RFC5490 3.3, 4.1]."""

    mailbox: str | None
    annotation: str


@dataclass(frozen=True, slots=True)
class IncludeScript:
    """Answer: Program, or None when there is none. Raises through ``throw`` are errors of the including script [RFC6609 3.1]."""

    name: str
    personal: bool


@dataclass(frozen=True, slots=True)
class SeenBefore:
    """Answer: bool; whether ``key`` was recorded within its time. The caller records it after a delivery that succeeded [RFC7352]."""

    key: str
    seconds: int
    last: bool


@dataclass(frozen=True, slots=True)
class ListHolds:
    """Answer: bool; whether the external list holds one of the values [RFC6134 2.2]."""

    list_name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListKnown:
    """Answer: bool; whether all external lists are known and valid [RFC6134 2.7]."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunProgram:
    """Answer: ``(exit_ok: bool, output: str)``; vnd.dovecot.execute. ``input`` None: nothing, ``message`` True: the message itself."""

    program: str
    arguments: tuple[str, ...]
    input: str | None = None
    message: bool = False
    edits: tuple[Edit, ...] = ()


@dataclass(frozen=True, slots=True)
class FilterMessage:
    """Answer: a new ``MessageView`` of the message after ``edits``, or None when the program failed; vnd.dovecot.filter."""

    program: str
    arguments: tuple[str, ...]
    edits: tuple[Edit, ...] = ()


@dataclass(frozen=True, slots=True)
class ReplacePart:
    """Answer: a new ``MessageView`` of the message after ``edits`` with one part replaced, None when there is no such part [RFC5703 5].

    path: the place of the part, child by child from the root (which is ``()``). text: plain text, or with ``mime`` an entity with its
    header. subject, sender: of the new message, empty for what it has.
    """

    path: tuple[int, ...]
    text: str
    mime: bool
    subject: str
    sender: str
    edits: tuple[Edit, ...] = ()


@dataclass(frozen=True, slots=True)
class EncloseMessage:
    """Answer: a new ``MessageView``, a text and the message after ``edits`` enclosed [RFC5703 6]. headers: fields to copy."""

    text: str
    subject: str
    headers: tuple[str, ...]
    edits: tuple[Edit, ...] = ()


Question = (
    ReadBody
    | MailboxExists
    | MailboxIdExists
    | SpecialUseExists
    | MetadataValue
    | IncludeScript
    | SeenBefore
    | ListHolds
    | ListKnown
    | RunProgram
    | FilterMessage
    | ReplacePart
    | EncloseMessage
)
