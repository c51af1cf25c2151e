"""``sieve.user_log``: where a user finds why a script failed. Blocks: call it in a thread."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

_SIZE = 10_000


def write(path: Path, script: str, problems: Sequence[str]) -> None:
    """Append a line for each problem; a long log becomes ``.0``. A place that takes no file is no reason to refuse mail."""
    stamp = time.strftime("%Y-%m-%d %H:%M:%S %z")
    with contextlib.suppress(OSError):
        if path.exists() and path.stat().st_size > _SIZE:
            path.rename(path.with_name(path.name + ".0"))
        with path.open("a", encoding="utf-8", errors="replace") as file:
            file.writelines(f"{stamp} {script}: {problem}\n" for problem in problems)
