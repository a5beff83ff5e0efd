"""Geometric verification of a batch of candidates: which stage is run for which of them.

Cells of two feature maps that are mutual nearest neighbours vote for a similarity transform (RANSAC: Fischler and
Bolles, "Random sample consensus", 1981). Cells of two heaps of apples are alike to the network, so the thumbnails
decide: warped by the transform, they must correlate block by block. Undecided candidates are matched again after the
query was rectified; where nothing is accepted, keypoints of the originals are matched, which are smaller than cells.

Nothing here embeds pictures or reads stores: a batch hands out the rectified views that it needs embedded and the
numbers of the originals that it needs loaded, and takes feature maps and thumbnails in return. The order of the stages
stands in :func:`lookalike.service.reranking.run_stages`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from lookalike.domain.geometry import Agreement, GeometricMatch, QueryView
from lookalike.domain.keypoints import Keypoints, KeypointView, Original
from lookalike.domain.picture import Pixels
from lookalike.embedding.feature_map import unpack
from lookalike.ports.models import BatchVerification, QueryVerifier, Verifier
from lookalike.verification.agreement import measure_agreement
from lookalike.verification.equal_greys import place_whole, telling_axis
from lookalike.verification.fitting_details import details_fit
from lookalike.verification.keypoints import AS_IS, TURNED
from lookalike.verification.match_score import MatchScorer
from lookalike.verification.matching import ViewFeatures
from lookalike.verification.overlay import Picture
from lookalike.verification.pieces import find_piece
from lookalike.verification.placement import place
from lookalike.verification.stages import (
    EARLY_EXIT_PROBABILITY,
    Candidate,
    MatchAttempt,
    QueryMatcher,
    Rectification,
    rectification_of,
)
from lookalike.verification.turned import promising_orientations

#: Smallest probability of an attempt, not accepted, that is matched again after rectification.
RETRY_PROBABILITY = 0.02

#: Candidates of a batch that are matched again at most, the most probable ones.
MAX_RETRIED = 4

#: Times that one candidate is matched again at most; each costs one pass of the model.
MAX_RETRIES = 2

#: Originals of a batch that keypoints are detected in at most: the nearest candidate's and the most probable ones'.
MAX_ORIGINALS = 4

#: Smallest cosine of a candidate that the query is placed on. Of crops to 80 % among pages of one layout, which are not
#: matched otherwise, it is 0.61 at least; one in five photographs that is not there has one so near.
MIN_PLACED_COSINE = 0.6

#: Smallest correlation of a query with an original that it is warped for, so that its keypoints are matched again: one in
#: eight strangers that are aligned by chance has more, copies that are verified then have 0.26 and more.
MIN_REFINED_CORRELATION = 0.25

#: Smallest cosine of a candidate that the query is turned and mirrored for in any case. Of 115 copies turned by 45 to 135
#: degrees, or mirrored and turned, nine in ten have more, and their thumbnails do not tell; of strangers a third has.
MIN_TURNED_COSINE = 0.25

#: Times that the query is warped for its keypoints at most: textures correlate in every orientation.
MAX_REFINED = 2


class FeatureMapVerifier(Verifier):
    """Verifies by feature maps of one model.

    Parameters
    ----------
    scorer : how features become probabilities, and which probability is accepted.
    exhaustive : run all stages for all candidates, and answer their most probable matches, accepted or not. For
        calibration: a search with any ``min_probability`` accepts the match if it is at least as probable.
    """

    def __init__(self, scorer: MatchScorer, *, exhaustive: bool = False) -> None:
        self._scorer = scorer
        self._exhaustive = exhaustive

    def query(self, pixels: Pixels, views: Sequence[QueryView]) -> FeatureMapQueryVerifier:
        """Prepare a query in its ``views``. Views whose bytes are no feature map are left out."""
        unpacked = ((view, unpack(view.feature_map)) for view in views)
        features = [ViewFeatures.of(view.to_view, view.full, made) for view, made in unpacked if made is not None]
        return FeatureMapQueryVerifier(QueryMatcher(pixels, features, self._scorer), self._policy)

    @property
    def _policy(self) -> Policy:
        return Policy(self._scorer.min_probability, self._exhaustive)


@dataclass(frozen=True, slots=True)
class Policy:
    """Decides which attempts are accepted, and which of the others are worth another stage."""

    min_probability: float
    exhaustive: bool

    @property
    def min_measured_probability(self) -> float:
        """The smallest probability that matters: less is neither accepted nor matched again."""
        return 0.0 if self.exhaustive else min(self.min_probability, RETRY_PROBABILITY)

    def accepts(self, attempt: MatchAttempt | None) -> bool:
        """Whether an attempt is a match, so that no further stage is needed."""
        if attempt is None or self.exhaustive:
            return False
        return attempt.sufficient and attempt.match.probability >= self.min_probability

    def is_certain(self, attempt: MatchAttempt | None) -> bool:
        """Whether an attempt is so probable that no other candidate of its batch is matched again."""
        if attempt is None or self.exhaustive:
            return False
        return attempt.sufficient and attempt.match.probability >= EARLY_EXIT_PROBABILITY

    def is_undecided(self, attempt: MatchAttempt) -> bool:
        """Whether an attempt, not accepted, is probable enough to be matched again."""
        return attempt.match.probability >= RETRY_PROBABILITY and not self.accepts(attempt)

    def result(self, history: Sequence[MatchAttempt | None]) -> GeometricMatch | None:
        """Return the match that a candidate's attempts end with; if exhaustive, the most probable one."""
        if not self.exhaustive:
            latest = history[-1]
            return latest.match if latest is not None and self.accepts(latest) else None
        sufficient = [attempt.match for attempt in history if attempt is not None and attempt.sufficient]
        return max(sufficient, key=lambda match: match.probability, default=None)


class FeatureMapQueryVerifier(QueryVerifier):
    """A query, ready to be compared with batches of candidates. ``matcher`` runs single stages."""

    def __init__(self, matcher: QueryMatcher, policy: Policy) -> None:
        self.matcher = matcher
        self._policy = policy

    def match_feature_maps(self, candidates: Sequence[tuple[float, bytes]]) -> FeatureMapBatch:
        """Match every candidate's feature map with those of the views. Bytes that are no feature map never match."""
        unpacked = [(cosine, unpack(data)) for cosine, data in candidates]
        known = [None if made is None else Candidate(cosine, made) for cosine, made in unpacked]
        attempts = self._attempts(known)
        batch = FeatureMapBatch(
            self.matcher,
            self._policy,
            cosines=tuple(cosine for cosine, _ in candidates),
            candidates=tuple(known),
            histories=tuple((attempt,) for attempt in attempts),
            retries_left=MAX_RETRIES,
        )
        if any(map(self._policy.is_certain, attempts)):
            return batch
        undecided = [number for number, attempt in batch.attempts if self._policy.is_undecided(attempt)]
        return batch.retrying(undecided[:MAX_RETRIED])

    def place(self, candidates: Sequence[tuple[float, bytes]]) -> dict[int, GeometricMatch]:
        """Return where the query may lie on near candidates, the best first, and which one it is a small piece of."""
        unpacked = ((number, cosine, unpack(data)) for number, (cosine, data) in enumerate(candidates))
        known = [(number, cosine, made) for number, cosine, made in unpacked if made is not None]
        near = [(number, made) for number, cosine, made in known if cosine >= MIN_PLACED_COSINE]
        placed = place(self.matcher.views, [made for _, made in near])
        piece = find_piece(self.matcher.views, [made for _, _, made in known])
        whole = place_whole(self.matcher.views, [made for _, made in near])
        return {
            **{known[at][0]: match for at, match in piece.items()},
            **{near[at][0]: match for at, match in placed.items()},
            **{near[at][0]: match for at, match in whole.items()},
        }

    def fits(self, place: GeometricMatch, rendition: Pixels) -> bool:
        """Whether details of query and original fit there."""
        query, original = _along_telling_axis(self.matcher.picture, rendition)
        return details_fit(place, query.grey, original.grey)

    def agreement(self, match: GeometricMatch, rendition: Pixels) -> Agreement | None:
        """Lay the query on the original by the match's transform, and compare both."""
        query = self.matcher.picture.negative() if match.inverted else self.matcher.picture
        query, original = _along_telling_axis(query, rendition)
        # Where no cells were matched, pixels of thumbnails were.
        return measure_agreement(query, original, match.transform, exact=match.inliers == 0)

    def _attempts(self, candidates: Sequence[Candidate | None]) -> list[MatchAttempt | None]:
        known = {number: candidate for number, candidate in enumerate(candidates) if candidate is not None}
        found = self.matcher.match_feature_maps(list(known.values()), self._policy.min_measured_probability)
        attempts = dict(zip(known, found, strict=True))
        return [attempts.get(number) for number in range(len(candidates))]


@dataclass(frozen=True, slots=True, eq=False)
class FeatureMapBatch(BatchVerification):
    """A batch of candidates between two stages.

    ``histories`` are the attempts at each candidate, the latest last. ``pending`` are the rectified views, by candidate
    number, that have to be embedded before the next stage. ``views_left`` are the numbers of the query's views whose
    keypoints are to be matched; ``refined_view`` comes before the next of them, ``refinements_left`` times at most.
    """

    matcher: QueryMatcher
    policy: Policy
    cosines: tuple[float, ...]
    candidates: tuple[Candidate | None, ...]
    histories: tuple[tuple[MatchAttempt | None, ...], ...]
    retries_left: int
    views_left: tuple[int, ...] = (AS_IS,)
    refinements_left: int = MAX_REFINED
    refined_view: KeypointView | None = None
    pending: Mapping[int, Rectification] = field(default_factory=dict)

    @property
    def attempts(self) -> list[tuple[int, MatchAttempt]]:
        """The latest attempts with their candidates' numbers, the most probable first."""
        latest = ((number, history[-1]) for number, history in enumerate(self.histories))
        found = [(number, attempt) for number, attempt in latest if attempt is not None]
        return sorted(found, key=lambda one: -one[1].match.probability)

    def rectified_views(self) -> Mapping[int, Pixels]:
        """Return the query as each candidate to be matched again shows it."""
        return {number: found.warp(self.matcher.picture.colour) for number, found in self.pending.items()}

    def match_rectified(self, feature_maps: Mapping[int, bytes]) -> FeatureMapBatch:
        """Match the rectified views, given their feature maps, each with its candidate."""
        rectified = [(rectification, feature_maps[number]) for number, rectification in self.pending.items()]
        attempts = self.matcher.match_rectified(rectified)
        found = dict(zip(self.pending, attempts, strict=True))
        batch = replace(self._with(found), pending={})
        undecided = [
            number for number, attempt in found.items() if attempt is not None and self.policy.is_undecided(attempt)
        ]
        return batch.retrying(undecided)

    def retrying(self, numbers: Sequence[int]) -> FeatureMapBatch:
        """Return the batch with these candidates pending, if retries are left. Those that cannot be rectified have failed."""
        if not self.retries_left:
            return self
        latest = dict(self.attempts)
        rectifications = {number: rectification_of(latest[number]) for number in numbers}
        failed = self._with({number: None for number, found in rectifications.items() if found is None})
        pending = {number: found for number, found in rectifications.items() if found is not None}
        return replace(failed, pending=pending, retries_left=self.retries_left - 1)

    def keypoint_candidates(self) -> Sequence[int]:
        """Return the nearest candidate's number and the most probable ones'; none if a match is accepted."""
        if not self.cosines or any(self.policy.accepts(history[-1]) for history in self.histories):
            return []
        nearest = max(range(len(self.cosines)), key=self.cosines.__getitem__)
        probable = [number for number, attempt in self.attempts if attempt.match.probability >= RETRY_PROBABILITY]
        return list(dict.fromkeys([nearest, *probable]))[:MAX_ORIGINALS]

    def keypoint_view(self) -> KeypointView | None:
        """Return the query as the likeliest original shows it, if one is likely; else in its next orientation."""
        if not self.keypoint_candidates():
            return None
        if self.refined_view is not None:
            return self.refined_view
        return self.matcher.keypoint_views.view(self.views_left[0]) if self.views_left else None

    def match_keypoints(
        self, view: KeypointView, keypoints: Keypoints, originals: Mapping[int, Original]
    ) -> FeatureMapBatch:
        """Match a view's keypoints with those of candidates' originals, and correlate both."""
        known = {number: candidate for number in originals if (candidate := self.candidates[number]) is not None}
        found = {
            number: attempt
            for number, candidate in known.items()
            if (attempt := self.matcher.match_keypoints(candidate, view, keypoints, originals[number])) is not None
        }
        refined = view is self.refined_view
        left = self.refinements_left - refined
        return replace(
            self._with(found),
            retries_left=0,
            views_left=self.views_left if refined else self._views_left(list(known.values())),
            refinements_left=left,
            refined_view=self._refined_view(list(found.values())) if left and not refined else None,
        )

    def _views_left(self, candidates: Sequence[Candidate]) -> tuple[int, ...]:
        """Return the views left behind the next one: behind the query as it is, those that may show a candidate."""
        if self.views_left[0] != AS_IS:
            return self.views_left[1:]
        if self.policy.exhaustive or any(one.cosine >= MIN_TURNED_COSINE for one in candidates):
            return TURNED
        return tuple(promising_orientations(self.matcher.views, [one.feature_map for one in candidates]))

    def _refined_view(self, found: Sequence[MatchAttempt]) -> KeypointView | None:
        """Return the query as the likeliest original shows it, unless a match is accepted or none is likely."""
        likely = [attempt for attempt in found if attempt.match.correlation >= MIN_REFINED_CORRELATION]
        if not likely or any(map(self.policy.accepts, found)):
            return None
        return self.matcher.refined_view(max(likely, key=lambda attempt: attempt.match.probability))

    def matches(self) -> Sequence[GeometricMatch | None]:
        """Return each candidate's match, or None."""
        return [self.policy.result(history) for history in self.histories]

    def _with(self, attempts: Mapping[int, MatchAttempt | None]) -> FeatureMapBatch:
        """Return the batch with one more attempt at each of these candidates."""
        histories = (
            (*history, attempts[number]) if number in attempts else history
            for number, history in enumerate(self.histories)
        )
        return replace(self, histories=tuple(histories))


def _along_telling_axis(query: Picture, rendition: Pixels) -> tuple[Picture, Picture]:
    """Return query and original with greys that tell something, if any do."""
    original = Picture.of(rendition)
    axis = telling_axis(original)
    return query.along(axis), original.along(axis)
