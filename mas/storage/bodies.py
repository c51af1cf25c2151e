"""Octets of messages, from their files: the sections that FETCH asks for, and the texts that SEARCH reads. Runs in worker threads.

Small sections are read; a large one becomes a ``Stretch``, which ``LargeOctets`` reads in pieces as the client takes them. A foreign file
with bare LFs is converted as it is read (``mime.section``). A file that is not where the index has it is left to the caller: it was
renamed or removed by another program.
"""

from __future__ import annotations

import contextlib
import mmap
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mas.storage import compressed, disk
from mas.storage.blocking import Blocking
from mas.storage.engine import Engine
from mas.storage.mime.header import served
from mas.storage.mime.section import (
    Extent,
    Section,
    SectionText,
    binary_chunks,
    resolve,
    section_octets,
    served_chunks,
)

LARGE = 1 << 20
"""Above this a section is handed out as a stretch of its file, and a file is mapped, not read."""


class Located(NamedTuple):
    """A message to be read: ``size`` with CRLF line ends, ``parts`` None when it was not parsed yet."""

    uid: int
    file: str
    size: int
    parts: bytes | None


@dataclass(frozen=True, slots=True)
class Stretch:
    """A large section: where it lies, ``size`` octets as the client gets them; ``decode``: BINARY."""

    path: str
    extent: Extent
    size: int
    decode: bool = False


def _read_whole(path: str, size: int) -> bytes | Stretch:
    if size > LARGE:
        with _mapped(path, size) as mapped:
            return Stretch(path, Extent(0, len(mapped), size), size)
    data = compressed.plain(disk.read_file(path), size)
    if len(data) == size:
        # As many octets as with CRLF: there are no bare LFs.
        return data.replace(b"\0", b"\x80") if b"\0" in data else data
    return served(data)


WHOLE = Section()


def _quick(path: str, size: int) -> bytes | None:
    """A small message stored as it is served: open, read, close, and nothing else. None when that does not do."""
    if size > LARGE:
        return None
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        data = os.read(fd, size + 1)
    except OSError:
        return None
    finally:
        os.close(fd)
    return data if len(data) == size and b"\0" not in data and not compressed.is_compressed(data) else None


def _read_section(path: str, located: Located, section: Section) -> bytes | Stretch:
    if not section.part and section.text is SectionText.WHOLE and not section.decode:
        return _read_whole(path, located.size)
    packed = located.parts or b""
    extent = resolve(packed, section)
    if extent is None:
        return b""
    if located.size <= LARGE:
        return section_octets(compressed.plain(disk.read_file(path), located.size), packed, section)
    with _mapped(path, located.size) as mapped:
        if extent.size <= LARGE:
            return section_octets(mapped, packed, section)
        if section.text in (SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT):
            return section_octets(mapped, packed, section)
        if section.decode:
            # The size is only known at the end: decode once to count, and again to send.
            return Stretch(path, extent, sum(len(piece) for piece in binary_chunks(mapped, extent)), decode=True)
    return Stretch(path, extent, extent.size)


def _mapped(path: str, size: int) -> mmap.mmap:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return compressed.mapped(fd, size)
    finally:
        os.close(fd)


@contextlib.contextmanager
def opened(path: str, size: int) -> Iterator[bytes | mmap.mmap]:
    """The file's octets: read when small, else mapped."""
    if size <= LARGE:
        yield compressed.plain(disk.read_file(path), size)
    else:
        with _mapped(path, size) as mapped:
            yield mapped


def read_sections(
    engine: Engine, directory: str, batch: Sequence[Located], section: Section
) -> tuple[list[tuple[int, bytes | Stretch]], list[int]]:
    """``(uid, octets)`` of a batch, and the uids whose files were not where the index has them. Raises UnknownEncoding."""
    prefix = engine.path(directory) + "/"
    found: list[tuple[int, bytes | Stretch]] = []
    missing: list[int] = []
    if section == WHOLE:
        for located in batch:
            octets = _quick(prefix + located.file, located.size)
            if octets is None:
                break
            found.append((located.uid, octets))
        batch = batch[len(found) :]
    for located in batch:
        try:
            with disk.reading():
                found.append((located.uid, _read_section(prefix + located.file, located, section)))
        except FileNotFoundError:
            missing.append(located.uid)
    return found, missing


class LargeOctets:
    """A stretch, in pieces that worker threads read. ``missing`` makes the error for a file that is gone."""

    def __init__(self, blocking: Blocking, stretch: Stretch, missing: Callable[[], Exception]) -> None:
        self.size = stretch.size
        self._blocking = blocking
        self._stretch = stretch
        self._missing = missing

    async def chunks(self, start: int = 0) -> AsyncIterator[bytes]:
        stretch = self._stretch
        try:
            with disk.reading():
                mapped = await self._blocking.run(_mapped, stretch.path, max(stretch.size, stretch.extent.end))
        except FileNotFoundError:
            raise self._missing() from None
        with mapped:
            if len(mapped) < stretch.extent.end:
                raise self._missing()
            extent = stretch.extent
            if start and not stretch.decode and extent.end - extent.start == extent.size:
                extent = Extent(extent.start + start, extent.end, extent.size - start)
                start = 0
            pieces = (binary_chunks if stretch.decode else served_chunks)(mapped, extent)
            while piece := await self._blocking.run(_next, pieces):
                if start < len(piece):
                    yield piece[start:] if start else piece
                start = max(0, start - len(piece))


def _next(pieces: Iterator[bytes]) -> bytes:
    """The next piece that has octets; ``b""`` at the end."""
    for piece in pieces:
        if piece:
            return piece
    return b""
