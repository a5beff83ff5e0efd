"""Proving candidates of kind ``same`` by their local maps."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait

from lookalike.embedding import corners
from lookalike.embedding.straighten import straighten
from lookalike.errors import Unavailable
from lookalike.model import Affine, Box, Candidate, Grey, Key, Pixels, Proof
from lookalike.observability import logger
from lookalike.picture.budget import PixelBudget
from lookalike.picture.glance import glance
from lookalike.ports import Comparison, Embedder, Look, MapStore, Originals, PictureStore

#: So many candidates' maps come in one call, and so many candidates are proved at most.
BATCH, MOST = 25, 200

#: Seconds that a search waits for originals, which may prove a little more: what has not come by then is done without.
_ORIGINALS_SECONDS = 2.0

#: Pixels of originals that may be in memory at once, of all searches together. A budget of its own, for a search that
#: asks for it already holds its query's pixels.
_BUDGET = PixelBudget(4096 * 4096)


def prove(
    comparison: Comparison, maps: MapStore, originals: PictureStore | None, candidates: Sequence[Candidate]
) -> dict[Key, Proof]:
    """The proofs of candidates, which come by cosine: batch after batch, as long as a batch still proves one.

    Where the first one proves none, the ``originals`` of a few are looked at, if they are given.
    """
    proofs: dict[Key, Proof] = {}
    for begin in range(0, min(len(candidates), MOST), BATCH):
        batch = candidates[begin : min(begin + BATCH, MOST)]
        found = _prove_batch(comparison, maps, originals if begin == 0 else None, batch)
        if not found:
            break
        proofs |= found
    return proofs


def looking(embedder: Embedder, query: Pixels) -> Look:
    """Looks at the query again, straightened, with that embedder."""

    def look(transform: Affine, part: Box, proportion: float) -> bytes:
        return embedder.embed([straighten(query, transform, part, proportion)])[0].local_map

    return look


def _prove_batch(
    comparison: Comparison, maps: MapStore, originals: PictureStore | None, batch: Sequence[Candidate]
) -> dict[Key, Proof]:
    stored = maps.maps([candidate.object_key for candidate in batch])
    mapped = [candidate for candidate in batch if candidate.object_key in stored]
    pictures = [(candidate.cosine, stored[candidate.object_key]) for candidate in mapped]
    proofs = comparison.prove(pictures, None if originals is None else _glancing(originals, mapped))
    return {candidate.key: proof for candidate, proof in zip(mapped, proofs, strict=True) if proof is not None}


def _glancing(originals: PictureStore, candidates: Sequence[Candidate]) -> Originals:
    def fetch(number: int) -> bytes | None:
        try:
            return originals.get(candidates[number].object_key)
        except Unavailable:
            logger.warning("an original was not looked at", exc_info=True, extra={"operation": "search"})
            return None

    def see(data: bytes) -> Grey | None:
        return glance(data, corners.SIDE, _BUDGET.blank)

    def glances(numbers: Sequence[int]) -> Sequence[Grey | None]:
        pool = ThreadPoolExecutor(max(1, len(numbers)), thread_name_prefix="originals")  # all are on their way at once
        try:
            coming = [pool.submit(fetch, number) for number in numbers]
            late = wait(coming, _ORIGINALS_SECONDS).not_done
            if late:
                logger.warning(f"{len(late)} originals have not come in time", extra={"operation": "search"})
            # Only the store is hurried: what is proved must not depend on how busy this machine is. Each thread whose
            # original has come is free to look at it.
            files = [None if one in late else one.result() for one in coming]
            seen = [None if file is None else pool.submit(see, file) for file in files]
            return [None if one is None else one.result() for one in seen]
        finally:
            pool.shutdown(wait=False)

    return glances
