"""Where a worker's large blocks lie in memory.

uvloop takes a buffer of 256 KB for each TLS connection, of which an idle one touches a page, and Python as much for each read, cut
down at once. glibc puts such blocks on the heap as soon as one was freed, on what handshakes and logins before have used and left dirty:
90 KB an idle IMAP connection where 35 are in use. Mapped apart they cost what is touched. That the rare block of a response above this
size is mapped as well does not show in what a FETCH costs.
"""

from __future__ import annotations

import ctypes

_M_MMAP_THRESHOLD = -3
_BLOCK = 250 * 1024


def map_large_blocks() -> None:
    """Have blocks of the size of those buffers mapped apart, for good. Without glibc nothing happens."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _BLOCK)
