"""Scripts: conversations between clients and a server, as the RFCs print them, run against whatever can be connected to.

::

    # what the script is about                 comments and empty lines are skipped
    mailbox: INBOX 3                           header: "key: value" up to the first line that is something else; the host reads it
    C: a SELECT INBOX                          sent with CRLF
    S: * 3 EXISTS                              the next line from the server
    S: ...                                     any number of lines, up to the one that matches what follows
    S: a OK [READ-WRITE] ...                   "..." inside a line is any text
    S: * OK [UIDVALIDITY $v] ...               $v: any text without blanks the first time, the same text from then on
    2C: b NOOP                                 connection 2 (made when first named)
    C| raw text\\r\\n\\x00                       sent as it stands, with Python's escapes, no line end added
    S: <closed>                                the server has closed the connection
    ! deliver INBOX 1                          something happens to the host; its own words

Before anything is sent and at the end nothing may be left unread on any connection, where the host can tell (``settle``).
A failure names the script and the line.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

STEP = re.compile(r"(?P<number>\d*)(?P<who>[CS])(?P<kind>[:|]) ?(?P<text>.*)$")
HEADER = re.compile(r"([a-z_]+): (.*)$")
PATTERN = re.compile(r"\$(?P<name>[a-z][a-z0-9_]*)|(?P<any>\.\.\.)")


class ScriptError(AssertionError):
    """A script that the server did not follow, or that is no script."""


class Client(Protocol):
    """One connection to the server under test."""

    async def send(self, data: bytes) -> None: ...

    async def line(self) -> bytes | None:
        """The next line without CRLF, None when the server has closed. Raises TimeoutError when none comes."""
        ...

    async def settle(self) -> list[bytes]:
        """Wait until the server waits for the client, and give what is unread (and stays unread); [] where that cannot be known."""
        ...


class Host(Protocol):
    """What the script runs against."""

    async def connect(self, number: int) -> Client: ...

    async def event(self, words: list[str]) -> None:
        """An ``!`` line. Raises KeyError for words that it does not know."""
        ...


@dataclass(frozen=True, slots=True)
class Step:
    line: int
    who: str  # C, S or !
    connection: int
    raw: bool
    text: str


@dataclass(frozen=True, slots=True)
class Script:
    path: Path
    header: Mapping[str, list[str]]
    steps: list[Step]


def load(path: Path) -> Script:
    """Read a script. Raises ScriptError for a line that is none of the language."""
    header: dict[str, list[str]] = {}
    steps: list[Step] = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        step = STEP.match(line)
        setting = HEADER.match(line)
        if step:
            connection = int(step["number"] or 1)
            steps.append(Step(number, step["who"], connection, step["kind"] == "|", step["text"]))
        elif line.startswith("! "):
            steps.append(Step(number, "!", 0, False, line[2:]))
        elif setting and not steps:
            header.setdefault(setting[1], []).append(setting[2])
        else:
            raise ScriptError(f"{path.name}:{number}: not a line of a script: {line}")
    return Script(path, header, steps)


@dataclass(slots=True)
class Matcher:
    """Compares lines with patterns, and remembers variables."""

    values: dict[str, str] = field(default_factory=dict)

    def fill(self, text: str) -> str:
        """Known variables replaced, for what the client sends."""
        return re.sub(r"\$([a-z][a-z0-9_]*)", lambda found: self.values.get(found[1], found[0]), text)

    def match(self, pattern: str, line: str) -> bool:
        """Whether the line fits; sets new variables if so."""
        expression, end, new = "", 0, []
        for found in PATTERN.finditer(pattern):
            expression += re.escape(pattern[end : found.start()])
            end = found.end()
            name = found["name"]
            if name is None:
                expression += ".*"
            elif name in self.values:
                expression += re.escape(self.values[name])
            elif name in new:
                expression += f"(?P={name})"
            else:
                new.append(name)
                expression += rf"(?P<{name}>[^ \])]+)"
        expression += re.escape(pattern[end:])
        matched = re.fullmatch(expression, line, re.DOTALL)
        if matched is None:
            return False
        self.values.update(matched.groupdict())
        return True


async def run_script(script: Script, host: Host, *, login: Callable[[Client], Awaitable[None]] | None = None) -> None:
    """Run a script to its end. Raises ScriptError. ``login`` is done on each new connection first."""
    clients: dict[int, Client] = {}
    matcher = Matcher()
    skipping: set[int] = set()
    for step in script.steps:
        where = f"{script.path.name}:{step.line}"
        if step.who == "!":
            await host.event(matcher.fill(step.text).split())
            continue
        client = clients.get(step.connection)
        if client is None:
            client = clients[step.connection] = await host.connect(step.connection)
            if login is not None:
                await login(client)
        if step.who == "C":
            if step.connection not in skipping:
                left = await client.settle()
                if left:
                    raise ScriptError(f"{where}: connection {step.connection} has unread lines: {shown(left)}")
            text = matcher.fill(step.text)
            data = (
                text.encode("latin-1").decode("unicode_escape").encode("latin-1")
                if step.raw
                else text.encode() + b"\r\n"
            )
            skipping.discard(step.connection)
            await client.send(data)
        elif step.text == "...":
            skipping.add(step.connection)
        else:
            await expect(client, step, where, matcher, step.connection in skipping)
            skipping.discard(step.connection)
    for number, client in clients.items():
        left = await client.settle()
        if left and number not in skipping:
            raise ScriptError(f"{script.path.name}: end: connection {number} has unread lines: {shown(left)}")


async def expect(client: Client, step: Step, where: str, matcher: Matcher, skip: bool) -> None:
    """Read until a line matches (or only one line when nothing is skipped)."""
    skipped: list[bytes] = []
    while True:
        try:
            line = await client.line()
        except TimeoutError:
            raise ScriptError(f"{where}: nothing came, expected: {step.text}\n  skipped: {shown(skipped)}") from None
        text = "<closed>" if line is None else line.decode("utf-8", "backslashreplace")
        if matcher.match(step.text, text):
            return
        if not skip or line is None:
            raise ScriptError(
                f"{where}:\n  expected: {matcher.fill(step.text)}\n  got:      {text}\n  skipped: {shown(skipped)}"
            )
        skipped.append(line)


def shown(lines: list[bytes]) -> str:
    """Lines for a failure's message."""
    return "".join("\n    " + line.decode("utf-8", "backslashreplace") for line in lines) or "nothing"
