"""Events on standard error: one line each, as text or JSON. Level, area and time first, then what happened, then its fields.

    2026-11-22T20:37:19.123+01:00 info lmtp: delivered user=kim@example.net mailbox=INBOX session=k3Xw9a

Promises: an event is one line and one ``write``, whatever a peer put into it (everything unprintable is escaped, also in JSON); no value of
a field that is called after a secret is ever shown; a log that cannot be written stops nothing. Under systemd's journal the line has
the ``<N>`` priority instead of time and level.

Field names that all areas share: ``user``, ``address`` (the peer's), ``session``. The standard library's loggers come out here too.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import logging
import os
import re
import sys
import time
import traceback
from collections.abc import MutableMapping
from functools import lru_cache
from typing import Any

import structlog
from structlog.typing import FilteringBoundLogger

from mas.config import Log

_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
_SECRET = re.compile(r"password|passwd|secret|token|credential|authorization|private_key", re.IGNORECASE)
_PLAIN = re.compile(r"[^\s\"=\\<>]+")


def get_logger(area: str) -> FilteringBoundLogger:
    """The logger of a part of the server (``imap``, ``lmtp``, ``auth`` …). ``bind(session=…, user=…)`` adds fields to all its events."""
    logger: FilteringBoundLogger = structlog.get_logger(area=area)
    return logger


def setup(log: Log, descriptor: int = 2) -> None:
    """Send all events of this process to ``descriptor``. May be called again (in a forked worker, after a reload)."""
    level = logging.getLevelName(log.level.upper())
    render = _Renderer(json=log.format == "json", journal=_is_journal(descriptor))
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, structlog.processors.add_log_level, _exception, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _Writer(descriptor),
        cache_logger_on_first_use=False,
    )
    logging.captureWarnings(True)
    root = logging.getLogger()
    root.handlers[:] = [_FromStandardLibrary()]
    # Drivers say at info and debug what would hold queries, and so names and addresses.
    root.setLevel(max(level, logging.WARNING))


def login_failed(
    service: str,
    *,
    user: str,
    method: str,
    address: str,
    local_address: str,
    session: str,
    tls: bool,
    attempts: int = 1,
    seconds: float = 0,
) -> None:
    """Log what fail2ban's stock filter for Dovecot waits for, when a connection ends without a login: see ``login_failed_line``."""
    line = login_failed_line(
        service,
        user=user,
        method=method,
        address=address,
        local_address=local_address,
        session=session,
        tls=tls,
        attempts=attempts,
        seconds=seconds,
    )
    area, _, event = line.partition(": ")
    get_logger(area).info(event)


def login_failed_line(
    service: str,
    *,
    user: str,
    method: str,
    address: str,
    local_address: str,
    session: str,
    tls: bool,
    attempts: int = 1,
    seconds: float = 0,
) -> str:
    """``imap-login: Info: Disconnected: Connection closed (auth failed, 1 attempts in 2 secs): user=<…>, method=PLAIN, rip=…``

    The shape is Dovecot 2.3's, since filters all over the world are written for it. ``service`` is imap or sieve.
    """
    area = "managesieve" if service in ("sieve", "managesieve") else service
    fields = [f"user=<{_inside_brackets(user)}>"] if user else []
    if method:
        fields.append(f"method={_inside_brackets(method)}")
    fields += [f"rip={address}", f"lip={local_address}"]
    if tls:
        fields.append("TLS")
    fields.append(f"session=<{session}>")
    reason = (
        f"auth failed, {attempts} attempts in {int(seconds)} secs"
        if attempts
        else f"no auth attempts in {int(seconds)} secs"
    )
    return f"{area}-login: Info: Disconnected: Connection closed ({reason}): {', '.join(fields)}"


def escape(text: str) -> str:
    """``text`` on one line: controls, line separators and lone surrogates become ``\\x0a``, ``\\u2028``; a backslash is doubled."""
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(_escape(character) for character in text)


def _escape(character: str) -> str:
    if character == "\\":
        return "\\\\"
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _inside_brackets(text: str) -> str:
    """A peer's text where ``>``, ``<`` and blanks have a meaning for the reader of the line."""
    return re.sub(r"[<>\s,]", lambda match: f"\\x{ord(match[0]):02x}", escape(text))


def _exception(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """``exc_info`` becomes the field ``traceback``: without local variables, since those hold passwords and mail."""
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    if isinstance(info, BaseException):
        info = (type(info), info, info.__traceback__)
    if isinstance(info, tuple) and info[0]:
        event["traceback"] = "".join(traceback.format_exception(*info)).rstrip()
    return event


class _Renderer:
    """An event to its line."""

    def __init__(self, *, json: bool, journal: bool) -> None:
        self._json = json
        self._journal = journal

    def __call__(self, _logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
        level = event.pop("level", "info")
        area = event.pop("area", "mas")
        what = str(event.pop("event", ""))
        fields = {
            key: "<hidden>" if _SECRET.search(key) else value for key, value in event.items() if value is not None
        }
        if self._json:
            line = _as_json({"time": _now(), "level": level, "area": area, "event": what, **fields})
        else:
            rest = "".join(f" {key}={_value(value)}" for key, value in fields.items())
            line = f"{area}: {escape(what)}{rest}"
            if not self._journal:
                line = f"{_now()} {level} {line}"
        return f"<{_PRIORITIES.get(level, 6)}>{line}" if self._journal else line


def _value(value: object) -> str:
    """A field's value: bare where that is clear, else in quotes."""
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    if _PLAIN.fullmatch(text) and text.isprintable():
        return text
    return '"' + escape(text).replace('"', '\\"') + '"'


def _as_json(event: dict[str, Any]) -> str:
    """ASCII only, so that no reader finds a line end in it."""
    return json.dumps(event, default=str, ensure_ascii=True, separators=(", ", ": "))


def _now() -> str:
    moment = time.time()
    date, zone = _second(int(moment))
    return f"{date}.{int(moment % 1 * 1000):03d}{zone}"


@lru_cache(maxsize=4)
def _second(second: int) -> tuple[str, str]:
    """Date and time, and the zone, as ISO 8601 has them."""
    text = datetime.datetime.fromtimestamp(second).astimezone().isoformat()
    return text[:19], text[19:]


def _is_journal(descriptor: int) -> bool:
    """Whether ``descriptor`` is the stream that systemd connected to its journal (``$JOURNAL_STREAM`` is device:inode)."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


class _Writer:
    """One line, one write: the lines of several workers do not mix."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def _write(self, line: str) -> None:
        octets = line.encode("utf-8", "backslashreplace") + b"\n"
        # A full or closed log must not stop the mail.
        with contextlib.suppress(OSError):
            while octets:
                octets = octets[os.write(self._descriptor, octets) :]

    debug = info = warning = error = critical = msg = log = _write


class _FromStandardLibrary(logging.Handler):
    """Events of the ``logging`` module; the area is the logger's first name."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            logger = get_logger(record.name.partition(".")[0])
            logger.log(min(record.levelno, logging.CRITICAL), record.getMessage(), exc_info=record.exc_info)
        except Exception:
            self.handleError(record)
