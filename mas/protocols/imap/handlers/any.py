"""CAPABILITY, NOOP, CHECK, ID, ENABLE, LOGOUT.  [RFC9051 6.1, 6.3.1] [RFC2971]"""

from __future__ import annotations

from mas.protocols.imap.commands import Capability, Check, Enable, Id, Logout, Noop
from mas.protocols.imap.encode import encode_capability, encode_enabled, encode_id
from mas.protocols.imap.handlers.metadata import watch_annotations
from mas.protocols.imap.state import Done, Session

MAX_CLIENT = 60
"""Characters of a client's name and version that are worth a place in the log."""


async def handle_capability(session: Session, command: Capability) -> Done:
    """CAPABILITY [RFC9051 6.1.1]."""
    session.channel.write(encode_capability(session.capabilities()))
    return Done(b"Capability completed.")


async def handle_noop(session: Session, command: Noop | Check) -> Done:
    """NOOP and CHECK: the loop tells what is new [RFC9051 6.1.2]."""
    if session.selection is not None:
        await session.selection.refresh()
    return Done(b"NOOP completed." if isinstance(command, Noop) else b"Check completed.")


async def handle_id(session: Session, command: Id) -> Done:
    """ID [RFC2971]. The version is nobody's business; what the client calls itself is in the log when it leaves."""
    said = dict(command.fields)
    session.client = " ".join(said[name] or "" for name in ("name", "version") if said.get(name))[:MAX_CLIENT] or None
    session.channel.write(encode_id((("name", "MAS"),)))
    return Done(b"ID completed.")


async def handle_logout(session: Session, command: Logout) -> Done:
    """LOGOUT [RFC9051 6.1.3]."""
    session.bye(b"Logging out")
    return Done(b"Logout completed.", expunge=False)


async def handle_enable(session: Session, command: Enable) -> Done:
    """ENABLE [RFC5161] [RFC9051 6.3.1]: what is unknown or not to be enabled is left out of the answer, which comes all the same."""
    enabled = []
    for name in command.capabilities:
        if name == "CONDSTORE":
            session.enable_condstore()
        elif name == "QRESYNC":
            session.enable_condstore()
            session.qresync = True
        elif name == "IMAP4REV2":
            name = "IMAP4rev2"
            session.enable_rev2()
        elif name == "METADATA" and session.config.metadata.enabled:
            await watch_annotations(session)
        else:
            continue
        if name not in enabled:
            enabled.append(name)
    session.channel.write(encode_enabled(enabled))
    return Done(b"Enabled.")
