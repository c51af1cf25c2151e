"""``mas mailbox``, ``mas quota``, ``mas expire``: a user's mail, also while the server runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mas.cli.mail_user import with_account, with_store
from mas.cli.output import Json, print_json, rows
from mas.storage.model import MailboxName, QuotaUsage

if TYPE_CHECKING:
    from mas.auth.service import Accounts
    from mas.storage.account import MaildirAccount
    from mas.storage.store import MaildirStore

mailboxes = typer.Typer(help="The mailboxes of a user.", no_args_is_help=True)
quotas = typer.Typer(help="What a user's mail takes, and may take.", no_args_is_help=True)
User = Annotated[str, typer.Argument(metavar="USER")]
Mailbox = Annotated[str, typer.Argument(metavar="MAILBOX", help="As mail clients show it.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(mailboxes, name="mailbox")
    app.add_typer(quotas, name="quota")
    app.command("expire")(expire)


@mailboxes.command("list")
def list_(context: typer.Context, user: User, json: Json = False) -> None:
    """The mailboxes of a user."""
    found = with_account(context, user, lambda account: account.list())
    rows(
        [
            {
                "name": info.name,
                "selectable": info.selectable,
                "subscribed": info.subscribed,
                "special_use": " ".join(sorted(info.special_use)),
                "id": info.mailbox_id,
            }
            for info in found
        ],
        as_json=json,
    )


@mailboxes.command()
def status(
    context: typer.Context,
    user: User,
    names: Annotated[list[str] | None, typer.Argument(metavar="[MAILBOX]...", help="Else all of them.")] = None,
    json: Json = False,
) -> None:
    """Messages, unseen ones, octets, and the numbers that clients go by."""

    async def work(account: MaildirAccount) -> list[dict[str, Any]]:
        from mas.errors import MailboxNotFound

        wanted = [MailboxName(name) for name in names or ()]
        wanted = wanted or [info.name for info in await account.list() if info.selectable]
        shown = []
        for name, found in zip(wanted, await account.status(wanted), strict=True):
            if found is None:
                raise MailboxNotFound(name)
            shown.append(
                {
                    "name": name,
                    "messages": found.messages,
                    "unseen": found.unseen,
                    "size": found.size,
                    "uid_validity": found.uid_validity,
                    "uid_next": found.uid_next,
                    "highest_modseq": found.highest_modseq,
                }
            )
        return shown

    rows(with_account(context, user, work), as_json=json)


@mailboxes.command()
def create(
    context: typer.Context,
    user: User,
    name: Mailbox,
    subscribe: Annotated[bool, typer.Option("--subscribe", "-s", help="And subscribe to it.")] = False,
) -> None:
    """Make a mailbox, and those above it."""

    async def work(account: MaildirAccount) -> None:
        await account.create(MailboxName(name))
        if subscribe:
            await account.subscribe(MailboxName(name))

    with_account(context, user, work)


@mailboxes.command()
def rename(context: typer.Context, user: User, old: Mailbox, new: Mailbox) -> None:
    """Rename a mailbox and those below it; INBOX is emptied into the new one."""
    with_account(context, user, lambda account: account.rename(MailboxName(old), MailboxName(new)))


@mailboxes.command()
def delete(context: typer.Context, user: User, name: Mailbox) -> None:
    """Delete a mailbox with its messages."""
    with_account(context, user, lambda account: account.delete(MailboxName(name)))


@mailboxes.command()
def subscribe(context: typer.Context, user: User, name: Mailbox) -> None:
    """Have mail clients show a mailbox."""
    with_account(context, user, lambda account: account.subscribe(MailboxName(name)))


@mailboxes.command()
def unsubscribe(context: typer.Context, user: User, name: Mailbox) -> None:
    """Have mail clients hide a mailbox."""
    with_account(context, user, lambda account: account.unsubscribe(MailboxName(name)))


@quotas.callback()
def _only_a_group() -> None:
    """What a user's mail takes, and may take."""


@quotas.command("get")
def quota_get(context: typer.Context, user: User, json: Json = False) -> None:
    """Octets and messages of each quota root; a limit of 0 is none."""
    _print_usage(with_account(context, user, lambda account: account.quota()), json)


@quotas.command("recalc")
def quota_recalc(context: typer.Context, user: User, json: Json = False) -> None:
    """Count again from the messages. There is never anything to mend; if there was, it is said on standard error."""

    async def work(account: MaildirAccount) -> tuple[Sequence[QuotaUsage], bool]:
        from mas.storage.maintenance import recalculate

        return await recalculate(account)

    found, wrong = with_account(context, user, work)
    if wrong:
        print("mas: a counter was wrong and is mended now", file=sys.stderr)
    _print_usage(found, json)


def _print_usage(found: Sequence[QuotaUsage], json: bool) -> None:
    rows(
        [
            {
                "root": usage.name,
                "octets": usage.storage,
                "octets_limit": usage.storage_limit,
                "messages": usage.messages,
                "messages_limit": usage.messages_limit,
            }
            for usage in found
        ],
        as_json=json,
    )


def expire(
    context: typer.Context,
    user: Annotated[str, typer.Argument(metavar="[USER]", help="Else all users.")] = "",
    json: Json = False,
) -> None:
    """Run autoexpunge now."""

    # Before root is given up: the mail user need not be able to read the Python that root runs.
    from rich.console import Console
    from rich.progress import Progress

    off = json or bool(user) or not sys.stderr.isatty()
    with Progress(console=Console(stderr=True), transient=True, disable=off) as bar:
        task = bar.add_task("expire", total=None)

        async def work(accounts: Accounts, store: MaildirStore) -> dict[str, int]:
            names = [user] if user else [name async for name in accounts.users()]
            removed = {}
            for done, name in enumerate(names):
                bar.update(task, completed=done, total=len(names))
                async with await store.open(await accounts.lookup(name, "mas")) as account:
                    removed[name] = await account.expire()
            return removed

        removed = with_store(context, work)
    if json:
        print_json(removed)
    else:
        print(f"{sum(removed.values())} messages of {sum(map(bool, removed.values()))} users")
