"""Renditions of originals for one search, and their keypoints: each is made once, whatever stage or look asks first."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from lookalike.domain.keypoints import Original
from lookalike.domain.picture import Pixels
from lookalike.domain.search import Candidate
from lookalike.imaging.rendition import RENDITION_SIDE, rendition
from lookalike.limits.call import Job
from lookalike.limits.fair_share import Turn
from lookalike.ports import Embedder, PictureStore
from lookalike.service.originals import BUDGET, read_originals


class Renditions:
    """Renditions of originals for one search.

    Parameters
    ----------
    originals : where the originals are.
    embedder : detects keypoints.
    job : the search.
    """

    def __init__(self, originals: PictureStore, embedder: Embedder, job: Job) -> None:
        self._originals = originals
        self._embedder = embedder
        self._job = job
        self._loaded: dict[str, Pixels | None] = {}
        self._detected: dict[str, Original] = {}

    def numbered(self, candidates: Sequence[Candidate], turn: Turn, numbers: Sequence[int]) -> dict[int, Pixels]:
        """Return renditions by the candidates' numbers; those unavailable are left out.

        ``turn`` is given back while they are loaded: waiting for a store computes nothing.
        """
        keys = {number: candidates[number].object_key for number in numbers}
        missing = [key for key in dict.fromkeys(keys.values()) if key not in self._loaded]
        if missing:
            with turn.paused(), ThreadPoolExecutor(len(missing)) as pool:
                files = read_originals(self._originals, missing)
                self._loaded |= zip(missing, pool.map(partial(_rendition, self._job), files), strict=True)
        found = ((number, self._loaded[key]) for number, key in keys.items())
        return {number: pixels for number, pixels in found if pixels is not None}

    def with_keypoints(
        self, candidates: Sequence[Candidate], turn: Turn, numbers: Sequence[int]
    ) -> dict[int, Original]:
        """Return the same with their keypoints."""
        return {
            number: self._with_keypoints(candidates[number].object_key, pixels)
            for number, pixels in self.numbered(candidates, turn, numbers).items()
        }

    def _with_keypoints(self, key: str, pixels: Pixels) -> Original:
        if key not in self._detected:
            self._detected[key] = Original(pixels, self._embedder.keypoints(pixels))
        return self._detected[key]


def _rendition(job: Job, file: bytes | None) -> Pixels | None:
    """Return a picture file's rendition; None if it cannot be decoded."""
    if file is None:
        return None
    with BUDGET.decoding(job) as room:
        return rendition(file, RENDITION_SIDE, room)
