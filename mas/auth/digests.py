"""MD4, and MD5's inner state: what hashlib does not give. Only for hashes that user databases still hold; nothing new is made with MD4.

OpenSSL 3 hides MD4. Dovecot's CRAM-MD5 scheme stores HMAC-MD5's two states after the key block (RFC 2195's hint), which needs the
compression function alone. Inputs are passwords of at most a few KB, so plain Python is enough: 50 µs a block.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Final

State = tuple[int, int, int, int]

_MASK: Final = 0xFFFFFFFF
_START: Final[State] = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476)
_SINES: Final = [int(abs(math.sin(i + 1)) * 2**32) & _MASK for i in range(64)]
_MD5_SHIFTS: Final = ((7, 12, 17, 22), (5, 9, 14, 20), (4, 11, 16, 23), (6, 10, 15, 21))
_MD4_SHIFTS: Final = ((3, 7, 11, 19), (3, 5, 9, 13), (3, 9, 11, 15))
_MD4_ORDER: Final[tuple[Sequence[int], ...]] = (
    range(16),
    (0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15),
    (0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15),
)
_MD4_ADD: Final = (0, 0x5A827999, 0x6ED9EBA1)


def _rotate(value: int, bits: int) -> int:
    value &= _MASK
    return (value << bits | value >> (32 - bits)) & _MASK


def _plus(state: State, a: int, b: int, c: int, d: int) -> State:
    return (state[0] + a) & _MASK, (state[1] + b) & _MASK, (state[2] + c) & _MASK, (state[3] + d) & _MASK


def md5_block(state: State, block: bytes) -> State:
    """One step of MD5 over 64 octets (RFC 1321 3.4)."""
    words = struct.unpack("<16I", block)
    a, b, c, d = state
    for i in range(64):
        turn = i // 16
        if turn == 0:
            mixed, k = (b & c) | (~b & d), i
        elif turn == 1:
            mixed, k = (d & b) | (~d & c), (5 * i + 1) % 16
        elif turn == 2:
            mixed, k = b ^ c ^ d, (3 * i + 5) % 16
        else:
            mixed, k = c ^ (b | (~d & _MASK)), (7 * i) % 16
        a, b, c, d = d, (b + _rotate(a + mixed + _SINES[i] + words[k], _MD5_SHIFTS[turn][i % 4])) & _MASK, b, c
    return _plus(state, a, b, c, d)


def _md4_block(state: State, block: bytes) -> State:
    words = struct.unpack("<16I", block)
    a, b, c, d = state
    for turn in range(3):
        for i, k in enumerate(_MD4_ORDER[turn]):
            if turn == 0:
                mixed = (b & c) | (~b & d)
            elif turn == 1:
                mixed = (b & c) | (b & d) | (c & d)
            else:
                mixed = b ^ c ^ d
            a, b, c, d = d, _rotate(a + mixed + words[k] + _MD4_ADD[turn], _MD4_SHIFTS[turn][i % 4]), b, c
    return _plus(state, a, b, c, d)


def md4(data: bytes) -> bytes:
    """MD4 of ``data``, 16 octets (RFC 1320)."""
    padded = data + b"\x80" + b"\0" * ((55 - len(data)) % 64) + struct.pack("<Q", 8 * len(data))
    state = _START
    for at in range(0, len(padded), 64):
        state = _md4_block(state, padded[at : at + 64])
    return struct.pack("<4I", *state)


def cram_md5_states(key: bytes) -> bytes:
    """HMAC-MD5's outer and inner state after the block of a key of at most 64 octets: the 32 octets that Dovecot stores for CRAM-MD5."""
    block = key.ljust(64, b"\0")
    outer = md5_block(_START, bytes(octet ^ 0x5C for octet in block))
    inner = md5_block(_START, bytes(octet ^ 0x36 for octet in block))
    return struct.pack("<8I", *outer, *inner)


def cram_md5_digest(states: bytes, message: bytes) -> bytes:
    """HMAC-MD5 of ``message`` from the 32 octets of ``cram_md5_states``: 16 octets [RFC2104 2]."""
    outer, inner = struct.unpack("<4I", states[:16]), struct.unpack("<4I", states[16:])
    return _finish(outer, _finish(inner, message))


def _finish(state: tuple[int, ...], data: bytes) -> bytes:
    """MD5 of one block that gave ``state``, and ``data``."""
    padded = data + b"\x80" + b"\0" * ((55 - len(data)) % 64) + struct.pack("<Q", 8 * (64 + len(data)))
    a, b, c, d = state
    now: State = (a, b, c, d)
    for at in range(0, len(padded), 64):
        now = md5_block(now, padded[at : at + 64])
    return struct.pack("<4I", *now)
