"""The pages of ``metrics.listen``: ``/metrics`` for Prometheus and ``/healthz`` for whoever decides where connections go.

Any worker answers for all of them, as their counts are in memory that they share. What is not counted but looked up (sessions, queues)
is looked up when somebody asks.

``/healthz`` is 200 when every worker's heart beats and every account database has answered lately; 503, with a reason a line, when not, and
while the server stops. The database is asked at most every few seconds, however many ask here.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping

import mas
from mas.auth.service import Accounts
from mas.metrics import cells, health, text
from mas.metrics.text import Sampled
from mas.outgoing.queue import Queue
from mas.protocols.http.session import Page, Pages
from mas.server.worker import Birth
from mas.sessions import Registry

LATELY = 10.0
"""Seconds for which an answer of a database stands."""


class Monitoring:
    """What one worker needs to answer for the host."""

    def __init__(self, birth: Birth, registry: Registry, accounts: Accounts, queues: Mapping[str, Queue]) -> None:
        self._birth = birth
        self._registry = registry
        self._accounts = accounts
        self._queues = queues
        self._born = time.monotonic()
        self._asking = asyncio.Lock()
        self._asked = float("-inf")
        self._unreachable: list[str] = []

    @property
    def pages(self) -> Pages:
        """By path."""
        return {"/metrics": self.metrics, "/healthz": self.healthz}

    async def metrics(self, _: bool) -> Page:
        """Everything, in Prometheus's text format."""
        waiting = await asyncio.to_thread(lambda: {name: float(len(queue)) for name, queue in self._queues.items()})
        found = [
            Sampled("mas_info", "The version that runs.", "version", {mas.__version__: 1}),
            Sampled("mas_workers", "Workers whose heart beats.", "", {"": self._birth.places - len(self._silent())}),
            Sampled("mas_sessions", "Sessions that have logged in.", "protocol", self._sessions()),
            Sampled("mas_queue_messages", "Messages on disk that wait to be sent.", "queue", waiting),
            Sampled(
                "mas_certificate_expiry_timestamp_seconds",
                "When a certificate that is served ends.",
                "file",
                dict(self._birth.certificates),
            ),
            Sampled("mas_open_files", "Open files and sockets of the worker that answers.", "", {"": _open_files()}),
        ]
        return Page(200, text.page(cells.METRICS, cells.totals()) + text.sampled_page(found), text.CONTENT_TYPE)

    async def healthz(self, draining: bool) -> Page:
        """Whether mail can be read and delivered now."""
        if draining:
            return Page(503, "the server stops\n")
        reasons = [f"worker {place + 1} of {self._birth.places} does not answer" for place in self._silent()]
        reasons += [f"database does not answer: {name}" for name in await self._databases()]
        return Page(503, "\n".join(reasons) + "\n") if reasons else Page(200, "ok\n")

    def _silent(self) -> list[int]:
        birth = self._birth
        return health.silent(cells.rows(), birth.generation, birth.places, self._born, time.monotonic())

    def _sessions(self) -> dict[str, float]:
        found = dict.fromkeys(("imap", "sieve"), 0.0)
        return found | {name: float(count) for name, count in self._registry.counts().items() if name in found}

    async def _databases(self) -> list[str]:
        async with self._asking:  # the next one who asks finds the answer
            if time.monotonic() - self._asked > LATELY / 5:
                self._unreachable = await self._accounts.unreachable(LATELY)
                self._asked = time.monotonic()
        return self._unreachable


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))
