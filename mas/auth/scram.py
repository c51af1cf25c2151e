"""SCRAM's keys: what a server keeps of a password, and a salt for those of whom it keeps nothing.  [RFC5802 3] Pure.

A stored value is ``iterations,salt,StoredKey,ServerKey``, the last three in base64, as Dovecot writes it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

ALGORITHMS: Final = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256"}
"""Password scheme and mechanism -> hash."""
MAX_ROUNDS: Final = 100_000_000


@dataclass(frozen=True, slots=True)
class ScramKeys:
    """What a server keeps for SCRAM [RFC5802 5.1]."""

    iterations: int
    salt: bytes
    stored_key: bytes
    server_key: bytes

    def __repr__(self) -> str:
        return f"ScramKeys({self.iterations} iterations)"


def rounds(text: bytes) -> int:
    """A number of iterations. Raises ValueError."""
    if not text.isdigit() or len(text) > 9 or not 0 < int(text) <= MAX_ROUNDS:
        raise ValueError("impossible number of rounds")
    return int(text)


def parse_scram(raw: bytes, algorithm: str) -> ScramKeys:
    """Raises ValueError, which says what is wrong without showing it."""
    parts = raw.split(b",")
    if len(parts) != 4:
        raise ValueError("SCRAM value is not iterations,salt,StoredKey,ServerKey")
    try:
        salt, stored_key, server_key = (base64.b64decode(part, validate=True) for part in parts[1:])
    except binascii.Error:
        raise ValueError("SCRAM value is not base64") from None
    size = hashlib.new(algorithm).digest_size
    if not salt or len(stored_key) != size or len(server_key) != size:
        raise ValueError("SCRAM keys have a wrong length")
    return ScramKeys(rounds(parts[0]), salt, stored_key, server_key)


def encode_scram(keys: ScramKeys) -> bytes:
    """The stored form."""
    encoded = (base64.b64encode(part) for part in (keys.salt, keys.stored_key, keys.server_key))
    return b"%d,%s" % (keys.iterations, b",".join(encoded))


def scram_keys(password: bytes, algorithm: str, salt: bytes, iterations: int) -> ScramKeys:
    """SaltedPassword to StoredKey and ServerKey [RFC5802 3]; burns CPU. The password is taken as it is, as Dovecot does."""
    salted = hashlib.pbkdf2_hmac(algorithm, password, salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", algorithm)
    stored_key = hashlib.new(algorithm, client_key).digest()
    return ScramKeys(iterations, salt, stored_key, hmac.digest(salted, b"Server Key", algorithm))


def made_up_salt(host_key: bytes, scheme: str, user: str) -> bytes:
    """A salt of 16 octets that is always the same for this user on this host, and that nobody can tell from a stored one: for users that
    do not exist, whose names could be found out otherwise, and for those whose password is stored in the clear."""
    text = f"{scheme}\0{user}".encode("utf-8", "surrogateescape")
    return hmac.digest(host_key, b"scram salt\0" + text, "sha256")[:16]
