"""vnd.dovecot.testsuite: the commands and tests of a test file, as an extension of the language.

    test <name: string> <block>
    test_fail <reason: string>
    test_set <"message" / "envelope.from" / "envelope.to" / "envelope.orig_to" / "envelope.auth"> <value: string>
    test_message (:smtp / :folder <mailbox: string>) <number: number>        ; as a test, too
    test_mailbox_create <mailbox: string>, test_mailbox_delete <mailbox: string>
    test_imap_metadata_set [:mailbox <mailbox: string>] <annotation: string> <value: string>
    test_config_set <setting: string> <value: string>, test_config_unset <setting: string>, test_config_reload [:extension <name: string>]
    test_result_reset, test_result_print
    test_script_compile <file: string>                                         ; a test, as are those below
    test_script_run [:append_result]
    test_multiscript <files: string-list>
    test_result_execute
    test_result_action [:index number] [COMPARATOR] [MATCH-TYPE] <keys: string-list>
    test_error [:index number] [COMPARATOR] [MATCH-TYPE] <keys: string-list>

A setting is a key of ``[sieve]``, with or without Dovecot's ``sieve_`` before it; empty, it has its default. ``${tst.path}`` is the folder
of the test file. ``test_message :folder`` sets the flags that ``hasflag`` sees, ``test_message :smtp`` the envelope: those of the message.
There are no binaries to save here: test_binary_save and test_binary_load do nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mas.errors import MasError
from mas.sieve.actions import FileInto, Keep
from mas.sieve.definition import Asking, BlockUse, Extension, Kind, Parameter, TagRule, command, test
from mas.sieve.interpreter import Result, StopScript
from mas.sieve.matching import MATCH_TAGS, match
from mas.sieve.program import Call
from mas.sieve.source import RunError
from mas.storage.model import INBOX
from mas.svtest.bench import Bench, Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mas.sieve.interpreter import Run

NAME = "vnd.dovecot.testsuite"
_ENVELOPE = {
    "envelope.from": "sender",
    "envelope.to": "recipient",
    "envelope.orig_to": "original_recipient",
    "envelope.auth": "auth",
}


class TestFailed(Exception):
    """``test_fail``; the text is the reason."""

    __test__ = False


def decided(run: Run, bench: Bench) -> Result:
    """The result at hand: that of the last script, else what the test file itself has decided so far."""
    if bench.result is not None:
        return bench.result
    result = Result(keep=run.keep_implicit, edits=list(run.result.edits), to_record=list(run.result.to_record))
    for action in run.result.actions:
        if isinstance(action, Keep):
            result.keep, result.keep_flags = True, action.flags
        else:
            result.actions.append(action)
    return result


def _names(result: Result) -> list[str]:
    names = [
        "store" if isinstance(action, FileInto) else type(action).__name__.lower()
        for action in result.actions
        if not (result.keep and isinstance(action, FileInto) and action.mailbox.upper() == INBOX)
    ]
    return [*names, "keep"] if result.keep else names


def _rebind(calls: Sequence[Call], run: Run) -> None:
    """Calls of the test file get the definitions of the language of now."""
    for call in calls:
        for definition in run.registry.find(call.definition.role, call.definition.name):
            if definition.needs == call.definition.needs:
                call.definition = definition
                call.handler = call.handler if call.needs else definition.handler
        for branch_test, block in call.branches:
            _rebind([branch_test, *block] if branch_test is not None else block, run)
        _rebind(call.tests, run)
        _rebind(call.block, run)


class _Commands:
    """Handlers over one bench."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    def test(self, run: Run, call: Call) -> Asking:
        failure = ""
        try:
            yield from run.block(call.block)
        except TestFailed as failed:
            failure = str(failed) or "failed"
        except StopScript:
            pass
        except RunError as error:
            failure = str(error)
        self.bench.outcomes.append(Outcome(run.argument(call, "name"), call.line, failure))

    def fail(self, run: Run, call: Call) -> None:
        raise TestFailed(f"line {call.line}: {run.argument(call, 'reason')}")

    def set(self, run: Run, call: Call) -> None:
        name, value = run.argument(call, "name").lower(), run.argument(call, "value")
        if name == "message":
            self._message(run, value.encode("utf-8", "replace"))
        elif name in _ENVELOPE:
            self._envelope(run, **{_ENVELOPE[name]: value.strip("<>")})
        else:
            raise RunError(f"test_set: {name!r} is none of message, {', '.join(_ENVELOPE)}", call.line)

    def _envelope(self, run: Run, **changed: str) -> None:
        self.bench.transaction = run.transaction = replace(self.bench.transaction, **changed)
        run.message_replaced(None)

    def _message(self, run: Run, content: bytes) -> None:
        self.bench.message = content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        run.result.edits.clear()
        run.message_replaced(self.bench.view())

    def message(self, run: Run, call: Call) -> bool:
        folder = run.tagged(call, "source")
        number = call.arguments["number"]
        assert isinstance(number, int)
        if folder is not None:
            messages = self.bench.mailbox(folder)
            if number < len(messages):
                content, flags = messages[number]
                self._message(run, content)
                run.variables[""] = " ".join(flags)
            return number < len(messages)
        if number >= len(self.bench.sent):
            return False
        envelope, content = self.bench.sent[number]
        self._message(run, content)
        self._envelope(run, sender=envelope.sender, recipient=envelope.recipients[0])
        return True

    def must_have_message(self, run: Run, call: Call) -> None:
        if not self.message(run, call):
            raise RunError("test_message: there is no such message", call.line)

    def mailbox_create(self, run: Run, call: Call) -> None:
        self._done(call, lambda: self.bench.create(run.argument(call, "mailbox")))

    def mailbox_delete(self, run: Run, call: Call) -> None:
        self._done(call, lambda: self.bench.delete(run.argument(call, "mailbox")))

    @staticmethod
    def _done(call: Call, work: Any) -> Any:
        try:
            return work()
        except MasError as error:
            raise RunError(f"{call.definition.name}: {error}", call.line) from None

    def annotate(self, run: Run, call: Call) -> None:
        mailbox = run.tagged(call, "mailbox") or "INBOX"
        entry, value = run.argument(call, "annotation"), run.argument(call, "value")
        self._done(call, lambda: self.bench.annotate(mailbox, entry, value))

    def nothing(self, run: Run, call: Call) -> None:
        """What there is no need for here."""

    def config_set(self, run: Run, call: Call) -> None:
        value = run.argument(call, "value").replace("${tst.path}", str(self.bench.folder))
        self.bench.settings[run.argument(call, "name").removeprefix("sieve_")] = value

    def config_unset(self, run: Run, call: Call) -> None:
        self.bench.settings.pop(run.argument(call, "name").removeprefix("sieve_"), None)

    def config_reload(self, run: Run, call: Call) -> None:
        self._done(call, self.bench.reload)
        run.registry, run.limits = self.bench.filter.registry, self.bench.filter.limits
        run.environment = dict(self.bench.environment())
        _rebind(run.program.calls, run)

    def result_reset(self, run: Run, call: Call) -> None:
        self.bench.result = None
        self.bench.sent.clear()
        self.bench.errors.clear()
        for kept in (run.result.actions, run.result.edits, run.result.to_record):
            kept.clear()
        run.keep_implicit = True

    def result_print(self, run: Run, call: Call) -> None:
        run.note(f"result: {', '.join(_names(decided(run, self.bench))) or 'discard'}")

    def script_compile(self, run: Run, call: Call) -> bool:
        self.bench.errors.clear()
        program = self._done(call, lambda: self.bench.compile(run.argument(call, "file")))
        self.bench.compiled = [] if program is None else [program]
        return program is not None

    def script_run(self, run: Run, call: Call) -> bool:
        if not self.bench.compiled:
            raise RunError("test_script_run: no script is compiled", call.line)
        before = decided(run, self.bench) if "append_result" in call.tags else None
        result = self.bench.run(self.bench.compiled)
        self.bench.errors = [str(result.error)] if result.error else []
        if before is not None:
            result.actions[:0] = before.actions
            result.edits[:0] = before.edits
        self.bench.result = result
        return result.error is None

    def multiscript(self, run: Run, call: Call) -> bool:
        programs = [
            self._done(call, lambda name=name: self.bench.compile(name)) for name in run.arguments(call, "files")
        ]
        self.bench.compiled = [program for program in programs if program is not None]
        return len(self.bench.compiled) == len(programs) and self.script_run(run, call)

    def result_execute(self, run: Run, call: Call) -> bool:
        failure = self.bench.execute(decided(run, self.bench))
        if failure:
            self.bench.errors = [failure]
        return not failure

    def result_action(self, run: Run, call: Call) -> Any:
        return match(run, call, _chosen(run, call, _names(decided(run, self.bench))), "actions")

    def error(self, run: Run, call: Call) -> Any:
        return match(run, call, _chosen(run, call, self.bench.errors), "errors")


def _chosen(run: Run, call: Call, values: list[str]) -> list[str]:
    index = run.tagged_number(call, "index")
    return values if index is None else values[index - 1 : index]


def extension(bench: Bench) -> Extension:
    """The extension over a bench."""
    do = _Commands(bench)
    mailbox, file = Parameter("mailbox", Kind.STRING), Parameter("file", Kind.STRING)
    name, value = Parameter("name", Kind.STRING), Parameter("value", Kind.STRING)
    number, keys = Parameter("number", Kind.NUMBER), Parameter("keys", Kind.STRINGS)
    source = (TagRule("smtp", group="source"), TagRule("folder", Kind.STRING, group="source"))
    of_list: dict[str, Any] = {"tags": (*MATCH_TAGS, TagRule("index", Kind.NUMBER)), "matches": True, "needs": NAME}
    return Extension(
        NAME,
        definitions=(
            command("test", do.test, name, block=BlockUse.REQUIRED, needs=NAME),
            command("test_fail", do.fail, Parameter("reason", Kind.STRING), needs=NAME),
            command("test_set", do.set, name, value, needs=NAME),
            command("test_message", do.must_have_message, number, tags=source, needs=NAME),
            command("test_mailbox_create", do.mailbox_create, mailbox, needs=NAME),
            command("test_mailbox_delete", do.mailbox_delete, mailbox, needs=NAME),
            command(
                "test_imap_metadata_set",
                do.annotate,
                Parameter("annotation", Kind.STRING),
                value,
                tags=(TagRule("mailbox", Kind.STRING),),
                needs=NAME,
            ),
            command("test_binary_save", do.nothing, name, needs=NAME),
            command("test_binary_load", do.nothing, name, needs=NAME),
            command("test_config_set", do.config_set, name, value, needs=NAME),
            command("test_config_unset", do.config_unset, name, needs=NAME),
            command("test_config_reload", do.config_reload, tags=(TagRule("extension", Kind.STRING),), needs=NAME),
            command("test_result_reset", do.result_reset, needs=NAME),
            command("test_result_print", do.result_print, needs=NAME),
            test("test_message", do.message, number, tags=source, needs=NAME),
            test("test_script_compile", do.script_compile, file, needs=NAME),
            test("test_script_run", do.script_run, tags=(TagRule("append_result"),), needs=NAME),
            test("test_multiscript", do.multiscript, Parameter("files", Kind.STRINGS), needs=NAME),
            test("test_result_execute", do.result_execute, needs=NAME),
            test("test_result_action", do.result_action, keys, **of_list),
            test("test_error", do.error, keys, **of_list),
        ),
        namespace="tst",
        variable=lambda run, rest: str(bench.folder) if rest == "path" else "",
    )
