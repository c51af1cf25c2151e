"""Names on disk: of message files, and of the directories that are mailboxes. Pure text.

A message file, as Dovecot writes it::

    file-name = base [ ":2," *letter ]
    base      = seconds ".M" microseconds "P" pid "Q" number "." host ",S=" octets ",W=" octets-with-crlf
    letter    = "D" / "F" / "R" / "S" / "T"          ; \\Draft \\Flagged \\Answered \\Seen \\Deleted, in this order
              / %x61-7A                              ; keywords 0 to 25 of dovecot-keywords

Only ``base`` names the message; the letters are its flags and change. Letters that nobody here knows (``P``) are kept.

A mailbox, Maildir++::

    directory = "." level *( "." level )             ; INBOX is the Maildir itself
    level     = modified UTF-7 [RFC3501 5.1.3]
"""

from __future__ import annotations

import base64
import binascii
import re

from mas.errors import InvalidMailboxName
from mas.storage.model import ANSWERED, DELETED, DRAFT, FLAGGED, INBOX, KEYWORD_SHIFT, SEEN, MailboxName

LETTERS = (("D", DRAFT), ("F", FLAGGED), ("R", ANSWERED), ("S", SEEN), ("T", DELETED))
FILE_KEYWORDS = 26
"""Keywords that have a letter; the others live only in the index."""
FILE_FLAGS = (1 << (KEYWORD_SHIFT + FILE_KEYWORDS)) - 1
"""The flag bits that a file name can hold."""

_BIT = dict(LETTERS) | {chr(ord("a") + number): 1 << (KEYWORD_SHIFT + number) for number in range(FILE_KEYWORDS)}
_SIZE = re.compile(r",(S|W)=(\d{1,15})(?=,|$)")


def split_name(file_name: str) -> tuple[str, str]:
    """``(base, letters)`` of a file name without its directory. What follows ``:2,`` up to a further ``,`` is letters."""
    base, colon, info = file_name.partition(":")
    if not colon or not info.startswith("2,"):
        return base, ""
    return base, info[2:]


def flags_of(letters: str) -> int:
    """The flags that the letters name; unknown letters name none."""
    flags = 0
    for letter in letters.partition(",")[0]:
        flags |= _BIT.get(letter, 0)
    return flags


_suffixes: dict[int, str] = {}


def letters_of(flags: int) -> str:
    """The letters of these flags, in the order of the ABNF."""
    flags &= FILE_FLAGS
    known = _suffixes.get(flags)
    if known is None:
        known = "".join(letter for letter, bit in LETTERS if flags & bit)
        number, bits = 0, flags >> KEYWORD_SHIFT
        while bits:
            if bits & 1:
                known += chr(ord("a") + number)
            number, bits = number + 1, bits >> 1
        if len(_suffixes) < 4096:
            _suffixes[flags] = known
    return known


def renamed(file: str, flags: int) -> str:
    """``cur/base:2,letters`` for a message whose file is ``file`` (with its directory) and whose flags are ``flags``."""
    base, letters = split_name(file[4:])
    unknown = "".join(letter for letter in letters.partition(",")[0] if letter not in _BIT)
    return f"cur/{base}:2,{letters_of(flags)}{unknown}"


def sizes_of(base: str) -> tuple[int | None, int | None]:
    """``(S, W)``: octets of the file, octets with CRLF line ends; None where the name does not say."""
    if ",S=" not in base and ",W=" not in base:
        return None, None
    found = {key: int(value) for key, value in _SIZE.findall(base)}
    return found.get("S"), found.get("W")


def arrival_of(base: str) -> tuple[int, int, str]:
    """A sort key: the order in which messages without uids get them. Seconds, microseconds, then the name."""
    seconds, _, rest = base.partition(".")
    micro = re.match(r"M(\d{1,6})", rest)
    return (int(seconds) if seconds.isdigit() and len(seconds) < 16 else 0, int(micro[1]) if micro else 0, base)


# Modified UTF-7


def _decode_level(level: str) -> str:
    """One level from modified UTF-7. Raises ValueError when it is not what an encoder would have written."""
    out: list[str] = []
    position = 0
    while position < len(level):
        character = level[position]
        if not " " <= character <= "~":
            raise ValueError("octet outside of printable US-ASCII")
        if character != "&":
            out.append(character)
            position += 1
            continue
        end = level.index("-", position)
        encoded = level[position + 1 : end]
        if encoded:
            try:
                octets = base64.b64decode(encoded.replace(",", "/") + "=" * (-len(encoded) % 4), validate=True)
            except binascii.Error as error:
                raise ValueError(str(error)) from None
            out.append(octets.decode("utf-16-be"))
        else:
            out.append("&")
        position = end + 1
    text = "".join(out)
    if _encode_level(text) != level:
        raise ValueError("not the canonical form")
    return text


def _encode_level(text: str) -> str:
    out: list[str] = []
    shifted: list[str] = []

    def unshift() -> None:
        if shifted:
            encoded = base64.b64encode("".join(shifted).encode("utf-16-be")).decode("ascii")
            out.append("&" + encoded.rstrip("=").replace("/", ",") + "-")
            shifted.clear()

    for character in text:
        if " " <= character <= "~":
            unshift()
            out.append("&-" if character == "&" else character)
        else:
            shifted.append(character)
    unshift()
    return "".join(out)


# Mailboxes

MAX_NAME = 1000
"""Characters of a mailbox name."""
MAX_DIRECTORY = 255
"""Octets of a directory's name; the file system's own limit."""


def check_name(name: str, separator: str) -> MailboxName:
    """The name with INBOX in capitals. Raises InvalidMailboxName for what can never be a mailbox: such a name never reaches the disk."""
    if not name:
        raise InvalidMailboxName(name, "empty name")
    if len(name) > MAX_NAME:
        raise InvalidMailboxName(name[:40] + "…", f"longer than {MAX_NAME} characters")
    for character in name:
        if (
            character < " "
            or "\x7f" <= character <= "\x9f"
            or "\ud800" <= character <= "\udfff"
            or character in "\u2028\u2029"
        ):
            raise InvalidMailboxName(repr(name), "control character")
    levels = name.split(separator)
    for level in levels:
        if not level:
            raise InvalidMailboxName(name, "empty level of hierarchy")
        if level in (".", ".."):
            raise InvalidMailboxName(name, "'.' and '..' are not names")
        if "/" in level:
            raise InvalidMailboxName(name, "'/' in a name")
        if "." in level:
            raise InvalidMailboxName(name, "'.' in a name")
    if levels[0].upper() == INBOX:
        levels[0] = str(INBOX)
    return MailboxName(separator.join(levels))


def directory_of(name: MailboxName, separator: str) -> str:
    """The directory under the Maildir, ``""`` for INBOX. Raises InvalidMailboxName."""
    name = check_name(name, separator)
    if name == INBOX:
        return ""
    directory = "." + ".".join(_encode_level(level) for level in name.split(separator))
    if len(directory) > MAX_DIRECTORY:
        raise InvalidMailboxName(name[:40] + "…", f"longer than {MAX_DIRECTORY} octets on disk")
    return directory


def name_of(directory: str, separator: str) -> MailboxName:
    """The mailbox that a directory holds. Raises InvalidMailboxName when it cannot be one."""
    if not directory:
        return INBOX
    levels = directory[1:].split(".")
    try:
        name = separator.join(_decode_level(level) for level in levels)
    except (ValueError, UnicodeDecodeError) as error:
        raise InvalidMailboxName(directory, f"not modified UTF-7: {error}") from None
    checked = check_name(name, separator)
    if checked != name or checked == INBOX:
        raise InvalidMailboxName(directory, "an alias of INBOX")
    return checked
