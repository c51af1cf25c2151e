r"""Character classes and terminals of IMAP, each under its rule.  [RFC9051 9] [RFC5234 B.1]

Every class is a ``frozenset`` of octets (what tests measure over all 256) and a regular-expression fragment made from it (what the cursor
runs on). Deviations are told where the cursor allows them, not here.
"""

from __future__ import annotations

import re


def _pattern(octets: frozenset[int]) -> bytes:
    """The regular-expression class of these octets, runs as ranges."""
    pieces = []
    ordered = sorted(octets)
    start = previous = ordered[0]
    for octet in [*ordered[1:], -1]:
        if octet != previous + 1:
            pieces.append(b"\\x%02x-\\x%02x" % (start, previous))
            start = octet
        previous = octet
    return b"[" + b"".join(pieces) + b"]"


# CHAR = %x01-7F    CTL = %x00-1F / %x7F
CHAR = frozenset(range(0x01, 0x80))
CTL = frozenset(range(0x20)) | {0x7F}

# list-wildcards = "%" / "*"
LIST_WILDCARDS = frozenset(b"%*")

# quoted-specials = DQUOTE / "\"
QUOTED_SPECIALS = frozenset(b'"\\')

# resp-specials = "]"
RESP_SPECIALS = frozenset(b"]")

# atom-specials = "(" / ")" / "{" / SP / CTL / list-wildcards / quoted-specials / resp-specials
ATOM_SPECIALS = frozenset(b"(){ ") - frozenset(b"}") | CTL | LIST_WILDCARDS | QUOTED_SPECIALS | RESP_SPECIALS

# ATOM-CHAR = <any CHAR except atom-specials>
ATOM_CHAR = CHAR - ATOM_SPECIALS

# ASTRING-CHAR = ATOM-CHAR / resp-specials
ASTRING_CHAR = ATOM_CHAR | RESP_SPECIALS

# tag = 1*<any ASTRING-CHAR except "+">
TAG_CHAR = ASTRING_CHAR - frozenset(b"+")

# list-char = ATOM-CHAR / list-wildcards / resp-specials
LIST_CHAR = ATOM_CHAR | LIST_WILDCARDS | RESP_SPECIALS

# TEXT-CHAR = <any CHAR except CR and LF>
TEXT_CHAR = CHAR - frozenset(b"\r\n")

# QUOTED-CHAR = <any TEXT-CHAR except quoted-specials> / "\" quoted-specials / UTF8-2 / UTF8-3 / UTF8-4
# Here: the octets that stand for themselves; those above 0x7F are the UTF8 branches, checked by whoever decodes the string.
QUOTED_PLAIN = (TEXT_CHAR - QUOTED_SPECIALS) | frozenset(range(0x80, 0x100))

# Octets of a sequence-set:  DIGIT / "*" / ":" / "," / "$"
SEQUENCE_CHAR = frozenset(b"0123456789*:,$")

ATOM = re.compile(_pattern(ATOM_CHAR) + b"+")
ASTRING = re.compile(_pattern(ASTRING_CHAR) + b"+")
LIST_MAILBOX = re.compile(_pattern(LIST_CHAR) + b"+")
TAG = re.compile(_pattern(TAG_CHAR) + b"+")
SEQUENCE_SET = re.compile(_pattern(SEQUENCE_CHAR) + b"+")

# quoted = DQUOTE *QUOTED-CHAR DQUOTE
QUOTED = re.compile(
    b'"(' + _pattern(QUOTED_PLAIN) + b'*(?:\\\\["\\\\]' + _pattern(QUOTED_PLAIN) + b'*)*)"',
)

# number64 = 1*DIGIT, at most 63 bits
NUMBER = re.compile(rb"[0-9]{1,19}(?![0-9])")

# literal  = "{" number64 ["+"] "}" CRLF *CHAR8      literal8 = "~{" number64 "}" CRLF *OCTET
LITERAL = re.compile(rb"(~?)\{([0-9]{1,20})(\+?)\}\r\n")

# flag = "\Answered" / ... / flag-keyword / flag-extension      flag-extension = "\" atom
FLAG = re.compile(rb"\\?" + _pattern(ATOM_CHAR) + b"+")

# command = tag SP (name …) CRLF: the tag, the name with its "UID", and where the arguments begin.
# Deviation: several SP after the tag or between UID and the name; Dovecot takes them.
COMMAND = re.compile(
    b"(" + _pattern(TAG_CHAR) + rb"+) +((?:[Uu][Ii][Dd] +)?" + _pattern(ATOM_CHAR) + rb"+)(?: +|$)",
)
