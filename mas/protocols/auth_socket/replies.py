"""Answers to octets, pure; the order of fields is Dovecot's."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from mas.protocols.auth_socket.connection import MAJOR, MINOR

_PROPERTIES = {
    "PLAIN": "plaintext",
    "LOGIN": "plaintext",
    "CRAM-MD5": "dictionary\tactive",
    "SCRAM-SHA-1": "mutual-auth",
    "SCRAM-SHA-256": "mutual-auth",
    "OAUTHBEARER": "plaintext",
    "XOAUTH2": "plaintext",
}
"""What Dovecot says of a mechanism; Postfix filters by it (``smtpd_sasl_security_options``)."""
_ESCAPES = str.maketrans({"\0": "\x010", "\x01": "\x011", "\t": "\x01t", "\r": "\x01r", "\n": "\x01n"})


def handshake(mechanisms: Sequence[str], pid: int, connection: int, cookie: str) -> bytes:
    """What a client gets at once. ``cookie``: 32 hexadecimal digits that nobody can guess."""
    offered = "".join(f"MECH\t{name}\t{_PROPERTIES.get(name, '')}".rstrip("\t") + "\n" for name in mechanisms)
    return f"VERSION\t{MAJOR}\t{MINOR}\n{offered}SPID\t{pid}\nCUID\t{connection}\nCOOKIE\t{cookie}\nDONE\n".encode()


def ok(number: int, user: str, *, master: str = "", data: bytes = b"") -> bytes:
    """The login is right. ``master``: who has logged in as ``user``; ``data``: what goes to the client with the success."""
    words = [f"OK\t{number}", f"user={escaped(user)}", *_master(master)]
    if data:
        words.append(f"resp={base64.b64encode(data).decode()}")
    return "\t".join(words).encode() + b"\n"


def _master(name: str) -> list[str]:
    return [f"original_user={escaped(name)}", f"auth_user={escaped(name)}"] if name else []


def cont(number: int, challenge: bytes) -> bytes:
    """A challenge."""
    return b"CONT\t%d\t%s\n" % (number, base64.b64encode(challenge))


def fail(
    number: int, *, user: str = "", code: str = "", temporary: bool = False, reason: str = "", master: str = ""
) -> bytes:
    """No. ``temporary``: nobody knows whether the password is right. Beyond Dovecot's ``code=temp_fail`` it has a reason, since Postfix
    knows no code: it answers 535 either way, and with a reason its text at least says that it will pass."""
    words = [f"FAIL\t{number}"]
    if user:
        words.append(f"user={escaped(user)}")
    if temporary:
        words += ["code=temp_fail", "reason=Temporary authentication failure"]
    if code:
        words.append(f"code={code}")
    words += _master(master)
    if reason:
        words.append(f"reason={escaped(reason)}")
    return "\t".join(words).encode("utf-8", "replace") + b"\n"


def escaped(text: str) -> str:
    """Without what ends a field or a line."""
    return text.translate(_ESCAPES)
