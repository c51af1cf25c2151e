"""A place in the octets of one command, and the RFC's terminals read there.  [RFC9051 9]

The text is a whole command with its literals in place (``{n}``, CRLF, n octets), as ``connection`` has gathered it; a terminal is one
match of a compiled expression of ``abnf``. Method names are the ABNF's words: ``atom()`` reads an atom or raises ParseError, ``maybe_…``
answers whether it was there.

Must not know: which command this is, limits of lines and literals (kept before a command is whole).
"""

from __future__ import annotations

import re

from mas.errors import MasError
from mas.protocols.imap import abnf


class ParseError(MasError):
    """The text fits no rule of the grammar (BAD), or is well-formed and can never be meant (NO, with ``code``)."""

    def __init__(self, text: str, *, no: bool = False, code: bytes = b"") -> None:
        super().__init__(text)
        self.text = text
        self.no = no
        self.code = code


class Cursor:
    """``text[place:]`` is what has not been read. ``utf8``: names are UTF-8 (after ENABLE)."""

    __slots__ = ("max_mailbox_name", "max_nesting", "max_search_keys", "max_set_items", "place", "text", "utf8")

    def __init__(self, text: bytes, place: int = 0, *, utf8: bool = False) -> None:
        self.text = text
        self.place = place
        self.utf8 = utf8
        self.max_nesting = 50
        self.max_set_items = 10_000
        self.max_search_keys = 1000
        self.max_mailbox_name = 1000

    # Single octets

    def peek(self) -> bytes:
        """The next octet, or nothing at the end."""
        return self.text[self.place : self.place + 1]

    def rest(self) -> bytes:
        """Everything not yet read."""
        return self.text[self.place :]

    def at_end(self) -> bool:
        """Nothing is left but SP.

        Deviation: SP before CRLF is not in the ABNF [RFC9051 9 command]; clients of many years send it, Dovecot takes it.
        """
        return not self.text[self.place :].strip(b" ") if self.place < len(self.text) else True

    def end(self) -> None:
        """The command ends here."""
        if self.place != len(self.text) and not self.at_end():
            raise ParseError("Unexpected argument")

    def sp(self) -> None:
        """SP.  Deviation: one or more, as Dovecot takes them (hand-written clients)."""
        if not self.maybe_sp():
            raise ParseError("Missing argument" if self.place == len(self.text) else "Missing space")

    def maybe_sp(self) -> bool:
        """SP, if there is one."""
        text, place = self.text, self.place
        if text[place : place + 1] != b" ":
            return False
        place += 1
        while text[place : place + 1] == b" ":
            place += 1
        self.place = place
        return True

    def maybe(self, token: bytes) -> bool:
        """This very text (in the given case), if it comes next."""
        if self.text.startswith(token, self.place):
            self.place += len(token)
            return True
        return False

    def expect(self, token: bytes) -> None:
        """This very text."""
        if not self.maybe(token):
            raise ParseError(f"Expected {token.decode('ascii')}")

    # Terminals

    def token(self, pattern: re.Pattern[bytes], what: str) -> bytes:
        """What ``pattern`` matches here. ``what`` names it in the error."""
        found = pattern.match(self.text, self.place)
        if found is None:
            raise ParseError(f"Expected {what}")
        self.place = found.end()
        return found[0]

    def atom(self) -> bytes:
        """``atom = 1*ATOM-CHAR``"""
        return self.token(abnf.ATOM, "atom")

    def word(self) -> str:
        """An atom in upper case, for the names of options."""
        return self.token(abnf.ATOM, "atom").decode("ascii").upper()

    def number(self) -> int:
        """``number64 = 1*DIGIT``, 63 bits  [RFC9051 9] [RFC7162 7 mod-sequence-valzer]"""
        value = int(self.token(abnf.NUMBER, "number"))
        if value >= 1 << 63:
            raise ParseError("Number is above 9223372036854775807")
        return value

    def nz_number(self) -> int:
        """``nz-number = digit-nz *DIGIT``, 32 bits"""
        value = self.number()
        if not 0 < value < 1 << 32:
            raise ParseError("Number must be between 1 and 4294967295")
        return value

    def quoted(self) -> bytes:
        """``quoted = DQUOTE *QUOTED-CHAR DQUOTE``

        Deviation: octets above 0x7F are taken as they are, before ENABLE UTF8=ACCEPT too (imap_tools: ``TEXT "ü"``).
        """
        found = abnf.QUOTED.match(self.text, self.place)
        if found is None:
            raise ParseError("Unfinished or invalid quoted string")
        self.place = found.end()
        inner = found[1]
        return (
            inner.replace(b"\\\\", b"\\\0").replace(b'\\"', b'"').replace(b"\\\0", b"\\") if b"\\" in inner else inner
        )

    def literal(self) -> bytes:
        """``literal = "{" number64 ["+"] "}" CRLF *CHAR8``; NUL only in a literal8."""
        found = abnf.LITERAL.match(self.text, self.place)
        if found is None:
            raise ParseError("Invalid literal")
        start = found.end()
        end = start + int(found[2])
        data = self.text[start:end]
        if len(self.text) < end:
            raise ParseError("Literal is not complete")
        if not found[1] and b"\0" in data:
            raise ParseError("NUL in a literal")
        self.place = end
        return data

    def string(self) -> bytes:
        """``string = quoted / literal``"""
        following = self.peek()
        if following == b'"':
            return self.quoted()
        if following in (b"{", b"~"):
            return self.literal()
        raise ParseError("Expected string")

    def astring(self) -> bytes:
        """``astring = 1*ASTRING-CHAR / string``"""
        found = abnf.ASTRING.match(self.text, self.place)
        # "~" is an ASTRING-CHAR: a literal8 is told by what follows
        if found is not None and not (found[0] == b"~" and self.text.startswith(b"{", found.end())):
            self.place = found.end()
            return found[0]
        return self.string()

    def nstring(self) -> bytes | None:
        """``nstring = string / nil``"""
        if self.text[self.place : self.place + 3].upper() == b"NIL":
            self.place += 3
            return None
        return self.string()

    def sequence_set_text(self) -> bytes:
        """The octets of a sequence-set, for ``numset.parse_sequence_set``."""
        return self.token(abnf.SEQUENCE_SET, "message set")
