"""``mas import-dovecot``: Dovecot's configuration as mas.toml."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mas.cli.output import Json, print_json


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("import-dovecot")(import_dovecot)


def import_dovecot(
    path: Annotated[
        str,
        typer.Argument(
            metavar="[PATH]",
            help="dovecot.conf or its directory, or a file with the output of 'doveconf -nP' ('-': standard input).",
            show_default=True,
        ),
    ] = "/etc/dovecot/dovecot.conf",
    json: Json = False,
) -> None:
    """Print Dovecot's configuration as mas.toml. What could not be carried over is named in comments with the reason."""
    from mas.dovecot_config.conversion import Kind
    from mas.dovecot_config.files import import_dovecot as read
    from mas.dovecot_config.grammar import DovecotConfigError

    try:
        done = read(path)
    except DovecotConfigError as error:
        print(f"mas: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    if json:
        remarks = [
            {"kind": remark.kind.value, "setting": remark.setting, "place": str(remark.place), "why": remark.why}
            for remark in done.remarks
        ]
        print_json({"configuration": done.text, "carried": done.carried, "remarks": remarks})
        return
    print(done.text, end="")
    left, unknown, check = (len(done.of(kind)) for kind in (Kind.LEFT, Kind.UNKNOWN, Kind.CHECK))
    print(
        f"{done.carried} settings carried over, {left} left out, {unknown} unknown, {check} to look at", file=sys.stderr
    )
