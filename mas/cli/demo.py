"""``mas demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mas.demo import PORT_BASE, run


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo(
    directory: Annotated[
        Path | None, typer.Option("--dir", metavar="DIR", help="Where all of it lies; else ./demo.")
    ] = None,
    port_base: Annotated[
        int, typer.Option("--port-base", min=1000, max=60000, help="The ports are this and 143, 993, 3190 more.")
    ] = PORT_BASE,
) -> None:
    """A complete host in one directory: no root, no set-up. Prints how to try it; Ctrl-C ends it."""
    raise typer.Exit(run(directory, port_base))
