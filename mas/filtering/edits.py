"""What scripts change of a message, carried out on its octets. Pure. [RFC5293]"""

from __future__ import annotations

import re
from collections.abc import Sequence
from email.header import Header

from mas.filtering.view import HeaderView
from mas.sieve.actions import AddField, Edit, RemoveField, Rewritten
from mas.storage.mime.window import header_end

_FIELD = re.compile(rb"[^\n]*\n(?:[ \t][^\n]*\n)*")
_FOLD_AT = 78


class NewMessage(HeaderView):
    """A message that a script has made of another one."""

    __slots__ = ("content",)

    def __init__(self, content: bytes) -> None:
        super().__init__(content[: header_end(content, 0, len(content))], len(content))
        self.content = content


def applied(content: bytes, edits: Sequence[Edit]) -> bytes:
    """All octets of a message after the edits. What was rewritten is what comes before the edits that follow."""
    later: list[AddField | RemoveField] = []
    for edit in edits:
        if isinstance(edit, Rewritten):
            assert isinstance(edit.message, NewMessage)
            content = edit.message.content
            later.clear()
        else:
            later.append(edit)
    if not later:
        return content
    end = header_end(content, 0, len(content))
    return edited(content[:end], later) + content[end:]


def edited(block: bytes, edits: Sequence[AddField | RemoveField]) -> bytes:
    """A header block (with its blank line, if it has one) after the edits, in their order."""
    fields = _FIELD.findall(block)
    rest = block[sum(map(len, fields)) :]
    blank = fields.pop() if fields and not fields[-1].strip() else b""
    for edit in edits:
        if isinstance(edit, AddField):
            fields.insert(len(fields) if edit.last else 0, new_field(edit.name, edit.value))
            continue
        places = [
            at
            for at, field in enumerate(fields)
            if field.partition(b":")[0].strip().lower() == edit.name.lower().encode()
        ]
        if edit.index < len(places):
            del fields[places[edit.index]]
    return b"".join(fields) + rest + blank


def new_field(name: str, value: str) -> bytes:
    """The octets of a new field, encoded [RFC2047] and folded where it must be."""
    if value.isascii():
        text = value if len(name) + 2 + len(value) <= _FOLD_AT else Header(value, "us-ascii", _FOLD_AT, name).encode()
    else:
        text = Header(value, "utf-8", _FOLD_AT, name).encode()
    lines = [line.strip("\r") for line in text.split("\n")]
    return (
        f"{name}: {lines[0]}".encode()
        + b"\r\n"
        + b"".join(b" " + line.strip().encode() + b"\r\n" for line in lines[1:] if line.strip())
    )
