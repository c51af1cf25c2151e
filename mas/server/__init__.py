"""The server: one supervisor, its workers, and what a worker is composed of."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mas.errors import ConfigError

if TYPE_CHECKING:
    from mas.config import Config
    from mas.server.worker import Compose


def serve(config_path: Path) -> int:
    """Serve until SIGTERM or SIGINT, in the foreground; the exit status: 0, 1 (workers cannot start), 78 (the configuration is wrong)."""
    # Here, before any fork, so that all workers share the memory of the code; not above, where a test of the processes would pay for it.
    from mas.config import load
    from mas.server.composition import compose
    from mas.server.preload import preload

    return run(lambda: preload(load(config_path)), compose)


def run(load_config: Callable[[], Config], compose: Compose, **settings: Any) -> int:
    """The same for any configuration and composition; ``settings`` are Supervisor's."""
    from mas.server.supervisor import Supervisor

    try:
        return Supervisor(load_config, compose, **settings).run()
    except ConfigError as error:
        for problem in error.problems:
            sys.stderr.write(f"mas: {problem}\n")
        return os.EX_CONFIG
