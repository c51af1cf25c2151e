"""``dovecot-keywords``: the numbers, and so the letters in file names, of a mailbox's first 26 keywords.

::

    keywords = *( number SP name LF )        ; 0 to 25, number n is letter a + n

Replaced by rename under ``dovecot-keywords.lock``, as Dovecot does. Keywords from number 26 up live only in the index.
"""

from __future__ import annotations

from mas.storage.maildir_name import FILE_KEYWORDS

FILE_NAME = "dovecot-keywords"


def parse_keywords(data: bytes) -> dict[int, str]:
    """Number to name. Lines that are no keyword are left out: a letter without a name is a flag that nobody can be told of."""
    found: dict[int, str] = {}
    for line in data.split(b"\n"):
        number, space, name = line.partition(b" ")
        if space and number.isdigit() and len(number) <= 2 and int(number) < FILE_KEYWORDS and name.isascii():
            text = name.decode("ascii")
            if text and text.isprintable() and " " not in text and text not in found.values():
                found.setdefault(int(number), text)
    return found


def encode_keywords(names: dict[int, str]) -> bytes:
    return b"".join(
        b"%d %s\n" % (number, name.encode("ascii")) for number, name in sorted(names.items()) if number < FILE_KEYWORDS
    )
