"""Values as Dovecot writes them, in the form of MAS's file. Pure. Each raises ValueError with a sentence."""

from __future__ import annotations

import re

from mas.config.values import parse_duration, parse_size

_DURATION = re.compile(r"(\d+) ?([a-z]*)", re.IGNORECASE | re.ASCII)
_SIZE = re.compile(r"(\d+) ?([BKMGT]?)(?:i?B)?", re.IGNORECASE | re.ASCII)


def boolean(text: str) -> bool:
    """yes, y, 1, true / no …"""
    lowered = text.strip().lower()
    if lowered in ("yes", "y", "1", "true"):
        return True
    if lowered in ("no", "n", "0", "false", ""):
        return False
    raise ValueError(f"{text!r} is neither yes nor no")


def number(text: str) -> int:
    """A whole number; ``unlimited`` (2.4) is 0, as no limit is in MAS."""
    if text.strip().lower() in ("unlimited", "infinite"):
        return 0
    if not re.fullmatch(r"\d{1,9}", text.strip(), re.ASCII):
        raise ValueError(f"{text!r} is no number")
    return int(text)


def duration(text: str) -> str | int:
    """``2 mins`` -> ``"2m"``; 0 stays a number."""
    if text.strip().lower() in ("unlimited", "infinite"):
        return 0
    match = _DURATION.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is no length of time")
    if not int(match[1]):
        return 0
    unit = match[2].lower()
    short = "ms" if unit in ("ms", "msec", "msecs") else (unit[:1] or "s")
    written = f"{int(match[1])}{short}"
    parse_duration(written)
    return written


def size(text: str) -> str | int:
    """``64 k`` -> ``"64K"``; bare octets stay a number, and become K where they are whole ones."""
    if text.strip().lower() == "unlimited":
        return 0
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is no size")
    unit = match[2].upper().replace("B", "")
    if not unit:
        octets = int(match[1])
        return f"{octets >> 10}K" if octets and octets % 1024 == 0 else octets
    written = f"{int(match[1])}{unit}" if int(match[1]) else 0
    parse_size(written)
    return written


def mode(text: str) -> str:
    """``600`` and ``0600`` -> ``"0600"``."""
    if not re.fullmatch(r"0?o?[0-7]{1,4}", text.strip()):
        raise ValueError(f"{text!r} is no mode")
    return f"0{int(text.strip().replace('o', ''), 8):03o}"


def words(text: str) -> list[str]:
    """Blank or comma separated."""
    return [word for word in re.split(r"[\s,]+", text.strip()) if word]
