"""Proving candidates of kind ``same`` by their local maps."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from lookalike.domain.geometry import Affine, Box, Proof
from lookalike.domain.picture import Grey, Key, Pixels
from lookalike.domain.search import Candidate
from lookalike.imaging.grey_thumbnail import grey_thumbnail
from lookalike.limits.call import Job
from lookalike.limits.fair_share import Turn
from lookalike.ports import Comparison, Embedder, Look, MapStore, Originals, PictureStore
from lookalike.service.originals import BUDGET, read
from lookalike.verification import keypoints
from lookalike.verification.rectify import straighten

#: So many candidates' maps come in one call, and so many candidates are proved at most.
BATCH, MOST = 25, 200


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
        with BUDGET.decoding(job) as room:
            return grey_thumbnail(data, keypoints.SIDE, room)

    def glances(numbers: Sequence[int]) -> Sequence[Grey | None]:
        with turn.paused():
            files = read(originals, [candidates[number].object_key for number in numbers])
            with ThreadPoolExecutor(max(1, len(files))) as pool:
                return list(pool.map(seen, files))

    return glances
