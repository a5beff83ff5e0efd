"""Stored originals: loading them for a search that already holds its own picture, and removing them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait

from lookalike.domain.picture import companion_keys
from lookalike.errors import Unavailable
from lookalike.imaging.pixel_budget import PixelBudget
from lookalike.observability import logger
from lookalike.ports import PictureStore, Ports

#: Seconds that a search waits for originals: they refine its answer, so it goes on without late ones.
_MAX_WAIT = 2.0

#: Pixels of originals in memory at once, of all calls together, three quarters of them one tenant's. A budget of its
#: own, since a call that asks for it already holds pixels of its own picture.
BUDGET = PixelBudget(4096 * 4096, max_per_tenant=4096 * 4096 * 3 // 4, reserve=4 << 20, max_small=1 << 20)


def read_originals(originals: PictureStore, keys: Sequence[str]) -> list[bytes | None]:
    """Return the originals' files, requested all at once; None for those unavailable, or later than _MAX_WAIT."""

    def one(key: str) -> bytes | None:
        try:
            return originals.get(key)
        except Unavailable:
            logger.warning("an original was not looked at", exc_info=True, extra={"operation": "search"})
            return None

    pool = ThreadPoolExecutor(max(1, len(keys)), thread_name_prefix="originals")
    coming = [pool.submit(one, key) for key in keys]
    late = wait(coming, _MAX_WAIT).not_done
    pool.shutdown(wait=False)
    if late:
        logger.warning(f"{len(late)} originals have not come in time", extra={"operation": "search"})
    return [None if future in late else future.result() for future in coming]


def remove_objects(ports: Ports, object_keys: Sequence[str]) -> None:
    """Remove originals for good, and what is kept beside them. Raises Unavailable.

    That is the file that an original was made of, its thumbnail, and its local map.
    """
    ports.originals.remove([key for original in object_keys for key in (original, *companion_keys(original))])
    ports.maps.remove_maps(object_keys)
