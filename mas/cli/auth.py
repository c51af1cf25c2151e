"""``mas auth test``: a login, step by step; ``mas auth flush``: what the server keeps of accounts."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from mas.cli import EX_TEMPFAIL, Settings
from mas.cli.output import Json, print_json
from mas.cli.password import ask
from mas.errors import MasError
from mas.sessions import flush as flush_cache

auth = typer.Typer(help="Logins.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(auth, name="auth")


class NoServer(MasError):
    """Nobody was there to tell."""


@auth.command()
def flush(
    context: typer.Context,
    user: Annotated[str, typer.Argument(metavar="[USER]", help="As a client sends it; else everybody.")] = "",
) -> None:
    """Have the running server forget the accounts that it looked up: after changes in the database that must count at once."""
    settings: Settings = context.obj
    run_dir = settings.load().run_dir
    if not flush_cache(run_dir, user):
        raise NoServer(f"no server runs on {run_dir}")


@auth.callback()
def _only_a_group() -> None:
    """Logins."""


@auth.command("test")
def try_login(
    context: typer.Context,
    user: Annotated[str, typer.Argument(metavar="USER", help="As a client would send it.")],
    service: Annotated[str, typer.Option(help="imap, sieve, smtp, …")] = "imap",
    address: Annotated[str, typer.Option(metavar="IP", help="The client's address, for allow_nets.")] = "",
    lookup: Annotated[
        bool, typer.Option("--lookup", help="Without a password: only whether the user is found.")
    ] = False,
    json: Json = False,
) -> None:
    """Try a login and say each step; the password comes from the terminal or standard input. Exit 0: it works, 1: it does not, 75: a
    database does not answer."""
    settings: Settings = context.obj
    config = settings.load()
    password = "" if lookup else ask(twice=False)

    async def steps() -> list[str]:
        from mas.auth.explain import explain
        from mas.auth.interface import Attempt
        from mas.auth.service import open_authenticator

        accounts = open_authenticator(config, penalty=False)
        said = []
        try:
            attempt = Attempt(service=service, remote=address, secured=True)
            async for line in explain(accounts, user, password.encode(), attempt):
                said.append(line)
                if not json:
                    print(line)
        finally:
            await accounts.close()
        return said

    said = asyncio.run(steps())
    works = said[-1].startswith("OK")
    if json:
        print_json({"user": user, "works": works, "steps": said})
    if not works:
        raise typer.Exit(EX_TEMPFAIL if any("temporary failure" in line for line in said) else 1)
