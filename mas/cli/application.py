"""The commands, put together: only the module of the one that is asked for is imported."""

from __future__ import annotations

import importlib

import typer

from mas.cli import DEFAULT_CONFIG

MODULES = {
    "auth": "mas.cli.auth",
    "config": "mas.cli.config",
    "deliver": "mas.cli.deliver",
    "demo": "mas.cli.demo",
    "doctor": "mas.cli.doctor",
    "expire": "mas.cli.mailbox",
    "import-dovecot": "mas.cli.import_dovecot",
    "index": "mas.cli.index",
    "kick": "mas.cli.sessions",
    "mailbox": "mas.cli.mailbox",
    "migrate": "mas.cli.migrate",
    "pw": "mas.cli.password",
    "quota": "mas.cli.mailbox",
    "sieve": "mas.cli.sieve",
    "user": "mas.cli.user",
    "who": "mas.cli.sessions",
}
"""Command -> module with ``register(app)``."""


def application(arguments: list[str]) -> typer.Typer:
    """The commands that ``arguments`` can mean."""
    app = typer.Typer(
        epilog=f"-c FILE names the configuration; else $MAS_CONFIG, else {DEFAULT_CONFIG}.",
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_only_commands)
    command = next((argument for argument in arguments if not argument.startswith("-")), "")
    for module in [MODULES[command]] if command in MODULES else dict.fromkeys(MODULES.values()):
        importlib.import_module(module).register(app)
    return app


def _only_commands() -> None:
    """MAS, the Mail Access Server. Without a command it serves, in the foreground."""
