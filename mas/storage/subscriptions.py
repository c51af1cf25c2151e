"""``subscriptions``: the subscribed names, as Dovecot writes them in the Maildir.

::

    file    = version2 / version1
    version2 = "V" TAB "2" LF LF *( level *( TAB level ) LF )     ; levels of hierarchy, modified UTF-7, tab-escaped
    version1 = *( name LF )                                       ; whole names with the separator of Maildir++, "."

Both are read; version 2 is written. Tab-escaping: 001 for NUL-like octets as Dovecot's ``str_tabescape`` (``\\0011`` is 001, ``t`` TAB,
``r`` CR, ``n`` LF); mailbox names here never hold any of them.
"""

from __future__ import annotations

from collections.abc import Iterable

from mas.errors import InvalidMailboxName
from mas.storage.maildir_name import directory_of, name_of
from mas.storage.model import INBOX, MailboxName

FILE_NAME = "subscriptions"
_V2 = b"V\t2\n\n"


def parse_subscriptions(data: bytes, separator: str) -> list[MailboxName]:
    """Names in the order of the file, once each. Lines that cannot be a mailbox are left out."""
    if data.startswith(b"V\t"):
        data = data.partition(b"\n")[2].replace(b"\t", b".")
    lines = data.split(b"\n")
    names: dict[MailboxName, None] = {}
    for line in lines:
        if not line:
            continue
        text = line.decode("ascii", "replace")
        try:
            names[INBOX if text.upper() == INBOX else name_of("." + text, separator)] = None
        except InvalidMailboxName:
            continue
    return list(names)


def encode_subscriptions(names: Iterable[MailboxName], separator: str) -> bytes:
    lines = [(directory_of(name, separator)[1:] or str(INBOX)).replace(".", "\t") for name in names]
    return _V2 + "".join(line + "\n" for line in lines).encode("ascii")
