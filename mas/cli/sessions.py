"""``mas who``, ``mas kick``: the sessions of the running server."""

from __future__ import annotations

import datetime
import sys
from typing import Annotated

import typer

from mas.cli import Settings
from mas.cli.output import Json, rows
from mas.errors import MasError
from mas.sessions import kick as kick_session
from mas.sessions import live


class NoSession(MasError):
    """Nobody was there to kick."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("who")(who)
    app.command("kick")(kick)


def who(
    context: typer.Context,
    user: Annotated[str, typer.Argument(metavar="[USER]", help="Only this user's.")] = "",
    json: Json = False,
) -> None:
    """Who is logged in: protocol, user, address, since when, what the session is doing."""
    settings: Settings = context.obj
    rows(
        [
            {
                "service": session.service,
                "user": session.user,
                "address": session.address,
                "since": datetime.datetime.fromtimestamp(session.since).astimezone().isoformat(timespec="seconds"),
                "state": session.state,
                "session": session.session_id,
                "pid": session.pid,
            }
            for session in live(settings.load().run_dir)
            if user in ("", session.user)
        ],
        as_json=json,
    )


def kick(
    context: typer.Context, who: Annotated[str, typer.Argument(metavar="USER", help="Or the id of one session.")]
) -> None:
    """End a user's sessions (or one). To keep the user out: mas user change USER --no-login first."""
    settings: Settings = context.obj
    told = kick_session(settings.load().run_dir, who)
    if not told:
        raise NoSession(who)
    print(f"{told} session{'s' * (told != 1)}", file=sys.stderr)
