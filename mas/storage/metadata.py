"""Annotations of mailboxes and of the account as a whole [RFC5464]: entry names to values, in a file beside each mailbox's uid list.

They are the user's data and not derived from anything, so they do not live in the index: ``mas-metadata`` of a mailbox follows it when it
is renamed and goes with it when it is deleted; ``mas-metadata-server`` lies beside ``subscriptions``. Dovecot leaves both alone. Each is
replaced as a whole (fsync, rename, fsync of the directory), under the account's lock; then a commit to the index tells the other
processes. Readers look at the file's identity each time, so that they see what any process has written::

    file       = "V" TAB "1" LF *annotation
    annotation = escaped TAB escaped LF             ; entry in lower case, value
    escaped    = *( %x01-08 / %x0B / %x0C / %x0E-5B / %x5D-FF / "\\" ( "\\" / "0" / "t" / "n" / "r" ) )
                                                    ; "\", NUL, TAB, LF, CR

A file of another version is not touched. Must not know: which entries are read-only, how a client spells names.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mas.errors import AnnotationTooBig, MailboxNotFound, MailboxNotSelectable, StorageUnavailable, TooManyAnnotations
from mas.storage import disk, uidlist
from mas.storage.model import INBOX, MailboxName

if TYPE_CHECKING:
    from mas.config.mailstore import Metadata
    from mas.storage.account import MaildirAccount
    from mas.storage.engine import Engine

SPECIAL_USE = "/private/specialuse"
"""Of a mailbox: what LIST shows [RFC6154 4]. ``set_special_use`` sets it."""
OPERATORS = ("/shared/comment", "/shared/admin")
"""Of the account: the configuration's. Nobody sets them."""
FILE_NAME = "mas-metadata"
SERVER_FILE_NAME = "mas-metadata-server"
_VERSION = b"V\t1\n"
_KEPT = 100
"""Mailboxes whose annotations an account keeps in memory."""
_ESCAPES = {b"\\": b"\\\\", b"\0": b"\\0", b"\t": b"\\t", b"\n": b"\\n", b"\r": b"\\r"}
_LETTERS = {value: key for key, value in _ESCAPES.items()}
_TO_ESCAPE = re.compile(rb"[\\\0\t\n\r]")
_ESCAPED = re.compile(rb"\\.", re.DOTALL)

Annotations = Mapping[str, bytes]
"""Entry name, in lower case (entry names are case-insensitive [RFC5464 3.2]), to value."""


def encode_annotations(annotations: Annotations) -> bytes:
    """The file's octets; entries in order of their names."""
    lines = [_escape(entry.encode("ascii")) + b"\t" + _escape(value) for entry, value in sorted(annotations.items())]
    return _VERSION + b"".join([line + b"\n" for line in lines])


def parse_annotations(data: bytes) -> dict[str, bytes]:
    """Lines that are no annotation are left out. Raises ValueError for a file of another version."""
    if not data.startswith(_VERSION):
        raise ValueError("not a file of annotations that this version knows")
    found = {}
    for line in data[len(_VERSION) :].split(b"\n"):
        entry, tab, value = line.partition(b"\t")
        if tab and entry.isascii():
            found[_unescape(entry).decode("ascii")] = _unescape(value)
    return found


def _escape(octets: bytes) -> bytes:
    return _TO_ESCAPE.sub(lambda match: _ESCAPES[match[0]], octets)


def _unescape(octets: bytes) -> bytes:
    return _ESCAPED.sub(lambda match: _LETTERS.get(match[0], match[0]), octets) if b"\\" in octets else octets


class AccountMetadata:
    """The annotations of one account, in one process."""

    def __init__(self, account: MaildirAccount) -> None:
        self._account = account
        self._engine: Engine = account.engine
        self._limits: Metadata = account.engine.config.metadata
        self._kept: OrderedDict[str, tuple[str, Annotations]] = OrderedDict()
        self._uses: tuple[object, Mapping[MailboxName, frozenset[str]]] | None = None

    async def of(self, name: MailboxName) -> Annotations:
        """Those of a mailbox; with an empty name the account's. Some are worked out from what is elsewhere."""
        stored = await self._stored(name)
        if not name:
            texts = zip(OPERATORS, (self._limits.server_comment, self._limits.server_admin), strict=True)
            return {**stored, **{entry: text.encode() for entry, text in texts if text}}
        uses = self._special_uses().get(name)
        return {**stored, SPECIAL_USE: " ".join(sorted(uses)).encode("ascii")} if uses else stored

    def _special_uses(self) -> Mapping[MailboxName, frozenset[str]]:
        """As LIST shows them; they change with the tree alone, and then ``faces`` is another dictionary."""
        faces = self._account.faces
        if self._uses is None or self._uses[0] is not faces:
            chosen = {
                MailboxName(n): frozenset(face.special_use.split()) for n, face in faces.items() if face.special_use
            }
            self._uses = (faces, self._account.store.special.special_use(faces, chosen))
        return self._uses[1]

    async def _stored(self, name: MailboxName) -> Annotations:
        """From memory while the file is the same: one stat on the loop."""
        path = self._path(await self._directory(name)) if name else self._server_path
        with disk.meaning():
            identity = uidlist.identity(path)
        kept = self._kept.get(path)
        if kept is None or kept[0] != identity:
            kept = (identity, await self._account.blocking.run(self._read, path) if identity else {})
            self._kept[path] = kept
        self._kept.move_to_end(path)
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return kept[1]

    async def change(self, name: MailboxName, changes: Mapping[str, bytes | None]) -> None:
        """Set annotations of a mailbox (of the account), all or none; None removes one."""
        for value in changes.values():
            if value is not None and len(value) > self._limits.max_value:
                raise AnnotationTooBig("metadata.max_value", self._limits.max_value)
        if name:
            await self._directory(name)  # with a look at the disk when the name is not known
        path = await self._account.write(lambda: self._change(name, changes))
        self._kept.pop(path, None)

    async def _directory(self, name: MailboxName) -> str:
        face = await self._account.known(name)
        if face is not None:
            return face.directory
        if any(other.startswith(name + self._account.separator) for other in self._account.faces):
            raise MailboxNotSelectable(name)
        raise MailboxNotFound(name)

    def _path(self, directory: str) -> str:
        return self._engine.control(directory, FILE_NAME)

    @property
    def _server_path(self) -> str:
        return self._engine.account_file(SERVER_FILE_NAME)

    # In threads

    def _read(self, path: str) -> dict[str, bytes]:
        with disk.meaning():
            try:
                return parse_annotations(disk.read_file(path))
            except FileNotFoundError:
                return {}
            except ValueError as error:
                raise StorageUnavailable(f"{path}: {error}") from error

    def _change(self, name: MailboxName, changes: Mapping[str, bytes | None]) -> str:
        row = self._engine.require(name or INBOX)
        path = self._path(row.directory) if name else self._server_path
        before = self._read(path)
        after = {entry: value for entry, value in before.items() if entry not in changes}
        after.update((entry, value) for entry, value in changes.items() if value is not None)
        if after == before:
            return path
        if len(after) > max(self._limits.max_entries, len(before)):
            raise TooManyAnnotations("metadata.max_entries", self._limits.max_entries)
        content = encode_annotations(after)
        grows = len(content) - len(encode_annotations(before))
        if grows > 0 and self._size() + grows > self._limits.max_total:
            raise TooManyAnnotations("metadata.max_total", self._limits.max_total)
        write(path, content if after else b"")
        with self._engine.transaction(durable=True) as transaction:
            transaction.tree_changed(row)
        return path

    def _size(self) -> int:
        """Octets of all the account's files."""
        size = 0
        for path in (self._server_path, *[self._path(row.directory) for row in self._engine.rows.values()]):
            with contextlib.suppress(FileNotFoundError):
                size += os.stat(path).st_size
        return size


def copy(engine: Engine, source: str, target: str) -> None:
    """The annotations of one mailbox's directory for another's, which has none. In a thread, under the lock."""
    with contextlib.suppress(FileNotFoundError):
        write(engine.control(target, FILE_NAME), disk.read_file(engine.control(source, FILE_NAME)))


def write(path: str, content: bytes) -> None:
    """Replace a file, durable on return; without content there is none afterwards."""
    folder = os.path.dirname(path)
    if content:
        disk.make_directories(folder)
        disk.replace_file(path, content, path + ".tmp")
        return
    with contextlib.suppress(FileNotFoundError):
        disk.unlink(path)
        disk.fsync_directory(folder)
