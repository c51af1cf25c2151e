"""LMTP commands as values, and how their lines are read.  [RFC2033] [RFC5321 4.1.2] [RFC6531 3.3]

    command      = verb [SP arguments] CRLF
    reverse-path = path / "<>"
    path         = "<" [a-d-l ":"] mailbox ">"
    mailbox      = local-part ["@" (domain / address-literal)]
    local-part   = dot-string / quoted-string
    parameters   = *(SP esmtp-keyword ["=" esmtp-value])

Deviations, all towards what is already in use: a local part may stand alone (users without a domain, ``<postmaster>``); dot-strings may
have dots anywhere (``a..b@``: phone providers have such addresses); white space between ``FROM:`` and the path is taken [RFC5321 3.3
forbids it, hand-written clients send it].

A line that cannot be read is a BadCommand with the reply codes it deserves. Pure: no state, no lookups.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Address:
    """A mailbox of an envelope. ``local_part`` is unquoted; ``domain`` is empty when there is none."""

    local_part: str
    domain: str = ""

    def __str__(self) -> str:
        """As it is written between ``<`` and ``>``, quoted where it must be."""
        local = self.local_part
        if not _DOT_STRING.fullmatch(local):
            local = '"' + re.sub(r'(["\\])', r"\\\1", local) + '"'
        return f"{local}@{self.domain}" if self.domain else local

    @property
    def is_ascii(self) -> bool:
        return self.local_part.isascii() and self.domain.isascii()


@dataclass(frozen=True, slots=True)
class Lhlo:
    domain: str


@dataclass(frozen=True, slots=True)
class Mail:
    """``reverse_path`` None is the null reverse path ``<>``. ``size`` 0 = not said."""

    reverse_path: Address | None
    size: int = 0
    smtputf8: bool = False
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rcpt:
    """``original`` is the address of ORCPT [RFC3461 4.2], decoded; empty without one."""

    forward_path: Address
    original: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Data:
    pass


@dataclass(frozen=True, slots=True)
class Bdat:
    """``size`` octets follow the line, whatever is thought of it [RFC3030 2]."""

    size: int
    last: bool = False


@dataclass(frozen=True, slots=True)
class Rset:
    pass


@dataclass(frozen=True, slots=True)
class Noop:
    pass


@dataclass(frozen=True, slots=True)
class Vrfy:
    argument: str


@dataclass(frozen=True, slots=True)
class Help:
    pass


@dataclass(frozen=True, slots=True)
class Quit:
    pass


@dataclass(frozen=True, slots=True)
class StartTls:
    pass


@dataclass(frozen=True, slots=True)
class BadCommand:
    """A line that is no command: reply code, enhanced status code [RFC3463], text."""

    code: int
    status: str
    text: str


Command = Lhlo | Mail | Rcpt | Data | Bdat | Rset | Noop | Vrfy | Help | Quit | StartTls

# Classes with UTF-8 in them [RFC6531 3.3] are written as the ASCII that they leave out: Python takes a tenth of a second to compile the
# others, at each start of a command.
# atext [RFC5322 3.2.3], with dots anywhere
_DOTTED = r"""[^\x00-\x20"(),:;<>@\[\\\]\x7f]"""
_DOT_STRING = re.compile(rf"{_DOTTED}+")
# sub-domain = let-dig [ldh-str]; "_" is in use; a dot may end it
_DOMAIN = r"[^\x00-/:-@\[-^`{-\x7f][^\x00-,/:-@\[-^`{-\x7f]*"
_LITERAL = r"\[[!-Z^-~]{1,255}\]"
_PATH = re.compile(
    rf"""\s*<
    (?:@{_DOMAIN}(?:,@{_DOMAIN})*:)?                        # source route: read and forgotten [RFC5321 4.1.1.3]
    (?: (?P<dots>{_DOTTED}+)
      | "(?P<quoted>(?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*)" )
    (?:@(?P<domain>{_DOMAIN}|{_LITERAL}))?
    >""",
    re.VERBOSE,
)
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9\-]*)(?:=([^\x00-\x20=\x7f]+))?")
_LHLO = re.compile(rf"(?:{_DOMAIN}|{_LITERAL})")
_XTEXT = re.compile(r"\+([0-9A-F]{2})")
_UTF8_XTEXT = re.compile(r"\\x\{([0-9A-F]{2,6})\}")
MAX_PATH = 512
"""Octets of a path; [RFC5321 4.5.3.1.3] asks for 256 with its punctuation, UTF-8 takes more."""
MAX_SIZE_DIGITS = 20


class _Bad(Exception):
    def __init__(self, code: int, status: str, text: str) -> None:
        super().__init__(text)
        self.command = BadCommand(code, status, text)


def parse_command(line: bytes) -> Command | BadCommand:
    """Read one line, without its line end."""
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return BadCommand(500, "5.5.2", "Not UTF-8")
    verb, _, arguments = text.partition(" ")
    parse = _VERBS.get(verb) or _VERBS.get(verb.upper())
    if parse is None:
        return BadCommand(500, "5.5.1", "Unknown command")
    try:
        return parse(arguments.strip())
    except _Bad as bad:
        return bad.command


def _parse_lhlo(arguments: str) -> Lhlo:
    """``"LHLO" SP (domain / address-literal)``."""
    if len(arguments) > 255 or not _LHLO.fullmatch(arguments):
        raise _Bad(501, "5.5.4", "LHLO needs the name of the client")
    return Lhlo(arguments)


def _parse_mail(arguments: str) -> Mail:
    """``"MAIL FROM:" reverse-path [SP parameters]``."""
    if arguments[:5].upper() != "FROM:":
        raise _Bad(501, "5.5.4", "Syntax: MAIL FROM:<address>")
    rest = arguments[5:].lstrip()
    if rest[:2] == "<>":
        path, end = None, 2
    else:
        path, end = _parse_path(rest)
    if end == len(rest):
        return Mail(path)
    parameters = _parse_parameters(rest[end:])
    size = 0
    smtputf8 = False
    for name, value in parameters.items():
        if name == "SIZE":  # [RFC1870 6]
            if not value.isascii() or not value.isdigit() or len(value) > MAX_SIZE_DIGITS:
                raise _Bad(501, "5.5.4", "Bad SIZE")
            size = int(value)
        elif name == "BODY":  # [RFC6152 2]; BINARYMIME is not offered
            if value.upper() not in ("7BIT", "8BITMIME"):
                raise _Bad(501, "5.5.4", "Unknown BODY type")
        elif name == "SMTPUTF8":  # [RFC6531 3.4]
            if value:
                raise _Bad(501, "5.5.4", "SMTPUTF8 has no value")
            smtputf8 = True
        elif name == "RET":  # [RFC3461 4.3]
            if value.upper() not in ("FULL", "HDRS"):
                raise _Bad(501, "5.5.4", "Bad RET")
        elif name in ("ENVID", "AUTH"):  # [RFC3461 4.4] [RFC4954 5]: nothing here depends on them
            if not value:
                raise _Bad(501, "5.5.4", f"{name} needs a value")
        else:
            raise _Bad(555, "5.5.4", "Unsupported parameter")
    return Mail(path, size, smtputf8, parameters)


def _parse_rcpt(arguments: str) -> Rcpt:
    """``"RCPT TO:" path [SP parameters]``."""
    if arguments[:3].upper() != "TO:":
        raise _Bad(501, "5.5.4", "Syntax: RCPT TO:<address>")
    rest = arguments[3:].lstrip()
    path, end = _parse_path(rest)
    if path is None:
        raise _Bad(501, "5.1.3", "An empty recipient")
    if end == len(rest):
        return Rcpt(path)
    parameters = _parse_parameters(rest[end:])
    original = ""
    for name, value in parameters.items():
        if name == "ORCPT":
            original = _parse_orcpt(value)
        elif name == "NOTIFY":
            words = value.upper().split(",")
            if words != ["NEVER"] and not set(words) <= {"SUCCESS", "FAILURE", "DELAY"}:
                raise _Bad(501, "5.5.4", "Bad NOTIFY")
        else:
            raise _Bad(555, "5.5.4", "Unsupported parameter")
    return Rcpt(path, original, parameters)


def _parse_path(text: str) -> tuple[Address | None, int]:
    """A path at the start of ``text``, and where it ends."""
    match = _PATH.match(text)
    if match is None:
        raise _Bad(501, "5.1.3", "Bad address syntax")
    if match.end() > MAX_PATH:
        raise _Bad(501, "5.1.3", "Address is too long")
    quoted = match["quoted"]
    local = match["dots"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
    if not local:
        raise _Bad(501, "5.1.3", "Bad address syntax")
    return Address(local, match["domain"] or ""), match.end()


def _parse_parameters(text: str) -> dict[str, str]:
    """``*(SP keyword ["=" value])``; a keyword twice is an error."""
    if text[:1] != " ":
        raise _Bad(501, "5.5.4", "Syntax error after the address")
    found: dict[str, str] = {}
    for word in text.split():
        match = _PARAMETER.fullmatch(word)
        if match is None or match[1].upper() in found:
            raise _Bad(501, "5.5.4", "Bad parameters")
        found[match[1].upper()] = match[2] or ""
    return found


def _parse_orcpt(value: str) -> str:
    """``addr-type ";" xtext`` [RFC3461 4.2], ``utf-8`` with its own escapes [RFC6533 3]. The address; control characters are refused."""
    kind, mark, text = value.partition(";")
    if not mark or not kind or len(value) > MAX_PATH * 3:
        raise _Bad(501, "5.5.4", "Bad ORCPT")
    try:
        if kind.lower() == "utf-8":
            text = _UTF8_XTEXT.sub(lambda found: chr(int(found[1], 16)), text)
        text = _XTEXT.sub(lambda found: chr(int(found[1], 16)), text)
        text.encode()
    except ValueError:
        raise _Bad(501, "5.5.4", "Bad ORCPT") from None
    if not text.isprintable():
        raise _Bad(501, "5.5.4", "Bad ORCPT")
    return text


def _parse_bdat(arguments: str) -> Bdat:
    """``"BDAT" SP 1*DIGIT [SP "LAST"]``."""
    size, space, word = arguments.partition(" ")
    if not size.isascii() or not size.isdigit() or len(size) > MAX_SIZE_DIGITS or (space and word.upper() != "LAST"):
        raise _Bad(501, "5.5.4", "Syntax: BDAT size [LAST]")
    return Bdat(int(size), bool(space))


def _alone(command: Command) -> Callable[[str], Command]:
    def parse(arguments: str) -> Command:
        if arguments:
            raise _Bad(501, "5.5.4", "No arguments are allowed")
        return command

    return parse


def _refuse_smtp(arguments: str) -> Command:
    """HELO and EHLO are not LMTP [RFC2033 4.1]."""
    raise _Bad(500, "5.5.1", "This is LMTP: say LHLO")


_VERBS: Mapping[str, Callable[[str], Command]] = {
    "LHLO": _parse_lhlo,
    "MAIL": _parse_mail,
    "RCPT": _parse_rcpt,
    "DATA": _alone(Data()),
    "BDAT": _parse_bdat,
    "RSET": _alone(Rset()),
    "NOOP": lambda arguments: Noop(),
    "VRFY": Vrfy,
    "HELP": lambda arguments: Help(),
    "QUIT": _alone(Quit()),
    "STARTTLS": _alone(StartTls()),
    "HELO": _refuse_smtp,
    "EHLO": _refuse_smtp,
}
