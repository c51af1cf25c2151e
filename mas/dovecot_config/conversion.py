"""The conversion under way: what MAS's file gets so far, and a remark for each setting that it does not get. Pure.

A handler takes a setting and ends in one of four ways: a value in the target, silence (MAS does just that anyway), ``left`` with the
reason, or ``ValueError``, whose text becomes the reason.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from mas.dovecot_config.grammar import Place, Setting
from mas.dovecot_config.target import Target
from mas.dovecot_config.tree import Block


class Kind(enum.Enum):
    """What a remark says of a setting."""

    LEFT = "left out"
    UNKNOWN = "unknown"
    CHECK = "to check"
    """Carried over; something beside the file has to be looked at."""


@dataclass(frozen=True, slots=True)
class Remark:
    """One comment of the output."""

    kind: Kind
    setting: str
    place: Place
    why: str

    def __str__(self) -> str:
        return f"{self.place}: {self.setting}: {self.why}"


HIDDEN = "doveconf has hidden the value; import from 'doveconf -nP' or from the files"


@dataclass(slots=True)
class Conversion:
    """State of one conversion. ``read``: the text of a file that a setting names (dovecot-sql.conf.ext); raises OSError."""

    root: Block
    read: Callable[[str], str]
    target: Target
    remarks: list[Remark]
    carried: int = 0

    def apply(self, block: Block, setting: Setting, handler: Handler) -> None:
        """One setting by its handler."""
        if setting.hidden:
            self.left(block, setting, HIDDEN)
            return
        before = len(self.remarks)
        try:
            if setting.from_file and not setting.key.startswith("ssl_"):
                content = replace(setting, value=self.read(setting.value).rstrip("\r\n"), from_file=False)
                handler(self, block, content)
            else:
                handler(self, block, setting)
        except OSError as error:
            self.left(block, setting, f"{setting.value}: {error.strerror or error}")
        except ValueError as error:
            self.left(block, setting, str(error))
        if len(self.remarks) == before:
            self.carried += 1

    def put(self, key: str, value: Any) -> None:
        """Set a key of MAS. Raises ValueError, which names the key."""
        try:
            self.target.put(key, value)
        except ValueError as error:
            raise ValueError(f"MAS's {key}: {error}") from None

    def left(self, block: Block, setting: Setting, why: str) -> None:
        """The setting is not carried over."""
        self.remarks.append(Remark(Kind.LEFT, title(block, setting), setting.place, why))

    def unknown(self, block: Block, setting: Setting, why: str) -> None:
        """Nobody here knows the setting."""
        self.remarks.append(Remark(Kind.UNKNOWN, title(block, setting), setting.place, why))

    def check(self, place: Place, what: str, why: str) -> None:
        """Carried over, but ..."""
        self.remarks.append(Remark(Kind.CHECK, what, place, why))

    def leave_block(self, block: Block, why: str) -> None:
        """Nothing in ``block`` is carried over; a remark for each setting, or for an empty block one."""
        if not block.settings and not block.blocks:
            return
        for setting in block.settings.values():
            self.left(block, setting, why)
        for inner in block.blocks:
            self.leave_block(inner, why)


Handler = Callable[[Conversion, Block, Setting], None]


def title(block: Block, setting: Setting) -> str:
    """``protocol imap/mail_plugins = x``; what may be a secret is not shown."""
    names = []
    at: Block | None = block
    while at is not None and at.kind:
        names.append(at.title)
        at = at.outer
    where = "".join(f"{name}/" for name in reversed(names))
    secret = setting.key == "connect" or any(word in setting.key for word in ("password", "secret", "nonce", "api_key"))
    shown = "(not shown)" if secret and setting.value else setting.written
    if len(shown) > 80:
        shown = shown[:77] + "..."
    return "".join(
        c if c.isprintable() else "?" for c in f"{where}{setting.original or setting.key} = {shown}".rstrip()
    )


def to(key: str, convert: Callable[[str], Any] = str) -> Handler:
    """The value of MAS's ``key``, converted."""

    def handler(conversion: Conversion, _: Block, setting: Setting) -> None:
        conversion.put(key, convert(setting.value))

    return handler


def same(*values: str, why: str) -> Handler:
    """MAS does what these values say; any other is left out."""

    def handler(conversion: Conversion, block: Block, setting: Setting) -> None:
        if setting.value.strip().lower() not in values:
            conversion.left(block, setting, why)

    return handler


def leave(why: str) -> Handler:
    """Never carried over; an empty value says nothing."""

    def handler(conversion: Conversion, block: Block, setting: Setting) -> None:
        if setting.value:
            conversion.left(block, setting, why)

    return handler


def fine(conversion: Conversion, block: Block, setting: Setting) -> None:
    """Used elsewhere, or true of MAS whatever the value is."""
