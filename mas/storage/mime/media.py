"""What the header of a part says of its body, as the tree of parts and BODYSTRUCTURE need it.  [RFC2045] [RFC9051 7.5.2]

Made from a header block alone, so that blocks that come again and again, ``Content-Type: text/plain; charset=utf-8`` and the like, are
read once. Of a field that is there twice the first counts, but for Content-Disposition the last: as Dovecot does.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from mas.storage.mime import content, parts
from mas.storage.mime.content import Parameters
from mas.storage.mime.header import Field, fields, unfold
from mas.storage.mime.limits import MimeLimits
from mas.storage.mime.wire import nstring, string

MAX_BOUNDARY = 200
"""Octets of a boundary that are compared; RFC 2046 allows 70."""

_NAMES = frozenset(
    (
        b"content-type",
        b"content-transfer-encoding",
        b"content-id",
        b"content-description",
        b"content-md5",
        b"content-disposition",
        b"content-language",
        b"content-location",
    )
)
_DECODERS = {
    b"": parts.IDENTITY,
    b"7bit": parts.IDENTITY,
    b"8bit": parts.IDENTITY,
    b"binary": parts.IDENTITY,
    b"base64": parts.BASE64,
    b"quoted-printable": parts.QUOTED_PRINTABLE,
    b"x-uuencode": parts.UUENCODE,
    b"x-uue": parts.UUENCODE,
    b"uuencode": parts.UUENCODE,
}
_PLAIN: tuple[bytes, bytes, Parameters] = (b"text", b"plain", ((b"charset", b"us-ascii"),))
_MESSAGE: tuple[bytes, bytes, Parameters] = (b"message", b"rfc822", ())
_OPAQUE: tuple[bytes, bytes, Parameters] = (b"application", b"octet-stream", ())


class Media(NamedTuple):
    """``flags`` as in ``parts``. The rest is ready wire bytes, but for ``needle``.

    needle: of a multipart with a boundary: a line end, two dashes and the boundary; else empty.
    digest: a multipart/digest: its parts are messages when they do not say what they are.
    head: type, subtype and parameters; for a multipart the subtype alone.
    fields: SP body-fields without the size; empty for a multipart.
    extension: SP extension data; for a multipart with the parameters at its beginning.
    """

    flags: int
    needle: bytes
    digest: bool
    head: bytes
    fields: bytes
    extension: bytes

    def closed(self) -> Media:
        """The same part when it is not looked into. A message becomes octets: as a message it would have to show what is in it."""
        if self.flags & parts.MESSAGE:
            return self._replace(flags=self.flags & ~parts.MESSAGE, head=b'"application" "octet-stream" NIL')
        return self._replace(needle=b"")


def read_media(block: bytes, in_digest: bool, limits: MimeLimits) -> Media:
    """The Media of a part with this header block."""
    if len(block) <= 300:
        return _cached(block, in_digest, limits)
    return media_of(fields(block), in_digest, limits)


@lru_cache(maxsize=512)
def _cached(block: bytes, in_digest: bool, limits: MimeLimits) -> Media:
    return media_of(fields(block), in_digest, limits)


def media_of(found: Iterable[Field], in_digest: bool, limits: MimeLimits) -> Media:
    """The Media of a part with these header fields."""
    mime: dict[bytes, bytes] = {}
    for name, value in found:
        if name in _NAMES and (name not in mime or name == b"content-disposition"):
            mime[name] = unfold(value)
    declared = mime.get(b"content-type")
    if declared is not None:
        kind, subtype, parameters = content.parse_content_type(declared, limits.max_parameters)
    else:
        kind, subtype, parameters = _MESSAGE if in_digest else _PLAIN
    flags, needle = 0, b""
    lower, lower_subtype = kind.lower(), subtype.lower()
    if lower == b"text":
        flags = parts.TEXT | parts.HTML if lower_subtype == b"html" else parts.TEXT
        if content.parameter(parameters, b"charset") is None:
            parameters = (*parameters, (b"charset", b"us-ascii"))
    elif lower == b"multipart":
        if subtype:
            flags = parts.MULTIPART
            boundary = content.parameter(parameters, b"boundary")
            needle = b"" if boundary is None else b"\n--" + boundary[:MAX_BOUNDARY]
        else:
            kind, subtype, parameters = _OPAQUE
    elif lower == b"message":
        if lower_subtype in (b"rfc822", b"global"):
            flags, kind, subtype = parts.MESSAGE, lower, lower_subtype
        else:
            flags = parts.MESSAGE_TEXT
    encoding = b'"7bit"'
    if b"content-transfer-encoding" in mime:
        token, decoder = content.parse_encoding(mime[b"content-transfer-encoding"])
        encoding = string(token or b"7bit")
        flags |= _DECODERS.get(decoder, parts.UNKNOWN) << parts.ENCODING_SHIFT
    extension = _extension(mime, limits) if mime else b" NIL NIL NIL"
    if flags & parts.MULTIPART:
        extension = b" %b%b" % (_parameters(parameters), extension)
        return Media(flags, needle, lower_subtype == b"digest", string(subtype), b"", extension)
    return Media(
        flags,
        b"",
        False,
        b"%b %b %b" % (string(kind), string(subtype), _parameters(parameters)),
        b" %b %b %b" % (nstring(mime.get(b"content-id")), nstring(mime.get(b"content-description")), encoding),
        b" %b%b" % (nstring(mime.get(b"content-md5")), extension),
    )


def _parameters(parameters: Parameters) -> bytes:
    """body-fld-param = "(" string SP string *(SP string SP string) ")" / nil."""
    if not parameters:
        return b"NIL"
    return b"(%b)" % b" ".join([b"%b %b" % (string(name), string(value)) for name, value in parameters])


def _extension(mime: dict[bytes, bytes], limits: MimeLimits) -> bytes:
    """SP body-fld-dsp SP body-fld-lang SP body-fld-loc."""
    disposition = b"NIL"
    value = mime.get(b"content-disposition")
    if value is not None:
        kind, parameters = content.parse_disposition(value, limits.max_parameters)
        disposition = b"(%b %b)" % (string(kind), _parameters(parameters))
    languages = b"NIL"
    value = mime.get(b"content-language")
    if value is not None and (tags := content.parse_languages(value)):
        languages = b"(%b)" % b" ".join(map(string, tags))
    return b" %b %b %b" % (disposition, languages, nstring(mime.get(b"content-location")))
