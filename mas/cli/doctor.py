"""``mas doctor``: what is wrong with this host."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mas.cli import Settings
from mas.cli.output import Json, print_json
from mas.logs import escape


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor(
    context: typer.Context,
    postfix: Annotated[
        Path | None, typer.Option("--postfix", metavar="DIR", help="Postfix's configuration directory, if another.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only what is not well.")] = False,
    json: Json = False,
) -> None:
    """Look for what is wrong with this host, and say what to do. Changes nothing. Exit code: 0 well, 1 warnings, 2 errors."""
    from mas.doctor.checkup import checkup, worst
    from mas.doctor.finding import Level

    settings: Settings = context.obj
    found = []
    for finding in checkup(settings.path, postfix):
        found.append(finding)
        if json or (quiet and finding.level is Level.OK):
            continue
        print(f"{finding.level.name.lower():5}  {escape(finding.where)}: {escape(finding.what)}", flush=True)
        if finding.todo:
            print(f"       -> {escape(finding.todo)}", flush=True)
    if json:
        shown = [finding for finding in found if not quiet or finding.level is not Level.OK]
        print_json(
            [
                {"level": item.level.name.lower(), "where": item.where, "what": item.what, "todo": item.todo}
                for item in shown
            ]
        )
    raise typer.Exit(int(worst(found)))
