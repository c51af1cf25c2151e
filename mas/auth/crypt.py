"""The system's crypt(3), through ctypes: the one door that frees the GIL while it hashes.

The stdlib's ``crypt`` (gone in Python 3.13) and its successors hold the GIL, so that one 500,000-round SHA512-CRYPT stalls the
event loop for a quarter of a second whatever thread it runs in. ctypes drops the GIL around the call. libxcrypt also does yescrypt.
Where no ``crypt_r`` can be loaded (macOS), libpass does the formats it knows.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import partial
from typing import Final

_CRYPT_DATA: Final = 256 * 1024
"""Octets for ``struct crypt_data``: libxcrypt's is 32 KiB, old glibc's 131,232."""

_LIBRARIES: Final = ("libcrypt.so.1", "libcrypt.so.2", "libcrypt.so", None)
"""Tried in order; None is the program itself (musl has crypt_r in its libc)."""

Crypt = Callable[[bytes, bytes], bytes | None]


def _load() -> Crypt | None:
    for name in _LIBRARIES:
        try:
            function = ctypes.CDLL(name).crypt_r
        except (OSError, AttributeError, TypeError):
            continue
        function.restype = ctypes.c_char_p
        function.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
        return partial(_crypt_r, function)
    return None


def _crypt_r(function: Callable[..., bytes | None], password: bytes, setting: bytes) -> bytes | None:
    scratch = ctypes.create_string_buffer(_CRYPT_DATA)
    try:
        return function(password, setting, scratch)
    finally:
        ctypes.memset(scratch, 0, _CRYPT_DATA)


def libpass_crypt(password: bytes, setting: bytes) -> bytes | None:
    """crypt(3) of the formats that libpass computes itself: DES, ``$1$``, ``$5$``, ``$6$``; ``$2?$`` by bcrypt. None: unknown."""
    import bcrypt
    from passlib import hash as formats

    text = setting.decode("ascii")
    if text.startswith(("$2a$", "$2b$", "$2y$")):
        return bcrypt.hashpw(password[:72], setting[:29])
    by_prefix = (("$6$", formats.sha512_crypt), ("$5$", formats.sha256_crypt), ("$1$", formats.md5_crypt))
    handler = next((found for prefix, found in by_prefix if text.startswith(prefix)), None)
    if handler is None:
        if text.startswith(("$", "_", "*")):
            return None
        handler = formats.des_crypt
    result: str = handler.genhash(password, text)
    return result.encode("ascii")


SYSTEM: Final[Crypt | None] = _load()


def crypt(password: bytes, setting: bytes) -> bytes | None:
    """Hash ``password`` with the method, cost and salt at the head of ``setting`` (a whole stored hash will do).

    Returns None when the setting is no format this host can compute, or is malformed. Slow on purpose: only in the hash pool.
    Raises ValueError for a NUL in either, which C would take as the end.
    """
    if b"\0" in password or b"\0" in setting:
        raise ValueError("NUL in password or hash")
    try:
        result = SYSTEM(password, setting) if SYSTEM is not None else libpass_crypt(password, setting)
    except (ValueError, UnicodeDecodeError):
        return None
    # "*0" and "*1" are libxcrypt's failure tokens; glibc answers NULL.
    return None if not result or result.startswith(b"*") else result
