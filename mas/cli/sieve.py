"""``mas sieve``: check and try scripts without a running server."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mas.cli.output import Json, print_json
from mas.filtering.dry_run import describe, dry_run
from mas.sieve.compiler import compile_script
from mas.sieve.extensions import OPTIONAL, default_registry
from mas.sieve.limits import Limits
from mas.sieve.message import Transaction
from mas.sieve.source import ScriptError

scripts = typer.Typer(help="Sieve scripts.", no_args_is_help=True)
_ALL_ERRORS = 1000


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
    script: Annotated[Path, typer.Argument()],
    message: Annotated[Path, typer.Argument(help="A mail as a file; - is standard input.")],
    envelope_from: Annotated[str, typer.Option("--envelope-from", help="The reverse path.")] = "",
    envelope_to: Annotated[str, typer.Option("--envelope-to", help="The recipient.")] = "user@localhost",
    trace: Annotated[bool, typer.Option("--trace", help="Each test, and why it was true or false.")] = False,
    as_json: Json = False,
) -> None:
    """Run a script over a mail and print what it would do. Nothing is done."""
    mail = sys.stdin.buffer.read() if str(message) == "-" else _read(message)
    try:
        transaction = Transaction(envelope_from, envelope_to)
        result = dry_run(
            script,
            mail,
            default_registry(add=OPTIONAL),
            transaction,
            limits=Limits(max_errors=_ALL_ERRORS),
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


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SystemExit(f"mas: {path}: {error.strerror}") from None
