"""Programs of other people that e2e tests run: ``tests/install-servers`` gets them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))


def need(program: str) -> str:
    """The path of ``program``. The test fails without it, or is skipped where MAS_TEST_WITHOUT_SERVERS=1 says so."""
    path = shutil.which(program, path=_PATH)
    if path is None:
        _without(program)
    return path


def need_file(*paths: str | Path) -> Path:
    """The first of ``paths`` that is there; as ``need``."""
    found = [path for path in map(Path, paths) if path.exists()]
    if not found:
        _without(str(paths[0]))
    return found[0]


def _without(what: str) -> NoReturn:
    if os.environ.get("MAS_TEST_WITHOUT_SERVERS") == "1":
        pytest.skip(f"{what} is not installed, and MAS_TEST_WITHOUT_SERVERS=1")
    pytest.fail(f"{what} is not installed: run tests/install-servers, or skip such tests by MAS_TEST_WITHOUT_SERVERS=1")
