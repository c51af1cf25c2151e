"""``mas migrate``: whether a move from Dovecot, or back, left everything in its place."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mas.cli import Settings
from mas.cli.mail_user import with_account
from mas.cli.mailbox import User
from mas.cli.output import Json, print_json
from mas.cli.password import ask

if TYPE_CHECKING:
    from mas.migrate.view import View
    from mas.storage.account import MaildirAccount

NAMES = ("Dovecot", "MAS")

migrating = typer.Typer(help="Moving from Dovecot and back.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(migrating, name="migrate")


@migrating.callback()
def _only_a_group() -> None:
    """Moving from Dovecot and back."""


@migrating.command()
def prove(
    context: typer.Context,
    user: User,
    dovecot: Annotated[
        str, typer.Option(metavar="URL", help="imaps://host:port or imap://host:port; default: this host's name, 993.")
    ] = "",
    login: Annotated[
        str, typer.Option(metavar="NAME", help="The name to log in with, as user*master; default: the user.")
    ] = "",
    mas: Annotated[
        str, typer.Option(metavar="URL", help="Ask a running MAS over IMAP as well, instead of its store.")
    ] = "",
    digest: Annotated[str, typer.Option(metavar="WHAT", help="Also compare the content: header or body.")] = "",
    verify: Annotated[bool, typer.Option("--verify/--no-verify", help="Whether certificates have to be right.")] = True,
    json: Json = False,
) -> None:
    """Compare what a running Dovecot shows of a user's mail with what MAS shows: a line for each difference, and exit 1.

    UIDVALIDITY, UIDs, flags, keywords, sizes, dates, save dates, subscriptions, special use, quota. The password comes from the terminal or
    standard input. Nothing is changed.
    """
    from mas.migrate.imap_view import ProveError, over_imap
    from mas.migrate.store_view import of_store
    from mas.migrate.view import differences, notes

    if digest not in ("", "header", "body"):
        raise typer.BadParameter("header or body", param_hint="--digest")
    settings: Settings = context.obj
    url = dovecot or f"imaps://{settings.load().hostname}"
    password = ask(twice=False)

    async def work(account: MaildirAccount) -> View:
        return await of_store(account, digest=digest)

    try:
        theirs = over_imap(url, login or user, password, digest=digest, verify=verify)
        ours = (
            over_imap(mas, user, password, digest=digest, verify=verify)
            if mas
            else with_account(context, user, work, make_mailboxes=False)
        )
    except ProveError as error:
        print(f"mas: {error}", file=sys.stderr)
        raise typer.Exit(75) from None
    found = list(differences(theirs, ours, NAMES))
    if not mas:
        missing = [box.name for box in settings.load().mailbox if box.auto != "no" and box.name not in ours.mailboxes]
        found += [f"{name}: MAS will make this mailbox ([[mailbox]] auto)" for name in missing]
    said = list(notes(theirs, ours, NAMES))
    messages = sum(len(mailbox.messages) for mailbox in ours.mailboxes.values())
    if json:
        print_json({"mailboxes": len(ours.mailboxes), "messages": messages, "differences": found, "notes": said})
    else:
        for line in found:
            print(line)
        for line in said:
            print(line, file=sys.stderr)
        print(f"{len(ours.mailboxes)} mailboxes, {messages} messages, {len(found)} differences", file=sys.stderr)
    if found:
        raise typer.Exit(1)
