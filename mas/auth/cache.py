"""Looked-up accounts, kept a while: most logins never reach the database, and go on while it is down.

An entry is a row (or None: no such user), bounded in octets over all entries, oldest use out first. Beside a password's hash the entry may
hold a *proof*: a keyed BLAKE2b of the password that was right and the stored hash it was right for, under a random key of this process. A
web mailer that logs in for every page then costs microseconds instead of a tenth of a second. The password itself is not kept.

A wrong password on a kept row is worth a new look each time: it may have been changed a moment ago, and beside the hash that every guess
costs the look-up is nothing. (Dovecot looks again only after a right one, so that a password that was just reset stays wrong for
``cache_negative_ttl``.) An expired entry stays until it is replaced or pushed out: it serves while the database does not answer.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final

from mas.auth.database import Row

_OVERHEAD: Final = 600
"""Octets that an entry costs beside its texts: objects, dict, list links."""


@dataclass(slots=True)
class Entry:
    """What the database said, and the proof of the password that was right."""

    row: Row | None
    since: float
    size: int
    proof: bytes = b""


class Cache:
    """Rows by key, least recently used out first."""

    def __init__(self, size: int, ttl: float, negative_ttl: float, clock: Callable[[], float] = time.monotonic) -> None:
        """size: octets, 0 = keep nothing. ttl, negative_ttl: seconds that a row, or the lack of one, is good for."""
        self.limit = size
        self.size = 0
        self.hits = 0
        self.misses = 0
        self._ttl = ttl
        self._negative_ttl = negative_ttl
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._entries: OrderedDict[Hashable, Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable) -> Entry | None:
        """The entry, fresh or not."""
        entry = self._entries.get(key)
        if entry is None:
            self.misses += 1
            return None
        self.hits += 1
        self._entries.move_to_end(key)
        return entry

    def is_fresh(self, entry: Entry) -> bool:
        """Whether the entry may be used without asking the database."""
        return self._clock() - entry.since < (self._negative_ttl if entry.row is None else self._ttl)

    def put(self, key: Hashable, row: Row | None) -> Entry:
        """Keep what the database said just now. Returns the entry, also when it is too big to be kept."""
        size = _OVERHEAD + len(repr(key)) + (sum(len(k) + len(v) for k, v in row.items()) if row else 0)
        entry = Entry(row, self._clock(), size)
        if (old := self._entries.pop(key, None)) is not None:
            self.size -= old.size
        if size <= self.limit:
            self._entries[key] = entry
            self.size += size
            while self.size > self.limit:
                self.size -= self._entries.popitem(last=False)[1].size
        return entry

    def prove(self, entry: Entry, password: bytes, stored: str) -> None:
        """Remember that the password was right for this stored value."""
        entry.proof = self._proof(password, stored)

    def is_proven(self, entry: Entry, password: bytes, stored: str) -> bool:
        """Whether exactly this password was right for exactly this stored value."""
        return bool(entry.proof) and hmac.compare_digest(entry.proof, self._proof(password, stored))

    def _proof(self, password: bytes, stored: str) -> bytes:
        text = stored.encode("utf-8", "surrogateescape")
        return hashlib.blake2b(len(text).to_bytes(4, "big") + text + password, key=self._key, digest_size=32).digest()

    def flush(self, user: str = "") -> int:
        """Forget the entries of a user (keys are tuples that hold the name), or all. Returns how many."""
        keys = [key for key in self._entries if not user or (isinstance(key, tuple) and user in key)]
        for key in keys:
            self.size -= self._entries.pop(key).size
        return len(keys)
