"""What happens when a user's usage crosses a threshold: a command in the background, or a mail to the user.

Fired after the commit that crossed it. Promises: the save never waits for a warning and never fails for one; a command has a time
limit, runs as the mail user without a shell, in its own process group, which is killed as a whole at the limit; no more than a few run
at once. The mail goes to the user's own INBOX without regard to quota and causes no warning itself.
Must not know: how the mail is saved (a function given by the store).
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from email.utils import formatdate, make_msgid
from pathlib import Path

import structlog

from mas import variables
from mas.metrics import table as metrics
from mas.storage.quota import Crossing
from mas.user import User

_log = structlog.get_logger(area="quota")

TIME_LIMIT = 60.0
"""Seconds a warning command may take."""
MAX_RUNNING = 4
MAX_WAITING = 1000
MAX_TEMPLATE = 1 << 20

_SUBJECT = "Your mailbox {name} is {percent} % full"
_BODY = """\
This is an automatic message of the mail server.

Your mailbox {name} uses {usage} of {limit} ({percent} %).
When it is full, new mail for you is returned to its senders.
Please delete messages that you no longer need, and empty the Trash.
"""
_SUBJECT_BELOW = "Your mailbox {name} has room again"
_BODY_BELOW = """\
This is an automatic message of the mail server.

Your mailbox {name} uses {usage} of {limit} ({percent} %).
"""


class QuotaWarnings:
    """Runs the warnings of one process, on its event loop. ``deliver`` saves a message (CRLF line ends) to the user's INBOX."""

    def __init__(
        self,
        deliver: Callable[[User, bytes], Awaitable[None]],
        *,
        hostname: str,
        postmaster: str = "",
        time_limit: float = TIME_LIMIT,
    ) -> None:
        self._deliver = deliver
        self._hostname = hostname
        self._postmaster = postmaster
        self._time_limit = time_limit
        self._running = asyncio.Semaphore(MAX_RUNNING)
        self._tasks: set[asyncio.Task[None]] = set()

    def fire(self, user: User, crossing: Crossing) -> None:
        """Start the warning; returns at once. Call on the event loop, after the commit."""
        if len(self._tasks) >= MAX_WAITING:
            _log.error("quota warning dropped, too many wait", user=user.name, threshold=crossing.warning.threshold)
            return
        task = asyncio.get_running_loop().create_task(self._warn(user, crossing))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Wait for what runs."""
        while waiting := [task for task in self._tasks if not task.done()]:  # as in mas.storage.blocking
            await asyncio.gather(*waiting, return_exceptions=True)

    async def _warn(self, user: User, crossing: Crossing) -> None:
        warning = crossing.warning
        result = "failed"
        log = _log.bind(user=user.name, threshold=warning.threshold, usage=crossing.usage[0])
        async with self._running:
            try:
                if warning.command:
                    values = variables.values_of(user.name, home=str(user.home), service="quota")
                    status = await self._run([variables.expand(word, values) for word in warning.command])
                    if status:
                        log.error("quota warning command failed", command=warning.command[0], status=status)
                        return
                else:
                    await self._deliver(user, await self._message(user, crossing))
                result = "ok"
                log.info("quota warning")
            except TimeoutError:
                log.error("quota warning command took too long", command=warning.command[0], limit=self._time_limit)
            except Exception as error:
                log.error("quota warning failed", error=str(error), kind=type(error).__name__)
            finally:
                metrics.QUOTA_WARNINGS[result].add()

    async def _run(self, words: list[str]) -> int:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
            env={"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8"},
        )
        try:
            async with asyncio.timeout(self._time_limit):
                return await process.wait()
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()

    async def _message(self, user: User, crossing: Crossing) -> bytes:
        template = crossing.warning.template
        if template is None:
            return warning_message(user, crossing, self._hostname, self._postmaster)
        text = await asyncio.to_thread(_read, template)
        return template_message(text, user, crossing, self._hostname, self._postmaster)


def _read(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        return file.read(MAX_TEMPLATE)


def warning_message(user: User, crossing: Crossing, hostname: str, postmaster: str) -> bytes:
    """The built-in text as a message with CRLF line ends."""
    below = crossing.warning.threshold.startswith("-")
    words = _words(user, crossing)
    subject = (_SUBJECT_BELOW if below else _SUBJECT).format(**words)
    body = (_BODY_BELOW if below else _BODY).format(**words)
    return _with_header(f"Subject: {subject}\n\n{body}", user, hostname, postmaster)


def template_message(text: str, user: User, crossing: Crossing, hostname: str, postmaster: str) -> bytes:
    """A template: header lines, an empty line, text. ``{name}``, ``{usage}``, ``{limit}`` and ``{percent}`` are filled in, and header
    fields that a message must have and the template lacks are added."""
    for word, value in _words(user, crossing).items():
        text = text.replace("{" + word + "}", value)
    text = text.replace("\r\n", "\n")
    first = text.partition("\n")[0]
    if ":" not in first or " " in first.partition(":")[0]:
        text = f"Subject: {_SUBJECT.format(**_words(user, crossing))}\n\n{text}"
    return _with_header(text, user, hostname, postmaster)


def _with_header(text: str, user: User, hostname: str, postmaster: str) -> bytes:
    header, _, body = text.partition("\n\n")
    present = {
        line.partition(":")[0].strip().lower() for line in header.split("\n") if not line.startswith((" ", "\t"))
    }
    sender = postmaster or f"postmaster@{user.domain or hostname}"
    added = [
        f"{name}: {value}"
        for name, value in (
            ("From", f"Mail server <{sender}>"),
            ("To", f"<{user.name}>"),
            ("Date", formatdate(localtime=True)),
            ("Message-ID", make_msgid(domain=hostname)),
            ("MIME-Version", "1.0"),
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Transfer-Encoding", "8bit"),
            ("Auto-Submitted", "auto-generated"),
            ("Precedence", "bulk"),
        )
        if name.lower() not in present
    ]
    return "\n".join([*added, header, "", body]).replace("\n", "\r\n").encode()


def _words(user: User, crossing: Crossing) -> dict[str, str]:
    """What the texts can say. The percentage is of the limit that is the more exhausted."""
    (octets, messages), limits = crossing.usage, crossing.limits
    shares = [used * 100 // limit for used, limit in ((octets, limits.storage), (messages, limits.messages)) if limit]
    by_messages = bool(limits.messages) and (not limits.storage or shares[-1] > shares[0])
    usage = f"{messages} messages" if by_messages else _readable(octets)
    limit = (
        f"{limits.messages} messages" if by_messages else _readable(limits.storage) if limits.storage else "no limit"
    )
    return {"name": user.name, "usage": usage, "limit": limit, "percent": str(max(shares, default=0))}


def _readable(octets: int) -> str:
    for unit, size in (("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10)):
        if octets >= size:
            return f"{octets / size:.1f} {unit}"
    return f"{octets} bytes"
