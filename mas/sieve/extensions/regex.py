"""regex: ``:regex``. [draft-murchison-sieve-regex-07]

By RE2, whose time is linear in the text whatever the pattern: POSIX extended syntax but for back-references, which no such engine has.
"""

from __future__ import annotations

from collections.abc import Callable

import re2

from mas.sieve.definition import Extension, TagRule
from mas.sieve.source import RunError

_MAX_PROGRAM_BYTES = 1 << 20


def _compile(pattern: str, fold: bool) -> re2._Regexp:
    options = re2.Options()
    options.max_mem = _MAX_PROGRAM_BYTES
    options.case_sensitive = not fold
    options.log_errors = False
    return re2.compile(pattern, options)


def searcher(pattern: str, fold: bool) -> Callable[[str], tuple[str, ...] | None]:
    """A function that searches a text: the whole match and its groups (empty for one that took no part), or None.

    Raises RunError for a pattern that is none ."""
    try:
        compiled = _compile(pattern, fold)
    except re2.error as error:
        raise RunError(f"regular expression {pattern!r}: {_reason(error)}") from None

    def search(text: str) -> tuple[str, ...] | None:
        match = compiled.search(text)
        return None if match is None else (match.group(0), *(group or "" for group in match.groups()))

    return search


def _reason(error: Exception) -> str:
    reason = error.args[0] if error.args else "not understood"
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)


REGEX = Extension("regex", match_types=(TagRule("regex", group="match-type", needs="regex"),), regex=searcher)
