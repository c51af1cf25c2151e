"""The comparator i;unicode-casemap.  [RFC5051]

A text is matched without regard to case by comparing its canonical form: every character becomes its (simple) title case, and that is
decomposed, compatibility forms included. So ``ß`` stays itself, ``Ä`` and ``ä`` become ``A`` and a combining mark.
What comes out of a decomposition is put in title case too, so that ``ﬁ`` is found as ``FI``: a step more than the RFC asks for.
Canonical reordering of marks is not done, as in the RFC and in Dovecot: a mark stays where it was written.

Both sides of a comparison go through ``casemap``; substrings of canonical forms are matches.
"""

from __future__ import annotations

import re
import unicodedata


def _title(char: str) -> str:
    """Simple title case. One of more characters is a special casing, which UnicodeData.txt, the RFC's table, does not have."""
    title = char.title()
    return title if len(title) == 1 else char


class _Table(dict[int, str]):
    """Filled as characters are met; 1.1 million code points at most, a few hundred in practice."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        mapped = "".join(map(_title, unicodedata.normalize("NFKD", _title(char))))
        self[code] = mapped
        return mapped


_TABLE = _Table()
_ASCII = re.compile(r"([\x00-\x7f]+)")


def casemap(text: str) -> str:
    """The canonical form of ``text``."""
    if text.isascii():
        return text.upper()
    # Header texts are mostly ASCII with a few names in between, and upper() costs nothing beside a table look-up for each character.
    pieces = _ASCII.split(text)
    if len(pieces) > len(text) >> 2:
        return text.translate(_TABLE)
    return "".join([piece.upper() if piece.isascii() else piece.translate(_TABLE) for piece in pieces])
