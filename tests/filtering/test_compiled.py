"""What is kept of compiled scripts, and for how long."""

from __future__ import annotations

import threading
import tracemalloc
from pathlib import Path

import pytest

from mas.config import Config
from mas.filtering import compiled
from mas.filtering import scripts as filtering_scripts
from mas.filtering.compiled import LARGE, Compiled
from mas.filtering.scripts import Scripts
from mas.sieve.compiler import compile_script
from mas.sieve.definition import Registry
from mas.sieve.extensions import default_registry
from mas.sieve.limits import Limits
from mas.sieve.program import Program
from mas.sieve.source import ScriptError
from mas.user import User

REGISTRY = default_registry()
LIMITS = Limits()


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the scripts that are compiled."""
    names: list[str] = []

    def counted(script: bytes, registry: Registry, limits: Limits, name: str) -> Program:
        names.append(name)
        return compile_script(script, registry, limits, name)

    monkeypatch.setattr(compiled, "compile_script", counted)
    return names


def test_the_same_octets_are_compiled_once(compilations: list[str]) -> None:
    kept = Compiled()
    first = kept.program(b"keep;", REGISTRY, LIMITS, "a")
    again = kept.program(b"keep;", REGISTRY, Limits(), "b")
    assert compilations == ["a"]
    assert (first.name, again.name) == ("a", "b")
    assert again.calls is first.calls


def test_another_language_or_other_limits_are_another_program(compilations: list[str]) -> None:
    kept = Compiled()
    kept.program(b'redirect "a@example.net";', REGISTRY, LIMITS)
    with pytest.raises(ScriptError, match="redirect"):
        kept.program(b'redirect "a@example.net";', REGISTRY, Limits(max_redirects=0))
    kept.program(b'redirect "a@example.net";', default_registry(), LIMITS)
    assert len(compilations) == 3


def test_what_does_not_compile_is_not_kept(compilations: list[str]) -> None:
    kept = Compiled()
    for _ in range(2):
        with pytest.raises(ScriptError):
            kept.program(b"nothing;", REGISTRY, LIMITS)
    assert len(compilations) == 2
    assert kept.octets == 0


def test_the_octets_of_what_is_kept_are_bounded(compilations: list[str]) -> None:
    kept = Compiled(max_octets=2 * compiled.weight(11) + 5)
    scripts = [b"keep;#%05d" % number for number in range(3)]
    for script in (*scripts[:2], scripts[0], scripts[2]):
        kept.program(script, REGISTRY, LIMITS)
    assert kept.octets <= kept.max_octets
    kept.program(scripts[2], REGISTRY, LIMITS)
    assert len(compilations) == 3
    kept.program(b"keep;" * 50, REGISTRY, LIMITS)
    assert kept.octets == 0


def test_threads_that_want_the_same_large_script_compile_it_once(compilations: list[str]) -> None:
    kept = Compiled()
    script = b"keep;" * (LARGE // 5 + 1)
    start = threading.Barrier(4)
    found: list[Program] = []

    def one() -> None:
        start.wait(60)
        found.append(kept.program(script, REGISTRY, LIMITS))

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 4
    assert len(compilations) == 1


def test_very_many_small_scripts_take_no_more_room_than_few_large_ones() -> None:
    """Anybody who may log in to ManageSieve can have scripts checked, as many as he likes."""
    kept = Compiled(max_octets=50_000)
    tracemalloc.start()
    try:
        for number in range(2000):
            kept.program(b"keep;#%d" % number, REGISTRY, LIMITS)
        small, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert small < 100 * kept.max_octets


def test_what_is_kept_for_files_is_bounded_by_octets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compilations: list[str]
) -> None:
    """A script of 1 MB, and all that it includes, takes hundreds of megabytes: users have as many as they like."""
    monkeypatch.setattr(filtering_scripts, "MAX_OCTETS", 20_000)
    monkeypatch.setattr(filtering_scripts, "COMPILED", Compiled(max_octets=0))
    scripts = Scripts(Config(), REGISTRY, REGISTRY, LIMITS)
    user = User("kim@example.net", tmp_path, "maildir:~/Maildir")
    (tmp_path / "sieve").mkdir()
    names = [f"part{number}" for number in range(10)]
    for name in names:
        (tmp_path / "sieve" / f"{name}.sieve").write_bytes(b"keep;" + b"#" * 6000)
    for name in names:
        assert scripts.included(user, name, True)
    assert scripts.included(user, names[-1], True)
    assert compilations == names
    assert scripts.included(user, names[0], True)
    assert compilations == [*names, names[0]]
