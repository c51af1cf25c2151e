"""The search program of SEARCH and UID SEARCH.  [RFC9051 6.4.4] [RFC5032] [RFC7162 3.1.5] [RFC8474 6] [RFC8514 4.3]

Keys become ``mas.storage.query`` leaves at once; sequence numbers, uids, ``$`` and RECENT stay nodes of ``commands`` that the session turns
into uids. Texts are decoded here, by the CHARSET of the command, so that nothing behind this module knows a charset.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable

from mas.protocols.imap import abnf
from mas.protocols.imap.arguments import parse_date, parse_set
from mas.protocols.imap.commands import Search, SearchReturn
from mas.protocols.imap.cursor import Cursor, ParseError
from mas.protocols.imap.search_program import Recent, SearchAnd, SearchKey, SearchNot, SearchOr, Seqnums, UidSet
from mas.storage import query
from mas.storage.model import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN

# MUST support US-ASCII and UTF-8 [RFC9051 6.4.4]; the others are what clients of the last decades send
_CHARSETS = {
    "US-ASCII": "ascii",
    "ASCII": "ascii",
    "UTF-8": "utf-8",
    "UTF8": "utf-8",
    "ISO-8859-1": "latin-1",
    "ISO-8859-15": "iso8859-15",
    "WINDOWS-1252": "cp1252",
}

_PLAIN: dict[str, SearchKey] = {
    "ALL": query.All(),
    "ANSWERED": query.SystemFlag(ANSWERED),
    "DELETED": query.SystemFlag(DELETED),
    "DRAFT": query.SystemFlag(DRAFT),
    "FLAGGED": query.SystemFlag(FLAGGED),
    "SEEN": query.SystemFlag(SEEN),
    "UNANSWERED": SearchNot(query.SystemFlag(ANSWERED)),
    "UNDELETED": SearchNot(query.SystemFlag(DELETED)),
    "UNDRAFT": SearchNot(query.SystemFlag(DRAFT)),
    "UNFLAGGED": SearchNot(query.SystemFlag(FLAGGED)),
    "UNSEEN": SearchNot(query.SystemFlag(SEEN)),
    "RECENT": Recent(),
    "NEW": SearchAnd((Recent(), SearchNot(query.SystemFlag(SEEN)))),
    "OLD": SearchNot(Recent()),
}

_HEADERS = {"BCC", "CC", "FROM", "SUBJECT", "TO"}
_DAY = datetime.timedelta(days=1)

_DateRange = Callable[[datetime.date | None, datetime.date | None], SearchKey]
_DATES: dict[str, tuple[str, _DateRange]] = {
    prefix + word: (word, make)
    for prefix, make in (("", query.InternalDate), ("SENT", query.SentDate), ("SAVED", query.SaveDate))
    for word in ("BEFORE", "ON", "SINCE")
}


def parse_search(cursor: Cursor, tag: bytes, uid: bool) -> Search:
    """Parse the arguments of SEARCH.  [RFC9051 9]

    search         = "SEARCH" [search-return-opts] SP search-program
    search-program = ["CHARSET" SP charset SP] search-key *(SP search-key)
    """
    returns = _parse_return(cursor)
    keys = _Keys(cursor)
    key = keys.program()
    cursor.end()
    return Search(tag, uid, key, returns, keys.modseq)


_RETURNS = {"MIN", "MAX", "ALL", "COUNT", "SAVE"}


def _parse_return(cursor: Cursor) -> SearchReturn | None:
    """``search-return-opts = SP "RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")"``; () is ALL [RFC9051 6.4.4]."""
    if cursor.text[cursor.place : cursor.place + 7].upper() != b"RETURN ":
        return None
    cursor.place += 7
    cursor.maybe_sp()
    cursor.expect(b"(")
    cursor.maybe_sp()
    words: set[str] = set()
    while not cursor.maybe(b")"):
        word = cursor.word()
        if word not in _RETURNS:
            raise ParseError(f"Unknown SEARCH return option {word}")
        words.add(word)
        if not cursor.maybe_sp() and cursor.peek() != b")":
            raise ParseError("Expected )")
    cursor.sp()
    return SearchReturn(
        min="MIN" in words,
        max="MAX" in words,
        all="ALL" in words or not words,
        count="COUNT" in words,
        save="SAVE" in words,
    )


class _Keys:
    """search-keys of one command, counted: depth against ``imap.max_nesting``, number against ``imap.max_search_keys``."""

    __slots__ = ("count", "cursor", "decoder", "modseq")

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.count = 0
        self.decoder = "utf-8"  # without CHARSET: rev2 says UTF-8, of which US-ASCII is a part
        self.modseq = False

    def program(self) -> SearchKey:
        cursor = self.cursor
        if cursor.text[cursor.place : cursor.place + 8].upper() == b"CHARSET ":
            cursor.place += 8
            cursor.maybe_sp()
            # charset = atom / quoted
            charset = cursor.astring().decode("ascii", "replace").upper()
            if charset not in _CHARSETS:
                raise ParseError("Unknown charset", no=True, code=b"BADCHARSET (US-ASCII UTF-8)")
            self.decoder = _CHARSETS[charset]
            cursor.sp()
        keys = [self.key(1)]
        while cursor.maybe_sp() and not cursor.at_end():
            keys.append(self.key(1))
        return keys[0] if len(keys) == 1 else SearchAnd(tuple(keys))

    def key(self, depth: int) -> SearchKey:
        """Parse one search-key.

        search-key = "ALL" / … / "NOT" SP search-key / "OR" SP search-key SP search-key / sequence-set /
                     "(" search-key *(SP search-key) ")"
        """
        cursor = self.cursor
        self.count += 1
        if self.count > cursor.max_search_keys:
            raise ParseError(f"More than {cursor.max_search_keys} search keys (imap.max_search_keys)")
        if depth > cursor.max_nesting:
            raise ParseError(f"Search keys are nested deeper than {cursor.max_nesting} (imap.max_nesting)")
        if cursor.maybe(b"("):
            cursor.maybe_sp()
            keys = [self.key(depth + 1)]
            while not cursor.maybe(b")"):
                cursor.sp()
                if cursor.maybe(b")"):
                    break
                keys.append(self.key(depth + 1))
            return keys[0] if len(keys) == 1 else SearchAnd(tuple(keys))
        if cursor.peek() in b"0123456789*$" and cursor.peek():
            return Seqnums(parse_set(cursor))
        word = cursor.word()
        plain = _PLAIN.get(word)
        if plain is not None:
            return plain
        if word == "NOT":
            cursor.sp()
            return SearchNot(self.key(depth + 1))
        if word == "OR":
            cursor.sp()
            left = self.key(depth + 1)
            cursor.sp()
            return SearchOr((left, self.key(depth + 1)))
        return self.with_argument(word)

    def with_argument(self, word: str) -> SearchKey:
        """The keys that take a text, a date, a number, a flag or a set."""
        cursor = self.cursor
        if word in _DATES:
            cursor.sp()
            return _date_key(*_DATES[word], parse_date(cursor))
        if word in _HEADERS:
            cursor.sp()
            return query.Header(word.lower(), self.text())
        if word == "SAVEDATESUPPORTED":
            return query.All()
        if word not in _ARGUMENT_KEYS:
            raise ParseError(f"Unknown search key {word}")
        cursor.sp()
        match word:
            case "BODY":
                return query.Body(self.text())
            case "TEXT":
                return query.Text(self.text())
            case "HEADER":
                name = cursor.astring()
                if not name.isascii():
                    raise ParseError("Invalid header field name")
                cursor.sp()
                return query.Header(name.decode("ascii").lower(), self.text())
            case "KEYWORD" | "UNKEYWORD":
                # flag-keyword; a system flag here is no keyword, so no message has it
                keyword = query.Keyword(cursor.token(abnf.FLAG, "keyword").decode("ascii"))
                return keyword if word == "KEYWORD" else SearchNot(keyword)
            case "LARGER":
                return query.Size(larger=cursor.number())
            case "SMALLER":
                return query.Size(smaller=cursor.number())
            case "UID":
                return UidSet(parse_set(cursor))
            case "OLDER":
                return query.Age(min_seconds=cursor.nz_number())
            case "YOUNGER":
                return query.Age(max_seconds=cursor.nz_number())
            case "EMAILID":
                return query.EmailId(cursor.astring().decode("ascii", "replace"))
            case _:
                return self.modseq_key()

    def modseq_key(self) -> SearchKey:
        """``"MODSEQ" [SP entry-name SP entry-type-req] SP mod-sequence-valzer``; the entry is not told apart [RFC7162 3.1.5]."""
        cursor = self.cursor
        if cursor.peek() == b'"':
            cursor.quoted()
            cursor.sp()
            if (kind := cursor.word()) not in ("PRIV", "SHARED", "ALL"):
                raise ParseError(f"Unknown entry type {kind}")
            cursor.sp()
        self.modseq = True
        return query.ModseqAtLeast(cursor.number())

    def text(self) -> str:
        """An astring in the charset of the command.

        Deviation: without CHARSET, or with octets that the charset has not (imap_tools, and ``CHARSET US-ASCII`` with 8-bit), the text
        is still searched for: what cannot be decoded is found nowhere.
        """
        octets = self.cursor.astring()
        try:
            return octets.decode(self.decoder)
        except UnicodeDecodeError:
            return octets.decode("utf-8", "replace")


_ARGUMENT_KEYS = frozenset(
    ["BODY", "TEXT", "HEADER", "KEYWORD", "UNKEYWORD", "LARGER", "SMALLER", "UID", "OLDER", "YOUNGER", "EMAILID", "MODSEQ"]
)  # fmt: skip


def _date_key(word: str, make: _DateRange, day: datetime.date) -> SearchKey:
    """BEFORE, ON, SINCE of one of the three dates."""
    match word:
        case "BEFORE":
            return make(None, day)
        case "SINCE":
            return make(day, None)
        case _:
            return make(day, day + _DAY if day < datetime.date.max else None)
