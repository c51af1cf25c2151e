"""Postfix's settings beside ours: does mail come in, do SMTP logins work, do the limits fit together.

A service of master.cf has its own values of main.cf's settings (``-o``): where they differ it is looked at like main.cf.
``check`` is pure: settings as postconf prints them, our configuration, and the groups of the account Postfix runs as.
"""

from __future__ import annotations

import grp
import pwd
import re
import shutil
import subprocess
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from mas.config import Config, UnixSocket
from mas.doctor.finding import Finding, error, ok, warn

SETTINGS = (
    "mail_owner", "mailbox_transport", "message_size_limit", "queue_directory", "recipient_delimiter", "smtpd_recipient_restrictions",
    "smtpd_relay_restrictions", "smtpd_sasl_auth_enable", "smtpd_sasl_path", "smtpd_sasl_type", "smtpd_tls_auth_only",
    "smtpd_tls_security_level", "smtpd_tls_wrappermode", "virtual_transport",
)  # fmt: skip
TIMEOUT = 20.0
_LOGIN_SETTINGS = {
    "smtpd_sasl_auth_enable", "smtpd_sasl_path", "smtpd_sasl_type", "smtpd_tls_auth_only", "smtpd_tls_security_level",
    "smtpd_tls_wrappermode",
}  # fmt: skip


def postfix(config: Config, directory: Path | None = None) -> Iterator[Finding]:
    """Ask postconf. ``directory``: another than Postfix's own configuration directory."""
    program = shutil.which("postconf", path="/usr/sbin:/usr/local/sbin:/usr/bin:/bin")
    if program is None:
        yield warn("Postfix", "there is no postconf on this host", "nothing to do if Postfix runs elsewhere")
        return
    where = [program, *(["-c", str(directory)] if directory else [])]
    outputs = []
    for words in (["-x", *SETTINGS], ["-Px"]):
        answer = subprocess.run([*where, *words], capture_output=True, text=True, timeout=TIMEOUT, check=False)
        if answer.returncode:
            yield error("Postfix", f"postconf fails: {answer.stderr.strip()[:300]}", "run postfix check")
            return
        outputs.append(answer.stdout)
    settings = parse(outputs[0])
    yield from check(settings, config, groups_of(settings.get("mail_owner", "postfix")), parse_services(outputs[1]))


def parse(text: str) -> dict[str, str]:
    """``name = value`` a line."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}


def parse_services(text: str) -> dict[str, dict[str, str]]:
    """``postconf -P``: ``submission/inet/smtpd_sasl_path = private/auth`` a line, as service -> name -> value."""
    services: dict[str, dict[str, str]] = {}
    for name, value in parse(text).items():
        service, _, setting = name.rpartition("/")
        services.setdefault(service, {})[setting] = value
    return services


def groups_of(user: str) -> set[str]:
    """Names and numbers of the groups of a user; empty for an unknown one."""
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        return set()
    return {str(entry.pw_gid), grp.getgrgid(entry.pw_gid).gr_name} | {
        name for group in grp.getgrall() if user in group.gr_mem for name in (group.gr_name, str(group.gr_gid))
    }


@dataclass(frozen=True, slots=True)
class Service:
    """An SMTP server of Postfix: main.cf's (no name), or one of master.cf that differs. ``settings``: what holds for it."""

    name: str
    settings: Mapping[str, str]
    differs: Collection[str]

    def where(self, setting: str) -> str:
        """For a finding."""
        return f"Postfix {self.name} {setting}" if self.name else f"Postfix {setting}"

    def todo(self, setting: str, value: str) -> str:
        """The command that sets it where it is said."""
        own = self.name and setting in self.differs
        return f"postconf -P {self.name}/{setting}={value}" if own else f"postconf -e {setting}={value}"


def check(
    settings: Mapping[str, str],
    config: Config,
    groups: Collection[str],
    services: Mapping[str, Mapping[str, str]] | None = None,
) -> Iterator[Finding]:
    """``groups``: of Postfix's account. ``services``: what each service of master.cf has of its own."""
    owner = settings.get("mail_owner", "postfix")
    queue = Path(settings.get("queue_directory", "/var/spool/postfix"))
    main = Service("", settings, ())
    others = [Service(name, {**settings, **own}, own) for name, own in (services or {}).items()]
    yield from _delivery(settings, config, queue, owner, groups)
    asking = [
        service
        for service in (main, *others)
        if service.settings.get("smtpd_sasl_auth_enable") == "yes"
        and (service is main or _LOGIN_SETTINGS & set(service.differs))
    ]
    if not asking:
        yield ok("Postfix smtpd_sasl_auth_enable", "no SMTP logins")
    for service in asking:
        yield from _logins(service, config, queue, owner, groups)
    yield from _limits(main, config)
    theirs, ours = settings.get("recipient_delimiter", ""), config.lmtp.recipient_delimiter
    if set(theirs) != set(ours):
        yield warn(
            "Postfix recipient_delimiter",
            f'it is "{theirs}", and lmtp.recipient_delimiter is "{ours}": user+detail is not the same in both',
            f"postconf -e recipient_delimiter={ours}",
        )
    yield from chain.from_iterable(_limits(service, config) for service in others)


def _delivery(
    settings: Mapping[str, str], config: Config, queue: Path, owner: str, groups: Collection[str]
) -> Iterator[Finding]:
    ours = {unix.path: unix for unix in config.lmtp.socket} if "lmtp" in config.protocols else {}
    wanted = next(iter(ours), Path("private/dovecot-lmtp"))
    shown = wanted.relative_to(queue) if wanted.is_relative_to(queue) else wanted
    todo = f"postconf -e virtual_transport=lmtp:unix:{shown}"
    found = False
    for name in ("virtual_transport", "mailbox_transport"):
        value = settings.get(name, "")
        if match := re.fullmatch(r"lmtp:(?:unix:)(\S+)", value):
            found = True
            path = queue / match[1]
            if path not in ours:
                yield error(f"Postfix {name}", f"Postfix delivers to {path}, where MAS does not listen", todo)
            elif not may_connect(ours[path], owner, groups):
                yield _may_not(f"lmtp.socket {path}", ours[path], owner)
            else:
                yield ok(f"Postfix {name}", f"mail goes to {path}")
        elif match := re.fullmatch(r"lmtp:(?:inet:)?\[?([^\]\s]+?)\]?:(\d+)", value):
            found = True
            if int(match[2]) in [listener.port for listener in config.lmtp.listener]:
                yield ok(f"Postfix {name}", f"mail goes to port {match[2]}")
            else:
                yield error(f"Postfix {name}", f"there is no [[lmtp.listener]] on port {match[2]}", todo)
    if not found:
        yield error("Postfix virtual_transport", "no mail is delivered to MAS", todo)


def _logins(service: Service, config: Config, queue: Path, owner: str, groups: Collection[str]) -> Iterator[Finding]:
    ours = {unix.path: unix for unix in config.auth.socket if unix.type != "userdb"}
    wanted = next(iter(ours), queue / "private/auth")
    shown = wanted.relative_to(queue) if wanted.is_relative_to(queue) else wanted
    path = queue / service.settings.get("smtpd_sasl_path", "")
    if service.settings.get("smtpd_sasl_type") != "dovecot":
        yield error(
            service.where("smtpd_sasl_type"),
            "SMTP logins are not asked of MAS",
            service.todo("smtpd_sasl_type", "dovecot"),
        )
    elif path not in ours:
        yield error(
            service.where("smtpd_sasl_path"),
            f"Postfix asks for SMTP logins at {path}, where MAS does not listen",
            service.todo("smtpd_sasl_path", str(shown)),
        )
    elif not may_connect(ours[path], owner, groups):
        yield _may_not(f"auth.socket {path}", ours[path], owner)
    else:
        yield ok(service.where("smtpd_sasl_path"), f"SMTP logins are asked at {path}")
    always_tls = (
        service.settings.get("smtpd_tls_security_level") == "encrypt"
        or service.settings.get("smtpd_tls_wrappermode") == "yes"
    )
    if service.settings.get("smtpd_tls_auth_only") != "yes" and not always_tls:
        yield warn(
            service.where("smtpd_tls_auth_only"),
            "passwords may come in the clear",
            service.todo("smtpd_tls_auth_only", "yes"),
        )


def _limits(service: Service, config: Config) -> Iterator[Finding]:
    """Of main.cf, and of a service what it has of its own."""
    if not service.name or "message_size_limit" in service.differs:
        size, limit = int(service.settings.get("message_size_limit", "0") or 0), config.quota.max_mail_size
        if limit and (not size or size > limit):
            yield warn(
                service.where("message_size_limit"),
                f"Postfix takes messages of {size or 'any number of'} octets, MAS of {limit}: what is between bounces",
                service.todo("message_size_limit", str(limit)),
            )
        else:
            yield ok(service.where("message_size_limit"), f"{size} octets")
    for name in ("smtpd_recipient_restrictions", "smtpd_relay_restrictions"):
        if "quota-status" in service.settings.get(name, "") and (not service.name or name in service.differs):
            yield error(
                service.where(name),
                "check_policy_service asks Dovecot's quota-status, which is not there any more: all mail is deferred",
                "take it out; LMTP refuses recipients over quota (lmtp.rcpt_check_quota)",
            )


def may_connect(unix: UnixSocket, owner: str, groups: Collection[str]) -> bool:
    """Whether the account ``owner`` may connect to a socket with that mode and owner."""
    if unix.user == owner:
        return bool(unix.mode & 0o200)
    if unix.group in groups:
        return bool(unix.mode & 0o020)
    return bool(unix.mode & 0o002)


def _may_not(where: str, unix: UnixSocket, owner: str) -> Finding:
    what = f'Postfix runs as {owner}, who may not connect: mode "{unix.mode:04o}", user {unix.user}, group {unix.group}'
    return error(where, what, f'set user = "{owner}" and mode = "0600"')
