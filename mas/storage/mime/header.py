r"""Header blocks: fields, folding, encoded words, and the subsets that IMAP serves.  [RFC5322 2.2] [RFC2047]

    field      = field-name *WSP ":" unstructured *(line-end WSP unstructured)
    line-end   = [CR] LF

A line without a colon is a field with that line for its name and no value: it neither ends the header nor hides what follows.
Field names are bytes in lower case. Values are octets; text comes out of ``decode_words`` only.
"""

from __future__ import annotations

import binascii
import re
from functools import lru_cache

from mas.storage.mime.casemap import casemap
from mas.storage.mime.charset import decode

Field = tuple[bytes, bytes]
"""Name in lower case, and the value as written: folded, with its line ends but the last."""

_FIELD = re.compile(rb"([^\n:]*)(:?)([^\n]*(?:\n[ \t][^\n]*)*)\n?")
_LINE_END = re.compile(rb"\r?\n")


def fields(block: bytes) -> list[Field]:
    """The fields of a header block, in order; the blank line is none."""
    found: list[Field] = []
    for name, colon, value in _FIELD.findall(block):
        if colon:
            found.append((name.rstrip(b" \t").lower(), value))
        elif name.strip():
            found.append((name.rstrip(b" \t\r").lower(), value))
    return found


def unfold(value: bytes) -> bytes:
    """The value without line ends and without white space around it; folding white space stays as it is."""
    return (_LINE_END.sub(b"", value) if b"\n" in value else value).strip(b" \t\r\n")


def served(data: bytes) -> bytes:
    """Octets as IMAP serves them: CRLF line ends, and 0x80 for NUL, which no literal may hold (as Dovecot does)."""
    if b"\0" in data:
        data = data.replace(b"\0", b"\x80")
    if data.count(b"\n") != data.count(b"\r\n"):
        data = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return data


# Encoded words
#
#   encoded-word = "=?" charset ["*" language] "?" encoding "?" encoded-text "?="            [RFC2047 2] [RFC2231 5]

_WORD = re.compile(rb"=\?([^?\x00-\x20]+)\?([BbQq])\?([^?]*)\?=")
_LINE_CHARS = {0: " ", 10: " ", 13: " "}
"""Encoded into a word they would break lines of ``header_text`` and of logs."""
_Q_SPACE = bytes.maketrans(b"_", b" ")


def decode_words(value: bytes) -> str:
    """Text of an unfolded value. What is no encoded word, 8-bit octets included, is taken for UTF-8."""
    if b"=?" not in value:
        return value.decode("utf-8", "replace")
    out: list[str] = []
    at = 0
    raw, charset = b"", b""  # adjacent words of one charset are decoded together: senders cut inside characters
    for match in _WORD.finditer(value):
        word_charset, encoding, text = match.groups()
        if encoding in b"Qq":
            decoded = binascii.a2b_qp(text.translate(_Q_SPACE))
        else:
            try:
                decoded = binascii.a2b_base64(text + b"==")
            except ValueError:
                continue  # stays as it is written
        start = match.start()
        between = value[at:start]
        if not raw or word_charset != charset or between.strip(b" \t"):
            if raw:
                out.append(_word_text(raw, charset))
                raw = b""
            if not at or between.strip(b" \t"):
                out.append(between.decode("utf-8", "replace"))
            charset = word_charset
        raw += decoded
        at = match.end()
    if raw:
        out.append(_word_text(raw, charset))
    out.append(value[at:].decode("utf-8", "replace"))
    return "".join(out)


def _word_text(raw: bytes, charset: bytes) -> str:
    text = decode(raw, charset.partition(b"*")[0].decode("ascii", "replace"))
    return text if text.isprintable() else text.translate(_LINE_CHARS)


# Subsets

_DROPPED = frozenset(
    (
        b"received",
        b"x-received",
        b"received-spf",
        b"authentication-results",
        b"authentication-results-original",
        b"x-authentication-results",
        b"dkim-signature",
        b"domainkey-signature",
        b"x-dkim-signature",
        b"x-spam-report",
        b"x-spamd-result",
        b"x-spamd-bar",
        b"x-brightmail-tracker",
        b"x-forefront-antispam-report",
        b"x-forefront-antispam-report-untrusted",
        b"x-forefront-prvs",
        b"x-gm-message-state",
        b"x-exchange-antispam-report-cfa-test",
    )
)
_DROPPED_PREFIXES = (
    b"arc-",
    b"x-google-",
    b"x-ms-exchange-",
    b"x-microsoft-antispam",
    b"x-microsoft-exchange-",
    b"x-proofpoint-",
    b"x-ironport-",
    b"x-mimecast-",
)


def is_dropped(name: bytes) -> bool:
    """Whether fields of this (lower case) name are left out of a kept header. Fixed: a name that is not dropped and not found is absent."""
    return name in _DROPPED or name.startswith(_DROPPED_PREFIXES)


def _alternatives(names: tuple[bytes, ...]) -> bytes:
    """A pattern of the names in any case, those with one first letter together, so that a line that cannot match is left at once."""
    groups: dict[bytes, list[bytes]] = {}
    for name in sorted(set(names)):
        groups.setdefault(name[:1], []).append(_any_case(name[1:]))
    return b"|".join(_any_case(first) + b"(?:" + b"|".join(rest) + b")" for first, rest in groups.items())


def _any_case(name: bytes) -> bytes:
    return b"".join(
        b"[%b%b]" % (char, char.upper()) if char.isalpha() else re.escape(char)
        for char in (name[i : i + 1].lower() for i in range(len(name)))
    )


@lru_cache(maxsize=256)
def _picker(names: tuple[bytes, ...]) -> re.Pattern[bytes]:
    return re.compile(rb"\n(?:%b)[ \t]*:[^\n]*(?:\n[ \t][^\n]*)*" % _alternatives(names))


@lru_cache(maxsize=256)
def _keeper(names: tuple[bytes, ...]) -> re.Pattern[bytes]:
    return _without(rb"(?:%b)[ \t]*:" % _alternatives(names))


def _without(unwanted: bytes) -> re.Pattern[bytes]:
    """Fields that do not begin with ``unwanted``; and the blank line, and the nothing behind it."""
    return re.compile(rb"\n(?![ \t]|%b)[^\n]*(?:\n[ \t][^\n]*)*" % unwanted)


def _keep(keeper: re.Pattern[bytes], block: bytes) -> bytes:
    first = b""
    if block[:1] in (b" ", b"\t"):
        # A header that begins with a folded line: that line stands for itself.
        end = block.find(b"\n") + 1 or len(block)
        first, block = block[:end], block[end:]
    kept = b"".join(keeper.findall(b"\n" + block))[1:]
    return first + (kept + b"\n" if kept.endswith(b"\r") else kept)


def header_fields(block: bytes, names: tuple[bytes, ...], negate: bool) -> bytes:
    """The octets of HEADER.FIELDS, or HEADER.FIELDS.NOT, out of a header block.  [RFC9051 6.4.5.1]

    block: a header as served (``served``), whole or kept; the order, duplicates and folding of the message stay. names: lower case.
    HEADER.FIELDS always ends with the blank line; HEADER.FIELDS.NOT has one when the header has: as Dovecot answers.
    """
    if negate:
        return _keep(_keeper(names), block) if names else block
    if not names:
        return b"\r\n"
    found = b"".join(_picker(names).findall(b"\n" + block))
    if not found:
        return b"\r\n"
    return found[1:] + (b"\n\r\n" if found.endswith(b"\r") else b"\r\n\r\n")


_UNDROPPED = _without(
    rb"(?:(?:%b)[ \t]*|(?:%b)[^:\n]*):" % (_alternatives(tuple(_DROPPED)), _alternatives(_DROPPED_PREFIXES))
)


def kept_header(block: bytes) -> bytes:
    """A served header block without its dropped fields: ``header_fields`` of other names gives the same from both."""
    return _keep(_UNDROPPED, block)


def header_text(block: bytes) -> str:
    """The fields of a served block as text for HEADER searches: decoded, in casemap form, a line ``NAME: text`` each."""
    unfolded = block.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ").replace(b"\r\n", b"\n")
    return casemap(decode_words(unfolded))


@lru_cache(maxsize=256)
def _line(name: str) -> re.Pattern[str]:
    return re.compile(rf"^{re.escape(casemap(name))}[ \t]*:(.*)", re.MULTILINE)


def header_holds(text: str, name: str, wanted: str) -> bool:
    """Whether ``text`` (of ``header_text``) has a field ``name`` that holds ``wanted`` (in casemap form; empty: that it exists)."""
    return any(wanted in value for value in _line(name).findall(text))
