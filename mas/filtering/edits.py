"""What scripts change of a message, carried out on its octets. Pure. [RFC5293]"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mas.filtering.view import HeaderView
from mas.outgoing.fields import text_field
from mas.sieve.actions import AddField, Edit, RemoveField, Rewritten
from mas.storage.mime.window import header_end

_FIELD = re.compile(rb"[^\n]*\n(?:[ \t][^\n]*\n)*")


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
            fields.insert(len(fields) if edit.last else 0, text_field(edit.name, edit.value))
            continue
        places = [
            at
            for at, field in enumerate(fields)
            if field.partition(b":")[0].strip().lower() == edit.name.lower().encode()
        ]
        if edit.index < len(places):
            del fields[places[edit.index]]
    return b"".join(fields) + rest + blank
