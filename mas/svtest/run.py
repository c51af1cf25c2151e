"""Runs a test file."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mas.config import Config
from mas.sieve.compiler import compile_script
from mas.sieve.definition import Registry
from mas.sieve.interpreter import Result
from mas.svtest.bench import Bench, Language, Outcome
from mas.svtest.commands import NAME, extension


def run_file(path: Path, language: Language) -> Sequence[Outcome]:
    """The outcomes of a file's tests, in order; what fails outside of a test is an outcome without a name.

    language: what a configuration offers. Raises ScriptError when the file does not compile, OSError when it cannot be read.
    """
    content = path.read_bytes()
    with tempfile.TemporaryDirectory(prefix="mas-svtest-") as place:

        def with_commands(config: Config) -> Registry:
            offered = language(config)
            known = [one for one in offered.extensions.values() if one.name != NAME]
            return Registry([*known, extension(bench)], implicit=offered.implicit)

        bench = Bench(path.parent.absolute(), Path(place), with_commands)
        with bench:
            # A test file is the administrator's: what limits the scripts that it tries does not limit the file.
            limits = replace(bench.filter.limits, max_errors=1000)
            program = compile_script(content, bench.filter.registry, limits, path.stem)
            run = bench.new_run(bench.filter.registry)
            steps = run.scripts([program])
            answer: object = None
            while True:
                try:
                    question = steps.send(answer)
                except StopIteration as end:
                    result: Result = end.value
                    break
                answer = bench.answer(question)
            if result.bug is not None:
                raise result.bug
            if result.error:
                bench.outcomes.append(Outcome("", result.error.line, str(result.error)))
            return tuple(bench.outcomes)
