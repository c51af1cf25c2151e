"""Microseconds an operation of the mail store, without protocols:  PYTHONPATH=. python bench/storage.py [MESSAGES] [DIRECTORY]

One account on a temporary directory; a number is the best of a few runs. The disk's own cost is in it (fsync), so compare on one machine.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from mas.config.load import loads
from mas.storage import query
from mas.storage.mime.section import Section, SectionText
from mas.storage.model import DELETED, FLAGGED, INBOX, SEEN, Column, Flags, MailboxName, SaveOptions, StoreOp
from mas.storage.store import MaildirStore
from mas.user import User

CONFIG = """
hostname = "mail.example.net"
state_dir = "{directory}/state"
protocols = ["lmtp"]
mailbox = []
[quota]
rules = ["*:storage=15G"]
[[passdb]]
url = "sqlite+aiosqlite:///x.db"
[[userdb]]
driver = "static"
home = "/nonexistent"
"""


def message(number: int) -> bytes:
    lines = b"A line of a message that says little and takes its place on the disk.\r\n" * (10 + number * 7 % 80)
    return (
        b"Return-Path: <list@example.org>\r\nReceived: from mx.example.org by mail.example.net; Sun, 22 Nov 2026 10:00:00 +0000\r\n"
        b"From: Ada Example <ada%d@example.org>\r\nTo: Kim <kim@example.net>, Lee <lee@example.net>\r\n"
        b"Subject: Report %d about =?utf-8?q?Gr=C3=BC=C3=9Fe?= and plans\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n"
        b"Message-ID: <%d.report@example.org>\r\nMIME-Version: 1.0\r\nX-Mailer: Example 1.0\r\n"
        b'Content-Type: multipart/alternative; boundary="b%d"\r\n\r\n--b%d\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n'
        b"%b\r\n--b%d\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>%d</p>\r\n--b%d--\r\n"
        % (number % 500, number, number, number, number, lines, number, number, number)
    )


async def timed(name: str, work: Callable[[], Awaitable[Any]], per: int = 1, runs: int = 3) -> None:
    best = cpu = 1e9
    for _ in range(runs):
        start, used = time.perf_counter(), time.process_time()
        await work()
        best, cpu = min(best, time.perf_counter() - start), min(cpu, time.process_time() - used)
    print(f"{name:<44}{best * 1e3:10.3f} ms {best / per * 1e6:10.2f} us each   cpu {cpu * 1e3:9.3f} ms")


async def consume(batches: AsyncIterator[Any]) -> int:
    return sum([len(batch) async for batch in batches])


async def main(count: int, directory: Path) -> None:
    store = MaildirStore(loads(CONFIG.format(directory=directory), directory / "mas.toml"))
    user = User("kim@example.net", directory / "kim", f"maildir:{directory}/kim/Maildir")
    account = await store.open(user)
    await account.create(MailboxName("Target"))

    async def save(box: str, first: int, number: int, at_once: int, *, delivery: bool = False) -> None:
        for start in range(first, first + number, at_once):
            incoming = []
            for position in range(start, start + at_once):
                one = store.incoming(user)
                await one.write(message(position))
                await one.finish()
                incoming.append(one)
            options = SaveOptions(Flags(SEEN if not delivery and start % 5 else 0), 1_700_000_000 + start * 60)
            await account.save(MailboxName(box), [(one, options) for one in incoming], delivery=delivery)
            for one in incoming:
                await one.__aexit__(None, None, None)

    await timed("delivery, one after the other", lambda: save("Target", 0, 50, 1, delivery=True), 50, 1)
    await timed("append, one after the other", lambda: save("Target", 0, 50, 1), 50, 1)

    async def parallel() -> None:
        await asyncio.gather(*[save("Target", n * 5, 5, 1, delivery=True) for n in range(16)])

    await timed("delivery, 16 at a time, one user", parallel, 80, 1)
    await timed("multiappend of 250", lambda: save("INBOX", 0, count, 250), count, 1)

    async def select() -> None:
        for _ in range(50):
            await (await account.select(INBOX, read_only=True)).close()

    async def status() -> None:
        for _ in range(200):
            await account.status([INBOX])

    await select()
    await timed("STATUS", status, 200)
    await timed("SELECT, warm", select, 50)
    selection = await account.select(INBOX)
    uids = list(selection.snapshot.uids)

    async def load() -> None:
        account.boxes.pop(account.faces["INBOX"].id)
        await account._load(account.faces["INBOX"])

    await timed("SELECT, snapshot from the index", load)
    await selection.close()
    selection = await account.select(INBOX)
    all_columns = [Column.SIZE, Column.INTERNAL_DATE, Column.ENVELOPE, Column.BODYSTRUCTURE]
    await timed("FETCH SIZE INTERNALDATE", lambda: consume(selection.fetch(uids, all_columns[:2])), count)
    await timed("FETCH … ENVELOPE BODYSTRUCTURE", lambda: consume(selection.fetch(uids, all_columns)), count)
    fields = Section((), SectionText.HEADER_FIELDS, (b"subject", b"from", b"to", b"cc", b"date", b"message-id"))
    await timed("FETCH HEADER.FIELDS", lambda: consume(selection.header_fields(uids, fields)), count)
    await timed("FETCH BODY[]", lambda: consume(selection.octets(uids, Section())), count)
    await timed("FETCH BODY[1]", lambda: consume(selection.octets(uids, Section((1,)))), count)

    async def single() -> None:
        for uid in uids[:100]:
            await consume(selection.octets([uid], Section()))

    await timed("FETCH BODY[], single", single, 100)
    for name, key in (
        ("UNSEEN", query.Not(query.SystemFlag(SEEN))),
        ("SUBJECT", query.Header("subject", "report 77")),
        ("FROM", query.Header("from", "ada77@")),
        ("HEADER Message-ID", query.Header("message-id", "77.report@")),
        ("LARGER", query.Size(larger=5000)),
    ):
        await timed(f"SEARCH {name}", partial(selection.search, key), count)
    some = query.And((query.Uids(((1, uids[min(count, 3000) - 1]),)), query.Text("nowhere")))
    await timed("SEARCH TEXT", lambda: selection.search(some), min(count, 3000), 1)

    async def flag() -> None:
        await selection.store(uids, StoreOp.ADD, Flags(FLAGGED))
        selection.take_changes()
        await selection.store(uids, StoreOp.REMOVE, Flags(FLAGGED))
        selection.take_changes()

    await timed("STORE all, set and clear", flag, 2 * count)

    async def one_flag() -> None:
        for uid in uids[:50]:
            await selection.store([uid], StoreOp.ADD, Flags(FLAGGED))

    await timed("STORE of one", one_flag, 50, 1)
    some_uids = uids[: min(2000, count // 3)]
    await timed("COPY", lambda: selection.copy(some_uids, MailboxName("Target")), len(some_uids), 2)
    target = await account.select(MailboxName("Target"))
    moving = list(target.snapshot.uids)[-len(some_uids) :]
    await timed("MOVE", lambda: target.move(moving, INBOX), len(moving), 1)
    moved = list(selection.snapshot.uids)[-len(moving) :]
    await timed("STORE +\\Deleted", lambda: selection.store(moved, StoreOp.ADD, Flags(DELETED)), len(moved), 1)
    selection.take_changes()
    await timed("EXPUNGE", lambda: selection.expunge(), len(moved), 1)
    since = selection.snapshot.highest_modseq
    await timed("resync (QRESYNC)", lambda: selection.resync(since, None))
    await account.create(MailboxName("Doomed"))
    await selection.copy(uids[3000:3500] or uids[:500], MailboxName("Doomed"))
    await timed("DELETE of a 500-message folder", lambda: account.delete(MailboxName("Doomed")), 1, 1)
    await selection.close()
    await timed("close of the store", store.close, 1, 1)
    started = time.perf_counter()
    again = MaildirStore(store.config)
    reopened = await again.open(user)
    print(f"open of the account {(time.perf_counter() - started) * 1e3:.3f} ms")
    started = time.perf_counter()
    await reopened.select(INBOX)
    print(f"first SELECT {(time.perf_counter() - started) * 1e3:.3f} ms")
    await again.close()
    size = sum(path.stat().st_size for path in (directory / "kim/Maildir").glob("mas-index*"))
    print(f"index {size / 1e6:.1f} MB")


if __name__ == "__main__":
    where = Path(tempfile.mkdtemp(dir=sys.argv[2] if len(sys.argv) > 2 else None))
    try:
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5000, where))
    finally:
        shutil.rmtree(where)
