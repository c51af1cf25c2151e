"""Prometheus's text format, version 0.0.4.

    metric  = "# HELP" SP name SP text LF "# TYPE" SP name SP type LF *sample
    sample  = name ["{" label "=" quoted *("," label "=" quoted) "}"] SP value LF

Pure: numbers in, octets out. Histograms of a label's value that never came are left out; counters are there from the start.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mas.metrics.cells import BUCKETS, Counter, Gauge, Histogram, Mark, Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_NANO = 1_000_000_000
_TYPES = {Counter: "counter", Gauge: "gauge", Histogram: "histogram"}


@dataclass(frozen=True, slots=True)
class Sampled:
    """A gauge that is looked up when somebody asks. ``values``: of its one label (empty name: without a label)."""

    name: str
    help: str
    label: str
    values: Mapping[str, float]


def page(metrics: Iterable[Metric[Any]], cells: Sequence[int]) -> str:
    """Of the metrics whose sums are ``cells``."""
    lines: list[str] = []
    for metric in metrics:
        if metric.kind is Mark:
            continue
        lines += _head(metric.name, metric.help, _TYPES[metric.kind])
        for values, child in metric.children.items():
            labels = [f'{label}="{_escaped(value)}"' for label, value in zip(metric.labels, values, strict=True)]
            if isinstance(child, Histogram):
                lines += _histogram(metric.name, labels, cells[child.at : child.at + Histogram.CELLS])
            else:
                lines.append(f"{metric.name}{_braces(labels)} {cells[child.at]}")
    return "\n".join(lines) + "\n"


def sampled_page(families: Iterable[Sampled]) -> str:
    """Of gauges that were looked up now."""
    lines: list[str] = []
    for family in families:
        lines += _head(family.name, family.help, "gauge")
        for value, number in family.values.items():
            labels = [f'{family.label}="{_escaped(value)}"'] if family.label else []
            lines.append(f"{family.name}{_braces(labels)} {number:.15g}")
    return "\n".join(lines) + "\n"


def _histogram(name: str, labels: list[str], cells: Sequence[int]) -> list[str]:
    *counts, nanoseconds = cells
    if labels and not any(counts):
        return []
    lines, so_far = [], 0
    for bound, count in zip([*map(_number, BUCKETS), "+Inf"], counts, strict=True):
        so_far += count
        bucket = _braces([*labels, f'le="{bound}"'])
        lines.append(f"{name}_bucket{bucket} {so_far}")
    return [*lines, f"{name}_sum{_braces(labels)} {nanoseconds / _NANO:.9f}", f"{name}_count{_braces(labels)} {so_far}"]


def _head(name: str, help_: str, kind: str) -> list[str]:
    text = help_.replace("\\", r"\\").replace("\n", r"\n")
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]


def _number(value: float) -> str:
    return f"{value:g}"


def _braces(labels: list[str]) -> str:
    return "{" + ",".join(labels) + "}" if labels else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
