"""The project's own files agree with each other."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKS = ["requirements.lock", "requirements-dev.lock"]


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=!~; ]", requirement)[0].lower().replace("_", "-") for requirement in requirements}


def locked(lock: str) -> set[str]:
    return names(re.findall(r"^[A-Za-z0-9].*==[^ ]+", (ROOT / lock).read_text(), re.MULTILINE))


def test_what_is_imported_is_declared() -> None:
    declared = names(PROJECT["dependencies"]) | {"pydantic-core"}  # pydantic's, pinned by it
    distributions = packages_distributions()
    for path in (ROOT / "mas").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            imported = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                imported = [node.module or ""]
            for module in imported:
                top = module.partition(".")[0]
                if top != "mas" and top not in sys.stdlib_module_names:
                    assert names(distributions[top]) & declared, f"{path.name} imports {top}"


@pytest.mark.parametrize("lock", LOCKS)
def test_the_locks_hold_what_is_declared(lock: str) -> None:
    wanted = names(PROJECT["dependencies"])
    if "dev" in lock:
        wanted |= names(PROJECT["optional-dependencies"]["dev"])
    assert wanted <= locked(lock)


def test_the_development_lock_has_the_same_versions() -> None:
    pins = [set(re.findall(r"^[a-z0-9].*?==\S+", (ROOT / lock).read_text(), re.MULTILINE)) for lock in LOCKS]
    assert pins[0] <= pins[1]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_index_and_has_hashes(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert not re.search(r"https?:|file:|--index|--find-links|@", text)
    for entry in re.split(r"\n(?=[A-Za-z0-9])", text.strip()):
        assert "--hash=sha256:" in entry, entry
