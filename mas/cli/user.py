"""``mas user``: accounts in the SQL database of the first passdb, where its table is MAS's own (``mas.auth.schema``)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated, Any

import typer

from mas import variables
from mas.auth.database import Database
from mas.auth.schema import AccountTable
from mas.auth.schemes import generate
from mas.cli import Settings
from mas.cli.mail_user import give_up_root
from mas.cli.output import Json, fields, rows
from mas.cli.password import ask, invent
from mas.config import Config
from mas.errors import ConfigError
from mas.sessions import flush
from mas.storage.quota import Quota

users = typer.Typer(help="Accounts in the database, where its table is MAS's own.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="USER", help="local-part@domain")]
Scheme = Annotated[str, typer.Option("--scheme", "-s", help="Else the first passdb's default_scheme.")]
Random = Annotated[bool, typer.Option("--random", help="Invent a password and print it.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(users, name="user")


@users.command()
def add(
    context: typer.Context,
    name: Name,
    quota: Annotated[str, typer.Option(help='Instead of the first of quota.rules, as "*:storage=1G".')] = "",
    scheme: Scheme = "",
    random: Random = False,
    create_table: Annotated[
        bool, typer.Option("--create-table", help="Make the table first, unless it is there.")
    ] = False,
) -> None:
    """Add an account; the password comes from the terminal or standard input."""
    config = _config(context)
    _check_rule(quota)
    stored = _hashed(config, name, scheme, random=random)

    async def work(table: AccountTable) -> None:
        if create_table:
            await table.create()
        await table.add(name, stored, quota_rule=quota)

    _run(config, work, create=create_table)


@users.command()
def passwd(context: typer.Context, name: Name, scheme: Scheme = "", random: Random = False) -> None:
    """Set another password."""
    config = _config(context)
    stored = _hashed(config, name, scheme, random=random)
    _run(config, lambda table: table.passwd(name, stored))
    _forget(config, name)


@users.command()
def change(
    context: typer.Context,
    name: Name,
    quota: Annotated[str | None, typer.Option(help='As "*:storage=1G"; "" = as configured.')] = None,
    login: Annotated[bool | None, typer.Option("--login/--no-login", help="Whether the user may log in.")] = None,
    reason: Annotated[str, typer.Option(help="What the user is told with --no-login.")] = "",
) -> None:
    """Change an account's quota, or whether it may log in; mail goes on coming in."""
    config = _config(context)
    _check_rule(quota or "")

    async def work(table: AccountTable) -> None:
        if quota is not None:
            await table.set_quota_rule(name, quota)
        if login is not None:
            await table.set_nologin(name, not login, reason)

    _run(config, work)
    _forget(config, name)


@users.command()
def delete(context: typer.Context, name: Name) -> None:
    """Remove an account; its mail stays where it is, and counts no more for the quota that it shared with others."""
    config = _config(context)
    _run(config, lambda table: table.delete(name))
    _forget(config, name)
    if config.quota.root:
        give_up_root(config)
        quota = Quota(config.quota, config.state_dir)
        try:
            quota.shared.forget(variables.expand(config.auth.username_format, variables.values_of(name)))
        finally:
            quota.close()


@users.command("list")
def list_(
    context: typer.Context,
    domain: Annotated[str, typer.Argument(help="Only this domain.")] = "",
    json: Json = False,
) -> None:
    """The accounts."""
    found = _run(_config(context), lambda table: table.list(domain))
    rows([asdict(account) for account in found], as_json=json)


@users.command()
def info(context: typer.Context, name: Name, json: Json = False) -> None:
    """An account, and where its mail is."""
    config = _config(context)
    account = _run(config, lambda table: table.info(name))
    fields({**asdict(account), **asyncio.run(_places(config, name))}, as_json=json)


async def _places(config: Config, name: str) -> dict[str, str]:
    from mas.auth.service import open_authenticator

    accounts = open_authenticator(config, penalty=False)
    try:
        user = await accounts.lookup(name, "mas")
    finally:
        await accounts.close()
    return {"home": str(user.home), "mail": user.location}


def _config(context: typer.Context) -> Config:
    settings: Settings = context.obj
    return settings.load()


def _hashed(config: Config, name: str, scheme: str, *, random: bool) -> str:
    password = invent() if random else ask(twice=True)
    stored = generate(
        password.encode(),
        scheme or config.passdb[0].default_scheme,
        name,
        scram_iterations=config.auth.scram_iterations,
    )
    if random:
        print(password)
    return stored


def _forget(config: Config, name: str) -> None:
    """A running server must not go on with what it knows of the account."""
    with contextlib.suppress(OSError):  # not allowed to tell it: it notices in auth.cache_ttl
        flush(config.run_dir, name)


def _check_rule(rule: str) -> None:
    from mas.quota_rules import parse_rules

    if rule:
        try:
            parse_rules([rule], "--quota ")
        except ConfigError as error:
            raise typer.BadParameter("; ".join(error.problems)) from None


def _run(config: Config, work: Callable[[AccountTable], Awaitable[Any]], *, create: bool = False) -> Any:
    """``work`` on the table, on a loop of its own."""

    async def run() -> Any:
        passdb = config.passdb[0]
        database = Database(passdb.url.get_secret_value(), connections=1, timeout=config.auth.timeout, create=create)
        try:
            return await work(AccountTable(database))
        finally:
            await database.close()

    return asyncio.run(run())
