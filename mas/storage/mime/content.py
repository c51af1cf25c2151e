"""The Content-* fields of a part.  [RFC2045 5.1] [RFC2183] [RFC2231]

    content   = "Content-Type" ":" type "/" subtype *(";" parameter)
    parameter = attribute "=" value
    value     = token / quoted-string

Broken fields are read as Dovecot reads them, since clients are used to that: a Content-Type that cannot be read has an empty type and
subtype; a broken parameter loses what follows it up to the next semicolon. Parameters of RFC 2231 are joined to ``name*`` but not
decoded; those whose numbers have gaps stay as they are.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import groupby

from mas.storage.mime.lexer import Lexer

Parameters = tuple[tuple[bytes, bytes], ...]


def parameter(parameters: Parameters, name: bytes) -> bytes | None:
    """The first parameter of that (lower case) name."""
    for key, value in parameters:
        if key.lower() == name:
            return value
    return None


def parse_content_type(value: bytes, limit: int) -> tuple[bytes, bytes, Parameters]:
    """``(type, subtype, parameters)`` of an unfolded value, in the case they are written in."""
    return _cached_content_type(value, limit) if len(value) < 200 else _parse_content_type(value, limit)


# What nearly all mail writes, at the speed of one match: no comments, no quoted pairs, no RFC 2231.
_TOKEN = rb"[^\x00-\x20\x7f()<>@,;:\\\"/\[\]?=]"
_PARAMETERS = rb';[ \t]*+(%b++)=(?:"([^"\\]*+)"|(%b++))[ \t]*+' % (_TOKEN.replace(b"?", b"?*"), _TOKEN)
_PLAIN_PARAMETERS = rb"(?:;[ \t]*+%b++=(?:\"[^\"\\]*+\"|%b++)[ \t]*+)*+;?[ \t]*+\Z" % (
    _TOKEN.replace(b"?", b"?*"),
    _TOKEN,
)
_PLAIN_TYPE = re.compile(rb"[ \t]*+(%b++)/(%b++)[ \t]*+(%b)" % (_TOKEN, _TOKEN, _PLAIN_PARAMETERS))
_PLAIN_DISPOSITION = re.compile(rb"[ \t]*+(%b++)[ \t]*+(%b)" % (_TOKEN, _PLAIN_PARAMETERS))
_PARAMETER = re.compile(_PARAMETERS)


def _plain_parameters(text: bytes, limit: int) -> Parameters:
    return tuple([(name, quoted or token) for name, quoted, token in _PARAMETER.findall(text)[:limit]])


def _parse_content_type(value: bytes, limit: int) -> tuple[bytes, bytes, Parameters]:
    match = _PLAIN_TYPE.match(value)
    if match is not None:
        return match[1], match[2], _plain_parameters(match[3], limit)
    return read_content_type(value, limit)


def read_content_type(value: bytes, limit: int) -> tuple[bytes, bytes, Parameters]:
    """parse_content_type for every form there is."""
    lexer = Lexer(value)
    lexer.skip()
    kind = lexer.token()
    if lexer.at >= lexer.end:
        return kind, b"", ()
    if not kind or lexer.peek() != b"/":
        return b"", b"", ()
    lexer.at += 1
    lexer.skip()
    subtype = lexer.token()
    if not subtype or lexer.failed or lexer.peek() not in (b"", b";"):
        return b"", b"", ()
    return kind, subtype, _parse_parameters(lexer, limit)


_cached_content_type = lru_cache(maxsize=1024)(_parse_content_type)


def parse_disposition(value: bytes, limit: int) -> tuple[bytes, Parameters]:
    """``(disposition-type, parameters)`` of an unfolded Content-Disposition."""
    match = _PLAIN_DISPOSITION.match(value)
    if match is not None:
        return match[1], _plain_parameters(match[2], limit)
    return read_disposition(value, limit)


def read_disposition(value: bytes, limit: int) -> tuple[bytes, Parameters]:
    """parse_disposition for every form there is."""
    lexer = Lexer(value)
    lexer.skip()
    kind = lexer.token()
    return kind, _parse_parameters(lexer, limit)


@lru_cache(maxsize=64)
def parse_encoding(value: bytes) -> tuple[bytes, bytes]:
    """Content-Transfer-Encoding: as BODYSTRUCTURE says it (empty when it is no token alone), and as it is decoded (lower case)."""
    lexer = Lexer(value)
    lexer.skip()
    token = lexer.token()
    if lexer.at >= lexer.end:
        return token, token.lower()
    return b"", token.lower() if lexer.peek() == b";" else value.lower()


def parse_languages(value: bytes) -> list[bytes]:
    """Content-Language = 1#Language-tag [RFC3282]; up to the first that is none."""
    lexer = Lexer(value)
    lexer.skip()
    found: list[bytes] = []
    while tag := lexer.token():
        found.append(tag)
        if lexer.peek() != b",":
            break
        lexer.at += 1
        lexer.skip()
    return found


def _parse_parameters(lexer: Lexer, limit: int) -> Parameters:
    plain: list[tuple[bytes, bytes]] = []
    extended: list[tuple[bytes, int, bool, bytes]] = []
    for _ in range(limit):
        if lexer.at >= lexer.end:
            break
        if lexer.peek() != b";":
            semicolon = lexer.data.find(b";", lexer.at)
            if semicolon < 0:
                break
            lexer.at = semicolon
        lexer.at += 1
        lexer.skip()
        name = lexer.token()
        if not name or lexer.peek() != b"=":
            # Without "=" the name is no parameter, and what follows belongs to it; an empty one ("; ;") is nothing at all.
            if name and lexer.peek() == b";":
                lexer.at += 1
            continue
        lexer.at += 1
        lexer.skip()
        value = _parse_value(lexer)
        if value is None:
            break
        split = _extended_name(name)
        if split is None:
            plain.append((name, value))
        else:
            extended.append((*split, value))
    if extended:
        plain += _joined(extended)
    return tuple(plain)


def _parse_value(lexer: Lexer) -> bytes | None:
    if lexer.at >= lexer.end:
        return None
    char = lexer.peek()
    if char == b'"':
        return lexer.quoted_string()
    if char == b"=":
        # ``name==?utf-8?q?x?=``: an encoded word without the quotes, as several mailers write it.
        start = lexer.at
        while lexer.peek() not in (b"", b";", b" ", b"\t"):
            lexer.at += 1
        value = lexer.data[start : lexer.at]
        lexer.skip()
        return value
    return lexer.token()


def _extended_name(name: bytes) -> tuple[bytes, int, bool] | None:
    """``name*``, ``name*0``, ``name*0*`` to (name, number, has a charset); None for other names."""
    if b"*" not in name:
        return None
    base, _, rest = name.partition(b"*")
    if not rest:
        return base, 0, True
    charset = rest.endswith(b"*")
    digits = rest.removesuffix(b"*")
    if not digits.isdigit() or len(digits) > 9 or not base:
        return None
    return base, int(digits), charset


def _joined(extended: list[tuple[bytes, int, bool, bytes]]) -> list[tuple[bytes, bytes]]:
    out: list[tuple[bytes, bytes]] = []
    extended.sort(key=lambda item: (item[0].lower(), item[1]))
    for _, pieces in groupby(extended, key=lambda item: item[0].lower()):
        group = list(pieces)
        name = group[0][0]
        if [item[1] for item in group] == list(range(len(group))):
            if any(item[2] for item in group):
                out.append((name + b"*", b"".join(v if c else _escaped(v) for _, _, c, v in group)))
            else:
                out.append((name, b"".join(item[3] for item in group)))
        elif len(group) == 1 and group[0][1] == 0:
            out.append((name + b"*", group[0][3]))
        else:
            out += [(b"%b*%d%b" % (n, number, b"*" if c else b""), v) for n, number, c, v in group]
    return out


_ATTRIBUTE_CHARS = frozenset(
    b'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$&+-.^_`{|}~/=?@<>,;:()[]\\"'
)


def _escaped(value: bytes) -> bytes:
    return b"".join(b"%c" % char if char in _ATTRIBUTE_CHARS else b"%%%02x" % char for char in value)
