"""date, currentdate, and index (``:index``, ``:last``). [RFC5260]"""

from __future__ import annotations

import datetime
import re
from email.utils import format_datetime, parsedate_tz
from typing import TYPE_CHECKING, Any

from mas.sieve.compiler import Checker
from mas.sieve.definition import Extension, Kind, Parameter, Role, TagRule, test
from mas.sieve.extensions.base import indexed, warn_field_name
from mas.sieve.matching import MATCH_TAGS, match
from mas.sieve.program import Call

if TYPE_CHECKING:
    from mas.sieve.interpreter import Run

_ZONE = re.compile(r"([+-])([0-9]{2})([0-9]{2})\Z")
_MODIFIED_JULIAN_DAY_0 = datetime.date(1858, 11, 17)
PARTS = frozenset(
    [
        "year",
        "month",
        "day",
        "date",
        "julian",
        "hour",
        "minute",
        "second",
        "time",
        "iso8601",
        "std11",
        "zone",
        "weekday",
    ]
)


def zone_minutes(text: str) -> int | None:
    """time-zone = ( "+" / "-" ) 4DIGIT; minutes east of UTC, None when it is none."""
    found = _ZONE.match(text)
    if not found or int(found[3]) > 59:
        return None
    minutes = int(found[2]) * 60 + int(found[3])
    if minutes >= 24 * 60:
        return None
    return -minutes if found[1] == "-" else minutes


def zone_text(minutes: int) -> str:
    """``+hhmm``"""
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}{abs(minutes) % 60:02d}"


def part_of(moment: datetime.datetime, part: str) -> str:
    """A date-part [RFC5260 4.2] of an aware time."""
    offset = moment.utcoffset()
    minutes = int(offset.total_seconds() // 60) if offset else 0
    match part:
        case "year":
            return f"{moment.year:04d}"
        case "month":
            return f"{moment.month:02d}"
        case "day":
            return f"{moment.day:02d}"
        case "date":
            return moment.strftime("%Y-%m-%d") if moment.year >= 1000 else moment.date().isoformat()
        case "julian":
            return str((moment.date() - _MODIFIED_JULIAN_DAY_0).days)
        case "hour":
            return f"{moment.hour:02d}"
        case "minute":
            return f"{moment.minute:02d}"
        case "second":
            return f"{moment.second:02d}"
        case "time":
            return f"{moment.hour:02d}:{moment.minute:02d}:{moment.second:02d}"
        case "iso8601":
            zone = zone_text(minutes)
            return moment.replace(tzinfo=None, microsecond=0).isoformat() + (
                "Z" if not minutes else f"{zone[:3]}:{zone[3:]}"
            )
        case "std11":
            return format_datetime(moment)
        case "zone":
            return zone_text(minutes)
        case _:
            return str(moment.isoweekday() % 7)


def parse(value: str) -> datetime.datetime | None:
    """The date-time of a header field: all of it, or what follows its last semicolon. None when there is no valid one."""
    for text in (value, value.rpartition(";")[2]):
        fields = parsedate_tz(text.strip())
        if fields is None:
            continue
        try:
            zone = datetime.timezone(datetime.timedelta(seconds=fields[9] or 0))
            return datetime.datetime(
                fields[0], fields[1], fields[2], fields[3], fields[4], min(fields[5], 59), tzinfo=zone
            )
        except (ValueError, OverflowError):
            continue
    return None


def _shifted(run: Run, call: Call, moment: datetime.datetime) -> datetime.datetime | None:
    if call.tags.get("zone") == "originalzone":
        return moment
    zone = run.tagged(call, "zone")
    minutes = run.zone_minutes if zone is None else zone_minutes(zone)
    if minutes is None:
        return None
    try:
        return moment.astimezone(datetime.timezone(datetime.timedelta(minutes=minutes)))
    except OverflowError:
        return None


def _test(run: Run, call: Call, moment: datetime.datetime | None) -> Any:
    shifted = None if moment is None else _shifted(run, call, moment)
    part = run.argument(call, "date-part").lower()
    if shifted is None or part not in PARTS:
        return match(run, call, [], [part]) if call.matcher and call.matcher.kind == "count" else False
    return match(run, call, [part_of(shifted, part)], [part])


def run_date(run: Run, call: Call) -> Any:
    """date [RFC5260 4]"""
    values = indexed(call, list(run.message.header(run.argument(call, "header-name").lower())))
    return _test(run, call, parse(values[0]) if values else None)


def run_currentdate(run: Run, call: Call) -> Any:
    """currentdate [RFC5260 5]; one moment for the whole run."""
    return _test(run, call, datetime.datetime.fromtimestamp(int(run.now), datetime.UTC))


def _check_part(checker: Checker, text: str, offset: int) -> None:
    if text.lower() not in PARTS:
        checker.warn(offset, f"unknown date part {text!r}: {', '.join(sorted(PARTS))}")


def _check_zone(checker: Checker, text: str, offset: int) -> None:
    if zone_minutes(text) is None:
        checker.warn(offset, f"{text!r} is not a time zone such as +0100: the test is false")


_ZONE_TAG = TagRule("zone", Kind.STRING, group="zone", check=_check_zone)
_PART = Parameter("date-part", Kind.STRING, check=_check_part)
_KEYS = Parameter("keys", Kind.STRINGS)

DATE = Extension(
    "date",
    definitions=(
        test(
            "date",
            run_date,
            Parameter("header-name", Kind.STRING, check=warn_field_name),
            _PART,
            _KEYS,
            tags=(*MATCH_TAGS, _ZONE_TAG, TagRule("originalzone", group="zone")),
            matches=True,
            needs="date",
        ),
        test("currentdate", run_currentdate, _PART, _KEYS, tags=(*MATCH_TAGS, _ZONE_TAG), matches=True, needs="date"),
    ),
)
INDEX = Extension(
    "index",
    tags={
        (Role.TEST, name): (
            TagRule("index", Kind.NUMBER, needs="index"),
            TagRule("last", needs="index", beside="index"),
        )
        for name in ("header", "address", "date")
    },
)
