"""``mas config``: what is set, or what is wrong."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mas.cli import Settings
from mas.cli.output import Json, print_json
from mas.errors import ConfigError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("config")(config)


def config(
    context: typer.Context,
    all_: Annotated[bool, typer.Option("--all", help="Every setting, not only those that differ.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Only say whether it is right; exit 1 with every mistake.")
    ] = False,
    json: Json = False,
) -> None:
    """Print the settings that differ from the defaults; secrets are hidden."""
    from mas.config.dump import dump, values

    settings: Settings = context.obj
    try:
        loaded = settings.load()
    except ConfigError as error:
        if not check:
            raise
        if json:
            print_json({"file": str(settings.path), "problems": error.problems})
        else:
            print(*error.problems, sep="\n", file=sys.stderr)
        raise typer.Exit(1) from None
    if check:
        if json:
            print_json({"file": str(settings.path), "problems": []})
        else:
            print(f"{settings.path}: no mistakes")
    elif json:
        print_json(values(loaded, everything=all_))
    else:
        print(dump(loaded, everything=all_), end="")
