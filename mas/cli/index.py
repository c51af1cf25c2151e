"""``mas index``: the index of a user's Maildir, also while the server runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from mas.cli.mail_user import with_account
from mas.cli.mailbox import User
from mas.cli.output import Json, print_json

if TYPE_CHECKING:
    from mas.storage.account import MaildirAccount

indexes = typer.Typer(help="The index of a user's Maildir.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(indexes, name="index")


@indexes.command()
def rebuild(context: typer.Context, user: User, json: Json = False) -> None:
    """Make the index anew from the Maildir. UIDs, flags and keywords stay; sessions go on."""

    # Before root is given up: the mail user need not be able to read the Python that root runs.
    from rich.console import Console
    from rich.progress import Progress

    from mas.storage.maintenance import rebuild as make_anew

    with Progress(console=Console(stderr=True), transient=True, disable=json or not sys.stderr.isatty()) as bar:
        task = bar.add_task("", total=None)

        async def work(account: MaildirAccount) -> int:
            return await make_anew(
                account, lambda name, done, of: bar.update(task, description=name, completed=done, total=of)
            )

        messages = with_account(context, user, work)
    if json:
        print_json({"messages": messages})
    else:
        print(f"{messages} messages")


@indexes.command()
def verify(context: typer.Context, user: User, json: Json = False) -> None:
    """Whether index and Maildir agree: a line for each thing that is wrong, and exit 1."""

    from mas.storage.maintenance import check

    async def work(account: MaildirAccount) -> list[str]:
        return await check(account)

    wrong = with_account(context, user, work)
    if json:
        print_json(wrong)
    else:
        for line in wrong:
            print(line)
    if wrong:
        raise SystemExit(1)
