"""How much of a message is looked at. Beyond a limit the rest is opaque octets: still stored, served and counted, never an error."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MimeLimits:
    """Keys of the configuration, section ``mail``: ``mime_max_depth``, ``mime_max_parts``, ``max_header``, ``mime_max_parameters``,
    ``mime_max_addresses``.

    max_depth: how deep multiparts and messages may lie in each other. Deeper ones are not looked into.
    max_parts: parts of one message. The last one then reaches to the end of the message.
    max_header_size: octets of one header block that are read for fields. The header itself is served whole.
    max_parameters: parameters of one Content-Type or Content-Disposition field.
    max_addresses: addresses of one header field that come into ENVELOPE and the search texts.
    """

    max_depth: int = 100
    max_parts: int = 10_000
    max_header_size: int = 262_144
    max_parameters: int = 1_000
    max_addresses: int = 10_000

    def __post_init__(self) -> None:
        if not 1 <= self.max_depth <= DEEPEST:
            raise ValueError(f"mime_max_depth must be from 1 to {DEEPEST}")


DEEPEST = 200
"""The structure of a message is written by recursion: this bounds the stack."""
