"""One look at a message, at delivery, that gives everything FETCH, SEARCH, SORT and THREAD ask for later.

``parse`` never raises, whatever the octets are, and costs time linear in their number (times the depth of nesting, which is bounded).
What it gives are values to keep: ready wire bytes, folded texts, a table of offsets. It must not know where they are kept, nor sessions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from mas.storage.mime.address import Address, addresses_text
from mas.storage.mime.casemap import casemap
from mas.storage.mime.date import parse_date
from mas.storage.mime.envelope import Envelope
from mas.storage.mime.field_table import locate
from mas.storage.mime.header import decode_words, header_text
from mas.storage.mime.limits import MimeLimits
from mas.storage.mime.structure import Tree
from mas.storage.mime.subject import base_subject, thread_links
from mas.storage.mime.window import Data
from mas.storage.mime.wire import collapsed


class ParsedMessage(NamedTuple):
    """What is kept of a message.

    size: octets as served, with CRLF line ends (RFC822.SIZE, Dovecot's W=). file_size: octets as stored (S=).
    envelope, body, bodystructure: ready wire bytes, parentheses included.
    parts: packed table for ``section`` and ``text``.
    header_size: octets as served of the message's own header block, with its blank line.
    kept_header: the header as served without bulky trace fields (``header.is_dropped``); None when it is longer than
        ``max_header_size``: then header questions go to the file.
    field_table: where its fields lie (``field_table``).
    sent_day: days since 1970 of the Date field as written, without its zone; 0 when there is none (SENTSINCE …).
    sent_time: the same moment in seconds, UTC, for SORT DATE; None when there is none (then the internal date counts).
    texts: subject, from, to, cc, bcc in the form of ``casemap``: decoded, unfolded, addresses formatted.
    header_text: all kept fields in that form, for HEADER searches: a line ``NAME: text`` each; ``header.header_holds`` asks it.
    base_subject: ``casemap`` form of the base subject [RFC5256 2.1]; is_reply: the subject was a reply or a forward.
    sort_from, sort_to, sort_cc: casemap form of the first mailbox (SORT FROM …); display_from, display_to: [RFC5957].
    message_id: normalised, without brackets; empty when there is none. references: the same, ancestors oldest first [RFC5256 3].
    """

    size: int
    file_size: int
    envelope: bytes
    body: bytes
    bodystructure: bytes
    parts: bytes
    header_size: int
    kept_header: bytes | None
    field_table: bytes
    sent_day: int
    sent_time: int | None
    texts: Mapping[str, str]
    header_text: str
    base_subject: str
    is_reply: bool
    sort_from: str
    sort_to: str
    sort_cc: str
    display_from: str
    display_to: str
    message_id: str
    references: tuple[str, ...]


def parse(data: Data, limits: MimeLimits) -> ParsedMessage:
    """Parse a whole message with CRLF, LF or mixed line ends. A map is read in windows, never copied whole."""
    tree = Tree(data, limits)
    root = tree.root
    envelope = Envelope(root.fields, limits.max_addresses)
    body, bodystructure, packed = tree.encode()
    texts = envelope.texts
    addresses = envelope.addresses
    subject = casemap(decode_words(collapsed(texts.get(b"subject", b""))))
    base, is_reply = base_subject(subject)
    day, time = parse_date(texts.get(b"date", b"")) or (0, None)
    message_id, references = thread_links(
        texts.get(b"message-id", b""), texts.get(b"references", b""), texts.get(b"in-reply-to", b"")
    )
    from_, to, cc = addresses.get(b"from", []), addresses.get(b"to", []), addresses.get(b"cc", [])
    return ParsedMessage(
        size=tree.served,
        file_size=tree.size,
        envelope=envelope.encode(),
        body=body,
        bodystructure=bodystructure,
        parts=packed,
        header_size=tree.served_header(),
        kept_header=tree.kept if tree.whole_header else None,
        field_table=locate(tree.kept) if tree.whole_header else b"",
        sent_day=day,
        sent_time=time,
        texts={
            "subject": subject,
            "from": casemap(addresses_text(from_)),
            "to": casemap(addresses_text(to)),
            "cc": casemap(addresses_text(cc)),
            "bcc": casemap(addresses_text(addresses.get(b"bcc", []))),
        },
        header_text=header_text(tree.kept),
        base_subject=base,
        is_reply=is_reply,
        sort_from=_sort_mailbox(from_),
        sort_to=_sort_mailbox(to),
        sort_cc=_sort_mailbox(cc),
        display_from=_display(from_),
        display_to=_display(to),
        message_id=message_id,
        references=references,
    )


def _sort_mailbox(addresses: list[Address]) -> str:
    """The first address's mailbox [RFC5256 3 CC, FROM, TO]."""
    if not addresses:
        return ""
    return casemap(decode_words(addresses[0].mailbox or b""))


def _display(addresses: list[Address]) -> str:
    """The display name of the first address, or mailbox@host, or the group's name.  [RFC5957 3]"""
    if not addresses:
        return ""
    first = addresses[0]
    if first.name:
        return casemap(decode_words(first.name))
    mailbox = decode_words(first.mailbox or b"")
    return casemap(mailbox if first.domain is None else f"{mailbox}@{decode_words(first.domain)}")
