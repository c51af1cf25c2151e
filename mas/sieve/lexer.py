"""Characters to tokens. [RFC5228 8.1]

    identifier     = (ALPHA / "_") *(ALPHA / DIGIT / "_")       here also with "." between: vnd.example.thing needs no quotes in no grammar,
                                                                so a dot is an error with a place
    tag            = ":" identifier
    number         = 1*DIGIT [ QUANTIFIER ]          QUANTIFIER = "K" / "M" / "G"
    quoted-string  = DQUOTE quoted-text DQUOTE
    multi-line     = "text:" *(SP / HTAB) (hash-comment / CRLF) *(multiline-literal / multiline-dotstart) "." CRLF
    hash-comment   = "#" *octet-not-crlf CRLF        bracket-comment = "/*" *not-star 1*STAR ... "/"

Never raises: what fits no rule becomes an ERROR token that says why, and scanning goes on behind it, so that one run finds every mistake.
A script's line ends may be CRLF or LF; texts of strings keep CRLF, and a lone LF in them becomes CRLF, as it will stand in a mail.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field

from mas.sieve.limits import Limits


class Token(enum.Enum):
    """Kinds of tokens; their values are how an error message names them."""

    IDENTIFIER = "identifier"
    TAG = "tag"
    NUMBER = "number"
    STRING = "string"
    LBRACKET = "'['"
    RBRACKET = "']'"
    LPAREN = "'('"
    RPAREN = "')'"
    LBRACE = "'{'"
    RBRACE = "'}'"
    COMMA = "','"
    SEMICOLON = "';'"
    ERROR = "error"
    END = "end of script"


@dataclass(slots=True)
class Tokens:
    """Tokens as three columns of one length: kind, place, and value (a column is several times as fast as an object a token).

    values: an identifier or tag in lower case (tag without colon), the decoded string, a number, the message of an ERROR; else empty.
    errors: how many are ERROR.
    """

    kinds: list[Token] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    values: list[str | int] = field(default_factory=list)
    errors: int = 0

    def add(self, kind: Token, offset: int, value: str | int = "") -> None:
        """One more token."""
        self.errors += kind is Token.ERROR
        self.kinds.append(kind)
        self.offsets.append(offset)
        self.values.append(value)


# At every place one alternative fits, the last if no other: so blanks before it are never given back, and finditer leaves no gaps.
_TOKEN = re.compile(
    r"""[ \t\r\n]*
    (?: ([\[\](){},;])                            # 1 a sign
      | "([^"\\]*(?:\\.[^"\\]*)*)"                # 2 a quoted string
      | :([A-Za-z_][A-Za-z0-9_]*)                # 3 a tag
      | ([Tt][Ee][Xx][Tt]:[ \t]*(?:\#[^\n]*)?\r?\n)    # 4 the first line of a multi-line
      | ([A-Za-z_][A-Za-z0-9_]*)                 # 5 an identifier
      | ([0-9]+)([A-Za-z_]*)                     # 6, 7 a number
      | (\#[^\n]*|/\*.*?\*/)                      # 8 a comment
      | (.)                                      # 9 what fits no rule
      | \Z
    )""",
    re.DOTALL | re.VERBOSE,
)
_SIGN, _QUOTED, _TAG, _MULTILINE, _IDENTIFIER, _NUMBER, _COMMENT, _OTHER = 1, 2, 3, 4, 5, 7, 8, 9
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_MULTILINE_END = re.compile(r"^\.\r?(?:\n|\Z)", re.MULTILINE)
_LONE_LF = re.compile(r"(?<!\r)\n")
_SIGNS = {
    "[": Token.LBRACKET,
    "]": Token.RBRACKET,
    "(": Token.LPAREN,
    ")": Token.RPAREN,
    "{": Token.LBRACE,
    "}": Token.RBRACE,
    ",": Token.COMMA,
    ";": Token.SEMICOLON,
}
_QUANTIFIER = {"": 0, "k": 10, "m": 20, "g": 30}
MAX_NUMBER = (1 << 63) - 1
_MAX_DIGITS = 19
_MAX_ERRORS = 1000


def tokenize(text: str, limits: Limits) -> Tokens:
    """All tokens of a script, the last one END; at most ``limits.max_script_tokens``. One pass: linear in the length of the text."""
    found = Tokens()
    at: int | None = 0
    while at is not None:
        at = _scan(text, at, limits, found)
    found.add(Token.END, len(text))
    return found


def _scan(text: str, at: int, limits: Limits, found: Tokens) -> int | None:
    """Tokens up to the next multi-line; returns where it ends, None at the end of all."""
    kinds, kind_of, place, value_of = found.kinds, found.kinds.append, found.offsets.append, found.values.append
    identifier, tag, string, signs, most = Token.IDENTIFIER, Token.TAG, Token.STRING, _SIGNS, limits.max_script_tokens
    for match in _TOKEN.finditer(text, at):
        group = match.lastindex
        if group is None:
            return None
        if len(kinds) >= most:
            if group == _COMMENT:
                continue
            found.add(
                Token.ERROR, match.start(), f"script has more than {most} words, strings and signs (max_script_tokens)"
            )
            return None
        if group == _SIGN:
            kind_of(signs[match[1]])
            place(match.start(1))
            value_of("")
        elif group == _QUOTED:
            value = match[2]
            if value.isprintable() and "\\" not in value and len(value) <= limits.max_string:
                kind_of(string)
                place(match.start(2) - 1)
                value_of(value)
            else:
                if "\\" in value:
                    value = _ESCAPE.sub(r"\1", value)
                _string(value, match.start(2) - 1, limits, found)
        elif group == _IDENTIFIER:
            kind_of(identifier)
            place(match.start(5))
            value_of(match[5].lower())
        elif group == _TAG:
            kind_of(tag)
            place(match.start(3) - 1)
            value_of(match[3].lower())
        elif group == _NUMBER:
            _number(match[6], match[7], match.start(6), found)
        elif group == _MULTILINE:
            return _multiline(text, match.start(4), match.end(), limits, found)
        elif group == _OTHER and _other(text, match.start(9), found):
            return None
    return None


def _other(text: str, at: int, found: Tokens) -> bool:
    """An error where nothing fits; true when there is nothing to scan behind it."""
    char = text[at]
    if char == '"':
        found.add(Token.ERROR, at, "string is not closed: '\"' is missing")
        return True
    if text.startswith("/*", at):
        found.add(Token.ERROR, at, "comment is not closed: '*/' is missing")
        return True
    found.add(
        Token.ERROR,
        at,
        "':' must be followed by the name of a tag" if char == ":" else f"unexpected character {char!r}",
    )
    # What holds nothing but mistakes is not read to its end.
    return found.errors >= _MAX_ERRORS


def _multiline(text: str, at: int, start: int, limits: Limits, found: Tokens) -> int | None:
    end = _MULTILINE_END.search(text, start)
    if not end:
        found.add(Token.ERROR, at, "multi-line text is not closed: a line with only '.' is missing")
        return None
    value = text[start : end.start()]
    if value.startswith("."):
        value = value[1:]
    _string(value.replace("\n.", "\n"), at, limits, found)
    return end.end()


def _string(value: str, at: int, limits: Limits, found: Tokens) -> None:
    if "\0" in value:
        found.add(Token.ERROR, at, "string contains a NUL character")
    elif len(value) > limits.max_string:
        found.add(Token.ERROR, at, f"string is longer than {limits.max_string} characters")
    else:
        if "\n" in value:
            value = _LONE_LF.sub("\r\n", value)
        found.add(Token.STRING, at, value)


def _number(digits: str, quantifier: str, at: int, found: Tokens) -> None:
    suffix = quantifier.lower()
    if suffix not in _QUANTIFIER:
        found.add(Token.ERROR, at, f"number has an unknown quantifier {quantifier!r}: K, M or G")
    elif len(digits) > _MAX_DIGITS or (value := int(digits) << _QUANTIFIER[suffix]) > MAX_NUMBER:
        found.add(Token.ERROR, at, "number is too large")
    else:
        found.add(Token.NUMBER, at, value)
