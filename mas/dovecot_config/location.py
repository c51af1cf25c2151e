"""Whether MAS's store takes a mail location: its own parser says so. None is carried over that mail could not be opened at."""

from __future__ import annotations

from pathlib import Path

from mas.errors import StorageUnavailable
from mas.storage.location import parse_location


def judge(location: str) -> None:
    """Raises ValueError with the reason. ``location`` is a template of MAS."""
    try:
        parse_location(location.replace("%h", "/home/user"), Path("/home/user"))
    except StorageUnavailable as error:
        raise ValueError(f"MAS's store: {str(error).rpartition(': ')[2]}; without it mail lies in ~/Maildir") from None
