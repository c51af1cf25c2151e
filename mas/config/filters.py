"""Sections about filtering: Sieve scripts of users and administrators, scripts run by IMAP events, spam training."""

from __future__ import annotations

from typing import Annotated

from pydantic import SecretStr, field_validator

from mas.config.section import Section, written
from mas.config.values import Count, Duration, FilePath, Size, Template, one_of


class Sieve(Section):
    """Where scripts lie and what they may do. An empty path = none."""

    dir: Template = "~/sieve"
    active: Template = "~/.dovecot.sieve"
    default: Template = "/var/lib/mas/sieve/default.sieve"
    global_dir: Template = "/var/lib/mas/sieve/"
    before: tuple[Template, ...] = ()
    after: tuple[Template, ...] = ()
    extensions: str = ""
    max_script_size: Size = written("1M")
    max_actions: Count = 32
    max_redirects: Count = 4
    max_cpu_time: Duration = written("30s")
    max_scripts: Count = 0
    max_storage: Size = written(0)
    vacation_min_period: Duration = written("1d")
    vacation_max_period: Duration = written(0)
    vacation_default_period: Duration = written("7d")
    redirect_duplicate_period: Duration = written("12h")
    program_timeout: Duration = written("10s")
    submission: str = written("smtp://127.0.0.1:25", pattern=r"^(?:smtp|smtps|smtp\+starttls)://[^\s/]+$|^$")
    sendmail: str = ""
    pipe_bin_dir: str = ""
    filter_bin_dir: str = ""
    execute_bin_dir: str = ""


class ImapSieve(Section):
    """Scripts that run when messages come into ``mailbox`` (from ``from``) by IMAP commands."""

    mailbox: str = written("*", min_length=1)
    from_: str = written("*", alias="from", min_length=1)
    causes: tuple[Annotated[str, one_of("APPEND", "COPY", "FLAG")], ...] = ()
    before: FilePath | None = None
    after: FilePath | None = None
    copy_source_after: FilePath | None = None


class Rspamd(Section):
    """Spam training without scripts: into Junk = spam, out of Junk (not to Trash) = ham. An empty controller = off."""

    controller: str = ""
    password: SecretStr = SecretStr("")

    @field_validator("controller")
    @classmethod
    def _controller(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://", "unix:/")):
            raise ValueError('the controller is "http://127.0.0.1:11334" or "unix:/run/rspamd/controller.sock"')
        return value
