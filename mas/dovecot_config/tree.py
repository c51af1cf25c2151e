"""All files of a configuration as one tree of blocks, as Dovecot merges them. Pure: files come from a ``Reader``.

A later value replaces an earlier one, a block opened again with the same name goes on. Blocks that count by their order
(``passdb {``, ``userdb {``, nameless namespaces) are new ones each time. ``$name`` in a value is what the setting had before, looked up in
the block and then outward; ``$SET:name`` is 2.4's spelling.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from mas.dovecot_config.grammar import (
    MAX_LINE,
    Close,
    DovecotConfigError,
    Include,
    Open,
    Place,
    Setting,
    parse,
)

MAX_DEPTH = 20
"""Blocks in blocks, and files included by files."""
MAX_STATEMENTS = 100_000
"""Of all files together."""

_ORDERED = ("passdb", "userdb", "namespace")
_REFERENCE = re.compile(r"(?<![^\s])\$(?:SET:)?([A-Za-z0-9_/]+)")


class Reader(Protocol):
    """Where included files come from."""

    def __call__(self, pattern: str, relative_to: str) -> Sequence[tuple[str, str]]:
        """(name, text) of every file that fits ``pattern`` (shell wildcards), in byte order; none fits: empty. Raises OSError."""
        ...


@dataclass(slots=True)
class Block:
    """``kind names {``; the root has neither. ``settings``: the last of each key, in the order of their first."""

    kind: str
    names: tuple[str, ...]
    place: Place
    outer: Block | None = None
    settings: dict[str, Setting] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)

    @property
    def name(self) -> str:
        """All its names: ``imap`` of ``protocol imap {``."""
        return " ".join(self.names)

    @property
    def title(self) -> str:
        """``protocol imap``, for messages."""
        return f"{self.kind} {self.name}".strip()

    def value(self, key: str, default: str = "") -> str:
        """The setting's value in this block, else the default."""
        setting = self.settings.get(key)
        return setting.value if setting else default

    def of(self, kind: str) -> Iterator[Block]:
        """The blocks of one kind right in this one."""
        return (block for block in self.blocks if block.kind == kind)

    def child(self, kind: str, names: tuple[str, ...], place: Place) -> Block:
        """The block of that name: the one that is there, or a new one."""
        if names or kind not in _ORDERED:
            for block in self.blocks:
                if (block.kind, block.names) == (kind, names):
                    return block
        block = Block(kind, names, place, self)
        self.blocks.append(block)
        return block

    def set(self, setting: Setting) -> None:
        """Add or replace a setting."""
        self.settings[setting.key] = setting

    def look_up(self, key: str) -> str:
        """The value of ``key`` here or further out; empty when there is none."""
        block: Block | None = self
        while block is not None:
            if key in block.settings:
                return block.settings[key].value
            block = block.outer
        return ""


def build(text: str, file: str, reader: Reader) -> Block:
    """The tree of a file and all that it includes. Raises DovecotConfigError."""
    return _Builder(reader).build(text, file)


class _Builder:
    def __init__(self, reader: Reader) -> None:
        self._read = reader
        self._count = 0

    def build(self, text: str, file: str) -> Block:
        root = Block("", (), Place(file, 0))
        self._file(text, file, root, 0)
        return root

    def _file(self, text: str, file: str, block: Block, depth: int) -> None:
        """One file: what it opens it has to close."""
        here, opened = block, 0
        for statement in parse(text, file):
            self._count += 1
            place = statement.place
            if self._count > MAX_STATEMENTS:
                raise DovecotConfigError(place.file, place.line, f"more than {MAX_STATEMENTS} statements")
            match statement:
                case Setting():
                    self._assign(here, statement)
                case Open():
                    opened += 1
                    if opened > MAX_DEPTH:
                        raise DovecotConfigError(place.file, place.line, f"more than {MAX_DEPTH} blocks in each other")
                    here = here.child(statement.kind, statement.names, place)
                case Close():
                    if not opened or here.outer is None:
                        raise DovecotConfigError(place.file, place.line, "'}' without '{'")
                    opened -= 1
                    here = here.outer
                case Include():
                    self._include(statement, here, depth)
        if opened:
            raise DovecotConfigError(here.place.file, here.place.line, f"'{here.title} {{' without its '}}'")

    def _include(self, include: Include, block: Block, depth: int) -> None:
        place = include.place
        if depth >= MAX_DEPTH:
            raise DovecotConfigError(place.file, place.line, f"more than {MAX_DEPTH} files include each other")
        try:
            found = self._read(include.path, place.file)
        except OSError as error:
            if include.optional and not isinstance(error, PermissionError):
                return
            raise DovecotConfigError(place.file, place.line, f"{include.path}: {error.strerror or error}") from None
        if not found and not include.optional and not re.search(r"[*?\[]", include.path):
            raise DovecotConfigError(place.file, place.line, f"{include.path}: no such file")
        for name, text in found:
            self._file(text, name, block, depth + 1)

    def _assign(self, block: Block, setting: Setting) -> None:
        # "plugin/quota = x" is "plugin { quota = x }", as on Dovecot's command line.
        *outer, key = setting.key.split("/") if not setting.key.startswith("/") else [setting.key]
        for kind in outer:
            block = block.child(kind, (), setting.place)
        value = setting.value
        if not setting.quoted and not setting.from_file and "$" in value:
            value = _REFERENCE.sub(lambda match: block.look_up(match[1]), value)
            if len(value) > MAX_LINE:
                raise DovecotConfigError(
                    setting.place.file, setting.place.line, f"longer than {MAX_LINE} characters once expanded"
                )
        block.set(replace(setting, key=key, value=" ".join(value.split()) if value != setting.value else value))
