"""TCP ports for the servers that tests start: chosen by the kernel, and nobody else's until the tests end.

A port that is only looked up and let go may be another test's, or the near end of any connection, before the server binds it. So each
one stays bound here, without listening: connections to it are refused until the server is there, and nobody gets it unasked. A server
that binds with SO_REUSEADDR, as all of them do, gets it beside ours [Linux: both allow it, and neither listens].
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable

_reserved: list[socket.socket] = []


def free_ports(count: int) -> list[int]:
    """Ports on 127.0.0.1, all different, reserved for as long as this process lives."""
    return [_reserve(0) for _ in range(count)]


def free_base(offsets: Iterable[int], bases: Iterable[int]) -> int:
    """The first of ``bases`` from which all ``offsets`` are free; they are reserved. Raises OSError with none."""
    offsets = list(offsets)
    for base in bases:
        have = len(_reserved)
        with contextlib.suppress(OSError):
            for offset in offsets:
                _reserve(base + offset)
            return base
        while len(_reserved) > have:
            _reserved.pop().close()
    raise OSError("no free ports")


def _reserve(port: int) -> int:
    sock = socket.socket()
    try:
        sock.bind(("127.0.0.1", port))  # without SO_REUSEADDR: what another test has reserved is not free
    except OSError:
        sock.close()
        raise
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    _reserved.append(sock)
    chosen: int = sock.getsockname()[1]
    return chosen
