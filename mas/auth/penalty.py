"""What failed logins cost an address: an answer after 2, 4, 8, 15 seconds.

The first failure is answered ``failure_delay`` after it began; each further one of the same address (a /48 for IPv6) is heard later, right
or wrong, so that hanging up early and trying again gains nothing. Trusted networks do not pay, nor does the repetition of one wrong pair
(a telephone with an old password must not lock its owner's house out), nor a pair that was right a moment ago (the cache knows it).
A login that succeeds wipes the address's count. Time is spent in ``asyncio.sleep``: no thread, no lock.
"""

from __future__ import annotations

import hashlib
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from mas.auth.interface import Attempt, CounterStore

STEPS: Final = (2.0, 4.0, 8.0, 15.0)
"""Seconds until the answer to a wrong login, by how many counted failures came before it."""
HURRIED_LIMIT: Final = 7.0
"""The most for who asks on the auth socket."""
PATIENCE: Final = 9.0
"""Seconds after which these get a temporary failure, whatever is still going on: Postfix gives up after 10 s and says 454."""
FORGET: Final = 3600.0
"""Seconds after the last failure until an address's count is forgotten."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class LocalCounters:
    """A CounterStore in this process, of bounded size: the entry that changed longest ago goes first."""

    def __init__(self, entries: int = 50_000, clock: Callable[[], float] = time.monotonic) -> None:
        self._entries = entries
        self._clock = clock
        self._counts: OrderedDict[str, tuple[int, float, float]] = OrderedDict()

    async def get(self, key: str) -> tuple[int, float]:
        """``(count, seconds since it changed)``."""
        count, changed, until = self._counts.get(key, (0, 0.0, 0.0))
        now = self._clock()
        return (count, now - changed) if count and now < until else (0, 0.0)

    async def add(self, key: str, ttl: float) -> int:
        """Count one more."""
        count = (await self.get(key))[0] + 1
        now = self._clock()
        self._counts[key] = (count, now, now + ttl)
        self._counts.move_to_end(key)
        while len(self._counts) > self._entries:
            self._counts.popitem(last=False)
        return count

    async def clear(self, key: str) -> None:
        """Forget the count."""
        self._counts.pop(key, None)


class Penalty:
    """The price list, over a CounterStore."""

    def __init__(
        self, counters: CounterStore, *, failure_delay: float = 2.0, on: bool = True, trusted: Sequence[Network] = ()
    ) -> None:
        self.failure_delay = failure_delay
        self._counters = counters
        self._on = on
        self._trusted = tuple(trusted)
        self._key_of = lru_cache(4096)(self._address_key)

    async def before(self, attempt: Attempt) -> float:
        """Seconds to wait before the password of this attempt is looked at."""
        key = self._key(attempt)
        if key is None:
            return 0.0
        count, _ = await self._counters.get(key)
        if not count:
            return 0.0
        total = STEPS[min(count, len(STEPS) - 1)]
        if attempt.hurried:
            total = min(total, HURRIED_LIMIT)
        return max(0.0, total - self.failure_delay)

    async def failed(self, attempt: Attempt, user: str, password: bytes) -> None:
        """Count a failure, unless the address has tried this very pair already."""
        key = self._key(attempt)
        if key is None:
            return
        # 32 bits, as the address is part of the key: nothing to recover a password from, and equal in every worker.
        pair = hashlib.blake2b(user.encode("utf-8", "replace") + b"\0" + password, digest_size=4, person=b"mas-penalty")
        if await self._counters.add(f"{key} {pair.hexdigest()}", FORGET) == 1:
            await self._counters.add(key, FORGET)

    async def succeeded(self, attempt: Attempt) -> None:
        """Wipe the address's count."""
        key = self._key(attempt)
        if key is not None and (await self._counters.get(key))[0]:
            await self._counters.clear(key)

    def _key(self, attempt: Attempt) -> str | None:
        """The counter of the attempt's address; None for those who do not pay."""
        return self._key_of(attempt.remote) if self._on and not attempt.no_penalty else None

    def _address_key(self, remote: str) -> str | None:
        try:
            address = mapped(ipaddress.ip_address(remote))
        except ValueError:
            return None
        if any(address.version == net.version and address in net for net in self._trusted):
            return None
        if address.version == 6:
            return f"penalty {ipaddress.ip_network((int(address) >> 80 << 80, 48))}"
        return f"penalty {address}"


def mapped(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """``::ffff:192.0.2.1`` as the IPv4 address that it is."""
    return getattr(address, "ipv4_mapped", None) or address
