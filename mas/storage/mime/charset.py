"""Octets of a named character set to text. Never fails: what cannot be decoded becomes U+FFFD.

Python's codec names are more than charsets: codecs that are not text, or that take long on hostile input, are left out.
"""

from __future__ import annotations

import codecs
from functools import lru_cache

_NOT_CHARSETS = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem"})
# Supersets: what senders write under the narrow name needs the wide one.
_WIDER = {
    "ascii": "utf-8",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc_kr": "cp949",
    "iso8859-1": "cp1252",
    "shift_jis": "cp932",
}
_EXTRA = {
    "iso-8859-8-i": "iso8859-8",
    "iso-8859-8-e": "iso8859-8",
    "iso-8859-6-i": "iso8859-6",
    "x-sjis": "cp932",
    "x-gbk": "gb18030",
    "x-euc-jp": "euc_jp",
    "x-mac-roman": "mac_roman",
    "windows-874": "cp874",
    "ks_c_5601-1987": "cp949",
    "unicode-1-1-utf-7": "utf-7",
    "unicode-1-1-utf-8": "utf-8",
}


@lru_cache(maxsize=256)
def codec_name(charset: str) -> str:
    """Python's name for a charset of mail; UTF-8 for one that is not known."""
    name = charset.strip().lower()
    if len(name) > 40 or not name.isascii():
        return "utf-8"
    try:
        found = codecs.lookup(_EXTRA.get(name, name)).name
        "a".encode(found)  # refuses codecs that are not text
    except (LookupError, ValueError):
        return "utf-8"
    if found.replace("-", "_") in _NOT_CHARSETS:
        return "utf-8"
    return _WIDER.get(found, found)


def decode(data: bytes, charset: str) -> str:
    """Text of ``data``; an unknown ``charset`` is taken for UTF-8."""
    try:
        return data.decode(codec_name(charset), "replace")
    except (LookupError, ValueError):
        return data.decode("utf-8", "replace")
