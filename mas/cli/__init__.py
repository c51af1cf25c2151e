"""The command line: ``mas`` serves, ``mas COMMAND`` does one thing and ends.

One module a noun, imported only when its command is asked for (or when all of them are to be listed), and what is slow to import
(databases, storage) only inside the commands. ``-c FILE`` may stand before or behind the command.

Exit codes: 0 done, 1 not done (the reason is on standard error), 2 bad usage, 75 try again later, 78 the configuration is wrong.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mas.errors import AuthUnavailable, ConfigError, MasError, StorageUnavailable

if TYPE_CHECKING:
    from mas.config import Config

DEFAULT_CONFIG = "/etc/mas/mas.toml"
EX_USAGE = 64
EX_TEMPFAIL = 75
EX_CONFIG = 78


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for every command (``typer.Context.obj``)."""

    path: Path

    def load(self) -> Config:
        """The configuration; what is logged goes to standard error from now on, since standard output is the command's answer.

        Raises ConfigError."""
        from mas import logs
        from mas.config import load

        config = load(self.path)
        logs.setup(config.log)
        return config


def main(arguments: list[str] | None = None) -> None:
    """Run ``sys.argv`` (or ``arguments``) and exit."""
    path, arguments = take_config(sys.argv[1:] if arguments is None else arguments)
    if not arguments:
        from mas.server import serve

        raise SystemExit(serve(path))
    # Not needed by the server: its workers live for months with what is imported.
    from mas.cli.application import application

    try:
        application(arguments)(args=arguments, prog_name="mas", obj=Settings(path))
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        raise SystemExit(EX_CONFIG) from None
    except SystemExit as ended:
        # A pipe transport of the MTA knows sysexits only: 2 would bounce the mail in an unexpected way.
        raise SystemExit(EX_USAGE if arguments[0] == "deliver" and ended.code == 2 else ended.code) from None
    except (AuthUnavailable, StorageUnavailable) as error:
        print(f"mas: {error}", file=sys.stderr)
        raise SystemExit(EX_TEMPFAIL) from None
    except MasError as error:
        print(f"mas: {_sentence(error)}", file=sys.stderr)
        raise SystemExit(1) from None
    except PermissionError as error:
        print(f"mas: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except BrokenPipeError:
        # The reader of the output has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None


def take_config(arguments: list[str]) -> tuple[Path, list[str]]:
    """The path of the configuration (``-c FILE``, ``$MAS_CONFIG`` or the default one), and the arguments without it."""
    path = os.environ.get("MAS_CONFIG") or DEFAULT_CONFIG
    rest: list[str] = []
    todo = iter(arguments)
    for argument in todo:
        if argument == "--":
            return Path(path), [*rest, argument, *todo]
        if argument in ("-c", "--config"):
            path = next(todo, "")
            if not path:
                print(f"mas: {argument} needs a file", file=sys.stderr)
                raise SystemExit(2)
        elif argument.startswith("--config="):
            path = argument.partition("=")[2]
        elif argument.startswith("-c") and not argument.startswith("--"):
            path = argument[2:]
        else:
            rest.append(argument)
    return Path(path), rest


def _sentence(error: MasError) -> str:
    """``user unknown: kim@example.net``: the error's class in words, then what it says."""
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in type(error).__name__).strip()
    return f"{words}: {error}" if str(error) else words
