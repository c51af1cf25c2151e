"""Password schemes: every stored form that a Dovecot host may hold, verified; the good ones written.

    stored   = ["{" scheme ["." encoding] "}"] value
    encoding = "hex" / "b64" / "base64"                ; any case

Without ``{scheme}`` a value that starts with ``$1$`` is MD5-CRYPT, any other has the configured default scheme. Without an encoding a
digest is base64 or hex by its length. Promises: comparisons take constant time; an unknown scheme or an undecodable value is SchemeError,
never a match and never "wrong password"; an empty password matches only an empty cleartext one; NUL never matches.
``verify_stored`` and ``generate`` burn CPU for up to seconds: call them in the pool (``mas.auth.hashing``).
Must not know: databases, the event loop.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import argon2
import bcrypt

from mas.auth.crypt import crypt
from mas.auth.digests import cram_md5_states, md4
from mas.auth.scram import ALGORITHMS, ScramKeys, encode_scram, parse_scram, rounds, scram_keys
from mas.errors import MasError

SCRAM_ITERATIONS: Final = 4096
"""As Dovecot writes them; ``auth.scram_iterations`` has the same default, so that nobody can be told from who does not exist."""
BCRYPT_MAX: Final = 72
"""Octets that bcrypt looks at. bcrypt 5 raises above it, crypt(3) and so Dovecot cut: cut."""


class SchemeError(MasError):
    """A stored password that cannot be judged: unknown scheme, bad encoding, a hash this host cannot compute. Shows no secret."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored password, split. ``scheme`` upper case without encoding; ``encoding`` "", "HEX" or "B64"; ``value`` as it was."""

    scheme: str
    encoding: str
    value: str

    def __repr__(self) -> str:
        return f"Stored({self.scheme})"


@dataclass(frozen=True, slots=True)
class Scheme:
    """verify(password, raw value, user) -> match; generate(password, user) -> raw value, None where MAS will not write it.

    encoding: how the raw value is written by default ("" as it is); size: octets of the raw value when fixed, else 0.
    """

    verify: Callable[[bytes, bytes, str], bool]
    generate: Callable[[bytes, str], bytes] | None
    encoding: str = ""
    size: int = 0


def split(stored: str, default: str) -> Stored:
    """Take the ``{SCHEME}`` off. Raises SchemeError for an unknown encoding suffix; an unknown scheme is found by verify_stored."""
    scheme = default
    value = stored
    if stored.startswith("$1$") and (end := stored.find("$", 3)) >= 0:
        # $1$salt$hash, and whatever may follow another "$" is no part of it.
        scheme, value = "MD5-CRYPT", stored[:cut] if (cut := stored.find("$", end + 1)) >= 0 else stored
    elif stored.startswith("{") and (end := stored.find("}")) >= 0:
        scheme, value = stored[1:end], stored[end + 1 :]
    name, dot, suffix = scheme.upper().partition(".")
    if dot and suffix not in _ENCODINGS:
        raise SchemeError(f"unknown password encoding {suffix[:20]!r} of scheme {name[:40]!r}")
    return Stored(name, _ENCODINGS.get(suffix, ""), value)


_ENCODINGS: Final = {"HEX": "HEX", "B64": "B64", "BASE64": "B64"}


def verify_stored(password: bytes, stored: Stored, user: str) -> bool:
    """Whether ``password`` is the stored one. ``user`` (full name) is part of a DIGEST-MD5 hash. Raises SchemeError."""
    scheme = _find(stored.scheme)
    if b"\0" in password:
        return False
    raw = _decode(stored, scheme)
    if not password:
        return stored.scheme in CLEAR and raw == b""
    return scheme.verify(password, raw, user)


def generate(password: bytes, scheme: str, user: str = "", *, scram_iterations: int = SCRAM_ITERATIONS) -> str:
    """``{SCHEME}value`` for ``mas pw`` and ``mas user passwd``. Raises SchemeError: unknown, never written, NUL or empty password."""
    if not password or b"\0" in password:
        raise SchemeError("a password must not be empty nor hold NUL")
    name, dot, suffix = scheme.upper().partition(".")
    if dot and suffix not in _ENCODINGS:
        raise SchemeError(f"unknown password encoding {suffix!r}")
    found = _find(name)
    if found.generate is None:
        raise SchemeError(f"{name} is verified, but not written: take ARGON2ID, BLF-CRYPT or SCRAM-SHA-256")
    if name in ALGORITHMS:
        raw = encode_scram(scram_keys(password, ALGORITHMS[name], secrets.token_bytes(16), scram_iterations))
    else:
        raw = found.generate(password, user)
    encoding = _ENCODINGS.get(suffix, found.encoding)
    if encoding == "HEX":
        return f"{{{scheme.upper()}}}{raw.hex()}"
    if encoding == "B64":
        return f"{{{scheme.upper()}}}{base64.b64encode(raw).decode()}"
    return f"{{{scheme.upper()}}}{raw.decode('utf-8', 'surrogateescape')}"


def scram_secret(stored: Stored, scheme: str) -> ScramKeys | bytes | None:
    """What serves SCRAM with ``scheme``: its stored keys, or a password in the clear to make them of; None: only PLAIN can judge it.

    Raises SchemeError.
    """
    if stored.scheme in CLEAR:
        return _decode(stored, _find(stored.scheme))
    if stored.scheme != scheme:
        return None
    return _keys(_decode(stored, _find(scheme)), ALGORITHMS[scheme])


def cram_secret(stored: Stored) -> bytes | None:
    """What serves CRAM-MD5: the 32 octets of ``cram_md5_states``; None: nothing does. Raises SchemeError."""
    if stored.scheme in CLEAR:
        return _cram_key(_decode(stored, _find(stored.scheme)))
    if stored.scheme in ("CRAM-MD5", "HMAC-MD5"):
        return _decode(stored, _find(stored.scheme))
    return None


def _find(name: str) -> Scheme:
    try:
        return SCHEMES[name]
    except KeyError:
        raise SchemeError(f"unknown password scheme {name[:40]!r}") from None


def _decode(stored: Stored, scheme: Scheme) -> bytes:
    encoding = stored.encoding or scheme.encoding
    if not stored.encoding and scheme.size:
        encoding = "HEX" if len(stored.value) == 2 * scheme.size else "B64"
    data = stored.value.encode("utf-8", "surrogateescape")
    try:
        if encoding == "HEX":
            data = bytes.fromhex(stored.value)
        elif encoding == "B64":
            data = base64.b64decode(data, validate=True)
    except (ValueError, binascii.Error):
        raise SchemeError(f"{stored.scheme} value is not valid {encoding.lower()}") from None
    if scheme.size and len(data) != scheme.size:
        raise SchemeError(f"{stored.scheme} value has {len(data)} octets instead of {scheme.size}")
    return data


# Cleartext


def _verify_plain(password: bytes, raw: bytes, user: str) -> bool:
    return hmac.compare_digest(password, raw)


def _verify_plain_trunc(password: bytes, raw: bytes, user: str) -> bool:
    """PLAIN-TRUNC: ``<length>-<prefix>``; a prefix of exactly that length stands for every password that starts with it."""
    match = re.match(rb"(\d{1,9})-(.*)\Z", raw, re.DOTALL)
    if match is None:
        raise SchemeError("PLAIN-TRUNC value has no length")
    length, prefix = int(match[1]), match[2]
    if length == len(prefix):
        return length > 0 and hmac.compare_digest(password[:length], prefix)
    return hmac.compare_digest(password, prefix)


def _generate_plain(password: bytes, user: str) -> bytes:
    return password


# Plain and salted digests


def _plain_digest(algorithm: Callable[[bytes], bytes], encoding: str, size: int, *, written: bool = False) -> Scheme:
    def verify(password: bytes, raw: bytes, user: str) -> bool:
        return hmac.compare_digest(algorithm(password), raw)

    def make(password: bytes, user: str) -> bytes:
        return algorithm(password)

    return Scheme(verify, make if written else None, encoding, size)


def _salted_digest(name: str, size: int, *, written: bool = False) -> Scheme:
    """digest(password salt) salt. ``SSHA`` and its kin, ``SMD5``."""

    def verify(password: bytes, raw: bytes, user: str) -> bool:
        if len(raw) < size:
            raise SchemeError("salted digest is too short")
        return hmac.compare_digest(_hash(name, password + raw[size:]), raw[:size])

    def make(password: bytes, user: str) -> bytes:
        salt = secrets.token_bytes(8)
        return _hash(name, password + salt) + salt

    return Scheme(verify, make if written else None, "B64")


def _hash(name: str, data: bytes) -> bytes:
    return hashlib.new(name, data, usedforsecurity=False).digest()


def _digest(name: str) -> Callable[[bytes], bytes]:
    return lambda data: _hash(name, data)


# crypt(3) and its kin


def _verify_crypt(password: bytes, raw: bytes, user: str) -> bool:
    """Every crypt scheme takes every crypt format, as in Dovecot: the value itself says which."""
    if re.match(rb"\$2[aby]\$", raw):
        return _verify_bcrypt(password, raw, user)
    if b"\0" in raw:
        raise SchemeError("crypt value holds NUL")
    computed = crypt(password, raw) if raw else None
    if computed is not None:
        return hmac.compare_digest(computed, raw)
    if raw.startswith(b"$"):
        # Deviation: Dovecot calls it a mismatch. But the user typed nothing wrong, and the operator should hear of it.
        raise SchemeError("crypt value is malformed or of a kind this host cannot compute")
    return False  # "", "!", "*", "!$6$…": the ways of shadow(5) to lock an account


def _verify_bcrypt(password: bytes, raw: bytes, user: str) -> bool:
    try:
        return bcrypt.checkpw(password[:BCRYPT_MAX], raw)
    except ValueError:
        raise SchemeError("malformed bcrypt value") from None


def _verify_md5(password: bytes, raw: bytes, user: str) -> bool:
    """``MD5`` means ``$1$`` crypt when it looks so, else a plain MD5 digest in hex or base64."""
    if raw.startswith(b"$1$"):
        return _verify_crypt(password, raw, user)
    return verify_stored(password, Stored("PLAIN-MD5", "", raw.decode("utf-8", "surrogateescape")), user)


_SALT: Final = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def _salt(length: int) -> str:
    return "".join(secrets.choice(_SALT) for _ in range(length))


def _generate_crypt(setting: str, salt: int) -> Callable[[bytes, str], bytes]:
    def make(password: bytes, user: str) -> bytes:
        computed = crypt(password, f"{setting}{_salt(salt)}".encode())
        if computed is None:
            raise SchemeError("this host's crypt(3) cannot make it")
        return computed

    return make


def _generate_bcrypt(password: bytes, user: str) -> bytes:
    """Raises SchemeError above 72 octets: verifying must cut, but nobody should be told that a longer password was set."""
    if len(password) > BCRYPT_MAX:
        raise SchemeError(f"bcrypt looks at {BCRYPT_MAX} octets of a password only: take ARGON2ID for this one")
    return bcrypt.hashpw(password, bcrypt.gensalt(10, b"2b")).replace(b"$2b$", b"$2y$", 1)


# Argon2, PBKDF2, SCRAM


def _verify_argon2(password: bytes, raw: bytes, user: str) -> bool:
    kind = argon2.Type.ID if raw.startswith(b"$argon2id$") else argon2.Type.I
    try:
        return argon2.low_level.verify_secret(raw, password, kind)
    except argon2.exceptions.VerifyMismatchError:
        return False
    except (argon2.exceptions.Argon2Error, ValueError):
        raise SchemeError("malformed Argon2 value") from None


def _generate_argon2(kind: argon2.Type, memory: int, time: int) -> Callable[[bytes, str], bytes]:
    """Numbers as Dovecot takes them (libsodium's "interactive"), so that it verifies them in its default memory limit as well."""

    def make(password: bytes, user: str) -> bytes:
        return argon2.low_level.hash_secret(password, secrets.token_bytes(16), time, memory, 1, 32, kind)

    return make


def _rounds(text: bytes) -> int:
    try:
        return rounds(text)
    except ValueError as error:
        raise SchemeError(str(error)) from None


def _verify_pbkdf2(password: bytes, raw: bytes, user: str) -> bool:
    """``$1$salt$rounds$hex``: PBKDF2-HMAC-SHA1, 20 octets, the salt as it is written."""
    parts = raw.split(b"$")
    if len(parts) != 5 or parts[0] or parts[1] != b"1":
        raise SchemeError("PBKDF2 value is not $1$salt$rounds$hash")
    try:
        expected = bytes.fromhex(parts[4].decode("ascii"))
    except ValueError:
        raise SchemeError("PBKDF2 hash is not hex") from None
    if len(expected) != 20:
        raise SchemeError("PBKDF2 hash has not 20 octets")
    computed = hashlib.pbkdf2_hmac("sha1", password, parts[2], _rounds(parts[3]), 20)
    return hmac.compare_digest(computed, expected)


def _generate_pbkdf2(password: bytes, user: str) -> bytes:
    salt = _salt(16).encode()
    rounds = 100_000
    return b"$1$%s$%d$%s" % (salt, rounds, hashlib.pbkdf2_hmac("sha1", password, salt, rounds, 20).hex().encode())


def _keys(raw: bytes, algorithm: str) -> ScramKeys:
    try:
        return parse_scram(raw, algorithm)
    except ValueError as error:
        raise SchemeError(str(error)) from None


def _scram(algorithm: str) -> Scheme:
    def verify(password: bytes, raw: bytes, user: str) -> bool:
        keys = _keys(raw, algorithm)
        computed = scram_keys(password, algorithm, keys.salt, keys.iterations)
        return hmac.compare_digest(computed.stored_key, keys.stored_key)

    def make(password: bytes, user: str) -> bytes:
        return encode_scram(scram_keys(password, algorithm, secrets.token_bytes(16), SCRAM_ITERATIONS))

    return Scheme(verify, make)


# Challenge-response keys


def _cram_key(password: bytes) -> bytes:
    return cram_md5_states(password if len(password) <= 64 else _hash("md5", password))


def _digest_md5(password: bytes, user: str) -> bytes:
    name, _, realm = user.partition("@")
    return _hash("md5", f"{name}:{realm}:".encode("utf-8", "surrogateescape") + password)


def _generate_digest_md5(password: bytes, user: str) -> bytes:
    if not user:
        raise SchemeError("DIGEST-MD5 needs the user name")
    return _digest_md5(password, user)


def _verify_digest_md5(password: bytes, raw: bytes, user: str) -> bool:
    return hmac.compare_digest(_digest_md5(password, user), raw)


_PLAIN: Final = Scheme(_verify_plain, _generate_plain)
_CRAM_MD5: Final = Scheme(
    lambda password, raw, user: hmac.compare_digest(_cram_key(password), raw),
    lambda password, user: _cram_key(password),
    "HEX",
    32,
)

CLEAR: Final = frozenset({"PLAIN", "CLEAR", "CLEARTEXT"})

SCHEMES: Final[dict[str, Scheme]] = {
    "ARGON2ID": Scheme(_verify_argon2, _generate_argon2(argon2.Type.ID, 65536, 3)),
    "ARGON2I": Scheme(_verify_argon2, _generate_argon2(argon2.Type.I, 32768, 4)),
    "BLF-CRYPT": Scheme(_verify_crypt, _generate_bcrypt),
    "BLOWFISH": Scheme(_verify_crypt, _generate_bcrypt),
    "SHA512-CRYPT": Scheme(_verify_crypt, _generate_crypt("$6$rounds=50000$", 16)),
    "SHA256-CRYPT": Scheme(_verify_crypt, _generate_crypt("$5$rounds=50000$", 16)),
    "CRYPT": Scheme(_verify_crypt, _generate_bcrypt),
    "MD5-CRYPT": Scheme(_verify_crypt, None),
    "DES-CRYPT": Scheme(_verify_crypt, None),
    "MD5": Scheme(_verify_md5, None),
    "PBKDF2": Scheme(_verify_pbkdf2, _generate_pbkdf2),
    "SCRAM-SHA-1": _scram("sha1"),
    "SCRAM-SHA-256": _scram("sha256"),
    "SHA": _plain_digest(_digest("sha1"), "B64", 20),
    "SHA1": _plain_digest(_digest("sha1"), "B64", 20),
    "SHA256": _plain_digest(_digest("sha256"), "B64", 32),
    "SHA512": _plain_digest(_digest("sha512"), "B64", 64),
    "SSHA": _salted_digest("sha1", 20),
    "SSHA256": _salted_digest("sha256", 32),
    "SSHA512": _salted_digest("sha512", 64, written=True),
    "SMD5": _salted_digest("md5", 16),
    "LDAP-MD5": _plain_digest(_digest("md5"), "B64", 16),
    "PLAIN-MD5": _plain_digest(_digest("md5"), "HEX", 16),
    "PLAIN-MD4": _plain_digest(md4, "HEX", 16),
    "CRAM-MD5": _CRAM_MD5,
    "HMAC-MD5": _CRAM_MD5,
    "DIGEST-MD5": Scheme(_verify_digest_md5, _generate_digest_md5, "HEX", 16),
    "PLAIN": _PLAIN,
    "CLEAR": _PLAIN,
    "CLEARTEXT": _PLAIN,
    "PLAIN-TRUNC": Scheme(_verify_plain_trunc, None),
}

CHEAP: Final = frozenset(SCHEMES) - {
    name
    for name in SCHEMES
    if "CRYPT" in name or name.startswith(("ARGON2", "PBKDF2", "SCRAM")) or name in ("BLOWFISH", "MD5")
}
"""Schemes that cost microseconds: no need of the pool."""
