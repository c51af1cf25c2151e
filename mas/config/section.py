"""What every section of the configuration is: frozen, strict, and without unknown keys."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A table of the file. Defaults are written as an operator writes them and parsed like the file's values."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        validate_default=True,
        populate_by_name=True,
        hide_input_in_errors=True,
    )


def written(value: object, **constraints: Any) -> Any:
    """A key's default as it is written in the file (``"64K"``), to be parsed like any value; its type is the parsed one."""
    return Field(default=value, **constraints)
