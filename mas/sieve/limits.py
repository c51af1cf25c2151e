"""What a script may use. Read at run time, so that a caller may change them between runs; 0 means no limit where the text says so."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """max_script_tokens: words, strings and signs of one script; max_script_commands: its commands and tests.

    max_actions: 0 = none; max_redirects: 0 = redirect is refused; cpu_seconds: 0 = none. fields_not_added, fields_not_deleted:
    names of header fields, in lower case, that editheader leaves alone.
    """

    max_script_size: int = 1 << 20
    max_errors: int = 5
    max_script_tokens: int = 250_000
    max_script_commands: int = 20_000
    max_string: int = 1 << 20
    max_nesting: int = 32
    max_actions: int = 32
    max_redirects: int = 4
    cpu_seconds: float = 30.0
    max_steps: int = 1_000_000
    max_variable_size: int = 4096
    max_variables: int = 255
    max_match_values: int = 32
    include_depth: int = 10
    max_includes: int = 255
    max_foreverypart_depth: int = 4
    max_header_size: int = 2048
    fields_not_added: frozenset[str] = frozenset()
    fields_not_deleted: frozenset[str] = frozenset()
    duplicate_default_seconds: int = 12 * 3600
    duplicate_max_seconds: int = 2 * 86400
    vacation_min_seconds: int = 86400
    vacation_max_seconds: int = 0
    vacation_default_seconds: int = 7 * 86400
