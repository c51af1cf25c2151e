"""``mas sieve``: check and try scripts without a running server; the scripts of a user."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from mas.cli import Settings
from mas.cli.output import Json, print_json, rows
from mas.filtering.dry_run import describe, dry_run
from mas.sieve.compiler import compile_script
from mas.sieve.extensions import OPTIONAL, default_registry
from mas.sieve.limits import Limits
from mas.sieve.message import Transaction
from mas.sieve.source import ScriptError
from mas.storage.mime.limits import MimeLimits

if TYPE_CHECKING:
    from mas.auth.service import Accounts
    from mas.storage.scripts import ScriptFolder
    from mas.storage.store import MaildirStore

T = TypeVar("T")
scripts = typer.Typer(help="Sieve scripts.", no_args_is_help=True)
_ALL_ERRORS = 1000
User = Annotated[str, typer.Argument(metavar="USER")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the script, without .sieve.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(scripts, name="sieve")


@scripts.command()
def check(file: Annotated[Path, typer.Argument(help="A script; - is standard input.")]) -> None:
    """Compile a script: every mistake with its line and column. Exit 1 when there are any."""
    content = sys.stdin.buffer.read() if str(file) == "-" else _read(file)
    try:
        program = compile_script(content, default_registry(add=OPTIONAL), Limits(max_errors=_ALL_ERRORS))
    except ScriptError as error:
        for problem in error.problems:
            print(f"{file}:{problem.line}:{problem.column}: {problem.text}", file=sys.stderr)
        raise SystemExit(1) from None
    for warning in program.warnings:
        print(f"{file}: warning: {warning}", file=sys.stderr)


@scripts.command("test")
def try_out(
    context: typer.Context,
    script: Annotated[Path, typer.Argument()],
    message: Annotated[Path | None, typer.Argument(help="A mail as a file; - is standard input.")] = None,
    envelope_from: Annotated[str, typer.Option("--envelope-from", help="The reverse path.")] = "",
    envelope_to: Annotated[str, typer.Option("--envelope-to", help="The recipient.")] = "user@localhost",
    trace: Annotated[bool, typer.Option("--trace", help="Each test, and why it was true or false.")] = False,
    as_json: Json = False,
) -> None:
    """Run a script over a mail and print what it would do. Nothing is done. A FILE.svtest brings its mails, and what to expect of them."""
    if message is None:
        if script.suffix != ".svtest":
            raise typer.BadParameter("a mail is missing: mas sieve test SCRIPT MESSAGE", param_hint="MESSAGE")
        _run_tests(script, as_json=as_json)
        return
    mail = sys.stdin.buffer.read() if str(message) == "-" else _read(message)
    try:
        transaction = Transaction(envelope_from, envelope_to)
        limits, mime = _limits(context.obj)
        result = dry_run(
            script,
            mail,
            default_registry(add=OPTIONAL),
            transaction,
            limits=limits,
            mime_limits=mime,
            trace=trace,
        )
    except ScriptError as error:
        for problem in error.problems:
            print(f"{script}:{problem.line}:{problem.column}: {problem.text}", file=sys.stderr)
        raise SystemExit(1) from None
    except OSError as error:
        raise SystemExit(f"mas: {error.filename}: {error.strerror}") from None
    if as_json:
        steps = [{"script": step.script, "line": step.line, "text": step.text} for step in result.trace]
        print_json({"actions": describe(result), "error": str(result.error) if result.error else None, "trace": steps})
    else:
        for step in result.trace:
            print(f"{step.script}:{step.line}: {step.text}")
        for line in describe(result):
            print(line)
    if result.error:
        raise SystemExit(1)


def _run_tests(file: Path, *, as_json: bool) -> None:
    from mas import logs
    from mas.config import Log
    from mas.server.filtering import sieve_language
    from mas.svtest.run import run_file

    logs.setup(Log(level="error"))
    try:
        outcomes = run_file(file, sieve_language)
    except ScriptError as error:
        for problem in error.problems:
            print(f"{file}:{problem.line}:{problem.column}: {problem.text}", file=sys.stderr)
        raise SystemExit(1) from None
    except OSError as error:
        raise SystemExit(f"mas: {error.filename}: {error.strerror}") from None
    failed = [outcome for outcome in outcomes if outcome.failure]
    if as_json:
        print_json([{"test": one.name, "line": one.line, "failure": one.failure or None} for one in outcomes])
    else:
        for one in failed:
            print(f"{file}:{one.line}: {one.name or 'outside of a test'}: {one.failure}")
        print(f"{len(outcomes) - len(failed)} of {len(outcomes)} tests passed")
    if failed:
        raise SystemExit(1)


def _limits(settings: Settings) -> tuple[Limits, MimeLimits]:
    """Of this host, where its configuration can be read; the defaults elsewhere."""
    if not os.access(settings.path, os.R_OK):
        return Limits(max_errors=_ALL_ERRORS), MimeLimits()
    from mas.filtering.limits import limits_of
    from mas.storage.contents import mime_limits

    config = settings.load()
    return replace(limits_of(config), max_errors=_ALL_ERRORS), mime_limits(config.mail)


@scripts.command("list")
def list_(context: typer.Context, user: User, json: Json = False) -> None:
    """The scripts of a user, and which one is active."""

    def listed(folder: ScriptFolder) -> list[dict[str, object]]:
        active = folder.active_name()
        return [{"name": name, "active": name == active} for name in folder.names()]

    rows(_with_scripts(context, user, listed), as_json=json)


@scripts.command()
def get(context: typer.Context, user: User, name: Name) -> None:
    """Print a script."""
    sys.stdout.buffer.write(_with_scripts(context, user, lambda folder: folder.read(name)))
    sys.stdout.buffer.flush()


@scripts.command()
def put(
    context: typer.Context,
    user: User,
    name: Name,
    file: Annotated[Path, typer.Argument(help="The script; - is standard input.")] = Path("-"),
    activate: Annotated[bool, typer.Option("--activate", help="Make it the active one.")] = False,
) -> None:
    """Store a script that compiles."""
    from mas.filtering.limits import limits_of
    from mas.server.filtering import sieve_language

    settings: Settings = context.obj
    content = sys.stdin.buffer.read() if str(file) == "-" else _read(file)
    config = settings.load()
    limits = replace(limits_of(config), max_errors=_ALL_ERRORS)
    try:
        program = compile_script(content, sieve_language(config), limits, name)
    except ScriptError as error:
        for problem in error.problems:
            print(f"{file}:{problem.line}:{problem.column}: {problem.text}", file=sys.stderr)
        raise SystemExit(1) from None
    for warning in program.warnings:
        print(f"{file}: warning: {warning}", file=sys.stderr)

    def store(folder: ScriptFolder) -> None:
        folder.put(name, content)
        if activate:
            folder.activate(name)

    _with_scripts(context, user, store)


@scripts.command("activate")
def activate_(
    context: typer.Context, user: User, name: Annotated[str, typer.Argument(help='"" = no script is active.')]
) -> None:
    """Make a script the active one."""
    _with_scripts(context, user, lambda folder: folder.activate(name))


@scripts.command()
def delete(context: typer.Context, user: User, name: Name) -> None:
    """Remove a script that is not active."""
    _with_scripts(context, user, lambda folder: folder.delete(name))


def _with_scripts(context: typer.Context, name: str, work: Callable[[ScriptFolder], T]) -> T:
    """``work`` on the scripts of a user, as the mail's system user."""
    from mas.cli.mail_user import with_store
    from mas.storage.scripts import folder_of

    settings: Settings = context.obj
    config = settings.load()

    async def run(accounts: Accounts, _: MaildirStore) -> T:
        return work(folder_of(await accounts.lookup(name, "sieve"), config))

    return with_store(context, run)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SystemExit(f"mas: {path}: {error.strerror}") from None
