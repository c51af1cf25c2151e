"""What the operator's file says about scripts, as the interpreter's limits: one place, so that what ManageSieve takes also runs."""

from __future__ import annotations

from collections.abc import Sequence

from mas.config import Config
from mas.sieve.limits import Limits


def limits_of(config: Config) -> Limits:
    """The limits for scripts of this host."""
    settings = config.sieve
    return Limits(
        max_errors=config.managesieve.max_compile_errors,
        max_script_size=settings.max_script_size,
        max_script_tokens=settings.max_script_tokens,
        max_script_commands=settings.max_script_commands,
        max_actions=settings.max_actions,
        max_redirects=settings.max_redirects,
        cpu_seconds=settings.max_cpu_time,
        vacation_min_seconds=int(settings.vacation_min_period),
        vacation_max_seconds=int(settings.vacation_max_period),
        vacation_default_seconds=int(settings.vacation_default_period),
        duplicate_default_seconds=int(settings.duplicate_default_period),
        duplicate_max_seconds=int(settings.duplicate_max_period),
        include_depth=settings.include_max_depth,
        max_includes=settings.include_max_includes,
        max_variables=settings.variables_max_count,
        max_variable_size=settings.variables_max_size,
        max_header_size=settings.editheader_max_size,
        fields_not_added=_names(settings.editheader_protected, settings.editheader_forbid_add),
        fields_not_deleted=_names(settings.editheader_protected, settings.editheader_forbid_delete),
    )


def _names(*lists: Sequence[str]) -> frozenset[str]:
    """Names of header fields; Subject cannot be among them [RFC5293 6]."""
    return frozenset(name.lower() for names in lists for name in names) - {"subject"}
