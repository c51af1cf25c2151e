"""Every judged login is counted once, by how it ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mas.errors import AuthFailed, AuthUnavailable, UserDisabled
from mas.metrics.table import AUTH


@contextmanager
def counted(service: str) -> Iterator[None]:
    """Around the judgement of one login over ``service``; one that nobody waits for any more is not counted."""
    try:
        yield
    except AuthFailed:
        AUTH[service, "failed"].add()
        raise
    except UserDisabled:
        AUTH[service, "disabled"].add()
        raise
    except AuthUnavailable:
        AUTH[service, "unavailable"].add()
        raise
    else:
        AUTH[service, "ok"].add()
