"""Arguments of LIST, LSUB and XLIST.  [RFC9051 6.3.9] [RFC5258 6] [RFC5819 4] [RFC6154 2] [RFC3501 6.3.9]"""

from __future__ import annotations

from mas.protocols.imap import abnf
from mas.protocols.imap.arguments import parse_status_items
from mas.protocols.imap.commands import List, ListOptions, Lsub, StatusItem, Xlist
from mas.protocols.imap.cursor import Cursor, ParseError
from mas.protocols.imap.mailbox_name import decode_name, parse_mailbox_name

_SELECT = {
    "SUBSCRIBED": "select_subscribed",
    "REMOTE": "select_remote",
    "RECURSIVEMATCH": "recursive_match",
    "SPECIAL-USE": "select_special_use",
}
_RETURN = {
    "SUBSCRIBED": "return_subscribed",
    "CHILDREN": "return_children",
    "SPECIAL-USE": "return_special_use",
}


def parse_list(cursor: Cursor, tag: bytes) -> List:
    """Parse the arguments of LIST.  [RFC9051 9] [RFC5258 6]

    list        = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts]
    mbox-or-pat = list-mailbox / "(" list-mailbox *(SP list-mailbox) ")"
    """
    chosen: dict[str, bool] = {}
    extended = False
    if cursor.peek() == b"(":
        extended = True
        for word in _words(cursor):
            if word not in _SELECT:
                raise ParseError(f"Unknown LIST selection option {word}")
            chosen[_SELECT[word]] = True
        cursor.sp()
        if "recursive_match" in chosen and chosen.keys() <= {"recursive_match", "select_remote"}:
            raise ParseError("RECURSIVEMATCH needs another selection option")  # MUST be BAD [RFC5258 3.1]
    reference = parse_mailbox_name(cursor.astring(), cursor.utf8, cursor.max_mailbox_name)
    cursor.sp()
    patterns: list[str | None] = []
    if cursor.maybe(b"("):
        extended = True
        cursor.maybe_sp()
        while not cursor.maybe(b")"):
            patterns.append(_list_mailbox(cursor))
            if not cursor.maybe_sp() and cursor.peek() != b")":
                raise ParseError("Expected mailbox pattern")
        if not patterns:
            raise ParseError("Empty pattern list")
    else:
        patterns.append(_list_mailbox(cursor))
    status: tuple[StatusItem, ...] | None = None
    if cursor.maybe_sp() and not cursor.at_end():
        if cursor.word() != "RETURN":
            raise ParseError("Expected RETURN")
        cursor.sp()
        extended = True
        returned, status = _parse_return(cursor)
        chosen.update(returned)
    cursor.end()
    return List(tag, reference, tuple(patterns), ListOptions(return_status=status, **chosen), extended)


def _words(cursor: Cursor) -> list[str]:
    """``"(" [atom *(SP atom)] ")"`` in upper case."""
    cursor.expect(b"(")
    cursor.maybe_sp()
    words = []
    while not cursor.maybe(b")"):
        words.append(cursor.word())
        if not cursor.maybe_sp() and cursor.peek() != b")":
            raise ParseError("Expected )")
    return words


def _parse_return(cursor: Cursor) -> tuple[dict[str, bool], tuple[StatusItem, ...] | None]:
    """``list-return-opts = "RETURN" SP "(" [return-option *(SP return-option)] ")"``; return-option =/ status-option [RFC5819 4]."""
    chosen: dict[str, bool] = {}
    status: tuple[StatusItem, ...] | None = None
    cursor.expect(b"(")
    cursor.maybe_sp()
    while not cursor.maybe(b")"):
        word = cursor.word()
        if word == "STATUS":
            cursor.sp()
            status = parse_status_items(cursor)
        elif word in _RETURN:
            chosen[_RETURN[word]] = True
        else:
            raise ParseError(f"Unknown LIST return option {word}")
        if not cursor.maybe_sp() and cursor.peek() != b")":
            raise ParseError("Expected )")
    return chosen, status


def _list_mailbox(cursor: Cursor) -> str | None:
    """``list-mailbox = 1*list-char / string``; None for what can be no name (a cut modified-UTF-7 sequence)."""
    octets = (
        cursor.string() if cursor.peek() in (b'"', b"{", b"~") else cursor.token(abnf.LIST_MAILBOX, "mailbox pattern")
    )
    if len(octets) > cursor.max_mailbox_name:
        raise ParseError(f"Mailbox pattern is longer than {cursor.max_mailbox_name} octets", no=True, code=b"LIMIT")
    return decode_name(octets, cursor.utf8)


def parse_lsub(cursor: Cursor, tag: bytes) -> Lsub:
    """``lsub = "LSUB" SP mailbox SP list-mailbox``  [RFC3501 9]"""
    return Lsub(tag, *_plain(cursor))


def parse_xlist(cursor: Cursor, tag: bytes) -> Xlist:
    """As LSUB."""
    return Xlist(tag, *_plain(cursor))


def _plain(cursor: Cursor) -> tuple[str, str | None]:
    reference = parse_mailbox_name(cursor.astring(), cursor.utf8, cursor.max_mailbox_name)
    cursor.sp()
    pattern = _list_mailbox(cursor)
    cursor.end()
    return reference, pattern
