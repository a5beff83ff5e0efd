"""How many pixels may be in memory at once, whoever decodes them.

A small file may be a large picture: 100 kB of PNG can unfold to 4096 by 4096 pixels, and every request that is
worked on may bring one. So the room for pixels is asked for before a picture is decoded.
"""

from __future__ import annotations

import gc
import threading
import weakref
from queue import Empty, SimpleQueue

import numpy as np

from lookalike.model import Pixels

#: Seconds of waiting after which pixels are looked for that nothing but a cycle of references keeps.
_PATIENCE = 5.0


def blank(height: int, width: int) -> Pixels:
    """Room for a picture, not filled yet: uint8 of shape (height, width, 3)."""
    return np.empty((height, width, 3), np.uint8)


class PixelBudget:
    """Room for so many pixels. Safe to call from threads.

    A share lasts as long as the array it was taken for, or any view of it: whoever lets the picture go gives it
    back, be it after an error.

    Parameters
    ----------
    pixels : what all arrays together may have. A larger picture passes when there is no other.
    """

    def __init__(self, pixels: int) -> None:
        self._total = self._free = pixels
        # Only who has the turn waits for room, so what comes later cannot take it from under a large picture.
        self._turn = threading.Lock()
        # A queue, for arrays die anywhere, even in the middle of this: its put may be called from a finaliser.
        self._returned: SimpleQueue[int] = SimpleQueue()

    def blank(self, height: int, width: int) -> Pixels:
        """:func:`blank`, as soon as there is room."""
        share = min(height * width, self._total)
        with self._turn:
            while self._free < share:
                self._free += self._next_returned()
            self._free -= share
        pixels = blank(height, width)
        weakref.finalize(pixels, self._returned.put, share).atexit = False
        return pixels

    def _next_returned(self) -> int:
        """The next share that comes back. A traceback somebody kept, in a cycle, must not stop all others for good."""
        while True:
            try:
                return self._returned.get(timeout=_PATIENCE)
            except Empty:
                gc.collect()
