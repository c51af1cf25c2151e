"""imapsieve: scripts at IMAP events [RFC6785], and Pigeonhole's vnd.dovecot.imapsieve with the mailboxes of a copy.

The values come from whoever runs the script at an event. At a delivery they are empty [RFC6785 4.2].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from mas.sieve.definition import Extension

if TYPE_CHECKING:
    from mas.sieve.interpreter import Run


def _items(extension: str, *names: str) -> Mapping[str, Callable[[Run], str | None]]:
    def item(name: str) -> Callable[[Run], str | None]:
        return lambda run: run.environment.get(name, "") if extension in run.enabled else None

    return {name: item(name) for name in names}


IMAPSIEVE = Extension(
    "imapsieve",
    environment=_items("imapsieve", "imap.user", "imap.email", "imap.cause", "imap.mailbox", "imap.changedflags"),
)
DOVECOT_IMAPSIEVE = Extension(
    "vnd.dovecot.imapsieve",
    implies=("imapsieve",),
    environment=_items("vnd.dovecot.imapsieve", "vnd.dovecot.mailbox-from", "vnd.dovecot.mailbox-to"),
)
