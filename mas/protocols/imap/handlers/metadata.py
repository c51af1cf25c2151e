"""GETMETADATA, SETMETADATA, and METADATA responses for what others have changed.  [RFC5464] [RFC6154 4]

The server's annotations are the user's own, ``/shared`` as well: there is nobody to share them with, and a script at IMAP events is each
user's. ``/shared/comment`` and ``/shared/admin`` of the server are the operator's. As Dovecot has it: an entry that is not there is NIL,
unless DEPTH asks for what there is; a level of hierarchy that is no mailbox has no annotations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mas.config.mailstore import SPECIAL_USES
from mas.errors import MailboxError, StorageUnavailable
from mas.protocols.imap.commands import GetMetadata, SetMetadata
from mas.protocols.imap.encode import encode_metadata, encode_metadata_changed
from mas.protocols.imap.responses import CANNOT, USEATTR, metadata_longentries
from mas.protocols.imap.state import Annotations, Done, Refused, Session
from mas.storage.metadata import OPERATORS, SPECIAL_USE
from mas.storage.model import MailboxInfo, MailboxName

SERVER = MailboxName("")


async def handle_getmetadata(session: Session, command: GetMetadata) -> Done:
    """GETMETADATA [RFC5464 4.2]."""
    _needs_metadata(session)
    values = dict(sorted((await session.mail.metadata(command.mailbox)).items()))
    asked: dict[str, bytes | None] = {}
    for entry in command.entries:
        if command.depth == 0:
            asked[entry] = values.get(entry)
            continue
        below, level = f"{entry}/", entry.count("/") + 1
        asked |= {
            name: value
            for name, value in values.items()
            if name == entry or (name.startswith(below) and (command.depth is None or name.count("/") == level))
        }
    longest = 0
    if command.max_size is not None:
        sizes = {entry: len(value) for entry, value in asked.items() if value is not None}
        long = [entry for entry, size in sizes.items() if size > command.max_size]
        longest = max([sizes.pop(entry) for entry in long], default=0)
        asked = {entry: value for entry, value in asked.items() if value is None or entry in sizes}
    if asked:
        session.channel.write(encode_metadata(session.mailbox_text(command.mailbox), asked.items()))
    return Done(b"Getmetadata completed.", metadata_longentries(longest) if longest else None)


async def handle_setmetadata(session: Session, command: SetMetadata) -> Done:
    """SETMETADATA [RFC5464 4.3]: all of it or nothing."""
    _needs_metadata(session)
    mailbox, values = command.mailbox, command.values
    if mailbox == SERVER and any(entry in OPERATORS for entry in values):
        raise Refused("This annotation is the server's own.", CANNOT)
    if mailbox != SERVER and SPECIAL_USE in values:
        if len(values) > 1:
            raise Refused(f"{SPECIAL_USE} is set by itself.", CANNOT)
        await session.mail.set_special_use(mailbox, _uses(values[SPECIAL_USE]))
    else:
        await session.mail.set_metadata(mailbox, values)
    if session.annotations is not None:
        # What this session has done itself is no news to it, what it has done to others is [RFC6154 5.4].
        seen = session.annotations.values
        now = await session.mail.metadata(mailbox)
        seen[mailbox] = {
            **{entry: value for entry, value in seen.get(mailbox, {}).items() if entry not in values},
            **{entry: now[entry] for entry in values if entry in now},
        }
    return Done(b"Setmetadata completed.")


def _needs_metadata(session: Session) -> None:
    if not session.config.metadata.enabled:
        raise Refused("METADATA is disabled.", CANNOT)


def _uses(value: bytes | None) -> list[str]:
    """Special uses, spelt as registered; what is none is refused [RFC6154 4]."""
    known = {use.lower(): use for use in SPECIAL_USES}
    words = (value or b"").decode("ascii", "replace").split()
    if any(word.lower() not in known for word in words):
        raise Refused("This special use is not known.", USEATTR)
    return [known[word.lower()] for word in words]


# What others change  [RFC5464 4.4]


async def watch_annotations(session: Session) -> None:
    """ENABLE METADATA: from now on the client is told what others change."""
    if session.annotations is None:
        listing = await session.mail.list()
        session.annotations = Annotations(listing, await _all(session, listing))


async def tell_annotations(session: Session) -> None:
    """Tell by name what has changed since the last look. A store that fails now will be asked again at the next command."""
    seen = session.annotations
    assert seen is not None
    try:
        listing = await session.mail.list()
        if listing is seen.listing:
            return
        now = await _all(session, listing)
    except StorageUnavailable:
        return
    for mailbox, values in now.items():
        # A mailbox that is new to the session has its annotations since it is there.
        before = seen.values.get(mailbox, values)
        if before == values:
            continue
        changed = sorted(name for name in before.keys() | values.keys() if before.get(name) != values.get(name))
        session.channel.write(encode_metadata_changed(session.mailbox_text(mailbox), changed))
    seen.listing, seen.values = listing, now


async def _all(session: Session, listing: Sequence[MailboxInfo]) -> dict[MailboxName, Mapping[str, bytes]]:
    found = {SERVER: await session.mail.metadata(SERVER)}
    for info in listing:
        if info.selectable:
            try:
                found[info.name] = await session.mail.metadata(info.name)
            except MailboxError:
                continue  # deleted meanwhile
    return found
