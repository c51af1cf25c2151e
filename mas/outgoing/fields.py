"""Header fields of messages that are composed here, as octets. Pure. [RFC5322 2.2, 3.4] [RFC2047] [RFC6532]

Not the standard library's header classes: they read a value before they write it. Encoded words in a text that has been decoded once were
decoded again, line ends and all, so that a stranger's Subject became fields and the body of a vacation reply (newer versions raise), and
addresses that they cannot read raise. Here a text stays one field, whatever is in it.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from email.utils import getaddresses, parseaddr, quote

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*\Z")
_BARE_ADDRESS = re.compile(r"[^\s<>()\[\],;:\\\"]+\Z")
_FOLD_AT = 78
_MAX_WORD = 900
"""Octets without a blank: a line may have 998."""
_MAX_ADDRESS = 400
"""Octets; SMTP takes no more than 64 and 255 around the ``@``."""
_ENCODED_OCTETS = 42
"""Of a text in one encoded word, which may have 75 characters."""


def line(text: str) -> str:
    """One line: no control characters, and nothing that UTF-8 cannot hold."""
    return _CONTROL.sub(" ", text).strip().encode("utf-8", "replace").decode()


def text_field(name: str, text: str) -> bytes:
    """An unstructured field."""
    value = line(text)
    words = re.findall(" *[^ ]+", f" {value}")
    if not value.isascii() or "=?" in value or any(len(word) > _MAX_WORD for word in words):
        words = [f" {word}" for word in _encoded(value)]
    return _folded(name, words)


def ids_field(name: str, text: str) -> bytes:
    """A field of message ids; what is no printable US-ASCII is left out."""
    words = "".join(character for character in line(text) if " " <= character <= "~").split()
    return _folded(name, [f" {word}" for word in words if len(word) <= _MAX_WORD])


def address_field(name: str, texts: Iterable[str]) -> bytes:
    """A field of addresses, each with or without a name."""
    addresses = [_address(text) for text in texts]
    return _folded(
        name,
        [
            f" {word}" + ("," if at < len(addresses) - 1 and word is words[-1] else "")
            for at, words in enumerate(addresses)
            for word in words
        ],
    )


def split_addresses(text: str) -> list[str]:
    """A list of addresses, one by one."""
    return [f'"{quote(name)}" <{address}>' if name else address for name, address in getaddresses([line(text)])]


def _address(text: str) -> list[str]:
    """The words of one address, a name before it: between them it may be folded."""
    value = line(text)
    phrase, address = parseaddr(value)
    address = (address or value).replace("<", "").replace(">", "").encode()[:_MAX_ADDRESS].decode("utf-8", "ignore")
    if not phrase:
        return [address if _BARE_ADDRESS.match(address) else f"<{address}>"]
    if not phrase.isascii() or "=?" in phrase or len(phrase) > _MAX_WORD:
        words = _encoded(phrase)
    elif _ATOMS.match(phrase):
        words = phrase.split()
    else:
        words = [f'"{quote(phrase)}"']
    return [*words, f"<{address}>"]


def _encoded(text: str) -> list[str]:
    """A text as encoded words [RFC2047 2]; none of them cuts a character."""
    words, piece = [], b""
    for character in text:
        octets = character.encode()
        if len(piece) + len(octets) > _ENCODED_OCTETS:
            words.append(piece)
            piece = b""
        piece += octets
    return [f"=?utf-8?b?{base64.b64encode(word).decode()}?=" for word in [*words, piece] if word]


def _folded(name: str, words: Sequence[str]) -> bytes:
    """Words, each with its blanks before it, in lines."""
    lines = [f"{name}:"]
    for word in words:
        if len(lines[-1]) + len(word) > _FOLD_AT and lines[-1].strip():
            lines.append("")
        lines[-1] += word
    return "\r\n".join(lines).encode() + b"\r\n"
