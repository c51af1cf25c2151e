"""``mas deliver``: the arguments of dovecot-lda; the work is ``mas.deliver``'s."""

from __future__ import annotations

from typing import Annotated

import typer

from mas.cli import Settings
from mas.cli.mail_user import give_up_root
from mas.errors import ConfigError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("deliver")(deliver)


def deliver(
    context: typer.Context,
    user: Annotated[str, typer.Option("-d", metavar="USER", help="The user; else the one who calls.")] = "",
    address: Annotated[str, typer.Option("-a", metavar="ADDR", help="The recipient's address, with its detail.")] = "",
    sender: Annotated[str, typer.Option("-f", metavar="SENDER", help="The reverse path.")] = "",
    mailbox: Annotated[str, typer.Option("-m", metavar="MAILBOX", help="Instead of INBOX.")] = "",
    _no_bounce: Annotated[bool, typer.Option("-e", help="Taken: the MTA makes the bounce in any case.")] = False,
) -> None:
    """Deliver the message on standard input. Exit 0, 64 (usage), 67 (no such user), 75 (later), 77 (refused for good)."""
    from mas.deliver import EX_TEMPFAIL, Order, run

    settings: Settings = context.obj
    try:
        config = settings.load()
        give_up_root(config)
    except ConfigError as error:
        # Mail must wait while somebody edits the file.
        typer.echo("\n".join(f"mas deliver: {problem}" for problem in error.problems), err=True)
        raise typer.Exit(EX_TEMPFAIL) from None
    raise typer.Exit(run(config, Order(user, address, sender, mailbox)))
