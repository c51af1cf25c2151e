"""Warnings: commands with a time limit, and mails."""

from __future__ import annotations

import asyncio
import email
import email.policy
import os
from pathlib import Path

import pytest

from mas.config.mailstore import QuotaWarning
from mas.quota_rules import Limits
from mas.storage.quota import Crossing
from mas.storage.quota_warnings import QuotaWarnings, template_message, warning_message
from mas.user import User

USER = User("kim@example.net", Path("/home/kim"), "maildir:~/Maildir")


def crossing(**keys: object) -> Crossing:
    warning = QuotaWarning.model_validate({"threshold": "storage=95%", **keys})
    return Crossing(warning, (960 << 20, 7), Limits(1000 << 20, 0))


async def refuse(user: User, message: bytes) -> None:
    raise AssertionError("no mail was asked for")


async def test_command_gets_its_words_expanded_and_no_shell(tmp_path: Path) -> None:
    out = tmp_path / "out"
    script = tmp_path / "warn"
    script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{out}.new && mv {out}.new {out}\n')
    script.chmod(0o755)
    warnings = QuotaWarnings(refuse, hostname="mail.example.net")
    warnings.fire(USER, crossing(command=(str(script), "95", "%u", "%n $(id) %d", "%h;")))
    await warnings.close()
    assert out.read_text().splitlines() == ["95", "kim@example.net", "kim $(id) example.net", "/home/kim;"]


async def test_a_command_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    fifo = tmp_path / "alive"
    os.mkfifo(fifo)
    warnings = QuotaWarnings(refuse, hostname="mail.example.net", time_limit=0.5)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        warnings.fire(USER, crossing(command=("/bin/sh", "-c", f"(sleep 600) > {fifo} & wait")))
        await warnings.close()
        os.set_blocking(reader, True)
        async with asyncio.timeout(20):
            assert await asyncio.to_thread(os.read, reader, 1) == b""  # nobody has the write end any more
    finally:
        os.close(reader)


@pytest.mark.parametrize("command", [("/nonexistent/warn",), ("/bin/false",)])
async def test_a_command_that_fails_disturbs_nobody(command: tuple[str, ...]) -> None:
    warnings = QuotaWarnings(refuse, hostname="mail.example.net")
    warnings.fire(USER, crossing(command=command))
    await warnings.close()


async def test_mail(tmp_path: Path) -> None:
    got: list[tuple[User, bytes]] = []

    async def deliver(user: User, message: bytes) -> None:
        got.append((user, message))

    template = tmp_path / "template"
    template.write_text("Subject: {percent} für {name}\nX-A: b\n\n{usage} von {limit}\n")
    warnings = QuotaWarnings(deliver, hostname="mail.example.net", postmaster="help@example.net")
    warnings.fire(USER, crossing(mail=True))
    await warnings.close()
    warnings.fire(USER, crossing(template=template))
    await warnings.close()
    assert [user for user, _ in got] == [USER, USER]
    built_in, own = (email.message_from_bytes(message, policy=email.policy.default) for _, message in got)
    assert built_in["Subject"] == "Your mailbox kim@example.net is 96 % full"
    assert built_in["From"] == "Mail server <help@example.net>"
    assert "uses 960.0 MB of 1000.0 MB (96 %)" in built_in.get_content()
    assert own["Subject"] == "96 für kim@example.net"
    assert own["X-A"] == "b"
    assert own.get_content() == "960.0 MB von 1000.0 MB\r\n"


def test_messages_are_complete_and_have_crlf() -> None:
    for message in (
        warning_message(USER, crossing(mail=True), "mail.example.net", ""),
        template_message("Hello\nSubject is mine\n", USER, crossing(mail=True), "mail.example.net", ""),
        template_message("From: a@example.net\nDate: x\n\nyes", USER, crossing(mail=True), "mail.example.net", ""),
    ):
        assert message.count(b"\n") == message.count(b"\r\n")
        parsed = email.message_from_bytes(message)
        for name in ("From", "To", "Date", "Message-ID", "MIME-Version", "Content-Type", "Auto-Submitted"):
            assert len(parsed.get_all(name, [])) == 1, name
    assert b"From: Mail server <postmaster@example.net>" in warning_message(USER, crossing(mail=True), "h", "")


def test_the_other_resources() -> None:
    warning = QuotaWarning.model_validate({"threshold": "-messages=80%", "mail": True})
    text = warning_message(USER, Crossing(warning, (5, 79), Limits(0, 100)), "h", "").decode()
    assert "has room again" in text
    assert "uses 79 messages of 100 messages (79 %)" in text
    text = warning_message(USER, Crossing(warning, (5, 79), Limits(0, 0)), "h", "").decode()
    assert "uses 5 bytes of no limit (0 %)" in text
