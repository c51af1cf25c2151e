"""Answers to octets, pure; the order of fields is Dovecot's: uid, gid, home, then the rest."""

from __future__ import annotations

from collections.abc import Mapping

from mas.protocols.auth_socket.replies import escaped


def handshake(pid: int) -> bytes:
    """What a client gets at once."""
    return b"VERSION\t1\t1\nSPID\t%d\n" % pid


def user(number: int, name: str, fields: Mapping[str, str]) -> bytes:
    """A user that is there."""
    words = ["USER", str(number), escaped(name), *_fields(fields)]
    return "\t".join(words).encode("utf-8", "replace") + b"\n"


def passed(number: int, fields: Mapping[str, str]) -> bytes:
    """What a login is told."""
    return "\t".join(["PASS", str(number), *_fields(fields)]).encode("utf-8", "replace") + b"\n"


def not_found(number: int) -> bytes:
    """No such user."""
    return b"NOTFOUND\t%d\n" % number


def fail(number: int) -> bytes:
    """Nobody knows: the database does not answer."""
    return b"FAIL\t%d\n" % number


def listed(number: int, name: str) -> bytes:
    """One of the users."""
    return f"LIST\t{number}\t{escaped(name)}\n".encode("utf-8", "replace")


def done(number: int, *, failed: bool = False) -> bytes:
    """The end of the list."""
    return b"DONE\t%d\t%s\n" % (number, b"fail" if failed else b"")


def _fields(fields: Mapping[str, str]) -> list[str]:
    # A field without a value is a word that stands for "yes".
    return [f"{escaped(name)}={escaped(value)}" if value else escaped(name) for name, value in fields.items()]
