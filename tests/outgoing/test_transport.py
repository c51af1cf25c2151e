"""Messages over real SMTP and through a real program."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP

from mas.outgoing.queue import Envelope, NotNow, Refused, Unreachable
from mas.outgoing.transport import sendmail, smtp

ENVELOPE = Envelope("", ["lee@example.net", "kim@example.net"], "vacation", "user@example.net")


class Sink:
    """Takes mail, but refuses some."""

    def __init__(self) -> None:
        self.mail: list[tuple[str, list[str], bytes]] = []

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802
        if address.startswith("gone"):
            return "550 5.1.1 no such user"
        if address.startswith("later"):
            return "451 4.3.0 later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.mail.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return "250 OK"


@pytest.fixture
async def sink() -> AsyncIterator[tuple[Sink, str]]:
    handler = Sink()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(handler, enable_SMTPUTF8=True), "127.0.0.1", 0)
    yield handler, f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


async def test_smtp(sink: tuple[Sink, str]) -> None:
    handler, url = sink
    await smtp(url, "mx.example.net")(ENVELOPE, b"Subject: x\r\n\r\n.dot\r\n")
    assert handler.mail == [("<>", ["lee@example.net", "kim@example.net"], b"Subject: x\r\n\r\n.dot\r\n")]


async def test_smtp_refusals(sink: tuple[Sink, str]) -> None:
    handler, url = sink
    with pytest.raises(Refused, match="550"):
        await smtp(url, "mx.example.net")(Envelope("", ["gone@example.net"], "x", "u"), b"\r\n")
    with pytest.raises(NotNow, match="451"):
        await smtp(url, "mx.example.net")(Envelope("", ["later@example.net"], "x", "u"), b"\r\n")
    assert handler.mail == []


async def test_smtp_server_down() -> None:
    with pytest.raises(Unreachable):
        await smtp("smtp://127.0.0.1:1", "mx.example.net")(ENVELOPE, b"\r\n")


@pytest.mark.parametrize(
    "said",
    [b"554 5.3.2 not today\r\n", b"421 4.3.2 busy\r\n", b"220 mx\r\n500 what\r\n500 what\r\n", b""],
    ids=["greeting 5xx", "greeting 4xx", "EHLO refused", "closed"],
)
async def test_smtp_server_that_lets_nobody_in(said: bytes) -> None:
    """Refused for all is not refused for good: no message is given up for it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for line in said.splitlines(keepends=True):
            writer.write(line)
            await reader.readline()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(Unreachable):
            await smtp(url, "mx.example.net")(ENVELOPE, b"\r\n")


async def test_sendmail(tmp_path: Path) -> None:
    program = tmp_path / "sendmail"
    program.write_text(
        f'#!/bin/sh\necho "$@" >{tmp_path}/arguments\ncat >{tmp_path}/mail\nexit $(cat {tmp_path}/code)\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "code").write_text("0")
    await sendmail(str(program))(ENVELOPE, b"a\r\nb\r\n")
    assert (tmp_path / "arguments").read_text() == "-i -f <> -- lee@example.net kim@example.net\n"
    assert (tmp_path / "mail").read_bytes() == b"a\nb\n"
    (tmp_path / "code").write_text("75")
    with pytest.raises(NotNow):
        await sendmail(str(program))(ENVELOPE, b"")
    (tmp_path / "code").write_text("67")
    with pytest.raises(Refused):
        await sendmail(str(program))(ENVELOPE, b"")
    with pytest.raises(NotNow):
        await sendmail(str(tmp_path / "none"))(ENVELOPE, b"")
