"""What the supervisor keeps of its workers: generations, each a configuration with its sockets and TLS contexts, and the children in them.

Must not know: what is done with them.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass, field

from mas.config import Config
from mas.protocols import tls
from mas.server.sockets import Opened


@dataclass(slots=True, eq=False)
class Generation:
    """Workers of one configuration. ``failures`` counts early deaths in a row by place."""

    config: Config
    opened: list[Opened]
    context: ssl.SSLContext | None
    stamps: tuple[tls.Stamp, ...]
    places: int
    started: float
    keyed: float
    """When the TLS context was made, and with it the keys of session tickets (monotonic)."""
    failures: dict[int, int] = field(default_factory=dict)
    due: dict[int, float] = field(default_factory=dict)
    """Places to fill, and when (monotonic)."""
    certificates: tuple[tls.Expiry, ...] = ()


@dataclass(slots=True, eq=False)
class Worker:
    """One child. ``place`` is 0 to N-1 within its generation; ``number`` is never used twice."""

    pid: int
    number: int
    place: int
    generation: Generation
    control: socket.socket
    born: float
    beat: float
    ready: bool = False
    retired: bool = False
    connections: int = 0
    aborted: float = 0.0
    killed: bool = False
    """By us, on purpose."""
    told: list[int] = field(default_factory=list)
    """Dead workers whose sessions this one was asked to forget: it may die before it has."""
