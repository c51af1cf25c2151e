"""Names of message files. Pure text. (Names of the directories that are mailboxes: ``layout``.)

As Dovecot writes them::

    file-name = base [ ":2," *letter ]
    base      = seconds ".M" microseconds "P" pid "Q" number "." host ",S=" octets ",W=" octets-with-crlf
    letter    = "D" / "F" / "R" / "S" / "T"          ; \\Draft \\Flagged \\Answered \\Seen \\Deleted, in this order
              / %x61-7A                              ; keywords 0 to 25 of dovecot-keywords

Only ``base`` names the message; the letters are its flags and change. Letters that nobody here knows (``P``) are kept.
"""

from __future__ import annotations

import re

from mas.storage.model import ANSWERED, DELETED, DRAFT, FLAGGED, KEYWORD_SHIFT, SEEN

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
