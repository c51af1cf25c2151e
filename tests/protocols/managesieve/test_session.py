"""Whole conversations without a socket: what each command answers, in and out of its time, and what the limits say."""

from __future__ import annotations

import asyncio
import base64
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mas.config import Config
from mas.errors import AuthUnavailable, UserDisabled
from mas.filtering import compiled
from mas.filtering.limits import limits_of
from mas.filtering.scripts import Scripts
from mas.protocols.managesieve.session import connection_for, run
from mas.services import Services
from mas.sieve.compiler import compile_script
from mas.sieve.definition import Registry
from mas.sieve.extensions import default_registry
from mas.sieve.extensions.extlists import EXTLISTS
from tests.support import memory_store
from tests.support.imap_in_process import PASSWORD, USER, FakeAuthenticator, FakeSessions, ScriptChannel
from tests.support.memory_store import MemoryStore


def base64_of(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


LOGIN = f'AUTHENTICATE "PLAIN" "{base64_of(chr(0) + USER + chr(0) + PASSWORD)}"\r\n'


class Host:
    """One user with scripts in a folder of the test."""

    def __init__(self, home: Path, *, tls: bool = True, registry: Registry | None = None, **settings: Any) -> None:
        self.user = replace(memory_store.user(USER), home=home)
        self.auth = FakeAuthenticator(self.user)
        self.config = Config(**settings)
        services = Services(self.config, MemoryStore(), self.auth, FakeSessions())  # type: ignore[arg-type]
        self.connection = connection_for(self.config)
        self.channel = ScriptChannel(self.connection, "session", tls)  # type: ignore[arg-type]
        self.task = asyncio.ensure_future(run(self.channel, self.connection, services, registry or default_registry()))
        self.read = 0

    async def say(self, text: str | bytes = b"") -> str:
        """Send, and read all that comes back."""
        if text:
            self.channel.feed(text.encode() if isinstance(text, str) else text)
        async with asyncio.timeout(60):
            waiting = asyncio.ensure_future(self.channel.waiting.wait())
            await asyncio.wait({waiting, self.task}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
        if self.task.done():
            self.task.result()
        self.channel.flush()
        answer = bytes(self.channel.output[self.read :]).decode()
        self.read = len(self.channel.output)
        return answer

    async def logged_in(self) -> Host:
        await self.say()
        assert (await self.say(LOGIN)) == 'OK "Logged in."\r\n'
        return self

    async def close(self) -> None:
        if not self.task.done():
            self.channel.feed(b"")
        await asyncio.wait_for(self.task, 60)


def literal(text: str) -> str:
    return f"{{{len(text.encode())}+}}\r\n{text}"


async def test_lists_are_announced_where_there_are_some(tmp_path: Path) -> None:
    """EXTLISTS [RFC6134 2.8]: the schemes of the names."""
    lists = tuple({"name": name, "file": "/x"} for name in ("tag:example.net,2026:a", "urn:b", "tag:c", "plain"))
    assert "EXTLISTS" not in await Host(tmp_path).say()
    host = Host(tmp_path, sieve={"list": lists}, registry=default_registry(add=[EXTLISTS]))
    assert '"EXTLISTS" "tag urn"\r\n' in await host.say()


async def test_before_tls_nothing_is_possible_but_asking_for_it(tmp_path: Path) -> None:
    host = Host(tmp_path, tls=False)
    greeting = await host.say()
    assert '"SASL" ""\r\n' in greeting
    assert '"STARTTLS"\r\n' in greeting
    assert (await host.say(LOGIN)).startswith("NO (ENCRYPT-NEEDED)")
    assert (await host.say("LISTSCRIPTS\r\n")) == 'NO "Authenticate first."\r\n'
    # What is sent in clear behind STARTTLS is not obeyed afterwards.
    after = await host.say('STARTTLS\r\nNOOP "injected"\r\n')
    assert after.startswith('OK "Begin TLS negotiation now."\r\n')
    assert '"SASL" "PLAIN LOGIN"\r\n' in after
    assert '"STARTTLS"' not in after
    assert "injected" not in after
    assert (await host.say("STARTTLS\r\n")) == 'NO "TLS is already on."\r\n'
    await host.close()


async def test_capabilities_after_login(tmp_path: Path) -> None:
    host = await Host(tmp_path).logged_in()
    lines = (await host.say("CAPABILITY\r\n")).split("\r\n")
    assert {
        '"SASL" ""',
        f'"OWNER" "{USER}"',
        '"MAXREDIRECTS" "4"',
        '"UNAUTHENTICATE"',
        '"VERSION" "1.0"',
        '"NOTIFY" "mailto"',
    } <= set(lines)
    assert (await host.say("UNAUTHENTICATE\r\n")).startswith("OK")
    assert (await host.say("LISTSCRIPTS\r\n")).startswith("NO")
    assert (await host.say(LOGIN)).startswith("OK")
    assert (await host.say(LOGIN)) == 'NO "Already authenticated."\r\n'
    assert (await host.say("LOGOUT\r\n")) == 'OK "Logout completed."\r\n'
    assert host.task.done()


async def test_authenticate(tmp_path: Path) -> None:
    host = Host(tmp_path)
    await host.say()
    assert (await host.say('AUTHENTICATE "KLINGON"\r\n')).startswith("NO")
    assert (await host.say('AUTHENTICATE "PLAIN"\r\n')) == '""\r\n'
    assert (await host.say('"*"\r\n')).startswith("NO")
    assert (await host.say('AUTHENTICATE "PLAIN" "not base64"\r\n')).startswith("NO")
    assert (await host.say('AUTHENTICATE "LOGIN"\r\n')) == '"VXNlcm5hbWU6"\r\n'
    assert (await host.say(f'"{base64_of(USER)}"\r\n')) == '"UGFzc3dvcmQ6"\r\n'
    assert (await host.say(f"{literal(base64_of(PASSWORD))}\r\n")) == 'OK "Logged in."\r\n'
    await host.close()


async def test_wrong_passwords_end_the_session(tmp_path: Path) -> None:
    host = Host(tmp_path)
    await host.say()
    wrong = f'AUTHENTICATE "PLAIN" "{base64_of(chr(0) + USER + chr(0) + "no")}"\r\n'
    answers = [await host.say(wrong) for _ in range(3)]
    assert answers[:2] == ['NO "Authentication failed."\r\n'] * 2
    assert answers[2] == 'BYE "Authentication failed."\r\n'
    assert host.task.done()


@pytest.mark.parametrize(
    ("trouble", "answer"),
    [
        (AuthUnavailable("no database"), 'NO (TRYLATER) "Temporary failure, try again later."\r\n'),
        (UserDisabled("Moved."), 'NO "Moved."\r\n'),
    ],
)
async def test_logins_that_cannot_be(tmp_path: Path, trouble: Exception, answer: str) -> None:
    host = Host(tmp_path)
    await host.say()
    host.auth.trouble = trouble
    assert await host.say(LOGIN) == answer
    await host.close()


async def test_a_script_from_put_to_delete(tmp_path: Path) -> None:
    host = await Host(tmp_path).logged_in()
    for sent, answer in (
        ('HAVESPACE "a" 100\r\n', 'OK "Putscript would succeed."\r\n'),
        (f'PUTSCRIPT "a" {literal("keep;")}\r\n', 'OK "PUTSCRIPT completed."\r\n'),
        (f'PUTSCRIPT "größer" {literal("discard;")}\r\n', 'OK "PUTSCRIPT completed."\r\n'),
        ("LISTSCRIPTS\r\n", '"a"\r\n"größer"\r\nOK "Listscripts completed."\r\n'),
        ('SETACTIVE "a"\r\n', 'OK "Setactive completed."\r\n'),
        ("LISTSCRIPTS\r\n", '"a" ACTIVE\r\n"größer"\r\nOK "Listscripts completed."\r\n'),
        ('GETSCRIPT "a"\r\n', '{5}\r\nkeep;\r\nOK "Getscript completed."\r\n'),
        ('GETSCRIPT "none"\r\n', 'NO (NONEXISTENT) "There is no script of that name."\r\n'),
        ('SETACTIVE "none"\r\n', 'NO (NONEXISTENT) "There is no script of that name."\r\n'),
        ('DELETESCRIPT "a"\r\n', 'NO (ACTIVE) "The active script cannot be deleted."\r\n'),
        ('RENAMESCRIPT "a" "größer"\r\n', 'NO (ALREADYEXISTS) "A script of that name exists."\r\n'),
        ('RENAMESCRIPT "a" "b"\r\n', 'OK "Renamescript completed."\r\n'),
        ("LISTSCRIPTS\r\n", '"b" ACTIVE\r\n"größer"\r\nOK "Listscripts completed."\r\n'),
        ('SETACTIVE ""\r\n', 'OK "Setactive completed."\r\n'),
        ('DELETESCRIPT "b"\r\n', 'OK "Deletescript completed."\r\n'),
        ('PUTSCRIPT "../b" "keep;"\r\n', 'NO "That cannot be the name of a script."\r\n'),
        (f"CHECKSCRIPT {literal('stop;')}\r\n", 'OK "Script checked successfully."\r\n'),
        ('NOOP "x\\"y"\r\n', 'OK (TAG "x\\"y") "NOOP completed."\r\n'),
    ):
        assert await host.say(sent) == answer, sent
    await host.close()


MISTAKES = """\
require ["fileinto", "nope"];
if headr :is "a" "b" { keep; }
if header :foo "a" "b" { keep; }
fileinto 3;
redirect "not an address";
vacation "x";
if size 3K { stop; }
require "copy";
else { keep; }
if header :is :contains "a" "b" { keep; }
if anyof true { keep; }
keep
"""
PLACES = [(1, 22), (2, 4), (3, 11), (4, 10), (5, 10), (6, 1), (7, 4), (8, 1), (9, 1), (10, 15), (11, 4), (13, 1)]


@pytest.mark.parametrize("command", ['PUTSCRIPT "s"', "CHECKSCRIPT"])
async def test_mistakes_are_told_with_line_and_column(tmp_path: Path, command: str) -> None:
    """Twelve kinds in one script; Roundcube marks a line that it finds as ``line 2:`` behind the script's name."""
    host = await Host(tmp_path, managesieve={"max_compile_errors": 20}).logged_in()
    answer = await host.say(f"{command} {literal(MISTAKES)}\r\n")
    assert answer.startswith("NO {")
    name = "s: " if command.startswith("PUT") else ""
    lines = answer.split("\r\n")[1:-1]
    found = [re.match(rf"{name}line (\d+): column (\d+): \S", line) for line in lines]
    assert all(found), lines
    assert [(int(one[1]), int(one[2])) for one in found if one] == PLACES
    assert (await host.say("LISTSCRIPTS\r\n")) == 'OK "Listscripts completed."\r\n'
    await host.close()


async def test_a_mistake_keeps_the_old_script_and_warnings_do_not(tmp_path: Path) -> None:
    host = await Host(tmp_path).logged_in()
    await host.say(f'PUTSCRIPT "a" {literal("keep;")}\r\n')
    assert (await host.say('PUTSCRIPT "a" "keep"\r\n')).startswith("NO")
    assert "keep;" in await host.say('GETSCRIPT "a"\r\n')
    answer = await host.say(f'PUTSCRIPT "a" {literal("require ^imapflags^; mark;".replace("^", chr(34)))}\r\n')
    assert answer.startswith("OK (WARNINGS)")
    assert "line 1, column 9" in answer
    await host.close()


async def test_no_more_mistakes_are_told_than_the_setting_says(tmp_path: Path) -> None:
    host = await Host(tmp_path, managesieve={"max_compile_errors": 3}).logged_in()
    assert (await host.say(f"CHECKSCRIPT {literal(MISTAKES)}\r\n")).count("column") == 3
    await host.close()


async def test_an_active_script_that_no_longer_compiles_is_not_made_active(tmp_path: Path) -> None:
    host = await Host(tmp_path).logged_in()
    await host.say('PUTSCRIPT "a" "keep;"\r\n')
    (script,) = (tmp_path / "sieve").glob("a.sieve")
    script.write_text("keep")
    assert (await host.say('SETACTIVE "a"\r\n')).startswith('NO "a: line 1: column 5')
    await host.close()


async def test_limits(tmp_path: Path) -> None:
    settings = {"max_script_size": 1000, "max_scripts": 2, "max_storage": 1500}
    host = await Host(tmp_path, sieve=settings, managesieve={"max_bad_commands": 3}).logged_in()
    script = "#" * 900 + "\r\nkeep;"
    assert (await host.say('HAVESPACE "a" 999999\r\n')).startswith("NO (QUOTA/MAXSIZE)")
    assert (await host.say(f'PUTSCRIPT "a" {literal(script)}\r\n')).startswith("OK")
    assert (await host.say(f'PUTSCRIPT "b" {literal(script)}\r\n')).startswith("NO (QUOTA/MAXSIZE)")
    assert (await host.say(f'PUTSCRIPT "a" {literal(script)}\r\n')).startswith("OK")  # its own place
    assert (await host.say('PUTSCRIPT "b" "keep;"\r\n')).startswith("OK")
    assert (await host.say('PUTSCRIPT "c" "keep;"\r\n')).startswith("NO (QUOTA/MAXSCRIPTS)")
    # Too long for any script: swallowed, and the next command is understood.
    assert (await host.say(f'PUTSCRIPT "c" {literal("#" * 100_000)}\r\nNOOP\r\n')).split("\r\n")[
        1
    ] == 'OK "NOOP completed."'
    assert (await host.say("NONSENSE\r\n")).startswith("NO")
    assert (await host.say("NONSENSE\r\n")).endswith('BYE "Too many bad commands."\r\n')
    assert host.task.done()


async def test_before_login_there_are_fewer(tmp_path: Path) -> None:
    host = Host(tmp_path, managesieve={"max_commands_before_login": 2})
    await host.say()
    assert (await host.say(f'PUTSCRIPT "c" {literal("#" * 100_000)}\r\n')).startswith("NO")
    assert (await host.say("NOOP\r\nNOOP\r\n")).count("OK") == 2
    assert (await host.say("NOOP\r\n")) == 'BYE "Too many commands before login."\r\n'
    assert host.task.done()


async def test_silence_and_the_end_of_the_server(tmp_path: Path) -> None:
    host = Host(tmp_path)
    await host.say()
    host.channel.time_out()
    assert (await host.say()) == 'BYE "Disconnected for inactivity."\r\n'
    host = await Host(tmp_path).logged_in()
    host.channel.wake()
    assert (await host.say()) == 'BYE (TRYLATER) "Server is shutting down."\r\n'
    assert host.task.done()


@pytest.mark.parametrize(
    "line",
    [
        "NOOP 3",
        'NOOP "a" "b"',
        'HAVESPACE "a"',
        'HAVESPACE 1 "a"',
        "PUTSCRIPT",
        'PUTSCRIPT "a" 3',
        "GETSCRIPT 1",
        "GETSCRIPT {1+}\r\n\udcff",
        "SETACTIVE",
        'DELETESCRIPT ""',
        'RENAMESCRIPT "a"',
        "CHECKSCRIPT x",
        'LISTSCRIPTS "a"',
        "AUTHENTICATE",
        "STARTTLS",
        '"LISTSCRIPTS"',
        "LIST?SCRIPTS",
    ],
)
async def test_bad_arguments_are_refused_and_the_session_goes_on(tmp_path: Path, line: str) -> None:
    host = await Host(tmp_path).logged_in()
    assert (await host.say(line.encode("utf-8", "surrogateescape") + b"\r\n")).startswith("NO")
    assert (await host.say("NOOP\r\n")) == 'OK "NOOP completed."\r\n'
    await host.close()


async def test_a_script_is_compiled_once_from_put_to_its_first_delivery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []

    def counted(*arguments: Any) -> Any:
        names.append(arguments[3])
        return compile_script(*arguments)

    monkeypatch.setattr(compiled, "compile_script", counted)
    registry = default_registry()
    host = await Host(tmp_path, registry=registry).logged_in()
    await host.say('PUTSCRIPT "once" "keep; # once"\r\n')
    await host.say('SETACTIVE "once"\r\n')
    await host.close()
    programs, broken = Scripts(host.config, registry, registry, limits_of(host.config)).of(host.user)
    assert (len(programs), broken, names) == (1, [], ["once"])


async def test_the_limits_of_a_script_are_those_of_the_configuration(tmp_path: Path) -> None:
    list_ = '["a", "a", "a", "a"]'
    settings = {"max_script_tokens": 20, "max_script_commands": 4, "max_redirects": 0}
    host = await Host(tmp_path, sieve=settings).logged_in()
    for script, key in (
        (f"if header {list_} {list_} {{ }}", "max_script_tokens"),
        ("keep;" * 5, "max_script_commands"),
        ('redirect "kim@example.net";', "redirect"),
    ):
        assert key in await host.say(f"CHECKSCRIPT {literal(script)}\r\n")
    await host.close()
