"""The hash pool: expensive verifications in a few threads, a bounded queue before them.

Every scheme's expensive part runs in C without the GIL (``mas.auth.crypt``), so the loop goes on. A flood of logins cannot exhaust memory:
above ``queue`` waiting verifications a login is refused as a temporary failure at once.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from mas.auth.schemes import CHEAP, Stored, generate, verify_stored
from mas.errors import AuthUnavailable

T = TypeVar("T")
DUMMY_PASSWORD: Final = b"correct horse battery staple"


class HashPool:
    """Threads for password hashing. One a process."""

    def __init__(self, threads: int = 0, queue: int = 256) -> None:
        """threads: 0 = one a CPU, at most 8. queue: verifications waiting or running before more are refused."""
        self.queue = queue
        self.waiting = 0
        """Verifications waiting or running."""
        self._threads = ThreadPoolExecutor(threads or min(8, os.cpu_count() or 1), thread_name_prefix="mas-hash")
        self._dummies: dict[str, asyncio.Future[Stored | None]] = {}

    async def verify(self, password: bytes, stored: Stored, user: str) -> bool:
        """verify_stored() off the loop. Raises SchemeError, AuthUnavailable when the queue is full."""
        if stored.scheme in CHEAP:
            return verify_stored(password, stored, user)
        return await self.run(verify_stored, password, stored, user)

    async def run(self, function: Callable[..., T], *arguments: object) -> T:
        """Any work that burns CPU, in a thread. Raises AuthUnavailable when the queue is full."""
        if self.waiting >= self.queue:
            raise AuthUnavailable(f"auth.queue = {self.queue} is exceeded")
        self.waiting += 1
        work = asyncio.get_running_loop().run_in_executor(self._threads, lambda: function(*arguments))
        # The thread goes on when the session is gone, and counts until it ends.
        work.add_done_callback(self._done)
        return await asyncio.shield(work)

    def _done(self, work: asyncio.Future[T]) -> None:
        self.waiting -= 1
        if not work.cancelled():
            work.exception()  # retrieved, also when nobody waits any more

    async def pretend(self, scheme: str, like: Stored | None = None) -> None:
        """Spend what verifying a wrong password costs: for a user that does not exist. ``like``: a hash of this database whose cost counts
        (a site with 500,000 rounds must not tell its users apart from nobody). Raises AuthUnavailable when the queue is full."""
        stored = like or await self._dummy(scheme)
        if stored is not None:
            await self.verify(DUMMY_PASSWORD + b"?", stored, "nobody")

    async def _dummy(self, scheme: str) -> Stored | None:
        """A hash of the scheme, made once; None for a scheme that MAS does not write or that costs nothing."""
        name = scheme.upper().partition(".")[0]
        if name in CHEAP:
            return None
        if name not in self._dummies:
            self._dummies[name] = asyncio.get_running_loop().run_in_executor(self._threads, _make_dummy, name)
        return await asyncio.shield(self._dummies[name])

    def close(self) -> None:
        """Forget what waits; a running hash ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)


_UNWRITTEN: Final = {
    "MD5": "$1$mas.salt$9YIQsdm2qqYBf5nBiRvqT1",
    "MD5-CRYPT": "$1$mas.salt$9YIQsdm2qqYBf5nBiRvqT1",
    "DES-CRYPT": "ma1gJfb3ZHGWM",
}
"""Values of schemes that are not written any more: any well-formed hash does."""


def _make_dummy(name: str) -> Stored | None:
    if name in _UNWRITTEN:
        return Stored(name, "", _UNWRITTEN[name])
    text = generate(DUMMY_PASSWORD, name, "nobody")
    return Stored(name, "", text[len(name) + 2 :])
