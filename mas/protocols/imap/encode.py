"""Responses as octets: strings, status responses, untagged data.  [RFC9051 4.3, 7, 9]

Every line ends in CRLF and is ready to be written. Mailbox names come as octets (``mailbox_name.encode_mailbox_name``) where a client's
spelling of them is all that is needed, and as ``ListData`` where LIST says more.

Must not know: sessions, states, what may be said when.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from mas.protocols.imap.abnf import ASTRING, ATOM
from mas.protocols.imap.commands import StatusItem
from mas.protocols.imap.mailbox_name import encode_mailbox_name
from mas.protocols.imap.numset import encode_numbers, encode_ranges
from mas.protocols.imap.responses import Code, Condition, EsearchData, ListData, QuotaResource

# QUOTED-CHAR before ENABLE UTF8=ACCEPT: TEXT-CHAR only. Afterwards UTF-8 as well [RFC6855 3]
_QUOTABLE = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]*\Z")
_QUOTABLE_UTF8 = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\xff]*\Z")

# resp-text: TEXT-CHAR, never a line end or NUL
_NOT_TEXT = re.compile(rb"[\x00\r\n]+")


# Strings


def string(octets: bytes, *, utf8: bool = False) -> bytes:
    """``string = quoted / literal``: quoted where the octets allow it. Literals to a client are always plain ``{n}``."""
    if (_QUOTABLE_UTF8 if utf8 else _QUOTABLE).match(octets):
        if b"\\" in octets or b'"' in octets:
            octets = octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
        return b'"' + octets + b'"'
    return literal(octets)


def literal(octets: bytes) -> bytes:
    """``literal = "{" number64 "}" CRLF *CHAR8``; octets with NUL become a literal8 [RFC9051 9 literal8]."""
    return b"%s{%d}\r\n%s" % (b"~" if b"\0" in octets else b"", len(octets), octets)


def nstring(octets: bytes | None, *, utf8: bool = False) -> bytes:
    """``nstring = string / nil``"""
    return b"NIL" if octets is None else string(octets, utf8=utf8)


def astring(octets: bytes, *, utf8: bool = True) -> bytes:
    """``astring = 1*ASTRING-CHAR / string``. ``NIL`` is quoted, for readers that take it for nothing.

    ``utf8`` lets 8-bit octets be quoted: the names of mailboxes have them only after the client has enabled it.
    """
    if ASTRING.fullmatch(octets) and octets.upper() != b"NIL":
        return octets
    return string(octets, utf8=utf8)


# Status responses


def encode_status_response(
    condition: Condition, text: str | bytes, *, tag: bytes = b"*", code: Code | None = None
) -> bytes:
    """One status response.  [RFC9051 7.1]

        response-tagged = tag SP resp-cond-state CRLF
        resp-cond-state = ("OK" / "NO" / "BAD") SP resp-text
        resp-text       = ["[" resp-text-code "]" SP] [text]

    ``text`` is made printable and non-empty; the caller has seen to it that it is fit for the peer.
    """
    octets = text.encode("ascii", "replace") if isinstance(text, str) else text
    octets = _NOT_TEXT.sub(b" ", octets) or b"."
    if code is not None:
        return b"%s %s [%s] %s\r\n" % (tag, condition.value, code, octets)
    return b"%s %s %s\r\n" % (tag, condition.value, octets)


# Untagged data


def encode_capability(names: bytes) -> bytes:
    """``capability-data = "CAPABILITY" *(SP capability)``"""
    return b"* CAPABILITY " + names + b"\r\n"


def encode_enabled(names: Iterable[str]) -> bytes:
    """``enable-data = "ENABLED" *(SP capability)``; nothing enabled is a line all the same [RFC9051 7.2.1]."""
    return b" ".join([b"* ENABLED", *(name.encode("ascii") for name in names)]) + b"\r\n"


def encode_id(fields: Iterable[tuple[str, str | None]]) -> bytes:
    """``id-response = "ID" SP ("(" string SP nstring … ")" / nil)``  [RFC2971 4]"""
    pairs = [
        string(name.encode()) + b" " + nstring(None if value is None else value.encode()) for name, value in fields
    ]
    return b"* ID (" + b" ".join(pairs) + b")\r\n" if pairs else b"* ID NIL\r\n"


def encode_flags(flags: Sequence[bytes]) -> bytes:
    """``"FLAGS" SP flag-list``"""
    return b"* FLAGS (" + b" ".join(flags) + b")\r\n"


def encode_exists(count: int) -> bytes:
    """``number SP "EXISTS"``"""
    return b"* %d EXISTS\r\n" % count


def encode_recent(count: int) -> bytes:
    """``number SP "RECENT"``  [RFC3501 7.3.2]"""
    return b"* %d RECENT\r\n" % count


def encode_expunges(seqnums: Iterable[int]) -> bytes:
    """``nz-number SP "EXPUNGE"`` lines, in the given order: each moves the numbers above it down [RFC9051 7.5.1]."""
    return b"".join([b"* %d EXPUNGE\r\n" % seqnum for seqnum in seqnums])


def encode_vanished(uids: Sequence[int]) -> bytes:
    """``expunged-resp = "VANISHED" [SP "(EARLIER)"] SP known-uids``  [RFC7162 7]"""
    return b"* VANISHED %s\r\n" % encode_numbers(uids)


def encode_vanished_earlier(ranges: Iterable[tuple[int, int]]) -> bytes:
    """The same for what went before, as ranges: there may be millions."""
    return b"* VANISHED (EARLIER) %s\r\n" % encode_ranges(ranges)


def _separator(separator: str) -> bytes:
    """``DQUOTE QUOTED-CHAR DQUOTE / nil``"""
    return string(separator.encode("ascii")) if separator else b"NIL"


def encode_list(data: ListData, utf8: bool, keyword: bytes = b"LIST") -> bytes:
    """One line of LIST, or with ``keyword`` of LSUB or XLIST.  [RFC9051 7.3.1]

    mailbox-list = "(" [mbx-list-flags] ")" SP (DQUOTE QUOTED-CHAR DQUOTE / nil) SP mailbox [SP mbox-list-extended]
    childinfo-extended-item = "CHILDINFO" SP "(" list-select-base-opt-quoted *(SP …) ")"
    oldname-extended-item   = "OLDNAME" SP "(" mailbox ")"
    """
    extended = []
    if data.child_info:
        # The tag may be quoted or not [RFC9051 9 Note 1]; RFC 5258's examples quote it, and old readers know only those
        extended.append(
            b'"CHILDINFO" (' + b" ".join([string(option.encode("ascii")) for option in data.child_info]) + b")"
        )
    if data.old_name is not None:
        extended.append(b'"OLDNAME" (' + astring(encode_mailbox_name(data.old_name, utf8)) + b")")
    return b"* %s (%s) %s %s%s\r\n" % (
        keyword,
        b" ".join(data.attributes),
        _separator(data.separator),
        astring(encode_mailbox_name(data.name, utf8)),
        b" (" + b" ".join(extended) + b")" if extended else b"",
    )


def encode_namespace(separator: str) -> bytes:
    """``namespace-response``: one personal namespace without a prefix, no others.  [RFC9051 7.3.2] [RFC2342 5]"""
    return b'* NAMESPACE (("" %s)) NIL NIL\r\n' % _separator(separator)


def encode_status(mailbox: bytes, values: Iterable[tuple[StatusItem, int | str | None]]) -> bytes:
    """``"STATUS" SP mailbox SP "(" [status-att-list] ")"``  [RFC9051 7.3.3]

    ``mailbox`` as ``astring`` gave it. Numbers; a string for MAILBOXID [RFC8474 4.3]; None for APPENDLIMIT without a limit [RFC7889 3.1].
    """
    parts = []
    for item, value in values:
        if isinstance(value, str):
            parts.append(b"%s (%s)" % (item.value, value.encode("ascii")))
        else:
            parts.append(b"%s NIL" % item.value if value is None else b"%s %d" % (item.value, value))
    return b"* STATUS %s (%s)\r\n" % (mailbox, b" ".join(parts))


def encode_search(numbers: Sequence[int], modseq: int | None = None, keyword: bytes = b"SEARCH") -> bytes:
    """``"SEARCH" [1*(SP nz-number) [SP "(" "MODSEQ" SP mod-sequence-value ")"]]``  [RFC3501 7.2.5] [RFC7162 7]

    No MODSEQ on an empty result: the ABNF has none. ``keyword`` SORT has the same form [RFC5256 5].
    """
    if not numbers:
        return b"* " + keyword + b"\r\n"
    # One format for all of them: a third of what a string for each costs.
    line = b"* " + keyword + (b" %d" * len(numbers)) % tuple(numbers)
    return line + (b" (MODSEQ %d)\r\n" % modseq if modseq is not None else b"\r\n")


def encode_esearch(data: EsearchData) -> bytes:
    """``esearch-response = "ESEARCH" [search-correlator] [SP "UID"] *(SP search-return-data)``  [RFC9051 7.3.4] [RFC4466 2.6.2]"""
    line = b"* ESEARCH (TAG " + string(data.tag) + b")"
    if data.uid:
        line += b" UID"
    if data.min is not None:
        line += b" MIN %d" % data.min
    if data.max is not None:
        line += b" MAX %d" % data.max
    if data.all:
        line += b" ALL " + encode_numbers(data.all)
    if data.count is not None:
        line += b" COUNT %d" % data.count
    if data.modseq is not None:
        line += b" MODSEQ %d" % data.modseq
    return line + b"\r\n"


_SHORT = 1000


def encode_metadata(mailbox: bytes, values: Iterable[tuple[str, bytes | None]]) -> bytes:
    """``"METADATA" SP mailbox SP "(" entry SP value *(SP entry SP value) ")"``, ``value = nstring / literal8``  [RFC5464 5]

    ``mailbox`` as ``astring`` gave it; the server's is ``""``. What is long goes as a literal: readers have limits for lines.
    """
    words = []
    for entry, value in values:
        words += [astring(entry.encode("ascii")), literal(value) if value and len(value) > _SHORT else nstring(value)]
    return b"* METADATA %s (%s)\r\n" % (mailbox, b" ".join(words))


def encode_metadata_changed(mailbox: bytes, entries: Iterable[str]) -> bytes:
    """``"METADATA" SP mailbox SP entry *(SP entry)``: entries that somebody else has changed  [RFC5464 4.4.2]"""
    return b" ".join([b"* METADATA", mailbox, *[astring(entry.encode("ascii")) for entry in entries]]) + b"\r\n"


def _quota_root(name: str) -> bytes:
    """``quota-root-name = astring``; RFC 9208's examples quote it, and so does Dovecot."""
    octets = name.encode()
    return octets if ATOM.fullmatch(octets) and octets.upper() != b"NIL" else string(octets)


def encode_quota(root: str, resources: Iterable[QuotaResource]) -> bytes:
    """``quota-response = "QUOTA" SP quota-root-name SP quota-list``  [RFC9208 7]

    Deviation: a root without limits gives ``()``, which the ABNF of RFC 9208 has not, but RFC 2087 has; Dovecot writes it so.
    """
    listed = [b"%s %d %d" % (resource.name.encode("ascii"), resource.usage, resource.limit) for resource in resources]
    return b"* QUOTA %s (%s)\r\n" % (_quota_root(root), b" ".join(listed))


def encode_quotaroot(mailbox: bytes, roots: Iterable[str]) -> bytes:
    """``quotaroot-response = "QUOTAROOT" SP mailbox *(SP quota-root-name)``; ``mailbox`` as ``astring`` gave it."""
    return b" ".join([b"* QUOTAROOT", mailbox, *map(_quota_root, roots)]) + b"\r\n"
