"""Which octets of a message a client asks for: ``BODY[...]`` and ``BINARY[...]`` by meaning."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class SectionText(enum.Enum):
    """The last word of a section-spec [RFC9051 9 section-text]; WHOLE when there is none."""

    WHOLE = ""
    HEADER = "HEADER"
    HEADER_FIELDS = "HEADER.FIELDS"
    HEADER_FIELDS_NOT = "HEADER.FIELDS.NOT"
    TEXT = "TEXT"
    MIME = "MIME"


@dataclass(frozen=True, slots=True)
class Section:
    """A section of a message.

    part: part numbers from 1; empty = the message itself.
    fields: header field names in lower case, for the two FIELDS forms.
    decode: undo the Content-Transfer-Encoding (BINARY [RFC9051 6.4.5.1]).
    """

    part: tuple[int, ...] = ()
    text: SectionText = SectionText.WHOLE
    fields: tuple[bytes, ...] = ()
    decode: bool = False
