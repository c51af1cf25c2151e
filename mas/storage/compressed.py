"""Message files that are compressed: read as Dovecot's zlib plugin writes them, never written. Runs in worker threads.

What a file is, its first octets say, as they do for Dovecot; nothing in its name does (the ``Z`` that some scripts add is a letter that
nobody knows). ``S=`` and ``W=`` are sizes of the message, not of the file. Small messages are decompressed in memory, large ones into a
file without a name that is mapped like any other: a message is never whole in memory because it is compressed.

::

    lz4-file = "Dovecot-LZ4" %x0D.2A.9B.C5 chunk-size *( length block )    ; both 32 bits, big endian; a block is raw LZ4

A file that is damaged, or becomes larger than ``limit``, is an OSError: it cannot be read. A message of our own never begins so (see
``incoming``): else whoever sent it could choose what others take it for.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import mmap
import os
import struct
import tempfile
import zlib
from collections.abc import Iterator
from typing import IO, Any, cast

import lz4.block
import zstandard

LONGEST_MAGIC = 15
LARGEST = 1 << 30
"""Octets of a message whose file name does not say how many it has."""
_LZ4 = b"Dovecot-LZ4\x0d\x2a\x9b\xc5"
_MAGIC = (b"\x1f\x8b", _LZ4, b"\x28\xb5\x2f\xfd")
_LENGTH = struct.Struct(">I")
_LONGEST_CHUNK = 1 << 24
_LONGEST_WINDOW = 1 << 27
_PIECE = 64 << 10
_ZSTD_PIECE = 4 << 10
"""All that a piece becomes is in memory at once."""


def is_compressed(head: bytes) -> bool:
    """By the first octets; ``LONGEST_MAGIC`` of them are enough."""
    if head[:1] not in (b"\x1f", b"D", b"\x28", b"B"):
        return False
    return head.startswith(_MAGIC) or (head[:3] == b"BZh" and head[3:4] in b"123456789" and head[4:10] == b"1AY&SY")


def plain(data: bytes, limit: int = LARGEST) -> bytes:
    """The octets of a message, of the octets of its file. Raises OSError."""
    if not is_compressed(data):
        return data
    return b"".join(_pieces(io.BytesIO(data), limit))


def mapped(fd: int, limit: int = LARGEST) -> mmap.mmap:
    """The message in an open file, decompressed when it has to be. Raises OSError."""
    if not is_compressed(os.pread(fd, LONGEST_MAGIC, 0)):
        return mmap.mmap(fd, 0, prot=mmap.PROT_READ)
    with tempfile.TemporaryFile() as file, os.fdopen(os.dup(fd), "rb") as source:
        source.seek(0)
        for piece in _pieces(source, limit):
            file.write(piece)
        file.flush()
        if not file.tell():
            raise OSError(errno.EIO, "compressed message is empty")
        return mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)


def _pieces(file: IO[bytes], limit: int) -> Iterator[bytes]:
    octets = 0
    try:
        for piece in _decompressed(file):
            octets += len(piece)
            if octets > limit:
                raise OSError(errno.EFBIG, f"compressed message is larger than the {limit} octets that it should have")
            yield piece
    except (EOFError, zlib.error, zstandard.ZstdError, lz4.block.LZ4BlockError, struct.error, ValueError) as error:
        raise OSError(errno.EIO, f"compressed message is damaged: {error}") from error


def _decompressed(file: IO[bytes]) -> Iterator[bytes]:
    head = file.read(LONGEST_MAGIC)
    if head == _LZ4:
        yield from _lz4(file)
        return
    file.seek(0)
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        yield from _zstd(file)
        return
    source: IO[Any] = cast(Any, gzip.GzipFile(fileobj=file) if head.startswith(b"\x1f\x8b") else bz2.BZ2File(file))
    with source:
        while piece := source.read(_PIECE):
            yield piece


def _zstd(file: IO[bytes]) -> Iterator[bytes]:
    left = b""
    while left or (left := file.read(_ZSTD_PIECE)):
        frame = zstandard.ZstdDecompressor(max_window_size=_LONGEST_WINDOW).decompressobj()
        yield frame.decompress(left)
        while not frame.eof:
            piece = file.read(_ZSTD_PIECE)
            if not piece:
                raise EOFError("it ends within a frame")
            yield frame.decompress(piece)
        left = frame.unused_data


def _lz4(file: IO[bytes]) -> Iterator[bytes]:
    (most,) = _LENGTH.unpack(file.read(4))
    if not 0 < most <= _LONGEST_CHUNK:
        raise ValueError(f"chunks of {most} octets")
    while length := file.read(4):
        (size,) = _LENGTH.unpack(length)
        block = file.read(size) if size <= 2 * _LONGEST_CHUNK else b""
        if len(block) != size:
            raise EOFError("it ends within a block")
        yield lz4.block.decompress(block, uncompressed_size=most)
