"""The message as a script sees it: ``mas.sieve.message`` over octets and ``mas.storage.mime``. Pure."""

from __future__ import annotations

import binascii
import quopri
import re
from collections.abc import Sequence
from functools import cached_property

from mas.sieve.matching import is_address_syntax, is_atoms
from mas.storage.mime import header
from mas.storage.mime.address import parse_addresses
from mas.storage.mime.charset import decode
from mas.storage.mime.content import parse_content_type
from mas.storage.mime.limits import MimeLimits
from mas.storage.mime.parse import parse
from mas.storage.mime.parts import BASE64, QUOTED_PRINTABLE, Part, unpack

_MAX_ADDRESSES = 1000
_TO_ESCAPE = re.compile(r'["\\]')


def _unfold(value: bytes) -> bytes:
    """A field's value on one line; a fold before a tab is a space, as Pigeonhole's scripts have come to see it."""
    return header.unfold(value.replace(b"\n\t", b"\n ")) if b"\n" in value else value.strip()


class HeaderView:
    """A MessageView over a header block; ``block`` ends in its blank line."""

    __slots__ = ("_addresses", "_by_name", "_decoded", "block", "size")

    def __init__(self, block: bytes, size: int) -> None:
        self.block = block
        self.size = size
        self._by_name: dict[bytes, list[bytes]] | None = None
        self._decoded: dict[str, list[str]] = {}
        self._addresses: dict[str, list[str]] = {}

    def header(self, name: str) -> Sequence[str]:
        """As MessageView.header; decoded when first asked for."""
        found = self._decoded.get(name)
        if found is None:
            raw = self.raw(name.encode("utf-8", "replace"))
            found = self._decoded[name] = [header.decode_words(_unfold(value)) for value in raw]
        return found

    def encoded(self, name: str) -> Sequence[str]:
        """As MessageView.encoded."""
        return [_unfold(value).decode("utf-8", "replace") for value in self.raw(name.encode("utf-8", "replace"))]

    def raw(self, name: bytes) -> Sequence[bytes]:
        """The values of the fields of that name as they stand. The block is looked at when first asked for."""
        if self._by_name is None:
            self._by_name = {}
            for found, value in header.fields(self.block):
                self._by_name.setdefault(found, []).append(value)
        return self._by_name.get(name, ())

    def fields(self) -> Sequence[tuple[str, str]]:
        """As MessageView.fields."""
        return [
            (name.decode("ascii", "replace"), header.decode_words(_unfold(value)))
            for name, value in header.fields(self.block)
        ]

    def addresses(self, value: str) -> Sequence[str]:
        """As MessageView.addresses."""
        found = self._addresses.get(value)
        if found is not None:
            return found
        found = self._addresses[value] = []
        broken = False
        for address in parse_addresses(value.encode("utf-8", "replace"), _MAX_ADDRESSES):
            if address.mailbox is None or address.domain is None:
                continue  # the name of a group, or its end
            local = address.mailbox.decode("utf-8", "replace")
            if not is_atoms(local) and (quoted := '"' + _TO_ESCAPE.sub(r"\\\g<0>", local) + '"') in value:
                local = quoted
            spec = f"{local}@{address.domain.decode('utf-8', 'replace')}"
            if is_address_syntax(spec) and "MISSING_" not in spec and "SYNTAX_ERROR" not in spec:
                found.append(spec)
            else:
                broken = True
        if broken and not found:
            found.append(value.strip())
        return found


class BodyPart:
    """A PartView over a stretch of the whole message."""

    def __init__(self, data: bytes, rows: Sequence[Part], number: int, children: Sequence[Sequence[int]]) -> None:
        self._data = data
        self._rows = rows
        self._row = rows[number]
        self._children = children
        self._number = number

    @cached_property
    def _view(self) -> HeaderView:
        row = self._row
        return HeaderView(self._data[row.start : row.body_start], row.header + row.body)

    @cached_property
    def children(self) -> Sequence[BodyPart]:
        """As PartView.children."""
        return [BodyPart(self._data, self._rows, number, self._children) for number in self._children[self._number]]

    @cached_property
    def _type(self) -> tuple[str, Sequence[tuple[str, str]]]:
        values = self._view.raw(b"content-type")
        if not values:
            return "text/plain", ()
        kind, subtype, parameters = parse_content_type(header.unfold(values[0]), 100)
        named = [
            (name.decode("ascii", "replace").lower(), value.decode("utf-8", "replace")) for name, value in parameters
        ]
        text = f"{kind.decode('ascii', 'replace')}/{subtype.decode('ascii', 'replace')}".lower()
        return (text if kind and subtype else "text/plain"), named

    @property
    def content_type(self) -> str:
        """As PartView.content_type."""
        return self._type[0]

    @property
    def parameters(self) -> Sequence[tuple[str, str]]:
        """As PartView.parameters."""
        return self._type[1]

    @property
    def disposition(self) -> str:
        """As PartView.disposition."""
        values = self._view.header("content-disposition")
        return values[0].partition(";")[0].strip().lower() if values else ""

    @property
    def extent(self) -> tuple[int, int]:
        """Where the part begins (its header) and ends."""
        return self._row.start, self._row.end

    def header(self, name: str) -> Sequence[str]:
        """As PartView.header."""
        return self._view.header(name)

    def encoded(self, name: str) -> Sequence[str]:
        """As PartView.encoded."""
        return self._view.encoded(name)

    def _octets(self) -> bytes:
        return self._data[self._row.body_start : self._row.end]

    def text(self) -> str:
        """As PartView.text: octets that are no text of the named charset are replaced."""
        octets = self._octets()
        if self._row.encoding == BASE64:
            try:
                octets = binascii.a2b_base64(octets)
            except binascii.Error:
                octets = b""
        elif self._row.encoding == QUOTED_PRINTABLE:
            octets = quopri.decodestring(octets)
        charset = next((value for name, value in self.parameters if name == "charset"), "utf-8")
        return decode(octets, charset)

    def raw(self) -> str:
        """As PartView.raw."""
        return self._octets().decode("utf-8", "replace")


def body(data: bytes, limits: MimeLimits) -> BodyPart:
    """The root part of a whole message."""
    rows = unpack(parse(data, limits).parts)
    children: list[list[int]] = [[] for _ in rows]
    for number, row in enumerate(rows[1:], 1):
        children[row.parent].append(number)
    return BodyPart(data, rows, 0, children)
