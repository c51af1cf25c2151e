"""Programs of other people that e2e tests run: ``tests/install-servers`` gets them."""

from __future__ import annotations

import os
import shutil

import pytest

_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))


def need(program: str) -> str:
    """The path of ``program``. The test fails without it, or is skipped where MAS_TEST_WITHOUT_SERVERS=1 says so."""
    if path := shutil.which(program, path=_PATH):
        return path
    if os.environ.get("MAS_TEST_WITHOUT_SERVERS") == "1":
        pytest.skip(f"{program} is not installed, and MAS_TEST_WITHOUT_SERVERS=1")
    pytest.fail(
        f"{program} is not installed: run tests/install-servers, or skip such tests by MAS_TEST_WITHOUT_SERVERS=1"
    )
