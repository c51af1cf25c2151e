"""``dovecot-uidlist``: which uid belongs to which file. Dovecot 2.3's version 3, read and written.

::

    uidlist = header *entry
    header  = "3 V" uidvalidity " N" next-uid [ " G" guid ] LF          ; other parameters are kept out of trouble: ignored
    entry   = uid *( SP letter value ) " :" base LF                      ; W = octets with CRLF; uids ascend

The file grows by appended lines and is replaced by rename now and then; both under ``dovecot-uidlist.lock``, which Dovecot honours too.
The next uid is the larger of the header's and one above the last entry. A torn last line (power cut) is ignored: its message is found
again by the scan. Text of names is ``os.fsdecode``'s (surrogateescape), as everywhere in the store.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from mas.storage import disk

MAX_UID = 0xFFFFFFFF
_HEADER = re.compile(rb"3 V(\d{1,10}) N(\d{1,10})((?: [A-Za-z][^ \n]*)*)\n")


class UidlistDamaged(Exception):
    """The file is not a version 3 uid list."""


@dataclass(slots=True)
class Uidlist:
    """A parsed uid list. ``uids`` maps base name to uid; of two lines with one name the later is true, as for Dovecot."""

    uid_validity: int
    next_uid: int
    guid: str = ""
    uids: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    lines: int = 0
    torn: bool = False
    """It ends in something else than entries."""


def parse_uidlist(data: bytes) -> Uidlist:
    """Raises UidlistDamaged. Entries that are not what the ABNF says end the list there: what follows cannot be trusted."""
    header = _HEADER.match(data)
    if not header or not 0 < int(header[1]) <= MAX_UID or not 0 < int(header[2]) <= MAX_UID + 1:
        raise UidlistDamaged(repr(data[:60]))
    guid = ""
    for parameter in header[3].split():
        if parameter[:1] == b"G" and re.fullmatch(rb"[0-9a-fA-F]{32}", parameter[1:]):
            guid = parameter[1:].decode("ascii").lower()
    parsed = Uidlist(int(header[1]), int(header[2]), guid)
    last = 0
    end = data.rfind(b"\n")
    parsed.torn = end + 1 != len(data)
    for line in data[header.end() : end].split(b"\n") if end >= header.end() else ():
        front, colon, name = line.partition(b" :")
        words = front.split(b" ")
        if not colon or not name or not words[0].isdigit() or b"/" in name or b"\0" in name:
            parsed.torn = True
            break
        uid = int(words[0])
        if not last < uid <= MAX_UID:
            parsed.torn = True
            break
        last = uid
        base = os.fsdecode(name.partition(b":")[0])
        parsed.uids[base] = uid
        parsed.lines += 1
        for word in words[1:]:
            if word[:1] == b"W" and word[1:].isdigit():
                parsed.sizes[base] = int(word[1:])
    parsed.next_uid = max(parsed.next_uid, last + 1)
    return parsed


def encode_header(uid_validity: int, next_uid: int, guid: str) -> bytes:
    return b"3 V%d N%d G%s\n" % (uid_validity, next_uid, guid.encode("ascii"))


def encode_entries(entries: Iterable[tuple[int, str]]) -> bytes:
    """``(uid, base)`` in ascending order. The size is in the name (``,W=``), so no parameter repeats it."""
    return b"".join([b"%d :%s\n" % (uid, os.fsencode(base)) for uid, base in entries])


def new_guid() -> str:
    """128 bits for a new mailbox; the ``G`` of its uid list and its MAILBOXID [RFC8474 4]."""
    return secrets.token_hex(16)


FILE_NAME = "dovecot-uidlist"


def identity(path: str) -> str:
    """Changes whenever the file does; empty when there is none."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return ""
    return f"{status.st_ino}.{status.st_size}.{status.st_mtime_ns}"


def read_uidlist(path: str) -> Uidlist | None:
    """None when there is no file. Raises UidlistDamaged."""
    try:
        data = disk.read_file(path)
    except FileNotFoundError:
        return None
    return parse_uidlist(data)


def append_uidlist(path: str, entries: Iterable[tuple[int, str]], make_durable: Callable[[int, str], None]) -> None:
    """Add lines; the caller holds the dotlock. A last line that a crash or a full disk left without its end goes first.

    make_durable: called with the open file and its path; it may go on alongside, since a list that lost lines is written anew (``engine``).
    """
    disk.step("uidlist-append", path)
    data = encode_entries(entries)
    fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    try:
        size = os.fstat(fd).st_size
        if size and os.pread(fd, 1, size - 1) != b"\n":
            size = os.pread(fd, size, 0).rfind(b"\n") + 1
            os.ftruncate(fd, size)
        try:
            disk.write_all(fd, data)
            make_durable(fd, path)
        except OSError:
            os.ftruncate(fd, size)
            raise
    finally:
        os.close(fd)


def replace_uidlist(path: str, uid_validity: int, next_uid: int, guid: str, entries: Iterable[tuple[int, str]]) -> None:
    """Write the list anew: temporary file, fsync, rename; the caller holds the dotlock."""
    content = encode_header(uid_validity, next_uid, guid) + encode_entries(entries)
    disk.replace_file(path, content, path + ".tmp")
