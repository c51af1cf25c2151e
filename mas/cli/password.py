"""Passwords at the terminal, and ``mas pw``."""

from __future__ import annotations

import getpass
import secrets
import sys
from typing import Annotated

import typer

from mas.errors import MasError

ALPHABET = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""Without the letters and digits that look alike."""


class NoPassword(MasError):
    """None was given, or two that differ."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("pw")(pw)


def ask(*, twice: bool) -> str:
    """A password from the terminal (without echo), or the first line of standard input. Raises NoPassword."""
    if not sys.stdin.isatty():
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = getpass.getpass("Password: ")
        if twice and password != getpass.getpass("Again: "):
            raise NoPassword("the two differ")
    if not password:
        raise NoPassword("none was given")
    return password


def invent() -> str:
    """A random password of about 93 bits, easy to type."""
    return "-".join("".join(secrets.choice(ALPHABET) for _ in range(4)) for _ in range(4))


def pw(
    scheme: Annotated[str, typer.Option("--scheme", "-s", help="The scheme to hash with.")] = "SHA512-CRYPT",
    user: Annotated[str, typer.Option("--user", "-u", help="The user, for schemes that hash the name as well.")] = "",
    test: Annotated[str, typer.Option("--test", "-t", help="Whether the password is that of this stored form.")] = "",
    list_: Annotated[bool, typer.Option("--list", "-l", help="The schemes that are written.")] = False,
    iterations: Annotated[
        int, typer.Option(min=4096, max=1_000_000, help="Of SCRAM: those of auth.scram_iterations.")
    ] = 4096,
) -> None:
    """Hash a password from the terminal or standard input, for a database."""
    from mas.auth import schemes

    if list_:
        print(*(name for name, known in sorted(schemes.SCHEMES.items()) if known.generate), sep="\n")
    elif test:
        if not schemes.verify_stored(ask(twice=False).encode(), schemes.split(test, scheme), user):
            print("wrong password", file=sys.stderr)
            raise typer.Exit(1)
        print("right")
    else:
        print(schemes.generate(ask(twice=True).encode(), scheme, user, scram_iterations=iterations))
