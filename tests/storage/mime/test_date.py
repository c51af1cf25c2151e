"""The Date field."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mas.storage.mime.date import parse_date


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Mon, 2 Nov 2026 10:11:12 +0100", "2026-11-02 2026-11-02T09:11:12"),
        ("2 Nov 2026 10:11:12 +0100", "2026-11-02 2026-11-02T09:11:12"),
        ("Sun, 1 Nov 2026 23:30:00 -0200", "2026-11-01 2026-11-02T01:30:00"),
        ("Sun, 1 Nov 2026 23:30 GMT", "2026-11-01 2026-11-01T23:30:00"),
        ("Sun, 01 Nov 26 1:2:3 EST", "2026-11-01 2026-11-01T06:02:03"),
        ("Fri, 31 Dec 99 00:00:00 PDT", "1999-12-31 1999-12-31T07:00:00"),
        ("Fri, 31 Dec 126 00:00:00", "2026-12-31 2026-12-31T00:00:00"),
        ("Monday, 2-November-2026 10:11:12", "2026-11-02 2026-11-02T10:11:12"),
        ("Mon, 2 Nov 2026 10:11:12 +0100 (CET (x))", "2026-11-02 2026-11-02T09:11:12"),
        ("(a) Mon, (b) 2 Nov 2026 10:11:12 XYZ", "2026-11-02 2026-11-02T10:11:12"),
        ("Wed, 31 Dec 1969 23:59:59 +0000", "1969-12-31 1969-12-31T23:59:59"),
        ("Sat, 30 Feb 2026 10:11:12 +0100", None),
        ("Mon, 2 Nov 2026", None),
        ("Mon, 2 Foo 2026 10:11:12", None),
        ("Mon, 2 Nov 2026 25:00:00", None),
        ("2026-11-02T10:11:12Z", None),
        ("", None),
        ("nonsense", None),
    ],
)
def test_dates(value: str, expected: str | None) -> None:
    found = parse_date(value.encode())
    if expected is None:
        assert found is None
        return
    assert found is not None
    day, moment = expected.split()
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    assert found[0] == (datetime.date.fromisoformat(day) - epoch.date()).days
    assert epoch + datetime.timedelta(seconds=found[1]) == datetime.datetime.fromisoformat(moment + "+00:00")


@given(st.binary(max_size=60))
def test_never_raises(value: bytes) -> None:
    parse_date(value)
    parse_date(b"Mon, " + value)


@given(st.datetimes(datetime.datetime(1950, 1, 1), datetime.datetime(2200, 1, 1)), st.integers(-1439, 1439))  # noqa: DTZ001
def test_round_trip(moment: datetime.datetime, offset: int) -> None:
    moment = moment.replace(microsecond=0)
    sign, minutes = ("-", -offset) if offset < 0 else ("+", offset)
    text = moment.strftime("%d %b %Y %H:%M:%S ") + f"{sign}{minutes // 60:02}{minutes % 60:02}"
    found = parse_date(text.encode())
    seconds = int((moment - datetime.datetime(1970, 1, 1)).total_seconds())  # noqa: DTZ001
    assert found == (seconds // 86400, seconds - offset * 60)
