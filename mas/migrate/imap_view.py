"""A user's mail as a running server shows it over IMAP. Nothing is changed there: mailboxes are opened by EXAMINE, bodies by PEEK."""

from __future__ import annotations

import hashlib
import imaplib
import re
import ssl
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from mas.config.mailstore import SPECIAL_USES
from mas.migrate.view import Mailbox, Message, View
from mas.protocols.imap.mailbox_name import decode_name, fold_inbox

TIMEOUT = 300.0
"""Seconds for one answer."""
BATCH = 500
"""Messages whose headers are asked for at a time."""
BODIES = 20
"""Messages that are asked for whole at a time."""

_LIST = re.compile(rb'\(([^)]*)\) (?:NIL|"(?:[^"\\]|\\.)") (.*)', re.DOTALL)
_UID = re.compile(rb"\bUID (\d+)")
_FLAGS = re.compile(rb"\bFLAGS \(([^)]*)\)")
_SIZE = re.compile(rb"\bRFC822\.SIZE (\d+)")
_DATE = re.compile(rb'\bINTERNALDATE "([^"]+)"')
_SAVED = re.compile(rb'\bSAVEDATE "([^"]+)"')
_RESOURCE = re.compile(rb"([A-Z]+) (\d+) (\d+)")
_ROOT = re.compile(rb'(?:"((?:[^"\\]|\\.)*)"|([^\s"(]+)) \(([^)]*)\)')


class ProveError(Exception):
    """The server cannot be asked: not there, no TLS, wrong password, or an answer that is no IMAP."""


def over_imap(url: str, login: str, password: str, *, digest: str = "", verify: bool = True) -> View:
    """The view of ``login`` at ``url`` (``imaps://host:993`` or ``imap://host:143``, which does STARTTLS).

    digest: ``header`` or ``body``: compare these octets as well. verify: whether the certificate has to be right. Raises ProveError.
    """
    try:
        client = _connect(url, verify=verify)
        try:
            client.login(login, password)
            return _view(client, digest)
        finally:
            client.logout()
    except (OSError, imaplib.IMAP4.error, ValueError) as error:
        raise ProveError(f"{url}: {error}") from None


def _connect(url: str, *, verify: bool) -> imaplib.IMAP4:
    parts = urlsplit(url)
    if parts.scheme not in ("imaps", "imap") or not parts.hostname:
        raise ValueError("an address as imaps://mail.example.net:993")
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if parts.scheme == "imaps":
        return imaplib.IMAP4_SSL(parts.hostname, parts.port or 993, ssl_context=context, timeout=TIMEOUT)
    client = imaplib.IMAP4(parts.hostname, parts.port or 143, timeout=TIMEOUT)
    client.starttls(context)
    return client


def _view(client: imaplib.IMAP4, digest: str) -> View:
    capabilities = {word.upper() for word in _ok(client.capability())[0].split()}
    mailboxes = {}
    for attributes, wire in _listed(_ok(client.list('""', "*"))):
        if not attributes & {"\\noselect", "\\nonexistent"}:
            uses = frozenset(attributes & {use.lower() for use in SPECIAL_USES})
            mailboxes[_name(wire)] = _mailbox(client, wire, uses, digest, saved=b"SAVEDATE" in capabilities)
    subscriptions = frozenset(_name(wire) for _, wire in _listed(_ok(client.lsub('""', "*"))))
    return View(mailboxes, subscriptions, _quota(client) if b"QUOTA" in capabilities else None)


def _mailbox(client: imaplib.IMAP4, wire: bytes, uses: frozenset[str], digest: str, *, saved: bool) -> Mailbox:
    quoted = '"' + wire.decode("ascii", "strict").replace("\\", "\\\\").replace('"', '\\"') + '"'
    (status,) = _ok(client.status(quoted, "(UIDNEXT UIDVALIDITY)"))[-1:]
    numbers = {name: int(value) for name, value in re.findall(rb"(UIDNEXT|UIDVALIDITY) (\d+)", status)}
    messages: dict[int, Message] = {}
    (count,) = _ok(client.select(quoted, readonly=True))[:1]
    if int(count):
        items = f"(FLAGS RFC822.SIZE INTERNALDATE{' SAVEDATE' if saved else ''})"
        for line in _ok(client.uid("FETCH", "1:*", items)):
            if not _SIZE.search(line):
                continue  # not asked for: another session has changed flags meanwhile
            uid = int(_group(_UID, line))
            stored = _SAVED.search(line)
            messages[uid] = Message(
                frozenset(_group(_FLAGS, line).decode("utf-8", "replace").split()) - {"\\Recent"},
                int(_group(_SIZE, line)),
                _seconds(_group(_DATE, line)),
                _seconds(stored[1]) if stored else None,
            )
        if digest:
            section = "BODY.PEEK[HEADER]" if digest == "header" else "BODY.PEEK[]"
            for uid, octets in _octets(client, sorted(messages), section, BATCH if digest == "header" else BODIES):
                old = messages[uid]
                messages[uid] = Message(old.flags, old.size, old.internal_date, old.save_date, digest_of(octets))
    client.unselect()
    return Mailbox(numbers[b"UIDVALIDITY"], numbers[b"UIDNEXT"], uses, messages)


def digest_of(octets: bytes) -> str:
    """What two contents are compared by."""
    return hashlib.sha256(octets).hexdigest()


def _octets(client: imaplib.IMAP4, uids: Sequence[int], section: str, batch: int) -> Iterator[tuple[int, bytes]]:
    for start in range(0, len(uids), batch):
        some = ",".join(map(str, uids[start : start + batch]))
        kind, answers = client.uid("FETCH", some, f"({section})")
        if kind != "OK":
            raise ValueError(f"FETCH: {answers!r}")
        for head, follower in zip(answers, [*answers[1:], b""], strict=True):
            if isinstance(head, tuple):
                # The UID stands before the literal, or behind it.
                rest = follower if isinstance(follower, bytes) else b""
                found = _UID.search(head[0]) or _UID.search(rest)
                if found:
                    yield int(found[1]), head[1]


def _listed(lines: Sequence[bytes]) -> Iterator[tuple[set[str], bytes]]:
    for line in lines:
        match = _LIST.match(line)
        if match is None:
            raise ValueError(f"LIST: {line!r}")
        name = match[2].strip()
        if name.startswith(b'"'):
            name = re.sub(rb"\\(.)", rb"\1", name[1:-1])
        yield {word.lower() for word in match[1].decode("ascii", "replace").split()}, name


def _name(wire: bytes) -> str:
    name = decode_name(wire, utf8=False)
    if name is None:
        raise ValueError(f"a mailbox name that is no modified UTF-7: {wire!r}")
    return fold_inbox(name)


def _quota(client: imaplib.IMAP4) -> dict[str, dict[str, tuple[int, int]]]:
    kind, (_, roots) = client.getquotaroot("INBOX")
    if kind != "OK":
        raise ValueError("GETQUOTAROOT was refused")
    found = {}
    for line in roots:
        if isinstance(line, bytes) and (match := _ROOT.match(line)):
            name = re.sub(rb"\\(.)", rb"\1", match[1]) if match[1] is not None else match[2]
            found[name.decode("utf-8", "replace")] = {
                resource.decode(): (int(usage), int(limit)) for resource, usage, limit in _RESOURCE.findall(match[3])
            }
    return found


def _ok(answer: tuple[str, Sequence[Any]]) -> list[bytes]:
    """The lines of an answer; a name that came as a literal is put in its place. Raises ValueError when it is not OK."""
    kind, lines = answer
    if kind != "OK":
        raise ValueError(f"{kind} {lines!r}")
    joined = []
    for line in lines:
        if isinstance(line, tuple):
            joined.append(re.sub(rb"\{\d+\}$", b"", line[0]) + b'"' + re.sub(rb'(["\\])', rb"\\\1", line[1]) + b'"')
        elif line and line != b")":
            joined.append(line)
    return joined


def _group(pattern: re.Pattern[bytes], line: bytes) -> bytes:
    match = pattern.search(line)
    if match is None:
        raise ValueError(f"FETCH: {line[:200]!r}")
    return match[1]


def _seconds(date: bytes) -> int:
    return int(datetime.strptime(date.decode().strip(), "%d-%b-%Y %H:%M:%S %z").timestamp())
