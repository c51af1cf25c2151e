"""One IMAP session: everything a handler may touch, and the few lines of wire that many handlers write.

The session is bound to one channel and one pure connection; it has no task, no timer and no thread of its own, and an idle one holds
little more than these slots. Handlers live in ``handlers``; the loop that runs them is ``session``.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mas.config import Config
from mas.errors import MasError
from mas.protocols.imap.capabilities import Offered, Stage, capabilities
from mas.protocols.imap.connection import ImapConnection
from mas.protocols.imap.encode import (
    astring,
    encode_exists,
    encode_expunges,
    encode_flags,
    encode_list,
    encode_recent,
    encode_vanished,
)
from mas.protocols.imap.events import BadCommand, Closed, Event, State
from mas.protocols.imap.mailbox_name import encode_mailbox_name
from mas.protocols.imap.numset import SequenceSet, resolve
from mas.protocols.imap.responses import CLOSED, Code, ListData, capability, highestmodseq, permanentflags
from mas.protocols.imap.view import NO_UPDATES, Messages, View
from mas.protocols.session import Channel, Woken
from mas.services import Services
from mas.storage.interface import Account, Incoming, Selection
from mas.storage.model import KEYWORD_SHIFT, MAX_KEYWORDS, MailboxInfo, MailboxName
from mas.user import User

RECENT = 1 << (KEYWORD_SHIFT + MAX_KEYWORDS)
"""``\\Recent`` as one more bit, above all that a message can have: it belongs to the session, not to the message."""

_SYSTEM = ((1, b"\\Answered"), (2, b"\\Flagged"), (4, b"\\Deleted"), (8, b"\\Seen"), (16, b"\\Draft"))


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended: its tagged status response, without the tag.

    expunge: pending EXPUNGEs may be told before it. Not for FETCH, STORE and SEARCH by sequence number [RFC9051 7.5.1].
    uid: it was a UID command: FETCH responses carry UID [RFC9051 6.4.9].
    """

    text: bytes
    code: Code | None = None
    condition: bytes = b"OK"
    expunge: bool = True
    uid: bool = False


class Refused(MasError):
    """A handler refuses its command by a rule of the protocol, not of the store: NO or BAD, a code, a text for the client."""

    def __init__(self, text: str, code: Code | None = None, *, bad: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.code = code
        self.bad = bad


class BrokenStream(MasError):
    """A response was cut in its middle (a literal that cannot be completed): nothing more can be said on this connection."""


class FlagTexts(dict[int, bytes]):
    """``\\Seen $Junk`` for each combination of flags that was met: a mailbox of 20,000 messages has a few dozen of them.

    The store empties it when the number of a keyword that no message had is given to another (``Snapshot.memo``).
    """

    __slots__ = ("keywords",)

    def __init__(self, keywords: list[str]) -> None:
        super().__init__()
        self.keywords = keywords

    def __missing__(self, flags: int) -> bytes:
        names = [name for bit, name in _SYSTEM if flags & bit]
        if flags >> KEYWORD_SHIFT:
            names += [
                keyword.encode()
                for number, keyword in enumerate(self.keywords)
                if keyword and flags >> (KEYWORD_SHIFT + number) & 1
            ]
            if flags & RECENT:
                names.append(b"\\Recent")
        text = self[flags] = b" ".join(names)
        return text


@dataclass(slots=True)
class Annotations:
    """What a client that asked to be told knows of annotations (ENABLE METADATA): as they were at the last look.

    listing: what the store's list() answered then; another object means that something may have changed.
    """

    listing: Sequence[MailboxInfo]
    values: dict[MailboxName, Mapping[str, bytes]]


class Session:
    """One client's session. ``selection`` and ``view`` are there together or not at all."""

    __slots__ = (
        "account",
        "annotations",
        "channel",
        "client",
        "condstore",
        "config",
        "connection",
        "ended",
        "failed_logins",
        "farewell",
        "flag_texts",
        "in_literal",
        "keywords_told",
        "last_login",
        "list_memo",
        "qresync",
        "rev2",
        "selection",
        "services",
        "starting_tls",
        "user",
        "utf8",
        "view",
    )

    def __init__(self, channel: Channel[Event], connection: ImapConnection, services: Services) -> None:
        self.channel = channel
        self.connection = connection
        self.services = services
        self.config: Config = services.config
        self.user: User | None = None
        self.account: Account | None = None
        self.selection: Selection | None = None
        self.view: View | None = None
        self.flag_texts = FlagTexts([])
        self.keywords_told: list[str] = []
        self.list_memo: tuple[object, object, bytes] | None = None
        """The last plain LIST: the listing it was made of, what was asked, and the lines."""
        self.condstore = False
        self.qresync = False
        self.annotations: Annotations | None = None
        self.rev2 = False
        self.utf8 = False
        self.ended = False
        self.farewell = b""
        self.starting_tls = False
        self.in_literal = False
        self.failed_logins = 0
        self.last_login: tuple[str, str] = ("", "")
        self.client: str | None = None
        """What it calls itself (ID)."""

    # Events inside a command

    async def next_event(self, timeout: float) -> Event:
        """The next event of a command that goes on (a literal, a SASL response). A wake is kept for later: the loop sees ``draining``.

        Raises ConnectionError when the client is gone, TimeoutError when it is silent.
        """
        while True:
            event = await self.channel.next_event(timeout)
            if not isinstance(event, Woken):
                if isinstance(event, Closed):
                    raise ConnectionResetError("closed by the client")
                return event

    def bad_command(self, event: BadCommand) -> Done:
        """How a command ends that turned out to be wrong."""
        if event.fatal:
            self.farewell = event.text.encode("ascii", "replace")
        condition = b"NO" if event.no else b"BAD"
        return Done(event.text.encode("ascii", "replace"), event.code, condition, expunge=False)

    def must_end(self) -> bool:
        """Says BYE when the server stops or the mailbox is no more; whether it did."""
        if self.channel.draining:
            self.bye(b"Server closes the connection.")
        elif self.selection is not None and self.selection.gone:
            self.bye(b"Mailbox was deleted under you.")
        elif self.view is not None and self.view.torn:
            self.bye(b"Mailbox was changed in a way that cannot be told.")
        return self.ended

    # What handlers of the authenticated and selected states start from; the connection has checked the state

    @property
    def mail(self) -> Account:
        """The user's account."""
        account = self.account
        assert account is not None, "not authenticated"
        return account

    def selected(self) -> tuple[Selection, View]:
        """The selected mailbox and the view of it, in step with everything that is known by now."""
        selection, view = self.selection, self.view
        assert selection is not None, "no mailbox is selected"
        assert view is not None
        view.absorb(selection.take_changes())
        return selection, view

    def writable(self) -> tuple[Selection, View]:
        """As ``selected``; refuses in a mailbox opened by EXAMINE [RFC9051 6.3.3]."""
        selection, view = self.selected()
        if selection.read_only:
            raise Refused("Mailbox is open read-only")
        return selection, view

    def resolve(self, view: View, numbers: SequenceSet, uid: bool) -> Messages:
        """The messages that a command names. Sequence numbers that are no message are BAD [RFC9051 6.4.5]; unknown uids are nothing."""
        if numbers.saved:
            return view.saved_messages()
        if uid:
            uids = view.uids
            return view.by_uid(resolve(numbers, uids[-1] if uids else 0))
        if numbers.highest > view.exists or (not view.exists and numbers.has_star):
            raise Refused("Invalid message set: no such message", bad=True)
        return view.by_seqnum(resolve(numbers, view.exists))

    def incoming(self) -> Incoming:
        """A message on its way in."""
        assert self.user is not None
        return self.services.store.incoming(self.user, max_size=self.config.quota.max_mail_size)

    # What the client has switched on, and what it may

    def capabilities(self) -> bytes:
        """Capability names for the present state."""
        tls = self.channel.tls
        stage = Stage.LOGGED_IN if self.user is not None else Stage.TLS if tls else Stage.PLAIN
        offered = Offered(
            starttls=not tls,
            mechanisms=tuple(self.services.auth.mechanisms(tls, self.channel)),
            append_limit=self.config.quota.max_mail_size,
            metadata=self.config.metadata.enabled,
            imapsieve=self.config.sieve.imapsieve_url,
        )
        return capabilities(stage, offered, self.config.imap.capability)

    def enable_condstore(self) -> None:
        """A CONDSTORE enabling command: FETCH responses have MODSEQ from now on. With a mailbox selected the first one answers its
        HIGHESTMODSEQ [RFC7162 3.1]."""
        if self.condstore:
            return
        self.condstore = True
        if self.selection is not None:
            self.ok(b"Highest", highestmodseq(self.selection.snapshot.highest_modseq))

    def enable_rev2(self) -> None:
        """IMAP4rev2 [RFC9051]: ESEARCH for SEARCH, no \\Recent, mailbox names in UTF-8."""
        self.rev2 = self.utf8 = self.connection.utf8 = True

    def modseq_code(self) -> Code | None:
        """HIGHESTMODSEQ for the tagged OK of a command that removed messages [RFC7162 3.2.7, 3.2.9]; every change below it is told
        before that OK."""
        if not self.condstore or self.selection is None:
            return None
        return highestmodseq(self.selection.snapshot.highest_modseq)

    def tell_state(self, *, idle: bool = False) -> None:
        """What ``mas who`` shows of this session."""
        text = self.selection.name if self.selection is not None else ""
        self.services.sessions.state(self.channel.peer, f"{text} IDLE".lstrip() if idle else text)

    # Wire

    def greet(self) -> None:
        """The first line [RFC9051 7.1.1], with CAPABILITY, so that the client need not ask."""
        self.channel.write(
            b"* OK [%s] %s ready.\r\n"
            % (capability(self.capabilities()), self.config.hostname.encode("ascii", "replace"))
        )

    def mailbox_text(self, name: str) -> bytes:
        """A mailbox name as this client reads it."""
        return astring(encode_mailbox_name(name, self.utf8))

    def list_line(self, keyword: bytes, data: ListData) -> None:
        """One line of LIST, LSUB or XLIST."""
        self.channel.write(encode_list(data, self.utf8, keyword))

    def ok(self, text: bytes, code: Code) -> None:
        """``* OK [code] text``"""
        self.channel.write(b"* OK [%s] %s\r\n" % (code, text))

    def bye(self, text: bytes) -> None:
        """``* BYE text``, and the session ends after this command."""
        self.channel.write(b"* BYE %s\r\n" % text)
        self.ended = True

    def flag_list(self) -> list[bytes]:
        """The flags that messages of the selected mailbox may have."""
        return [name for _, name in _SYSTEM] + [keyword.encode() for keyword in self.flag_texts.keywords if keyword]

    def tell_flags(self) -> None:
        """FLAGS and PERMANENTFLAGS [RFC9051 7.3.5, 7.1]; again whenever the mailbox has got a new keyword."""
        assert self.selection is not None
        flags = self.flag_list()
        self.keywords_told = list(self.flag_texts.keywords)
        self.channel.write(encode_flags(flags))
        if self.selection.read_only:
            self.ok(b"Read-only mailbox.", permanentflags(()))
        else:
            room = len(flags) - len(_SYSTEM) < self.config.mail.max_keywords
            self.ok(b"Flags permitted.", permanentflags([*flags, b"\\*"] if room else flags))

    def recent_count(self) -> int:
        """Messages with ``\\Recent`` among those the client was told of [RFC3501 2.3.2]."""
        assert self.selection is not None
        assert self.view is not None
        return self.view.exists - bisect_left(self.view.uids, self.selection.recent_from)

    def flags_text(self, uid: int, flags: int) -> bytes:
        """The flags of a message as FETCH tells them."""
        assert self.selection is not None
        if uid >= self.selection.recent_from and not self.rev2:
            flags |= RECENT
        return self.flag_texts[flags]

    def tell_new_keywords(self) -> None:
        """FLAGS again, when a keyword appeared or went since it was last sent: before the first message that has it."""
        if self.flag_texts.keywords != self.keywords_told:
            self.tell_flags()

    def flags_response(self, number: int, uid: int, flags: int, modseq: int, with_uid: bool) -> bytes:
        """An untagged FETCH with the flags of one message."""
        parts = b"* %d FETCH (" % number
        if with_uid or self.qresync:  # [RFC7162 3.2.4]: with QRESYNC every FETCH has the UID
            parts += b"UID %d " % uid
        parts += b"FLAGS (%s)" % self.flags_text(uid, flags)
        if self.condstore:
            parts += b" MODSEQ (%d)" % modseq
        return parts + b")\r\n"

    def announce(self, *, expunge: bool, uid: bool = False) -> None:
        """Tell what has happened to the selected mailbox."""
        selection, view = self.selection, self.view
        if selection is None or view is None:
            return
        if selection.has_changes():
            view.absorb(selection.take_changes())
        updates = view.announce(expunge=expunge)
        if updates is NO_UPDATES:
            return
        if updates.vanished:
            # VANISHED takes the place of EXPUNGE once QRESYNC is enabled [RFC7162 3.2.10]
            self.channel.write(encode_vanished(updates.vanished) if self.qresync else encode_expunges(updates.expunged))
        if updates.exists is not None:
            self.channel.write(encode_exists(updates.exists))
            if not self.rev2:
                self.channel.write(encode_recent(self.recent_count()))
        if updates.flags:
            self.tell_new_keywords()
            snapshot = selection.snapshot
            self.channel.write(
                b"".join(
                    [
                        self.flags_response(number, snapshot.uids[at], snapshot.flags[at], snapshot.modseqs[at], uid)
                        for number, at in updates.flags
                    ]
                )
            )

    # The selected mailbox

    async def leave_mailbox(self, *, tell: bool = False) -> None:
        """No mailbox is selected any more; nothing is expunged. ``tell``: with ``* OK [CLOSED]`` [RFC9051 7.1]."""
        selection = self.selection
        if selection is None:
            return
        self.selection = self.view = None
        self.flag_texts = FlagTexts([])
        self.connection.state = State.AUTHENTICATED
        if tell:
            self.ok(b"Previous mailbox closed.", CLOSED)
        await selection.close()
