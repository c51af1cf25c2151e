"""What a script of 30 rules adds to a delivery: `PYTHONPATH=. python bench/sieve.py`.

The whole decision as a delivery asks for it (looking at the files, the rules, none of which matches but the last, the log line to
/dev/null) over a store in memory, against a user without a script. Prints the median of rounds in microseconds, on the clock and of CPU
(all threads).
"""

from __future__ import annotations

import dataclasses
import functools
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import uvloop

from bench.rules import script
from mas import logs
from mas.config import Config, Log
from mas.delivery import Envelope, Recipient, Save
from mas.filtering.filter import Filter
from mas.filtering.memory import Memory
from mas.outgoing.queue import Queue
from mas.sieve.compiler import compile_script
from mas.sieve.extensions import default_registry
from tests.support.memory_store import MemoryStore, user

ROUNDS, DELIVERIES = 15, 200
SCRIPT = script('fileinto "Rest";')
MAIL = (
    "Received: from a.example.org by mx.example.net; Tue, 03 Mar 2026 09:30:00 +0100\r\n" * 4
    + "From: Robin Example <robin@example.org>\r\nTo: Kim <kim@example.net>, Lee <lee@example.net>\r\n"
    + "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= and a quarterly report\r\nMessage-ID: <1@example.org>\r\n"
    + "Date: Tue, 03 Mar 2026 09:30:00 +0100\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello\r\n"
).encode()


async def nothing(*_: object) -> None:
    """The script sends no mail."""


async def microseconds(once: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Of one call: on the clock, of CPU."""
    rounds = []
    for _ in range(ROUNDS):
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(DELIVERIES):
            await once()
        rounds.append((time.perf_counter() - wall, time.process_time() - cpu))
    walls, cpus = zip(*rounds, strict=True)
    return statistics.median(walls) / DELIVERIES * 1e6, statistics.median(cpus) / DELIVERIES * 1e6


async def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        logs.setup(Log(), os.open(os.devnull, os.O_WRONLY))
        folder = Path(name)
        store, memory = MemoryStore(), Memory(folder / "sieve.db")
        config = Config.model_validate({"sieve": {"default": ""}})
        queue = Queue(folder / "outgoing", nothing, nothing)
        filtering = Filter(cast(Any, store), config, default_registry(), queue, memory)
        print("| | clock | CPU |\n|---|---|---|")
        found = []
        for who, rules in (("no-script", ""), ("30-rules", SCRIPT)):
            home = folder / who
            home.mkdir()
            kim = dataclasses.replace(user(f"{home.name}@example.net"), home=home)
            if rules:
                (home / ".dovecot.sieve").write_text(rules)
            async with await store.open(kim) as account, store.incoming(kim) as message:
                await message.write(MAIL)
                await message.finish()
                envelope, recipient = Envelope("robin@example.org", "s"), Recipient(kim, kim.name)
                decide = functools.partial(
                    filtering.decide, cast(Any, message), envelope, recipient, cast(Any, account), Save()
                )
                (save,) = (await decide()).saves
                assert save.mailbox == ("Rest" if rules else "INBOX")
                found.append(await microseconds(decide))
            print(f"| a decision, {who.replace('-', ' ')} | {found[-1][0]:.0f} µs | {found[-1][1]:.0f} µs |")
        print(f"| 30 rules add | {found[1][0] - found[0][0]:.0f} µs | {found[1][1] - found[0][1]:.0f} µs |")
        began = time.process_time()
        for _ in range(20):
            compile_script(SCRIPT.encode(), default_registry())
        print(f"| compiling them (once, then kept) | | {(time.process_time() - began) / 20 * 1e6:.0f} µs |")
        memory.close()


if __name__ == "__main__":
    uvloop.run(main())
