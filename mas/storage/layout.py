"""Mailbox names and the directories that hold them: Maildir++, and Dovecot's ``LAYOUT=fs``. Pure text.

::

    maildir++ = "" / "." level *( "." level )              ; "" is INBOX, the Maildir itself
    nested    = "" / level *( "/" level ) [ "/" dirname ]  ; dirname: DIRNAME= of the location
    level     = modified UTF-7 [RFC3501 5.1.3]

Both are below ``Location.root``, INBOX is ``Location.inbox``. In Maildir++ all mailboxes lie side by side, so a level holds no ``.``.
Nested ones lie in each other, among the files of the mailbox above, so a level cannot be called as one of those: Dovecot forbids
``cur``, ``new``, ``tmp``, the dirname and a first ``~`` there, and breaks on the others.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass

from mas.errors import InvalidMailboxName
from mas.storage.location import Location
from mas.storage.model import INBOX, MailboxName

DELETED_PREFIX = "..mas-deleted."
"""Directories of deleted mailboxes, until they are removed. Neither Dovecot nor we take them for mailboxes where they are put."""
PARTS = ("tmp", "new", "cur")
"""The directories of a mailbox. ``cur`` is made last: it makes the mailbox, for Dovecot too."""
MAX_NAME = 1000
"""Characters of a mailbox name."""
MAX_DIRECTORY = 255
"""Octets of a directory's name; the file system's own limit."""
MAX_PATH = 3000
"""Octets of nested directories: with the Maildir before and a message's name behind, within the system's 4096."""
_FILES = re.compile(
    r"subscriptions(\..*)?|maildirfolder|dovecot-(uidlist|keywords|uidvalidity|acl|acl-list)(\..*)?"
    r"|dovecot\.(index|list\.index|mailbox\.log).*|mas-(index|special-use|metadata|metadata-server|dotlock)(\..*)?"
)
"""What stands in the directory of a mailbox, or of all."""


def layout_of(location: Location, separator: str) -> Layout:
    return Nested(separator, location.dirname) if location.nested else Layout(separator)


@dataclass(frozen=True, slots=True)
class Layout:
    """Maildir++. ``separator``: of names as clients see them."""

    separator: str

    def check_name(self, name: str) -> MailboxName:
        """The name with INBOX in capitals. Raises InvalidMailboxName for what can never be a mailbox: such a name never reaches disk."""
        if not name:
            raise InvalidMailboxName(name, "empty name")
        if len(name) > MAX_NAME:
            raise InvalidMailboxName(name[:40] + "…", f"longer than {MAX_NAME} characters")
        for character in name:
            if (
                character < " "
                or "\x7f" <= character <= "\x9f"
                or "\ud800" <= character <= "\udfff"
                or character in "\u2028\u2029"
            ):
                raise InvalidMailboxName(repr(name), "control character")
        levels = name.split(self.separator)
        for level in levels:
            if not level:
                raise InvalidMailboxName(name, "empty level of hierarchy")
            if level in (".", ".."):
                raise InvalidMailboxName(name, "'.' and '..' are not names")
            if "/" in level:
                raise InvalidMailboxName(name, "'/' in a name")
            self._check_level(name, level)
        if levels[0].upper() == INBOX:
            levels[0] = str(INBOX)
        return MailboxName(self.separator.join(levels))

    def _check_level(self, name: str, level: str) -> None:
        if "." in level:
            raise InvalidMailboxName(name, "'.' in a name")

    def directory_of(self, name: MailboxName) -> str:
        """The directory, ``""`` for INBOX. Raises InvalidMailboxName."""
        name = self.check_name(name)
        return self._joined(name, self.levels_of(name)) if name != INBOX else ""

    def _joined(self, name: MailboxName, levels: Sequence[str]) -> str:
        directory = "." + ".".join(levels)
        if len(directory) > MAX_DIRECTORY:
            raise InvalidMailboxName(name[:40] + "…", f"longer than {MAX_DIRECTORY} octets on disk")
        return directory

    def levels_of(self, name: MailboxName) -> list[str]:
        """In modified UTF-7."""
        return [_encode_level(level) for level in name.split(self.separator)]

    def name_of(self, directory: str) -> MailboxName:
        """The mailbox that a directory holds. Raises InvalidMailboxName when it cannot be one."""
        if not directory:
            return INBOX
        name = self.name_of_levels(self._split(directory))
        if name == INBOX:
            raise InvalidMailboxName(directory, "an alias of INBOX")
        return name

    def _split(self, directory: str) -> list[str]:
        return directory[1:].split(".")

    def name_of_levels(self, levels: Sequence[str]) -> MailboxName:
        """The name of these levels in modified UTF-7, as they stand on disk. Raises InvalidMailboxName."""
        try:
            name = self.separator.join(_decode_level(level) for level in levels)
        except (ValueError, UnicodeDecodeError) as error:
            raise InvalidMailboxName("/".join(levels), f"not modified UTF-7: {error}") from None
        checked = self.check_name(name)
        if checked != name or checked.count(self.separator) + 1 != len(levels):
            raise InvalidMailboxName("/".join(levels), "an alias of another name")
        return checked

    def control_of(self, directory: str) -> str:
        """The directory below ``CONTROL=`` of what is in ``directory``."""
        return directory or ".INBOX"

    @property
    def native_separator(self) -> str:
        """Between levels in files of old."""
        return "."


@dataclass(frozen=True, slots=True)
class Nested(Layout):
    """Directories in directories. ``dirname``: of the mailbox itself in the directory of its level; empty where they are one."""

    dirname: str = ""

    def _check_level(self, name: str, level: str) -> None:
        if self.separator == "." and "." in level:
            raise InvalidMailboxName(name, "'.' in a name")
        if name.startswith("~"):
            raise InvalidMailboxName(name, "'~' at the beginning")
        if level == self.dirname or (not self.dirname and level in PARTS):
            raise InvalidMailboxName(name, f"{level!r} is a part of each mailbox")
        if _FILES.fullmatch(level) or level.startswith(DELETED_PREFIX):
            raise InvalidMailboxName(name, f"{level!r} is a file of the mail store")

    def _joined(self, name: MailboxName, levels: Sequence[str]) -> str:
        directory = "/".join([*levels, self.dirname] if self.dirname else levels)
        if len(directory) > MAX_PATH or max(map(len, levels)) > MAX_DIRECTORY:
            raise InvalidMailboxName(
                name[:40] + "…", f"longer than {MAX_DIRECTORY} octets a level or {MAX_PATH} in all on disk"
            )
        return directory

    def _split(self, directory: str) -> list[str]:
        return self.level_of(directory).split("/")

    def level_of(self, directory: str) -> str:
        """The directory that mailboxes below lie in."""
        return directory[: -len(self.dirname) - 1] if self.dirname else directory

    def control_of(self, directory: str) -> str:
        # As Dovecot has it: no dirname there, and INBOX by its name.
        return self.level_of(directory) if directory else str(INBOX)

    @property
    def native_separator(self) -> str:
        return "/"


# Modified UTF-7


def _decode_level(level: str) -> str:
    """One level from modified UTF-7. Raises ValueError when it is not what an encoder would have written."""
    out: list[str] = []
    position = 0
    while position < len(level):
        character = level[position]
        if not " " <= character <= "~":
            raise ValueError("octet outside of printable US-ASCII")
        if character != "&":
            out.append(character)
            position += 1
            continue
        end = level.index("-", position)
        encoded = level[position + 1 : end]
        if encoded:
            try:
                octets = base64.b64decode(encoded.replace(",", "/") + "=" * (-len(encoded) % 4), validate=True)
            except binascii.Error as error:
                raise ValueError(str(error)) from None
            out.append(octets.decode("utf-16-be"))
        else:
            out.append("&")
        position = end + 1
    text = "".join(out)
    if _encode_level(text) != level:
        raise ValueError("not the canonical form")
    return text


def _encode_level(text: str) -> str:
    out: list[str] = []
    shifted: list[str] = []

    def unshift() -> None:
        if shifted:
            encoded = base64.b64encode("".join(shifted).encode("utf-16-be")).decode("ascii")
            out.append("&" + encoded.rstrip("=").replace("/", ",") + "-")
            shifted.clear()

    for character in text:
        if " " <= character <= "~":
            unshift()
            out.append("&-" if character == "&" else character)
        else:
            shifted.append(character)
    unshift()
    return "".join(out)
