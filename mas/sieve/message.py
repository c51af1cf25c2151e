"""What a script sees of the message and of the mail transaction. Protocols: the delivery hands in its own objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class PartView(Protocol):
    """One MIME part. ``children`` in order; ``content_type`` in lower case, ``text/plain`` when there is none."""

    content_type: str
    parameters: Sequence[tuple[str, str]]
    disposition: str
    children: Sequence[PartView]

    def header(self, name: str) -> Sequence[str]:
        """Values of the part's own header fields of that name (lower case), decoded and unfolded, in order."""
        ...

    def encoded(self, name: str) -> Sequence[str]:
        """As ``header``, with encoded words as they stand: where addresses are looked for, a name must not become one [RFC2047 5 (3)]."""
        ...

    def text(self) -> str:
        """The content after transfer decoding, in Unicode; empty for what is no text."""
        ...

    def raw(self) -> str:
        """The content as it stands, each octet one character."""
        ...


class MessageView(Protocol):
    """The message as it stands before a script edits it: its header at once, its body on demand (``questions.ReadBody``)."""

    size: int

    def header(self, name: str) -> Sequence[str]:
        """Values of the header fields of that name (lower case), decoded [RFC2047], unfolded, in order."""
        ...

    def encoded(self, name: str) -> Sequence[str]:
        """As PartView.encoded."""
        ...

    def fields(self) -> Sequence[tuple[str, str]]:
        """All header fields in order: name as written, value decoded and unfolded."""
        ...

    def addresses(self, value: str) -> Sequence[str]:
        """The addr-specs of an address field's value, quoted as they must be; the value as it stands when all are broken."""
        ...


@dataclass(frozen=True, slots=True)
class Transaction:
    """The SMTP envelope as it reached us. ``recipient`` is the final address, with its detail; ``original_recipient`` the one before
    aliases (ORCPT). ``own_addresses``: further addresses of the user. ``sender`` is empty for the null reverse path. ``delimiter``: the
    characters that may begin a detail [RFC5233 1]."""

    sender: str
    recipient: str
    original_recipient: str = ""
    auth: str = ""
    own_addresses: Sequence[str] = ()
    delimiter: str = "+"
