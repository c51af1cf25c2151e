"""``subscriptions``: the subscribed names, as Dovecot writes them in the Maildir.

::

    file    = version2 / version1
    version2 = "V" TAB "2" LF LF *( level *( TAB level ) LF )     ; levels of hierarchy, modified UTF-7, tab-escaped
    version1 = *( name LF )                                       ; whole names with the layout's own separator, "." or "/"

Both are read; version 2 is written. Tab-escaping: 001 for NUL-like octets as Dovecot's ``str_tabescape`` (``\\0011`` is 001, ``t`` TAB,
``r`` CR, ``n`` LF); mailbox names here never hold any of them.
"""

from __future__ import annotations

from collections.abc import Iterable

from mas.errors import InvalidMailboxName
from mas.storage.layout import Layout
from mas.storage.model import INBOX, MailboxName

FILE_NAME = "subscriptions"
_V2 = b"V\t2\n\n"


def parse_subscriptions(data: bytes, layout: Layout) -> list[MailboxName]:
    """Names in the order of the file, once each. Lines that cannot be a mailbox are left out."""
    between = layout.native_separator
    if data.startswith(b"V\t"):
        data, between = data.partition(b"\n")[2], "\t"
    names: dict[MailboxName, None] = {}
    for line in data.split(b"\n"):
        if not line:
            continue
        text = line.decode("ascii", "replace")
        try:
            names[INBOX if text.upper() == INBOX else layout.name_of_levels(text.split(between))] = None
        except InvalidMailboxName:
            continue
    return list(names)


def encode_subscriptions(names: Iterable[MailboxName], layout: Layout) -> bytes:
    return _V2 + "".join("\t".join(layout.levels_of(name)) + "\n" for name in names).encode("ascii")
