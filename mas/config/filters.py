"""Sections about filtering: Sieve scripts of users and administrators, scripts run by IMAP events, spam training."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator

from mas.config.section import Section, written
from mas.config.values import Count, Duration, FilePath, Positive, Size, Template, one_of

FieldName = Annotated[str, Field(pattern=r"^[!-9;-~]+$")]
ENVELOPE_SENDERS = ("sender", "recipient", "orig_recipient", "user_email", "postmaster")


class ExternalList(Section):
    """A list that scripts may ask by ``:list``: a file with a value on each line."""

    name: str = written("", min_length=1)
    file: Template = written("", min_length=1)


class Sieve(Section):
    """Where scripts lie and what they may do. An empty path = none."""

    enabled: bool = True
    dir: Template = "~/sieve"
    active: Template = "~/.dovecot.sieve"
    default: Template = "/var/lib/mas/sieve/default.sieve"
    global_dir: Template = "/var/lib/mas/sieve/"
    before: tuple[Template, ...] = ()
    after: tuple[Template, ...] = ()
    discard: Template = ""
    user_log: Template = "~/.dovecot.sieve.log"
    extensions: str = ""
    global_extensions: str = ""
    implicit_extensions: str = ""
    max_script_size: Size = written("1M")
    max_script_tokens: Positive = 250_000
    max_script_commands: Positive = 20_000
    max_actions: Count = 32
    max_redirects: Count = 4
    max_cpu_time: Duration = written("30s")
    max_scripts: Count = 0
    max_storage: Size = written(0)
    vacation_min_period: Duration = written("1d")
    vacation_max_period: Duration = written(0)
    vacation_default_period: Duration = written("7d")
    vacation_default_subject: str = "Automated reply"
    vacation_default_subject_template: str = "Auto: %$"
    vacation_max_subject_codepoints: Annotated[int, Field(ge=1, le=10_000)] = 256
    vacation_check_recipient: bool = True
    vacation_use_original_recipient: bool = True
    vacation_send_from_recipient: bool = False
    vacation_to_header_ignore_envelope: bool = False
    redirect_duplicate_period: Duration = written("12h")
    redirect_envelope_from: str = "sender"
    user_email: Template = ""
    duplicate_default_period: Duration = written("12h")
    duplicate_max_period: Duration = written("2d")
    include_max_depth: Count = 10
    include_max_includes: Count = 255
    variables_max_count: Count = 255
    variables_max_size: Size = written("4K")
    editheader_max_size: Size = written("2K")
    editheader_protected: tuple[FieldName, ...] = ()
    editheader_forbid_add: tuple[FieldName, ...] = ()
    editheader_forbid_delete: tuple[FieldName, ...] = ()
    notify_mailto_envelope_from: str = ""
    report_from: str = "postmaster"
    imapsieve_url: str = written("", pattern=r"^$|^sieve://[!-~]+$")
    imapsieve_expunge_discarded: bool = False
    spamtest_status_header: str = ""
    spamtest_status_type: Annotated[str, one_of("score", "strlen", "text")] = "score"
    spamtest_max_value: float = written(0.0, ge=0)
    spamtest_max_header: str = ""
    spamtest_texts: tuple[Annotated[str, Field(pattern=r"^[^=]+=[0-9]{1,2}$")], ...] = ()
    virustest_status_header: str = ""
    virustest_status_type: Annotated[str, one_of("score", "strlen", "text")] = "score"
    virustest_max_value: float = written(0.0, ge=0)
    virustest_max_header: str = ""
    virustest_texts: tuple[Annotated[str, Field(pattern=r"^[^=]+=[0-9]{1,2}$")], ...] = ()
    program_timeout: Duration = written("10s")
    list: tuple[ExternalList, ...] = ()
    list_max_size: Size = written("1M")
    list_max_redirects: Count = 100
    submission: str = written("smtp://127.0.0.1:25", pattern=r"^(?:smtp|smtps|smtp\+starttls)://[^\s/]+$|^$")
    sendmail: str = ""
    pipe_bin_dir: str = ""
    filter_bin_dir: str = ""
    execute_bin_dir: str = ""

    @field_validator("redirect_envelope_from", "notify_mailto_envelope_from", "report_from")
    @classmethod
    def _envelope_from(cls, value: str, info: ValidationInfo) -> str:
        if not value and info.field_name == "notify_mailto_envelope_from":
            return value
        if value not in ENVELOPE_SENDERS and not (value.startswith("<") and value.endswith(">") and "@" in value):
            raise ValueError(f'one of {", ".join(ENVELOPE_SENDERS)}, or an address as "<robot@example.net>"')
        return value

    @model_validator(mode="after")
    def _verdicts(self) -> Sieve:
        for name in ("spamtest", "virustest"):
            header, kind = getattr(self, f"{name}_status_header"), getattr(self, f"{name}_status_type")
            most = getattr(self, f"{name}_max_value"), getattr(self, f"{name}_max_header")
            if header and kind != "text" and not any(most):
                raise ValueError(f"{name}_status_header needs {name}_max_value or {name}_max_header")
            if header and kind == "text" and not getattr(self, f"{name}_texts"):
                raise ValueError(f'{name}_status_type = "text" needs {name}_texts')
        return self


class ImapSieve(Section):
    """Scripts that run when messages come into ``mailbox`` (from ``from``) by IMAP commands."""

    mailbox: str = written("*", min_length=1)
    from_: str = written("*", alias="from", min_length=1)
    causes: tuple[Annotated[str, one_of("APPEND", "COPY", "FLAG")], ...] = ()
    before: FilePath | None = None
    after: FilePath | None = None
    copy_source_after: FilePath | None = None


class Events(Section):
    """How what clients did to mail is dealt with, behind their backs: scripts at IMAP events, spam training."""

    quiet: Duration = written("100ms")
    at_once: Positive = 4
    max_waiting: Positive = 10000
    lifetime: Duration = written("1d")
    close_timeout: Duration = written("5s")


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
