"""2.4's names for 2.3's settings. Pure."""

from __future__ import annotations

from mas.dovecot_config.conversion import Remark
from mas.dovecot_config.tree import Block


def is_24(root: Block) -> bool:
    """Whether the tree says that it is one of 2.4."""
    return "dovecot_config_version" in root.settings


def to_23(root: Block, remarks: list[Remark]) -> Block:
    """The same tree in 2.3's words."""
    return root
