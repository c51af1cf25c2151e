"""How long the event loop stands still while passwords are hashed, and what a login costs. ``python bench/auth_stall.py``

The stall is the longest gap between two turns of a loop that does nothing else, while four verifications of a scheme are in the pool; the
first line, without any, is the noise of the machine.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from mas.auth.crypt import crypt
from mas.auth.database import Database
from mas.auth.hashing import HashPool
from mas.auth.interface import Attempt
from mas.auth.schema import AccountTable
from mas.auth.schemes import Stored, generate, split
from mas.auth.service import open_authenticator
from mas.config import loads

PASSWORD = b"correct horse battery staple"
ATTEMPT = Attempt("imap", "127.0.0.1", secured=True)


def hashes() -> list[tuple[str, Stored]]:
    """Costs as sites use them, and one that is far too dear."""
    found = [("SHA512-CRYPT 500,000 rounds", b"$6$rounds=500000$saltsaltsalt"), ("yescrypt", b"$y$j9T$saltsaltsalt$")]
    stored = [(name, Stored("CRYPT", "", (crypt(PASSWORD, setting) or b"").decode())) for name, setting in found]
    return stored + [
        (scheme, split(generate(PASSWORD, scheme), ""))
        for scheme in ("BLF-CRYPT", "ARGON2ID", "PBKDF2", "SCRAM-SHA-256")
    ]


async def stall(pool: HashPool, stored: Stored | None) -> tuple[float, float]:
    """Longest gap, and the time until all four are verified; milliseconds."""
    work = [asyncio.ensure_future(pool.verify(PASSWORD, stored, "kim")) for _ in range(4)] if stored else []
    start = last = time.perf_counter()
    worst = 0.0
    while (work and not all(each.done() for each in work)) or (not work and last - start < 0.5):
        await asyncio.sleep(0.001)
        now = time.perf_counter()
        worst, last = max(worst, now - last), now
    assert all(each.result() for each in work)
    return worst * 1000, (last - start) * 1000


async def logins(directory: Path) -> None:
    """First and repeated logins on SQLite."""
    url = f"sqlite+aiosqlite:///{directory}/accounts.db"
    database = Database(url, create=True)
    table = AccountTable(database)
    await table.create()
    users = [f"kim{n}@example.net" for n in range(200)]
    for user in users:
        await table.add(user, generate(PASSWORD, "SSHA512"))
    await database.close()
    text = f'protocols = ["lmtp"]\n[[passdb]]\nurl = "{url}"\n[[userdb]]\nhome = "/var/vmail/%d/%n"\n'
    accounts = open_authenticator(loads(text, Path("bench.toml")))
    for name in ("first login, SSHA512", "repeated login"):
        start = time.perf_counter()
        for user in users:
            await accounts.verify(user, PASSWORD, ATTEMPT)
        print(f"{name:30} {(time.perf_counter() - start) / len(users) * 1e6:10.0f} us")
    await accounts.close()


async def main() -> None:
    """Print the tables."""
    pool = HashPool()
    print(f"{'':30} {'stall ms':>10} {'4 of them ms':>14}")
    print(f"{'nothing':30} {(await stall(pool, None))[0]:10.1f}")
    for name, stored in hashes():
        worst, total = await stall(pool, stored)
        print(f"{name:30} {worst:10.1f} {total:14.0f}")
    pool.close()
    with tempfile.TemporaryDirectory() as directory:
        await logins(Path(directory))


if __name__ == "__main__":
    asyncio.run(main())
