"""ENVELOPE.  [RFC9051 7.5.2]

    envelope = "(" env-date SP env-subject SP env-from SP env-sender SP env-reply-to SP env-to SP env-cc SP env-bcc SP
               env-in-reply-to SP env-message-id ")"

Of a field that is there twice the addresses are added up, and of the others the last one counts. Sender and Reply-To default to From.
The subject and the names have one space for each run of white space; the other texts are only unfolded. As Dovecot does.
"""

from __future__ import annotations

from collections.abc import Iterable

from mas.storage.mime.address import Address, encode_addresses, parse_addresses
from mas.storage.mime.header import Field, unfold
from mas.storage.mime.wire import collapsed, nstring

_TEXTS = frozenset((b"date", b"subject", b"in-reply-to", b"message-id", b"references"))
_ADDRESSES = frozenset((b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc"))
_NAMES = _TEXTS | _ADDRESSES


class Envelope:
    """The fields of one header block that ENVELOPE needs; also the source of the search texts and the sort keys."""

    __slots__ = ("addresses", "texts")

    def __init__(self, fields: Iterable[Field], max_addresses: int) -> None:
        self.texts: dict[bytes, bytes] = {}
        """Unfolded values by name; References too, which is not in ENVELOPE."""
        self.addresses: dict[bytes, list[Address]] = {}
        for name, value in fields:
            if name not in _NAMES:
                continue
            text = unfold(value)
            if name in _TEXTS:
                self.texts[name] = text
            elif text:
                known = self.addresses.get(name)
                if known is None:
                    self.addresses[name] = parse_addresses(text, max_addresses)
                else:
                    known += parse_addresses(text, max_addresses - len(known))

    def encode(self) -> bytes:
        texts = self.texts.get
        lists = {name: encode_addresses(found) for name, found in self.addresses.items() if found}.get
        subject = texts(b"subject")
        sender = lists(b"from", b"NIL")
        return b"(%b %b %b %b %b %b %b %b %b %b)" % (
            nstring(texts(b"date")),
            nstring(None if subject is None else collapsed(subject)),
            sender,
            lists(b"sender", sender),
            lists(b"reply-to", sender),
            lists(b"to", b"NIL"),
            lists(b"cc", b"NIL"),
            lists(b"bcc", b"NIL"),
            nstring(texts(b"in-reply-to")),
            nstring(texts(b"message-id")),
        )
