"""LIST in all its forms, LSUB, XLIST, NAMESPACE.  [RFC9051 6.3.9, 6.3.10] [RFC5258] [RFC5819] [RFC6154] [RFC3501 6.3.9]

Choices that the RFCs leave, taken as clients know them: special-use attributes are told in every LIST, LSUB is answered by name only,
levels that are no mailbox are ``\\Noselect`` in a plain LIST, and a mailbox that is subscribed and gone is listed by LSUB and
LIST (SUBSCRIBED) alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from mas.protocols.imap.commands import List, ListOptions, Lsub, Namespace, StatusItem, Xlist
from mas.protocols.imap.encode import encode_list, encode_namespace
from mas.protocols.imap.handlers.status import status_line
from mas.protocols.imap.mailbox_name import compile_pattern
from mas.protocols.imap.responses import ListData
from mas.protocols.imap.state import Done, Session
from mas.storage.model import INBOX, MailboxInfo, MailboxName

Matcher = Callable[[str], bool]


async def handle_list(session: Session, command: List) -> Done:
    """LIST [RFC9051 6.3.9]."""
    account, options = session.mail, command.options
    if not command.extended and command.patterns == ("",):
        # The separator and the root of the reference [RFC9051 6.3.9].
        session.list_line(b"LIST", ListData(MailboxName(""), (b"\\Noselect",), account.separator))
        return Done(b"List completed.")
    matches = _matcher(command.reference, command.patterns, account.separator)
    infos = listing = await account.list()
    asked = (command.reference, command.patterns, options, command.extended, session.utf8)
    memo = session.list_memo
    if memo is not None and memo[0] is listing and memo[1] == asked:
        session.channel.write(memo[2])
        return Done(b"List completed.")
    if options.select_subscribed or options.return_subscribed:
        infos = _with_missing(infos, await account.subscriptions(), account.separator, options.select_subscribed)
    listed = [info for info in infos if matches(info.name) and _selected(info, options)]
    children = _child_info(infos, listed, matches, options, account.separator) if options.recursive_match else {}
    by_name = {info.name: info for info in infos}
    listed += [
        by_name.get(name) or _missing(name, False, True) for name in children if name not in {i.name for i in listed}
    ]
    if options.recursive_match:
        listed.sort(key=lambda info: (info.name != INBOX, info.name))
    if options.return_status is None and not (options.select_subscribed or options.return_subscribed or children):
        lines = b"".join([_line(session, info, command) for info in listed])
        session.list_memo = (listing, asked, lines)
        session.channel.write(lines)
        return Done(b"List completed.")
    statuses = {}
    if options.return_status is not None:
        names = [info.name for info in listed if info.selectable]
        statuses = dict(zip(names, await account.status(names), strict=True))
    for info in listed:
        gone = options.return_status is not None and info.selectable and statuses.get(info.name) is None
        attributes = list_attributes(
            info, command.options, extended=command.extended, selectable=info.selectable and not gone
        )
        session.list_line(
            b"LIST",
            ListData(info.name, attributes, account.separator, ("SUBSCRIBED",) if info.name in children else ()),
        )
        status = statuses.get(info.name)
        if status is not None and options.return_status is not None:
            session.channel.write(status_line(session, info.name, options.return_status, status))
    if options.return_status is not None and StatusItem.HIGHESTMODSEQ in options.return_status:
        session.enable_condstore()
    return Done(b"List completed.")


def _line(session: Session, info: MailboxInfo, command: List) -> bytes:
    attributes = list_attributes(info, command.options, extended=command.extended, selectable=info.selectable)
    return encode_list(ListData(info.name, attributes, session.mail.separator), session.utf8)


async def handle_lsub(session: Session, command: Lsub) -> Done:
    """LSUB [RFC3501 6.3.9]: subscribed names whether they exist or not; with ``%`` also levels above them, as \\Noselect."""
    account = session.mail
    matches = _matcher(command.reference, (command.pattern,), account.separator)
    subscribed = await account.subscriptions()
    uses = {info.name: info.special_use for info in await account.list()}
    names = sorted(set(subscribed), key=lambda name: (name != INBOX, name))
    listed = {name: tuple(sorted(use.encode() for use in uses.get(name, ()))) for name in names if matches(name)}
    if command.pattern is not None and command.pattern.endswith("%"):
        for name in names:
            for level in _levels(name, account.separator):
                if level not in listed and matches(level):
                    listed[level] = (b"\\Noselect",)
    for name, attributes in listed.items():
        session.list_line(b"LSUB", ListData(name, attributes, account.separator))
    return Done(b"Lsub completed.")


async def handle_xlist(session: Session, command: Xlist) -> Done:
    """XLIST: LIST with \\Inbox and special-use attributes, for Outlook 2013 and 2016."""
    account = session.mail
    matches = _matcher(command.reference, (command.pattern,), account.separator)
    for info in await account.list():
        if matches(info.name):
            attributes = list_attributes(info, ListOptions(), extended=False, selectable=info.selectable)
            if info.name == INBOX:
                attributes += (b"\\Inbox",)
            session.list_line(b"XLIST", ListData(info.name, attributes, account.separator))
    return Done(b"Xlist completed.")


async def handle_namespace(session: Session, command: Namespace) -> Done:
    """NAMESPACE [RFC9051 6.3.10]: one personal namespace, no others."""
    session.channel.write(encode_namespace(session.mail.separator))
    return Done(b"Namespace completed.")


async def mailbox_line(session: Session, name: MailboxName) -> None:
    """The LIST line of one mailbox, as SELECT tells it in IMAP4rev2 [RFC9051 6.3.2]."""
    account = session.mail
    for info in await account.list():
        if info.name == name:
            attributes = list_attributes(info, ListOptions(), extended=False, selectable=info.selectable)
            session.list_line(b"LIST", ListData(name, attributes, account.separator))


def list_attributes(info: MailboxInfo, options: ListOptions, *, extended: bool, selectable: bool) -> tuple[bytes, ...]:
    """Attributes in the order in which clients have always seen them [RFC9051 7.3.1]."""
    attributes = []
    if info.subscribed and (options.select_subscribed or options.return_subscribed):
        attributes.append(b"\\Subscribed")
    if not selectable:
        missing = not info.mailbox_id and not info.has_children and options.select_subscribed
        attributes.append(b"\\NonExistent" if extended and (missing or not info.mailbox_id) else b"\\Noselect")
    attributes.append(b"\\HasChildren" if info.has_children else b"\\HasNoChildren")
    attributes += sorted(use.encode() for use in info.special_use)
    return tuple(attributes)


def _matcher(reference: str, patterns: Iterable[str | None], separator: str) -> Matcher:
    compiled = [compile_pattern(reference, pattern, separator) for pattern in patterns]
    if len(compiled) == 1:
        return compiled[0]
    return lambda name: any(matches(name) for matches in compiled)


def _missing(name: MailboxName, subscribed: bool, has_children: bool) -> MailboxInfo:
    return MailboxInfo(name, selectable=False, subscribed=subscribed, has_children=has_children)


def _with_missing(
    infos: Sequence[MailboxInfo], subscribed: Sequence[MailboxName], separator: str, wanted: bool
) -> Sequence[MailboxInfo]:
    """Mailboxes with the subscribed ones that do not exist, in order: those are \\NonExistent [RFC9051 6.3.9.2]."""
    if not wanted:
        return infos
    known = {info.name for info in infos}
    missing = [
        _missing(name, True, any(other.startswith(name + separator) for other in known))
        for name in subscribed
        if name not in known
    ]
    return sorted([*infos, *missing], key=lambda info: (info.name != INBOX, info.name)) if missing else infos


def _selected(info: MailboxInfo, options: ListOptions) -> bool:
    """Whether a mailbox satisfies the selection options [RFC9051 6.3.9.1]."""
    if options.select_subscribed and not info.subscribed:
        return False
    return not options.select_special_use or bool(info.special_use)


def _levels(name: str, separator: str) -> list[MailboxName]:
    """The superior names of a name, nearest first."""
    levels = []
    while separator in name:
        name = name.rpartition(separator)[0]
        levels.append(MailboxName(name))
    return levels


def _child_info(
    infos: Sequence[MailboxInfo],
    listed: Sequence[MailboxInfo],
    matches: Matcher,
    options: ListOptions,
    separator: str,
) -> Mapping[MailboxName, None]:
    """Names that match and have an inferior that satisfies the selection options [RFC9051 6.3.9.6]: told with CHILDINFO, when that
    inferior is not listed itself or the name is listed anyway."""
    shown = {info.name for info in listed}
    found: dict[MailboxName, None] = {}
    for info in infos:
        if _selected(info, options):
            for level in _levels(info.name, separator):
                if matches(level) and (level in shown or info.name not in shown):
                    found[level] = None
    return found
