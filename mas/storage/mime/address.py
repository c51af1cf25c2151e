"""Address lists.  [RFC5322 3.4] [RFC5322 4.4]

    address      = mailbox / group
    mailbox      = name-addr / addr-spec
    name-addr    = [display-name] "<" [obs-route] addr-spec ">"
    group        = display-name ":" [group-list] ";"
    address-list = (address *("," address)) / obs-addr-list

What is broken is not lost: clients show it, so a part that is missing becomes a placeholder, in the words that Dovecot uses
(MISSING_MAILBOX, MISSING_DOMAIN, SYNTAX_ERROR, INVALID_ROUTE), and the list ends where it cannot be read on.

Names are as written, not decoded. Nothing is parsed twice more often than three times: the work is linear.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from mas.storage.mime.header import decode_words
from mas.storage.mime.lexer import Lexer
from mas.storage.mime.wire import collapsed, nstring

MISSING_MAILBOX = b"MISSING_MAILBOX"
MISSING_DOMAIN = b"MISSING_DOMAIN"
SYNTAX_ERROR = b"SYNTAX_ERROR"
INVALID_ROUTE = b"INVALID_ROUTE"
_PLACEHOLDERS = frozenset({MISSING_MAILBOX, MISSING_DOMAIN, SYNTAX_ERROR, INVALID_ROUTE})


class Address(NamedTuple):
    """One element of an ENVELOPE address list [RFC9051 7.5.2]: a group begins with its name as mailbox, and ends with four NILs."""

    name: bytes | None
    route: bytes | None
    mailbox: bytes | None
    domain: bytes | None


GROUP_END = Address(None, None, None, None)

# The forms that nearly all mail has, at the speed of one match an address. Possessive: what fails here fails in one pass.
_ATEXT = rb"A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\xff-"
_COMMON = re.compile(
    rb'[ \t]*+(?:(?:"([^"\\]*+)"|([%(a)b][%(a)b.]*+(?:[ \t]++[%(a)b.]++)*+)|)[ \t]*+<([%(a)b.]++)@([%(a)b]++(?:\.[%(a)b]++)*+)>'
    rb"|([%(a)b.]++)@([%(a)b]++(?:\.[%(a)b]++)*+))[ \t]*+(,|\Z)" % {b"a": _ATEXT}
)


def parse_addresses(value: bytes, limit: int) -> list[Address]:
    """At most ``limit`` addresses of an unfolded value."""
    found: list[Address] = []
    at = 0
    while len(found) < limit:
        match = _COMMON.match(value, at)
        if match is None:
            return _parse_list(value[at:], limit, found)
        quoted, plain, mailbox, domain, bare_mailbox, bare_domain, comma = match.groups()
        # Python before 3.11.5, so Debian 12's, leaves in the group the blank behind the last word (a fault of its possessive repeats).
        name = quoted or (plain.rstrip(b" \t") if plain else None) or None
        if name and (b"  " in name or b"\t" in name or quoted):
            name = collapsed(name) or None
        found.append(Address(name, None, mailbox or bare_mailbox, domain or bare_domain))
        at = match.end()
        if not comma or at >= len(value):
            break
    return found


def _parse_list(value: bytes, limit: int, found: list[Address]) -> list[Address]:
    lexer = Lexer(value)
    lexer.skip()
    while lexer.at < lexer.end and len(found) < limit:
        start = lexer.at
        if not _parse_group(lexer, found, limit):
            lexer.at, lexer.failed = start, False
            found.append(_parse_mailbox(lexer))
        if lexer.peek() != b",":
            break
        lexer.at += 1
        lexer.skip()
    return found


def _parse_group(lexer: Lexer, found: list[Address], limit: int) -> bool:
    name = lexer.phrase()
    if name is None or lexer.peek() != b":":
        return False
    lexer.at += 1
    lexer.skip()
    found.append(Address(None, None, collapsed(name), None))
    if lexer.at < lexer.end and lexer.peek() != b";":
        while len(found) < limit:
            found.append(_parse_mailbox(lexer))
            if lexer.peek() != b",":
                break
            lexer.at += 1
            lexer.skip()
            if lexer.at >= lexer.end:
                break
    if lexer.peek() == b";":
        lexer.at += 1
        lexer.skip()
    found.append(GROUP_END)
    return True


def _parse_mailbox(lexer: Lexer) -> Address:
    start = lexer.at
    name = lexer.phrase()
    if name is not None and lexer.peek() == b"<":
        return _fixed(collapsed(name) or None, *_parse_angle_addr(lexer))
    lexer.at, lexer.failed = start, False
    return _fixed(*_parse_addr_spec(lexer))


def _fixed(name: bytes | None, route: bytes | None, mailbox: bytes | None, domain: bytes | None) -> Address:
    return Address(name, route, MISSING_MAILBOX if mailbox is None else mailbox, domain or MISSING_DOMAIN)


def _parse_angle_addr(lexer: Lexer) -> tuple[bytes | None, bytes | None, bytes | None]:
    """angle-addr = "<" [ "@" route ":" ] local-part "@" domain ">"; ``<>`` and ``<name>`` occur."""
    lexer.at += 1
    lexer.skip()
    route: bytes | None = None
    mailbox: bytes | None = None
    domain: bytes | None = None
    if lexer.peek() == b"@":
        route = _parse_route(lexer)
        if route is not None and lexer.peek() == b":":
            lexer.at += 1
        else:
            route = INVALID_ROUTE
        lexer.skip()
    if lexer.peek() not in (b">", b""):
        mailbox = _parse_local_part(lexer)
        if mailbox is None:
            return route, None, SYNTAX_ERROR
        if lexer.peek() == b"@":
            lexer.at += 1
            domain = lexer.domain()
    if lexer.peek() != b">":
        return route, mailbox, SYNTAX_ERROR
    lexer.at += 1
    lexer.skip()
    return route, mailbox, domain


def _parse_route(lexer: Lexer) -> bytes | None:
    """obs-domain-list = "@" domain *("," ["@" domain])."""
    domains: list[bytes] = []
    while lexer.peek() == b"@":
        lexer.at += 1
        domain = lexer.domain()
        if domain is None:
            return None
        domains.append(b"@" + domain)
        while lexer.peek() == b",":
            lexer.at += 1
            lexer.skip()
    return b",".join(domains)


def _parse_local_part(lexer: Lexer) -> bytes | None:
    """local-part = dot-atom / quoted-string, with dots wherever they are: phones have such addresses."""
    if lexer.peek() == b'"':
        return lexer.quoted_string()
    parts: list[bytes] = []
    while lexer.at < lexer.end:
        if lexer.peek() == b".":
            parts.append(b".")
            lexer.at += 1
            lexer.skip()
            continue
        if parts and lexer.peek() == b"@":
            break
        atom = lexer.atom()
        if atom is None:
            return None
        parts.append(atom)
        if lexer.peek() != b".":
            break
    return b"".join(parts) or None


def _parse_addr_spec(lexer: Lexer) -> tuple[bytes | None, bytes | None, bytes | None, bytes | None]:
    """addr-spec = local-part "@" domain; a comment behind it is taken for the name, as people wrote it before there were names."""
    lexer.comment = b""
    start = lexer.at
    mailbox = _parse_local_part(lexer)
    domain: bytes | None = None
    at_sign = lexer.peek() == b"@"
    if at_sign:
        lexer.at += 1
        domain = lexer.domain()
    if lexer.comment:
        return collapsed(lexer.comment), None, mailbox, domain
    if not at_sign and not lexer.failed:
        # A single word is a mailbox; words with something behind them are a name.
        behind = lexer.at
        rest = lexer.phrase()
        if rest:
            return collapsed(lexer.data[start:behind].replace(b'"', b"") + b" " + rest), None, None, None
    return None, None, mailbox, domain


def encode_addresses(addresses: list[Address]) -> bytes:
    """env-from etc. = "(" 1*address ")" / nil."""
    if not addresses:
        return b"NIL"
    return b"(%b)" % b"".join(
        b"(%b %b %b %b)" % (nstring(a.name), nstring(a.route), nstring(a.mailbox), nstring(a.domain)) for a in addresses
    )


_NAME_NEEDS_QUOTES = re.compile(rb'[()<>\[\]:;@\\,."]')


def _text(address: Address) -> bytes:
    """``name <mailbox@domain>``, not decoded; the placeholders of broken addresses are not in it."""
    name, _, mailbox, domain = address
    spec = b"" if mailbox is None or mailbox in _PLACEHOLDERS else mailbox
    if domain is not None and domain not in _PLACEHOLDERS:
        spec = b"%b@%b" % (spec, domain)
    if name is None:
        return spec
    if _NAME_NEEDS_QUOTES.search(name):
        name = b'"%b"' % name.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return b"%b <%b>" % (name, spec)


def addresses_text(addresses: list[Address]) -> str:
    """The whole list as one decoded text, as FROM and TO searches see it: ``A <a@b>, Group: c@d;``."""
    if not addresses:
        return ""
    out: list[bytes] = []
    separator = b""
    for address in addresses:
        if address.mailbox is None:
            out.append(b";")
            separator = b", "
        elif address.domain is None:
            out.append(separator + address.mailbox + b":")
            separator = b" "
        else:
            out.append(separator + _text(address))
            separator = b", "
    return decode_words(b"".join(out))
