"""From the octets of one command to its value; and the table of commands: parser and states.  [RFC9051 6]

Everything but APPEND is parsed when it is whole. APPEND is parsed up to the literal of its first message, its messages one by one
(``parse_append``, ``parse_append_message``), since no message is ever whole in memory.
"""

from __future__ import annotations

from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from mas.protocols.framing import announced_literal
from mas.protocols.imap import abnf, commands
from mas.protocols.imap.arguments import (
    parse_date_time,
    parse_flag_list,
    parse_mailbox,
    parse_set,
    parse_status_items,
    parse_uid_set,
)
from mas.protocols.imap.cursor import Cursor, ParseError
from mas.protocols.imap.events import LiteralOffered, State
from mas.protocols.imap.mailbox_name import parse_mailbox_name
from mas.protocols.imap.parse_fetch import CACHED_LENGTH, parse_fetch, parse_store
from mas.protocols.imap.parse_list import parse_list, parse_lsub, parse_xlist
from mas.protocols.imap.parse_metadata import parse_getmetadata, parse_setmetadata
from mas.protocols.imap.parse_search import parse_search
from mas.storage.model import Flags, MailboxName

Parser = Callable[[Cursor, bytes], commands.Command]


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """One command of the table.

    parse: arguments (the cursor stands after the SP behind the name) to value.
    states: where it may come.
    """

    parse: Parser
    states: tuple[State, ...]


def _bare(make: Callable[[bytes], commands.Command]) -> Parser:
    """A command without arguments.

    Deviation: arguments are read over (``NOOP x``), as Dovecot does.
    """

    def parse(cursor: Cursor, tag: bytes) -> commands.Command:
        return make(tag)

    return parse


def _strictly_bare(make: Callable[[bytes], commands.Command]) -> Parser:
    """A command without arguments, where a reader that skips them would do harm (STARTTLS, IDLE, EXPUNGE)."""

    def parse(cursor: Cursor, tag: bytes) -> commands.Command:
        cursor.end()
        return make(tag)

    return parse


def parse_id(cursor: Cursor, tag: bytes) -> commands.Id:
    """``id = "ID" SP id_params_list``, ``id_params_list = "(" *(string SP nstring) ")" / nil``  [RFC2971 4]

    Deviation: SP inside the parentheses (aioimaplib: ``ID ( "name" "x" )``); atoms for strings.
    """
    fields: list[tuple[str, str | None]] = []
    if cursor.maybe(b"("):
        cursor.maybe_sp()
        while not cursor.maybe(b")"):
            name = cursor.astring()
            cursor.sp()
            value = cursor.nstring() if cursor.peek() in b'"{~nN' else cursor.astring()
            fields.append((_text(name).lower(), None if value is None else _text(value)))
            if not cursor.maybe_sp() and cursor.peek() != b")":
                raise ParseError("Expected )")
            if len(fields) > 30:
                raise ParseError("More than 30 ID fields")  # MUST NOT be sent [RFC2971 3.3]
    elif cursor.nstring() is not None:
        raise ParseError("Expected ( or NIL")
    cursor.end()
    return commands.Id(tag, tuple(fields))


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "replace")


def parse_authenticate(cursor: Cursor, tag: bytes) -> commands.Authenticate:
    """``authenticate = "AUTHENTICATE" SP auth-type [SP initial-resp]``, ``initial-resp = base64 / "="``"""
    mechanism = cursor.word()
    initial: bytes | None = None
    if cursor.maybe_sp() and not cursor.at_end():
        text = cursor.rest().rstrip(b" ")
        initial = b"" if text == b"=" else decode_base64(text)
    return commands.Authenticate(tag, mechanism, initial)


def decode_base64(text: bytes) -> bytes:
    """``base64 = *(4base64-char) [base64-terminal]``; raises ParseError."""
    try:
        return a2b_base64(text, strict_mode=True) if text else b""
    except Base64Error:
        raise ParseError("Invalid base64 data in SASL response") from None


def parse_login(cursor: Cursor, tag: bytes) -> commands.Login:
    """``login = "LOGIN" SP userid SP password``, both astring"""
    user = cursor.astring()
    cursor.sp()
    password = cursor.astring()
    cursor.end()
    return commands.Login(tag, user, password)


def parse_enable(cursor: Cursor, tag: bytes) -> commands.Enable:
    """``enable = "ENABLE" 1*(SP capability)``"""
    names = [cursor.word()]
    while cursor.maybe_sp() and not cursor.at_end():
        names.append(cursor.word())
    cursor.end()
    return commands.Enable(tag, tuple(names))


def _parse_select(cursor: Cursor, tag: bytes, read_only: bool) -> commands.Select:
    """Parse SELECT and EXAMINE.  [RFC4466 2.1] [RFC7162 7]

    select        = "SELECT" SP mailbox [SP "(" select-param *(SP select-param) ")"]
    select-param  = "CONDSTORE" / "QRESYNC" SP "(" uidvalidity SP mod-sequence-value
                    [SP known-uids] [SP seq-match-data] ")"
    """
    mailbox = parse_mailbox(cursor)
    condstore = False
    qresync: commands.Qresync | None = None
    if cursor.maybe_sp() and not cursor.at_end():
        cursor.expect(b"(")
        cursor.maybe_sp()
        while not cursor.maybe(b")"):
            word = cursor.word()
            if word == "CONDSTORE":
                condstore = True
            elif word == "QRESYNC" and qresync is None:
                cursor.sp()
                qresync = _parse_qresync(cursor)
            else:
                raise ParseError(f"Unknown or repeated SELECT parameter {word}")
            if not cursor.maybe_sp() and cursor.peek() != b")":
                raise ParseError("Expected )")
    cursor.end()
    return commands.Select(tag, mailbox, read_only, condstore, qresync)


def _parse_qresync(cursor: Cursor) -> commands.Qresync:
    """``seq-match-data = "(" known-sequence-set SP known-uid-set ")"``"""
    cursor.expect(b"(")
    uid_validity = cursor.nz_number()
    cursor.sp()
    modseq = cursor.number()
    known = None
    pair = None
    if cursor.maybe_sp() and cursor.peek() not in b"()":
        known = parse_uid_set(cursor)
        cursor.maybe_sp()
    if cursor.maybe(b"("):
        seqnums = parse_uid_set(cursor)
        cursor.sp()
        pair = (seqnums, parse_uid_set(cursor))
        cursor.expect(b")")
        cursor.maybe_sp()
    cursor.expect(b")")
    return commands.Qresync(uid_validity, modseq, known, pair)


def parse_select(cursor: Cursor, tag: bytes) -> commands.Select:
    """SELECT."""
    return _parse_select(cursor, tag, read_only=False)


def parse_examine(cursor: Cursor, tag: bytes) -> commands.Select:
    """EXAMINE."""
    return _parse_select(cursor, tag, read_only=True)


# use-attr  [RFC6154 6] and \Important [RFC8457 2]; INBOX is no use that a client can give away
_USES = {
    name.upper(): name
    for name in ("\\All", "\\Archive", "\\Drafts", "\\Flagged", "\\Important", "\\Junk", "\\Sent", "\\Trash")
}


def parse_create(cursor: Cursor, tag: bytes) -> commands.Create:
    """``create = "CREATE" SP mailbox [SP "(" "USE" SP "(" [use-attr *(SP use-attr)] ")" ")"]``  [RFC6154 6]"""
    name = cursor.astring()
    uses: list[str] = []
    if cursor.maybe_sp() and not cursor.at_end():
        cursor.expect(b"(")
        cursor.maybe_sp()
        while not cursor.maybe(b")"):
            if cursor.word() != "USE":
                raise ParseError("Unknown CREATE parameter")
            cursor.sp()
            cursor.expect(b"(")
            cursor.maybe_sp()
            while not cursor.maybe(b")"):
                written = cursor.token(abnf.FLAG, "special use").decode("ascii")
                use = _USES.get(written.upper())
                if use is None:
                    raise ParseError(f"Unknown special use {written}", no=True, code=b"USEATTR")  # [RFC6154 3]
                uses.append(use)
                cursor.maybe_sp()
            cursor.maybe_sp()
    cursor.end()
    mailbox = parse_mailbox_name(name, cursor.utf8, cursor.max_mailbox_name)
    return commands.Create(tag, mailbox, tuple(dict.fromkeys(uses)))


def _mailbox_command(make: Callable[[bytes, MailboxName], commands.Command]) -> Parser:
    """``name SP mailbox``"""

    def parse(cursor: Cursor, tag: bytes) -> commands.Command:
        mailbox = parse_mailbox(cursor)
        cursor.end()
        return make(tag, mailbox)

    return parse


def parse_rename(cursor: Cursor, tag: bytes) -> commands.Rename:
    """``rename = "RENAME" SP mailbox SP mailbox``"""
    mailbox = parse_mailbox(cursor)
    cursor.sp()
    to = parse_mailbox(cursor)
    cursor.end()
    return commands.Rename(tag, mailbox, to)


def parse_status(cursor: Cursor, tag: bytes) -> commands.Status:
    """``status = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")"``"""
    mailbox = parse_mailbox(cursor)
    cursor.sp()
    rest = cursor.rest()
    # Clients ask for the same items all day: parsed once, when they are short enough to be kept
    items = _cached_status_items(rest) if len(rest) <= CACHED_LENGTH else _whole_status_items(rest)
    return commands.Status(tag, mailbox, items)


def _whole_status_items(rest: bytes) -> tuple[commands.StatusItem, ...]:
    cursor = Cursor(rest)
    items = parse_status_items(cursor)
    cursor.end()
    return items


_cached_status_items = lru_cache(maxsize=256)(_whole_status_items)


def parse_getquota(cursor: Cursor, tag: bytes) -> commands.GetQuota:
    """``getquota = "GETQUOTA" SP quota-root-name``"""
    root = _text(cursor.astring())
    cursor.end()
    return commands.GetQuota(tag, root)


def parse_setquota(cursor: Cursor, tag: bytes) -> commands.SetQuota:
    """``setquota = "SETQUOTA" SP quota-root-name SP "(" [resource-name SP number64 …] ")"``"""
    root = _text(cursor.astring())
    cursor.sp()
    cursor.expect(b"(")
    limits = []
    while not cursor.maybe(b")"):
        name = cursor.word()
        cursor.sp()
        limits.append((name, cursor.number()))
        cursor.maybe_sp()
    cursor.end()
    return commands.SetQuota(tag, root, tuple(limits))


def parse_uid_expunge(cursor: Cursor, tag: bytes) -> commands.Expunge:
    """``uid-expunge = "EXPUNGE" SP sequence-set``"""
    uids = parse_set(cursor)
    cursor.end()
    return commands.Expunge(tag, uids)


def _copy_or_move(make: type[commands.Copy] | type[commands.Move], uid: bool) -> Parser:
    """``copy = "COPY" SP sequence-set SP mailbox``, ``move = "MOVE" SP sequence-set SP mailbox``"""

    def parse(cursor: Cursor, tag: bytes) -> commands.Command:
        messages = parse_set(cursor)
        cursor.sp()
        mailbox = parse_mailbox(cursor)
        cursor.end()
        return make(tag, uid, messages, mailbox)

    return parse


# APPEND, piece by piece


def parse_append(text: bytes, place: int, line: bytes, utf8: bool, max_name: int) -> tuple[MailboxName, LiteralOffered]:
    """The beginning of APPEND, up to the literal that ``line`` (its last line) announces.

    append         = "APPEND" SP mailbox 1*append-message                                     ; [RFC3502 6.3.11]
    append-message = [SP flag-list] [SP date-time] SP (literal / literal8 / "UTF8" SP "(" literal8 ")")
    """
    cursor = Cursor(text, place, utf8=utf8)
    cursor.max_mailbox_name = max_name
    mailbox = parse_mailbox(cursor)
    return mailbox, parse_append_message(cursor, line)


def parse_append_message(cursor: Cursor, line: bytes) -> LiteralOffered:
    """One append-message up to its literal, which must be the end of ``line``."""
    announced = announced_literal(line)
    cursor.sp()
    flags = Flags()
    internal_date: int | None = None
    if cursor.peek() == b"(":
        flags = parse_flag_list(cursor)
        cursor.sp()
    if cursor.peek() == b'"':
        internal_date = parse_date_time(cursor)
        cursor.sp()
    utf8 = cursor.rest()[:5].upper() == b"UTF8 "
    if utf8:
        cursor.place += 5
        cursor.maybe_sp()
        cursor.expect(b"(")
    if announced is None or cursor.rest().rstrip(b"\r\n") != line[line.rfind(b"~{" if announced.literal8 else b"{") :]:
        raise ParseError("Expected literal")
    if utf8 and not announced.literal8:
        raise ParseError("UTF8 takes a literal8")  # [RFC6855 4]
    return LiteralOffered(announced.size, flags, internal_date, announced.synchronizing, announced.literal8, utf8)


def _append_is_read_by_pieces(cursor: Cursor, tag: bytes) -> commands.Command:
    """An APPEND that is whole has no literal, hence no message."""
    raise ParseError("Expected literal")


_ANY = (State.NOT_AUTHENTICATED, State.AUTHENTICATED, State.SELECTED)
_NONAUTH = (State.NOT_AUTHENTICATED,)
_AUTH = (State.AUTHENTICATED, State.SELECTED)
_SELECT = (State.SELECTED,)

COMMANDS: dict[bytes, CommandSpec] = {
    # command-any
    b"CAPABILITY": CommandSpec(_bare(commands.Capability), _ANY),
    b"NOOP": CommandSpec(_bare(commands.Noop), _ANY),
    b"LOGOUT": CommandSpec(_bare(commands.Logout), _ANY),
    b"ID": CommandSpec(parse_id, _ANY),
    # command-nonauth
    b"STARTTLS": CommandSpec(_strictly_bare(commands.StartTls), _NONAUTH),
    b"AUTHENTICATE": CommandSpec(parse_authenticate, _NONAUTH),
    b"LOGIN": CommandSpec(parse_login, _NONAUTH),
    # command-auth
    b"ENABLE": CommandSpec(parse_enable, _AUTH),
    b"SELECT": CommandSpec(parse_select, _AUTH),
    b"EXAMINE": CommandSpec(parse_examine, _AUTH),
    b"CREATE": CommandSpec(parse_create, _AUTH),
    b"DELETE": CommandSpec(_mailbox_command(commands.Delete), _AUTH),
    b"RENAME": CommandSpec(parse_rename, _AUTH),
    b"SUBSCRIBE": CommandSpec(_mailbox_command(commands.Subscribe), _AUTH),
    b"UNSUBSCRIBE": CommandSpec(_mailbox_command(commands.Unsubscribe), _AUTH),
    b"LIST": CommandSpec(parse_list, _AUTH),
    b"LSUB": CommandSpec(parse_lsub, _AUTH),
    b"XLIST": CommandSpec(parse_xlist, _AUTH),
    b"NAMESPACE": CommandSpec(_bare(commands.Namespace), _AUTH),
    b"STATUS": CommandSpec(parse_status, _AUTH),
    b"APPEND": CommandSpec(_append_is_read_by_pieces, _AUTH),
    b"IDLE": CommandSpec(_strictly_bare(commands.Idle), _AUTH),
    b"GETQUOTA": CommandSpec(parse_getquota, _AUTH),
    b"GETQUOTAROOT": CommandSpec(_mailbox_command(commands.GetQuotaRoot), _AUTH),
    b"SETQUOTA": CommandSpec(parse_setquota, _AUTH),
    b"GETMETADATA": CommandSpec(parse_getmetadata, _AUTH),
    b"SETMETADATA": CommandSpec(parse_setmetadata, _AUTH),
    # command-select
    b"CHECK": CommandSpec(_bare(commands.Check), _SELECT),
    b"CLOSE": CommandSpec(_bare(commands.Close), _SELECT),
    b"UNSELECT": CommandSpec(_bare(commands.Unselect), _SELECT),
    b"EXPUNGE": CommandSpec(_strictly_bare(commands.Expunge), _SELECT),
    b"SEARCH": CommandSpec(lambda cursor, tag: parse_search(cursor, tag, False), _SELECT),
    b"FETCH": CommandSpec(lambda cursor, tag: parse_fetch(cursor, tag, False), _SELECT),
    b"STORE": CommandSpec(lambda cursor, tag: parse_store(cursor, tag, False), _SELECT),
    b"COPY": CommandSpec(_copy_or_move(commands.Copy, False), _SELECT),
    b"MOVE": CommandSpec(_copy_or_move(commands.Move, False), _SELECT),
    b"UID SEARCH": CommandSpec(lambda cursor, tag: parse_search(cursor, tag, True), _SELECT),
    b"UID FETCH": CommandSpec(lambda cursor, tag: parse_fetch(cursor, tag, True), _SELECT),
    b"UID STORE": CommandSpec(lambda cursor, tag: parse_store(cursor, tag, True), _SELECT),
    b"UID COPY": CommandSpec(_copy_or_move(commands.Copy, True), _SELECT),
    b"UID MOVE": CommandSpec(_copy_or_move(commands.Move, True), _SELECT),
    b"UID EXPUNGE": CommandSpec(parse_uid_expunge, _SELECT),
}
"""Every command: ``b"UID"`` and what follows it are one name."""

_HOLDS = (commands.Search, commands.Fetch, commands.Store)


def holds_expunge(command: commands.Command) -> bool:
    """Whether no EXPUNGE may be sent while this command runs: its sequence numbers are the client's.  [RFC9051 7.5.1]

    FETCH, STORE and SEARCH, but not their UID forms.
    """
    return isinstance(command, _HOLDS) and not command.uid
