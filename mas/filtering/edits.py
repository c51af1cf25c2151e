"""addheader and deleteheader, carried out on the octets of a message. Pure. [RFC5293]"""

from __future__ import annotations

import re
from collections.abc import Sequence
from email.header import Header

from mas.sieve.actions import AddField, HeaderEdit

_FIELD = re.compile(rb"[^\n]*\n(?:[ \t][^\n]*\n)*")
_FOLD_AT = 78


def edited(block: bytes, edits: Sequence[HeaderEdit]) -> bytes:
    """A header block (with its blank line, if it has one) after the edits, in their order."""
    fields = _FIELD.findall(block)
    rest = block[sum(map(len, fields)) :]
    blank = fields.pop() if fields and not fields[-1].strip() else b""
    for edit in edits:
        if isinstance(edit, AddField):
            fields.insert(len(fields) if edit.last else 0, _field(edit))
            continue
        places = [
            at
            for at, field in enumerate(fields)
            if field.partition(b":")[0].strip().lower() == edit.name.lower().encode()
        ]
        if edit.index < len(places):
            del fields[places[edit.index]]
    return b"".join(fields) + rest + blank


def _field(edit: AddField) -> bytes:
    value = edit.value
    if value.isascii():
        text = (
            value
            if len(edit.name) + 2 + len(value) <= _FOLD_AT
            else Header(value, "us-ascii", _FOLD_AT, edit.name).encode()
        )
    else:
        text = Header(value, "utf-8", _FOLD_AT, edit.name).encode()
    lines = [line.strip("\r") for line in text.split("\n")]
    return (
        f"{edit.name}: {lines[0]}".encode()
        + b"\r\n"
        + b"".join(b" " + line.strip().encode() + b"\r\n" for line in lines[1:] if line.strip())
    )
