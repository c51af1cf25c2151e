"""Runs programs over one message: a generator that yields questions and returns a Result.

Theory of operation. A run keeps no state outside itself and touches nothing: what it must know it asks (``yield question``; the caller
sends the answer), what it decides it writes down as actions. A handler that asks nothing is a plain function; one that asks is a
generator, and its caller delegates. So a script without questions costs no more than its calls.

Several scripts run in a row as Pigeonhole runs them: before, personal, after. The next one runs only while a keep is in effect, implicit
or explicit; the keep of an earlier script is not an action yet but that permission. When a script fails, what it decided and its edits are
forgotten, what those before it decided stays, the message is kept, and the error is in the result [RFC5228 2.10.6] [RFC5293 7]. An
exception that no handler should raise counts as such an error: a mistake of ours must not keep mail from its mailbox.

Limits are read at run time. Time is the caller's: ``cpu_clock`` gives seconds of processor time, looked at once in a while; where one
step can be long (a search in a large body) the step itself looks, by ``tick``.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import GeneratorType
from typing import Any

from mas.sieve.actions import Action, Edit, FileInto, Keep, Pipe, Redirect, Reject, Rewritten, Vacation
from mas.sieve.definition import Registry
from mas.sieve.limits import Limits
from mas.sieve.match import LONG, Fold
from mas.sieve.message import MessageView, PartView, Transaction
from mas.sieve.program import Call, Program, Template, Text
from mas.sieve.questions import Question, ReadBody, SeenBefore
from mas.sieve.source import RunError

_STEPS_BETWEEN_CLOCKS = 256
_FOLDED = 1 << 18
"""Characters that are kept folded: a thousand tests may ask a thousand questions of one large header."""
_LIST = 64
"""What a list of them counts for besides."""


@dataclass(slots=True)
class TraceLine:
    """One step of a run, for people: the script, its line, and what was found there."""

    script: str
    line: int
    text: str


@dataclass(slots=True)
class Result:
    """What the scripts decided.

    keep: the message is (also) kept in the default mailbox; keep_flags are its flags (None: nothing said).
    edits: changes of the message, in order. to_record: ids that the caller records when the delivery has succeeded.
    error: the run-time error that ended a script; ``keep`` is true then. bug: the exception behind it when it was none of the script's.
    debug: lines of debug_log.
    """

    actions: list[Action] = field(default_factory=list)
    keep: bool = True
    keep_flags: tuple[str, ...] | None = None
    edits: list[Edit] = field(default_factory=list)
    to_record: list[SeenBefore] = field(default_factory=list)
    error: RunError | None = None
    error_script: str = ""
    bug: Exception | None = None
    debug: list[str] = field(default_factory=list)
    trace: list[TraceLine] = field(default_factory=list)


class StopScript(Exception):
    """``stop``: no further command of this script nor of those that included it."""


class LeaveScript(Exception):
    """``return``: back to the script that included this one [RFC6609 3.3]."""


class LeaveLoop(Exception):
    """``break`` out of foreverypart [RFC5703 3.2]; ``name`` empty: the innermost."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Run:
    """One run of a sequence of scripts. Handlers read and change it; its public attributes are their interface."""

    def __init__(
        self,
        registry: Registry,
        message: MessageView,
        transaction: Transaction,
        *,
        limits: Limits | None = None,
        environment: Mapping[str, str] | None = None,
        cpu_clock: Callable[[], float] | None = None,
        now: float = 0.0,
        zone_minutes: int = 0,
        trace: bool = False,
        implicit_flags: tuple[str, ...] | None = None,
        message_flags: tuple[str, ...] | None = None,
        implicit_keep: bool = True,
    ) -> None:
        """message_flags: the flags of a message that lies in a mailbox: the run is at an IMAP event [RFC6785]. implicit_keep: whether the
        message is kept when the scripts say nothing."""
        self.registry = registry
        self.message = message
        self.transaction = transaction
        self.limits = limits or Limits()
        self.environment = dict(environment or {})
        self.now = now
        self.zone_minutes = zone_minutes
        self.result = Result()
        self.tracing = trace
        self.implicit_flags = implicit_flags
        self.message_flags = message_flags
        self._implicit_keep = implicit_keep
        # Of the script at hand
        self.program: Program
        self.line = 0
        self.enabled: set[str] = set()
        self.variables: dict[str, str] = {}
        self.global_names: set[str] = set()
        self.match_values: tuple[str, ...] = ()
        self.part: PartView | None = None
        self.keep_implicit = True
        # Of the whole run
        self.globals: dict[str, str] = {}
        self.state: dict[str, Any] = {}
        self.known: dict[object, list[str]] = {}
        """Values of header fields that tests have asked for before."""
        self.folded: dict[str, Sequence[str]] = {}
        """What comparators have seen, by ``Call.question``."""
        self._room = _FOLDED
        self.include_stack: list[tuple[bool, str]] = []
        self.includes = 0
        self.included: set[tuple[bool, str]] = set()
        self._steps = 0
        self._next_look = _STEPS_BETWEEN_CLOCKS
        self._rewrites = 0
        self._clock = cpu_clock
        self._started = cpu_clock() if cpu_clock else 0.0
        self._body: PartView | None = None

    # Running

    def scripts(self, programs: Sequence[Program]) -> Generator[Question, Any, Result]:
        """Run programs in order. Returns the result; never raises for what a script does."""
        result = self.result
        for number, program in enumerate(programs):
            explicit = self._take_keeps()
            if number and not result.keep and not explicit:
                break
            self._fresh(program)
            result.keep = False
            before = (list(result.actions), list(result.edits), list(result.to_record))
            try:
                self._only_here(program)
                yield from self.block(program.calls)
            except (StopScript, LeaveScript, LeaveLoop):
                pass
            except Exception as error:
                if not isinstance(error, RunError):
                    result.bug = error
                    error = RunError(f"internal error ({type(error).__name__})")
                result.error = error if error.line else RunError(error.text, self.line)
                result.error_script = self.program.name
                result.actions, result.edits, result.to_record = before
                result.keep = True
                result.keep_flags = None
                return result
            result.keep = self.keep_implicit
        for keep in [action for action in result.actions if isinstance(action, Keep)]:
            result.actions.remove(keep)
            result.keep = True
            result.keep_flags = keep.flags
        if result.keep and result.keep_flags is None:
            result.keep_flags = self.implicit_flags
        return result

    def _take_keeps(self) -> bool:
        keeps = [action for action in self.result.actions if isinstance(action, Keep)]
        for keep in keeps:
            self.result.actions.remove(keep)
            if keep.flags is not None:
                self.implicit_flags = keep.flags
        return bool(keeps)

    def _fresh(self, program: Program) -> None:
        self.program = program
        self.enabled = set(program.requires)
        self.variables = {}
        if self.message_flags is not None:
            self.variables[""] = " ".join(self.message_flags if self.implicit_flags is None else self.implicit_flags)
        self.global_names = set()
        self.match_values = ()
        self.part = None
        self.keep_implicit = self._implicit_keep
        self.included = set()

    def _only_here(self, program: Program) -> None:
        """What answers mail that arrives has no place at an IMAP event [RFC6785 3.11]."""
        if self.message_flags is None:
            return
        for name in sorted(program.requires):
            if self.registry.extensions[name].at_delivery:
                raise RunError(f"{name} cannot be used at an IMAP event", 1)

    def enter(self, program: Program) -> tuple[Any, ...]:
        """Begin an included script: its own variables and extensions. Returns what leave() takes back."""
        self._only_here(program)
        outer = (self.program, self.line, self.enabled, self.variables, self.global_names, self.match_values)
        self.program, self.enabled = program, set(program.requires)
        flags = self.variables.get("")
        self.variables = {} if flags is None else {"": flags}
        self.global_names, self.match_values = set(), ()
        return outer

    def leave(self, outer: tuple[Any, ...]) -> None:
        """Back to the including script; the internal flag variable and the globals live on."""
        flags = self.variables.get("")
        shared = self.globals
        self.program, self.line, self.enabled, self.variables, self.global_names, self.match_values = outer
        if flags is not None:
            self.variables[""] = flags
        for name in self.global_names:
            self.variables[name] = shared.get(name, "")

    def block(self, calls: Sequence[Call]) -> Generator[Question, Any, None]:
        """Run commands one after the other."""
        for call in calls:
            self.line = call.line
            self._steps += call.steps
            if self._steps >= self._next_look:
                self._look_up()
            outcome = call.handler(self, call)
            if outcome.__class__ is GeneratorType:
                yield from outcome

    def evaluate(self, call: Call) -> Any:
        """A test's value, or a generator that will return it."""
        self.line = call.line
        return call.handler(self, call)

    def _look_up(self) -> None:
        self._next_look = self._steps + _STEPS_BETWEEN_CLOCKS
        if self._steps > self.limits.max_steps:
            raise RunError(f"script takes more than {self.limits.max_steps} steps", self.line)
        self.tick()

    def tick(self) -> None:
        """Look at the clock. Raises RunError."""
        if self._clock and self.limits.cpu_seconds and self._clock() - self._started > self.limits.cpu_seconds:
            raise RunError(f"script takes more than {self.limits.cpu_seconds:g} seconds of processor time", self.line)

    # Values

    def text(self, value: Text) -> str:
        """A string argument with its variables filled in."""
        if value.__class__ is str:
            return value
        assert isinstance(value, Template)
        text = "".join([part if part.__class__ is str else part(self) for part in value.parts])  # type: ignore[operator]
        if len(text) > self.limits.max_string:
            raise RunError(f"a string grew over {self.limits.max_string} characters", self.line)
        return text

    def argument(self, call: Call, name: str) -> str:
        """A string parameter of a call."""
        return self.text(call.arguments[name])  # type: ignore[arg-type]  # the compiler bound it by its kind

    def arguments(self, call: Call, name: str) -> tuple[str, ...]:
        """A string-list parameter of a call."""
        constant = call.lists.get(name)
        if constant is not None:
            return constant
        values: Any = call.arguments[name]
        return tuple([value if value.__class__ is str else self.text(value) for value in values])

    def tagged(self, call: Call, slot: str) -> str | None:
        """The string after a tag, None without the tag."""
        value: Any = call.values.get(slot)
        return None if value is None else self.text(value)

    def tagged_list(self, call: Call, slot: str) -> tuple[str, ...] | None:
        """The string list after a tag, None without the tag."""
        values: Any = call.values.get(slot)
        return None if values is None else tuple([self.text(value) for value in values])

    def tagged_number(self, call: Call, slot: str) -> int | None:
        """The number after a tag, None without the tag."""
        value = call.values.get(slot)
        assert value is None or isinstance(value, int)
        return value

    def namespace(self, name: str, rest: str) -> str:
        """A variable of a namespace (``global.x``, ``env.…``); empty when there is none."""
        value = self.registry.namespace_variables.get(name)
        return value(self, rest) if value else ""

    def body(self) -> Generator[Question, Any, PartView]:
        """The message's root part; asked for once a run."""
        if self._body is None:
            rewritten = [edit for edit in self.result.edits if isinstance(edit, Rewritten)]
            self._body = yield ReadBody(tuple(rewritten[-1:]))
        body = self._body
        assert body is not None
        return body

    def fold(self, question: str, values: Sequence[str], fold: Fold) -> Sequence[str]:
        """What a comparator sees of the values, kept for others with the same question (not those over which the clock must be looked at,
        and not while every test is to say what it finds)."""
        folded = [fold(value) for value in values]
        size = sum(map(len, folded)) + _LIST
        if not self.tracing and size <= self._room and max(map(len, folded), default=0) <= LONG:
            self._room -= size
            self.folded[question] = folded
        return folded

    def _forget(self) -> None:
        self.known.clear()
        self.folded.clear()
        self._room = _FOLDED

    def edit(self, edit: Edit) -> None:
        """Add a change of the header that ``message`` shows already."""
        self.result.edits.append(edit)
        self._forget()

    def message_replaced(self, message: MessageView | None) -> None:
        """The header, the body or the envelope changed under the script: all is asked for anew."""
        if message is not None:
            self.message = message
        self._forget()
        self._body = None

    def edits(self) -> tuple[Edit, ...]:
        """The changes of the message so far."""
        return tuple(self.result.edits)

    def rewritten(self, message: MessageView, *, enclosing: bool = False) -> None:
        """The message is this one from now on; it has all edits so far in it. Raises RunError when that happens too often."""
        self._rewrites += 1
        if self.limits.max_actions and self._rewrites > self.limits.max_actions:
            raise RunError(f"the message is changed more than {self.limits.max_actions} times", self.line)
        edits = self.result.edits
        first = next(
            (at for at, edit in enumerate(edits) if isinstance(edit, Rewritten) and edit.enclosing),
            len(edits) if enclosing else 0,
        )
        enclosing = enclosing or first < len(edits)
        edits[first:] = [Rewritten(message, enclosing)]
        self.message_replaced(message)

    def note(self, text: str) -> None:
        """A line of the trace, when one is wanted."""
        if self.tracing:
            self.result.trace.append(TraceLine(self.program.name, self.line, text))

    # Deciding

    def act(self, action: Action, *, cancels_keep: bool = True) -> None:
        """Add an action. Raises RunError when it conflicts with another or passes a limit [RFC5228 2.10.2, 2.10.4]."""
        actions = self.result.actions
        if cancels_keep:
            self.keep_implicit = False
        if isinstance(action, Keep | FileInto):
            for at, other in enumerate(actions):
                if type(other) is type(action) and replace(other, flags=None) == replace(action, flags=None):
                    # Filed there already: once is enough, with the flags said last.
                    if action.flags is not None:
                        actions[at] = replace(action, edits=other.edits)
                    return
        elif action in actions:
            return
        self._conflicts(action)
        if self.limits.max_actions and len(actions) >= self.limits.max_actions:
            raise RunError(f"more than {self.limits.max_actions} actions", self.line)
        if isinstance(action, Redirect) and sum(isinstance(a, Redirect) for a in actions) >= self.limits.max_redirects:
            raise RunError(f"more than {self.limits.max_redirects} redirects", self.line)
        if self.result.edits and isinstance(action, FileInto | Keep | Redirect | Pipe):
            edits = self.edits()
            if isinstance(action, Redirect):
                enclosed = [at for at, edit in enumerate(edits) if isinstance(edit, Rewritten) and edit.enclosing]
                edits = edits[: enclosed[0]] if enclosed else edits
            action = replace(action, edits=edits)
        actions.append(action)
        if self.tracing:
            self.note(f"action {action}")

    def _conflicts(self, action: Action) -> None:
        """reject goes with nothing that delivers or answers [RFC5429 2.4], vacation not with reject nor twice [RFC5230 4.7]."""
        for other in self.result.actions:
            if isinstance(action, Reject) and isinstance(other, Keep | FileInto | Redirect | Vacation | Reject):
                raise RunError(f"reject cannot be used with {type(other).__name__.lower()}", self.line)
            if isinstance(other, Reject) and isinstance(action, Keep | FileInto | Redirect | Vacation):
                raise RunError(f"{type(action).__name__.lower()} cannot be used with reject", self.line)
            if isinstance(action, Vacation) and isinstance(other, Vacation):
                raise RunError("vacation cannot be used twice", self.line)
