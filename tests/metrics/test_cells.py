"""Counts of several processes, their deaths, and the sums."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pytest

from mas.metrics import cells, health, table
from tests.support.forks import in_a_child


@pytest.fixture(autouse=True)
def block() -> Iterator[None]:
    """The supervisor's side; afterwards this process counts for itself again."""
    cells.share()
    yield
    cells._block.clear()
    cells._row = cells._alone


def in_worker(number: int, work: Callable[[], None]) -> int:
    """Run ``work`` as a worker; its exit status."""
    cells.claim(number)
    pid = os.fork()
    if pid == 0:
        try:
            cells.use(number)
            work()
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    cells.release(number)
    return status


SAVED = table.DELIVERIES["saved"]
OPEN = table.CONNECTIONS["imap"]
FETCH = table.IMAP_COMMAND_SECONDS["FETCH"]


@in_a_child
def test_what_the_dead_counted_stays_and_what_they_held_does_not() -> None:
    cells.share()

    def work() -> None:
        SAVED.add(3)
        OPEN.add(2)
        os.kill(os.getpid(), signal.SIGKILL)

    assert in_worker(1, work) == -signal.SIGKILL
    assert cells.totals()[SAVED.at] == 3
    assert cells.totals()[OPEN.at] == 0
    assert in_worker(2, SAVED.add) == 0
    assert cells.totals()[SAVED.at] == 4, "the next worker counts on in the same row"
    assert sum(any(row) for row in cells.rows()) == 1


def test_workers_that_live_at_once_have_their_own_rows() -> None:
    cells.claim(1)
    cells.claim(2)
    cells.use(1)
    SAVED.add()
    cells.use(2)
    SAVED.add(10)
    assert sorted(row[SAVED.at] for row in cells.rows() if row[SAVED.at]) == [1, 10]
    assert cells.totals()[SAVED.at] == 11


def test_more_workers_than_rows_share_the_last_one() -> None:
    for number in range(cells.ROWS + 5):
        cells.claim(number)
    cells.use(cells.ROWS + 4)
    OPEN.add(1)
    cells.release(cells.ROWS + 3)
    assert cells.totals()[OPEN.at] == 1, "one of those that share it still lives"


def test_a_histogram_counts_in_the_first_bucket_that_holds_it() -> None:
    for seconds in (0.0, 0.0005, 0.0006, 30.0, 31.0):
        FETCH.observe(seconds)
    found = cells.totals()[FETCH.at : FETCH.at + FETCH.CELLS]
    assert found[:2] == [2, 1]
    assert found[len(cells.BUCKETS) - 1 : len(cells.BUCKETS) + 1] == [1, 1]
    assert found[-1] == 61_001_100_000


@pytest.mark.parametrize(
    ("metric", "values", "child"),
    [
        (table.IMAP_COMMAND_SECONDS, "XYZZY", "other"),
        (table.SIEVE_COMMAND_SECONDS, "noop\r\n", "other"),
        (table.AUTH, ("kim@example.net", "ok"), ("other", "ok")),
    ],
)
def test_what_a_peer_made_up_is_other(metric: cells.Metric[cells.Counter], values: str, child: str) -> None:
    assert metric[values] is metric[child]


def test_a_value_that_nobody_listed_is_a_mistake_where_there_is_no_other() -> None:
    with pytest.raises(KeyError):
        table.DELIVERIES["lost"]


def test_no_two_children_share_a_cell() -> None:
    taken = [
        at
        for metric in cells.METRICS
        for child in metric.children.values()
        for at in range(child.at, child.at + getattr(child, "CELLS", 1))
    ]
    assert len(taken) == len(set(taken)) == len(cells.totals())


def test_a_worker_is_silent_when_its_heart_has_not_beaten_for_a_while() -> None:
    cells.claim(1)
    cells.use(1)
    health.beat(0, generation=7, now=100.0)
    assert health.silent(cells.rows(), 7, 2, born=95.0, now=104.9) == []
    assert health.silent(cells.rows(), 7, 2, born=95.0, now=105.1) == [1], "it never came"
    assert health.silent(cells.rows(), 7, 1, born=95.0, now=110.1) == [0]
    health.beat(0, generation=8, now=111.0)
    assert health.silent(cells.rows(), 7, 1, born=95.0, now=111.0) == [0], "another generation's"


@in_a_child
def test_a_dead_workers_heartbeat_holds_until_it_is_old() -> None:
    cells.share()
    in_worker(1, lambda: health.beat(0, generation=7, now=100.0))
    assert health.silent(cells.rows(), 7, 1, born=1.0, now=109.0) == []
    assert health.silent(cells.rows(), 7, 1, born=1.0, now=111.0) == [0]
