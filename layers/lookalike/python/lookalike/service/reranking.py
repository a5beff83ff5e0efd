"""Proving candidates of kind ``same`` by their local maps."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from lookalike.domain.geometry import Affine, Box, GeometricMatch
from lookalike.domain.picture import Grey, Key, Pixels
from lookalike.domain.search import Candidate
from lookalike.imaging.grey_thumbnail import glance
from lookalike.limits.call import Job
from lookalike.limits.fair_share import Turn
from lookalike.ports import Embedder, Look, MapStore, Originals, PictureStore, QueryVerifier
from lookalike.service.originals import BUDGET, read_originals
from lookalike.verification import keypoints
from lookalike.verification.rectify import warp_region

#: Candidates whose feature maps are read in one call and verified together.
BATCH_SIZE = 25

#: Candidates verified at most: eight batches.
MAX_CANDIDATES = 200


def verify(
    query_verifier: QueryVerifier,
    maps: MapStore,
    originals: PictureStore | None,
    candidates: Sequence[Candidate],
    job: Job,
) -> dict[Key, GeometricMatch]:
    """The proofs of candidates, which come by cosine: batch after batch, as long as a batch still proves one.

    Where the first one proves none, the ``originals`` of a few are looked at, if they are given. Raises Busy or
    Abandoned, between two batches, if nobody waits for the answer any more.
    """
    verified: dict[Key, GeometricMatch] = {}
    for begin in range(0, min(len(candidates), MAX_CANDIDATES), BATCH_SIZE):
        batch = candidates[begin : min(begin + BATCH_SIZE, MAX_CANDIDATES)]
        found = _verify_batch(query_verifier, maps, originals if begin == 0 else None, batch, job)
        if not found:
            break
        verified |= found
    return verified


def looking(embedder: Embedder, query: Pixels) -> Look:
    """Looks at the query again, straightened, with that embedder."""

    def look(transform: Affine, region: Box, aspect_ratio: float) -> bytes:
        return embedder.embed([warp_region(query, transform, region, aspect_ratio)])[0].feature_map

    return look


def _verify_batch(
    query_verifier: QueryVerifier, maps: MapStore, originals: PictureStore | None, batch: Sequence[Candidate], job: Job
) -> dict[Key, GeometricMatch]:
    stored = maps.maps([candidate.object_key for candidate in batch])
    mapped = [candidate for candidate in batch if candidate.object_key in stored]
    pictures = [(candidate.cosine, stored[candidate.object_key]) for candidate in mapped]
    with job.turn() as turn:
        verified = query_verifier.verify(
            pictures, None if originals is None else _glancing(originals, mapped, job, turn)
        )
    return {candidate.key: match for candidate, match in zip(mapped, verified, strict=True) if match is not None}


def _glancing(originals: PictureStore, candidates: Sequence[Candidate], job: Job, turn: Turn) -> Originals:
    """Reads originals for a comparison that has that turn: meanwhile it computes nothing itself."""

    def seen(data: bytes | None) -> Grey | None:
        if data is None:
            return None
        with BUDGET.decoding(job) as room:
            return glance(data, keypoints.LONGER_SIDE, room)

    def glances(numbers: Sequence[int]) -> Sequence[Grey | None]:
        with turn.paused():
            files = read_originals(originals, [candidates[number].object_key for number in numbers])
            with ThreadPoolExecutor(max(1, len(files))) as pool:
                return list(pool.map(seen, files))

    return glances
