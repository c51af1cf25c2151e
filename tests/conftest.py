"""How every test runs: on the product's loop, and with made-up input as ``make check`` (or ``make fuzz``, which asks for more) wants it.

No test depends on the machine's speed, so none has a deadline.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping

import pytest
import structlog
import uvloop
from hypothesis import HealthCheck, settings

settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("few", settings.get_profile("default"), max_examples=25)
settings.register_profile("fuzz", settings.get_profile("default"), max_examples=5000)
settings.load_profile("default")


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """See pytest-asyncio."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(autouse=True)
def log_of_this_test_alone() -> Iterator[None]:
    """What one test sets up (every command of ``mas`` that it runs in this process does) is not the next one's log."""
    yield
    if structlog.is_configured():
        structlog.reset_defaults()
        logging.captureWarnings(False)
        root = logging.getLogger()
        root.handlers[:] = [handler for handler in root.handlers if not type(handler).__module__.startswith("mas.")]
        root.setLevel(logging.WARNING)
