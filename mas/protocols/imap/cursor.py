"""A place in the text of one command, and the RFC's terminals read there."""

from __future__ import annotations

from mas.errors import MasError


class ParseError(MasError):
    """The text fits no rule of the grammar (BAD), or is well-formed and can never be meant (NO, with ``code``)."""

    def __init__(self, text: str, *, no: bool = False, code: bytes = b"") -> None:
        super().__init__(text)
        self.text = text
        self.no = no
        self.code = code
