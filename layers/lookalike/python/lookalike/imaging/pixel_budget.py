"""How many pixels may be in memory at once, whoever decodes them.

A small file may be a large picture: 100 kB of PNG can unfold to 4096 by 4096 pixels, and every request that is
worked on may bring one. So the room for pixels is asked for before a picture is decoded.
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

#: Seconds of waiting after which pixels are looked for that nothing but a cycle of references keeps.
_PATIENCE = 5.0


def blank(height: int, width: int) -> Pixels:
    """Room for a picture, not filled yet: uint8 of shape (height, width, 3)."""
    return np.empty((height, width, 3), np.uint8)


class PixelBudget:
    """Room for so many pixels, shared fairly by tenants. Safe to call from threads.

    A share lasts as long as the array it was taken for, or any view of it: whoever lets the picture go gives it
    back, be it after an error.

    Parameters
    ----------
    pixels : what all arrays together may have. A larger picture passes when there is no other.
    most : what those of one tenant may have. Default: all.
    reserve : further pixels for small pictures, which so never wait for large ones; a tenant may have three quarters.
    small : pixels of the largest picture that is small.
    """

    def __init__(self, pixels: int, *, most: int | None = None, reserve: int = 0, small: int = 0) -> None:
        self._large = FairShare(pixels, max_per_key=most)
        self._reserve = FairShare(reserve, max_per_key=reserve * 3 // 4)
        self._small = small

    def blank(self, height: int, width: int, tenant: str = "", check: Callable[[], None] = lambda: None) -> Pixels:
        """:func:`blank`, as soon as there is room. ``check`` is called while it waits, and may end the wait."""
        size = height * width
        share = self._reserve if size <= self._small else self._large
        turn = share.turn(tenant, size, _collecting(check))
        turn.take()
        pixels = blank(height, width)
        weakref.finalize(pixels, turn.end).atexit = False
        return pixels

    @contextmanager
    def decoding(self, job: Job) -> Iterator[Callable[[int, int], Pixels]]:
        """A context in which one picture is decoded, and what makes room for it, called before anything is.

        First there is room and then a turn to compute, never the other way about: who computes never waits for room
        that somebody keeps who waits to compute.
        """
        with ExitStack() as turn:

            def room(height: int, width: int) -> Pixels:
                pixels = self.blank(height, width, job.tenant, job.call.check)
                turn.enter_context(job.turn())
                return pixels

            yield room


def _collecting(check: Callable[[], None]) -> Callable[[], None]:
    """Also collects cycles every so often: a traceback somebody kept, in a cycle, must not stop all others for good."""
    collected = time.monotonic()

    def both() -> None:
        nonlocal collected
        check()
        if time.monotonic() - collected > _PATIENCE:
            gc.collect()
            collected = time.monotonic()

    return both
