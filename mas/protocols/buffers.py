"""Where the TLS buffers of connections lie in memory.

uvloop takes a buffer of 256 KB for each TLS connection, of which an idle one touches a page. Taken from the heap it lies on what the
handshake before it has used and left dirty: 41 KB an idle connection, where 24 KB are in use. So for the moment in which a connection is
made, glibc is told to map blocks of that size apart. Not for good: whatever else is large is faster from the heap (a join of 1 MB that is
mapped anew each time costs its page faults).

Without glibc nothing happens.
"""

from __future__ import annotations

import asyncio
import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_BUFFER = 192 * 1024
"""Blocks above are mapped apart, for a moment."""
_LARGE = 32 * 1024 * 1024
"""… and otherwise: glibc's own upper bound."""

_mallopt = getattr(ctypes.CDLL(None), "mallopt", None)


def map_apart() -> None:
    """Call right before a TLS connection is made on the running loop; things are as before when the loop next runs callbacks."""
    if _mallopt is not None:
        _mallopt(_M_MMAP_THRESHOLD, _BUFFER)
        asyncio.get_running_loop().call_soon(_restore)


def _restore() -> None:
    assert _mallopt is not None
    # A threshold once set is no longer adapted by glibc, nor is the one above which freed memory at the top goes back: set as well.
    _mallopt(_M_MMAP_THRESHOLD, _LARGE)
    _mallopt(_M_TRIM_THRESHOLD, 2 * _LARGE)
