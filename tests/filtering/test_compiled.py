"""What is kept of compiled scripts, and for how long."""

from __future__ import annotations

import threading

import pytest

from mas.filtering import compiled
from mas.filtering.compiled import LARGE, Compiled
from mas.sieve.compiler import compile_script
from mas.sieve.definition import Registry
from mas.sieve.extensions import default_registry
from mas.sieve.limits import Limits
from mas.sieve.program import Program
from mas.sieve.source import ScriptError

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
    kept = Compiled(max_octets=25)
    scripts = [b"keep;#%05d" % number for number in range(3)]
    for script in (*scripts[:2], scripts[0], scripts[2]):
        kept.program(script, REGISTRY, LIMITS)
    assert kept.octets <= 25
    kept.program(scripts[2], REGISTRY, LIMITS)
    assert len(compilations) == 3
    kept.program(b"keep;" * 6, REGISTRY, LIMITS)
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
