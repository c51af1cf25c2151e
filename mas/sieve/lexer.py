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
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Lexeme:
    """One token. ``text``: identifier and tag in lower case (tag without colon), the decoded string, the message of an ERROR."""

    kind: Token
    offset: int
    text: str = ""
    number: int = 0


_SPACE = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)+")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TAG = re.compile(r":([A-Za-z_][A-Za-z0-9_]*)")
_NUMBER = re.compile(r"([0-9]+)([A-Za-z_]*)")
_QUOTED = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_MULTILINE = re.compile(r"text:[ \t]*(?:#[^\n]*)?\r?\n", re.IGNORECASE)
_MULTILINE_END = re.compile(r"^\.\r?(?:\n|\Z)", re.MULTILINE)
_LONE_LF = re.compile(r"(?<!\r)\n")
_PUNCTUATION = {
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


def tokenize(text: str, limits: Limits) -> list[Lexeme]:
    """All tokens of a script, the last one END; at most ``limits.max_tokens``. One pass: linear in the length of the text."""
    found: list[Lexeme] = []
    at, end = 0, len(text)
    # What holds nothing but mistakes is not read to its end.
    errors = _MAX_ERRORS
    while at < end and errors:
        if found and found[-1].kind is Token.ERROR:
            errors -= 1
        if len(found) >= limits.max_tokens:
            found.append(Lexeme(Token.ERROR, at, f"script has more than {limits.max_tokens} words, strings and signs"))
            break
        char = text[at]
        if char in " \t\r\n#":
            match = _SPACE.match(text, at)
            assert match
            at = match.end()
        elif char in _PUNCTUATION:
            found.append(Lexeme(_PUNCTUATION[char], at))
            at += 1
        elif char == '"':
            at = _quoted(text, at, limits, found)
        elif char == ":":
            match = _TAG.match(text, at)
            if match:
                found.append(Lexeme(Token.TAG, at, match[1].lower()))
                at = match.end()
            else:
                found.append(Lexeme(Token.ERROR, at, "':' must be followed by the name of a tag"))
                at += 1
        elif char.isascii() and (char.isalpha() or char == "_"):
            match = _MULTILINE.match(text, at)
            if match:
                at = _multiline(text, at, match.end(), limits, found)
            else:
                match = _WORD.match(text, at)
                assert match
                found.append(Lexeme(Token.IDENTIFIER, at, match[0].lower()))
                at = match.end()
        elif char.isascii() and char.isdigit():
            at = _number(text, at, found)
        elif text.startswith("/*", at):
            close = text.find("*/", at + 2)
            if close < 0:
                found.append(Lexeme(Token.ERROR, at, "comment is not closed: '*/' is missing"))
                at = end
            else:
                at = close + 2
        else:
            found.append(Lexeme(Token.ERROR, at, f"unexpected character {char!r}"))
            at += 1
    found.append(Lexeme(Token.END, end))
    return found


def _quoted(text: str, at: int, limits: Limits, found: list[Lexeme]) -> int:
    match = _QUOTED.match(text, at)
    if not match:
        found.append(Lexeme(Token.ERROR, at, "string is not closed: '\"' is missing"))
        return len(text)
    value = match[1]
    if "\\" in value:
        value = _ESCAPE.sub(r"\1", value)
    _string(value, at, limits, found)
    return match.end()


def _multiline(text: str, at: int, start: int, limits: Limits, found: list[Lexeme]) -> int:
    end = _MULTILINE_END.search(text, start)
    if not end:
        found.append(Lexeme(Token.ERROR, at, "multi-line text is not closed: a line with only '.' is missing"))
        return len(text)
    value = text[start : end.start()]
    if value.startswith("."):
        value = value[1:]
    _string(value.replace("\n.", "\n"), at, limits, found)
    return end.end()


def _string(value: str, at: int, limits: Limits, found: list[Lexeme]) -> None:
    if "\0" in value:
        found.append(Lexeme(Token.ERROR, at, "string contains a NUL character"))
    elif len(value) > limits.max_string:
        found.append(Lexeme(Token.ERROR, at, f"string is longer than {limits.max_string} characters"))
    else:
        if "\n" in value:
            value = _LONE_LF.sub("\r\n", value)
        found.append(Lexeme(Token.STRING, at, value))


def _number(text: str, at: int, found: list[Lexeme]) -> int:
    match = _NUMBER.match(text, at)
    assert match
    digits, suffix = match[1], match[2].lower()
    if suffix not in _QUANTIFIER:
        found.append(Lexeme(Token.ERROR, at, f"number has an unknown quantifier {match[2]!r}: K, M or G"))
    elif len(digits) > _MAX_DIGITS or (value := int(digits) << _QUANTIFIER[suffix]) > MAX_NUMBER:
        found.append(Lexeme(Token.ERROR, at, "number is too large"))
    else:
        found.append(Lexeme(Token.NUMBER, at, match[0], value))
    return match.end()
