"""One IMAP connection, as octets in and events out.  [RFC9051 2.2, 3, 4.3] [RFC7888]

Theory of operation. Framing comes before grammar: a command is gathered line by line and literal by literal (``_gather``), and only when
it is whole, or certainly refused, does the grammar look at it. What has been gathered is one stretch of octets with the literals in place,
so that the grammar needs no second source. Two commands are known before they are whole: a wrong one (unknown, or not allowed now) is
refused at its first literal, so that nobody makes us wait for 64 KB of rubbish, and APPEND is handed out at the literal of its first
message.

In step, whatever comes: a refused literal is never read as commands. A synchronizing one does not come when it gets no continuation
request, a non-synchronizing one comes all the same and is dropped octet by octet (``_skip``), with the rest of the command behind
it and whatever literals that rest announces. A line above the limit is dropped up to its end and may announce literals too.

One command at a time: from the event to ``command_done()`` nothing but the command's own continuations is read. The order of events
and calls is told in ``events``.

Must not know: what commands do, sockets, time.
"""

from __future__ import annotations

import enum
from binascii import b2a_base64

from mas.protocols.framing import Announced, LineBuffer, LineTooLong, announced_literal
from mas.protocols.imap import abnf
from mas.protocols.imap.commands import Append
from mas.protocols.imap.cursor import Cursor, ParseError
from mas.protocols.imap.events import (
    AppendDone,
    BadCommand,
    Closed,
    Continuation,
    Event,
    IdleDone,
    ImapLimits,
    LiteralChunk,
    LiteralOffered,
    SaslResponse,
    State,
)
from mas.protocols.imap.parse_command import COMMANDS, decode_base64, parse_append, parse_append_message
from mas.protocols.imap.responses import Code
from mas.protocols.session import Wait

READY = b"+ OK\r\n"
"""The continuation request before a literal, as Dovecot words it."""

_ABSURD = 4096
"""A refused non-synchronizing literal above this many times the limit is not waited for: the connection ends [RFC7888 4]."""


class _Mode(enum.Enum):
    """Who takes the next octets."""

    COMMAND = "command"  # gathering one
    BUSY = "busy"  # handed out; nobody reads
    OFFERED = "offered"  # APPEND: accept_literal() or refuse_literal()
    LITERAL = "literal"  # APPEND: octets of the message
    AFTER_LITERAL = "after literal"  # APPEND: the next message or the end
    SASL = "sasl"
    IDLE = "idle"
    CLOSED = "closed"


class ImapConnection:
    """See the module. ``state`` and ``utf8`` are set by the session."""

    __slots__ = (
        "_announced", "_bad", "_buffer", "_eof", "_gathered", "_limits", "_literal_left", "_messages", "_mode",
        "_offered", "_skip_octets", "_skip_rest", "_tag", "_waiting", "state", "utf8",
    )  # fmt: skip

    def __init__(self, limits: ImapLimits | None = None) -> None:
        self.state = State.NOT_AUTHENTICATED
        self.utf8 = False
        self._limits = limits or ImapLimits()
        self._buffer = LineBuffer()
        self._eof = False
        self._mode = _Mode.COMMAND
        self._gathered = b""  # of the command, with its complete literals
        self._announced: Announced | None = None  # the literal of a gathered command that is being read
        self._tag = b"*"
        self._bad = 0  # bad commands in a row
        self._skip_octets = 0
        self._skip_rest = False
        self._offered: LiteralOffered | None = None
        self._waiting: LiteralOffered | None = None  # offered after the Append event itself
        self._literal_left = 0
        self._messages = 0

    # Octets in

    def receive_data(self, data: bytes) -> None:
        """Octets from the peer; ``b""`` is the end of the stream."""
        if data:
            self._buffer.feed(data)
        else:
            self._eof = True

    @property
    def buffered(self) -> bool:
        """Octets are waiting that made no event yet."""
        return len(self._buffer) > 0 or bool(self._gathered)

    def discard_input(self) -> None:
        """Forget what was received and not handed out: nothing that came before TLS counts after it  [RFC9051 6.2.1]."""
        self._buffer.clear()
        self._gathered = b""
        self._announced = None
        self._skip_octets, self._skip_rest = 0, False

    # Events out

    def next_event(self) -> Event | Wait:
        """The next event, or Wait.NEED_DATA; while a command is being worked on, only what that command waits for."""
        event: Event | None
        match self._mode:
            case _Mode.COMMAND:
                event = self._command()
            case _Mode.LITERAL:
                event = self._literal_chunk()
            case _Mode.AFTER_LITERAL:
                event = self._after_literal()
            case _Mode.SASL:
                event = self._sasl()
            case _Mode.IDLE:
                event = self._idle()
            case _Mode.BUSY if self._waiting is not None:
                self._offered, self._waiting = self._waiting, None
                self._mode = _Mode.OFFERED
                return self._offered
            case _:
                return Wait.NEED_DATA
        if event is not None:
            return event
        if self._eof:
            mid_command = self._mode is not _Mode.COMMAND or self.buffered
            self._mode = _Mode.CLOSED
            return Closed(mid_command)
        return Wait.NEED_DATA

    def command_done(self) -> None:
        """The tagged response of the command is written: the next one may come."""
        if self._waiting is not None or self._mode is _Mode.OFFERED:
            self.refuse_literal()
        elif self._mode is _Mode.LITERAL:
            # The session gave up in the middle of a message (disk full): the rest of it is on its way
            self._skip_octets, self._skip_rest = self._literal_left, True
        elif self._mode is _Mode.AFTER_LITERAL:
            self._skip_rest = True
        if self._mode is not _Mode.CLOSED:
            self._mode = _Mode.COMMAND

    # Continuations of APPEND, AUTHENTICATE, IDLE

    def accept_literal(self) -> bytes:
        """Take the offered message. Octets to write: a continuation request when the client waits for one."""
        assert self._mode is _Mode.OFFERED
        assert self._offered is not None
        self._literal_left = self._offered.size
        self._mode = _Mode.LITERAL
        return READY if self._offered.synchronizing else b""

    def refuse_literal(self) -> None:
        """Do not take the offered message, nor what the command has after it. The tagged NO and command_done() follow."""
        offered = self._offered if self._waiting is None else self._waiting
        assert offered is not None
        self._offered = self._waiting = None
        if not offered.synchronizing:
            self._skip_octets, self._skip_rest = offered.size, True
        self._mode = _Mode.BUSY

    def challenge(self, octets: bytes) -> bytes:
        """``"+" SP base64 CRLF`` of a server challenge; the client's SaslResponse comes next."""
        self._mode = _Mode.SASL
        return b"+ " + b2a_base64(octets, newline=False) + b"\r\n"

    def start_idle(self) -> bytes:
        """The continuation request of IDLE; IdleDone comes next."""
        self._mode = _Mode.IDLE
        return b"+ idling\r\n"

    # Gathering a command

    def _command(self) -> Event | None:
        if (self._skip_octets or self._skip_rest) and not self._skip():
            return None
        while True:
            if self._announced is not None:
                octets = self._buffer.exactly(self._announced.size)
                if octets is None:
                    return None
                self._gathered += octets
                self._announced = None
            try:
                line = self._buffer.line(self._limits.max_line)
            except LineTooLong as error:
                self._skip_rest = True
                return self._refuse(
                    self._gathered or error.start, f"Line is longer than {error.limit} octets (imap.max_line)"
                )
            if line is None:
                return None
            announced = announced_literal(line) if line.endswith(b"}") else None
            text = self._gathered + line if self._gathered else line
            if announced is None:
                self._gathered = b""
                if text:
                    return self._whole(text)
                continue  # Deviation: an empty line is no command; clients send one after a literal. Dovecot reads over it too
            event = self._with_literal(text, line, announced)
            if event is not None:
                self._gathered = b""
                return event
            self._gathered = text + b"\r\n"
            self._announced = announced
            if announced.synchronizing:
                return Continuation(READY)

    def _whole(self, text: bytes) -> Event:
        """Parse a command that is whole."""
        found = abnf.COMMAND.match(text)
        if found is None:
            return self._refuse(text, "Invalid command")
        tag, name = found.groups()
        spec = COMMANDS.get(name.upper())
        if spec is None:
            spec = COMMANDS.get(b" ".join(name.upper().split()))
        if spec is None or self.state not in spec.states:
            return self._not_now(text)
        limits = self._limits
        cursor = Cursor(text, found.end(), utf8=self.utf8)
        cursor.max_nesting = limits.max_nesting
        cursor.max_set_items = limits.max_set_items
        cursor.max_search_keys = limits.max_search_keys
        cursor.max_mailbox_name = limits.max_mailbox_name
        try:
            command = spec.parse(cursor, tag)
        except ParseError as error:
            return self._refuse(text, error.text, no=error.no, code=error.code)
        self._bad = 0
        self._tag = tag
        self._mode = _Mode.BUSY
        return command

    def _not_now(self, text: bytes) -> BadCommand:
        """Why this command is none, or none that may come now."""
        found = abnf.COMMAND.match(text)
        if found is None:
            return self._refuse(text, "Invalid command")
        name = b" ".join(found[2].upper().split())
        spec = COMMANDS.get(name)
        shown = name.decode("ascii")[:40]
        if spec is None:
            return self._refuse(text, f"Unknown command {shown}")
        if self.state is State.NOT_AUTHENTICATED:
            return self._refuse(text, "Please log in first")
        if State.NOT_AUTHENTICATED in spec.states:
            return self._refuse(text, "Already logged in")
        return self._refuse(text, "No mailbox selected")

    def _refuse(self, text: bytes, why: str, *, no: bool = False, code: bytes = b"", fatal: bool = False) -> BadCommand:
        self._gathered = b""
        self._announced = None
        tag = abnf.TAG.match(text)
        # A tag is only one when SP (or the end) follows; anything else gets "*"  [RFC9051 7.1.3]
        followed = tag is not None and text[tag.end() : tag.end() + 1] in (b" ", b"")
        self._tag = tag[0] if tag is not None and followed else b"*"
        self._mode = _Mode.BUSY
        return self._bad_command(why, no=no, code=code, fatal=fatal)

    def _bad_command(self, why: str, *, no: bool = False, code: bytes = b"", fatal: bool = False) -> BadCommand:
        if not no:
            self._bad += 1
            if self._bad >= self._limits.max_bad_commands:
                fatal = True
        return BadCommand(self._tag, why, no, Code(code) if code else None, fatal)

    # Literals

    def _with_literal(self, text: bytes, line: bytes, announced: Announced) -> Event | None:
        """A line of a command that ends in a literal: an event when the command is decided, None to read the literal."""
        found = abnf.COMMAND.match(text)
        spec = COMMANDS.get(b" ".join(found[2].upper().split())) if found is not None else None
        if found is None or spec is None or self.state not in spec.states:
            return self._refuse_announced(announced, self._not_now(text))
        if found[2].upper() == b"APPEND" and found.end() != len(text) - len(_marker(line)):
            return self._append(text, found.end(), found[1], line, announced)
        logged_in = self.state is not State.NOT_AUTHENTICATED
        key = "max_literal" if logged_in else "max_literal_before_login"
        limit = self._limits.max_literal if logged_in else self._limits.max_literal_before_login
        # The limit holds for the whole command: its literals are in memory together, and so are its lines
        if announced.size > limit or len(self._gathered) + announced.size > limit + self._limits.max_line:
            # A value that is too large has a code of its own [RFC5464 4.3]
            code = b"METADATA MAXSIZE %d" % limit if found[2].upper() == b"SETMETADATA" else b"TOOBIG"
            bad = self._refuse(text, f"Literals are longer than {limit} octets (imap.{key})", no=True, code=code)
            return self._refuse_announced(announced, bad, limit)
        if announced.literal8 and not logged_in:
            return self._refuse_announced(announced, self._refuse(text, "Literal8 is not allowed here"))
        return None

    def _refuse_announced(self, announced: Announced, bad: BadCommand, limit: int = 0) -> BadCommand:
        """Keep the framing in step after a refusal; a non-synchronizing literal comes whether we want it or not."""
        if announced.synchronizing:
            return bad
        self._skip_octets, self._skip_rest = announced.size, True
        if self.state is State.NOT_AUTHENTICATED:
            absurd = announced.size > self._limits.max_literal_before_login
        else:
            absurd = announced.size > _ABSURD * max(limit, self._limits.max_literal)
        return BadCommand(bad.tag, bad.text, bad.no, bad.code, bad.fatal or absurd)

    def _append(self, text: bytes, place: int, tag: bytes, line: bytes, announced: Announced) -> Event:
        """APPEND, at the literal of its first message."""
        try:
            mailbox, offered = parse_append(text, place, line, self.utf8, self._limits.max_mailbox_name)
        except ParseError as error:
            return self._refuse_announced(announced, self._refuse(text, error.text, no=error.no, code=error.code))
        self._bad = 0
        self._tag = tag
        self._messages = 1
        self._mode = _Mode.BUSY
        self._waiting = offered
        return Append(tag, mailbox)

    def _literal_chunk(self) -> Event | None:
        data = self._buffer.take(self._literal_left) if self._literal_left else b""
        self._literal_left -= len(data)
        if not self._literal_left:
            self._mode = _Mode.AFTER_LITERAL
            return LiteralChunk(data, last=True)
        return LiteralChunk(data, last=False) if data else None

    def _after_literal(self) -> Event | None:
        """Behind a message of APPEND: ``)`` of UTF8, then the end or another message [RFC3502 6.3.11]."""
        try:
            line = self._buffer.line(self._limits.max_line)
        except LineTooLong as error:
            self._mode, self._skip_rest = _Mode.BUSY, True
            return self._bad_command(f"Line is longer than {error.limit} octets (imap.max_line)")
        if line is None:
            return None
        cursor = Cursor(line)
        announced = announced_literal(line)
        self._mode = _Mode.BUSY
        try:
            if self._offered is not None and self._offered.utf8:
                cursor.expect(b")")
            if cursor.at_end():
                return AppendDone()
            offered = parse_append_message(cursor, line)
            self._messages += 1
            if self._messages > self._limits.max_append_messages:
                raise ParseError(
                    f"More than {self._limits.max_append_messages} messages (imap.max_append_messages)",
                    no=True,
                    code=b"LIMIT",
                )
        except ParseError as error:
            bad = self._bad_command(error.text, no=error.no, code=error.code)
            return bad if announced is None else self._refuse_announced(announced, bad)
        self._offered = offered
        self._mode = _Mode.OFFERED
        return offered

    def _skip(self) -> bool:
        """Drop what a refused command still sends. True when the stream is at the beginning of a command again."""
        while True:
            if self._skip_octets:
                self._skip_octets -= self._buffer.drop(self._skip_octets)
                if self._skip_octets:
                    return False
            if not self._skip_rest:
                return True
            tail = self._buffer.skip_line()
            if tail is None:
                return False
            announced = announced_literal(tail)
            if announced is None or announced.synchronizing:
                # A synchronizing literal gets no continuation request, so it does not come: the command has ended here
                self._skip_rest = False
                return True
            self._skip_octets = announced.size

    # Single lines

    def _sasl(self) -> Event | None:
        """``base64 CRLF``, or ``*`` to cancel  [RFC9051 6.2.2]."""
        try:
            line = self._buffer.line(self._limits.max_line)
        except LineTooLong:
            self._mode, self._skip_rest = _Mode.BUSY, True
            return self._bad_command("SASL response is too long (imap.max_line)")
        if line is None:
            return None
        self._mode = _Mode.BUSY
        if line == b"*":
            return SaslResponse(None)
        try:
            return SaslResponse(decode_base64(line))
        except ParseError as error:
            return self._bad_command(error.text)

    def _idle(self) -> Event | None:
        """``idle = "IDLE" CRLF "DONE"``; case is free."""
        try:
            line = self._buffer.line(self._limits.max_line)
        except LineTooLong:
            self._mode, self._skip_rest = _Mode.BUSY, True
            return self._bad_command("Expected DONE")
        if line is None:
            return None
        self._mode = _Mode.BUSY
        if line.rstrip(b" ").upper() == b"DONE":
            return IdleDone()
        # Deviation: none. Another command during IDLE is an error, and is not run behind the client's back
        announced = announced_literal(line)
        bad = self._bad_command("Expected DONE")
        return bad if announced is None else self._refuse_announced(announced, bad)


def _marker(line: bytes) -> bytes:
    """The ``{n}``, ``{n+}`` or ``~{n}`` at the end of a line that announces a literal."""
    start = line.rfind(b"{")
    return line[start - 1 :] if line[start - 1 : start] == b"~" else line[start:]
