"""The queue of outgoing mail: kept, retried, sent once."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import structlog

from mas.errors import DiskFull
from mas.outgoing.queue import Envelope, NotNow, Queue, Refused, Unreachable, _open_locked

ENVELOPE = Envelope("kim@example.org", ["lee@example.net"], "redirect", "user@example.net", "<1@example.org>")


class Server:
    """A submission server whose mood can be set."""

    def __init__(self) -> None:
        self.mood: Exception | None = None
        self.sent: list[tuple[Envelope, bytes]] = []
        self.given_up: list[str] = []

    async def send(self, envelope: Envelope, message: bytes) -> None:
        await asyncio.sleep(0)
        if self.mood:
            raise self.mood
        self.sent.append((envelope, message))

    async def give_up(self, envelope: Envelope, message: bytes, why: str) -> None:
        self.given_up.append(why)


def queue(tmp_path: Path, server: Server) -> Queue:
    return Queue(tmp_path / "outgoing", server.send, server.give_up)


async def test_sent_at_once_and_gone(tmp_path: Path) -> None:
    server = Server()
    outgoing = queue(tmp_path, server)
    await outgoing.add(ENVELOPE, b"Subject: x\r\n\r\n\x00\xff\r\n")
    await outgoing.close()
    assert server.sent == [(ENVELOPE, b"Subject: x\r\n\r\n\x00\xff\r\n")]
    assert len(outgoing) == 0


async def test_kept_while_the_server_is_down_and_sent_once_by_whoever_comes_next(tmp_path: Path) -> None:
    server = Server()
    server.mood = NotNow("down")
    outgoing = queue(tmp_path, server)
    await outgoing.add(ENVELOPE, b"x")
    await outgoing.close()
    assert len(outgoing) == 1
    await outgoing.run_due()
    assert server.sent == []
    (path,) = outgoing.folder.glob("*.mail")
    os.utime(path, (0, 0))
    server.mood = None
    others = [queue(tmp_path, server) for _ in range(3)]
    await asyncio.gather(*(other.run_due() for other in others))
    assert len(server.sent) == 1
    assert len(outgoing) == 0


async def test_refused_is_told_and_gone(tmp_path: Path) -> None:
    server = Server()
    server.mood = Refused("550 no")
    outgoing = queue(tmp_path, server)
    await outgoing.add(ENVELOPE, b"x")
    await outgoing.close()
    assert server.given_up == ["550 no"]
    assert len(outgoing) == 0


async def test_given_up_after_its_lifetime(tmp_path: Path) -> None:
    server = Server()
    server.mood = NotNow("down")
    outgoing = Queue(tmp_path / "outgoing", server.send, server.give_up, lifetime=0)
    await outgoing.add(ENVELOPE, b"x")
    await outgoing.close()
    assert "gave up" in server.given_up[0]
    assert len(outgoing) == 0


async def test_a_damaged_file_is_set_aside(tmp_path: Path) -> None:
    server = Server()
    outgoing = queue(tmp_path, server)
    outgoing.folder.mkdir()
    (outgoing.folder / "1.2.3.mail").write_bytes(b"not json\nmail")
    os.utime(outgoing.folder / "1.2.3.mail", (0, 0))
    await outgoing.run_due()
    assert os.listdir(outgoing.folder) == [".damaged.1.2.3.mail"]


async def test_what_a_kill_left_half_written_is_cleared_away(tmp_path: Path) -> None:
    outgoing = queue(tmp_path, Server())
    outgoing.folder.mkdir()
    for name, age in ((".1.2.3.mail", 7200), (".4.5.6.mail", 60), (".damaged.7.8.9.mail", 86400)):
        (outgoing.folder / name).write_bytes(b'{"sender"')
        os.utime(outgoing.folder / name, (time.time() - age,) * 2)
    await outgoing.run_due()
    assert sorted(os.listdir(outgoing.folder)) == [".4.5.6.mail", ".damaged.7.8.9.mail"]


async def test_disk_full_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outgoing = queue(tmp_path, Server())

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull):
        await outgoing.add(ENVELOPE, b"x")
    assert os.listdir(outgoing.folder) == []


@pytest.mark.slow
def test_survives_a_kill_right_after_add(tmp_path: Path) -> None:
    program = """
import asyncio, os, sys
from pathlib import Path
from mas.outgoing.queue import *
async def send(envelope, message): os.kill(os.getpid(), 9)
async def main():
    await Queue(Path(sys.argv[1]), send, None).add(Envelope("a@example.org", ["b@example.net"], "redirect", "u"), b"kept")
    await asyncio.Event().wait()  # for ever: the first try ends it
asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path / "outgoing")], check=False, timeout=60)
    assert ended.returncode == -9
    server = Server()
    asyncio.run(queue(tmp_path, server).run_due())
    assert [message for _, message in server.sent] == [b"kept"]


async def test_a_mistake_of_the_sender_is_a_reason_to_try_again(tmp_path: Path) -> None:
    async def send(envelope: Envelope, message: bytes) -> None:
        raise LookupError("unknown encoding")

    async def given_up(envelope: Envelope, message: bytes, why: str) -> None:
        raise AssertionError(why)

    queue = Queue(tmp_path / "queue", send, given_up)
    await queue.add(Envelope("", ["lee@example.net"], "redirect", "kim"), b"x")
    await queue.close()
    (path,) = queue.folder.glob("*.mail")
    assert path.stat().st_mtime > time.time()


async def test_an_unreachable_server_is_asked_once_a_round_and_named_once_in_the_log(tmp_path: Path) -> None:
    tries: list[str] = []
    server = Server()

    async def send(envelope: Envelope, message: bytes) -> None:
        tries.append(message.decode())
        await server.send(envelope, message)

    outgoing = Queue(tmp_path / "outgoing", send, server.give_up)
    server.mood = Unreachable("no connection")
    with structlog.testing.capture_logs() as lines:
        await outgoing.add(ENVELOPE, b"1")
        await outgoing.close()
        for number in b"234":
            await outgoing.add(ENVELOPE, bytes([number]))
        await outgoing.close()
        assert tries == ["1"]
        await outgoing.run_due()
        assert tries == ["1", "1"]
        server.mood = None
        await outgoing.run_due()
    assert sorted(message for _, message in server.sent) == [b"1", b"2", b"3", b"4"]
    assert tries[:3] == ["1", "1", "1"]
    assert len(outgoing) == 0
    assert [line["event"] for line in lines] == ["nothing can be sent now", "can be sent again", *["sent"] * 4]


async def test_a_message_for_an_unreachable_server_is_given_up_in_the_end(tmp_path: Path) -> None:
    server = Server()
    server.mood = Unreachable("no connection")
    outgoing = Queue(tmp_path / "outgoing", server.send, server.give_up, lifetime=0)
    await outgoing.add(ENVELOPE, b"x")
    await outgoing.close()
    assert "gave up" in server.given_up[0]
    assert len(outgoing) == 0


@pytest.mark.parametrize("opening", [0, 0.1])
async def test_closing_does_not_wait_for_a_server_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opening: float
) -> None:
    """Nor keeps a lock, also when a thread was still opening the file."""
    monkeypatch.setattr("mas.outgoing.queue._CLOSE_GRACE", 0.01)
    opened = threading.Event()

    def open_late(path: Path) -> int | None:
        assert opened.wait(20)
        return _open_locked(path)

    monkeypatch.setattr("mas.outgoing.queue._open_locked", open_late)
    asyncio.get_running_loop().call_later(opening, opened.set)

    async def hang(envelope: Envelope, message: bytes) -> None:
        await asyncio.Event().wait()

    outgoing = Queue(tmp_path / "outgoing", hang, Server().give_up)
    await outgoing.add(ENVELOPE, b"x")
    await outgoing.close()
    server = Server()
    await queue(tmp_path, server).run_due()
    assert [message for _, message in server.sent] == [b"x"]


@pytest.mark.slow
def test_killed_between_the_servers_250_and_the_end_it_is_sent_again_rather_than_lost(tmp_path: Path) -> None:
    """At least once: nobody can close that instant. The message is the same, with its Message-ID, so a receiver may notice."""
    program = """
import asyncio, os, sys
from pathlib import Path
from mas.outgoing.queue import *
async def send(envelope, message):
    with open(sys.argv[2], "ab") as accepted:
        accepted.write(message)
    if len(sys.argv) > 3: os.kill(os.getpid(), 9)
async def main():
    queue = Queue(Path(sys.argv[1]), send, None)
    if len(sys.argv) > 3: await queue.add(Envelope("a@example.org", ["b@example.net"], "redirect", "u"), b"<1>")
    await queue.run_due()
    await queue.close()
asyncio.run(main())
"""
    arguments = [sys.executable, "-c", program, str(tmp_path / "outgoing"), str(tmp_path / "accepted")]
    assert subprocess.run([*arguments, "die"], check=False, timeout=60).returncode == -9
    assert (tmp_path / "accepted").read_bytes() == b"<1>"
    for _ in range(2):
        subprocess.run(arguments, check=True, timeout=60)
    assert (tmp_path / "accepted").read_bytes() == b"<1><1>"
    assert os.listdir(tmp_path / "outgoing") == []
