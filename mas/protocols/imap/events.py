"""What ``ImapConnection.next_event()`` gives a session, and in what order.

::

    Command ............ any but Append, Authenticate, Idle: answer it, then connection.command_done()
    BadCommand ......... write bad_command's status response; BYE and leave when ``fatal``; else connection.command_done()
    Append ............. next_event() again, until AppendDone or BadCommand:
        LiteralOffered   write connection.accept_literal(), then LiteralChunk … up to the one with ``last``;
                         or connection.refuse_literal(), write the tagged NO, command_done(): the rest of the command is swallowed
        AppendDone       save, write the tagged OK, command_done()
    Authenticate ....... write connection.challenge(octets), next_event() gives SaslResponse; … tagged, command_done()
    Idle ............... write connection.start_idle(), next_event() gives IdleDone (or BadCommand); tagged, command_done()
    Continuation ....... write its octets; no command_done(): the command is still coming
    Closed ............. the peer has sent everything it will ever send

Until ``command_done()`` nothing but these continuations comes: a pipelined command is octets in a buffer, and its state is checked
when it is handed out. Every method named here returns octets to write and moves nothing else.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from mas.protocols.imap.commands import Command
from mas.protocols.imap.responses import Code
from mas.storage.model import Flags


class State(enum.Enum):
    """[RFC9051 3] Set by the session as the consequence of what it has answered."""

    NOT_AUTHENTICATED = "not authenticated"
    AUTHENTICATED = "authenticated"
    SELECTED = "selected"
    LOGOUT = "logout"


@dataclass(frozen=True, slots=True)
class ImapLimits:
    """What a client may send. Each is the configuration key ``imap.<name>``."""

    max_line: int = 64 * 1024
    max_literal: int = 64 * 1024
    max_literal_before_login: int = 8 * 1024
    max_bad_commands: int = 20
    max_nesting: int = 50
    max_set_items: int = 10_000
    max_search_keys: int = 1000
    max_mailbox_name: int = 1000
    max_append_messages: int = 100


@dataclass(frozen=True, slots=True)
class BadCommand:
    """A command that was not understood, or may not come now; its framing is dealt with.

    tag: ``b"*"`` when there was none to read [RFC9051 7.1.3].
    no: NO instead of BAD (a well-formed command that can never be done), with ``code``.
    fatal: the connection cannot or will not go on: say BYE.
    """

    tag: bytes
    text: str
    no: bool = False
    code: Code | None = None
    fatal: bool = False


@dataclass(frozen=True, slots=True)
class LiteralOffered:
    """One message of APPEND, announced.  [RFC9051 6.3.12] [RFC3502]

    size: octets to come. 0 abandons the APPEND, as other servers have it.
    internal_date: seconds since the epoch; None when the client gave none.
    synchronizing: the client waits for the continuation request.
    literal8: may hold NUL [RFC3516 4.4]. utf8: wrapped in ``UTF8 (...)`` [RFC6855 4].
    """

    size: int
    flags: Flags = field(default=Flags())
    internal_date: int | None = None
    synchronizing: bool = True
    literal8: bool = False
    utf8: bool = False


@dataclass(frozen=True, slots=True)
class LiteralChunk:
    """Octets of the accepted literal, as they came. ``last``: the literal is whole (such a chunk may be empty)."""

    data: bytes = field(repr=False)
    last: bool


@dataclass(frozen=True, slots=True)
class AppendDone:
    """The APPEND command has ended well: all its messages have come."""


@dataclass(frozen=True, slots=True)
class SaslResponse:
    """The decoded answer to a challenge; None when the client cancelled with ``*``  [RFC9051 6.2.2]."""

    data: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class IdleDone:
    """``DONE``"""


@dataclass(frozen=True, slots=True)
class Closed:
    """The peer closed its side. ``mid_command``: it left an unfinished command behind."""

    mid_command: bool = False


@dataclass(frozen=True, slots=True)
class Continuation:
    """The client waits with a literal of a command that is still being gathered: write ``data``, then next_event() again."""

    data: bytes


Event = (
    Command | BadCommand | Continuation | LiteralOffered | LiteralChunk | AppendDone | SaslResponse | IdleDone | Closed
)
