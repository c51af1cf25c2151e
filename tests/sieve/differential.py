"""What Pigeonhole's ``sieve-test`` and MAS do with a script and a mail, in the same words."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from mas.filtering.dry_run import dry_run
from mas.sieve.actions import FileInto, Notify, Pipe, Redirect, Reject, Report, Vacation
from mas.sieve.interpreter import Result
from mas.sieve.message import Transaction
from mas.sieve.source import ScriptError
from tests.sieve.support import EVERYTHING
from tests.support.dovecot_version import configuration

NOBODY = 65534
SENDER, RECIPIENT = "kim-bounces@example.org", "lee+lists@example.net"
EXTENSIONS = (
    "vacation-seconds", "editheader", "spamtest", "spamtestplus", "virustest", "mboxmetadata", "servermetadata", "vnd.dovecot.debug",
    "vnd.dovecot.pipe", "vnd.dovecot.filter", "vnd.dovecot.execute", "vnd.dovecot.report", "vnd.dovecot.environment",
)  # fmt: skip
OLD_EXTENSIONS = ("imapflags", "notify")
"""Which 2.4 has no more."""
_STORE = re.compile(r"\* store message in folder:(.*)")
_REDIRECT = re.compile(r"\* redirect message to: <(.*)>")
_PIPE = re.compile(r"\* pipe message to external program '(.*)':")
_REPORT = re.compile(r"\* report incoming message as [`'](.*)' to: <(.*)>")
_FLAGS = re.compile(r"\+ add IMAP flags: ?(.*)")

Outcome = list[tuple[str, ...]]
"""Actions, sorted; ``[("no script",)]`` when it does not compile, ``("failed",)`` first when it fails while it runs."""


def ours(script: Path, mail: bytes) -> Outcome:
    """What MAS decides."""
    try:
        result = dry_run(script, mail, EVERYTHING, Transaction(SENDER, RECIPIENT))
    except ScriptError:
        return [("no script",)]
    return words(result)


def words(result: Result) -> Outcome:
    """A result in the words of the comparison."""
    stores: dict[str, tuple[str, ...]] = {}
    found: Outcome = []
    if result.keep:
        stores["INBOX"] = result.keep_flags or ()
    for action in result.actions:
        match action:
            case FileInto(mailbox=mailbox, flags=flags):
                stores[mailbox] = flags or stores.get(mailbox, ())
            case Redirect(address=address):
                found.append(("redirect", address))
            case Reject():
                found.append(("reject",))
            case Vacation(seconds=seconds):
                found.append(("vacation", str(seconds)))
            case Notify(method=method):
                found.append(("notify", method.partition(":")[2].partition("?")[0]))
            case Pipe(program=program):
                found.append(("pipe", program))
            case Report(feedback_type=kind, address=address):
                found.append(("report", kind, address))
            case _:
                found.append((type(action).__name__,))
    found += [("store", name, *sorted(flag.lower() for flag in flags)) for name, flags in stores.items()]
    return [*([("failed",)] if result.error else []), *sorted(found)]


class Pigeonhole:
    """``sieve-test`` with a configuration of its own in ``directory``."""

    def __init__(self, program: str, directory: Path) -> None:
        self.program = program
        self.directory = directory
        home = directory / "home"
        home.mkdir()
        programs = "".join(f"sieve_{name}_bin_dir = {directory}\n" for name in ("pipe", "filter", "execute"))
        old = " ".join(f"+{name}" for name in EXTENSIONS + OLD_EXTENSIONS)
        new = "".join(f"{name} = yes\n" for name in EXTENSIONS)
        (directory / "dovecot.conf").write_text(
            configuration(
                f"log_path = /dev/stderr\nmail_location = maildir:~/Maildir\nmail_home = {home}\n"
                f"plugin {{\nsieve = file:~/sieve;active=~/.dovecot.sieve\nsieve_extensions = {old}\n"
                f"sieve_plugins = sieve_extprograms\n{programs}}}\n",
                f"log_path = /dev/stderr\nmail_driver = maildir\nmail_path = ~/Maildir\nmail_home = {home}\n"
                "sieve_script personal {\ndriver = file\npath = ~/sieve\nactive_path = ~/.dovecot.sieve\n}\n"
                f"sieve_extensions {{\n{new}}}\n"
                f"sieve_plugins {{\nsieve_extprograms = yes\n}}\n{programs}",
            )
        )
        self._as_nobody = os.geteuid() == 0
        if self._as_nobody:
            # sieve-test gives up root for a mail user; it has none here.
            for path in (directory, home):
                os.chown(path, NOBODY, NOBODY)

    def __call__(self, script: Path, mail: Path) -> Outcome:
        command = [self.program, "-c", str(self.directory / "dovecot.conf"), "-f", SENDER, "-r", RECIPIENT]
        done = subprocess.run(
            [*command, "-a", RECIPIENT, str(script), str(mail)],
            capture_output=True,
            timeout=60,
            check=False,
            env={"PATH": os.environ["PATH"], "HOME": str(self.directory / "home"), "USER": "nobody"},
            user=NOBODY if self._as_nobody else None,
            group=NOBODY if self._as_nobody else None,
            extra_groups=[] if self._as_nobody else None,
            cwd=self.directory,
        )
        said = done.stdout.decode("utf-8", "replace")
        self.said = said + done.stderr.decode("utf-8", "replace")
        if "Performed actions" not in said:
            compiled = re.search(r"validation failed|parse failed|failed to compile", self.said) is None
            assert not compiled or "final result" in self.said, self.said
            return [("failed",), ("store", "INBOX")] if compiled else [("no script",)]
        return parse(said)


def parse(said: str) -> Outcome:
    """The actions that sieve-test prints."""
    stores: dict[str, tuple[str, ...]] = {}
    found: Outcome = []
    folder = ""
    for line in said.splitlines():
        line = line.strip()
        if store := _STORE.match(line):
            folder = store[1].strip()
            stores[folder] = ()
        elif flags := _FLAGS.match(line):
            stores[folder] = tuple(sorted(flags[1].lower().split()))
        elif redirect := _REDIRECT.match(line):
            found.append(("redirect", redirect[1]))
        elif pipe := _PIPE.match(line):
            found.append(("pipe", pipe[1]))
        elif report := _REPORT.match(line):
            found.append(("report", report[1], report[2]))
        elif line.startswith("* reject"):
            found.append(("reject",))
        elif line.startswith("=> seconds"):
            found.append(("vacation", line.rpartition(" ")[2]))
        elif line.startswith("+ To:"):
            found.append(("notify", line.rpartition(" ")[2]))
    found += [("store", name, *flags) for name, flags in stores.items()]
    return sorted(found)
