"""Which Dovecot is installed. 2.4 has other settings than 2.3 and cannot read its files: tests have configurations in both languages."""

from __future__ import annotations

import functools
import re
import subprocess

from tests.support.servers import need


@functools.cache
def dovecot_version() -> tuple[int, int, int]:
    """As ``(2, 4, 1)``. Fails (or skips) as ``need`` does where there is none."""
    said = subprocess.run([need("dovecot"), "--version"], capture_output=True, text=True, timeout=60, check=True).stdout
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", said)
    assert found, said
    return int(found[1]), int(found[2]), int(found[3])


def is_24() -> bool:
    """Whether it is 2.4 or newer."""
    return dovecot_version() >= (2, 4, 0)


def configuration(old: str, new: str) -> str:
    """The text for the installed version: ``old`` for 2.3; ``new`` for 2.4, below the two lines that its files begin with."""
    if not is_24():
        return old
    version = ".".join(map(str, dovecot_version()))
    return f"dovecot_config_version = {version}\ndovecot_storage_version = {version}\n{new}"
