"""The host that a test file is tried on: everything that a delivery meets is real, but nothing leaves its folder.

Sieve's interpreter is not async and neither are the tests' commands, so the bench has a loop of its own and is called from outside of one.
Not here: replies that a delivery remembers (a test file asks for the same reply again and again, and each time it is the first).
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from pydantic import ValidationError

from mas.config import Config, Sieve
from mas.delivery import Decision, Delivery, Envelope, Recipient, Save
from mas.errors import MasError
from mas.filtering.answers import Answers
from mas.filtering.consequences import Consequences
from mas.filtering.filter import Filter
from mas.filtering.memory import Memory
from mas.filtering.view import HeaderView
from mas.outgoing.queue import Envelope as Outgoing
from mas.outgoing.queue import Queue
from mas.sieve.compiler import compile_script
from mas.sieve.definition import Registry
from mas.sieve.extensions import OPTIONAL
from mas.sieve.interpreter import Result, Run
from mas.sieve.message import Transaction
from mas.sieve.program import Program
from mas.sieve.questions import Question
from mas.sieve.source import ScriptError
from mas.storage.interface import Account, Incoming
from mas.storage.mime.section import Section
from mas.storage.mime.window import header_end
from mas.storage.model import MailboxName, flag_names
from mas.storage.store import MaildirStore
from mas.user import User

T = TypeVar("T")
Language = Callable[[Config], Registry]
"""The language that a configuration offers."""
USER = "recipient@example.com"
MESSAGE = b"From: sender@example.com\r\nTo: recipient@example.com\r\nSubject: Test\r\n\r\nTest\r\n"
TRANSACTION = Transaction("sender@example.com", USER, own_addresses=(USER,))
_PROGRAMS = ("pipe", "filter", "execute")
_SWITCHES = {"yes": True, "true": True, "no": False, "false": False}


def _as_written(name: str, value: str) -> Any:
    """A text of a test file as the value that the key has in TOML; sizes and durations are texts there, too."""
    known = Sieve.model_fields.get(name)
    default = known.get_default() if known is not None else ""
    match default:
        case bool():
            return _SWITCHES.get(value.lower(), value)
        case tuple():
            return tuple(value.split())
        case int() | float() if value.lstrip("-").replace(".", "", 1).isdigit():
            return float(value) if isinstance(default, float) and "." in value else int(value)
    return value


@dataclass(frozen=True, slots=True)
class Outcome:
    """One test of a file: its name, the line where it stands, and why it failed (empty: it did not)."""

    name: str
    line: int
    failure: str = ""


@dataclass(slots=True)
class Bench:
    """What the commands of one test file work on. ``folder``: where the file is; ``place``: an empty folder for everything else.

    message, transaction: what scripts are run over. compiled: the script that was compiled last. errors: of that, or of its last run.
    result: of the last run, None for what the test file's own actions have decided. sent: mail that went out, in order, with its envelope.
    """

    folder: Path
    place: Path
    language: Language
    message: bytes = MESSAGE
    transaction: Transaction = TRANSACTION
    compiled: list[Program] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    result: Result | None = None
    sent: list[tuple[Outgoing, bytes]] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    filter: Filter = field(init=False)
    _runner: asyncio.Runner = field(default_factory=asyncio.Runner)
    _store: MaildirStore = field(init=False)
    _queue: Queue = field(init=False)
    _memories: list[Memory] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def __enter__(self) -> Bench:
        config = self._config()
        self._store = MaildirStore(config)
        self._queue = self.wait(self._make_queue())
        self._start(config)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wait(self._queue.close())
        self.wait(self._store.close())
        for memory in self._memories:
            memory.close()
        self._runner.close()

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of async work."""
        return self._runner.run(work)

    async def _make_queue(self) -> Queue:
        return Queue(self.place / "outgoing", self._send, self._given_up)

    async def _send(self, envelope: Outgoing, message: bytes) -> None:
        self.sent.append((envelope, message))

    async def _given_up(self, envelope: Outgoing, message: bytes, why: str) -> None:
        raise AssertionError(why)

    # Settings

    def _config(self) -> Config:
        sieve: dict[str, Any] = {
            "extensions": " ".join(f"+{extension.name}" for extension in OPTIONAL),
            "dir": str(self.folder / "included"),
            "global_dir": str(self.folder / "included-global"),
            "user_log": "",
            **{f"{name}_bin_dir": str(self.folder / "bin") for name in _PROGRAMS},
            **{name: _as_written(name, value) for name, value in self.settings.items() if value},
        }
        return Config.model_validate(
            {
                "hostname": "mail.example.com",
                "state_dir": str(self.place / "state"),
                "run_dir": str(self.place / "run"),
                "sieve": sieve,
            }
        )

    def _start(self, config: Config) -> None:
        language = self.language(config)
        self.filter = Filter(self._store, config, language, self._queue, self._fresh_memory(), language)

    def _fresh_memory(self) -> Memory:
        self._memories.append(Memory(self.place / f"memory-{next(self._numbers)}.db"))
        return self._memories[-1]

    def reload(self) -> None:
        """Take the settings as they are now. Raises MasError that names a setting that is none, or is wrong."""
        try:
            self._start(self._config())
        except ValidationError as error:
            first = error.errors()[0]
            raise MasError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None

    def annotate(self, mailbox: str, entry: str, value: str) -> None:
        """Give a mailbox an annotation. Raises MailboxError."""

        async def annotate() -> None:
            async with await self._store.open(self._user()) as account:
                await account.set_metadata(MailboxName(mailbox), {entry.lower(): value.encode()})

        self.wait(annotate())

    # Scripts

    def compile(self, name: str) -> Program | None:
        """A script beside the test file; None with ``errors`` when it does not compile. Raises MasError when it cannot be read."""
        path = self.folder / name
        try:
            content = path.read_bytes()
        except OSError as error:
            raise MasError(f"{path}: {error.strerror}") from None
        limits = replace(self.filter.limits, max_errors=1000)
        try:
            return compile_script(content, self.filter.registry, limits, path.stem)
        except ScriptError as error:
            self.errors = [str(problem) for problem in error.problems]
            return None

    def run(self, programs: Sequence[Program]) -> Result:
        """What scripts decide about the message."""
        steps = self.new_run(self.filter.registry).scripts(programs)
        answer: Any = None
        while True:
            try:
                question = steps.send(answer)
            except StopIteration as end:
                result: Result = end.value
                return result
            answer = self.answer(question)

    def new_run(self, registry: Registry) -> Run:
        """A run over the message, with the settings of now."""
        return Run(
            registry,
            self.view(),
            self.transaction,
            limits=self.filter.limits,
            environment=self.environment(),
            cpu_clock=time.thread_time,
            now=time.time(),
        )

    def environment(self) -> Mapping[str, str]:
        """As at a delivery."""
        return self.filter.environment(self._user())

    def view(self) -> HeaderView:
        """The message's header."""
        return HeaderView(self.message[: header_end(self.message, 0, len(self.message))], len(self.message))

    def answer(self, question: Question) -> Any:
        """Answer a question of a script that runs over the message."""

        async def answered() -> Any:
            async with await self._store.open(self._user()) as account:
                return await self._answers(account).answer(question)

        return self.wait(answered())

    def _answers(self, account: Account) -> Answers:
        message = self.message

        async def content() -> bytes:
            return message

        return Answers(self.filter, content, account, self.transaction)

    def _user(self) -> User:
        return User(USER, self.place / "home", f"maildir:{self.place / 'Maildir'}")

    # What a delivery does

    def execute(self, result: Result) -> str:
        """Do what a result says, as a delivery does it. Returns why that failed, empty when it did not."""
        self.filter.memory = self._fresh_memory()
        return self.wait(self._deliver(result))

    async def _deliver(self, result: Result) -> str:
        transaction, filtering = self.transaction, self.filter

        async def decide(
            message: Incoming, envelope: Envelope, recipient: Recipient, account: Account, default: Save
        ) -> Decision:
            view = self.view()
            after = Consequences(filtering, view, self._answers(account), account, transaction, "")
            return await filtering.decision(result, view, after, default)

        delivery = Delivery(self._store, filtering.config, decide)
        async with self._store.incoming(self._user()) as message:
            await message.write(self.message)
            await message.finish()
            (delivered,) = await delivery.deliver(
                message, Envelope(transaction.sender, ""), [Recipient(self._user(), transaction.recipient)]
            )
        await delivery.close()
        await self._queue.close()
        return str(delivered.error) if delivered.error else ""

    async def _mailbox(self, name: str) -> list[tuple[bytes, tuple[str, ...]]]:
        async with await self._store.open(self._user()) as account:
            selection = await account.select(MailboxName(name), read_only=True)
            snapshot = selection.snapshot
            flags = {
                uid: flag_names(of_message, snapshot.keywords)
                for uid, of_message in zip(snapshot.uids, snapshot.flags, strict=True)
            }
            found: list[tuple[bytes, tuple[str, ...]]] = []
            async for batch in selection.octets(list(flags), Section()):
                for uid, octets in batch:
                    content = octets if isinstance(octets, bytes) else b"".join([one async for one in octets.chunks()])
                    found.append((content, flags[uid]))
            await selection.close()
            return found

    def mailbox(self, name: str) -> list[tuple[bytes, tuple[str, ...]]]:
        """The messages of a mailbox with their flags; none when it does not exist."""
        try:
            return self.wait(self._mailbox(name))
        except MasError:
            return []

    def create(self, name: str) -> None:
        """Make a mailbox. Raises MailboxError."""

        async def create() -> None:
            async with await self._store.open(self._user()) as account:
                if name.upper() != "INBOX":
                    await account.create(MailboxName(name))

        self.wait(create())

    def delete(self, name: str) -> None:
        """Remove a mailbox. Raises MailboxError."""

        async def delete() -> None:
            async with await self._store.open(self._user()) as account:
                await account.delete(MailboxName(name))

        self.wait(delete())
