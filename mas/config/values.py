"""The value types of the configuration file: what an operator writes, and what the program gets.

    size      = digits [K / M / G / T]        ; octets, powers of 1024; a "B" may follow the unit
    duration  = number [ms / s / m / h / d / w]  ; seconds when there is no unit
    percent   = number "%"
    mode      = octal digits in quotes

Each is an ``Annotated`` type for pydantic: the field's value is already the parsed one. Nothing here opens a file.
"""

from __future__ import annotations

import ipaddress
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationInfo

from mas import variables

_SIZE = re.compile(r"(\d{1,18}) ?([KMGT]?)(?:i?B)?", re.IGNORECASE | re.ASCII)
_SIZE_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,6})?) ?([a-z]*)", re.IGNORECASE | re.ASCII)
_DURATION_UNITS = {
    **dict.fromkeys(("ms", "msec", "msecs"), 0.001),
    **dict.fromkeys(("", "s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
    **dict.fromkeys(("w", "week", "weeks"), 604800.0),
}
_PERCENT = re.compile(r"(\d{1,6}(?:\.\d{1,6})?) ?%", re.ASCII)


def parse_size(value: object) -> int:
    """``"25M"`` or a number of octets. Raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and (match := _SIZE.fullmatch(value.strip())):
        return int(match[1]) * _SIZE_UNITS[match[2].upper()]
    raise ValueError('a size is a number with an optional unit K, M, G or T, as "25M"')


def parse_duration(value: object) -> float:
    """``"90d"``, ``"100ms"`` or a number of seconds; the result is seconds. Raises ValueError."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0:
        return float(value)
    if (
        isinstance(value, str)
        and (match := _DURATION.fullmatch(value.strip()))
        and (unit := _DURATION_UNITS.get(match[2].lower()))
    ):
        return float(match[1]) * unit
    raise ValueError('a duration is a number with a unit ms, s, m, h, d or w, as "90d"')


@dataclass(frozen=True, slots=True)
class Share:
    """Part of a limit (``"10%"``) or a fixed number of octets (``"50M"``); exactly one of the two is not zero."""

    percent: float = 0.0
    octets: int = 0

    def of(self, limit: int) -> int:
        """Octets that this share is of ``limit`` octets."""
        return self.octets or int(limit * self.percent / 100)


def parse_share(value: object) -> Share:
    """``"10%"`` or a size. Raises ValueError."""
    if isinstance(value, Share):
        return value
    if isinstance(value, str) and (match := _PERCENT.fullmatch(value.strip())):
        return Share(percent=float(match[1]))
    try:
        return Share(octets=parse_size(value))
    except ValueError:
        raise ValueError('a percentage or a size, as "10%" or "50M"') from None


def parse_mode(value: object) -> int:
    """``"0600"``: octal permission bits. A bare TOML number is refused, since 600 is not 0600. Raises ValueError."""
    if isinstance(value, str) and re.fullmatch(r"0?o?[0-7]{3}", value):
        return int(value.replace("o", "0"), 8)
    raise ValueError('a mode is three octal digits in quotes, as "0600"')


def parse_account(value: object) -> str:
    """A system user or group: a name or a number. Raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return str(value)
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\$?", value):
        return value
    raise ValueError('the name or number of a system account, as "vmail" or 5000')


def parse_path(value: object, info: ValidationInfo) -> Path:
    """An absolute path, or one relative to the directory of the configuration file. Raises ValueError."""
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("a path in quotes")
    directory = (info.context or {}).get("directory")
    return Path(directory, value) if directory else Path(value)


def parse_certificate_path(value: object, info: ValidationInfo) -> Path:
    """As ``parse_path``; a leading ``<``, which Dovecot needs there, is understood. Raises ValueError."""
    return parse_path(value.removeprefix("<") if isinstance(value, str) else value, info)


def parse_listen(value: object) -> str:
    """``"*"``, ``"::"`` or an address. Raises ValueError."""
    if value == "*":
        return "*"
    try:
        return str(ipaddress.ip_address(value if isinstance(value, str) else ""))
    except ValueError:
        raise ValueError('an address to listen on: "*" (all of IPv4), "::" (all of IPv6) or an IP address') from None


def parse_network(value: object) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """``"10.0.0.0/8"``, ``"2001:db8::/32"`` or one address. Raises ValueError."""
    if isinstance(value, ipaddress.IPv4Network | ipaddress.IPv6Network):
        return value
    try:
        return ipaddress.ip_network(value if isinstance(value, str) else "", strict=False)
    except ValueError:
        raise ValueError('an IP network, as "192.0.2.0/24" or "2001:db8::/32"') from None


def parse_template(value: object) -> str:
    """A text with %variables, all of them known. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError("a text in quotes")
    variables.parse(value)
    return value


Size = Annotated[int, BeforeValidator(parse_size)]
"""Octets."""
Duration = Annotated[float, BeforeValidator(parse_duration)]
"""Seconds."""
PartOfLimit = Annotated[Share, BeforeValidator(parse_share)]
Mode = Annotated[int, BeforeValidator(parse_mode)]
SystemAccount = Annotated[str, BeforeValidator(parse_account)]
"""Name or decimal number of a user or group."""
FilePath = Annotated[Path, BeforeValidator(parse_path)]
CertificatePath = Annotated[Path, BeforeValidator(parse_certificate_path)]
ListenAddress = Annotated[str, BeforeValidator(parse_listen)]
Network = Annotated[ipaddress.IPv4Network | ipaddress.IPv6Network, BeforeValidator(parse_network)]
Template = Annotated[str, BeforeValidator(parse_template)]
"""A text in which ``mas.variables`` are expanded when it is used."""
Port = Annotated[int, Field(ge=0, le=65535)]
"""0 = off."""
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]


def one_of(*names: str) -> Any:
    """A validator for texts of a fixed list, that names the nearest one."""
    import difflib

    def check(value: object) -> str:
        if isinstance(value, str):
            for name in names:
                if value.lower() == name.lower():
                    return name
            if near := difflib.get_close_matches(value.lower(), [n.lower() for n in names], 1, 0.6):
                nearest = next(n for n in names if n.lower() == near[0])
                raise ValueError(f'"{value}" is not known; did you mean "{nearest}"?')
        raise ValueError(f"one of {', '.join(names)}")

    return BeforeValidator(check)
