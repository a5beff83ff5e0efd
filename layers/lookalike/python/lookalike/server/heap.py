"""What glibc does with memory that is freed."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

#: The parameters' numbers in glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8

#: Bytes from which a block is returned to the system when it is freed. A large picture has more; what a search computes
#: with has less, and would be faulted in again for the next search.
MIN_RETURNED_BLOCK = 4 << 20

#: Bytes that may stay free at the end of a heap. With blocks from 1 MiB on returned, and glibc's 128 KiB here, which is
#: fixed once the other threshold is set, a search had 11,000 page faults, a tenth of its processor time. 8 MiB left 340
#: of them, and 4,000 of a search for a hard copy; with blocks from 4 MiB on and 16 MiB these are 600, and the process is
#: 10 MB larger.
MAX_FREE_AT_END = 16 << 20


def keep_small_blocks(heaps: int) -> None:
    """Return large blocks to the system when they are freed, and keep small ones for the next request, in so many heaps.

    By default, glibc keeps blocks of up to 32 MB once some were freed, and has eight heaps a core. Other C libraries are
    left as they are. Call it before threads start.
    """
    if sys.platform != "linux":
        return
    with suppress(AttributeError):  # other C libraries have no mallopt
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, MIN_RETURNED_BLOCK)
        mallopt(_M_TRIM_THRESHOLD, MAX_FREE_AT_END)
        mallopt(_M_ARENA_MAX, heaps)
