"""What glibc does with memory that is freed."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

#: The parameters' numbers in glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8

#: Bytes from which a block is returned to the system when it is freed: pictures are larger, what a search computes with
#: is smaller.
MIN_RETURNED_BLOCK = 1 << 20

#: Bytes that may stay free at the end of a heap. With glibc's 128 KiB, which is fixed once the other threshold is set, a
#: search had 11,000 page faults: its arrays went back to the system and came again, a sixth of its processor time. 4 MiB
#: leave 3,400 faults, 8 MiB 340, 16 MiB as many.
MAX_FREE_AT_END = 8 << 20


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
