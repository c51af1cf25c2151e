"""Programs kept by the octets of their scripts, for who compiles the same again: PUTSCRIPT, SETACTIVE, the first delivery, users with
the same script.

Promises: what comes out is what ``compile_script`` would give; scripts that do not compile are not kept; of large scripts one is compiled
at a time in a process, since it holds back all other Python code while it lasts. In memory alone: on disk there is only the script.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from hashlib import blake2b
from threading import Lock

from mas.sieve.compiler import compile_script
from mas.sieve.definition import Registry
from mas.sieve.limits import Limits
from mas.sieve.program import Program

LARGE = 8192
"""Octets of a script from which on compiling takes long enough to wait for a turn, in a thread."""
MAX_OCTETS = 2 << 20
OVERHEAD = 100
"""Octets that a script counts for besides its own: the smallest program takes as much as a hundred of them."""
_Key = tuple[bytes, Registry, Limits]
_turn = Lock()


def weight(octets: int) -> int:
    """What a script of so many octets counts for in a cache."""
    return octets + OVERHEAD


class Compiled:
    """What is kept, at most ``max_octets`` of scripts, as ``weight`` counts them (a program takes some fifty times as much)."""

    def __init__(self, max_octets: int = MAX_OCTETS) -> None:
        self.max_octets = max_octets
        self.octets = 0
        self._kept: OrderedDict[_Key, tuple[Program, int]] = OrderedDict()
        self._lock = Lock()

    def program(self, script: bytes, registry: Registry, limits: Limits, name: str = "") -> Program:
        """A script's program, compiled if need be. Raises ScriptError. For scripts of more than ``LARGE`` octets: blocks."""
        key = (blake2b(script, digest_size=16).digest(), registry, limits)
        found = self._find(key)
        if found is None and len(script) > LARGE:
            with _turn:
                found = self._find(key) or self._compile(script, key, name)
        elif found is None:
            found = self._compile(script, key, name)
        return found if found.name == name else replace(found, name=name)

    def _find(self, key: _Key) -> Program | None:
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            self._kept.move_to_end(key)
            return found[0]

    def _compile(self, script: bytes, key: _Key, name: str) -> Program:
        program = compile_script(script, key[1], key[2], name)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = program, weight(len(script))
                self.octets += weight(len(script))
            while self.octets > self.max_octets:
                _, (_, octets) = self._kept.popitem(last=False)
                self.octets -= octets
        return program


COMPILED = Compiled()
"""Of this process."""
