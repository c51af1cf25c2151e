"""Postfix's settings beside ours: does mail come in, do SMTP logins work, do the limits fit together.

``check`` is pure: settings as postconf prints them, our configuration, and a function that knows the account Postfix runs as.
"""

from __future__ import annotations

import grp
import pwd
import re
import shutil
import subprocess
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from mas.config import Config, UnixSocket
from mas.doctor.finding import Finding, error, ok, warn

SETTINGS = (
    "mail_owner", "mailbox_transport", "message_size_limit", "queue_directory", "recipient_delimiter", "smtpd_recipient_restrictions",
    "smtpd_relay_restrictions", "smtpd_sasl_auth_enable", "smtpd_sasl_path", "smtpd_sasl_type", "smtpd_tls_auth_only", "virtual_transport",
)  # fmt: skip
TIMEOUT = 20.0


def postfix(config: Config, directory: Path | None = None) -> Iterator[Finding]:
    """Ask postconf. ``directory``: another than Postfix's own configuration directory."""
    program = shutil.which("postconf", path="/usr/sbin:/usr/local/sbin:/usr/bin:/bin")
    if program is None:
        yield warn("Postfix", "there is no postconf on this host", "nothing to do if Postfix runs elsewhere")
        return
    words = [program, *(["-c", str(directory)] if directory else []), "-x", *SETTINGS]
    answer = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    if answer.returncode:
        yield error("Postfix", f"postconf fails: {answer.stderr.strip()[:300]}", "run postfix check")
        return
    settings = parse(answer.stdout)
    yield from check(settings, config, groups_of(settings.get("mail_owner", "postfix")))


def parse(text: str) -> dict[str, str]:
    """``name = value`` a line."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}


def groups_of(user: str) -> set[str]:
    """Names and numbers of the groups of a user; empty for an unknown one."""
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        return set()
    return {str(entry.pw_gid), grp.getgrgid(entry.pw_gid).gr_name} | {
        name for group in grp.getgrall() if user in group.gr_mem for name in (group.gr_name, str(group.gr_gid))
    }


def check(settings: Mapping[str, str], config: Config, groups: Collection[str]) -> Iterator[Finding]:
    """``groups``: of Postfix's account."""
    owner = settings.get("mail_owner", "postfix")
    queue = Path(settings.get("queue_directory", "/var/spool/postfix"))
    yield from _delivery(settings, config, queue, owner, groups)
    yield from _logins(settings, config, queue, owner, groups)
    yield from _limits(settings, config)


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


def _logins(
    settings: Mapping[str, str], config: Config, queue: Path, owner: str, groups: Collection[str]
) -> Iterator[Finding]:
    if settings.get("smtpd_sasl_auth_enable") != "yes":
        yield ok("Postfix smtpd_sasl_auth_enable", "no SMTP logins, unless master.cf has them")
        return
    ours = {unix.path: unix for unix in config.auth.socket if unix.type != "userdb"}
    wanted = next(iter(ours), queue / "private/auth")
    shown = wanted.relative_to(queue) if wanted.is_relative_to(queue) else wanted
    path = queue / settings.get("smtpd_sasl_path", "")
    if settings.get("smtpd_sasl_type") != "dovecot":
        yield error(
            "Postfix smtpd_sasl_type", "SMTP logins are not asked of MAS", "postconf -e smtpd_sasl_type=dovecot"
        )
    elif path not in ours:
        yield error(
            "Postfix smtpd_sasl_path",
            f"Postfix asks for SMTP logins at {path}, where MAS does not listen",
            f"postconf -e smtpd_sasl_path={shown}",
        )
    elif not may_connect(ours[path], owner, groups):
        yield _may_not(f"auth.socket {path}", ours[path], owner)
    else:
        yield ok("Postfix smtpd_sasl_path", f"SMTP logins are asked at {path}")
    if settings.get("smtpd_tls_auth_only") != "yes":
        yield warn(
            "Postfix smtpd_tls_auth_only", "passwords may come in the clear", "postconf -e smtpd_tls_auth_only=yes"
        )


def _limits(settings: Mapping[str, str], config: Config) -> Iterator[Finding]:
    size, limit = int(settings.get("message_size_limit", "0") or 0), config.quota.max_mail_size
    if limit and (not size or size > limit):
        yield warn(
            "Postfix message_size_limit",
            f"Postfix takes messages of {size or 'any number of'} octets, MAS of {limit}: what is between bounces",
            f"postconf -e message_size_limit={limit}",
        )
    else:
        yield ok("Postfix message_size_limit", f"{size} octets")
    theirs, ours = settings.get("recipient_delimiter", ""), config.lmtp.recipient_delimiter
    if set(theirs) != set(ours):
        yield warn(
            "Postfix recipient_delimiter",
            f'it is "{theirs}", and lmtp.recipient_delimiter is "{ours}": user+detail is not the same in both',
            f"postconf -e recipient_delimiter={ours}",
        )
    restrictions = f"{settings.get('smtpd_recipient_restrictions')} {settings.get('smtpd_relay_restrictions')}"
    if "quota-status" in restrictions:
        yield error(
            "Postfix smtpd_recipient_restrictions",
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
