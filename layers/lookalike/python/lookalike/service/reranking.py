"""Reranking the candidates of a ``same`` search by geometric verification."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from lookalike.domain.geometry import GeometricMatch
from lookalike.domain.keypoints import Original
from lookalike.domain.picture import Key, Pixels
from lookalike.domain.search import Candidate
from lookalike.imaging.rendition import RENDITION_SIDE, rendition
from lookalike.limits.call import Job
from lookalike.limits.fair_share import Turn
from lookalike.ports import BatchVerification, Embedder, MapStore, PictureStore, QueryVerifier
from lookalike.service.originals import BUDGET, read_originals

#: Candidates whose feature maps are read in one call and verified together.
BATCH_SIZE = 25

#: Candidates verified at most: eight batches.
MAX_CANDIDATES = 200

LoadRenditions = Callable[[Sequence[int]], Mapping[int, Pixels]]
"""Loads renditions of candidates' originals, given their numbers in a batch; leaves out those unavailable."""


@dataclass(frozen=True, slots=True)
class Reranker:
    """Verifies candidates of one query.

    ``originals`` are loaded for keypoints where the feature maps decide nothing; None: never.
    """

    query: QueryVerifier
    embedder: Embedder
    maps: MapStore
    originals: PictureStore | None
    job: Job

    def verify(self, candidates: Sequence[Candidate]) -> dict[Key, GeometricMatch]:
        """Return the matches among candidates, which come by cosine: batch after batch, until one has no match.

        Originals are loaded for the first batch only. Raises Busy or Abandoned, between two batches, if nobody waits
        for the answer any more.
        """
        matches: dict[Key, GeometricMatch] = {}
        for begin in range(0, min(len(candidates), MAX_CANDIDATES), BATCH_SIZE):
            batch = candidates[begin : min(begin + BATCH_SIZE, MAX_CANDIDATES)]
            found = self._verify_batch(batch, self.originals if begin == 0 else None)
            if not found:
                break
            matches |= found
        return matches

    def _verify_batch(self, batch: Sequence[Candidate], originals: PictureStore | None) -> dict[Key, GeometricMatch]:
        stored = self.maps.maps([candidate.object_key for candidate in batch])
        mapped = [candidate for candidate in batch if candidate.object_key in stored]
        feature_maps = [(candidate.cosine, stored[candidate.object_key]) for candidate in mapped]
        with self.job.turn() as turn:
            load = None if originals is None else partial(_load_renditions, originals, mapped, self.job, turn)
            matches = run_stages(self.query, self.embedder, feature_maps, load).matches()
        return {candidate.key: match for candidate, match in zip(mapped, matches, strict=True) if match is not None}


def run_stages(
    query: QueryVerifier,
    embedder: Embedder,
    candidates: Sequence[tuple[float, bytes]],
    load_renditions: LoadRenditions | None,
) -> BatchVerification:
    """Run the stages of verification, in order, for a batch of candidates: each one's cosine and feature map.

    1. Match feature maps: whole pictures in eight orientations, and parts of them.
    2. Rectify the query for undecided candidates, embed the result, and match again, twice at most.
    3. If no match is accepted, load originals and match keypoints: of the query as it is, then turned and mirrored.
    """
    batch = _match_rectified(query.match_feature_maps(candidates), embedder)
    if load_renditions is None:
        return batch
    numbers = batch.keypoint_candidates()
    return _match_keypoints(batch, embedder, load_renditions(numbers)) if numbers else batch


def _match_keypoints(
    batch: BatchVerification, embedder: Embedder, renditions: Mapping[int, Pixels]
) -> BatchVerification:
    """Detect keypoints of the originals and of one view of the query after another, until a match is accepted."""
    originals = {number: Original(pixels, embedder.keypoints(pixels)) for number, pixels in renditions.items()}
    while originals and (view := batch.keypoint_view()) is not None:
        batch = batch.match_keypoints(view, embedder.keypoints(view.pixels), originals)
    return batch


def _match_rectified(batch: BatchVerification, embedder: Embedder) -> BatchVerification:
    """Embed rectified views and match them, as long as the batch asks for some."""
    while views := batch.rectified_views():
        embeddings = embedder.embed(list(views.values()))
        batch = batch.match_rectified(
            {number: embedding.feature_map for number, embedding in zip(views, embeddings, strict=True)}
        )
    return batch


def _load_renditions(
    originals: PictureStore, candidates: Sequence[Candidate], job: Job, turn: Turn, numbers: Sequence[int]
) -> dict[int, Pixels]:
    """Load renditions while ``turn`` is given back: waiting for a store computes nothing."""
    with turn.paused():
        files = read_originals(originals, [candidates[number].object_key for number in numbers])
        with ThreadPoolExecutor(max(1, len(files))) as pool:
            renditions = list(pool.map(partial(_rendition, job), files))
    return {number: pixels for number, pixels in zip(numbers, renditions, strict=True) if pixels is not None}


def _rendition(job: Job, file: bytes | None) -> Pixels | None:
    """Return a picture file's rendition; None if it cannot be decoded."""
    if file is None:
        return None
    with BUDGET.decoding(job) as room:
        return rendition(file, RENDITION_SIDE, room)
