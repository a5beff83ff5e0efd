"""Proving candidates of kind ``same`` by their local maps."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait

from lookalike.call import Job
from lookalike.embedding import corners
from lookalike.embedding.straighten import straighten
from lookalike.errors import Unavailable
from lookalike.fairness import Turn
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
#: asks for it already holds its query's pixels. One tenant has three quarters of it.
_BUDGET = PixelBudget(4096 * 4096, most=4096 * 4096 * 3 // 4, reserve=4 << 20, small=1 << 20)


def prove(
    comparison: Comparison, maps: MapStore, originals: PictureStore | None, candidates: Sequence[Candidate], job: Job
) -> dict[Key, Proof]:
    """The proofs of candidates, which come by cosine: batch after batch, as long as a batch still proves one.

    Where the first one proves none, the ``originals`` of a few are looked at, if they are given. Raises Busy or
    Abandoned, between two batches, if nobody waits for the answer any more.
    """
    proofs: dict[Key, Proof] = {}
    for begin in range(0, min(len(candidates), MOST), BATCH):
        batch = candidates[begin : min(begin + BATCH, MOST)]
        found = _prove_batch(comparison, maps, originals if begin == 0 else None, batch, job)
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
    comparison: Comparison, maps: MapStore, originals: PictureStore | None, batch: Sequence[Candidate], job: Job
) -> dict[Key, Proof]:
    stored = maps.maps([candidate.object_key for candidate in batch])
    mapped = [candidate for candidate in batch if candidate.object_key in stored]
    pictures = [(candidate.cosine, stored[candidate.object_key]) for candidate in mapped]
    with job.turn() as turn:
        proofs = comparison.prove(pictures, None if originals is None else _glancing(originals, mapped, job, turn))
    return {candidate.key: proof for candidate, proof in zip(mapped, proofs, strict=True) if proof is not None}


def _glancing(originals: PictureStore, candidates: Sequence[Candidate], job: Job, turn: Turn) -> Originals:
    """Reads originals for a comparison that has that turn: meanwhile it computes nothing itself."""

    def seen(data: bytes | None) -> Grey | None:
        if data is None:
            return None
        with _BUDGET.decoding(job) as room:
            return glance(data, corners.SIDE, room)

    def glances(numbers: Sequence[int]) -> Sequence[Grey | None]:
        with turn.paused():
            files = _read(originals, [candidates[number].object_key for number in numbers])
            with ThreadPoolExecutor(max(1, len(files))) as pool:
                return list(pool.map(seen, files))

    return glances


def _read(originals: PictureStore, keys: Sequence[str]) -> list[bytes | None]:
    """The originals' files, all on their way at once; None for what cannot be had, or not in time."""

    def one(key: str) -> bytes | None:
        try:
            return originals.get(key)
        except Unavailable:
            logger.warning("an original was not looked at", exc_info=True, extra={"operation": "search"})
            return None

    pool = ThreadPoolExecutor(max(1, len(keys)), thread_name_prefix="originals")
    coming = [pool.submit(one, key) for key in keys]
    late = wait(coming, _ORIGINALS_SECONDS).not_done
    pool.shutdown(wait=False)
    if late:
        logger.warning(f"{len(late)} originals have not come in time", extra={"operation": "search"})
    return [None if future in late else future.result() for future in coming]
