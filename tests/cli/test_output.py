"""What commands print."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mas.cli import output

ITEMS: list[dict[str, Any]] = [
    {"name": "Sent", "use": "\\Sent", "messages": 12},
    {"name": "a\x1b[31m\nb\\c", "use": None, "messages": 3},
]


def test_columns(capsys: pytest.CaptureFixture[str]) -> None:
    """Special uses are shown as they are; what could move the cursor is not."""
    output.rows(ITEMS, as_json=False)
    head, sent, hostile = capsys.readouterr().out.splitlines()
    assert head.split() == ["NAME", "USE", "MESSAGES"]
    assert sent.split() == ["Sent", "\\Sent", "12"]
    assert hostile.split() == ["a\\x1b[31m\\x0ab\\\\c", "3"]
    assert head.index("MESSAGES") == sent.index("12") == hostile.index("  3") + 2


def test_nothing_is_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    output.rows([], as_json=False)
    assert capsys.readouterr().out == ""


def test_json_is_exact(capsys: pytest.CaptureFixture[str]) -> None:
    output.rows(ITEMS, as_json=True)
    assert json.loads(capsys.readouterr().out) == ITEMS


def test_one_thing(capsys: pytest.CaptureFixture[str]) -> None:
    output.fields({"name": "Sent", "special-use": "\\Sent", "nothing": None}, as_json=False)
    assert capsys.readouterr().out.splitlines() == ["name         Sent", "special-use  \\Sent", "nothing"]
