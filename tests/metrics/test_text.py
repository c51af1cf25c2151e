"""The page, read by Prometheus's own parser; the table of metrics, and what refers to it."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mas.metrics import cells, table, text
from mas.metrics.text import Sampled
from mas.protocols.imap import commands
from mas.protocols.imap.handlers import HANDLERS

ROOT = Path(__file__).parent.parent.parent
SAMPLED = (
    "mas_info",
    "mas_workers",
    "mas_sessions",
    "mas_queue_messages",
    "mas_certificate_expiry_timestamp_seconds",
    "mas_open_files",
)


def families(page: str) -> dict[str, Any]:
    return {family.name: family for family in text_string_to_metric_families(page)}


def page(counts: dict[int, int]) -> str:
    return text.page(cells.METRICS, [counts.get(at, 0) for at in range(cells._size)])


def test_prometheus_reads_counters_and_histograms() -> None:
    fetch = table.IMAP_COMMAND_SECONDS["FETCH"].at
    found = families(
        page({table.DELIVERIES["saved"].at: 12, fetch: 1, fetch + 2: 2, fetch + 15: 1, fetch + 16: 31_500_000_000})
    )
    saved = [sample for sample in found["mas_deliveries"].samples if sample.labels == {"result": "saved"}]
    assert [sample.value for sample in saved] == [12]
    samples = found["mas_imap_command_seconds"].samples
    assert {sample.labels["command"] for sample in samples} == {"FETCH"}, "commands that never came are left out"
    buckets = {sample.labels["le"]: sample.value for sample in samples if sample.name.endswith("_bucket")}
    assert (buckets["0.0005"], buckets["0.001"], buckets["0.0025"], buckets["30"], buckets["+Inf"]) == (1, 1, 3, 3, 4)
    assert {sample.name: sample.value for sample in samples if "le" not in sample.labels} == {
        "mas_imap_command_seconds_sum": 31.5,
        "mas_imap_command_seconds_count": 4,
    }


def test_every_metric_has_a_name_of_the_habit_and_a_help_text() -> None:
    for family in families(page({})).values():
        assert re.fullmatch(r"mas_[a-z_]+", family.name)
        assert len(family.documentation) > 10
        if family.type == "histogram":
            assert family.name.endswith("_seconds")
    for metric in cells.METRICS:
        if metric.kind is cells.Counter:
            assert metric.name.endswith("_total"), metric.name
    # The family of a counter has its name without _total: a gauge of that name would be the same family to OpenMetrics.
    names = [metric.name.removesuffix("_total") for metric in cells.METRICS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("value", ['a"b', "a\\b", "a\nb", "/etc/ssl/ä.pem", "", "\\n"])
def test_any_text_is_a_label(value: str) -> None:
    found = families(text.sampled_page([Sampled("mas_x", 'line\nand \\ "quote"', "file", {value: 1.5})]))
    (sample,) = found["mas_x"].samples
    assert (sample.labels["file"], sample.value) == (value, 1.5)


def test_a_time_of_the_epoch_keeps_its_seconds() -> None:
    (sample,) = families(text.sampled_page([Sampled("mas_x", "help", "", {"": 1795392000.0})]))["mas_x"].samples
    assert (sample.value, sample.labels) == (1795392000.0, {})


def test_every_imap_command_has_its_label() -> None:
    names = {kind.__name__.upper() for kind in HANDLERS} - {"IDLE"}
    assert names <= set(table.IMAP_COMMANDS), "add it to mas.metrics.table.IMAP_COMMANDS"
    assert commands.Idle in HANDLERS


def known() -> set[str]:
    """Every name that a query may use."""
    names = set(SAMPLED)
    for metric in cells.METRICS:
        if metric.kind is cells.Histogram:
            names |= {metric.name + ending for ending in ("_bucket", "_sum", "_count")}
        elif metric.kind is not cells.Mark:
            names.add(metric.name)
    return names


def test_the_dashboard_asks_only_for_what_there_is() -> None:
    dashboard = json.loads((ROOT / "conf" / "grafana-dashboard.json").read_text())
    targets = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    assert len(targets) > 10
    asked = set(itertools.chain.from_iterable(re.findall(r"\bmas_[a-z_]+", expression) for expression in targets))
    assert asked <= known(), asked - known()
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_the_readme_lists_every_metric() -> None:
    listed = set(re.findall(r"^\| `(mas_[a-z_]+)", (ROOT / "README.md").read_text(), flags=re.MULTILINE))
    assert listed == {metric.name for metric in cells.METRICS if metric.kind is not cells.Mark} | set(SAMPLED)
