"""Limits the decoded pixels in memory, over all requests.

A small file may be a large picture: 100 kB of PNG can unfold to 4096 by 4096 pixels, and every running request may
bring one. So a share of the budget is taken before a picture is decoded.
"""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import numpy as np

from lookalike.domain.picture import Pixels
from lookalike.limits.call import Job
from lookalike.limits.fair_share import FairShare

#: Seconds of waiting after which garbage is collected: a cycle of references may hold pixels.
_COLLECT_AFTER_SECONDS = 5.0


def allocate(height: int, width: int) -> Pixels:
    """Return an uninitialised array for a picture: uint8 of shape (height, width, 3)."""
    return np.empty((height, width, 3), np.uint8)


class PixelBudget:
    """A budget of pixels, shared fairly by tenants. Safe to call from threads.

    A share lasts as long as the array it was taken for, or any view of it: it returns when the last one is garbage, also
    after an error.

    Parameters
    ----------
    pixels : limit of all arrays together. A larger picture passes when it is the only one.
    max_per_tenant : limit of one tenant's arrays. Default: all.
    reserve : further pixels for small pictures, so that these never wait for large ones; a tenant gets three quarters.
    max_small : pixels of the largest small picture.
    """

    def __init__(self, pixels: int, *, max_per_tenant: int | None = None, reserve: int = 0, max_small: int = 0) -> None:
        self._large = FairShare(pixels, max_per_key=max_per_tenant)
        self._reserve = FairShare(reserve, max_per_key=reserve * 3 // 4)
        self._max_small = max_small

    def allocate(self, height: int, width: int, tenant: str = "", check: Callable[[], None] = lambda: None) -> Pixels:
        """Return :func:`allocate`'s array when the budget allows. ``check`` is called while waiting; it may raise."""
        size = height * width
        share = self._reserve if size <= self._max_small else self._large
        turn = share.turn(tenant, size, _collecting_garbage(check))
        turn.take()
        pixels = allocate(height, width)
        weakref.finalize(pixels, turn.end).atexit = False
        return pixels

    @contextmanager
    def decoding(self, job: Job) -> Iterator[Callable[[int, int], Pixels]]:
        """Yield the function that allocates the array of one picture, to be called before it is decoded.

        It takes a share of the budget first and a processor second. The reverse order could deadlock: a job with a
        processor would wait for a share whose holder waits for a processor.
        """
        with ExitStack() as turn:

            def allocate(height: int, width: int) -> Pixels:
                pixels = self.allocate(height, width, job.tenant, job.call.check)
                turn.enter_context(job.turn())
                return pixels

            yield allocate


def _collecting_garbage(check: Callable[[], None]) -> Callable[[], None]:
    """Return ``check`` with occasional garbage collection: pixels held by a cycle must not block others for ever."""
    collected = time.monotonic()

    def both() -> None:
        nonlocal collected
        check()
        if time.monotonic() - collected > _COLLECT_AFTER_SECONDS:
            gc.collect()
            collected = time.monotonic()

    return both
