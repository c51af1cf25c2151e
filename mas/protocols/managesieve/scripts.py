"""HAVESPACE to RENAMESCRIPT: the scripts of who is logged in. [RFC5804 2.5 - 2.12]"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mas.filtering.compiled import COMPILED, LARGE
from mas.protocols.managesieve import arguments, responses
from mas.protocols.managesieve.arguments import Refused
from mas.protocols.managesieve.connection import Command
from mas.sieve.program import Program
from mas.sieve.source import Problem, ScriptError

if TYPE_CHECKING:
    from mas.protocols.managesieve.session import Session


async def havespace(session: Session, command: Command) -> None:
    """HAVESPACE [RFC5804 2.5]"""
    scripts = session.scripts()
    arguments.count(command, 2)
    size = command.arguments[1]
    if not isinstance(size, int):
        raise Refused("HAVESPACE takes a name and a number.")
    await asyncio.to_thread(scripts.check_space, arguments.text(command, 0), size)
    session.write(responses.ok("Putscript would succeed."))


async def putscript(session: Session, command: Command) -> None:
    """PUTSCRIPT [RFC5804 2.6]: stored only when it compiles; the old one stays until the new one is whole."""
    scripts = session.scripts()
    arguments.count(command, 2)
    name, content = arguments.text(command, 0), arguments.octets(command, 1)
    scripts.check(name, len(content))
    warnings = await _warnings(session, content, name)
    await asyncio.to_thread(scripts.put, name, content)
    session.write(responses.ok(warnings or "PUTSCRIPT completed.", b"WARNINGS" if warnings else b""))


async def checkscript(session: Session, command: Command) -> None:
    """CHECKSCRIPT [RFC5804 2.12]"""
    session.scripts()
    arguments.count(command, 1)
    warnings = await _warnings(session, arguments.octets(command, 0), "")
    session.write(responses.ok(warnings or "Script checked successfully.", b"WARNINGS" if warnings else b""))


async def _warnings(session: Session, content: bytes, name: str) -> str:
    """Compile a script; returns its warnings as text. Raises Refused with all mistakes."""
    if len(content) <= LARGE:
        program = _program(session, content, name)
    else:
        program = await asyncio.to_thread(_program, session, content, name)
    return "\r\n".join(program.warnings)


def _program(session: Session, content: bytes, name: str) -> Program:
    """What a script compiles to. Raises Refused."""
    try:
        return COMPILED.program(content, session.registry, session.limits, name)
    except ScriptError as error:
        raise Refused("\r\n".join(_mistake(name, problem) for problem in error.problems)) from None


async def listscripts(session: Session, command: Command) -> None:
    """LISTSCRIPTS [RFC5804 2.7]"""
    scripts = session.scripts()
    arguments.count(command, 0)

    def listed() -> list[tuple[str, bool]]:
        active = scripts.active_name()
        return [(name, name == active) for name in scripts.names()]

    session.write(responses.scripts(await asyncio.to_thread(listed)) + responses.ok("Listscripts completed."))


async def setactive(session: Session, command: Command) -> None:
    """SETACTIVE [RFC5804 2.8]: a script that no longer compiles is not made active."""
    scripts = session.scripts()
    arguments.count(command, 1)
    name = arguments.text(command, 0)

    def activate() -> None:
        if name:
            _program(session, scripts.read(name), name)
        scripts.activate(name)

    await asyncio.to_thread(activate)
    session.write(responses.ok("Setactive completed."))


async def getscript(session: Session, command: Command) -> None:
    """GETSCRIPT [RFC5804 2.9]"""
    scripts = session.scripts()
    arguments.count(command, 1)
    content = await asyncio.to_thread(scripts.read, arguments.text(command, 0))
    session.write(responses.script(content) + responses.ok("Getscript completed."))


async def deletescript(session: Session, command: Command) -> None:
    """DELETESCRIPT [RFC5804 2.10]"""
    scripts = session.scripts()
    arguments.count(command, 1)
    await asyncio.to_thread(scripts.delete, arguments.text(command, 0))
    session.write(responses.ok("Deletescript completed."))


async def renamescript(session: Session, command: Command) -> None:
    """RENAMESCRIPT [RFC5804 2.11]"""
    scripts = session.scripts()
    arguments.count(command, 2)
    await asyncio.to_thread(scripts.rename, arguments.text(command, 0), arguments.text(command, 1))
    session.write(responses.ok("Renamescript completed."))


def _mistake(name: str, problem: Problem) -> str:
    """``name: line 2: column 4: …``: Roundcube marks the lines that it finds as ``line 2:`` behind the name, which is Pigeonhole's form."""
    return f"{name}{': ' if name else ''}line {problem.line}: column {problem.column}: {problem.text}"
