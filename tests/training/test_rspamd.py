"""The controller's answers, over TCP and a unix socket; what users do, over the model of the store."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from pathlib import Path

import pytest

from mas.events.model import Cause, MailEvent
from mas.filtering.memory import Memory
from mas.outgoing.queue import Envelope, NotNow, Queue, Refused, Unreachable
from mas.storage.model import MailboxName, Saved, SaveOptions
from mas.training.learner import Learner
from mas.training.rspamd import learner
from tests.support.memory_store import MemoryStore, user


async def answering(path: Path, status: str, seen: list[bytes]) -> asyncio.Server:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        seen.append(head + await reader.readexactly(size))
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}".encode())
        await writer.drain()
        writer.close()

    return await asyncio.start_unix_server(serve, path)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("200 OK", None),
        ("208 Already", None),
        ("403 Forbidden", Unreachable),
        ("401 Unauthorized", Unreachable),
        ("500 Oops", NotNow),
        ("400 Bad", Refused),
    ],
)
async def test_answers_of_the_controller(tmp_path: Path, status: str, error: type[Exception] | None) -> None:
    seen: list[bytes] = []
    async with await answering(tmp_path / "controller", status, seen):
        send = learner(f"unix:{tmp_path}/controller", "secret")
        if error:
            with pytest.raises(error):
                await send(Envelope("", [], "ham", "kim"), b"Subject: x\r\n\r\n")
        else:
            await send(Envelope("", [], "ham", "kim"), b"Subject: x\r\n\r\n")
    assert seen[0].startswith(b"POST /learnham HTTP/1.1\r\n")
    assert b"\r\nPassword: secret\r\n" in seen[0]
    assert seen[0].endswith(b"\r\n\r\nSubject: x\r\n\r\n")


async def test_a_controller_that_is_down(tmp_path: Path) -> None:
    with pytest.raises(Unreachable):
        await learner(f"unix:{tmp_path}/nothing", "")(Envelope("", [], "spam", "kim"), b"x")


async def test_lessons(tmp_path: Path) -> None:
    store, kim = MemoryStore(), user("kim@example.net")
    sent: list[tuple[str, bytes]] = []

    async def send(envelope: Envelope, message: bytes) -> None:
        sent.append((envelope.kind, message))

    async def given_up(envelope: Envelope, message: bytes, why: str) -> None:
        raise AssertionError(why)

    counts: Counter[str] = Counter()

    async def count(kind: str) -> None:
        counts[kind] += 1

    memory = Memory(tmp_path / "memory.db")
    queue = Queue(tmp_path / "queue", send, given_up)
    training = Learner(store, queue, memory, count)
    async with await store.open(kim) as account:
        for name in ("Work", "Junk", "Trash"):
            await account.create(MailboxName(name), () if name == "Work" else (f"\\{name}",))

        async def put(text: bytes, mailbox: str) -> Saved:
            async with store.incoming(kim) as message:
                await message.write(text)
                await message.finish()
                return await account.save(MailboxName(mailbox), [(message, SaveOptions())])

        for text, source, target in (
            (b"Subject: 1\r\n\r\n", "Work", "Junk"),
            (b"Subject: 1\r\n\r\n", "INBOX", "Junk"),  # the same again
            (b"Subject: 1\r\n\r\n", "Junk", "INBOX"),  # not spam after all
            (b"Subject: 2\r\n\r\n", "Junk", "Trash"),
            (b"Subject: 3\r\n\r\n", "INBOX", "Work"),
            (b"Subject: 4\r\n\r\n", "Junk", "Junk"),
            (b"Subject: 1\r\n\r\n", "INBOX", "Junk"),  # and back
            (b"Subject: 5\r\n\r\n", "", "Junk"),
            (b"Subject: 6\r\n\r\n", "", "Trash"),
        ):
            saved = await put(text, target)
            cause = Cause.COPY if source else Cause.APPEND
            event = MailEvent(kim.name, cause, target, saved.uid_validity, tuple(saved.uids), 0.0, source)
            wanted = await training.wants(account, event)
            assert wanted is (text in (b"Subject: 1\r\n\r\n", b"Subject: 5\r\n\r\n"))
            await training.handle(kim, event)
            # Twice is once, a mailbox that was made anew holds others, and flags teach nothing.
            await training.handle(kim, event)
            await training.handle(kim, dataclasses.replace(event, uid_validity=saved.uid_validity + 1))
            assert not await training.wants(account, dataclasses.replace(event, cause=Cause.FLAG))
    await queue.close()
    memory.close()
    assert sorted(kind for kind, _ in sent) == ["ham", "spam", "spam", "spam"]
    assert {message for _, message in sent} == {b"Subject: 1\r\n\r\n", b"Subject: 5\r\n\r\n"}
    assert counts == {"spam": 3, "ham": 1}
