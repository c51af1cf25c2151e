"""The Date field, as tolerantly as it is written.  [RFC5322 3.3] [RFC5322 4.3]

    date-time = [day-name ","] day month year hour ":" minute [":" second] [zone]
    zone      = ("+" / "-") 4DIGIT / "UT" / "GMT" / "EST" / … / 1ALPHA

Two-digit years are 1950-2049, three-digit ones count from 1900. A zone that is not known is +0000.
"""

from __future__ import annotations

import datetime
import re

_COMMENT = re.compile(rb"\([^()]*\)")
_DATE = re.compile(
    rb"\s*(?:[A-Za-z]+\s*[,.]?\s*)?(\d{1,2})[\s-]+([A-Za-z]{3})[A-Za-z]*\.?[\s-]+(\d{2,4})"
    rb"\s+(\d{1,2})\s*[:.]\s*(\d{1,2})(?:\s*[:.]\s*(\d{1,2}))?\s*([+-]\d{4}|[A-Za-z]+)?"
)
_MONTHS = {
    name: number
    for number, name in enumerate(
        (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"), 1
    )
}
_ZONES = {
    b"EST": -300,
    b"EDT": -240,
    b"CST": -360,
    b"CDT": -300,
    b"MST": -420,
    b"MDT": -360,
    b"PST": -480,
    b"PDT": -420,
}
_EPOCH = datetime.date(1970, 1, 1).toordinal()


def parse_date(value: bytes) -> tuple[int, int] | None:
    """``(day, time)``: days since 1970 of the date as written, without its zone; seconds since 1970, UTC. None: no date in there."""
    value = value[:200]
    while b"(" in value:
        without = _COMMENT.sub(b" ", value)
        if without == value:
            break
        value = without
    match = _DATE.match(value)
    if match is None:
        return None
    day, month, year, hour, minute, second, zone = match.groups()
    full_year = int(year)
    if len(year) == 2:
        full_year += 2000 if full_year < 50 else 1900
    elif len(year) == 3:
        full_year += 1900
    h, m, s = int(hour), int(minute), int(second or 0)
    try:
        days = datetime.date(full_year, _MONTHS.get(month.lower(), 0), int(day)).toordinal() - _EPOCH
    except ValueError:
        return None
    if h > 23 or m > 59 or s > 60:
        return None
    offset = 0
    if zone:
        if zone[:1] in b"+-":
            offset = int(zone[1:3]) * 60 + int(zone[3:5])
            if zone[:1] == b"-":
                offset = -offset
        else:
            offset = _ZONES.get(zone.upper(), 0)
    return days, days * 86400 + h * 3600 + m * 60 + s - offset * 60
