"""Reranking the candidates of a ``same`` search by geometric verification."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from lookalike.domain.geometry import GeometricMatch
from lookalike.domain.keypoints import Original
from lookalike.domain.picture import Key
from lookalike.domain.search import Candidate
from lookalike.limits.call import Job
from lookalike.ports import BatchVerification, Embedder, MapStore, QueryVerifier
from lookalike.service.renditions import Renditions

#: Candidates whose feature maps are read in one call and verified together.
BATCH_SIZE = 25

#: Candidates verified at most: eight batches.
MAX_CANDIDATES = 200

#: Matches whose originals are compared with the query at once. While one of them agrees, the next are compared too.
EXAMINED_AT_ONCE = 12

#: Matches whose originals are compared at most: each costs a read, and the processor time of about one pass.
MAX_EXAMINED = 60

#: Probability of a match that its agreement proves: of 600 such places of pictures of one kind that were compared, and 160 of
#: photographs, none proved a wrong one.
PLACED_PROBABILITY = 0.99

LoadOriginals = Callable[[Sequence[int]], Mapping[int, Original]]
"""Loads candidates' originals with their keypoints, given their numbers in a batch; leaves out those unavailable."""


@dataclass(frozen=True, slots=True)
class Reranked:
    """The ``matches`` among candidates, and what is ``undecided`` where there is none; None if that is not asked for."""

    matches: dict[Key, GeometricMatch]
    undecided: Undecided | None = None


@dataclass(frozen=True, slots=True)
class Reranker:
    """Verifies candidates of one query.

    ``keypoints``: what feature maps leave undecided may be decided by originals. Of a match, ``min_agreement`` of the
    structure must agree.
    """

    query: QueryVerifier
    embedder: Embedder
    maps: MapStore
    renditions: Renditions
    job: Job
    keypoints: bool = True
    min_agreement: float = 0.0

    def verify(self, candidates: Sequence[Candidate]) -> Reranked:
        """Return the matches among candidates, which come by cosine: batch after batch, until one has no match.

        Originals are read of what matches. Raises Busy or Abandoned, between two batches, if nobody waits for the answer
        any more.
        """
        first = self._first_batch(candidates)
        found = first.matches()
        if not found:
            undecided = Undecided(self, first, candidates) if self.keypoints and first.mapped else None
            return Reranked({}, undecided)
        return Reranked(self.compared(found | self.following(candidates), first, candidates))

    def following(self, candidates: Sequence[Candidate]) -> dict[Key, GeometricMatch]:
        """Return the matches by feature maps behind the first batch, until a batch has none."""
        matches: dict[Key, GeometricMatch] = {}
        for begin in range(BATCH_SIZE, min(len(candidates), MAX_CANDIDATES), BATCH_SIZE):
            found = self._batch(candidates[begin : min(begin + BATCH_SIZE, MAX_CANDIDATES)]).matches()
            if not found:
                break
            matches |= found
        return matches

    def compared(
        self, matches: dict[Key, GeometricMatch], first: Batch, candidates: Sequence[Candidate]
    ) -> dict[Key, GeometricMatch]:
        """Return the matches with their agreement, and where none agrees those that only their agreement proves."""
        examined = self._examined(matches, {candidate.key: candidate for candidate in candidates})
        if self.keypoints and not any(map(_agrees, examined.values())):
            unmatched = [one for one in first.mapped if one.key not in examined]
            examined |= self._placed(unmatched, first.stored)
        return {key: match for key, match in examined.items() if agrees_enough(match, self.min_agreement)}

    def _first_batch(self, candidates: Sequence[Candidate]) -> Batch:
        return self._batch(candidates[: min(BATCH_SIZE, MAX_CANDIDATES)])

    def _batch(self, candidates: Sequence[Candidate]) -> Batch:
        """Match a batch by feature maps. Candidates without one are left out."""
        stored = self.maps.maps([candidate.object_key for candidate in candidates]) if candidates else {}
        mapped = [candidate for candidate in candidates if candidate.object_key in stored]
        with self.job.turn():
            feature_maps = [(candidate.cosine, stored[candidate.object_key]) for candidate in mapped]
            return Batch(mapped, stored, run_feature_map_stages(self.query, self.embedder, feature_maps))

    def _examined(
        self, matches: dict[Key, GeometricMatch], candidates: Mapping[Key, Candidate]
    ) -> dict[Key, GeometricMatch]:
        """Return the matches, with their agreement: the most probable first, round after round, until none agrees."""
        keys = sorted(matches, key=lambda key: (-round(matches[key].probability, 2), -candidates[key].cosine))
        for begin in range(0, min(len(keys), MAX_EXAMINED), EXAMINED_AT_ONCE):
            examined = self._examine(
                [(candidates[key], matches[key]) for key in keys[begin : begin + EXAMINED_AT_ONCE]]
            )
            matches |= examined
            if not any(map(_agrees, examined.values())):
                break
        return matches

    def _placed(self, candidates: Sequence[Candidate], stored: Mapping[str, bytes]) -> dict[Key, GeometricMatch]:
        """Return the matches of which nothing but the agreement says that they are.

        Others of one layout hide the picture that a query was cut from: their cells match, or none of the cells do. What
        matched before and does not agree is not tried again.
        """
        with self.job.turn():
            places = self.query.place([(candidate.cosine, stored[candidate.object_key]) for candidate in candidates])
        near = [(candidates[number], place) for number, place in places.items()]
        examined = self._examine(self._fitting(near))
        return {
            key: replace(match, probability=PLACED_PROBABILITY)
            for key, match in examined.items()
            if match.agreement is not None and match.agreement.proves
        }

    def _fitting(self, places: Sequence[tuple[Candidate, GeometricMatch]]) -> list[tuple[Candidate, GeometricMatch]]:
        """Return the places where the query still fits if one looks closer."""
        with self.job.turn() as turn:
            pixels = self.renditions.numbered([candidate for candidate, _ in places], turn, range(len(places)))
            return [
                (candidate, place)
                for number, (candidate, place) in enumerate(places)
                if number in pixels and self.query.fits(place, pixels[number])
            ]

    def _examine(self, matches: Sequence[tuple[Candidate, GeometricMatch]]) -> dict[Key, GeometricMatch]:
        """Compare matched originals with the query, and return the matches with their agreement."""
        with self.job.turn() as turn:
            pixels = self.renditions.numbered([candidate for candidate, _ in matches], turn, range(len(matches)))
            return {
                candidate.key: replace(match, agreement=self.query.agreement(match, pixels[number]))
                for number, (candidate, match) in enumerate(matches)
                if number in pixels
            }


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Candidates with a feature map, ``mapped``, the feature maps ``stored`` by object key, and their ``verification``."""

    mapped: Sequence[Candidate]
    stored: Mapping[str, bytes]
    verification: BatchVerification

    def matches(self) -> dict[Key, GeometricMatch]:
        """Return the accepted matches by key."""
        found = zip(self.mapped, self.verification.matches(), strict=True)
        return {candidate.key: match for candidate, match in found if match is not None}


@dataclass(frozen=True, slots=True, eq=False)
class Undecided:
    """What the feature maps of the ``first`` batch leave undecided. ``candidates`` are those of all batches."""

    reranker: Reranker
    first: Batch
    candidates: Sequence[Candidate]

    def decide(self) -> dict[Key, GeometricMatch]:
        """Return the matches by keypoints of originals, and where none agrees those that only their agreement proves.

        Where the first batch has a match, the others are matched, too. Raises as :meth:`Reranker.verify`.
        """
        with self.reranker.job.turn() as turn:
            load = partial(self.reranker.renditions.with_keypoints, self.first.mapped, turn)
            verification = run_keypoint_stage(self.first.verification, self.reranker.embedder, load)
        first = replace(self.first, verification=verification)
        found = first.matches()
        if found:
            found |= self.reranker.following(self.candidates)
        return self.reranker.compared(found, first, self.candidates)


def agrees_enough(match: GeometricMatch, min_agreement: float) -> bool:
    """Whether so much of the structure agrees, or is not known to disagree."""
    return match.agreement is None or match.agreement.share >= min_agreement


def _agrees(match: GeometricMatch) -> bool:
    return match.agreement is not None and match.agreement.agrees


def run_stages(
    query: QueryVerifier,
    embedder: Embedder,
    candidates: Sequence[tuple[float, bytes]],
    load_originals: LoadOriginals | None,
) -> BatchVerification:
    """Run the stages of verification, in order, for a batch of candidates: each one's cosine and feature map.

    1. Match feature maps: whole pictures in eight orientations, and parts of them.
    2. Rectify the query for undecided candidates, embed the result, and match again, twice at most.
    3. If no match is accepted, load originals and match keypoints: of the query as it is, then turned and mirrored.
    """
    batch = run_feature_map_stages(query, embedder, candidates)
    return batch if load_originals is None else run_keypoint_stage(batch, embedder, load_originals)


def run_feature_map_stages(
    query: QueryVerifier, embedder: Embedder, candidates: Sequence[tuple[float, bytes]]
) -> BatchVerification:
    """Run the stages that need no originals: the first two of :func:`run_stages`."""
    return _match_rectified(query.match_feature_maps(candidates), embedder)


def run_keypoint_stage(
    batch: BatchVerification, embedder: Embedder, load_originals: LoadOriginals
) -> BatchVerification:
    """Run the last stage of :func:`run_stages`, unless a match is accepted."""
    numbers = batch.keypoint_candidates()
    return _match_keypoints(batch, embedder, load_originals(numbers)) if numbers else batch


def _match_keypoints(
    batch: BatchVerification, embedder: Embedder, originals: Mapping[int, Original]
) -> BatchVerification:
    """Detect keypoints of one view of the query after another, until a match is accepted."""
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
